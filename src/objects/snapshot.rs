//! A published state: what views run on, and what the next turn builds upon.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::object::{State, TypeDef};
use super::record::{Kept, Meta, state_hash};
use crate::error::{Error, Kind, Result};
use crate::locks::{Published, Tier};
use crate::model::{Loaded, ObjectKey, Record, Rev, Seen, Version};

/// What is durable and confirmed of an object; or, while it is [to be sealed](Self::to_seal), what an owner before this left.
pub(crate) struct Snapshot {
    /// The record in the store; `None`: there is none.
    pub(crate) seen: Option<Seen>,
    /// The living state; `None`: never written, or deleted.
    pub(crate) life: Option<Life>,
    /// What belongs to the URI and not to the life.
    pub(crate) memory: Arc<Memory>,
    /// Where it was loaded, as long as a late put of an earlier owner may shadow it (rule R3). Until a put under this
    /// Hold, a turn's or one for that alone, nothing that depends on it is shown to anybody.
    pub(crate) to_seal: Option<Tier>,
}

/// The state of an object that is there.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) state: Arc<dyn State>,
    /// The same as JSON.
    pub(crate) json: Bytes,
    /// The entity tag: version of the last change.
    pub(crate) ver: Version,
    /// Version of the commit that began this life.
    pub(crate) born: Version,
}

/// The part of a record that outlives deletion.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    pub(crate) kept: Vec<Kept>,
    pub(crate) horizon: Version,
    pub(crate) schema: u64,
    pub(crate) other: Vec<(Bytes, Bytes)>,
}

impl Memory {
    /// What most objects remember, kept once for all of them.
    fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<Memory>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// What it is in a record, at most.
    pub(crate) fn bytes(&self) -> usize {
        let kept: usize = self.kept.iter().map(Kept::bytes).sum();
        let other: usize = self.other.iter().map(|(name, value)| name.len() + value.len()).sum();
        kept + other
    }

    fn is_none(&self) -> bool {
        self.kept.is_empty() && self.other.is_empty() && self.horizon == Version::default() && self.schema == 0
    }
}

impl Snapshot {
    /// Of an object that has no record.
    pub(crate) fn absent() -> Self {
        Self { seen: None, life: None, memory: Memory::none(), to_seal: None }
    }

    /// Of a put that is settled.
    pub(crate) fn of(version: Version, rev: Rev, life: Option<Life>, memory: Arc<Memory>) -> Self {
        Self { seen: Some(Seen { version, rev }), life, memory, to_seal: None }
    }

    /// Of a record, checked. `newest`: the newest format that is read.
    ///
    /// # Errors
    /// `record-corrupt` when the record contradicts itself or does not fit the type.
    pub(crate) fn read(def: &TypeDef, key: &ObjectKey, loaded: Loaded, newest: u32) -> Result<Self> {
        let Loaded { record, rev } = loaded;
        let corrupt = |why: String| {
            Error::new(Kind::RecordCorrupt, "the stored record of this object cannot be used")
                .with_key(key)
                .with_detail(why)
        };
        let meta = Meta::of(&record, newest).map_err(corrupt)?;
        let life = if meta.deleted {
            None
        } else {
            let state = (def.decode)(&record.state).map_err(|error| corrupt(error.message().to_owned()))?;
            Some(Life { state: state.into(), json: record.state, ver: meta.ver, born: meta.born })
        };
        let memory = Memory { kept: meta.idempotency, horizon: meta.horizon, schema: meta.schema, other: meta.other };
        let memory = if memory.is_none() { Memory::none() } else { Arc::new(memory) };
        Ok(Self::of(record.version, rev, life, memory))
    }

    /// The entity tag; `None` where nothing is.
    pub(crate) fn tag(&self) -> Option<Version> {
        self.life.as_ref().map(|life| life.ver)
    }

    /// The record of this state under `version`, in this format: what is put.
    pub(crate) fn record(life: Option<&Life>, memory: &Memory, version: Version, format: u32) -> Record {
        let state = life.map_or_else(Bytes::new, |life| life.json.clone());
        let meta = Meta {
            format,
            version,
            ver: life.map_or(version, |life| life.ver),
            born: life.map_or_else(Version::default, |life| life.born),
            deleted: life.is_none(),
            state_hash: state_hash(&state, format),
            schema: memory.schema,
            idempotency: memory.kept.clone(),
            horizon: memory.horizon,
            other: memory.other.clone(),
        };
        Record { version, meta: meta.encode(), state }
    }
}

impl Published for Snapshot {
    fn weight(&self) -> usize {
        // The decoded state is guessed by its JSON.
        let life = self.life.as_ref().map_or(0, |life| 2 * life.json.len());
        size_of::<Self>() + size_of::<Memory>() + life + self.memory.bytes()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("seen", &self.seen).finish_non_exhaustive()
    }
}
