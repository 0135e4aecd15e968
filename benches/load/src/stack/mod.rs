//! The benchmark on the stack: objectd on three Cassandra nodes and three memcached, beside what the driver does alone.
//!
//! As in the embedded benchmark each round measures everything one right after the other, and what counts is the median
//! of the ratios within a round. A JVM that has just started takes minutes to become fast: the first round is thrown
//! away. The servers run already: `cargo xtask bench --stack` sees to it.

mod asked;
mod cases;
mod node;
mod report;
mod rounds;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result};
use clap::Args;

use cases::Case;

/// What to measure, and for how long.
#[derive(Args, Debug)]
#[command(bin_name = "cargo xtask bench --stack")]
pub(crate) struct Options {
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds that count; one more comes before them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One second, two rounds, and docs/performance.md left as it is
    #[arg(long)]
    quick: bool,
    /// Only this (may be given more than once)
    #[arg(long, value_enum)]
    only: Vec<Case>,
    /// Another objectd than the one just built
    #[arg(long, value_name = "PATH")]
    objectd: Option<PathBuf>,
    /// Where the built programs are
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,
}

/// Where things are and how long they take.
#[derive(Debug)]
struct Plan {
    programs: PathBuf,
    objectd: PathBuf,
    data: PathBuf,
    /// Hosts and ports, with commas between them, as in a URL.
    cassandra: String,
    memcached: String,
    time: Duration,
    rounds: usize,
    cases: Vec<Case>,
}

/// Runs the benchmark.
///
/// # Errors
/// When a server is missing, or something does not answer as it should.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = plan(options)?;
    let results = rounds::run(&plan)?;
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
    let data = programs.join("bench-stack-data");
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data)?;
    let missing = "it takes three Cassandra nodes and three memcached: `cargo xtask stack up` starts them";
    let (seconds, rounds) = if options.quick { (1.0, 2) } else { (options.seconds, options.rounds) };
    let wants = |case: &Case| options.only.is_empty() || options.only.contains(case);
    Ok(Plan {
        objectd: options.objectd.clone().unwrap_or_else(|| programs.join("objectd")),
        programs,
        data,
        cassandra: test_stack::cassandra().context(missing)?,
        memcached: test_stack::memcached().context(missing)?.join(","),
        time: Duration::from_secs_f64(seconds.clamp(0.1, 60.0)),
        rounds: rounds.clamp(1, 50),
        cases: Case::ALL.into_iter().filter(wants).collect(),
    })
}
