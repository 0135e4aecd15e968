//! The steps of `test` and `lint`: named, timed, one after the other.
//!
//! Their order follows what they build: everything that only checks comes first and shares its artefacts, then what the
//! tests build, which the crash test uses again, then the fuzz targets, which need a build of their own.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result};

use crate::command::{Tally, cargo, root, run, run_counting};
use crate::stack::{self, Lease};
use crate::{children, compose, deny, fuzz};

/// One named check.
struct Step {
    name: &'static str,
    what: &'static str,
    quick: bool,
    lint: bool,
    /// What `lint` alone looks at.
    only_lint: bool,
    /// Whether the servers of `cargo xtask stack` are up while it runs, unless it has to be quick.
    stack: bool,
    /// Told whether to be quick.
    run: fn(bool) -> Result<Tally>,
}

/// What most steps are.
const STEP: Step =
    Step { name: "", what: "", quick: false, lint: false, only_lint: false, stack: false, run: |_| Ok(Tally::ONE) };

const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the code is formatted", quick: true, lint: true, run: fmt, ..STEP },
    Step { name: "clippy", what: "no warnings, in all targets", quick: true, lint: true, run: clippy, ..STEP },
    Step { name: "features", what: "no warnings with the default features, with none", run: features, ..STEP },
    Step { name: "alone", what: "each feature alone: no warnings", lint: true, only_lint: true, run: alone, ..STEP },
    Step { name: "docs", what: "the documentation builds without warnings", run: docs, ..STEP },
    Step { name: "tidy", what: "the house rules hold", quick: true, lint: true, run: tidy, ..STEP },
    Step { name: "tests", what: "unit, integration and doc tests", quick: true, stack: true, run: tests, ..STEP },
    Step { name: "sim", what: "thousands of simulated clusters hold", run: sim, ..STEP },
    Step { name: "crash", what: "kill -9 loses nothing", quick: true, run: crash, ..STEP },
    Step { name: "fuzz", what: "the decoders take any bytes", run: fuzz_minute, ..STEP },
    Step { name: "docker", what: "images and versions of docker/", quick: true, lint: true, run: docker, ..STEP },
    Step { name: "deny", what: "dependencies: bans, licences, sources", lint: true, run: deny_check, ..STEP },
];

/// What the tests build; the same words everywhere, so that it is built once.
pub(crate) const TESTS: &str = "test --workspace --all-features";

/// The simulation: optimised, and with as little of the library as it needs. It has the checks of debug builds.
pub(crate) const SIM: &str = "test --package test-simulator --profile sim --test sim";

/// `cargo xtask test`.
pub(crate) fn test(quick: bool, only: &[String]) -> ExitCode {
    if let Some(unknown) = only.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        eprintln!("error: there is no step {unknown:?}; the steps are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let chosen = |step: &&Step| {
        if only.is_empty() {
            (step.quick || !quick) && !step.only_lint
        } else {
            only.iter().any(|name| name == step.name)
        }
    };
    perform(STEPS.iter().filter(chosen), quick)
}

/// `cargo xtask lint`.
pub(crate) fn lint() -> ExitCode {
    perform(STEPS.iter().filter(|step| step.lint), false)
}

#[allow(clippy::disallowed_methods, reason = "a task tells how long its steps really took")]
fn perform<'a>(steps: impl Iterator<Item = &'a Step>, quick: bool) -> ExitCode {
    let began = Instant::now();
    let mut total = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut lease = None;
    for step in steps {
        println!("\n=== {}: {}", step.name, step.what);
        let step_began = Instant::now();
        // Steps that stand together share the servers; a step that needs none has the machine to itself.
        let outcome = lend(&mut lease, step.stack && !quick).and_then(|()| (step.run)(quick));
        times.push((step.name, step_began.elapsed()));
        match outcome {
            Ok(tally) => total.add(tally),
            Err(error) => {
                println!("error: {error:#}");
                total.failed += 1;
            }
        }
        if total.failed > 0 {
            println!("=== step `{0}` failed; alone: cargo xtask test --only {0}", step.name);
            break;
        }
        println!("=== {}: ok, {:.1} s", step.name, step_began.elapsed().as_secs_f64());
    }
    drop(lease);
    let list: Vec<String> = times.iter().map(|(name, took)| format!("{name} {:.0} s", took.as_secs_f64())).collect();
    println!("\n{}; together {:.0} s", list.join(", "), began.elapsed().as_secs_f64());
    // CI reads the closing line: it stands alone and last.
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lend(lease: &mut Option<Lease>, wanted: bool) -> Result<()> {
    if !wanted {
        *lease = None;
    } else if lease.is_none() {
        *lease = Some(Lease::take()?);
    }
    Ok(())
}

fn fmt(_quick: bool) -> Result<Tally> {
    run(&mut cargo("fmt --all --check"))?;
    run(&mut cargo("fmt --manifest-path fuzz/Cargo.toml --check"))?;
    Ok(Tally::ONE)
}

fn clippy(_quick: bool) -> Result<Tally> {
    run(&mut cargo("clippy --workspace --all-targets --all-features -- -D warnings"))?;
    // No target that is not built by default is among all of them.
    run(&mut cargo("clippy --package test-simulator --test sim -- -D warnings"))?;
    Ok(Tally::ONE)
}

fn features(_quick: bool) -> Result<Tally> {
    linted_alone(["", "default"])
}

/// What CI has no time for: most crates are built once more for each.
fn alone(_quick: bool) -> Result<Tally> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).context("Cargo.toml")?;
    linted_alone(feature_names(&manifest))
}

fn linted_alone<'a>(features: impl IntoIterator<Item = &'a str>) -> Result<Tally> {
    let mut tally = Tally::default();
    for feature in features {
        let args = format!("clippy --package remote-object --no-default-features --features={feature} -- -D warnings");
        run(&mut cargo(&args))?;
        tally.add(Tally::ONE);
    }
    Ok(tally)
}

/// The names under `[features]`, without `default`.
fn feature_names(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.trim()))
        .filter(|name| *name != "default")
        .collect()
}

fn docs(_quick: bool) -> Result<Tally> {
    run(cargo("doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Tally::ONE)
}

fn tidy(_quick: bool) -> Result<Tally> {
    run_counting(&mut cargo(&format!("{TESTS} --test tidy")))
}

fn tests(quick: bool) -> Result<Tally> {
    let mut command = cargo(&format!("{TESTS} --no-fail-fast"));
    // They wait for servers and for faults to pass more than they compute.
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        command.env("RUST_TEST_THREADS", (2 * processors).to_string());
    }
    // Where servers can be had, a test that finds none has failed.
    if stack::required() && !quick {
        command.env("REQUIRE_BACKENDS", "1");
    }
    run_counting(&mut command)
}

fn sim(_quick: bool) -> Result<Tally> {
    run_counting(&mut cargo(SIM))
}

fn crash(quick: bool) -> Result<Tally> {
    children::crash_of_tests(if quick { 10 } else { 200 })?;
    Ok(Tally::ONE)
}

fn fuzz_minute(_quick: bool) -> Result<Tally> {
    fuzz::run(60, &[])?;
    Ok(Tally::ONE)
}

fn docker(_quick: bool) -> Result<Tally> {
    compose::check()
}

fn deny_check(_quick: bool) -> Result<Tally> {
    deny::check()?;
    Ok(Tally::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_but_default_is_found() {
        let manifest = "[package]\nname = \"a\"\n\n[features]\ndefault = [\"b\"]\n# about b\nb = []\nc-d = [\n  \"b\",\n]\n\n[dependencies]\ne = \"1\"\n";
        assert_eq!(feature_names(manifest), ["b", "c-d"]);
    }
}
