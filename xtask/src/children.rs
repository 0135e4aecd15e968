//! The benchmark and the crash test: programs of their own in `benches/`, built here and run as children.

use anyhow::Result;

use crate::command::{cargo, program, run, target_dir};
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

/// The benchmark, on what `cargo build --release` makes. `--stack` among the arguments: that on Cassandra and memcached.
///
/// # Errors
/// When something does not build, or a contender cannot be measured.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let (stack, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--stack");
    let (task, features) = if stack.is_empty() { ("bench", "") } else { ("stack", " --features stack") };
    let release = target_dir().join("release");
    run(&mut cargo(&format!("build --release --package remote-object --bin objectd{features}")))?;
    run(&mut cargo("build --release --package load --package bench-peers"))?;
    run(program(release.join("load")).arg(task).arg("--programs").arg(&release).args(args))
}
