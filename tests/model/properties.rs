//! The promises. They speak of nothing but what callers were told: calls, answers, and which came before which.
//!
//! A sum says which calls it came from, so that linearizability is a matter of comparing sums. There is one order that
//! explains all answers iff
//! - all sums, read as histories, lie on one line: of two, one holds the other;
//! - an edit's own sum is the first on that line that has it;
//! - a sum holds whatever had been answered before its call was sent (its *floor*), and the floors of all calls in it.
//!
//! An answer is judged when it leaves, and leaves as soon as it may: an earlier answer binds more calls, so a world in
//! which answers leave late breaks no promise that this one keeps. For the same reason a call is sent when a node begins
//! with it.

use std::fmt;

use crate::world::{CALLS, Kind, Reply, Stage, Sum, World};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    Lost { call: u8 },
    Twice { call: u8 },
    Order { one: u8, other: u8 },
    TwoStates { one: u8, other: u8 },
    Executed { call: u8 },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Lost { call } => {
                write!(f, "lost or stale: call #{call} is answered without what was answered before")
            }
            Broken::Twice { call } => write!(f, "twice: the answer of call #{call} holds one call two times"),
            Broken::Order { one, other } => write!(f, "no order explains the answers of #{one} and #{other}"),
            Broken::TwoStates { one, other } => {
                write!(f, "the ETags of #{one} and #{other} tell other than their states")
            }
            Broken::Executed { call } => write!(f, "call #{call} was answered not-executed, and has taken effect"),
        }
    }
}

/// Call `call` is told `reply`.
pub fn answer(world: &mut World, call: u8, reply: Reply) {
    world.broken = world.broken.or_else(|| judge(world, call, reply));
    let told = &mut world.calls[call as usize];
    told.stage = Stage::Answered;
    told.reply = reply;
    if reply.sum.holds(world.answered) {
        world.answered = reply.sum;
    }
}

/// Call `call` is told that it has no effect and will have none.
pub fn answer_not_executed(world: &mut World, call: u8) {
    if world.answered.has(call) {
        world.broken = world.broken.or(Some(Broken::Executed { call }));
    }
    world.calls[call as usize].stage = Stage::NotExecuted;
}

/// Which promise this answer breaks.
fn judge(world: &World, call: u8, reply: Reply) -> Option<Broken> {
    let sum = reply.sum;
    if sum.has_a_double() {
        return Some(Broken::Twice { call });
    }
    if !sum.holds(world.calls[call as usize].floor) {
        return Some(Broken::Lost { call });
    }
    let kind = world.calls[call as usize].kind;
    if has_failed(kind, call, sum) && world.answered.has(call) {
        return Some(Broken::Executed { call });
    }
    for other in (0..CALLS as u8).filter(|other| *other != call) {
        let its = &world.calls[other as usize];
        let was_told_so = match its.stage {
            Stage::NotExecuted => true,
            Stage::Answered => has_failed(its.kind, other, its.reply.sum),
            _ => false,
        };
        if sum.has(other) && was_told_so {
            return Some(Broken::Executed { call: other });
        }
        if sum.has(other) && !sum.holds(its.floor) {
            return Some(Broken::Lost { call });
        }
        if its.stage != Stage::Answered {
            continue;
        }
        let of_two = Broken::Order { one: other, other: call };
        if !sum.holds(its.reply.sum) && !its.reply.sum.holds(sum) {
            return Some(of_two);
        }
        // An edit is in just those histories that go on from its own.
        let (its_change, change) = (has_changed(its.kind, other, its.reply.sum), has_changed(kind, call, sum));
        if its_change && sum.has(other) != sum.holds(its.reply.sum) {
            return Some(of_two);
        }
        if change && its.reply.sum.has(call) != its.reply.sum.holds(sum) {
            return Some(of_two);
        }
        if its_change && change && its.reply.sum == sum {
            return Some(of_two);
        }
        if (its.reply.tag == reply.tag) != (its.reply.sum == sum) {
            return Some(Broken::TwoStates { one: other, other: call });
        }
    }
    None
}

pub fn is_edit(kind: Kind) -> bool {
    matches!(kind, Kind::Add | Kind::AddIf | Kind::Delete)
}

/// Whether a call that is answered with this sum is told that it took effect.
fn has_changed(kind: Kind, call: u8, sum: Sum) -> bool {
    is_edit(kind) && sum.has(call)
}

/// Whether it is told that it has no effect and will have none, and what it saw instead.
fn has_failed(kind: Kind, call: u8, sum: Sum) -> bool {
    is_edit(kind) && !sum.has(call)
}

#[cfg(test)]
mod tests {
    use super::{answer, has_failed, is_edit};
    use crate::world::{CALLS, Call, Kind, Reply, Stage, Sum, Version, World};

    /// A history as it grows: when each call was sent and answered.
    #[derive(Clone, Copy, Default)]
    struct History {
        world: World,
        now: u8,
        sent: [u8; CALLS],
        answered: [u8; CALLS],
    }

    /// Whether the calls can be put in an order that explains the answers: `placed` are in it, and make `sum`.
    fn has_an_order(history: &History, placed: u8, sum: Sum) -> bool {
        let calls = || (0..CALLS as u8).filter(|call| history.world.calls[*call as usize].stage != Stage::None);
        let is_placed = |call: u8| placed >> call & 1 == 1;
        let is_answered = |call: u8| history.world.calls[call as usize].stage == Stage::Answered;
        let answered_before =
            |one: u8, other: u8| is_answered(one) && history.answered[one as usize] < history.sent[other as usize];
        if calls().all(|call| is_placed(call) || !is_answered(call)) {
            return true;
        }
        let may_be_next =
            |call: &u8| !is_placed(*call) && calls().all(|one| is_placed(one) || !answered_before(one, *call));
        calls().filter(may_be_next).any(|call| {
            let its = &history.world.calls[call as usize];
            let fails = is_answered(call) && has_failed(its.kind, call, its.reply.sum);
            let after = if is_edit(its.kind) && !fails { sum.with(call) } else { sum };
            (!is_answered(call) || its.reply.sum == after) && has_an_order(history, placed | 1 << call, after)
        })
    }

    /// Judges every history that goes on from here. Gives how many there were, and how many had no order.
    fn go_on(history: History, kinds: &[Kind; CALLS], seen: &mut (u32, u32)) {
        let explained = has_an_order(&history, 0, Sum::default());
        assert_eq!(history.world.broken.is_none(), explained, "{}", show(&history));
        seen.0 += 1;
        seen.1 += u32::from(!explained);
        if !explained {
            return;
        }
        let sent = history.world.calls.iter().filter(|call| call.stage != Stage::None).count();
        if sent < CALLS {
            let mut next = History { now: history.now + 1, ..history };
            let floor = history.world.answered;
            next.world.calls[sent] = Call { kind: kinds[sent], stage: Stage::Settled, floor, ..Call::default() };
            next.sent[sent] = next.now;
            go_on(next, kinds, seen);
        }
        let edits = || (0..sent as u8).filter(|call| is_edit(kinds[*call as usize]));
        for call in (0..sent).filter(|call| history.world.calls[*call].stage == Stage::Settled) {
            for set in 0..1u8 << sent {
                let is_sum = (0..sent as u8)
                    .filter(|other| set >> other & 1 == 1)
                    .all(|other| edits().any(|edit| edit == other));
                let fails = is_edit(kinds[call]) && set >> call & 1 == 0;
                if !is_sum || fails && kinds[call] != Kind::AddIf {
                    continue;
                }
                let sum = edits().filter(|edit| set >> edit & 1 == 1).fold(Sum::default(), Sum::with);
                let mut next = History { now: history.now + 1, ..history };
                next.answered[call] = next.now;
                answer(&mut next.world, call as u8, Reply { sum, tag: Version(sum.0) });
                go_on(next, kinds, seen);
            }
        }
    }

    fn show(history: &History) -> String {
        let calls = history.world.calls.iter().enumerate().map(|(at, call)| {
            format!("#{at} {:?} {}..{} {}", call.kind, history.sent[at], history.answered[at], call.reply.sum)
        });
        calls.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn an_answer_is_judged_as_if_every_order_had_been_tried() {
        let (add, add_if, get) = (Kind::Add, Kind::AddIf, Kind::Get);
        let mut seen = (0, 0);
        for kinds in [
            [add, add, get, get],
            [add, get, add, get],
            [get, add, get, add],
            [add, get, get, add],
            [add, add, add, get],
            [add_if, add, get, get],
            [add, get, add_if, add_if],
        ] {
            go_on(History::default(), &kinds, &mut seen);
        }
        println!("{} histories, {} without an order", seen.0, seen.1);
        assert!(seen.0 > 10_000 && seen.1 > 1_000, "{seen:?}");
    }
}
