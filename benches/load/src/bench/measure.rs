//! The workloads, and the rounds that interleave the contenders.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::contender::{Contender, Running};
use super::report::Results;
use super::{Plan, Subject, machine};
use crate::counters::{CONNECTIONS, KEYS, add, adds, gets};
use crate::generator;
use crate::report::Cell;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Workload {
    /// Adds on many keys.
    W1,
    /// Adds on one key.
    W2,
    /// GETs of many keys.
    W3,
    /// Adds on many keys, over one connection.
    W4,
}

impl Workload {
    /// In order.
    pub(super) const ALL: [Self; 4] = [Self::W1, Self::W2, Self::W3, Self::W4];

    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1: add on 10,000 keys",
            Self::W2 => "W2: add on one key",
            Self::W3 => "W3: GET of 10,000 keys",
            Self::W4 => "W4: add on one connection",
        }
    }

    /// By which `--only` names it.
    pub(super) fn subject(self) -> Subject {
        match self {
            Self::W1 => Subject::W1,
            Self::W2 => Subject::W2,
            Self::W3 => Subject::W3,
            Self::W4 => Subject::W4,
        }
    }

    fn connections(self) -> usize {
        if self == Self::W4 { 1 } else { CONNECTIONS }
    }

    fn requests(self) -> Vec<Box<[u8]>> {
        match self {
            Self::W1 | Self::W4 => adds(KEYS),
            Self::W2 => vec![add("hot")],
            Self::W3 => gets(KEYS),
        }
    }
}

/// Measures all workloads on all contenders, in rounds.
pub(super) fn rounds(
    plan: &Plan,
    workloads: &[Workload],
    contenders: &[Contender],
    results: &mut Results,
) -> Result<()> {
    let mut running = Vec::new();
    for contender in contenders {
        println!("starting {}", contender.name());
        let started = contender.start(plan).with_context(|| contender.name())?;
        generator::run(started.front.address, &adds(KEYS), CONNECTIONS, generator::Plan::EachOnce)
            .with_context(|| contender.name())?;
        running.push(started);
    }
    let requests: Vec<Vec<Box<[u8]>>> = workloads.iter().map(|workload| workload.requests()).collect();
    for round in 0..=plan.rounds {
        for (workload, requests) in workloads.iter().zip(&requests) {
            let before = if *workload == Workload::W4 { Some(machine::fdatasync(&plan.data)?) } else { None };
            // Whoever comes first finds another machine than whoever comes last; so each comes first once.
            for turn in 0..running.len() {
                let one = &running[(turn + round) % running.len()];
                let cell = measure(plan, *workload, requests, one)?;
                if round > 0 {
                    results.cells.entry((*workload, one.contender)).or_default().push(cell);
                }
            }
            if let Some(before) = before {
                let sync = f64::midpoint(before, machine::fdatasync(&plan.data)?);
                println!("  an fdatasync here, before and after: {sync:.0} µs");
                if round > 0 {
                    results.syncs.push(sync);
                }
            }
        }
        println!("round {round} of {}{}", plan.rounds, if round == 0 { " (warm-up)" } else { "" });
    }
    for one in &running {
        results.peaks.push((one.contender, one.resident_peak()?));
    }
    Ok(())
}

fn measure(plan: &Plan, workload: Workload, requests: &[Box<[u8]>], one: &Running) -> Result<Cell> {
    thread::sleep(Duration::from_millis(100));
    let sample =
        generator::run(one.front.address, requests, workload.connections(), generator::Plan::Random(plan.time))
            .with_context(|| format!("{} on {}", workload.name(), one.contender.name()))?;
    let cell = sample.cell();
    println!("  {:<26} {:<20} {cell}", workload.name(), one.contender.name());
    Ok(cell)
}
