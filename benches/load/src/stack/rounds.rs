//! Starting everybody, and the rounds.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Plan;
use super::asked::Asked;
use super::cases::{Case, Who};
use super::node::{KEYSPACE, Load, Node};
use crate::report::Cell;

/// Everything that was measured; what was not asked for is empty.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// One cell a round.
    pub(super) cells: BTreeMap<Case, Vec<Cell>>,
    /// Reads of the object table, by the servers' own count, while objects were read that were in memcached; one a round.
    pub(super) table_reads: Vec<f64>,
    /// What Cassandra is.
    pub(super) server: String,
}

/// Who takes part. They end in the order of the fields: who drops the keyspaces comes last.
struct Parts {
    warm: Option<Node>,
    cold: Option<Node>,
    cache_clients: Option<Asked>,
    driver: Asked,
}

/// Starts them, measures, and ends them.
pub(super) fn run(plan: &Plan) -> Result<Results> {
    let mut parts = start(plan)?;
    let mut results = Results { server: parts.driver.about.clone(), ..Results::default() };
    println!("{}", results.server);
    for round in 0..=plan.rounds {
        // Whoever comes first finds another machine than whoever comes last.
        let mut cases = plan.cases.clone();
        if round % 2 == 1 {
            cases.reverse();
        }
        for case in cases {
            thread::sleep(Duration::from_millis(200));
            let (cell, reads) = measure(plan, &mut parts, case).with_context(|| case.name())?;
            let seen = reads.map_or(String::new(), |reads| format!("   {reads} reads of the object table"));
            println!("  {:<34} {:<9} {cell}{seen}", case.name(), case.who().name());
            if round > 0 {
                results.cells.entry(case).or_default().push(cell);
                results.table_reads.extend(reads);
            }
        }
        println!("round {round} of {}{}", plan.rounds, if round == 0 { " (warm-up)" } else { "" });
    }
    Ok(results)
}

fn start(plan: &Plan) -> Result<Parts> {
    let wants = |who: fn(Who) -> bool| plan.cases.iter().any(|case| who(case.who()));
    let keyspaces = format!("bench_raw,{KEYSPACE}");
    println!("starting the driver alone");
    let program = plan.programs.join("raw-cassandra");
    let driver = Asked::start(&program, &[&plan.cassandra, &keyspaces], plan.data.join("driver-log"))?;
    let cache_clients = if wants(|who| matches!(who, Who::CacheClient(_))) {
        println!("starting the clients of memcached");
        let program = plan.programs.join("memcached-clients");
        let first = plan.memcached.split(',').next().unwrap_or_default();
        Some(Asked::start(&program, &[first], plan.data.join("cache-clients-log"))?)
    } else {
        None
    };
    let node = |l1: bool| {
        println!("starting objectd, {}", if l1 { "which keeps its objects in memory" } else { "without L1" });
        Node::start(plan, l1)
    };
    let warm = wants(|who| who == Who::Objectd { l1: true }).then(|| node(true)).transpose()?;
    let cold = wants(|who| who == Who::Objectd { l1: false }).then(|| node(false)).transpose()?;
    Ok(Parts { warm, cold, cache_clients, driver })
}

/// A cell, and where it is counted, the reads of the object table.
fn measure(plan: &Plan, parts: &mut Parts, case: Case) -> Result<(Cell, Option<f64>)> {
    const STARTED: &str = "it was started, since the case is wanted";
    match case.who() {
        Who::Driver(name) => Ok((parts.driver.measure(name, plan.time)?, None)),
        Who::CacheClient(name) => Ok((parts.cache_clients.as_mut().context(STARTED)?.measure(name, plan.time)?, None)),
        Who::Objectd { l1: true } => {
            let load = match case {
                Case::EditMany => Load::EditMany,
                Case::EditOne => Load::EditOne,
                _ => Load::GetMany,
            };
            Ok((parts.warm.as_ref().context(STARTED)?.run(load, plan.time)?.cell(), None))
        }
        Who::Objectd { l1: false } => {
            let node = parts.cold.as_ref().context(STARTED)?;
            let question = format!("reads {}", node.table);
            let (before, hits): (f64, f64) = (parts.driver.ask(&question)?.parse()?, node.shared_hits()?);
            let cell = node.run(Load::GetMany, plan.time)?.cell();
            let hits = node.shared_hits()? - hits;
            if hits == 0.0 {
                bail!("nothing came from memcached");
            }
            let after: f64 = parts.driver.ask(&question)?.parse()?;
            Ok((cell, Some(after - before)))
        }
    }
}
