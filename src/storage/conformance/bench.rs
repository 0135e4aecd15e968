//! What the cases stand on: stores to try, things to put into them, and the ways to say what did not hold.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use futures_util::future::BoxFuture;

use super::Place;
use super::attempts::{Attempts, Cell, read, settled};
use super::erased::Erased;
use super::suite::{Opens, Settings};
use crate::error;
use crate::model::{
    Cas, Entry, Item, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use crate::storage::{Datastore, KeyValue};

/// Whether a case holds; if not, what was expected and what came.
pub(super) type Checked = Result<(), String>;

/// Pages of a listing of a kit's few objects, at most.
const PAGES_MAX: usize = 2000;

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(super) use ensure;

/// One case's store.
#[derive(Clone)]
pub(super) struct Bench {
    opens: Opens<Arc<dyn Datastore>>,
    place: Place,
    pub(super) settings: Settings,
}

impl Bench {
    pub(super) fn new(opens: Opens<Arc<dyn Datastore>>, place: Place, settings: Settings) -> Self {
        Self { opens, place, settings }
    }

    /// Opens the store of this case: once, or, if it reopens, again after it was dropped.
    pub(super) async fn open(&self) -> Store {
        Store { inner: (self.opens)(self.place.clone()).await, settings: self.settings }
    }
}

/// One case's key-value store.
pub(super) struct KvBench {
    opens: Opens<Erased>,
    place: Place,
    pub(super) settings: Settings,
}

impl KvBench {
    pub(super) fn new(opens: Opens<Erased>, place: Place, settings: Settings) -> Self {
        Self { opens, place, settings }
    }

    pub(super) async fn open(&self) -> KvStore {
        KvStore { inner: (self.opens)(self.place.clone()).await, settings: self.settings }
    }
}

/// A key-value store under test.
#[derive(Clone)]
pub(super) struct KvStore {
    pub(super) inner: Erased,
    settings: Settings,
}

struct OfKey<'a> {
    kv: &'a KvStore,
    key: &'a str,
}

impl Cell for OfKey<'_> {
    fn cas<'a>(&'a self, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(self.kv.inner.compare_and_set(self.key, seen, Bytes::copy_from_slice(new)))
    }

    fn read(&self) -> BoxFuture<'_, error::Result<Option<Entry>>> {
        Box::pin(self.kv.inner.get(self.key))
    }
}

impl KvStore {
    pub(super) async fn get(&self, key: &str) -> Result<Option<Entry>, String> {
        let there = read(&self.settings, || Box::pin(self.inner.get(key))).await;
        there.map_err(|error| format!("the get of {key:?} failed: {error:?}"))
    }

    /// A compare-and-set, settled. Of the tasks that write over one rev, each writes a value of its own.
    pub(super) async fn cas(&self, key: &str, seen: Option<&Rev>, new: &[u8]) -> Result<Cas, String> {
        let settled = settled(&OfKey { kv: self, key }, &self.settings, seen, new).await;
        settled.map_err(|why| format!("{key:?}: {why}"))
    }

    pub(super) async fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>, String> {
        let entries = read(&self.settings, || Box::pin(self.inner.scan(prefix, after, limit))).await;
        let entries = entries.map_err(|error| format!("the scan of {prefix:?} failed: {error:?}"))?;
        ensure!(entries.len() <= limit, "a scan of at most {limit} gave {}", entries.len());
        Ok(entries)
    }
}

/// A store under test, with the questions the cases ask of it.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) inner: Arc<dyn Datastore>,
    pub(super) settings: Settings,
}

struct OfRegister<'a> {
    store: &'a Store,
    register: &'a Register,
}

impl Cell for OfRegister<'_> {
    fn cas<'a>(&'a self, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.store.inner.cas(self.register, seen, new)
    }

    fn read(&self) -> BoxFuture<'_, error::Result<Option<Entry>>> {
        self.store.inner.get(self.register)
    }
}

impl Store {
    pub(super) fn is_conditional(&self) -> bool {
        self.inner.caps().ordering == Ordering::Conditional
    }

    /// A put, with the same bytes again while its answer is `Unknown`.
    pub(super) async fn put(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        let mut attempts = Attempts::of_write(&self.settings);
        loop {
            match self.inner.put(key, seen, record).await {
                Put::Unknown(_) if attempts.again().await => {}
                answer => return answer,
            }
        }
    }

    /// A put that must be stored; what the next one builds upon.
    pub(super) async fn stored(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Result<Seen, String> {
        match self.put(key, seen, record).await {
            Put::Stored(rev) => Ok(Seen { version: record.version, rev }),
            other => Err(format!("a put of {key} {} over {seen:?} should be Stored, and is {other:?}", record.version)),
        }
    }

    /// A put that must be answered with a conflict.
    pub(super) async fn conflict(
        &self,
        key: &ObjectKey,
        seen: Option<&Seen>,
        record: &Record,
    ) -> Result<Version, String> {
        match self.put(key, seen, record).await {
            Put::Conflict(version) => Ok(version),
            other => {
                Err(format!("a put of {key} {} over {seen:?} should be a Conflict, and is {other:?}", record.version))
            }
        }
    }

    pub(super) async fn load(&self, key: &ObjectKey) -> Result<Option<Loaded>, String> {
        let there = read(&self.settings, || self.inner.load(key)).await;
        there.map_err(|error| format!("the load of {key} failed: {error:?}"))
    }

    async fn version(&self, key: &ObjectKey) -> Result<Option<Version>, String> {
        let version = read(&self.settings, || self.inner.version(key)).await;
        version.map_err(|error| format!("the version of {key} failed: {error:?}"))
    }

    /// The record must be there, exactly so.
    pub(super) async fn holds(&self, key: &ObjectKey, record: &Record) -> Checked {
        match self.load(key).await? {
            Some(there) if there.record == *record => {}
            Some(there) => {
                return Err(format!("{key} should hold {}, and holds {}", brief(record), brief(&there.record)));
            }
            None => return Err(format!("{key} should hold {}, and has no record", brief(record))),
        }
        let version = self.version(key).await?;
        ensure!(version == Some(record.version), "{key} is of version {} in a load, {version:?} alone", record.version);
        Ok(())
    }

    pub(super) async fn absent(&self, key: &ObjectKey) -> Checked {
        let there = self.load(key).await?;
        ensure!(there.is_none(), "{key} was never put, and holds {there:?}");
        let version = self.version(key).await?;
        ensure!(version.is_none(), "{key} was never put, and is of version {version:?}");
        Ok(())
    }

    pub(super) async fn get(&self, register: &Register) -> Result<Option<Entry>, String> {
        let there = read(&self.settings, || self.inner.get(register)).await;
        there.map_err(|error| format!("the get of {register:?} failed: {error:?}"))
    }

    /// A cas, settled. Of the tasks that write over one rev, each writes a value of its own.
    pub(super) async fn cas(&self, register: &Register, seen: Option<&Rev>, new: &str) -> Result<Cas, String> {
        let settled = settled(&OfRegister { store: self, register }, &self.settings, seen, new.as_bytes()).await;
        settled.map_err(|why| format!("{register:?}: {why}"))
    }

    /// A cas that must apply.
    pub(super) async fn applied(&self, register: &Register, seen: Option<&Rev>, new: &str) -> Result<Rev, String> {
        match self.cas(register, seen, new).await? {
            Cas::Applied(rev) => Ok(rev),
            other => Err(format!("a cas of {register:?} over {seen:?} should apply, and is {other:?}")),
        }
    }

    /// A cas that must be a mismatch.
    pub(super) async fn mismatch(&self, register: &Register, seen: Option<&Rev>, new: &str) -> Checked {
        match self.cas(register, seen, new).await? {
            Cas::Mismatch => Ok(()),
            other => Err(format!("a cas of {register:?} over {seen:?} should be a Mismatch, and is {other:?}")),
        }
    }

    /// A removal, tried again while nobody knows what became of it.
    pub(super) async fn remove(&self, register: &Register, seen: &Rev) -> Result<bool, String> {
        let mut attempts = Attempts::of_write(&self.settings);
        loop {
            match self.inner.remove(register, seen).await {
                Err(_) if attempts.again().await => {}
                answer => return answer.map_err(|error| format!("the removal of {register:?} failed: {error:?}")),
            }
        }
    }

    pub(super) async fn hint(
        &self,
        shard: u32,
        key: &ObjectKey,
        due: Option<u64>,
        version: Version,
    ) -> Result<Put, String> {
        let mut attempts = Attempts::of_write(&self.settings);
        loop {
            match self.inner.hint(shard, key, due, version).await {
                Put::Unknown(_) if attempts.again().await => {}
                answer @ (Put::Stored(_) | Put::Conflict(_)) => return Ok(answer),
                other => return Err(format!("a hint for {key} is answered {other:?}")),
            }
        }
    }

    pub(super) async fn page(&self, what: &Scan, after: Option<&str>, limit: usize) -> error::Result<Page> {
        read(&self.settings, || self.inner.scan(what, after, limit)).await
    }

    /// A whole listing, page by page. Fails when it does not end, a page is too long, or a thing comes twice.
    pub(super) async fn list(&self, what: &Scan, limit: usize) -> Result<Vec<Item>, String> {
        let mut items: Vec<Item> = Vec::new();
        let mut names = HashMap::new();
        let mut after: Option<String> = None;
        for page_number in 0..PAGES_MAX {
            let page = self.page(what, after.as_deref(), limit).await;
            let page = page.map_err(|error| format!("{what:?}, page {page_number}: {error:?}"))?;
            ensure!(page.items.len() <= limit, "{what:?}: {} items on a page of at most {limit}", page.items.len());
            for item in page.items {
                if let Some(before) = names.insert(name(&item), page_number) {
                    return Err(format!("{what:?}: {} is on page {before} and on page {page_number}", name(&item)));
                }
                items.push(item);
            }
            ensure!(
                page.next.is_none() || page.next != after,
                "{what:?}: page {page_number} has the cursor of the one before"
            );
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
        Err(format!("{what:?} does not end: {PAGES_MAX} pages of at most {limit}"))
    }

    /// The ids of a type's objects, in the order of the store.
    pub(super) async fn ids(&self, type_name: &str, limit: usize) -> Result<Vec<String>, String> {
        let items = self.list(&Scan::Objects(type_name.into()), limit).await?;
        let ids = items.into_iter().map(|item| match item {
            Item::Object(key) if key.type_name() == type_name => Ok(key.id().to_owned()),
            other => Err(format!("the list of {type_name} has {other:?}")),
        });
        ids.collect()
    }

    /// Waits until a listing has these items, in whatever order, for as long as the store may take.
    pub(super) async fn comes_to_list(&self, what: &Scan, wanted: &[Item]) -> Checked {
        let patience = self.settings.lists_deleted_for + Duration::from_secs(1);
        let until = crate::clock::now() + patience;
        loop {
            let items = self.list(what, 100).await?;
            if items.len() == wanted.len() && wanted.iter().all(|item| items.contains(item)) {
                return Ok(());
            }
            let late = crate::clock::now() >= until;
            ensure!(!late, "{what:?} should have become {wanted:?} within {patience:?}, and is {items:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn name(item: &Item) -> String {
    match item {
        Item::Register(register, _) => register.name().to_owned(),
        Item::Object(key) | Item::Hint { key, .. } => key.path(),
    }
}

fn brief(record: &Record) -> String {
    let start = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    let Record { version, state, meta } = record;
    format!("{version}, {} bytes {:?}, {} bytes {:?}", state.len(), start(state), meta.len(), start(meta))
}

/// An object of the type most cases use.
pub(super) fn object(id: &str) -> Result<ObjectKey, String> {
    object_of("thing", id)
}

pub(super) fn object_of(type_name: &str, id: &str) -> Result<ObjectKey, String> {
    ObjectKey::new(type_name, id).map_err(|error| error.to_string())
}

/// A version of the first epoch.
pub(super) fn version(seq: u32) -> Version {
    Version::new(1, seq)
}

/// A record of the first epoch, with a meta that belongs to it alone.
pub(super) fn record(seq: u32, state: &str) -> Record {
    let meta = Bytes::from(format!("meta of {seq} with {state}"));
    Record { version: version(seq), state: Bytes::copy_from_slice(state.as_bytes()), meta }
}

/// What came of tasks that may wait for each other: the first that fails ends the case.
pub(super) async fn all_joined<T>(tasks: Vec<tokio::task::JoinHandle<Result<T, String>>>) -> Result<Vec<T>, String> {
    futures_util::future::try_join_all(tasks.into_iter().map(joined)).await
}

/// What came of a task.
pub(super) async fn joined<T>(task: tokio::task::JoinHandle<Result<T, String>>) -> Result<T, String> {
    task.await.map_err(|error| format!("a task of the case ended early: {error}"))?
}
