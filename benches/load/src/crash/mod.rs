//! The crash test: `kill -9` at random moments under load, again and again, and after each the books are checked.
//!
//! What is promised: an acknowledged write is there exactly once; one whose answer never came is there once or not at
//! all; one with an `Idempotency-Key` can be asked again and then is there once; no `ETag` names two states; and the
//! file says what GET says. `kill -9` takes the process, not the machine: what only a loss of power could lose is not
//! shown here.

mod audit;
mod ledger;
mod random;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use anyhow::{Context, Result};
use clap::Args;

use crate::process::{Server, free_address};
use crate::report::thousands;
use audit::Auditor;
use ledger::{Books, Counts};
use random::Random;

/// Connections; each owns its counters. At most 32: each has a bit of the shared counters.
const CONNECTIONS: usize = 32;

/// How long, and with which luck.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How often the server is killed under load [default: 60, or as often as --seconds allow]
    #[arg(long)]
    rounds: Option<u32>,
    /// Stop after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The choices of another run: which calls, and how long until each kill
    #[arg(long)]
    seed: Option<u64>,
    /// The server
    #[arg(long, value_name = "PATH", overrides_with = "objectd")]
    objectd: Option<PathBuf>,
}

/// Runs the crash test.
///
/// # Errors
/// When the server cannot be started, or its file cannot be read. A broken promise is no error: it is told, and the
/// exit code is 1.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let here = env::current_exe()?;
    let programs = here.parent().context("this program lies in no folder")?;
    let objectd = options.objectd.clone().unwrap_or_else(|| programs.join("objectd"));
    // Two runs may share the build, so each has a folder of its own.
    let dir = programs.join(format!("crash-data-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let seed = options.seed.unwrap_or_else(seed_of_now);
    let rounds = options.rounds.unwrap_or(if options.seconds.is_some() { u32::MAX } else { 60 });
    println!("seed {seed}, {CONNECTIONS} connections, {}", objectd.display());
    let mut test = Test {
        objectd,
        log: dir.join("log"),
        auditor: Auditor::new(dir.join("objectd.db")),
        dir,
        random: Random::new(seed),
        books: Books::new(CONNECTIONS, seed),
        starts: Vec::new(),
        kills: 0,
    };
    let limit = options.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let violations = test.rounds(rounds, limit)?;
    test.report();
    if violations.is_empty() {
        fs::remove_dir_all(&test.dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("\n{} broken promises:", violations.len());
    violations.iter().take(20).for_each(|violation| println!("  {violation}"));
    println!("the same choices again: --seed {seed}; the file and the server's log are in {}", test.dir.display());
    Ok(ExitCode::FAILURE)
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64)
}

/// A run.
struct Test {
    objectd: PathBuf,
    dir: PathBuf,
    log: PathBuf,
    auditor: Auditor,
    random: Random,
    books: Books,
    /// Start to first answer, in milliseconds.
    starts: Vec<f64>,
    kills: u32,
}

impl Test {
    /// All rounds, or those up to the first violation.
    fn rounds(&mut self, rounds: u32, limit: Option<Instant>) -> Result<Vec<String>> {
        let mut violations = Vec::new();
        let mut server = self.start()?;
        for round in 1..=rounds {
            self.books.begin_round(&mut self.random);
            violations.extend(self.load_and_kill(&mut server)?);
            if self.random.one_in(6) {
                self.kill_while_starting()?;
            }
            server = self.start()?;
            violations.extend(self.auditor.settle(&mut self.books, server.address)?);
            if !violations.is_empty() {
                return Ok(violations);
            }
            if round % 10 == 0 || round == rounds {
                println!("round {round}: {} acknowledged, all found", thousands(self.books.counts.acknowledged));
            }
            if limit.is_some_and(|limit| Instant::now() > limit) {
                break;
            }
        }
        violations.extend(self.auditor.all(&self.books, server.address)?);
        Ok(violations)
    }

    fn start(&mut self) -> Result<Server> {
        let began = Instant::now();
        let mut server = launch(&self.objectd, &self.dir, &self.log)?;
        server.wait_for_answer("/objects/counter/shared-0")?;
        self.starts.push(began.elapsed().as_secs_f64() * 1e3);
        Ok(server)
    }

    /// Recovery must survive its own death too.
    fn kill_while_starting(&mut self) -> Result<()> {
        let mut server = launch(&self.objectd, &self.dir, &self.log)?;
        thread::sleep(Duration::from_millis(self.random.below(40)));
        server.kill()?;
        self.kills += 1;
        Ok(())
    }

    fn load_and_kill(&mut self, server: &mut Server) -> Result<Vec<String>> {
        let time = Duration::from_millis(100 + self.random.below(700));
        let address = server.address;
        let Books { tills, shared, counts } = &mut self.books;
        let (early_end, outcomes) = thread::scope(|scope| {
            let shared = &*shared;
            let workers: Vec<_> =
                tills.iter_mut().map(|till| scope.spawn(move || worker::run(address, till, shared))).collect();
            thread::sleep(time);
            let early_end = !server.is_running().unwrap_or(false);
            let killed = server.kill();
            let outcomes: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            killed.map(|()| (early_end, outcomes))
        })?;
        self.kills += 1;
        let mut violations = Vec::new();
        if early_end {
            violations.push(format!("the server ended by itself; it printed:\n{}", server.printed()));
        }
        for outcome in outcomes {
            let Ok((round, wrong)) = outcome else { anyhow::bail!("a connection's thread panicked") };
            counts.add(round);
            violations.extend(wrong);
        }
        Ok(violations)
    }

    fn report(&mut self) {
        let Counts { acknowledged, lost, unknown, unknown_found, retried, reads } = self.books.counts;
        self.starts.sort_by(f64::total_cmp);
        let start = |part: f64| self.starts[((self.starts.len() - 1) as f64 * part) as usize];
        println!("\n{} times killed", thousands(u64::from(self.kills)));
        println!("acknowledged {} · found {}", thousands(acknowledged), thousands(acknowledged.saturating_sub(lost)));
        println!(
            "unanswered {}, of which {} had taken effect; {} calls asked again by their key; {} reads",
            thousands(unknown),
            thousands(unknown_found),
            thousands(retried),
            thousands(reads)
        );
        println!("start to first answer: median {:.0} ms, longest {:.0} ms", start(0.5), start(1.0));
    }
}

fn launch(objectd: &Path, dir: &Path, log: &Path) -> Result<Server> {
    let address = free_address()?;
    let store = format!("sqlite:{}", dir.join("objectd.db").display());
    let args = ["--listen".to_owned(), address.to_string(), "--store".to_owned(), store];
    Server::start(objectd, &args, address, log.to_owned())
}
