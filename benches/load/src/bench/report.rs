//! What came out, beside what was promised.

use std::collections::BTreeMap;

use super::contender::Contender;
use super::machine::{Rest, Start};
use super::measure::Workload;
use crate::report::{Cell, Promise, Section, Table, median, thousands};

/// Its part of `docs/performance.md`.
pub(super) const SECTION: Section = Section { command: "cargo xtask bench" };

/// Everything that was measured; what was not asked for is empty.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// One cell a round.
    pub(super) cells: BTreeMap<(Workload, Contender), Vec<Cell>>,
    /// An `fdatasync`, one a round, in microseconds.
    pub(super) syncs: Vec<f64>,
    /// Peak resident memory under all workloads, in bytes.
    pub(super) peaks: Vec<(Contender, u64)>,
    /// Memory at rest.
    pub(super) rests: Vec<(Contender, Rest)>,
    /// Time to the first answer.
    pub(super) starts: Vec<(Contender, Start)>,
    /// Crates in the default build.
    pub(super) crates: Option<usize>,
}

impl Results {
    fn median(&self, workload: Workload, contender: Contender, what: fn(&Cell) -> f64) -> Option<f64> {
        let cells = self.cells.get(&(workload, contender))?;
        Some(median(cells.iter().map(what).collect()))
    }

    /// The median of the ratios within a round.
    fn ratio(&self, workload: Workload, of: Contender, to: Contender, what: fn(&Cell) -> f64) -> Option<f64> {
        let (of, to) = (self.cells.get(&(workload, of))?, self.cells.get(&(workload, to))?);
        Some(median(of.iter().zip(to).map(|(of, to)| what(of) / what(to)).collect()))
    }

    /// How many `fdatasync`s the p50 of one connection lies above that of bare axum.
    fn syncs_above_bare(&self) -> Option<f64> {
        let ours = self.cells.get(&(Workload::W4, Contender::Sqlite))?;
        let bare = self.cells.get(&(Workload::W4, Contender::Bare))?;
        let rounds = ours.iter().zip(bare).zip(&self.syncs);
        Some(median(rounds.map(|((ours, bare), sync)| (ours.p50 - bare.p50) / sync).collect()))
    }
}

fn promises(results: &Results) -> Vec<Promise> {
    let rate = |workload, to| results.ratio(workload, Contender::Sqlite, to, |cell| cell.rate);
    let mut all = Vec::new();
    let rates = [
        (Workload::W1, Contender::Bare, 0.40, 0.50),
        (Workload::W1, Contender::Redis, 0.80, 1.05),
        (Workload::W2, Contender::Bare, 0.55, 0.75),
        (Workload::W2, Contender::Redis, 1.00, 1.30),
        (Workload::W3, Contender::Bare, 0.70, 0.90),
        (Workload::W3, Contender::Redis, 1.05, 1.40),
    ];
    for (workload, to, must, aim) in rates {
        let what = format!("{}, rate to {}", workload.name(), to.name());
        let (must, aim) = (Some(must), Some(aim));
        all.push(Promise { what, value: rate(workload, to), must, aim, at_least: true, unit: "×" });
    }
    let mut at_most = |what: &str, value, must, aim, unit| {
        all.push(Promise { what: what.to_owned(), value, must: Some(must), aim, at_least: false, unit });
    };
    let p99 = results.ratio(Workload::W1, Contender::Sqlite, Contender::Redis, |cell| cell.p99);
    at_most("W1, p99 to axum + Redis always", p99, 3.0, None, "×");
    at_most("W4, p50 above bare axum", results.syncs_above_bare(), 2.0, Some(1.5), "fdatasyncs");
    let sqlite = |contender: &Contender| *contender == Contender::Sqlite;
    let start = results.starts.iter().find(|(contender, _)| sqlite(contender));
    let start = start.map(|(_, start)| start.empty.max(start.after_kill));
    at_most("start to first answer, also after kill -9", start, 100.0, None, "ms");
    let rest = results.rests.iter().find(|(contender, _)| sqlite(contender));
    let rest = rest.map(|(_, rest)| rest.beside_state());
    at_most("an object at rest, beside its state", rest, 1024.0, None, "bytes");
    at_most("crates in the default build", results.crates.map(|crates| crates as f64), 140.0, Some(110.0), "crates");
    all
}

/// The report as Markdown that also reads well on a console.
pub(super) fn text(results: &Results) -> String {
    let mut parts = Vec::new();
    let mut table = Table::new(1, &[&["promise (objectd on SQLite)"], &Promise::HEADS[..]].concat());
    let rows: Vec<_> = promises(results).iter().filter_map(Promise::row).collect();
    if !rows.is_empty() {
        rows.into_iter().for_each(|row| table.row(row));
        parts.push(table.text());
    }
    if !results.cells.is_empty() {
        parts.push(workloads(results));
    }
    if !(results.peaks.is_empty() && results.rests.is_empty() && results.starts.is_empty()) {
        parts.push(beside(results));
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut notes = format!("{cores} cores, shared by the load generator and what it measures.");
    if !results.syncs.is_empty() {
        let sync = median(results.syncs.clone());
        notes.push_str(&format!(" An fdatasync of 4 KiB on the same disk: {sync:.0} µs."));
    }
    parts.push(notes + "\n");
    parts.join("\n")
}

fn workloads(results: &Results) -> String {
    let heads = ["workload", "contender", "answers/s", "p50 µs", "p99 µs", "to bare", "to Redis"];
    let mut table = Table::new(2, &heads);
    for (workload, contender) in results.cells.keys() {
        let number = |what| {
            let value = results.median(*workload, *contender, what);
            value.map_or(String::new(), |value| thousands(value.round() as u64))
        };
        let ratio = |to| {
            let value = results.ratio(*workload, *contender, to, |cell| cell.rate);
            value.map_or(String::new(), |value| format!("{value:.2}"))
        };
        table.row(vec![
            workload.name().to_owned(),
            contender.name().to_owned(),
            number(|cell| cell.rate),
            number(|cell| cell.p50),
            number(|cell| cell.p99),
            ratio(Contender::Bare),
            ratio(Contender::Redis),
        ]);
    }
    table.text()
}

fn beside(results: &Results) -> String {
    let heads = ["contender", "peak memory", "100,000 at rest", "each beside its state", "start", "after kill -9"];
    let mut table = Table::new(1, &heads);
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    for contender in Contender::ALL {
        let peak = results.peaks.iter().find(|(of, _)| *of == contender).map(|(_, peak)| mib(*peak));
        let rest = results.rests.iter().find(|(of, _)| *of == contender).map(|(_, rest)| *rest);
        let start = results.starts.iter().find(|(of, _)| *of == contender).map(|(_, start)| *start);
        if peak.is_none() && rest.is_none() && start.is_none() {
            continue;
        }
        table.row(vec![
            contender.name().to_owned(),
            peak.unwrap_or_default(),
            rest.map_or(String::new(), |rest| format!("{} → {}", mib(rest.before), mib(rest.after))),
            rest.map_or(String::new(), |rest| format!("{:.0} bytes", rest.beside_state())),
            start.map_or(String::new(), |start| format!("{:.0} ms", start.empty)),
            start.map_or(String::new(), |start| format!("{:.0} ms", start.after_kill)),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(rate: f64) -> Cell {
        Cell { rate, p50: 10.0, p99: 20.0 }
    }

    #[test]
    fn a_ratio_compares_within_a_round() {
        let mut results = Results::default();
        results.cells.insert((Workload::W1, Contender::Bare), vec![cell(100.0), cell(200.0), cell(50.0)]);
        results.cells.insert((Workload::W1, Contender::Sqlite), vec![cell(50.0), cell(100.0), cell(25.0)]);
        let ratio = results.ratio(Workload::W1, Contender::Sqlite, Contender::Bare, |cell| cell.rate);
        assert_eq!(ratio, Some(0.5));
        assert_eq!(results.ratio(Workload::W1, Contender::Sqlite, Contender::Redis, |cell| cell.rate), None);
    }
}
