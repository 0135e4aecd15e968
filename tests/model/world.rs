//! The world: what nodes share. Registers, the object's record in the store, messages under way, a shared cache, and the
//! callers with what they were told.
//!
//! **Time** is left out: any step may be the next one. So a node that is paused, frozen or killed is one of which no
//! step is taken any more, a message that is lost is one that never arrives, and a timeout needs no step of its own.
//!
//! **The object** adds up numbers, and the answer tells the sum. Call `i` adds `4^i`, so two bits of a sum say how often
//! that call took effect in it: a sum is the history it came from. A deletion counts like an addition: what it does to
//! the state is kept apart in the record, so that what follows it stays visible.

use std::fmt;

use crate::bounds::Bounds;

pub const NODES: usize = 3;
pub const CALLS: usize = 4;
const REPLICAS: usize = 3;

/// `epoch·16 + seq`; 0 stands for "absent". Also an ETag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u8);

impl Version {
    pub fn new(epoch: u8, seq: u8) -> Version {
        assert!(epoch < 16 && seq < 16, "a version of the model has four bits each");
        Version(epoch << 4 | seq)
    }

    pub fn epoch(self) -> u8 {
        self.0 >> 4
    }

    pub fn seq(self) -> u8 {
        self.0 & 15
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "nothing"),
            _ => write!(f, "{}-{}", self.epoch(), self.seq()),
        }
    }
}

/// Which calls the state came from, two bits each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum(pub u8);

impl Sum {
    /// This sum after call `call` once more.
    pub fn with(self, call: u8) -> Sum {
        Sum(self.0 + (1 << (2 * call)))
    }

    pub fn has(self, call: u8) -> bool {
        self.0 >> (2 * call) & 3 > 0
    }

    /// Whether everything in `other` is in this one.
    pub fn holds(self, other: Sum) -> bool {
        (0..CALLS as u8).all(|call| self.0 >> (2 * call) & 3 >= other.0 >> (2 * call) & 3)
    }

    /// Whether a call took effect more than once.
    pub fn has_a_double(self) -> bool {
        self.0 & 0b1010_1010 > 0
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = (0..CALLS)
            .map(|call| (call, self.0 >> (2 * call) & 3))
            .filter(|(_, times)| *times > 0)
            .map(|(call, times)| if times == 1 { format!("#{call}") } else { format!("{times}×#{call}") })
            .collect();
        write!(f, "{{{}}}", parts.join(" "))
    }
}

/// What a caller is told: the state, and its ETag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Reply {
    pub sum: Sum,
    pub tag: Version,
}

/// A call that is remembered by its key (R12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kept {
    pub call: u8,
    pub reply: Reply,
}

/// The record, as in the store. It remembers one keyed call, so that the second one forgets the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Record {
    pub version: Version,
    /// Version of the last change of the state: the ETag of a read.
    pub ver: Version,
    pub sum: Sum,
    pub deleted: bool,
    pub horizon: Version,
    pub kept: Option<Kept>,
}

impl Record {
    pub fn reply(&self) -> Reply {
        Reply { sum: self.sum, tag: self.ver }
    }
}

/// `node/<incarnation>`. A process that joins again has a new incarnation, and knows nothing: it is another node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Life {
    #[default]
    Up,
    /// `dead` is decided, but one replica alone knows: a read may see it, or not.
    Dying,
    Dead,
    /// The row was removed.
    Gone,
    /// And then an insert of it landed, which had been sent twice: it says `up`, and that the life has not beaten yet.
    Risen,
}

/// `shard/<n>`. `rev` tells one write from the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shard {
    pub owner: Option<u8>,
    pub epoch: u8,
    pub rev: u8,
}

/// A CAS whose answer was `Unknown`: it lands later, or never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Late {
    Kill(u8),
    Shard(Shard),
}

/// A put under way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Put {
    /// 0 is the object. 1 is a row that there should not be: see [`crate::rules::Rule::KeysInTheRecord`].
    pub row: u8,
    pub record: Record,
    /// Conditional: applied iff this is the stored version.
    pub prev: Version,
    /// Ordered: replicas that do not have it yet, a bit each. It may reach any of them at any time, or never.
    pub missing: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Kind {
    #[default]
    Add,
    /// An addition under a condition that holds when it is first sent. When it is sent again it does not: then the call
    /// fails, unless its first time is remembered, and says what it saw and that it has no effect.
    AddIf,
    /// An edit that looks at the state and answers its own error: writes nothing, tells what it saw.
    Fail,
    Get,
    Delete,
}

/// Where a call is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stage {
    /// There is no such call yet.
    #[default]
    None,
    /// Waits for a turn: its first one was undone.
    Queued,
    /// Its turn's put is not settled.
    Written,
    /// The same, and confirmed already: wrong.
    Early,
    /// All that its answer saw is settled; waits for a confirm.
    Settled,
    Answered,
    /// 504, or nothing: it may have taken effect, or may yet.
    Unknown,
    NotExecuted,
}

/// One caller's call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Call {
    pub kind: Kind,
    pub stage: Stage,
    /// The node that has it.
    pub node: u8,
    /// Whether it was sent a second time, by its key.
    pub again: bool,
    /// Whether its first sending is still on its way to the node.
    pub travels: bool,
    pub reply: Reply,
    /// What had been answered to anybody when it was first sent: its answer must hold all of that.
    pub floor: Sum,
    /// A version known before it was first sent (R12).
    pub quote: Version,
}

/// How often the bounded misfortunes have happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Spent {
    pub unknown: u8,
    pub releases: u8,
    pub drops: u8,
    pub evictions: u8,
    pub refusals: u8,
    pub retries: u8,
    pub stragglers: u8,
    pub removals: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct World {
    pub shard: Shard,
    pub lives: [Life; NODES],
    pub late: [Option<Late>; 3],
    /// What each replica holds, for both rows; a conditional store is the first replica alone.
    pub replicas: [[Record; 2]; REPLICAS],
    pub puts: [Option<Put>; 6],
    /// Everything that was ever put in the shared cache. What it gives is any of it, or nothing: it may be evicted,
    /// restarted with old data, or lie.
    pub cache: [Option<Record>; 5],
    pub nodes: [crate::node::Node; NODES],
    pub calls: [Call; CALLS],
    /// The union of all answers.
    pub answered: Sum,
    pub spent: Spent,
    pub broken: Option<crate::properties::Broken>,
}

// ---- Registers --------------------------------------------------------------------------------------------------------

impl World {
    /// The sender of this CAS heard `Unknown`.
    pub fn send_late(&mut self, late: Late) {
        let free = self.late.iter_mut().find(|slot| slot.is_none()).expect("room for a late CAS");
        *free = Some(late);
        self.spent.unknown += 1;
    }

    /// A late CAS comes to the register. `known` says whether a quorum hears of it, or one replica alone.
    pub fn land(&mut self, at: usize, known: bool) {
        match self.late[at].take() {
            Some(Late::Kill(victim)) => {
                let life = &mut self.lives[victim as usize];
                match *life {
                    Life::Up if !known => *life = Life::Dying,
                    Life::Up => *life = Life::Dead,
                    // What it quotes is not there.
                    Life::Dying | Life::Dead | Life::Gone | Life::Risen => {}
                }
            }
            // `rev` is the one it was sent with, so a row that changed since refuses it.
            Some(Late::Shard(new)) if new.rev == self.shard.rev => self.shard = Shard { rev: new.rev + 1, ..new },
            Some(Late::Shard(_)) | None => {}
        }
    }
}

// ---- The store --------------------------------------------------------------------------------------------------------

/// Whether this write replaces that on a replica. At one version the greater bytes win, and nobody knows which those are:
/// here, the smaller sum.
fn replaces(new: &Record, old: &Record) -> bool {
    (new.version, std::cmp::Reverse(new.sum)) > (old.version, std::cmp::Reverse(old.sum))
}

impl World {
    pub fn send(&mut self, row: u8, record: Record, prev: Version) {
        let free = self.puts.iter_mut().find(|slot| slot.is_none()).expect("room for a put");
        *free = Some(Put { row, record, prev, missing: (1 << REPLICAS) - 1 });
    }

    /// A put comes to a replica.
    fn arrive(&mut self, at: usize, replica: usize) {
        let put = self.puts[at].as_mut().expect("a put under way");
        let held = &mut self.replicas[replica][put.row as usize];
        put.missing &= !(1 << replica);
        if replaces(&put.record, held) {
            *held = put.record;
        }
    }

    /// A put comes to a conditional store.
    pub fn land_put(&mut self, at: usize) {
        let put = self.puts[at].as_mut().expect("a put under way");
        let held = &mut self.replicas[0][put.row as usize];
        if held.version == put.prev {
            *held = put.record;
        }
    }

    /// What may have become of the world when these replicas are asked: any of what is under way to them has arrived.
    ///
    /// On an ordered store the newest wins, so it matters what has arrived, and not in which order; and nobody knows before
    /// he asks. So arrivals have no steps of their own.
    pub fn when_asked(self, replicas: [usize; 2]) -> Vec<World> {
        let mut worlds = vec![self];
        for replica in replicas {
            for at in 0..self.puts.len() {
                for world in 0..worlds.len() {
                    if worlds[world].puts[at].is_some_and(|put| put.missing >> replica & 1 == 1) {
                        let mut arrived = worlds[world];
                        arrived.arrive(at, replica);
                        worlds.push(arrived);
                    }
                }
            }
        }
        worlds
    }

    /// The same when two replicas have acknowledged this put. Of the third one nothing is known.
    pub fn when_stored(self, row: u8, record: &Record) -> Vec<World> {
        let is_it = |slot: &Option<Put>| slot.is_some_and(|put| put.row == row && put.record == *record);
        let Some(at) = self.puts.iter().position(is_it) else {
            return vec![self];
        };
        let missing = self.puts[at].expect("a put under way").missing;
        if missing.count_ones() <= 1 {
            return vec![self];
        }
        let is_missing = |replica: &usize| missing >> replica & 1 == 1;
        let without = |third: usize| {
            let mut world = self;
            let others = (0..REPLICAS).filter(|replica| *replica != third && is_missing(replica));
            others.for_each(|replica| world.arrive(at, replica));
            world
        };
        (0..REPLICAS).filter(is_missing).map(without).collect()
    }

    /// Whether no replica has seen this put.
    pub fn is_unseen(&self, record: &Record) -> bool {
        let missing = self.puts.iter().flatten().filter(|put| put.record == *record).map(|put| put.missing);
        missing.min() == Some((1 << REPLICAS) - 1)
    }

    /// It was refused: certainly no effect.
    pub fn call_off(&mut self, record: &Record) {
        for slot in &mut self.puts {
            if slot.is_some_and(|put| put.record == *record) {
                *slot = None;
            }
        }
    }

    /// The newest of what these two replicas hold; with read repair both hold it before the answer.
    pub fn read(&mut self, row: usize, pair: [usize; 2], repair: bool) -> Record {
        let (one, other) = (self.replicas[pair[0]][row], self.replicas[pair[1]][row]);
        let newest = if replaces(&one, &other) { one } else { other };
        if repair {
            self.replicas[pair[0]][row] = newest;
            self.replicas[pair[1]][row] = newest;
        }
        newest
    }

    pub fn fill_cache(&mut self, record: Record) {
        if record.version == Version::default() || self.cache.contains(&Some(record)) {
            return;
        }
        let free = self.cache.iter_mut().find(|slot| slot.is_none()).expect("room in the cache");
        *free = Some(record);
    }
}

// ---- Two worlds that differ in nothing --------------------------------------------------------------------------------

impl World {
    /// Worlds that go on in the same way are made equal: what cannot have an effect any more is dropped, and what has no
    /// order is sorted.
    pub fn tidy(&mut self, bounds: &Bounds) {
        for slot in &mut self.puts {
            let Some(put) = slot else { continue };
            if bounds.ordered() {
                // A replica that holds something newer answers without a change.
                for (at, held) in self.replicas.iter().enumerate() {
                    if put.missing >> at & 1 == 1 && !replaces(&put.record, &held[put.row as usize]) {
                        put.missing &= !(1 << at);
                    }
                }
                if put.missing == 0 {
                    *slot = None;
                }
            } else if put.prev != self.replicas[0][put.row as usize].version {
                // Versions never come back, so it can never be applied.
                *slot = None;
            }
        }
        for slot in &mut self.late {
            let lost = match slot {
                Some(Late::Kill(victim)) => self.lives[*victim as usize] != Life::Up,
                Some(Late::Shard(new)) => new.rev != self.shard.rev,
                None => true,
            };
            if lost {
                *slot = None;
            }
        }
        for call in &mut self.calls {
            // What nobody asks for again. A sum that has an answered edit has its floor too.
            match call.stage {
                Stage::Answered => *call = Call { node: 0, again: false, floor: Sum(0), quote: Version(0), ..*call },
                Stage::Unknown => *call = Call { node: 0, reply: Reply::default(), ..*call },
                _ => {}
            }
        }
        self.late.sort_unstable();
        self.puts.sort_unstable_by_key(|slot| slot.map(|put| (put.row, put.record, put.prev)));
        self.cache.sort_unstable();
        if bounds.ordered() {
            self.sort_replicas();
        }
    }

    /// Replicas have no names.
    fn sort_replicas(&mut self) {
        let seen = |replica: usize| {
            let missing = self.puts.map(|slot| slot.map_or(0, |put| put.missing >> replica & 1));
            (self.replicas[replica], missing)
        };
        let mut order = [0, 1, 2];
        order.sort_by_key(|replica| seen(*replica));
        if order == [0, 1, 2] {
            return;
        }
        self.replicas = order.map(|replica| self.replicas[replica]);
        for put in self.puts.iter_mut().flatten() {
            let bits = put.missing;
            put.missing = (0..REPLICAS).map(|at| (bits >> order[at] & 1) << at).sum();
        }
    }
}
