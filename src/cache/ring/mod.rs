//! Several cache servers as one cache.
//!
//! Every object is on some of them (two by default), which [`place`] chooses. A get asks the first, and where that has
//! nothing or does not answer the second, and puts what it finds where it was missing; the time for all of it together
//! is bounded. Names of servers are resolved again and again, and what moves by a change is carried over, as far as this
//! process knows the objects. A server that does not answer is left alone by its [breaker](server).

mod handshake;
mod lazy;
mod look;
mod names;
mod place;
mod server;
mod settings;
mod sweep;
mod tried;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::index::Index;
use super::shared::{ByServer, Name, Servers, SharedCache};
use super::tally::Tally;
use crate::clock;

#[cfg(feature = "memcached")]
pub(super) use handshake::failed as connection_failed;
pub(super) use handshake::in_time as handshake_in_time;
pub(super) use lazy::Lazy;
pub(super) use names::Found;
use place::homes;
use server::Member;
pub(super) use server::{Connect, Failed, Server};
pub(super) use settings::Settings;

/// How long a start waits for names.
const RESOLVE_FIRST_MAX: Duration = Duration::from_secs(1);
/// Copies to servers that should have an object, at once.
const REHOMING_MAX: usize = 64;

/// The servers of one cache.
pub(super) struct Ring {
    settings: Settings,
    connect: Connect,
    members: RwLock<Arc<[Arc<Member>]>>,
    rehoming: Arc<Semaphore>,
    tally: Arc<Tally>,
}

impl Ring {
    /// The servers that the settings name, as far as their names can be resolved; from then on kept up to date.
    pub(super) async fn open(
        settings: Settings,
        connect: Connect,
        index: &Arc<Index>,
        tally: &Arc<Tally>,
    ) -> Arc<dyn SharedCache> {
        let ring = Arc::new(Self::new(settings, connect, tally));
        let mut names = names::Names::new(&ring.settings.hosts);
        // Who starts does not wait for a name server that does not answer.
        let _ = timeout(RESOLVE_FIRST_MAX, names.resolve()).await;
        ring.update(&names.found());
        tokio::spawn(sweep::keep_current(Arc::downgrade(&ring), names, Arc::clone(index)));
        ring
    }

    fn new(settings: Settings, connect: Connect, tally: &Arc<Tally>) -> Self {
        Self {
            settings,
            connect,
            members: RwLock::new(Arc::new([])),
            rehoming: Arc::new(Semaphore::new(REHOMING_MAX)),
            tally: Arc::clone(tally),
        }
    }

    fn members(&self) -> Arc<[Arc<Member>]> {
        Arc::clone(&self.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These are the servers now, with their weights. Answers those of before, where that is a change.
    fn update(&self, found: &[Found]) -> Option<Arc<[Arc<Member>]>> {
        let before = self.members();
        if before.len() == found.len() && found.iter().all(|new| before.iter().any(|old| old.is(new))) {
            return None;
        }
        let member = |new: &Found| match before.iter().find(|old| old.is(new)) {
            Some(old) => Arc::clone(old),
            None => Member::new(new, &self.connect, self.settings.budget),
        };
        let now: Arc<[Arc<Member>]> = found.iter().map(member).collect();
        let shown: Vec<String> = found.iter().map(|found| found.address.to_string()).collect();
        tracing::info!(servers = shown.join(", "), "the servers of a cache");
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = now;
        Some(before)
    }

    async fn find(&self, name: Name) -> Option<Bytes> {
        let members = self.members();
        let mut able = homes(&members, name, self.settings.replicas);
        able.retain(|member| !member.is_open());
        let end = clock::now() + self.settings.budget;
        let mut without = Vec::new();
        for (at, member) in able.iter().enumerate() {
            let left = end.saturating_duration_since(clock::now());
            // A server that does not answer leaves time for the next one.
            let share = left / (able.len() - at) as u32;
            match member.get(name, share).await {
                Some(Some(value)) => {
                    self.rehome(without, name, &value);
                    return Some(value);
                }
                Some(None) => without.push(Arc::clone(member)),
                None => {}
            }
        }
        None
    }

    /// Puts a value on servers that should have it and do not. Never over another one: that would be a newer one.
    fn rehome(&self, missing: Vec<Arc<Member>>, name: Name, value: &Bytes) {
        for member in missing {
            let Ok(permit) = Arc::clone(&self.rehoming).try_acquire_owned() else { return };
            let (value, tally) = (value.clone(), Arc::clone(&self.tally));
            tokio::spawn(async move {
                if member.set(name, value, true).await {
                    tally.rehomed.add_one();
                }
                drop(permit);
            });
        }
    }
}

impl SharedCache for Ring {
    fn get(&self, name: Name) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.find(name))
    }

    fn set(&self, name: Name, value: Bytes) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let members = self.members();
            let homes = homes(&members, name, self.settings.replicas).into_iter();
            join_all(homes.map(|member| member.set(name, value.clone(), false))).await.contains(&true)
        })
    }

    fn forget(&self, name: Name) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let members = self.members();
            let homes = homes(&members, name, self.settings.replicas).into_iter();
            join_all(homes.map(|member| member.forget(name))).await;
        })
    }

    fn servers(&self) -> Servers {
        let members = self.members();
        let open = members.iter().filter(|member| member.is_open()).count();
        Servers { up: members.len() - open, open }
    }

    fn look(&self, name: Name) -> BoxFuture<'_, ByServer<Option<Bytes>>> {
        Box::pin(self.held(name))
    }

    fn try_out(&self, name: Name, value: Bytes) -> BoxFuture<'_, ByServer<Duration>> {
        Box::pin(async move { self.tried(name, &value).await })
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("members", &self.members()).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "memcached"))]
mod tests;
