//! The fewest answers of a history that show that it cannot be.
//!
//! A read that is left out leaves a history that holds if the whole one does; so does an add whose answer is forgotten, as
//! long as it is known that it was asked. So answers are forgotten, many at a time and then one by one, for as long as
//! what remains cannot be: what is left then is a fault by itself, and without any one of its answers it would be none.
//! (Delta debugging: Zeller and Hildebrandt, 2002.)

use std::collections::HashSet;
use std::fmt;

use crate::check::check;
use crate::record::{History, Moment, Op};

/// A fault, and nothing beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortest {
    /// Answers that no counter could have given together, in the order in which they were asked for.
    pub answers: Vec<Op>,
    /// How many further adds were asked in time, whatever became of them.
    pub adds: usize,
    /// What is wrong with them.
    pub wrong: Vec<String>,
}

impl fmt::Display for Shortest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for op in &self.answers {
            writeln!(f, "  {op}")?;
        }
        writeln!(f, "  and {} more adds asked before the last of these", self.adds)?;
        self.wrong.iter().try_for_each(|line| writeln!(f, "  so: {line}"))
    }
}

impl History {
    /// The fewest answers that show that it cannot be; `None` when it can.
    #[must_use]
    pub fn shortest(&self) -> Option<Shortest> {
        let mut sorted = self.clone();
        sorted.sort();
        let ops = sorted.0;
        check(&ops).err()?;
        let answered = |op: &Op| !matches!(op, Op::Unknown { .. });
        let mut kept: Vec<usize> = (0..ops.len()).filter(|at| answered(&ops[*at])).collect();
        let mut size = kept.len().div_ceil(2);
        loop {
            let before = kept.len();
            let mut at = 0;
            while at < kept.len() {
                let mut fewer = kept.clone();
                fewer.drain(at..(at + size).min(kept.len()));
                if check(&without(&ops, &fewer)).is_err() {
                    kept = fewer;
                } else {
                    at += size;
                }
            }
            // At one by one, until nothing more can be left out.
            if size > 1 {
                size = size.div_ceil(2);
            } else if kept.len() == before {
                break;
            }
        }
        let remaining = without(&ops, &kept);
        let wrong = check(&remaining).err()?;
        let answers: Vec<Op> = kept.iter().map(|at| ops[*at]).collect();
        let adds = remaining.len() - answers.len();
        Some(Shortest { answers, adds, wrong })
    }
}

/// The history with no other answers than these, and with those adds of whose effect one of them could tell.
fn without(ops: &[Op], kept: &[usize]) -> Vec<Op> {
    let is_kept: HashSet<usize> = kept.iter().copied().collect();
    let last: Option<Moment> = kept.iter().filter_map(|at| told_at(&ops[*at])).max();
    let weaker = |(at, op): (usize, &Op)| match op {
        _ if is_kept.contains(&at) => Some(*op),
        Op::Read { .. } => None,
        Op::Added { from, .. } | Op::Unknown { from } => {
            last.filter(|last| from < last).map(|_| Op::Unknown { from: *from })
        }
    };
    ops.iter().enumerate().filter_map(weaker).collect()
}

fn told_at(op: &Op) -> Option<Moment> {
    match op {
        Op::Added { to, .. } | Op::Read { to, .. } => Some(*to),
        Op::Unknown { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(order: u64) -> Moment {
        Moment::numbered(order)
    }

    fn tag(value: u64) -> Option<crate::Tag> {
        (value > 0).then(|| format!("1-{value}").parse().expect("a tag"))
    }

    fn add(from: u64, to: u64, value: u64) -> Op {
        Op::Added { from: at(from), to: at(to), value, tag: tag(value) }
    }

    fn read(from: u64, to: u64, value: u64) -> Op {
        Op::Read { from: at(from), to: at(to), value, tag: tag(value) }
    }

    /// A counter that does one thing after the other: 3 × `adds` moments from 1 on.
    fn good(adds: u64) -> Vec<Op> {
        let one = |value: u64| [add(value * 4, value * 4 + 1, value), read(value * 4 + 2, value * 4 + 3, value)];
        (1..=adds).flat_map(one).collect()
    }

    #[test]
    fn of_a_history_that_holds_there_is_none() {
        assert_eq!(History(good(50)).shortest(), None);
        assert_eq!(History::default().shortest(), None);
    }

    #[test]
    fn a_value_that_was_given_twice_is_two_answers_among_thousands() {
        let mut ops = good(2_000);
        // Asked all the time, so that nothing else is wrong with it.
        ops.push(add(1, 9_000, 700));
        let short = History(ops).shortest().unwrap();
        assert_eq!(short.answers, [add(1, 9_000, 700), add(2_800, 2_801, 700)]);
        assert!(short.wrong[0].contains("700 was given twice"), "{short}");
    }

    #[test]
    fn a_stale_read_is_two_answers() {
        let mut ops = good(300);
        ops.push(read(2_000, 2_001, 20));
        let short = History(ops).shortest().unwrap();
        assert_eq!(short.answers.len(), 2, "{short}");
        assert!(short.answers.contains(&read(2_000, 2_001, 20)), "{short}");
    }

    #[test]
    fn a_lost_add_needs_those_answers_that_leave_no_room_for_it() {
        // The third add is acknowledged, and the fourth comes to the same: all that came later is one behind.
        let mut ops = good(3);
        ops.extend((3..50).map(|value| add(100 + value * 4, 101 + value * 4, value)));
        let short = History(ops.clone()).shortest().unwrap();
        assert!(short.answers.len() <= 3, "{short}");
        for at in 0..short.answers.len() {
            let fewer: Vec<Op> =
                short.answers.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, op)| *op).collect();
            let kept: Vec<usize> = fewer.iter().map(|op| ops.iter().position(|other| other == op).unwrap()).collect();
            assert!(check(&without(&ops, &kept)).is_ok(), "{at} can be left out of {short}");
        }
    }
}
