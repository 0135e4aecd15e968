//! Stores for these tests: one that counts what is asked of it, and does wrong when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::model::{
    Caps, Cas, Durability, Entry, Item, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, Memory, OverKeyValue, Sqlite};
use remote_object::{Error, Result};

/// A memory store that others may use too.
pub fn shared_memory() -> Arc<dyn Datastore> {
    Arc::new(OverKeyValue::new(Memory::new(), Durability::Weak))
}

/// A SQLite store in a folder that is gone with it.
pub fn sqlite() -> (tempfile::TempDir, Arc<dyn Datastore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(dir.path().join("objects.db")).unwrap();
    (dir, Arc::new(store))
}

/// A mark that no store gives.
const WRONG: Rev = Rev::Number(u64::MAX / 2);

/// Counts loads and asked versions.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn Datastore>,
    pub loads: AtomicUsize,
    pub versions: AtomicUsize,
    /// The next put is answered with a mark that is not the record's: [`WRONG`].
    pub next_rev_is_wrong: AtomicBool,
    /// A put that quotes that mark is not refused, but never answered.
    pub chokes_on_it: AtomicBool,
    /// The next put panics when it is done, and nobody is told.
    pub next_put_is_lost: AtomicBool,
    /// Every load has the state of another record.
    pub tears: AtomicBool,
}

impl Counting {
    pub fn over(inner: Arc<dyn Datastore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            loads: AtomicUsize::new(0),
            versions: AtomicUsize::new(0),
            next_rev_is_wrong: AtomicBool::new(false),
            chokes_on_it: AtomicBool::new(false),
            next_put_is_lost: AtomicBool::new(false),
            tears: AtomicBool::new(false),
        })
    }

    /// Declares every life dead, as another node would.
    pub async fn kill_all(&self) {
        let page = self.inner.scan(&Scan::Registers("node/".into()), None, 100).await.unwrap();
        for item in page.items {
            let Item::Register(register, entry) = item else { continue };
            let dead = String::from_utf8(entry.value.to_vec()).unwrap().replace(r#""up""#, r#""dead""#);
            self.inner.cas(&register, Some(&entry.rev), dead.as_bytes()).await;
        }
    }

    /// Loads and versions since the last time.
    pub fn asked(&self) -> (usize, usize) {
        (self.loads.swap(0, SeqCst), self.versions.swap(0, SeqCst))
    }
}

impl Datastore for Counting {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.inner.get(register)
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.inner.cas(register, seen, new)
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.loads.fetch_add(1, SeqCst);
        Box::pin(async move {
            let mut loaded = self.inner.load(key).await?;
            if self.tears.load(SeqCst)
                && let Some(loaded) = &mut loaded
            {
                loaded.record.state = Bytes::from_static(br#"{"value":777,"text":""}"#);
            }
            Ok(loaded)
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        self.versions.fetch_add(1, SeqCst);
        self.inner.version(key)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            if self.chokes_on_it.load(SeqCst) && seen.is_some_and(|seen| seen.rev == WRONG) {
                return Put::Unknown(Error::store("as the test asked"));
            }
            let answer = self.inner.put(key, seen, record).await;
            assert!(!self.next_put_is_lost.swap(false, SeqCst), "as the test asked");
            match answer {
                Put::Stored(_) if self.next_rev_is_wrong.swap(false, SeqCst) => Put::Stored(WRONG),
                answer => answer,
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        self.inner.scan(what, after, limit)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        self.inner.failed()
    }
}
