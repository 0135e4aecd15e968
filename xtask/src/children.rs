//! The benchmark and the crash test: programs of their own in `benches/`, built here and run as children.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{cargo, program, run, target_dir};
use crate::stack::{Kind, Lease};
use crate::steps::TESTS;

/// The crash test as a demonstration, on what `cargo build` makes.
///
/// # Errors
/// When something does not build, or the test finds a violation.
pub(crate) fn crash(args: &[String]) -> Result<()> {
    run(&mut cargo("build --package remote-object --bin objectd"))?;
    run(&mut cargo("build --package load"))?;
    crash_with(args)
}

/// The crash test as a step of `test`, on what the tests have built already.
///
/// # Errors
/// As [`crash`].
pub(crate) fn crash_of_tests(rounds: u32) -> Result<()> {
    run(&mut cargo(&format!("{TESTS} --no-run --quiet")))?;
    crash_with(&["--rounds".into(), rounds.to_string()])
}

fn crash_with(args: &[String]) -> Result<()> {
    let debug = target_dir().join("debug");
    run(program(debug.join("load")).arg("crash").arg("--objectd").arg(debug.join("objectd")).args(args))
}

/// The benchmark, on what `cargo build --release` makes. `--stack` among the arguments: the one on Cassandra and memcached;
/// `--cluster`: the one of many nodes.
///
/// # Errors
/// When something does not build, or a contender cannot be measured.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let (which, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| ["--stack", "--cluster"].contains(&arg.as_str()));
    match which.iter().map(|arg| arg.as_str()).collect::<Vec<_>>()[..] {
        [] => {
            build_bench("")?;
            run(bench_program("bench").args(args))
        }
        ["--cluster"] => {
            build_bench(STACK)?;
            run(bench_program("cluster").args(args))
        }
        ["--stack"] => bench_stack(&args),
        _ => bail!("--stack and --cluster are two benchmarks: one of them, once"),
    }
}

fn bench_stack(args: &[&String]) -> Result<()> {
    build_bench(STACK)?;
    let for_help = args.iter().any(|arg| *arg == "--help" || *arg == "-h");
    // What the variables of `tests/stack` name runs already.
    let named = |variable: &str| env::var_os(variable).is_some_and(|named| !named.is_empty());
    let mut kinds = vec![("TEST_CASSANDRA", Kind::Cassandra), ("TEST_MEMCACHED", Kind::Memcached)];
    kinds.retain(|(variable, _)| !for_help && !named(variable));
    let _lease = Lease::need(kinds.into_iter().map(|(_, kind)| kind))?;
    run(bench_program("stack").args(args))
}

/// The features of the server that is shipped.
const STACK: &str = " --features stack";

fn build_bench(features: &str) -> Result<()> {
    run(&mut cargo(&format!("build --release --package remote-object --bin objectd{features}")))?;
    run(&mut cargo("build --release --package load --package bench-peers"))
}

fn bench_program(task: &str) -> Command {
    let release = target_dir().join("release");
    let mut command = program(release.join("load"));
    command.arg(task).arg("--programs").arg(release);
    command
}
