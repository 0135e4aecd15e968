//! `epochs raise`: after a restore, so that no version is given twice.

use super::Target;
use super::console::{agreed, say};
use super::purge::refuse_in_use;
use crate::error::Result;
use crate::locks::raise_epochs;

pub(super) async fn raise(target: &Target, by: u32, yes: bool) -> Result<i32> {
    let cache = target.bare(target.open_existing().await?);
    refuse_in_use(&cache, "nothing was raised").await?;
    say(format!("store: {}", target.shown()));
    if !agreed(&format!("raise the epoch of every shard by {by}?"), yes)? {
        say("nothing was raised");
        return Ok(1);
    }
    // Somebody may have taken his time to answer.
    refuse_in_use(&cache, "nothing was raised").await?;
    let shards = raise_epochs(&cache, by).await?;
    say(format!("epochs raised by {by}, of {shards} shards; what shared caches have of before counts no more"));
    Ok(0)
}
