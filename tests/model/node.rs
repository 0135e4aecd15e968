//! A node, rule by rule: what a process may do next, as `protocol.md` §4 has it. Names of functions are the rules' own.
//!
//! A node is one incarnation. That fenced nodes join again under a new name (R8) adds nothing: the new one knows nothing
//! of the old one, and is any other node.

use crate::bounds::Bounds;
use crate::explore::Model;
use crate::properties::{answer, answer_not_executed};
use crate::rules::Rule;
use crate::steps::Step;
use crate::world::{CALLS, Call, Kind, Late, Life, NODES, Record, Reply, Shard, Stage, Version, World};

/// What a process knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Node {
    /// Nodes that did nothing yet are alike: only the first of them begins.
    pub started: bool,
    /// Fenced (R8).
    pub gone: bool,
    /// Silent for this epoch and those before: a release was sent (R7).
    pub silent: u8,
    pub seen: Option<Seen>,
    pub hold: Option<Hold>,
    /// What was in L1 at the last release; see [`Rule::EmptyAfterRelease`].
    pub old: Option<Record>,
}

/// A read of the shard's row, on the way to a take.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    pub shard: Shard,
    /// Whether the owner is known to be dead.
    pub killed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hold {
    pub epoch: u8,
    /// The last one that was used.
    pub seq: u8,
    /// Of the shard's row, to release it.
    pub rev: u8,
    /// Runs no turns any more; see [`Rule::NoReadsAfterRelease`].
    pub stopped: bool,
    /// The object is in the *unsettled* set.
    pub unsettled: bool,
    /// The object's current version, if it is known.
    pub index: Version,
    pub active: Option<Active>,
}

/// The object, active.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Active {
    /// Settled, but for what `seal` says.
    pub record: Record,
    /// Must be put once more before anything of it is shown.
    pub seal: bool,
    /// The published snapshot: what views see.
    pub shown: Option<Reply>,
    /// The put under way.
    pub put: Option<Record>,
}

/// The protocol within bounds, with a rule left out or none.
pub struct Protocol {
    pub bounds: Bounds,
    pub without: Option<Rule>,
}

pub type Found = Vec<(Step, World)>;

impl Model for Protocol {
    type State = World;
    type Step = Step;

    fn start(&self) -> World {
        World::default()
    }

    fn steps(&self, from: &World, found: &mut Found) {
        if self.all_is_said(from) {
            return;
        }
        self.between(from, found);
        self.sent(from, found);
        for node in 0..self.bounds.nodes {
            let its = &from.nodes[node as usize];
            if !its.gone {
                self.way_to_a_hold(from, node, found);
                self.with_a_hold(from, node, found);
            }
            if !its.started {
                break;
            }
        }
    }

    fn broken(&self, state: &World) -> Option<String> {
        state.broken.map(|broken| broken.to_string())
    }
}

impl Protocol {
    pub fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// Whether no caller can be told anything any more: what follows is of no interest.
    fn all_is_said(&self, world: &World) -> bool {
        let waits = |call: &Call| match call.stage {
            Stage::Queued | Stage::Written | Stage::Early | Stage::Settled => true,
            Stage::Unknown => is_open(call) && world.spent.retries < self.bounds.retries,
            Stage::None | Stage::Answered | Stage::NotExecuted => false,
        };
        let kinds = [Kind::Add, Kind::AddIf, Kind::Get, Kind::Fail, Kind::Delete];
        !world.calls.iter().any(waits) && kinds.iter().all(|kind| calls_left(world, &self.bounds, *kind) == 0)
    }

    /// Whether any answer of this node can still leave. A dead one goes on in the belief that it may: its puts are to be
    /// reckoned with, its answers and takes are not (to others, one that takes is one that is killed right after).
    pub fn may_answer(&self, world: &World, node: u8) -> bool {
        let confirms = self.keeps(Rule::Confirm) && self.keeps(Rule::ConfirmForEveryAnswer);
        let stays_dead = self.keeps(Rule::GoneIsDead) && self.keeps(Rule::RowOfItsBeats);
        matches!(world.lives[node as usize], Life::Up | Life::Dying) || !confirms || !stays_dead
    }

    /// Whether a node that reads its own row may find that it is up.
    fn may_find_itself_up(&self, life: Life) -> bool {
        match life {
            Life::Up | Life::Dying => true,
            Life::Dead => false,
            Life::Gone => !self.keeps(Rule::GoneIsDead),
            Life::Risen => !self.keeps(Rule::RowOfItsBeats),
        }
    }

    /// Whether a node on its way to a take gets there no more, and does no harm on the way.
    fn has_seen_in_vain(&self, world: &World, node: u8) -> bool {
        let Some(seen) = world.nodes[node as usize].seen else { return false };
        let kills = seen.shard.owner.filter(|owner| *owner != node && world.lives[*owner as usize] != Life::Dead);
        !self.may_answer(world, node) || (seen.shard.rev != world.shard.rev && kills.is_none())
    }

    /// `step` leads to `world`.
    pub fn to(&self, found: &mut Found, step: Step, mut world: World) {
        for call in 0..CALLS {
            let its = world.calls[call];
            if its.stage == Stage::Settled && !self.may_answer(&world, its.node) {
                world.calls[call].stage = Stage::Unknown;
            }
        }
        for node in 0..self.bounds.nodes {
            if self.has_seen_in_vain(&world, node) {
                world.nodes[node as usize].seen = None;
            }
        }
        world.tidy(&self.bounds);
        found.push((step, world));
    }

    /// What happens without a node: messages arrive.
    fn between(&self, from: &World, found: &mut Found) {
        for (at, late) in from.late.iter().enumerate() {
            let Some(late) = *late else { continue };
            for known in if matches!(late, Late::Kill(_)) { &[true, false][..] } else { &[true] } {
                let mut world = *from;
                world.land(at, *known);
                self.to(found, Step::LateCas(late, *known), world);
            }
        }
        for victim in (0..NODES).filter(|victim| from.lives[*victim] == Life::Dying) {
            let mut world = *from;
            world.lives[victim] = Life::Dead;
            self.to(found, Step::Spreads(victim as u8), world);
        }
        for victim in 0..NODES {
            let mut world = *from;
            match from.lives[victim] {
                Life::Dying | Life::Dead if from.spent.removals < self.bounds.removals => {
                    world.spent.removals += 1;
                    world.lives[victim] = Life::Gone;
                    self.to(found, Step::Removed(victim as u8), world);
                }
                Life::Gone => {
                    world.lives[victim] = Life::Risen;
                    self.to(found, Step::Rises(victim as u8), world);
                }
                _ => {}
            }
        }
        for (at, put) in from.puts.iter().enumerate().filter(|_| !self.bounds.ordered()) {
            let Some(put) = put else { continue };
            let mut world = *from;
            world.land_put(at);
            self.to(found, Step::Lands(put.record.version), world);
        }
    }
}

// ---- R2: take ---------------------------------------------------------------------------------------------------------

impl Protocol {
    fn way_to_a_hold(&self, from: &World, node: u8, found: &mut Found) {
        let its = &from.nodes[node as usize];
        if its.hold.is_some() || !self.may_answer(from, node) {
            return;
        }
        let Some(seen) = its.seen else {
            return self.look(from, node, found);
        };
        match seen.shard.owner {
            Some(victim) if victim != node && !seen.killed => self.kill(from, node, victim, found),
            _ => self.take(from, node, seen.shard, found),
        }
    }

    fn look(&self, from: &World, node: u8, found: &mut Found) {
        if self.next_epoch(from, node, from.shard) <= self.bounds.epochs {
            let mut world = *from;
            world.nodes[node as usize].started = true;
            world.nodes[node as usize].seen = Some(Seen { shard: from.shard, killed: false });
            self.to(found, Step::Look(node), world);
        }
    }

    /// The owner of record that was never silent for this epoch adopts it (a late CAS of its own has won); else the next
    /// one.
    fn next_epoch(&self, from: &World, node: u8, shard: Shard) -> u8 {
        let adopts = shard.owner == Some(node) && shard.epoch > from.nodes[node as usize].silent;
        if adopts { shard.epoch } else { shard.epoch + 1 }
    }

    /// My own applied CAS makes the row dead, whatever was read there.
    fn kill(&self, from: &World, node: u8, victim: u8, found: &mut Found) {
        let know = |world: &mut World| world.nodes[node as usize].seen.as_mut().expect("seen").killed = true;
        let mut world = *from;
        world.lives[victim as usize] = Life::Dead;
        know(&mut world);
        self.to(found, Step::Kill { node, victim, known: true }, world);
        if from.spent.unknown < self.bounds.unknown {
            let mut world = *from;
            world.send_late(Late::Kill(victim));
            self.to(found, Step::Kill { node, victim, known: false }, world);
        }
        if !self.keeps(Rule::KillByAnAppliedWrite) && from.lives[victim as usize] != Life::Up {
            let mut world = *from;
            know(&mut world);
            self.to(found, Step::ReadDead { node, victim }, world);
        }
    }

    fn take(&self, from: &World, node: u8, seen: Shard, found: &mut Found) {
        let epoch = self.next_epoch(from, node, seen);
        if epoch > self.bounds.epochs {
            return;
        }
        let mut world = *from;
        world.nodes[node as usize].seen = None;
        if from.shard.rev != seen.rev {
            return self.to(found, Step::Take { node, answer: "Mismatch" }, world);
        }
        let new = Shard { owner: Some(node), epoch, rev: seen.rev };
        if from.spent.unknown < self.bounds.unknown {
            let mut world = world;
            world.send_late(Late::Shard(new));
            self.to(found, Step::Take { node, answer: "Unknown" }, world);
        }
        world.shard = Shard { rev: seen.rev + 1, ..new };
        let unsettled = !self.keeps(Rule::EpochInTheVersion);
        let mut hold = Hold { epoch, rev: seen.rev + 1, unsettled, ..Hold::default() };
        if let Some(record) = world.nodes[node as usize].old.take() {
            hold.active = Some(Active { record, shown: Some(record.reply()), ..Active::default() });
        }
        world.nodes[node as usize].hold = Some(hold);
        self.to(found, Step::Take { node, answer: "Applied" }, world);
    }
}

// ---- R5, R7, R8: confirm, release, fenced -----------------------------------------------------------------------------

impl Protocol {
    fn with_a_hold(&self, from: &World, node: u8, found: &mut Found) {
        let Some(hold) = from.nodes[node as usize].hold else { return };
        self.release(from, node, &hold, found);
        self.confirm(from, node, &hold, found);
        let Some(active) = hold.active else {
            return self.load(from, node, &hold, found);
        };
        if active.put.is_some() {
            self.answer_to_put(from, node, &active, found);
        } else if !hold.stopped {
            self.seal(from, node, &active, found);
            self.turns(from, node, found);
        }
        if let Some(shown) = active.shown.filter(|_| self.may_answer(from, node)) {
            self.get(from, node, shown, found);
        }
        self.leave_the_object(from, node, &hold, &active, found);
    }

    /// One read of my own row for all that is settled. Who is fenced does nothing any more, which needs no step but to tell
    /// those that wait.
    fn confirm(&self, from: &World, node: u8, hold: &Hold, found: &mut Found) {
        let early = !self.keeps(Rule::ConfirmAfterTheAck);
        let joins = |call: u8| match from.calls[call as usize].stage {
            Stage::Settled => true,
            Stage::Written => early,
            _ => false,
        };
        let news = |active: Active| !active.seal && active.shown != Some(active.record.reply());
        let is_asked = calls_of(from, node).any(joins) || hold.active.is_some_and(news);
        let is_waited_for = calls_of(from, node).any(|call| from.calls[call as usize].stage == Stage::Queued);
        let life = from.lives[node as usize];
        if self.may_find_itself_up(life) && is_asked {
            let mut world = *from;
            for call in calls_of(from, node).filter(|call| joins(*call)) {
                match from.calls[call as usize].stage {
                    Stage::Written => world.calls[call as usize].stage = Stage::Early,
                    _ => answer(&mut world, call, from.calls[call as usize].reply),
                }
            }
            if let Some(active) = hold.active.filter(|active| !active.seal) {
                self::active(&mut world, node).shown = Some(active.record.reply());
                if self.bounds.cache {
                    world.fill_cache(active.record);
                }
            }
            self.to(found, Step::Confirm { node, up: true }, world);
        }
        if life != Life::Up && is_waited_for {
            let mut world = *from;
            self.lose_the_hold(&mut world, node);
            world.nodes[node as usize] = Node { started: true, gone: true, ..Node::default() };
            self.to(found, Step::Confirm { node, up: false }, world);
        }
    }

    /// From the moment of sending silent for this epoch, whatever the answer.
    fn release(&self, from: &World, node: u8, hold: &Hold, found: &mut Found) {
        if from.spent.releases >= self.bounds.releases || hold.stopped {
            return;
        }
        let mut sent = *from;
        sent.spent.releases += 1;
        let its = &mut sent.nodes[node as usize];
        its.silent = hold.epoch;
        if !self.keeps(Rule::EmptyAfterRelease) {
            its.old = hold.active.map(|active| active.record);
        }
        let nobodys = Shard { owner: None, epoch: hold.epoch, rev: hold.rev };

        let mut world = sent;
        self.lose_the_hold(&mut world, node);
        if world.shard.rev == hold.rev {
            world.shard = Shard { rev: hold.rev + 1, ..nobodys };
        }
        self.to(found, Step::Release { node, known: true }, world);

        if from.spent.unknown < self.bounds.unknown {
            let mut world = sent;
            world.send_late(Late::Shard(nobodys));
            if !self.keeps(Rule::NoReadsAfterRelease) {
                world.nodes[node as usize].hold.as_mut().expect("a hold").stopped = true;
            } else if self.keeps(Rule::NewEpochAfterRelease) {
                self.lose_the_hold(&mut world, node);
            }
            self.to(found, Step::Release { node, known: false }, world);
        }
    }

    /// Everything under the Hold dies with it. What waited has no effect; of what was written nobody here knows.
    pub fn lose_the_hold(&self, world: &mut World, node: u8) {
        world.nodes[node as usize].hold = None;
        for call in calls_of(world, node) {
            let its = world.calls[call as usize];
            match its.stage {
                Stage::Queued if !its.again => answer_not_executed(world, call),
                Stage::Queued | Stage::Written | Stage::Early | Stage::Settled => {
                    world.calls[call as usize].stage = Stage::Unknown;
                }
                Stage::None | Stage::Answered | Stage::Unknown | Stage::NotExecuted => {}
            }
        }
    }
}

// ---- Helpers ----------------------------------------------------------------------------------------------------------

pub fn active(world: &mut World, node: u8) -> &mut Active {
    let hold = world.nodes[node as usize].hold.as_mut().expect("a hold");
    hold.active.as_mut().expect("an active object")
}

/// The calls that this node has.
pub fn calls_of(world: &World, node: u8) -> impl Iterator<Item = u8> + use<> {
    let calls = world.calls;
    (0..CALLS as u8).filter(move |call| {
        let its = calls[*call as usize];
        its.stage != Stage::None && its.node == node
    })
}

/// Whether a keyed call may be sent again: nobody has told its caller anything yet.
pub fn is_open(call: &Call) -> bool {
    is_keyed(call.kind) && matches!(call.stage, Stage::Written | Stage::Early | Stage::Settled | Stage::Unknown)
}

/// Whether calls of this kind have keys, where any have.
pub fn is_keyed(kind: Kind) -> bool {
    matches!(kind, Kind::Add | Kind::AddIf)
}

/// How many calls of this kind are still to be sent.
pub fn calls_left(world: &World, bounds: &Bounds, kind: Kind) -> u8 {
    let most = match kind {
        Kind::Add => bounds.adds,
        Kind::AddIf => bounds.add_ifs,
        Kind::Get => bounds.gets,
        Kind::Fail => bounds.fails,
        Kind::Delete => bounds.deletes,
    };
    most - world.calls.iter().filter(|call| call.stage != Stage::None && call.kind == kind).count() as u8
}
