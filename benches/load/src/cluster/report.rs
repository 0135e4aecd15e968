//! What came out, beside what was promised.

use std::time::Duration;

use super::calls::quantile;
use super::drain::Drains;
use super::failover::Kills;
use super::forward::{Case, Cells};
use super::objects::SHARDS;
use super::takes::Takes;
use crate::report::{Cell, Promise, Section, Table, median, thousands};

/// Its part of `docs/performance.md`.
pub(super) const SECTION: Section = Section { command: "cargo xtask bench --cluster" };

/// Everything that was measured; what was not asked for is empty.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) forward: Cells,
    pub(super) takes: Takes,
    pub(super) drains: Drains,
    pub(super) kills: Kills,
}

impl Results {
    fn median(&self, case: Case, what: fn(&Cell) -> f64) -> f64 {
        median(self.forward.get(&case).into_iter().flatten().map(what).collect())
    }

    /// The median of the ratios of rates within a round.
    fn ratio(&self, of: Case, to: Case) -> Option<f64> {
        let (of, to) = (self.forward.get(&of)?, self.forward.get(&to)?);
        Some(median(of.iter().zip(to).map(|(of, to)| of.rate / to.rate).collect()))
    }

    /// The p99 of the others' calls while a killed node's shards were without answers, to that of before.
    fn others(&self) -> Option<f64> {
        let Kills { before, meanwhile, .. } = &self.kills;
        (!before.is_empty()).then(|| quantile(meanwhile, 0.99) / quantile(before, 0.99))
    }
}

/// A quantile in milliseconds, of what was measured.
fn of(times: &[Duration], at: f64) -> Option<f64> {
    (!times.is_empty()).then(|| quantile(times, at))
}

fn promises(results: &Results) -> Vec<Promise> {
    let Results { takes, drains, kills, .. } = results;
    let mut all = Vec::new();
    for (of, to, must) in
        [(Case::ForwardedEdit, Case::LocalEdit, Some(0.5)), (Case::ForwardedGet, Case::LocalGet, None)]
    {
        let what =
            if must.is_some() { "forwarded edits, rate to local ones" } else { "forwarded GETs, rate to local ones" };
        let value = results.ratio(of, to);
        all.push(Promise { what: what.to_owned(), value, must, aim: None, at_least: true, unit: "×" });
    }
    let mut at_most = |what: String, value, must, unit| {
        all.push(Promise { what, value, must: Some(must), aim: None, at_least: false, unit });
    };
    let count = kills.longest.len();
    at_most(
        format!("shards of a killed node without an answer, {count} kills, p50"),
        of(&kills.longest, 0.5),
        5000.0,
        "ms",
    );
    at_most(
        format!("shards of a killed node without an answer, {count} kills, max"),
        of(&kills.longest, 1.0),
        10_000.0,
        "ms",
    );
    at_most("calls for other nodes' objects meanwhile, p99 to before".to_owned(), results.others(), 2.0, "×");
    at_most(format!("{SHARDS} shards of a killed node taken, max"), of(&takes.killed, 1.0), 3000.0, "ms");
    at_most(format!("{SHARDS} shards of a node that leaves taken, max"), of(&takes.left, 1.0), 3000.0, "ms");
    let drained = drains.count;
    at_most(
        format!("a shard of a node that leaves without an answer, {drained} drains, p50"),
        of(&drains.gaps, 0.5),
        50.0,
        "ms",
    );
    at_most(
        format!("a shard of a node that leaves without an answer, {drained} drains, max"),
        of(&drains.gaps, 1.0),
        50.0,
        "ms",
    );
    let failed = (drained > 0).then_some(drains.failed as f64);
    at_most("calls that failed while a node left".to_owned(), failed, 0.0, "calls");
    all
}

/// The report as Markdown that also reads well on a console.
pub(super) fn text(results: &Results) -> String {
    let mut parts = Vec::new();
    let mut table = Table::new(1, &[&["promise (objectd on Redis in memory)"], &Promise::HEADS[..]].concat());
    let rows: Vec<_> = promises(results).iter().filter_map(Promise::row).collect();
    if !rows.is_empty() {
        rows.into_iter().for_each(|row| table.row(row));
        parts.push(table.text());
    }
    if !results.forward.is_empty() {
        parts.push(rates(results));
    }
    let times = times(results);
    if !times.is_empty() {
        let mut table = Table::new(1, &["how long", "seen", "p50 ms", "p99 ms", "max ms"]);
        times.into_iter().for_each(|row| table.row(row));
        parts.push(table.text());
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    parts.push(format!("{cores} cores, shared by the nodes, Redis and the load generator.\n"));
    parts.join("\n")
}

fn rates(results: &Results) -> String {
    let mut table = Table::new(1, &["what, 64 connections", "a second", "p50 µs", "p99 µs"]);
    for case in results.forward.keys() {
        let number = |what| thousands(results.median(*case, what).round() as u64);
        table.row(vec![
            case.name().to_owned(),
            number(|cell| cell.rate),
            number(|cell| cell.p50),
            number(|cell| cell.p99),
        ]);
    }
    table.text()
}

/// The rows of the table of times, without those of which nothing was seen.
fn times(results: &Results) -> Vec<Vec<String>> {
    let Results { takes, drains, kills, .. } = results;
    let rows: [(&str, &[Duration]); 9] = [
        ("kill: the shard that waits longest for an answer", &kills.longest),
        ("kill: each shard until its first answer", &kills.each),
        ("kill: calls for other nodes' objects, before", &kills.before),
        ("kill: calls for other nodes' objects, meanwhile", &kills.meanwhile),
        ("takes: all shards of a killed node", &takes.killed),
        ("takes: all shards of a node that leaves", &takes.left),
        ("drain: each shard, longest time between answers", &drains.gaps),
        ("drain: the same before the drain", &drains.before),
        ("drain: from SIGTERM to the end of the process", &drains.left_after),
    ];
    let seen = rows.into_iter().filter(|(_, times)| !times.is_empty());
    seen.map(|(what, times)| {
        let at = |at| format!("{:.1}", quantile(times, at));
        vec![what.to_owned(), thousands(times.len() as u64), at(0.5), at(0.99), at(1.0)]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert!(promises(&Results::default()).iter().all(|promise| promise.row().is_none()));
        assert!(times(&Results::default()).is_empty());
    }

    #[test]
    fn rates_are_compared_within_a_round() {
        let cells = |rates: [f64; 3]| rates.map(|rate| Cell { rate, p50: 1.0, p99: 2.0 }).to_vec();
        let mut results = Results::default();
        results.forward.insert(Case::LocalEdit, cells([100.0, 50.0, 100.0]));
        results.forward.insert(Case::ForwardedEdit, cells([50.0, 24.0, 49.0]));
        assert_eq!(results.ratio(Case::ForwardedEdit, Case::LocalEdit), Some(0.49));
        let report = text(&results);
        assert!(report.contains("0.49 × | ≥ 0.50 × |     |  **no**"), "{report}");
    }

    #[test]
    fn one_shard_that_waits_too_long_is_one_too_many() {
        let results = Results {
            kills: Kills {
                longest: vec![ms(3000), ms(4000), ms(10_001)],
                before: vec![ms(2)],
                meanwhile: vec![ms(4)],
                ..Kills::default()
            },
            drains: Drains { count: 2, gaps: vec![ms(10), ms(51)], ..Drains::default() },
            ..Default::default()
        };
        let verdicts: Vec<_> = promises(&results).iter().filter_map(Promise::row).map(|row| row[4].clone()).collect();
        assert_eq!(verdicts, ["must", "**no**", "must", "must", "**no**", "must"]);
    }
}
