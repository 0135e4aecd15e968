//! What is measured beside the workloads: the disk's sync, memory at rest, time to the first answer, crates.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Plan;
use super::contender::Contender;
use crate::counters::{CONNECTIONS, adds};
use crate::generator;
use crate::report::median;
use crate::wire::{Client, get};

/// Objects at rest.
const OBJECTS: usize = 100_000;

/// The median of 200 `fdatasync`s after a write of 4 KiB into a file that is already that long, in microseconds. Each comes
/// after a pause, as those of a server that waits for the next request of one connection: a processor that has slept takes
/// longer for all it does.
pub(super) fn fdatasync(dir: &Path) -> Result<f64> {
    const BLOCKS: u64 = 200;
    const PAUSE: Duration = Duration::from_micros(50);
    let path = dir.join("fdatasync");
    let file = File::options().create(true).truncate(true).write(true).open(&path)?;
    for block in 0..BLOCKS {
        file.write_all_at(&[1; 4096], block * 4096)?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for block in 0..BLOCKS {
        thread::sleep(PAUSE);
        file.write_all_at(&[2; 4096], block * 4096)?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(&path)?;
    Ok(median(times))
}

/// Memory with many objects at rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Resident before they were made, after a load on one object, in bytes.
    pub(super) before: u64,
    /// Resident with all of them, in bytes.
    pub(super) after: u64,
    /// The JSON of one object's state, in bytes.
    pub(super) state: u64,
}

impl Rest {
    /// Bytes of one object beside its state.
    pub(super) fn beside_state(self) -> f64 {
        self.after.saturating_sub(self.before) as f64 / OBJECTS as f64 - self.state as f64
    }
}

/// Makes the objects and looks at the memory before and after.
pub(super) fn rest(contender: Contender, plan: &Plan) -> Result<Rest> {
    println!("{}: memory with {OBJECTS} objects at rest", contender.name());
    let running = contender.start(plan)?;
    let address = running.front.address;
    // What serving costs once (stacks, buffers, pages of code) is not the objects': it comes before.
    generator::run(address, &adds(1), CONNECTIONS, generator::Plan::Random(Duration::from_secs(2)))?;
    thread::sleep(Duration::from_secs(1));
    let before = running.front.resident()?;
    generator::run(address, &adds(OBJECTS), CONNECTIONS, generator::Plan::EachOnce)?;
    thread::sleep(Duration::from_secs(2));
    let after = running.front.resident()?;
    let answer = Client::connect(address)?.ask(&get("/objects/counter/key-1"))?;
    if answer.status != 200 {
        bail!("GET of an object just made: {answer:?}");
    }
    Ok(Rest { before, after, state: answer.body.len() as u64 })
}

/// Milliseconds from the start of the process to its first answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// With nothing stored.
    pub(super) empty: f64,
    /// After `kill -9` under the writes of 10,000 objects; the same again on memory, which is then empty.
    pub(super) after_kill: f64,
}

/// Starts it several times.
pub(super) fn start(contender: Contender, plan: &Plan) -> Result<Start> {
    println!("{}: start to first answer", contender.name());
    let mut empty = Vec::new();
    let mut after_kill = Vec::new();
    for _ in 0..5 {
        let dir = contender.empty_dir(plan)?;
        let first = start_timed(contender, plan, &dir, &mut empty)?;
        generator::run(first.front.address, &adds(10_000), CONNECTIONS, generator::Plan::EachOnce)?;
        drop(first);
        drop(start_timed(contender, plan, &dir, &mut after_kill)?);
    }
    Ok(Start { empty: median(empty), after_kill: median(after_kill) })
}

fn start_timed(
    contender: Contender,
    plan: &Plan,
    dir: &Path,
    times: &mut Vec<f64>,
) -> Result<super::contender::Running> {
    let began = Instant::now();
    let mut running = contender.start_in(plan, dir)?;
    running.front.wait_for_answer("/objects/counter/key-1")?;
    times.push(began.elapsed().as_secs_f64() * 1e3);
    Ok(running)
}

/// Crates that the default build links or runs as macros, this one and its macros included.
pub(super) fn crates() -> Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--package", "remote-object", "--edges", "normal", "--prefix", "none", "--no-dedupe"])
        .current_dir(root)
        .output()
        .context("cannot start cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().map(|line| line.split(" (").next().unwrap_or(line));
    Ok(names.collect::<BTreeSet<_>>().len())
}
