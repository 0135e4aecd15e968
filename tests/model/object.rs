//! A node's work on the object: what the owner of the shard does with the record, by `protocol.md` R3, R4, R6, R12, R13.

use crate::node::{Active, Found, Hold, Protocol, active, calls_left, calls_of, is_keyed, is_open};
use crate::properties::{answer, answer_not_executed, is_edit};
use crate::rules::Rule;
use crate::steps::{Batch, Step};
use crate::world::{CALLS, Call, Kept, Kind, Record, Reply, Stage, Version, World};

// ---- R3, R4: load, seal, put ----------------------------------------------------------------------------------------------

impl Protocol {
    /// R3.
    pub fn load(&self, from: &World, node: u8, hold: &Hold, found: &mut Found) {
        let cached = || from.cache.iter().flatten();
        for record in cached().filter(|record| hold.index != Version::default() && record.version == hold.index) {
            self.activate(*from, node, *record, "the cache, by the index", found);
        }
        if !self.bounds.ordered() {
            self.load_from(*from, node, [0, 0], found);
        } else {
            let pairs = [[0, 1], [0, 2], [1, 2]];
            let all =
                pairs.into_iter().flat_map(|pair| from.when_asked(pair).into_iter().map(move |world| (world, pair)));
            all.for_each(|(world, pair)| self.load_from(world, node, pair, found));
        }
        if !self.keeps(Rule::CacheByVersion) {
            cached().for_each(|record| self.activate(*from, node, *record, "the cache, for it is there", found));
        }
    }

    /// From the newest of what these two replicas have; or from the cache, if it has the same version.
    fn load_from(&self, mut world: World, node: u8, pair: [usize; 2], found: &mut Found) {
        let mut record = world.read(0, pair, self.bounds.repairs());
        if !self.keeps(Rule::KeysInTheRecord) {
            let beside = world.read(1, pair, self.bounds.repairs());
            record = Record { kept: beside.kept, horizon: beside.horizon, ..record };
        }
        for cached in world.cache.iter().flatten().filter(|cached| cached.version == record.version) {
            self.activate(world, node, *cached, "the cache, by the store's version", found);
        }
        self.activate(world, node, record, "the store", found);
    }

    fn activate(&self, mut world: World, node: u8, record: Record, from: &'static str, found: &mut Found) {
        let step = Step::Load { node, from, found: record.version };
        let hold = world.nodes[node as usize].hold.as_mut().expect("a hold");
        if record.version.epoch() > hold.epoch {
            self.lose_the_hold(&mut world, node);
            return self.to(found, step, world);
        }
        let is_there = record.version != Version::default();
        let of_another = record.version.epoch() < hold.epoch && self.keeps(Rule::EpochInTheVersion);
        let seal = self.bounds.ordered() && is_there && (of_another || hold.unsettled) && self.keeps(Rule::Seal);
        let shown = (!seal).then(|| record.reply());
        hold.active = Some(Active { record, seal, shown, put: None });
        hold.index = if self.bounds.cache { record.version } else { Version::default() };
        if self.bounds.cache {
            world.fill_cache(record);
        }
        self.to(found, step, world);
    }

    pub fn seal(&self, from: &World, node: u8, active: &Active, found: &mut Found) {
        if active.seal && self.versions_left(from, node) {
            let mut world = *from;
            let version = self.next_version(&mut world, node, active.record.version);
            self.put(&mut world, node, Record { version, ..active.record });
            self.to(found, Step::Seal { node, version }, world);
        }
    }

    fn versions_left(&self, world: &World, node: u8) -> bool {
        world.nodes[node as usize].hold.is_some_and(|hold| hold.seq < self.bounds.versions)
    }

    /// Every successful edit and every seal takes the next one.
    fn next_version(&self, world: &mut World, node: u8, last: Version) -> Version {
        if !self.keeps(Rule::EpochInTheVersion) {
            return Version::new(0, last.seq() + 1);
        }
        let hold = world.nodes[node as usize].hold.as_mut().expect("a hold");
        hold.seq += 1;
        Version::new(hold.epoch, hold.seq)
    }

    fn put(&self, world: &mut World, node: u8, record: Record) {
        let active = active(world, node);
        let prev = active.record.version;
        active.put = Some(record);
        for (row, record) in self.rows(record) {
            world.send(row, record, prev);
        }
    }

    /// What is written for a record: the record. Or the state and the keys, each by itself.
    fn rows(&self, record: Record) -> impl Iterator<Item = (u8, Record)> {
        let split = !self.keeps(Rule::KeysInTheRecord);
        let state = Record { kept: None, horizon: Version::default(), ..record };
        let keys = Record { ver: Version::default(), sum: Default::default(), deleted: false, ..record };
        [Some((0, if split { state } else { record })), split.then_some((1, keys))].into_iter().flatten()
    }

    /// R4: what the store says to the put under way.
    pub fn answer_to_put(&self, from: &World, node: u8, active: &Active, found: &mut Found) {
        let put = active.put.expect("a put under way");
        if self.bounds.ordered() {
            let one = |worlds: Vec<World>, (row, record): (u8, Record)| {
                worlds.into_iter().flat_map(|world| world.when_stored(row, &record)).collect()
            };
            let stored: Vec<World> = self.rows(put).fold(vec![*from], one);
            stored.into_iter().for_each(|world| self.settle(world, node, found));
        } else if from.replicas[0][0].version == put.version {
            self.settle(*from, node, found);
        } else if !from.puts.iter().flatten().any(|under_way| under_way.record == put) {
            self.conflict(from, node, found);
        }
        if from.is_unseen(&put) && from.spent.refusals < self.bounds.refusals {
            let mut world = *from;
            world.spent.refusals += 1;
            world.call_off(&put);
            self.undo(&mut world, node);
            self.to(found, Step::Refused(node), world);
        }
        if !self.keeps(Rule::UnknownMayLand) {
            let mut world = *from;
            self.undo(&mut world, node);
            self.to(found, Step::GivesUp(node), world);
        }
        let copy = put.kept.filter(|kept| is_open(&from.calls[kept.call as usize]) && self.bounds.retries > 0);
        if let Some(kept) = copy.filter(|_| !self.keeps(Rule::StoredReplyAfterThePut)) {
            let mut world = *from;
            world.calls[kept.call as usize].again = true;
            self.settled(&mut world, node, kept.call, kept.reply);
            self.to(found, Step::FromWorkingCopy { node, call: kept.call }, world);
        }
    }

    /// The put is in the store: what its turn answers joins the next confirm.
    fn settle(&self, mut world: World, node: u8, found: &mut Found) {
        world.nodes[node as usize].hold.as_mut().expect("a hold").unsettled = false;
        let active = active(&mut world, node);
        let put = active.put.take().expect("a put under way");
        let only_sealed = put.ver == active.record.ver;
        active.record = put;
        active.seal = false;
        // Whoever answers now publishes now.
        if only_sealed || !self.keeps(Rule::Confirm) || !self.keeps(Rule::ConfirmAfterTheAck) {
            active.shown = Some(put.reply());
        }
        if self.bounds.cache {
            world.nodes[node as usize].hold.as_mut().expect("a hold").index = put.version;
        }
        for call in calls_of(&world, node) {
            match world.calls[call as usize].stage {
                Stage::Written => {
                    let reply = world.calls[call as usize].reply;
                    self.settled(&mut world, node, call, reply);
                }
                Stage::Early => {
                    let reply = world.calls[call as usize].reply;
                    answer(&mut world, call, reply);
                }
                _ => {}
            }
        }
        self.to(found, Step::Stored(node), world);
    }

    /// Everything this reply saw is settled.
    fn settled(&self, world: &mut World, node: u8, call: u8, reply: Reply) {
        let its = &mut world.calls[call as usize];
        let wrote = is_edit(its.kind) && !its.again;
        *its = Call { stage: Stage::Settled, node, reply, ..*its };
        if !self.keeps(Rule::Confirm) || (!self.keeps(Rule::ConfirmForEveryAnswer) && !wrote) {
            answer(world, call, reply);
        }
    }

    /// Conditional: another version is stored. Of a higher epoch: the Hold is over. Else load, and run the turn again.
    fn conflict(&self, from: &World, node: u8, found: &mut Found) {
        let mut world = *from;
        let epoch = world.nodes[node as usize].hold.expect("a hold").epoch;
        if world.replicas[0][0].version.epoch() > epoch {
            self.lose_the_hold(&mut world, node);
        } else {
            for call in calls_of(&world, node).filter(|call| from.calls[*call as usize].stage == Stage::Written) {
                world.calls[call as usize].stage = Stage::Queued;
            }
            let hold = world.nodes[node as usize].hold.as_mut().expect("a hold");
            hold.active = None;
            hold.index = Version::default();
        }
        self.to(found, Step::Conflict(node), world);
    }

    /// The put had no effect: nor have its calls, the failed ones of that turn too.
    fn undo(&self, world: &mut World, node: u8) {
        active(world, node).put = None;
        for call in calls_of(world, node) {
            let its = world.calls[call as usize];
            match its.stage {
                // An earlier sending of it may have had one.
                Stage::Written if its.again => world.calls[call as usize].stage = Stage::Unknown,
                Stage::Written => answer_not_executed(world, call),
                _ => {}
            }
        }
    }

    /// R4, §8: the activation goes, lost with its put or evicted at rest; the Hold stays.
    pub fn leave_the_object(&self, from: &World, node: u8, hold: &Hold, active: &Active, found: &mut Found) {
        let mut world = *from;
        let left = world.nodes[node as usize].hold.as_mut().expect("a hold");
        left.active = None;
        if active.put.is_some() && from.spent.drops < self.bounds.drops {
            left.unsettled = hold.unsettled || self.keeps(Rule::UnsettledIsRemembered);
            left.index = Version::default();
            world.spent.drops += 1;
            for call in calls_of(from, node).filter(|call| from.calls[*call as usize].stage == Stage::Written) {
                world.calls[call as usize].stage = Stage::Unknown;
            }
            self.to(found, Step::Drops(node), world);
        } else if active.put.is_none() && !active.seal && from.spent.evictions < self.bounds.evictions {
            world.spent.evictions += 1;
            self.to(found, Step::Evicts(node), world);
        }
    }
}

// ---- R4, R12, R13: turns ----------------------------------------------------------------------------------------------

impl Protocol {
    pub fn turns(&self, from: &World, node: u8, found: &mut Found) {
        let epoch = from.nodes[node as usize].hold.expect("a hold").epoch;
        let new = |kind| if self.versions_left(from, node) { calls_left(from, &self.bounds, kind) } else { 0 };
        let mut batches = vec![];
        if calls_of(from, node).any(|call| from.calls[call as usize].stage == Stage::Queued) {
            batches.push(Batch::Waiting);
        }
        let edits = [Kind::Add, Kind::AddIf, Kind::Fail, Kind::Delete];
        batches.extend(edits.into_iter().filter(|kind| new(*kind) > 0).map(Batch::One));
        if self.bounds.batch > 1 && new(Kind::Add) > 1 {
            batches.push(Batch::Two(Kind::Add, Kind::Add));
        }
        if self.bounds.batch > 1 && new(Kind::Add) > 0 && new(Kind::Fail) > 0 {
            batches.push(Batch::Two(Kind::Add, Kind::Fail));
        }
        if from.spent.retries < self.bounds.retries {
            let later = |call: &Call| call.quote.epoch() > epoch && self.keeps(Rule::CallsForTheirEpoch);
            let may = |call: &Call| is_open(call) && !later(call);
            let again = (0..CALLS as u8).filter(|call| may(&from.calls[*call as usize]));
            batches.extend(again.map(Batch::Again));
        }
        let comes = |call: &Call| call.travels && call.quote.epoch() <= epoch;
        batches.extend((0..CALLS as u8).filter(|call| comes(&from.calls[*call as usize])).map(Batch::Straggler));
        for batch in batches {
            let mut world = *from;
            if self.turn(&mut world, node, batch) {
                self.to(found, Step::Turn { node, batch }, world);
            }
        }
    }

    /// All calls of the turn on one working copy, then one put. A turn that changes nothing joins the next confirm; it must
    /// wait for the seal, and is one itself where a call of it may still come late. Whether the turn can be run now.
    fn turn(&self, world: &mut World, node: u8, batch: Batch) -> bool {
        let mut run: Vec<u8> =
            calls_of(world, node).filter(|call| world.calls[*call as usize].stage == Stage::Queued).collect();
        match batch {
            Batch::Waiting => {}
            Batch::One(kind) => run.push(self.send(world, node, kind)),
            Batch::Two(one, other) => run.extend([one, other].map(|kind| self.send(world, node, kind))),
            Batch::Again(call) => {
                world.spent.retries += 1;
                let its = &mut world.calls[call as usize];
                *its = Call { node, again: true, ..*its };
                run.push(call);
            }
            Batch::Straggler(call) => {
                world.calls[call as usize].travels = false;
                run.push(call);
            }
        }
        let Active { record: base, seal, .. } = *active(world, node);
        let mut copy = base;
        let mut replies = vec![];
        for call in run {
            match self.run(world, node, call, &mut copy, batch) {
                _ if batch == Batch::Straggler(call) => {}
                Some(reply) => replies.push((call, reply)),
                None => world.calls[call as usize].stage = Stage::Unknown,
            }
        }
        if copy == base {
            if seal || !self.may_come_late(world, node, &base, &replies) {
                replies.iter().for_each(|(call, reply)| self.settled(world, node, *call, *reply));
                return !seal;
            }
            copy.version = self.next_version(world, node, base.version);
        }
        for (call, mut reply) in replies {
            let its = &mut world.calls[call as usize];
            if !self.keeps(Rule::TagForEachCall) && is_edit(its.kind) {
                reply.tag = copy.version;
            }
            *its = Call { stage: Stage::Written, reply, ..*its };
        }
        self.put(world, node, copy);
        true
    }

    /// R12: whether a put of an owner before this one may still land, and one of the calls was in it.
    fn may_come_late(&self, world: &World, node: u8, base: &Record, replies: &[(u8, Reply)]) -> bool {
        let ours = base.version.epoch() == world.nodes[node as usize].hold.expect("a hold").epoch;
        let was_sent = |(call, _): &(u8, Reply)| world.calls[*call as usize].again;
        !ours && replies.iter().any(was_sent) && self.keeps(Rule::FailureOverAnOwnRecord)
    }

    /// A keyed call is sent, and slow. Its sender does not wait: he sends it again.
    pub fn sent(&self, from: &World, found: &mut Found) {
        let owner = from.shard.owner.filter(|owner| from.nodes[*owner as usize].hold.is_some());
        let is_left = from.spent.stragglers < self.bounds.stragglers && calls_left(from, &self.bounds, Kind::Add) > 0;
        if let Some(owner) = owner.filter(|_| is_left) {
            let mut world = *from;
            world.spent.stragglers += 1;
            let call = self.send(&mut world, owner, Kind::Add);
            let its = &mut world.calls[call as usize];
            *its = Call { stage: Stage::Unknown, travels: true, ..*its };
            self.to(found, Step::Sent(call), world);
        }
    }

    /// A caller sends a call; a node begins with it at once.
    fn send(&self, world: &mut World, node: u8, kind: Kind) -> u8 {
        let call = world.calls.iter().position(|call| call.stage == Stage::None).expect("calls within the bounds");
        // A call comes with the epoch it was sent for, and a node of an earlier one refuses it.
        let owners = world.nodes[node as usize].hold.expect("a hold").epoch;
        let epoch = if self.keeps(Rule::CallsForTheirEpoch) { owners } else { world.shard.epoch };
        let quote = if self.bounds.retries > 0 { Version::new(epoch, 0) } else { Version::default() };
        let floor = world.answered;
        world.calls[call] = Call { kind, stage: Stage::Queued, node, floor, quote, ..Call::default() };
        call as u8
    }

    /// One call on the working copy. Nothing: it was not run, and what became of it before is not known.
    fn run(&self, world: &mut World, node: u8, call: u8, copy: &mut Record, batch: Batch) -> Option<Reply> {
        let its = world.calls[call as usize];
        if !is_edit(its.kind) {
            return Some(copy.reply());
        }
        let keyed = self.bounds.keyed && is_keyed(its.kind);
        let found = copy.kept.filter(|kept| kept.call == call && self.keeps(Rule::HorizonOfTheTimed));
        if let Some(kept) = found {
            return Some(kept.reply);
        }
        let asks = match batch {
            Batch::Straggler(straggler) if straggler == call => self.keeps(Rule::HorizonForFirstSendings),
            _ => its.again,
        };
        if asks && copy.horizon >= its.quote {
            return None;
        }
        if its.kind == Kind::AddIf && its.again {
            return Some(copy.reply());
        }
        let version = self.next_version(world, node, copy.version);
        let deleted = its.kind == Kind::Delete;
        *copy = Record { version, ver: version, sum: copy.sum.with(call), deleted, ..*copy };
        if keyed {
            if let Some(forgotten) = copy.kept.filter(|_| self.keeps(Rule::HorizonOfTheCounted)) {
                copy.horizon = forgotten.reply.tag;
            }
            copy.kept = Some(Kept { call, reply: copy.reply() });
        }
        if deleted && !self.keeps(Rule::KeysOutliveTheObject) {
            *copy = Record { kept: None, horizon: Version::default(), ..*copy };
        }
        Some(copy.reply())
    }

    /// R6: a view, on the published snapshot.
    pub fn get(&self, from: &World, node: u8, shown: Reply, found: &mut Found) {
        if calls_left(from, &self.bounds, Kind::Get) > 0 {
            let mut world = *from;
            let call = self.send(&mut world, node, Kind::Get);
            self.settled(&mut world, node, call, shown);
            self.to(found, Step::Get { node, call }, world);
        }
    }
}
