//! A record of calls, and what it says: how long an object was without answers, how long answers took.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// One call, as its caller saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Call {
    /// Which object.
    pub(super) object: usize,
    pub(super) asked: Instant,
    /// When its answer was there, or was no longer waited for.
    pub(super) over: Instant,
    /// Whether the answer was 2xx.
    pub(super) answered: bool,
}

impl Call {
    pub(super) fn took(&self) -> Duration {
        self.over - self.asked
    }
}

/// From a moment to the end of the first answered call that was asked after it, of each of these objects; `None` where there
/// is none yet.
pub(super) fn first_answers(
    calls: &[Call],
    objects: &BTreeSet<usize>,
    since: Instant,
) -> BTreeMap<usize, Option<Duration>> {
    let mut first: BTreeMap<usize, Option<Duration>> = objects.iter().map(|object| (*object, None)).collect();
    for call in calls.iter().filter(|call| call.answered && call.asked >= since) {
        if let Some(known) = first.get_mut(&call.object) {
            *known = Some(known.map_or(call.over - since, |known| known.min(call.over - since)));
        }
    }
    first
}

/// The longest time between two answers of each object that overlaps `from..to`. Before the first answer there was none since
/// `from`, and after the last one none until `to`.
pub(super) fn longest_gaps(calls: &[Call], from: Instant, to: Instant) -> BTreeMap<usize, Duration> {
    let mut answers: BTreeMap<usize, Vec<Instant>> = BTreeMap::new();
    for call in calls {
        let of_object = answers.entry(call.object).or_default();
        if call.answered {
            of_object.push(call.over);
        }
    }
    let longest = |mut over: Vec<Instant>| {
        over.sort_unstable();
        let before = over.iter().rev().find(|over| **over <= from).copied().unwrap_or(from);
        let within = over.iter().copied().filter(|over| *over > from && *over < to);
        // The answer after the end closes the gap that reaches over it.
        let after = over.iter().copied().find(|over| *over >= to).unwrap_or(to);
        let ends: Vec<Instant> = within.chain([after]).collect();
        let begins = [before].into_iter().chain(ends.iter().copied());
        begins.zip(&ends).map(|(begin, end)| *end - begin).max().unwrap_or_default()
    };
    answers.into_iter().map(|(object, over)| (object, longest(over))).collect()
}

/// A quantile of times, in milliseconds; of nothing, zero.
pub(super) fn quantile(times: &[Duration], quantile: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let rank = (times.len() as f64 * quantile).ceil() as usize;
    times.get(rank.max(1) - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of one object: asked, over, answered, in milliseconds from a moment.
    fn record(object: usize, zero: Instant, calls: &[(u64, u64, bool)]) -> Vec<Call> {
        let at = |ms| zero + Duration::from_millis(ms);
        let call =
            |(asked, over, answered): &_| Call { object, asked: at(*asked), over: at(*over), answered: *answered };
        calls.iter().map(call).collect()
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_answer_is_one_to_a_question_of_after() {
        let zero = Instant::now();
        let mut calls = record(1, zero, &[(90, 110, true), (120, 130, false), (140, 400, true), (410, 420, true)]);
        calls.extend(record(2, zero, &[(150, 5150, false)]));
        calls.extend(record(3, zero, &[(150, 160, true)]));
        let first = first_answers(&calls, &BTreeSet::from([1, 2]), zero + ms(100));
        assert_eq!(first, BTreeMap::from([(1, Some(ms(300))), (2, None)]));
    }

    #[test]
    fn a_gap_reaches_from_answer_to_answer_though_calls_failed_between() {
        let zero = Instant::now();
        let calls = record(7, zero, &[(0, 10, true), (20, 30, false), (40, 95, true), (100, 110, true)]);
        assert_eq!(longest_gaps(&calls, zero, zero + ms(110))[&7], ms(85));
    }

    #[test]
    fn a_gap_that_begins_before_or_ends_after_counts_whole() {
        let zero = Instant::now();
        let calls = record(7, zero, &[(0, 10, true), (20, 60, true), (70, 150, true), (160, 400, true)]);
        let gap = |from: u64, to: u64| longest_gaps(&calls, zero + ms(from), zero + ms(to))[&7];
        assert_eq!(gap(50, 55), ms(50));
        assert_eq!(gap(60, 100), ms(90));
        assert_eq!(gap(100, 200), ms(250));
        // Nothing after, nothing before: as long as one has looked.
        assert_eq!(gap(400, 1000), ms(600));
        assert_eq!(longest_gaps(&record(7, zero, &[(0, 50, false)]), zero, zero + ms(80))[&7], ms(80));
    }

    #[test]
    fn a_quantile_is_a_time_that_was_seen() {
        let times: Vec<Duration> = (1..=100).map(ms).collect();
        assert_eq!(quantile(&times, 0.5), 50.0);
        assert_eq!(quantile(&times, 0.99), 99.0);
        assert_eq!(quantile(&times, 1.0), 100.0);
        assert_eq!(quantile(&times[..1], 0.99), 1.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
