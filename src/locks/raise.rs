//! Epochs beyond all that were ever given, after the registers went back in time: a store that was restored from a backup
//! would else give versions a second time that it gave before, after the backup was made.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::registers::{ClusterRow, ShardRow, change, read};
use crate::cache::Cache;
use crate::clock::Random;
use crate::error::{Error, Result};
use crate::model::Register;

/// Shards that are raised at the same time.
const AT_ONCE: usize = 16;
/// Versions fit the signed columns of stores up to here.
const EPOCH_MAX: u32 = i32::MAX as u32;

/// Adds `by` to the epoch of every shard and gives the cluster another id, so that what shared caches have of before counts
/// no more; answers how many shards there are. Only while nobody serves from this store: whoever
/// does goes on under the old epoch.
///
/// # Errors
/// `config` when nobody has ever served from it, or the epochs would be used up; `store-unavailable`, and then some are
/// raised: raising them again does no harm.
pub async fn raise_epochs(cache: &Cache, by: u32) -> Result<u32> {
    let none = || Error::config("nobody has ever served from this store; there is nothing to raise");
    let (cluster, _) = read::<ClusterRow>(cache, &Register::cluster()).await?.ok_or_else(none)?;
    let id = Random::from_os().next_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let renamed = ClusterRow { id, ..cluster.clone() };
    let may = |found: Option<&ClusterRow>| found == Some(&cluster) || found == Some(&renamed);
    let after = change(cache, &Register::cluster(), |found| may(found).then(|| renamed.clone())).await?;
    if after.as_ref() != Some(&renamed) {
        return Err(Error::store("somebody else changed the register of the cluster; is a server running?"));
    }
    let raised = (0..cluster.shards).map(|shard| raise(cache, shard, by));
    stream::iter(raised).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(cluster.shards)
}

async fn raise(cache: &Cache, shard: u32, by: u32) -> Result<()> {
    let register = Register::shard(shard);
    let before = read::<ShardRow>(cache, &register).await?.map(|(row, _)| row);
    let (owner, epoch) = before.as_ref().map_or((None, 0), |row| (row.owner.clone(), row.epoch));
    let used_up = || Error::config(format!("shard {shard} is of epoch {epoch}; {by} more are more than there are"));
    let epoch = epoch.checked_add(by).filter(|epoch| *epoch < EPOCH_MAX).ok_or_else(used_up)?;
    let raised = ShardRow { owner, epoch };
    let after = change(cache, &register, |found: Option<&ShardRow>| {
        (found == before.as_ref() || found == Some(&raised)).then(|| raised.clone())
    });
    match after.await? {
        Some(row) if row == raised => Ok(()),
        _ => Err(Error::store(format!("somebody else changed the register of shard {shard}; is a server running?"))),
    }
}
