//! The benchmark: every contender started fresh, measured side by side in rounds, compared within a round.
//!
//! A machine is never the same for two minutes, so a number alone says little: each round measures all contenders one
//! right after the other, and what counts is the median of the ratios within a round. The first round is thrown away.

mod contender;
mod machine;
mod measure;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use contender::Contender;
use measure::Workload;

use crate::redis;

/// What to measure, and for how long.
#[derive(Args, Debug)]
#[command(
    after_help = "With --stack: on Cassandra and memcached, beside the driver alone. With --cluster: several nodes on one Redis,\n\
                  calls that are sent on, nodes that are killed and drained. Each lists its options with --help"
)]
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
    only: Vec<Subject>,
    /// Only this contender (may be given more than once)
    #[arg(long, value_enum)]
    contender: Vec<Contender>,
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
    /// Adds on 10,000 keys, 64 connections
    W1,
    /// Adds on one key, 64 connections
    W2,
    /// GETs of 10,000 keys, 64 connections
    W3,
    /// Adds on one connection
    W4,
    /// Memory with 100,000 objects at rest
    Rest,
    /// From the start of the process to its first answer
    Start,
    /// Crates in the default build
    Crates,
}

/// Where things are and how long they take.
#[derive(Debug)]
struct Plan {
    programs: PathBuf,
    objectd: PathBuf,
    /// Data of the contenders: on the disk the build is on, not on a `/tmp` that may be memory.
    data: PathBuf,
    time: Duration,
    rounds: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// When a contender cannot be started or does not answer as it should.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = plan(options)?;
    let wants = |subject| options.only.is_empty() || options.only.contains(&subject);
    let workloads: Vec<Workload> = Workload::ALL.into_iter().filter(|workload| wants(workload.subject())).collect();
    let mut contenders: Vec<Contender> = Contender::ALL.to_vec();
    contenders.retain(|contender| options.contender.is_empty() || options.contender.contains(contender));
    if contenders.contains(&Contender::Redis) && !workloads.is_empty() && !redis::is_there() {
        println!("axum + Redis is left out: there is no redis-server here (Debian: apt-get install redis-server)");
        contenders.retain(|contender| *contender != Contender::Redis);
    }
    let mut results = report::Results::default();
    if wants(Subject::Crates) {
        results.crates = Some(machine::crates()?);
    }
    for contender in contenders.iter().filter(|contender| contender.is_objectd()) {
        if wants(Subject::Start) {
            results.starts.push((*contender, machine::start(*contender, &plan)?));
        }
        if wants(Subject::Rest) {
            results.rests.push((*contender, machine::rest(*contender, &plan)?));
        }
    }
    if !workloads.is_empty() && !contenders.is_empty() {
        measure::rounds(&plan, &workloads, &contenders, &mut results)?;
    }
    let text = report::text(&results);
    println!("\n{text}");
    if options.quick || !options.only.is_empty() || !options.contender.is_empty() {
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
    let data = programs.join("bench-data");
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data)?;
    let (seconds, rounds) = if options.quick { (1.0, 2) } else { (options.seconds, options.rounds) };
    Ok(Plan {
        objectd: options.objectd.clone().unwrap_or_else(|| programs.join("objectd")),
        programs,
        data,
        time: Duration::from_secs_f64(seconds.clamp(0.1, 60.0)),
        rounds: rounds.clamp(1, 50),
    })
}
