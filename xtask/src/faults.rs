//! The fault test played for as long as one likes: `tests/faults` with its servers, told by the environment how long.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::command::{cargo, run_counting};
use crate::stack::Lease;
use crate::steps::TESTS;

/// How long, with which luck, and what befalls the server.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes for all scenarios together
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Rounds of each scenario, in place of minutes
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    rounds: Option<u64>,
    /// The choices of another run
    #[arg(long)]
    seed: Option<u64>,
    /// Only these
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
}

/// What befalls the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Scenario {
    /// `kill -9` at random moments.
    Kill,
    /// SIGSTOP beyond every timeout, while another node takes over.
    Freeze,
    /// The store cut off, and back.
    Cut,
    /// A node of the store stands still, or is killed, and comes back.
    Node,
    /// Caches killed, flushed, frozen, and filled with old entries.
    Caches,
    /// A wall clock that is off by years.
    Clock,
}

impl Scenario {
    /// The module of its test.
    fn module(self) -> &'static str {
        match self {
            Self::Kill => "kill::",
            Self::Freeze => "freeze::",
            Self::Cut => "cut::",
            Self::Node => "node::",
            Self::Caches => "caches::",
            Self::Clock => "clock::",
        }
    }
}

/// `cargo xtask faults`.
///
/// # Errors
/// When something does not build, the servers cannot be had, or a promise is broken.
pub(crate) fn play(options: &Options) -> Result<()> {
    let chosen = if options.only.is_empty() { Scenario::value_variants() } else { &options.only };
    let _servers = Lease::take()?;
    let mut command = cargo(&format!("{TESTS} --test faults -- --nocapture --test-threads 1"));
    command.args(chosen.iter().map(|scenario| scenario.module()));
    command.env("REQUIRE_BACKENDS", "1");
    let seconds = options.minutes.map(|minutes| minutes * 60 / chosen.len() as u64);
    let told = [("FAULTS_SECONDS", seconds), ("FAULTS_ROUNDS", options.rounds), ("FAULTS_SEED", options.seed)];
    command.envs(told.iter().filter_map(|(name, number)| Some((name, number.as_ref()?.to_string()))));
    let played = run_counting(&mut command)?;
    if played.failed > 0 || played.passed < chosen.len() as u64 {
        bail!("of {} scenarios {} went well", chosen.len(), played.passed);
    }
    Ok(())
}
