//! Incarnations: one life of one process in the register, and how another one's is ended (rules R2, R8, R10).

use std::time::Duration;

use super::registers::{NodeRow, NodeState, change, read};
use crate::cache::Cache;
use crate::error::{Error, Kind, Result};
use crate::model::{Item, Register, Scan};

/// The newest record format this build reads and writes.
pub(super) const FORMAT: u32 = 1;
/// A node whose beat stands still for so long may be killed by those whose own beats were applied meanwhile.
pub(super) const WATCH: Duration = Duration::from_secs(3);
/// How often a node beats.
pub(super) const BEAT: Duration = Duration::from_secs(1);
const PAGE: usize = 200;

/// Ends every life of this host that is still called up, and begins a new one.
pub(super) async fn join(cache: &Cache, id: &str, name: &str) -> Result<()> {
    let scan = Scan::Registers("node/".into());
    let mut after = None;
    loop {
        let page = cache.scan(&scan, after.as_deref(), PAGE).await?;
        for item in &page.items {
            let Item::Register(register, entry) = item else { continue };
            let Ok(row) = serde_json::from_slice::<NodeRow>(&entry.value) else { continue };
            if row.state == NodeState::Up && row.name == name {
                kill(cache, register, name).await?;
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let row = NodeRow {
        state: NodeState::Up,
        name: name.to_owned(),
        addr: String::new(),
        beat: 0,
        drain: false,
        format: FORMAT,
    };
    change(cache, &Register::node(id), |found| found.is_none().then(|| row.clone())).await?;
    let dead = || Error::store("this life was declared dead before it had begun");
    beat(cache, id).await?.map(|_| ()).ok_or_else(dead)
}

/// Writes `dead` with a write of our own that was applied: a `dead` that was only read may be known to one replica, and
/// its victim would go on confirming.
pub(super) async fn kill(cache: &Cache, register: &Register, killer: &str) -> Result<()> {
    change(cache, register, |found: Option<&NodeRow>| {
        let mut row = found.cloned().unwrap_or_else(|| NodeRow {
            state: NodeState::Dead,
            name: String::new(),
            addr: String::new(),
            beat: 0,
            drain: false,
            format: FORMAT,
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

/// One beat: the number it now has, or `None` when this life is over.
pub(super) async fn beat(cache: &Cache, id: &str) -> Result<Option<u64>> {
    let row = change(cache, &Register::node(id), |found: Option<&NodeRow>| match found {
        Some(row) if row.state == NodeState::Up => Some(NodeRow { beat: row.beat + 1, ..row.clone() }),
        _ => None,
    })
    .await?;
    Ok(row.filter(|row| row.state == NodeState::Up).map(|row| row.beat))
}

/// Whether this life is still up, by a read.
pub(super) async fn is_up(cache: &Cache, id: &str) -> Result<bool> {
    let row = read::<NodeRow>(cache, &Register::node(id)).await?;
    Ok(row.is_some_and(|(row, _)| row.state == NodeState::Up))
}

/// Sees to it that `owner` can confirm nothing any more, so that its shards may be taken: it is dead, it is an earlier
/// life of this host, or its beat stands still while ours are applied.
///
/// # Errors
/// `wrong-node` when it is alive.
pub(super) async fn bury(cache: &Cache, owner: &str, me: &str, name: &str) -> Result<()> {
    let register = Register::node(owner);
    let before = read::<NodeRow>(cache, &register).await?.map(|(row, _)| row);
    match before {
        Some(row) if row.state == NodeState::Up && row.name != name => {
            let own_life = || Error::new(Kind::WrongNode, "this node was declared dead meanwhile");
            beat(cache, me).await?.ok_or_else(own_life)?;
            tokio::time::sleep(WATCH).await;
            beat(cache, me).await?.ok_or_else(own_life)?;
            let after = read::<NodeRow>(cache, &register).await?.map(|(row, _)| row);
            if after.is_some_and(|after| after.state == NodeState::Up && after.beat != row.beat) {
                return Err(Error::new(Kind::WrongNode, "another node owns this object")
                    .with_detail(format!("{} ({owner}) is up and beats", row.name))
                    .with_field("owner", row.name));
            }
            kill(cache, &register, name).await
        }
        _ => kill(cache, &register, name).await,
    }
}
