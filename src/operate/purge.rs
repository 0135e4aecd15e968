//! `purge`: removes for good what deletion keeps, while no server runs.

use super::console::{agreed, say};
use super::{Target, refuse};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::locks::{Incarnation, Look};

pub(super) async fn purge(target: &Target, yes: bool) -> Result<i32> {
    let store = target.open_existing().await?;
    refuse_in_use(&target.bare(store.clone()), "nothing was removed").await?;
    say(format!("store: {}", target.shown()));
    let question = "remove the records of all deleted objects for good, with what they remember of calls with an \
                    Idempotency-Key?";
    if !agreed(question, yes)? {
        say("nothing was removed");
        return Ok(1);
    }
    // Somebody may have taken his time to answer.
    refuse_in_use(&target.bare(store.clone()), "nothing was removed").await?;
    let count = store.purge().await?;
    say(format!("records of deleted objects removed: {count}"));
    Ok(0)
}

/// Refuses while somebody serves from a store. `done`: what was done so far. One that has the store for itself is refused
/// when it is opened.
pub(super) async fn refuse_in_use(cache: &Cache, done: &str) -> Result<()> {
    if cache.caps().exclusive {
        return Ok(());
    }
    let up: Vec<_> = Look::new(cache).watch().await?.into_iter().filter(|(life, _)| life.up).collect();
    if up.is_empty() { Ok(()) } else { Err(in_use(&up, done)) }
}

fn in_use(up: &[(Incarnation, bool)], done: &str) -> Error {
    let lives = up.iter().map(|(life, beats)| {
        let Incarnation { id, node, .. } = life;
        let is = if *beats { "beats" } else { "has stood still for 3 s and is probably dead" };
        format!("{node} ({id}) {is}")
    });
    let mut cure = String::new();
    if up.iter().any(|(_, beats)| *beats) {
        cure += "; stop those that beat with SIGTERM";
    }
    if up.iter().any(|(_, beats)| !beats) {
        cure += "; for one that is dead start a server of the same name, which ends it, and stop that with SIGTERM";
    }
    let lives = lives.collect::<Vec<_>>().join(", ");
    refuse(format!("{done}, since the store is in use: {lives}{cure}"))
}
