//! # cache: speed
//!
//! Adds: the published states of warm objects, in this process, weighed in bytes.
//! Never knows: what a state is, who may write it. It may forget anything at any time and invents nothing: what it
//! does not have, it asks of the store.
//! Door: [`Cache`].

mod local;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::{Caps, Cas, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen};
use crate::storage::Datastore;

use local::Local;
pub use local::Published;

/// The store with the caches before it.
#[derive(Debug)]
pub struct Cache {
    local: Local,
    store: Arc<dyn Datastore>,
}

impl Cache {
    /// Before `store`, with at most `l1_bytes` of published states.
    #[must_use]
    pub fn new(store: Arc<dyn Datastore>, l1_bytes: u64) -> Self {
        Self { local: Local::new(l1_bytes), store }
    }

    /// What was published last of this object under this Hold, if it is still here.
    #[must_use]
    pub fn published(&self, hold: u64, key: &ObjectKey) -> Option<Arc<dyn Published>> {
        self.local.get(hold, key)
    }

    /// Publishes a state. Of one object under one Hold, one caller at a time publishes, in the order of the versions.
    pub fn publish(&self, hold: u64, key: &ObjectKey, state: Arc<dyn Published>) {
        self.local.set(hold, key, state);
    }

    /// Forgets all published states.
    pub fn clear(&self) {
        self.local.clear();
    }

    /// What the store is.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.store.caps()
    }

    /// See [`Datastore::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, register: &Register) -> Result<Option<Entry>> {
        self.store.get(register).await
    }

    /// See [`Datastore::cas`].
    pub async fn cas(&self, register: &Register, seen: Option<&Rev>, new: &[u8]) -> Cas {
        self.store.cas(register, seen, new).await
    }

    /// See [`Datastore::load`].
    ///
    /// # Errors
    /// As there.
    pub async fn load(&self, key: &ObjectKey) -> Result<Option<Loaded>> {
        self.store.load(key).await
    }

    /// See [`Datastore::put`].
    pub async fn put(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        self.store.put(key, seen, record).await
    }

    /// See [`Datastore::scan`].
    ///
    /// # Errors
    /// As there.
    pub async fn scan(&self, what: &Scan, after: Option<&str>, limit: usize) -> Result<Page> {
        self.store.scan(what, after, limit).await
    }

    /// See [`Datastore::failed`].
    pub async fn failed(&self) -> Error {
        self.store.failed().await
    }
}
