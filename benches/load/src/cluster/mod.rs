//! The benchmark of many nodes: several objectd on one Redis, killed, drained, and asked for what others have.
//!
//! The store is a Redis of its own that keeps nothing on disk. It answers in microseconds, so that what nodes do among
//! themselves weighs as much as it can; whoever waits for a disk or a quorum will see less of it. Everything is on loopback,
//! every process is ended by who started it.

mod callers;
mod calls;
mod drain;
mod failover;
mod forward;
mod nodes;
mod objects;
mod report;
mod takes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::redis::{self, Kept};

/// What to measure, and for how long.
#[derive(Args, Debug)]
#[command(bin_name = "cargo xtask bench --cluster")]
pub(crate) struct Options {
    /// Seconds of one measurement of rates, and of what is noted before a node goes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds of everything but kills; one more of the rates comes before them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How often a node of three is killed
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// One second, two rounds, two kills, and docs/performance.md left as it is
    #[arg(long)]
    quick: bool,
    /// Only this (may be given more than once)
    #[arg(long, value_enum)]
    only: Vec<Subject>,
    /// Another objectd than the one just built
    #[arg(long, value_name = "PATH")]
    objectd: Option<PathBuf>,
    /// Where the built programs are
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
}

/// One thing that can be measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Subject {
    /// Edits and GETs sent to the node that has the object, and to one that sends them on
    Forward,
    /// All shards of a node, killed or drained, taken by another one
    Takes,
    /// A node of two drained under load: how long each shard is without an answer
    Drain,
    /// A node of three killed under light load: how long its shards are without an answer, and what the others' callers notice
    Failover,
}

/// Where things are and how long they take.
#[derive(Debug)]
struct Plan {
    objectd: PathBuf,
    data: PathBuf,
    time: Duration,
    rounds: usize,
    kills: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// When Redis is missing, a node cannot be started, or something does not answer as it should.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = plan(options)?;
    if !redis::is_there() {
        bail!("it takes a redis-server (Debian: apt-get install redis-server)");
    }
    let redis = redis::start(&plan.data, Kept::InMemory)?;
    let wants = |subject| options.only.is_empty() || options.only.contains(&subject);
    let mut results = report::Results::default();
    if wants(Subject::Forward) {
        results.forward = forward::measure(&plan, redis.address)?;
    }
    if wants(Subject::Takes) {
        results.takes = takes::measure(&plan, redis.address)?;
    }
    if wants(Subject::Drain) {
        results.drains = drain::measure(&plan, redis.address)?;
    }
    if wants(Subject::Failover) {
        results.kills = failover::measure(&plan, redis.address)?;
    }
    let text = report::text(&results);
    println!("\n{text}");
    if options.quick || !options.only.is_empty() {
        println!("docs/performance.md is left as it is: only a full run writes it");
    } else {
        report::SECTION.write(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(options: &Options) -> Result<Plan> {
    let here = env::current_exe()?;
    let programs = match &options.programs {
        Some(programs) => programs.clone(),
        None => here.parent().context("this program lies in no folder")?.to_owned(),
    };
    let data = programs.join("bench-cluster-data");
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data)?;
    let Options { seconds, rounds, kills, .. } = *options;
    let (seconds, rounds, kills) = if options.quick { (1.0, 2, 2) } else { (seconds, rounds, kills) };
    Ok(Plan {
        objectd: options.objectd.clone().unwrap_or_else(|| programs.join("objectd")),
        data,
        time: Duration::from_secs_f64(seconds.clamp(0.1, 60.0)),
        rounds: rounds.clamp(1, 50),
        kills: kills.clamp(1, 200),
    })
}
