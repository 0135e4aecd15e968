//! The small models: what each may do, and how often. One big model would be out of reach; each of these is seen to its
//! end, and is big enough for the broken variants that it is there for.

/// What one model may do. Numbers are upper bounds over a whole run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub name: &'static str,
    pub store: Store,
    pub nodes: u8,
    /// Takes of the shard.
    pub epochs: u8,
    /// Calls, by kind. At most four together.
    pub adds: u8,
    pub add_ifs: u8,
    pub gets: u8,
    pub fails: u8,
    pub deletes: u8,
    /// New edits in one turn.
    pub batch: u8,
    /// Versions that one owner may use.
    pub versions: u8,
    /// Whether additions have keys. The record has room for one of them.
    pub keyed: bool,
    /// Calls sent again by their key.
    pub retries: u8,
    /// Keyed calls whose first sending is slower than what comes after it.
    pub stragglers: u8,
    /// CASes answered `Unknown`, which land later or never, on one replica or on a quorum.
    pub unknown: u8,
    pub releases: u8,
    /// Rows of dead nodes that are removed.
    pub removals: u8,
    /// Activations lost while a put is under way.
    pub drops: u8,
    /// Activations evicted at rest.
    pub evictions: u8,
    /// Puts answered `Refused`.
    pub refusals: u8,
    /// Whether there is a shared cache, with an index.
    pub cache: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// Three replicas, quorum writes and reads, the highest version wins. `repairs`: a read leaves what it found on both
    /// replicas it asked.
    Ordered { repairs: bool },
    /// One linearizable register with a check of the version before.
    Conditional,
}

impl Bounds {
    pub fn ordered(&self) -> bool {
        matches!(self.store, Store::Ordered { .. })
    }

    pub fn repairs(&self) -> bool {
        self.store == Store::Ordered { repairs: true }
    }
}

/// Nothing goes wrong but that nodes stand still and messages come late; two nodes, one edit.
const BASE: Bounds = Bounds {
    name: "",
    store: Store::Ordered { repairs: false },
    nodes: 2,
    epochs: 2,
    adds: 1,
    add_ifs: 0,
    gets: 1,
    fails: 0,
    deletes: 0,
    batch: 1,
    versions: 15,
    keyed: false,
    retries: 0,
    stragglers: 0,
    unknown: 0,
    releases: 0,
    removals: 0,
    drops: 0,
    evictions: 0,
    refusals: 0,
    cache: false,
};

/// R2, R5: kill, take, confirm.
pub const CONFIRM: Bounds = Bounds { name: "confirm", adds: 2, gets: 2, unknown: 2, ..BASE };

/// R10: the row of a dead node is removed, and its insert lands late.
pub const REMOVED: Bounds = Bounds { name: "removed", nodes: 3, epochs: 3, gets: 2, removals: 1, ..BASE };

/// The same where kills and takes land late too.
pub const REMOVED_LATE: Bounds = Bounds { name: "removed, late", adds: 2, unknown: 1, removals: 1, ..BASE };

/// R3: three owners, without the help of read repair.
pub const SEAL: Bounds = Bounds { name: "seal", nodes: 3, epochs: 3, gets: 2, ..BASE };

/// R3: three owners that put once, each read repaired, and one of them loads twice.
pub const SEAL_REPAIRED: Bounds = Bounds {
    name: "seal, repaired",
    store: Store::Ordered { repairs: true },
    nodes: 3,
    epochs: 3,
    adds: 2,
    gets: 2,
    versions: 1,
    evictions: 1,
    ..BASE
};

/// §2: what orders the puts of two owners.
pub const VERSIONS: Bounds = Bounds { name: "versions", adds: 2, evictions: 1, ..BASE };

/// R7: the shard goes to another node, and back.
pub const RELEASE: Bounds = Bounds { name: "release", epochs: 3, releases: 2, unknown: 1, ..BASE };

/// The same on a store that checks the version before.
pub const RELEASE_CONDITIONAL: Bounds =
    Bounds { name: "release, conditional", store: Store::Conditional, adds: 2, ..RELEASE };

/// R4: an activation is lost in the midst of a put.
pub const UNSETTLED: Bounds =
    Bounds { name: "unsettled", adds: 1, gets: 2, drops: 1, evictions: 1, refusals: 1, ..BASE };

/// R12: keys over failover, with room for one.
pub const KEYS: Bounds = Bounds { name: "keys", adds: 2, gets: 1, keyed: true, retries: 1, drops: 1, ..BASE };

/// The same on a store that checks the version before, with more going wrong.
pub const KEYS_CONDITIONAL: Bounds =
    Bounds { name: "keys, conditional", store: Store::Conditional, retries: 2, drops: 1, refusals: 1, ..KEYS };

/// R13: a keyed call, a deletion, and the call again.
pub const DELETION: Bounds = Bounds { name: "deletion", deletes: 1, gets: 2, keyed: true, retries: 2, ..BASE };

/// §2, R4: several calls in a turn, failing ones too.
pub const TURNS: Bounds = Bounds { name: "turns", adds: 2, fails: 1, batch: 2, refusals: 1, ..BASE };

/// §8: the shared cache gives back anything it ever held.
pub const CACHE: Bounds = Bounds { name: "cache", adds: 2, gets: 1, evictions: 2, cache: true, ..BASE };

/// R12: a first sending that comes after the second.
pub const STRAGGLER: Bounds = Bounds { name: "straggler", retries: 1, drops: 0, stragglers: 1, ..KEYS };

/// R12: a call that fails when it is sent again, while its first sending's put may still land.
pub const FAILURE: Bounds = Bounds { name: "failure", adds: 0, add_ifs: 1, gets: 2, evictions: 1, ..KEYS };

/// The same on a store that checks the version before, beside another edit. There an owner gives a put up only with its
/// Hold, so none is dropped.
pub const FAILURE_CONDITIONAL: Bounds = Bounds {
    name: "failure, conditional",
    store: Store::Conditional,
    adds: 1,
    gets: 1,
    drops: 0,
    refusals: 1,
    ..FAILURE
};
