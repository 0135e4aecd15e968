//! What came out, beside what was promised.

use super::cases::Case;
use super::rounds::Results;
use crate::report::{Cell, Promise, Section, Table, median, thousands};

/// Its part of `docs/performance.md`.
pub(super) const SECTION: Section = Section { command: "cargo xtask bench --stack" };

impl Results {
    fn median(&self, case: Case, what: fn(&Cell) -> f64) -> f64 {
        median(self.cells.get(&case).into_iter().flatten().map(what).collect())
    }

    /// The median of the ratios of rates within a round.
    fn ratio(&self, of: Case, to: Case) -> Option<f64> {
        let (of, to) = (self.cells.get(&of)?, self.cells.get(&to)?);
        Some(median(of.iter().zip(to).map(|(of, to)| of.rate / to.rate).collect()))
    }
}

fn promises(results: &Results) -> Vec<Promise> {
    let rates = [
        (Case::EditMany, Case::WriteMany, 0.6, 0.75),
        (Case::EditMany, Case::LwtMany, 2.5, 3.3),
        (Case::EditOne, Case::WriteOne, 3.0, 5.0),
        (Case::EditOne, Case::LwtOneWriter, 30.0, 60.0),
        (Case::GetWarm, Case::ReadMany, 5.0, 10.0),
        (Case::GetShared, Case::ReadMany, 2.0, 5.0),
    ];
    let mut all: Vec<Promise> = rates
        .into_iter()
        .map(|(of, to, must, aim)| Promise {
            what: format!("{}, rate to: {}", of.name(), to.name()),
            value: results.ratio(of, to),
            must: Some(must),
            aim: Some(aim),
            at_least: true,
            unit: "×",
        })
        .collect();
    all.push(Promise {
        what: format!("{}, reads of the object table", Case::GetShared.name()),
        value: results.table_reads.iter().copied().max_by(f64::total_cmp),
        must: Some(0.0),
        aim: None,
        at_least: false,
        unit: "reads",
    });
    all
}

/// The report as Markdown that also reads well on a console.
pub(super) fn text(results: &Results) -> String {
    let mut parts = Vec::new();
    let heads = [&["promise (objectd on Cassandra and memcached)"], &Promise::HEADS[..]].concat();
    let mut table = Table::new(1, &heads);
    let rows: Vec<_> = promises(results).iter().filter_map(Promise::row).collect();
    if !rows.is_empty() {
        rows.into_iter().for_each(|row| table.row(row));
        parts.push(table.text());
    }
    let mut table = Table::new(2, &["what", "by", "a second", "p50 µs", "p99 µs"]);
    for case in results.cells.keys() {
        let number = |what| thousands(results.median(*case, what).round() as u64);
        table.row(vec![
            case.name().to_owned(),
            case.who().name().to_owned(),
            number(|cell| cell.rate),
            number(|cell| cell.p50),
            number(|cell| cell.p99),
        ]);
    }
    parts.push(table.text());
    let cores = thread_count();
    parts.push(format!(
        "{}, three nodes, RF 3; three memcached. {cores} cores, shared by all of them, the load generator and what it measures.\n",
        results.server
    ));
    parts.join("\n")
}

fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(rates: [f64; 3]) -> Vec<Cell> {
        rates.map(|rate| Cell { rate, p50: 1.0, p99: 2.0 }).to_vec()
    }

    #[test]
    fn a_rate_is_compared_within_a_round_and_judged() {
        let mut results = Results { server: "Cassandra 5".into(), ..Results::default() };
        results.cells.insert(Case::EditMany, cells([50.0, 30.0, 61.0]));
        results.cells.insert(Case::WriteMany, cells([100.0, 50.0, 100.0]));
        assert_eq!(results.ratio(Case::EditMany, Case::WriteMany), Some(0.6));
        assert_eq!(results.ratio(Case::EditMany, Case::LwtMany), None);
        let report = text(&results);
        assert!(report.contains("0.60 × | ≥ 0.60 × | ≥ 0.75 × |    must |"), "{report}");
        assert!(report.contains("Cassandra 5, three nodes"), "{report}");
    }

    #[test]
    fn one_read_of_the_object_table_is_one_too_many() {
        let verdict = |reads: &[f64]| {
            let results = Results { table_reads: reads.to_vec(), ..Results::default() };
            promises(&results).iter().filter_map(Promise::row).map(|row| row[4].clone()).collect::<Vec<_>>()
        };
        assert_eq!(verdict(&[0.0, 0.0]), ["must"]);
        assert_eq!(verdict(&[0.0, 1.0]), ["**no**"]);
        assert!(verdict(&[]).is_empty());
    }
}
