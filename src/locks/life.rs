//! The life of this node (rules R8 and R10): it joins, beats once a second, looks at the others, and begins another one when it
//! was declared dead.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::incarnation::{self, BEAT};
use super::members::{Members, Watch, read_up};
use super::registers::{NodeRow, TRY_MAX};
use super::route::moving;
use super::shards::{Locks, RETRY_FIRST, SILENT_MAX};
use crate::clock::{self, Random};
use crate::error::{Error, Kind, Result};
use crate::model::Rev;

/// A life, and its row as its last beat left it.
pub(super) type Beaten = (Arc<str>, (NodeRow, Rev));

impl Locks {
    /// The life of now, put into the register if it is not there yet.
    pub(super) async fn joined_life(&self) -> Result<Arc<str>> {
        if self.caps.exclusive {
            return Ok(self.life());
        }
        let mut joined = self.joined.lock().await;
        let give_up = clock::now() + TRY_MAX;
        loop {
            let life = self.life();
            if self.left.load(Relaxed) {
                return Err(moving());
            }
            if joined.as_ref() == Some(&life) {
                return Ok(life);
            }
            match incarnation::join(&self.cache, &life, &self.node, joined.is_some(), self.leaving.load(Relaxed)).await
            {
                Ok(Some(last)) => {
                    self.note_beat(&life, last);
                    tracing::info!(incarnation = &*life, node = self.node.name, address = self.node.addr, "joined");
                    *joined = Some(Arc::clone(&life));
                    self.see(&read_up(&self.cache).await?);
                    return Ok(life);
                }
                // Its row may stand there, or come later: what is tried next is another life.
                Ok(None) if clock::now() < give_up => {
                    self.renew(&life);
                    tokio::time::sleep(RETRY_FIRST).await;
                }
                Ok(None) => {
                    self.renew(&life);
                    return Err(Error::store("the store does not say whether this life has begun"));
                }
                Err(error) => {
                    self.renew(&life);
                    if error.kind() == Kind::Config {
                        self.stop(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn life(&self) -> Arc<str> {
        Arc::clone(&self.life.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_beat(&self, life: &Arc<str>, last: (NodeRow, Rev)) {
        *self.beaten.lock().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(life), last));
    }

    /// The row of this life as the last beat left it.
    fn last_beat(&self, life: &str) -> Option<(NodeRow, Rev)> {
        let beaten = self.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        beaten.as_ref().filter(|(of, _)| **of == *life).map(|(_, last)| last.clone())
    }

    /// Another life instead of this one, unless there is one already.
    fn renew(&self, life: &str) -> bool {
        let mut current = self.life.write().unwrap_or_else(PoisonError::into_inner);
        let is_this = **current == *life;
        if is_this {
            *current = new_life(&self.random);
        }
        is_this
    }

    /// This life is over (rule R8): everything under it is dropped, and another begins with the next take.
    pub(super) fn fenced(&self, life: &str) {
        if !self.renew(life) {
            return;
        }
        self.tally.fenced.fetch_add(1, Relaxed);
        tracing::error!(incarnation = life, "declared dead by another node; dropping everything and joining again");
        self.end_all();
    }

    /// What the registers say of all nodes, as of now.
    fn see(&self, rows: &[(String, NodeRow)]) {
        let life = self.life();
        let shards = self.taking.len() as u32;
        let members = Members::new(rows, &life, self.leaving.load(Relaxed), shards);
        self.members.set(members);
    }

    /// A node is no longer up, as its register says.
    pub(super) fn see_gone(&self, id: &str) {
        // All who waited for it find out at the same time, and who should have what is much to work out.
        let members = self.members.get();
        if members.find(id).is_none() {
            return;
        }
        let rows: Vec<_> = members.rows().filter(|(up, _)| up != id).collect();
        self.see(&rows);
    }

    /// One beat, and a look at the others: those that stand still are declared dead.
    async fn beat(self: &Arc<Self>, watch: &mut Watch) -> Result<()> {
        let life = self.joined_life().await?;
        // Another life may have begun just now.
        let Some(last) = self.last_beat(&life) else { return Ok(()) };
        match incarnation::beat(&self.cache, &life, last).await? {
            Some(last) => self.note_beat(&life, last),
            None => {
                self.fenced(&life);
                watch.forget();
                return Ok(());
            }
        }
        let began = clock::now();
        let mut rows = read_up(&self.cache).await?;
        self.see(&rows);
        // All at once and not for long, or this node's own beat would stand still. What is left undone is tried with the next.
        let kill = async |(still, beat): (String, u64)| {
            tracing::warn!(incarnation = still, "a node's beat stands still; it is declared dead");
            let killed = incarnation::kill_still(&self.cache, &still, beat, &self.node.name);
            (still.clone(), tokio::time::timeout(BEAT, killed).await)
        };
        for (still, killed) in join_all(watch.stand_still(&rows, &life, began).into_iter().map(kill)).await {
            match killed {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => continue,
                Ok(Err(error)) => {
                    tracing::warn!(?error, incarnation = still, "it could not be declared dead");
                    continue;
                }
                Err(_) => {
                    tracing::warn!(incarnation = still, "the store does not say whether it was declared dead");
                    continue;
                }
            }
            let mut buried = self.buried.lock().unwrap_or_else(PoisonError::into_inner);
            buried.insert(still.clone(), Arc::new(OnceCell::new_with(Some(()))));
            rows.retain(|(id, _)| *id != still);
        }
        self.see(&rows);
        self.raise_format(&rows);
        Ok(())
    }

    /// Says in the register that this life is about to end.
    pub(super) async fn say_leaving(&self) -> Result<()> {
        self.leaving.store(true, Relaxed);
        let life = self.life();
        incarnation::drain(&self.cache, &life).await?;
        self.see(&read_up(&self.cache).await?);
        Ok(())
    }
}

pub(super) fn new_life(random: &Random) -> Arc<str> {
    random.next_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Beats once a second, so that nobody takes this node for dead; looks at the others; moves shards.
pub(super) async fn keep_beating(locks: Weak<Locks>) {
    let mut watch = Watch::default();
    loop {
        tokio::time::sleep(BEAT).await;
        let Some(locks) = locks.upgrade() else { return };
        if locks.left.load(Relaxed) {
            return;
        }
        // Whatever a store does, the next beat comes.
        let beat = tokio::time::timeout(SILENT_MAX, locks.beat(&mut watch));
        let beaten = match AssertUnwindSafe(beat).catch_unwind().await {
            Ok(Ok(beaten)) => beaten,
            Ok(Err(_)) => Err(Error::store("a beat was not answered at all")),
            Err(_) => Err(Error::internal("the datastore panicked in a beat")),
        };
        if let Err(error) = beaten {
            tracing::warn!(?error, "a beat was not answered");
            watch.forget();
            continue;
        }
        locks.sweep();
    }
}
