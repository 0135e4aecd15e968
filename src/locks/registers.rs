//! Registers: small linearizable values, and how to change one when answers get lost (rule R1).

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::clock;
use crate::error::{Error, Result};
use crate::model::{Cas, Register, Rev};

/// `node/<incarnation>`: one life of one process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct NodeRow {
    pub(super) state: NodeState,
    /// The host's name: stable over its lives.
    pub(super) name: String,
    /// Where other nodes reach it, such as `http://10.0.0.5:8080`; empty when they do not.
    #[serde(default)]
    pub(super) addr: String,
    /// Grows while it lives.
    #[serde(default)]
    pub(super) beat: u64,
    #[serde(default)]
    pub(super) drain: bool,
    /// The newest record format it reads and writes; it reads and writes all before it too.
    #[serde(default)]
    pub(super) format: u32,
    /// When it joined, in milliseconds since the Unix epoch, by its own clock. For people alone.
    #[serde(default)]
    pub(super) since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NodeState {
    Up,
    Dead,
}

/// `shard/<n>`: who owns it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ShardRow {
    pub(super) owner: Option<String>,
    pub(super) epoch: u32,
}

/// `meta/cluster`: fixed at the first start, for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ClusterRow {
    pub(super) shards: u32,
    /// The newest record format that may be written: who does not read it must not join.
    pub(super) format: u32,
    /// Random: tells this cluster's objects from those of any other in a cache that both use.
    #[serde(default)]
    pub(super) id: String,
    /// Random: what nodes show each other when they are given nothing else to show.
    #[serde(default)]
    pub(super) secret: String,
}

/// How long a register that does not answer is tried.
pub(super) const TRY_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// A register's value, if it is there.
pub(super) async fn read<T: DeserializeOwned>(cache: &Cache, register: &Register) -> Result<Option<(T, Rev)>> {
    let Some(entry) = cache.get(register).await? else { return Ok(None) };
    match serde_json::from_slice(&entry.value) {
        Ok(row) => Ok(Some((row, entry.rev))),
        Err(error) => Err(Error::internal(format!("the register {} cannot be read: {error}", register.name()))),
    }
}

/// Changes a register: `propose` gets what stands there and says what should, or `None` to leave it. Answers what stands
/// there now.
///
/// After an unknown answer the register is read again. If one of our own proposals stands there it is written once more
/// over itself, until one answer says that it was applied: a value that was only read proves nothing about a quorum.
pub(super) async fn change<T, F>(cache: &Cache, register: &Register, propose: F) -> Result<Option<T>>
where
    T: Serialize + DeserializeOwned + PartialEq + Clone,
    F: FnMut(Option<&T>) -> Option<T>,
{
    let found = read::<T>(cache, register).await?;
    Ok(change_seen(cache, register, found, propose).await?.map(|(row, _)| row))
}

/// The same, of a register that was read before, and with the mark of what stands there now: what has changed since then
/// refuses the change, and is read.
pub(super) async fn change_seen<T, F>(
    cache: &Cache,
    register: &Register,
    mut found: Option<(T, Rev)>,
    mut propose: F,
) -> Result<Option<(T, Rev)>>
where
    T: Serialize + DeserializeOwned + PartialEq + Clone,
    F: FnMut(Option<&T>) -> Option<T>,
{
    let give_up = clock::now() + TRY_MAX;
    let mut proposed: Vec<T> = Vec::new();
    loop {
        let (row, rev) = match &found {
            Some((row, rev)) => (Some(row), Some(rev)),
            None => (None, None),
        };
        let ours = row.filter(|row| proposed.contains(row));
        let Some(new) = ours.cloned().or_else(|| propose(row)) else { return Ok(found) };
        let bytes = serde_json::to_vec(&new).map_err(|error| Error::internal(error.to_string()))?;
        match cache.cas(register, rev, &bytes).await {
            Cas::Applied(rev) => return Ok(Some((new, rev))),
            Cas::Mismatch => {}
            Cas::Unknown(error) => {
                if !proposed.contains(&new) {
                    proposed.push(new);
                }
                if clock::now() >= give_up {
                    return Err(error.with_operation("register"));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        if clock::now() >= give_up {
            return Err(Error::store(format!("the register {} did not come to rest", register.name())));
        }
        found = read::<T>(cache, register).await?;
    }
}
