//! What a benchmark says: tables, promises kept or not, and the part of `docs/performance.md` that is its own.

mod page;
mod promise;
mod table;

pub(crate) use page::Section;
pub(crate) use promise::Promise;
pub(crate) use table::{Table, thousands};

/// One measurement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cell {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Half of the answers took no longer, in microseconds.
    pub(crate) p50: f64,
    /// 99 of 100 answers took no longer, in microseconds.
    pub(crate) p99: f64,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rate, p50, p99 } = self;
        write!(f, "{rate:>8.0}/s   p50 {p50:>6.0} µs   p99 {p99:>6.0} µs")
    }
}

/// The median; zero of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        length if length.is_multiple_of(2) => (values[length / 2 - 1] + values[length / 2]) / 2.0,
        length => values[length / 2],
    }
}
