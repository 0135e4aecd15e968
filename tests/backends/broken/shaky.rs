//! Any store behind a way that loses requests and answers, lets them come late, and brings some twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::clock::Random;
use remote_object::error::{Error, Result};
use remote_object::model::{
    Caps, Cas, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, KeyValue};

/// What happens to one request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Well,
    /// It never arrives.
    Lost,
    /// It takes effect, its answer never arrives.
    AnswerLost,
    /// It takes effect later, when its caller has given up.
    Late,
    /// It takes effect, and comes once more later.
    Twice,
}

#[derive(Debug)]
pub struct Shaky<S> {
    inner: Arc<S>,
    random: Arc<Random>,
}

impl<S> Shaky<S> {
    pub fn new(inner: S, seed: u64) -> Self {
        Self { inner: Arc::new(inner), random: Arc::new(Random::seeded(seed)) }
    }

    fn fate(&self) -> Fate {
        match self.random.next_u64() % 20 {
            0 | 1 => Fate::Lost,
            2 | 3 => Fate::AnswerLost,
            4 => Fate::Late,
            5 => Fate::Twice,
            _ => Fate::Well,
        }
    }

    /// Seldom: one page of a listing between deleted objects takes a hundred reads.
    fn read_fails(&self) -> bool {
        self.random.next_u64().is_multiple_of(40)
    }

    fn later(&self) -> Duration {
        Duration::from_micros(self.random.next_u64() % 4000)
    }
}

fn lost() -> Error {
    Error::store("lost on the way")
}

impl<K: KeyValue> KeyValue for Shaky<K> {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        if self.read_fails() { Err(lost()) } else { self.inner.get(key).await }
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let fate = self.fate();
        if matches!(fate, Fate::Late | Fate::Twice) {
            let (inner, key, seen, new, later) =
                (Arc::clone(&self.inner), key.to_owned(), seen.cloned(), new.clone(), self.later());
            tokio::spawn(async move {
                tokio::time::sleep(later).await;
                inner.compare_and_set(&key, seen.as_ref(), new).await
            });
        }
        match fate {
            Fate::Lost | Fate::Late => Cas::Unknown(lost()),
            Fate::AnswerLost => {
                self.inner.compare_and_set(key, seen, new).await;
                Cas::Unknown(lost())
            }
            Fate::Well | Fate::Twice => self.inner.compare_and_set(key, seen, new).await,
        }
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        if self.read_fails() { Err(lost()) } else { self.inner.scan(prefix, after, limit).await }
    }
}

impl<D: Datastore> Datastore for Shaky<D> {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        if self.read_fails() { Box::pin(async { Err(lost()) }) } else { self.inner.get(register) }
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(async move {
            match self.fate() {
                Fate::Lost | Fate::Late => Cas::Unknown(lost()),
                Fate::AnswerLost => {
                    self.inner.cas(register, seen, new).await;
                    Cas::Unknown(lost())
                }
                Fate::Well | Fate::Twice => self.inner.cas(register, seen, new).await,
            }
        })
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            match self.fate() {
                Fate::Lost | Fate::Late => Err(lost()),
                Fate::AnswerLost => {
                    self.inner.remove(register, seen).await?;
                    Err(lost())
                }
                Fate::Well | Fate::Twice => self.inner.remove(register, seen).await,
            }
        })
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        if self.read_fails() { Box::pin(async { Err(lost()) }) } else { self.inner.load(key) }
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        if self.read_fails() { Box::pin(async { Err(lost()) }) } else { self.inner.version(key) }
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            let fate = self.fate();
            if matches!(fate, Fate::Late | Fate::Twice) {
                let (inner, key, seen, record, later) =
                    (Arc::clone(&self.inner), key.clone(), seen.cloned(), record.clone(), self.later());
                tokio::spawn(async move {
                    tokio::time::sleep(later).await;
                    inner.put(&key, seen.as_ref(), &record).await
                });
            }
            match fate {
                Fate::Lost | Fate::Late => Put::Unknown(lost()),
                Fate::AnswerLost => match self.inner.put(key, seen, record).await {
                    // What is refused is refused before it is sent.
                    Put::Refused(error) => Put::Refused(error),
                    _ => Put::Unknown(lost()),
                },
                Fate::Well | Fate::Twice => self.inner.put(key, seen, record).await,
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            match self.fate() {
                Fate::Lost | Fate::Late => Put::Unknown(lost()),
                Fate::AnswerLost => {
                    self.inner.hint(shard, key, due, version).await;
                    Put::Unknown(lost())
                }
                Fate::Well | Fate::Twice => self.inner.hint(shard, key, due, version).await,
            }
        })
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        if self.read_fails() { Box::pin(async { Err(lost()) }) } else { self.inner.scan(what, after, limit) }
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        if self.read_fails() { Box::pin(async { Err(lost()) }) } else { self.inner.purge() }
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        self.inner.failed()
    }
}
