//! The judgement.
//!
//! The counter passes through 0, 1, 2, …; step `v` is the moment at which it went from `v - 1` to `v`. Each answer says
//! something of one step or two:
//!
//! | answer | step `v` was | step `v + 1` was |
//! |---|---|---|
//! | an add that came to `v` | between its question and its answer | |
//! | a read that showed `v` | before its answer | after its question |
//!
//! So every step has a first and a last moment, steps come in their order, and the history is linearizable iff they can
//! be placed so. A step that no acknowledged add made was made by one that was never answered: each by another one, and
//! after it was asked. Steps are placed as late as they can be, and the earliest asked gets the earliest of them, since
//! what was asked earlier can have done whatever what was asked later can.

use std::collections::{BTreeMap, HashMap};

use crate::record::{Moment, Op, Tag};

/// How much there was in a history that holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Counters whose histories hold.
    pub histories: u64,
    /// Adds that were answered.
    pub adds: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Adds that were never answered.
    pub unknown: u64,
    /// Of these, those that took effect.
    pub unknown_found: u64,
}

impl Counts {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.adds += other.adds;
        self.reads += other.reads;
        self.unknown += other.unknown;
        self.unknown_found += other.unknown_found;
    }
}

/// A bound of a step, and the call that sets it.
type Bound = (Moment, Op);

/// What is known of a step.
#[derive(Clone, Copy, Default)]
struct Step {
    after: Option<Bound>,
    before: Option<Bound>,
    /// Whether an acknowledged add made it.
    is_claimed: bool,
}

/// Judges what was seen of one counter.
///
/// # Errors
/// What cannot be, a line each. One fault may show in many calls.
pub(crate) fn check(ops: &[Op]) -> Result<Counts, Vec<String>> {
    let count = |is: fn(&Op) -> bool| ops.iter().filter(|op| is(op)).count() as u64;
    let adds = count(|op| matches!(op, Op::Added { .. }));
    let mut open: Vec<Moment> = ops.iter().filter_map(open_since).collect();
    open.sort_unstable();
    let asked = adds + open.len() as u64;
    if let Some(op) = ops.iter().find(|op| value_of(op).is_some_and(|value| value > asked)) {
        return Err(vec![format!("{asked} adds were asked, and there was {op}")]);
    }
    let steps = steps(ops, asked);
    let unclaimed = unclaimed(&steps);
    let mut wrong = given_twice(ops);
    wrong.extend(tags(ops));
    wrong.extend(out_of_order(&steps));
    wrong.extend(made_by_nobody(&unclaimed, &open));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let reads = count(|op| matches!(op, Op::Read { .. }));
    Ok(Counts { histories: 1, adds, reads, unknown: open.len() as u64, unknown_found: unclaimed.len() as u64 })
}

fn open_since(op: &Op) -> Option<Moment> {
    if let Op::Unknown { from } = op { Some(*from) } else { None }
}

fn value_of(op: &Op) -> Option<u64> {
    match op {
        Op::Added { value, .. } | Op::Read { value, .. } => Some(*value),
        Op::Unknown { .. } => None,
    }
}

/// Adds that were answered alike: one of them is lost.
fn given_twice(ops: &[Op]) -> Vec<String> {
    let mut given: HashMap<u64, Op> = HashMap::new();
    let mut wrong = Vec::new();
    for op in ops {
        let Op::Added { value, .. } = op else { continue };
        if *value == 0 {
            wrong.push(format!("zero was given: by {op}"));
        } else if let Some(before) = given.insert(*value, *op) {
            wrong.push(format!("{value} was given twice: by {before}, and by {op}"));
        }
    }
    wrong
}

/// One tag a state, one state a tag, and later states have later tags.
fn tags(ops: &[Op]) -> Vec<String> {
    let mut by_value: BTreeMap<u64, Tag> = BTreeMap::new();
    let mut by_tag: HashMap<Tag, u64> = HashMap::new();
    let mut wrong = Vec::new();
    for op in ops {
        let (value, tag) = match op {
            Op::Added { value, tag, .. } | Op::Read { value, tag, .. } => (*value, *tag),
            Op::Unknown { .. } => continue,
        };
        let Some(tag) = tag else {
            wrong.extend((value > 0).then(|| format!("a state without a tag: {op}")));
            continue;
        };
        let stood_for = *by_tag.entry(tag).or_insert(value);
        let had = *by_value.entry(value).or_insert(tag);
        if stood_for != value {
            wrong.push(format!("the tag \"{tag}\" stood for {stood_for}, and then there was {op}"));
        } else if had != tag {
            wrong.push(format!("{value} had the tag \"{had}\", and then there was {op}"));
        }
    }
    let pairs = by_value.iter().zip(by_value.iter().skip(1));
    wrong.extend(pairs.filter(|((_, tag), (_, next))| next < tag).map(|((value, tag), (later, next))| {
        format!("{later} comes after {value}, but its tag \"{next}\" before \"{tag}\"")
    }));
    wrong
}

/// What the answers say of the steps to 1, 2, … and to one more than there can be.
fn steps(ops: &[Op], greatest: u64) -> Vec<Step> {
    // Index 0 is no step: the counter begins there.
    let mut steps = vec![Step::default(); greatest as usize + 2];
    let later = |bound: &mut Option<Bound>, moment: Moment, op: &Op| {
        if bound.is_none_or(|(than, _)| moment > than) {
            *bound = Some((moment, *op));
        }
    };
    let earlier = |bound: &mut Option<Bound>, moment: Moment, op: &Op| {
        if bound.is_none_or(|(than, _)| moment < than) {
            *bound = Some((moment, *op));
        }
    };
    for op in ops {
        match op {
            Op::Added { from, to, value, .. } => {
                let step = &mut steps[*value as usize];
                step.is_claimed = true;
                later(&mut step.after, *from, op);
                earlier(&mut step.before, *to, op);
            }
            Op::Read { from, to, value, .. } => {
                earlier(&mut steps[*value as usize].before, *to, op);
                later(&mut steps[*value as usize + 1].after, *from, op);
            }
            Op::Unknown { .. } => {}
        }
    }
    steps.remove(0);
    steps
}

/// The first step that cannot be placed behind those before it.
fn out_of_order(steps: &[Step]) -> Option<String> {
    let mut after: Option<Bound> = None;
    for (value, step) in (1..).zip(steps) {
        if let Some(bound) = step.after.filter(|(moment, _)| after.is_none_or(|(than, _)| *moment > than)) {
            after = Some(bound);
        }
        if let (Some((from, early)), Some((to, late))) = (after, step.before)
            && from > to
        {
            return Some(format!(
                "by {late}, {value} had been reached before {to}; by {early}, it had not been reached at {from}"
            ));
        }
    }
    None
}

/// The steps up to the greatest value seen that no acknowledged add made, in their order, each with the last moment it can
/// have been at (`None`: any).
fn unclaimed(steps: &[Step]) -> Vec<(u64, Option<Bound>)> {
    let seen = steps.iter().rposition(|step| step.before.is_some()).map_or(0, |at| at + 1);
    let mut before: Option<Bound> = None;
    let mut found = Vec::new();
    for at in (0..seen).rev() {
        if let Some(bound) = steps[at].before.filter(|(moment, _)| before.is_none_or(|(than, _)| *moment < than)) {
            before = Some(bound);
        }
        if !steps[at].is_claimed {
            found.push((at as u64 + 1, before));
        }
    }
    found.reverse();
    found
}

/// Steps for which there is no add left that was asked in time. `open` is in order.
fn made_by_nobody(unclaimed: &[(u64, Option<Bound>)], open: &[Moment]) -> Option<String> {
    let told = |seen: &Option<Bound>| seen.as_ref().map_or(String::new(), |(_, op)| format!(", yet there was {op}"));
    for (at, (value, before)) in unclaimed.iter().enumerate() {
        match open.get(at) {
            None => {
                let open = open.len();
                return Some(format!(
                    "nobody's add came to {value}: {} values were given to nobody, and {open} adds were left open{}",
                    unclaimed.len(),
                    told(before)
                ));
            }
            Some(from) if before.is_some_and(|(before, _)| *from > before) => {
                return Some(format!("no add that was asked in time can have come to {value}{}", told(before)));
            }
            Some(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
