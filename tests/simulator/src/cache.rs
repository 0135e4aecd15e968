//! A shared cache at its worst: it loses what it is given, comes back with what it had long ago, and mixes things up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::__cache::{Name, Servers, SharedCache};
use tokio::time::timeout;

use crate::line::Wire;
use crate::net::Place;
use crate::world::World;

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_millis(25);

/// The servers.
#[derive(Debug)]
pub struct Memcached {
    world: Arc<World>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Everything that ever stood under a name, the newest last.
    items: BTreeMap<String, Vec<Bytes>>,
    /// What stands there now.
    there: BTreeMap<String, Bytes>,
}

impl Memcached {
    /// Empty ones.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), state: Mutex::default() })
    }

    /// Nothing is there any more.
    pub fn flush(&self) {
        self.state().there.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self, name: &str) -> Option<Bytes> {
        let state = self.state();
        let world = &self.world;
        if !world.chance(world.weather().lies) {
            return state.there.get(name).cloned();
        }
        let pick = |from: &[Bytes]| match from.len() {
            0 => None,
            count => Some(from[world.below(count as u64) as usize].clone()),
        };
        match world.below(3) {
            0 => pick(&state.items.values().filter_map(|items| items.last().cloned()).collect::<Vec<_>>()),
            _ => pick(state.items.get(name).map_or(&[], Vec::as_slice)),
        }
    }

    fn keep(&self, name: String, value: Bytes) {
        let mut state = self.state();
        state.items.entry(name.clone()).or_default().push(value.clone());
        state.there.insert(name, value);
    }
}

/// The cache as one process sees it.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
    cache: Arc<Memcached>,
}

impl Client {
    pub(crate) fn new(cache: &Arc<Memcached>, node: usize) -> Arc<Self> {
        let wire = Wire { world: Arc::clone(&cache.world), from: Place::Node(node), to: Place::Cache };
        Arc::new(Self { wire, cache: Arc::clone(cache) })
    }
}

impl SharedCache for Client {
    fn get(&self, name: Name) -> BoxFuture<'_, Option<Bytes>> {
        let (cache, name) = (Arc::clone(&self.cache), name.to_string());
        let what = format!("cache get {name}");
        Box::pin(async move {
            let asked = self.wire.ask(move || what.clone(), async move { cache.found(&name) });
            timeout(PATIENCE, asked).await.ok()??
        })
    }

    fn set(&self, name: Name, value: Bytes) -> BoxFuture<'_, bool> {
        let (cache, name) = (Arc::clone(&self.cache), name.to_string());
        let what = format!("cache set {name}");
        Box::pin(async move {
            let asked = self.wire.ask(move || what.clone(), async move { cache.keep(name, value) });
            timeout(PATIENCE, asked).await.is_ok_and(|answer| answer.is_some())
        })
    }

    fn forget(&self, name: Name) -> BoxFuture<'_, ()> {
        let (cache, name) = (Arc::clone(&self.cache), name.to_string());
        let what = format!("cache forget {name}");
        Box::pin(async move {
            let asked = self.wire.ask(move || what.clone(), async move { drop(cache.state().there.remove(&name)) });
            drop(timeout(PATIENCE, asked).await);
        })
    }

    fn servers(&self) -> Servers {
        Servers::default()
    }

    fn look(&self, name: Name) -> BoxFuture<'_, Vec<(String, Result<Option<Bytes>, String>)>> {
        Box::pin(async move { vec![("simulated".to_owned(), Ok(self.get(name).await))] })
    }

    fn try_out(&self, name: Name, value: Bytes) -> BoxFuture<'_, Vec<(String, Result<Duration, String>)>> {
        Box::pin(async move {
            let began = self.wire.world.time();
            let stored = self.set(name, value).await;
            let took = self.wire.world.time() - began;
            vec![("simulated".to_owned(), stored.then_some(took).ok_or_else(|| "it was not stored".to_owned()))]
        })
    }
}
