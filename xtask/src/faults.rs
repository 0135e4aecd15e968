//! The fault tests played for as long as one likes: `tests/faults` and `tests/cluster` with their servers, and `tests/sim`, which
//! needs none; told by the environment how long.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::command::{Tally, cargo, run_counting, target_dir};
use crate::stack::Lease;
use crate::steps::{SIM, TESTS};

/// How long, with which luck, and what befalls the servers.
#[derive(Args)]
pub(crate) struct Options {
    /// Minutes for all scenarios together
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Rounds of each scenario, in place of minutes; of `sim`, runs
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    rounds: Option<u64>,
    /// The choices of another run; of `sim`, the first seed
    #[arg(long)]
    seed: Option<u64>,
    /// Only these
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
}

/// What befalls a server, or, after `cluster-`, three of them; or, in `sim`, whole clusters in one thread.
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
    /// `kill -9` of any node of three, or of two at once.
    ClusterKill,
    /// SIGSTOP of any node, for less than the others watch and for more.
    ClusterFreeze,
    /// SIGTERM of a node, and of all of them in turn: no call may fail.
    ClusterDrain,
    /// A release with another record format rolled out and back, and out for good.
    ClusterFormats,
    /// Two processes with one name.
    ClusterNames,
    /// Wires between nodes and to the store cut, both ways or one; where this is not root they are not.
    ClusterPartition,
    /// The same with a Cassandra whose nodes have places of their own: wires to it, and within it.
    ClusterSplit,
    /// Wall clocks hours and years apart, and jumping.
    ClusterClocks,
    /// A node of the store stands still, or is killed, and comes back; and a node of ours is killed meanwhile.
    ClusterStore,
    /// Caches killed, flushed, frozen, and filled with old entries, while objects change hands.
    ClusterCaches,
    /// Everything, to simulated clusters.
    Sim,
}

impl Scenario {
    /// The test target it is in, and its module there.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Kill => ("faults", "kill::"),
            Self::Freeze => ("faults", "freeze::"),
            Self::Cut => ("faults", "cut::"),
            Self::Node => ("faults", "node::"),
            Self::Caches => ("faults", "caches::"),
            Self::Clock => ("faults", "clock::"),
            Self::ClusterKill => ("cluster", "kill::"),
            Self::ClusterFreeze => ("cluster", "freeze::"),
            Self::ClusterDrain => ("cluster", "drain::"),
            Self::ClusterFormats => ("cluster", "formats::"),
            Self::ClusterNames => ("cluster", "names::"),
            Self::ClusterPartition => ("cluster", "partition::"),
            Self::ClusterSplit => ("cluster", "split::"),
            Self::ClusterClocks => ("cluster", "clocks::"),
            Self::ClusterStore => ("cluster", "store::"),
            Self::ClusterCaches => ("cluster", "caches::"),
            Self::Sim => ("sim", "whatever_happens"),
        }
    }

    /// How many tests play it, each on a store of its own.
    fn tests(self) -> u64 {
        match self {
            Self::ClusterKill
            | Self::ClusterFreeze
            | Self::ClusterNames
            | Self::ClusterClocks
            | Self::ClusterCaches => 2,
            Self::ClusterDrain => 4,
            _ => 1,
        }
    }
}

/// `cargo xtask faults`.
///
/// # Errors
/// When something does not build, the servers cannot be had, or a promise is broken.
#[allow(clippy::disallowed_methods, reason = "a task tells how long it really took")]
pub(crate) fn play(options: &Options) -> Result<()> {
    let chosen = if options.only.is_empty() { Scenario::value_variants() } else { &options.only };
    let needs_servers = chosen.iter().any(|scenario| *scenario != Scenario::Sim);
    let _servers = needs_servers.then(Lease::take).transpose()?;
    let tests: u64 = chosen.iter().map(|scenario| scenario.tests()).sum();
    let seconds = options.minutes.map(|minutes| minutes * 60 / tests);
    let told = [("FAULTS_SECONDS", seconds), ("FAULTS_ROUNDS", options.rounds), ("FAULTS_SEED", options.seed)];
    let tried = target_dir().join("faults-tried");
    if tried.exists() {
        fs::remove_file(&tried).with_context(|| tried.display().to_string())?;
    }
    let began = Instant::now();
    let mut total = Tally::default();
    for target in ["faults", "cluster", "sim"] {
        let modules: Vec<&str> = chosen
            .iter()
            .map(|scenario| scenario.place())
            .filter(|place| place.0 == target)
            .map(|place| place.1)
            .collect();
        if modules.is_empty() {
            continue;
        }
        let tests = if target == "sim" { SIM.to_owned() } else { format!("{TESTS} --test {target}") };
        let mut command = cargo(&format!("{tests} -- --nocapture --test-threads 1"));
        command.args(modules);
        command.env("REQUIRE_BACKENDS", "1").env("FAULTS_TALLY", &tried);
        command.envs(told.iter().filter_map(|(name, number)| Some((name, number.as_ref()?.to_string()))));
        total.add(run_counting(&mut command)?);
    }
    println!("\nin {:.0} s:", began.elapsed().as_secs_f64());
    print!("{}", summed(&fs::read_to_string(&tried).unwrap_or_default()));
    if total.failed > 0 || total.passed < tests {
        bail!("of {tests} tests {} went well", total.passed);
    }
    Ok(())
}

/// Adds up what the scenarios wrote, lines of `NUMBER WHAT`: a line for each WHAT, what befell the servers last.
fn summed(tried: &str) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for line in tried.lines() {
        let Some((number, what)) = line.split_once(' ') else { continue };
        if !sums.contains_key(what) {
            order.push(what);
        }
        *sums.entry(what).or_default() += number.parse::<u64>().unwrap_or_default();
    }
    order.sort_by_key(|what| what.strip_prefix("fault: "));
    order.iter().map(|what| format!("{:>12} {}\n", with_commas(sums[what]), what)).collect()
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = (at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_scenarios_tried_is_added_up() {
        let tried = "1200 calls\n1 fault: kill\n1999800 calls\n7 reads\n2 fault: cut\n3 fault: kill\n";
        let lines: Vec<String> = summed(tried).lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(lines, ["2,001,000 calls", "7 reads", "2 fault: cut", "4 fault: kill"]);
    }
}
