//! Incarnations: one life of one process in the register, and how another one's is ended (rules R2, R8, R10).

use std::time::Duration;

use super::formats;
use super::members::read_up;
use super::registers::{NodeRow, NodeState, change, change_seen, read};
use super::route::owned_by;
use crate::cache::Cache;
use crate::clock;
use crate::error::{Error, Result};
use crate::model::{Cas, Register, Rev};

/// A node whose beat stands still for so long may be killed by those whose own beats were applied meanwhile.
pub(super) const WATCH: Duration = Duration::from_secs(3);
/// How often a node beats.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// A process, as it stands in its register whatever its life.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeId {
    /// The host's name: stable over its lives.
    pub name: String,
    /// Where other nodes reach it, such as `http://10.0.0.5:8080`; empty when they do not.
    pub addr: String,
    /// The newest record format it reads and writes; it reads and writes all before it too.
    pub format: u32,
}

/// Ends every life of this host that is still called up, and begins a new one, this process's first or one `again`: its row, as the
/// first beat leaves it. `None`: the store does not say whether it has begun.
///
/// # Errors
/// `config` when another process has this host's name, and lives, or records are of a format that this one does not read;
/// `store-unavailable`.
pub(super) async fn join(
    cache: &Cache,
    id: &str,
    node: &NodeId,
    again: bool,
    leaving: bool,
) -> Result<Option<(NodeRow, Rev)>> {
    let rows = read_up(cache).await?;
    let (own, others): (Vec<_>, Vec<_>) =
        rows.into_iter().filter(|(_, row)| row.name == node.name).partition(|(_, row)| row.addr == node.addr && !again);
    // Listening elsewhere, it may be another process, and so it may when a process that has lived here before finds it: a clone
    // of this machine has the same address. A former life of this one does not beat any more.
    let end = clock::now() + WATCH + BEAT;
    while !others.is_empty() && clock::now() < end {
        tokio::time::sleep(BEAT / 2).await;
        for (other, before) in &others {
            // A read that is not answered says nothing; there is time for another one.
            let Ok(Some((after, _))) = read::<NodeRow>(cache, &Register::node(other)).await else { continue };
            if after.state == NodeState::Up && after.beat > before.beat {
                return Err(Error::config(format!(
                    "another process has the node name {:?} and is up at {}: give one of them another name with --node-name",
                    node.name, before.addr
                )));
            }
        }
    }
    for (life, _) in own.iter().chain(&others) {
        kill(cache, &Register::node(life), &node.name).await?;
    }
    let row = NodeRow {
        state: NodeState::Up,
        name: node.name.clone(),
        addr: node.addr.clone(),
        beat: 0,
        drain: leaving,
        format: node.format,
        since: clock::unix_ms(),
    };
    let bytes = serde_json::to_vec(&row).map_err(|error| Error::internal(error.to_string()))?;
    // Once: sent again, one of the two could land when the row has been removed, and call a life up that others have ended. A
    // life whose row may come is not begun; another one is.
    let rev = match cache.cas(&Register::node(id), None, &bytes).await {
        Cas::Applied(rev) => rev,
        Cas::Mismatch => return Err(Error::store("this life was ended before it had begun")),
        Cas::Unknown(_) => return Ok(None),
    };
    if let Err(error) = formats::check(cache, node.format).await {
        kill(cache, &Register::node(id), &node.name).await?;
        return Err(error);
    }
    let dead = || Error::store("this life was declared dead before it had begun");
    beat(cache, id, (row, rev)).await?.ok_or_else(dead).map(Some)
}

/// Whether a row says that the life of this process is up which has beaten so often, at the least. A row that says less is none that
/// this life has left.
fn lives(row: &NodeRow, beats: u64) -> bool {
    row.state == NodeState::Up && row.beat >= beats
}

/// Says that this life is about to end: it should get no shards any more.
pub(super) async fn drain(cache: &Cache, id: &str) -> Result<()> {
    change(cache, &Register::node(id), |found: Option<&NodeRow>| {
        found.filter(|row| lives(row, 1)).map(|row| NodeRow { drain: true, ..row.clone() })
    })
    .await
    .map(|_| ())
}

/// Writes `dead` with a write of our own that was applied: a `dead` that was only read may be known to one replica, and
/// its victim would go on confirming.
pub(super) async fn kill(cache: &Cache, register: &Register, killer: &str) -> Result<()> {
    kill_seen(cache, register, read(cache, register).await?, killer).await
}

async fn kill_seen(cache: &Cache, register: &Register, seen: Option<(NodeRow, Rev)>, killer: &str) -> Result<()> {
    change_seen(cache, register, seen, |found: Option<&NodeRow>| {
        let mut row = found.cloned().unwrap_or_else(|| NodeRow {
            state: NodeState::Dead,
            name: String::new(),
            addr: String::new(),
            beat: 0,
            drain: false,
            format: 0,
            since: 0,
        });
        row.state = NodeState::Dead;
        // Differs from what stands there, so that even a row that reads dead is written.
        row.beat += 1;
        Some(row)
    })
    .await?;
    tracing::info!(register = register.name(), killer, "an incarnation was marked dead");
    Ok(())
}

/// Writes `dead`, unless it has beaten since; answers whether it is dead now.
pub(super) async fn kill_still(cache: &Cache, id: &str, beat: u64, killer: &str) -> Result<bool> {
    let mut killed = None;
    let row = change(cache, &Register::node(id), |found: Option<&NodeRow>| {
        // What another one wrote at the same time looks the same, and was only read.
        killed = None;
        let row = found.filter(|row| row.state == NodeState::Up && row.beat <= beat)?;
        let dead = NodeRow { state: NodeState::Dead, beat: row.beat + 1, ..row.clone() };
        killed = Some(dead.clone());
        Some(dead)
    })
    .await?;
    // Only what a write of our own has put there counts.
    let is_ours = killed.is_some() && row == killed;
    if is_ours {
        tracing::info!(register = id, killer, "an incarnation was marked dead");
    }
    Ok(is_ours)
}

/// One beat: the row as it now is, or `None` when this life is over. `last`: as the last beat left it.
pub(super) async fn beat(cache: &Cache, id: &str, last: (NodeRow, Rev)) -> Result<Option<(NodeRow, Rev)>> {
    let (register, beats) = (Register::node(id), last.0.beat);
    let after = change_seen(cache, &register, Some(last), |found: Option<&NodeRow>| {
        found.filter(|row| lives(row, beats)).map(|row| NodeRow { beat: row.beat + 1, ..row.clone() })
    });
    Ok(after.await?.filter(|(row, _)| lives(row, beats)))
}

/// Whether this life is still up, by a read. It has beaten once before it confirms anything.
pub(super) async fn is_up(cache: &Cache, id: &str) -> Result<bool> {
    let row = read::<NodeRow>(cache, &Register::node(id)).await?;
    Ok(row.is_some_and(|(row, _)| lives(&row, 1)))
}

/// Sees to it that `owner` can confirm nothing any more, so that its shards may be taken: it is dead, or an earlier life of
/// this host. Those who live and stand still are the watch's business.
///
/// # Errors
/// `wrong-node` when it is called up.
pub(super) async fn bury(cache: &Cache, owner: &str, name: &str) -> Result<()> {
    let register = Register::node(owner);
    match read::<NodeRow>(cache, &register).await? {
        Some((row, _)) if row.state == NodeState::Up && row.name != name => {
            Err(owned_by(&row.name).with_detail(format!("{} ({owner}) is called up", row.name)))
        }
        found => kill_seen(cache, &register, found, name).await,
    }
}
