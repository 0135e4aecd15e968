//! # The embedded store: one SQLite file
//!
//! Adds: durability over the loss of power, with nothing to install. WAL, `synchronous=FULL`; one writer thread commits
//! whatever all objects have waiting as one transaction; loads run beside it on connections of their own.
//! Never knows: what an object is.
//! Door: [`Sqlite`]. `file` makes sure that the file is ours and ours alone, `writer` is the thread and its queue,
//! `apply` is the SQL of one job, `readers` the loads, `fate` remembers the first error of the disk.
//!
//! An error of the disk stops the store for good: what a failed `fsync` left in the kernel's cache may look written and
//! not be, so the only honest way on is a restart, which reads what is there and writes it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use rusqlite::Connection;

use self::fate::Fate;
use self::readers::Readers;
use self::writer::{Ask, Writer};
use super::{Datastore, check_put, cursor};
use crate::error::{Error, Result};
use crate::model::{
    Caps, Cas, Durability, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};

mod apply;
mod fate;
mod file;
mod readers;
mod writer;

/// A larger record is refused, in bytes.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// A [`Datastore`] in one SQLite file, used by one process alone.
///
/// Dropping it commits what was asked for before, closes the file and releases it to others.
pub struct Sqlite {
    path: PathBuf,
    fate: Arc<Fate>,
    // The readers go first, so that the writer is the last one to close the file and folds the WAL into it.
    readers: Arc<Readers>,
    writer: Writer,
}

impl Sqlite {
    /// Opens the file, or makes it. Blocks for some milliseconds; longer if a crash left much to recover.
    ///
    /// # Errors
    /// `config`, saying what is wrong with the file and what would be right: another process uses it (and which), it is
    /// a directory, cannot be written, is no database of ours, or one of a newer release.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (conn, lock) = file::open(path.as_ref())?;
        let fate = Arc::new(Fate::default());
        let readers = Arc::new(Readers::new(lock.path().to_owned()));
        let path = lock.path().to_owned();
        let writer = Writer::start(conn, lock, Arc::clone(&fate))?;
        Ok(Self { path, fate, readers, writer })
    }

    fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        Box::pin(async move {
            self.fate.check()?;
            Readers::run(&self.readers, job).await
        })
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Datastore for Sqlite {
    fn caps(&self) -> Caps {
        Caps {
            ordering: Ordering::Conditional,
            exclusive: true,
            durability: Durability::PowerSafe,
            record_bytes_max: RECORD_BYTES_MAX,
        }
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        let name = register.name().to_owned();
        self.read(move |conn| readers::get(conn, &name))
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        let (name, new) = (register.name().to_owned(), Bytes::copy_from_slice(new));
        let answer = self.writer.enqueue(Ask::Cas { name, seen: seen.cloned(), new });
        Box::pin(async move {
            match answer.await {
                Put::Stored(rev) => Cas::Applied(rev),
                Put::Conflict(_) => Cas::Mismatch,
                Put::Refused(error) | Put::Unknown(error) => Cas::Unknown(error.with_operation("cas")),
            }
        })
    }

    /// A file has few of them: one process uses it, and it writes no row for each of its lives.
    fn remove<'a>(&'a self, _: &'a Register, _: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        Box::pin(future::ready(Ok(false)))
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        let key = key.clone();
        self.read(move |conn| readers::load(conn, &key))
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        let key = key.clone();
        self.read(move |conn| readers::version(conn, &key))
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        if let Err(error) = check_put(&self.caps(), seen, record) {
            return Box::pin(future::ready(Put::Refused(error.with_key(key))));
        }
        // At the call, not at the first poll: the turns of many objects are to wait together.
        Box::pin(self.writer.enqueue(Ask::Put { key: key.clone(), seen: seen.cloned(), record: record.clone() }))
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        Box::pin(self.writer.enqueue(Ask::Hint { shard, key: key.clone(), due, version }))
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        let last = match after.map(|after| cursor::decode(what, after)).transpose() {
            Ok(last) => last,
            Err(error) => return Box::pin(future::ready(Err(error))),
        };
        let what = what.clone();
        self.read(move |conn| readers::scan(conn, &what, last, limit.max(1)))
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        let answer = self.writer.enqueue(Ask::Purge);
        Box::pin(async move {
            match answer.await {
                Put::Stored(Rev::Number(count)) => Ok(count),
                Put::Refused(error) | Put::Unknown(error) => Err(error.with_operation("purge")),
                other => Err(Error::internal(format!("a purge was answered with {other:?}"))),
            }
        })
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(self.fate.failed())
    }
}
