//! How long the shards of a node that is gone are without answers, and how slow the others' answers are meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::clients::Seen;
use super::cluster::shard_of;

/// What was measured over the rounds of a scenario.
#[derive(Default, Debug)]
pub struct Gaps {
    /// From the end of a node to the first answer of each of its shards that was asked for.
    without: Vec<Duration>,
    /// How long answers of the other shards took, before and while those were without.
    others_before: Vec<Duration>,
    others_meanwhile: Vec<Duration>,
}

/// The first answer of each of these shards to a question of after a moment; `None` where there is none yet.
pub fn first_answers(seen: &[Seen], shards: &BTreeSet<usize>, since: Instant) -> BTreeMap<usize, Option<Duration>> {
    let mut first = BTreeMap::new();
    for call in seen.iter().filter(|call| call.asked >= since) {
        let shard = shard_of(&call.id);
        if shards.contains(&shard) {
            let answered = call.failed.is_none().then(|| call.over - since);
            let known: &mut Option<Duration> = first.entry(shard).or_default();
            *known = [*known, answered].into_iter().flatten().min();
        }
    }
    first
}

impl Gaps {
    /// Counts one end of a node: what was seen from some time before `since` on, and the shards it had.
    pub fn add(&mut self, seen: &[Seen], shards: &BTreeSet<usize>, since: Instant) {
        let first = first_answers(seen, shards, since);
        let back = since + first.values().flatten().max().copied().unwrap_or_default();
        self.without.extend(first.values().flatten());
        for call in seen.iter().filter(|call| call.failed.is_none() && !shards.contains(&shard_of(&call.id))) {
            let took = call.over - call.asked;
            if call.over < since {
                self.others_before.push(took);
            } else if call.asked > since && call.over < back {
                self.others_meanwhile.push(took);
            }
        }
    }

    /// One line.
    pub fn told(mut self) -> String {
        let (count, half, last) = (self.without.len(), at(&mut self.without, 50), at(&mut self.without, 100));
        format!(
            "{count} shards of a node that was gone: without answers for {half:.0} ms (p50), {last:.0} ms (longest); the \
             others' answers took {:.1} ms (p99) before and {:.1} ms meanwhile",
            at(&mut self.others_before, 99),
            at(&mut self.others_meanwhile, 99),
        )
    }
}

/// A percentile, in milliseconds.
pub fn at(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}
