//! A model of a store that orders puts by version instead of refusing them: what the kit says of such stores holds too.

use std::time::Duration;

use futures_util::future::BoxFuture;
use remote_object::conformance::{self, Suite};
use remote_object::error::{Error, Result};
use remote_object::model::{
    Caps, Cas, Durability, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, Memory, OverKeyValue};

#[derive(Debug)]
struct Ordered {
    inner: OverKeyValue<Memory>,
    /// Broken: the last put to come in wins.
    last_wins: bool,
    count: std::sync::atomic::AtomicU32,
}

impl Ordered {
    fn new(last_wins: bool) -> Self {
        Self { inner: OverKeyValue::new(Memory::new(), Durability::Weak), last_wins, count: 0.into() }
    }

    async fn put_over_any(&self, key: &ObjectKey, record: &Record) -> Put {
        loop {
            let there = self.inner.load(key).await.unwrap();
            let seen = there.as_ref().map(|there| Seen { version: there.record.version, rev: there.rev.clone() });
            let answer = match there {
                Some(there) if there.record.version >= record.version && !self.last_wins => {
                    return Put::Stored(there.rev);
                }
                Some(there) if there.record.version >= record.version => {
                    // The store below refuses a lower version, so what came last goes under one above.
                    let over = 1 + self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let version = Version::new(there.record.version.epoch() + over, 0);
                    self.inner.put(key, seen.as_ref(), &Record { version, ..record.clone() }).await
                }
                _ => self.inner.put(key, seen.as_ref(), record).await,
            };
            if !matches!(answer, Put::Conflict(_)) {
                return answer;
            }
        }
    }
}

impl Datastore for Ordered {
    fn caps(&self) -> Caps {
        Caps { ordering: Ordering::Ordered, ..self.inner.caps() }
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
        self.inner.load(key)
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        self.inner.version(key)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, _seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(self.put_over_any(key, record))
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

conformance::datastore!(model, |_| async { Ordered::new(false) }, lists_deleted_for(Duration::ZERO));

#[test]
fn an_ordered_store_where_the_last_one_wins_is_found() {
    let failures = Suite::datastore(|_| async { Ordered::new(true) }).check().unwrap_err();
    let cases: Vec<&str> = failures.iter().map(|failure| failure.case).collect();
    assert!(cases.contains(&"the_highest_version_wins_on_an_ordered_store"), "{failures:#?}");
}
