//! The steps, and how a counterexample tells them.

use std::fmt;

use crate::world::{Kind, Late, Shard, Version};

/// What a turn takes up, besides the calls that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Batch {
    Waiting,
    One(Kind),
    Two(Kind, Kind),
    Again(u8),
    /// The first sending comes at last; nobody waits for its answer.
    Straggler(u8),
}

/// One step of a node, or of what is between the nodes.
#[derive(Clone, Copy)]
pub enum Step {
    Sent(u8),
    Look(u8),
    Kill { node: u8, victim: u8, known: bool },
    ReadDead { node: u8, victim: u8 },
    Take { node: u8, answer: &'static str },
    LateCas(Late, bool),
    Lands(Version),
    Spreads(u8),
    Removed(u8),
    Rises(u8),
    Load { node: u8, from: &'static str, found: Version },
    Seal { node: u8, version: Version },
    Turn { node: u8, batch: Batch },
    Get { node: u8, call: u8 },
    Stored(u8),
    Conflict(u8),
    Refused(u8),
    GivesUp(u8),
    FromWorkingCopy { node: u8, call: u8 },
    Confirm { node: u8, up: bool },
    Drops(u8),
    Evicts(u8),
    Release { node: u8, known: bool },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |node: &u8| ["A", "B", "C"][*node as usize];
        match self {
            Step::Sent(call) => write!(f, "#{call} is sent, and long on its way"),
            Step::Look(node) => write!(f, "{} reads the shard's row", name(node)),
            Step::Kill { node, victim, known: true } => {
                write!(f, "{} writes {} dead: Applied", name(node), name(victim))
            }
            Step::Kill { node, victim, .. } => write!(f, "{} writes {} dead: Unknown", name(node), name(victim)),
            Step::ReadDead { node, victim } => write!(f, "{} reads that {} is dead", name(node), name(victim)),
            Step::Take { node, answer } => write!(f, "{} takes the shard: {answer}", name(node)),
            Step::LateCas(Late::Kill(victim), known) => {
                let where_to = if *known { "everywhere" } else { "on one replica" };
                write!(f, "the late CAS that {} is dead lands {where_to}", name(victim))
            }
            Step::LateCas(Late::Shard(Shard { owner: Some(node), epoch, .. }), _) => {
                write!(f, "the late CAS that {} has the shard under epoch {epoch} lands", name(node))
            }
            Step::LateCas(Late::Shard(_), _) => write!(f, "the late CAS that nobody has the shard lands"),
            Step::Spreads(victim) => write!(f, "all replicas learn that {} is dead", name(victim)),
            Step::Removed(victim) => write!(f, "the row of {} is removed", name(victim)),
            Step::Rises(victim) => write!(f, "the late insert of {}'s row lands", name(victim)),
            Step::Load { node, from, found } => write!(f, "{} loads from {from}: {found}", name(node)),
            Step::Seal { node, version } => write!(f, "{} seals: puts the same as {version}", name(node)),
            Step::Turn { node, batch: Batch::Waiting } => write!(f, "{} runs a turn: what waited", name(node)),
            Step::Turn { node, batch: Batch::One(kind) } => write!(f, "{} runs a turn: {kind:?}", name(node)),
            Step::Turn { node, batch: Batch::Two(one, two) } => {
                write!(f, "{} runs a turn: {one:?}, {two:?}", name(node))
            }
            Step::Turn { node, batch: Batch::Again(call) } => write!(f, "{} runs a turn: #{call} again", name(node)),
            Step::Turn { node, batch: Batch::Straggler(call) } => {
                write!(f, "{} runs a turn: #{call} as it was first sent", name(node))
            }
            Step::Get { node, call } => write!(f, "{} reads for #{call}", name(node)),
            Step::Lands(version) => write!(f, "the put {version} is applied"),
            Step::Stored(node) => write!(f, "{}'s put is Stored", name(node)),
            Step::Conflict(node) => write!(f, "{}'s put is a Conflict", name(node)),
            Step::Refused(node) => write!(f, "{}'s put is Refused: not executed", name(node)),
            Step::GivesUp(node) => write!(f, "{}'s put is Unknown, taken as not executed", name(node)),
            Step::FromWorkingCopy { node, call } => write!(f, "{} finds #{call} again in its working copy", name(node)),
            Step::Confirm { node, up: true } => write!(f, "{} confirms, and answers what was settled", name(node)),
            Step::Confirm { node, .. } => write!(f, "{} reads that it is dead, and drops everything", name(node)),
            Step::Drops(node) => write!(f, "{} loses the object with its put under way", name(node)),
            Step::Evicts(node) => write!(f, "{} evicts the object", name(node)),
            Step::Release { node, known: true } => write!(f, "{} releases the shard: Applied", name(node)),
            Step::Release { node, .. } => write!(f, "{} releases the shard: Unknown", name(node)),
        }
    }
}
