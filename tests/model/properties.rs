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

use crate::world::{CALLS, Kind, Reply, Stage, World};

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
    for other in (0..CALLS as u8).filter(|other| *other != call) {
        let its = &world.calls[other as usize];
        if sum.has(other) && its.stage == Stage::NotExecuted {
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
        if is_edit(its.kind) && sum.has(other) != sum.holds(its.reply.sum) {
            return Some(of_two);
        }
        if is_edit(world.calls[call as usize].kind) && its.reply.sum.has(call) != its.reply.sum.holds(sum) {
            return Some(of_two);
        }
        if (its.reply.tag == reply.tag) != (its.reply.sum == sum) {
            return Some(Broken::TwoStates { one: other, other: call });
        }
    }
    None
}

pub fn is_edit(kind: Kind) -> bool {
    matches!(kind, Kind::Add | Kind::Delete)
}
