//! Record formats while releases change: the newest one that every node reads is written, and no other.
//!
//! A node's row says the newest format it reads and writes. `meta/cluster` says the newest that may be written, and is raised
//! before anything is: **who raises it, or writes by it, writes the register first and reads the rows of nodes then; who joins
//! writes its row first and reads the register then.** One of the two sees the other. So no node is up that does not read
//! what is written, whoever comes and goes meanwhile; and a build that is too old is told so when it starts.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::members::read_up;
use super::registers::{ClusterRow, NodeRow, change, read};
use super::shards::Locks;
use crate::cache::Cache;
use crate::clock::{self, Instant};
use crate::config::FORMAT_AFTER;
use crate::error::{Error, Result};
use crate::model::Register;

/// The format of the first release, which every node reads.
const FIRST: u32 = 1;

/// The formats of this node.
#[derive(Debug)]
pub(super) struct Formats {
    /// The newest it reads and writes.
    newest: u32,
    /// The newest that every node reads: what is written.
    written: AtomicU32,
    /// A newer one that all nodes read, and since when.
    since: Mutex<Option<(u32, Instant)>>,
    raising: AtomicBool,
}

/// That the format is being raised; one at a time.
struct Raising(Arc<Locks>);

impl Raising {
    fn begin(locks: &Arc<Locks>) -> Option<Self> {
        (!locks.formats.raising.swap(true, Relaxed)).then(|| Self(Arc::clone(locks)))
    }
}

impl Drop for Raising {
    fn drop(&mut self) {
        self.0.formats.raising.store(false, Relaxed);
    }
}

impl Formats {
    pub(super) fn new(newest: u32) -> Self {
        Self { newest, written: AtomicU32::new(FIRST), since: Mutex::new(None), raising: AtomicBool::new(false) }
    }
}

/// Refuses a build that does not read what may be written.
pub(super) fn allow(written: u32, newest: u32) -> Result<()> {
    if written <= newest {
        return Ok(());
    }
    Err(Error::config(format!(
        "the store has records of format {written}, and this release reads formats up to {newest}; start the release that \
         the other nodes are of, or a newer one"
    )))
}

/// The same, by the register as it is now.
pub(super) async fn check(cache: &Cache, newest: u32) -> Result<()> {
    let cluster = read::<ClusterRow>(cache, &Register::cluster()).await?;
    cluster.map_or(Ok(()), |(cluster, _)| allow(cluster.format, newest))
}

/// The newest format that all of these read.
fn common(rows: &[(String, NodeRow)]) -> Option<u32> {
    rows.iter().map(|(_, row)| row.format.max(FIRST)).min()
}

impl Locks {
    /// The newest record format that this node reads.
    #[must_use]
    pub fn newest_format(&self) -> u32 {
        self.formats.newest
    }

    /// The record format that is to be written now. It never goes back.
    #[must_use]
    pub fn format(&self) -> u32 {
        self.formats.written.load(Relaxed)
    }

    /// Where one process has the store there is nobody else to read it.
    pub(super) async fn write_newest(&self) -> Result<()> {
        if self.formats.newest > FIRST {
            self.raise_register(self.formats.newest).await?;
            self.formats.written.store(self.formats.newest, Relaxed);
        }
        Ok(())
    }

    /// After a beat: raises the format, in the background, once all nodes have read a newer one for a while, or another one
    /// has raised it. `rows`: all that are up.
    pub(super) fn raise_format(self: &Arc<Self>, rows: &[(String, NodeRow)]) {
        if self.formats.newest == self.format() {
            return;
        }
        let common = common(rows).unwrap_or(FIRST).min(self.formats.newest);
        let since = {
            let mut since = self.formats.since.lock().unwrap_or_else(PoisonError::into_inner);
            if common <= self.format() {
                *since = None;
                return;
            }
            match *since {
                Some((format, since)) if format == common => since,
                _ => since.insert((common, clock::now())).1,
            }
        };
        let Some(raising) = Raising::begin(self) else { return };
        tokio::spawn(async move {
            match raising.0.try_write_format(common, since.elapsed() >= FORMAT_AFTER).await {
                Ok(true) => {
                    tracing::info!(format = common, "every node reads this record format; it is written from here on")
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(?error, format = common, "the record format could not be raised"),
            }
        });
    }

    /// Writes this format from here on, if every node reads it once none that does not can join any more. `raise`: though
    /// nobody else has said yet that it may be written.
    async fn try_write_format(&self, format: u32, raise: bool) -> Result<bool> {
        let cluster = read::<ClusterRow>(&self.cache, &Register::cluster()).await?;
        if !raise && cluster.is_none_or(|(cluster, _)| cluster.format < format) {
            return Ok(false);
        }
        self.raise_register(format).await?;
        let rows = read_up(&self.cache).await?;
        let all_read = common(&rows).is_some_and(|common| common >= format);
        if all_read {
            self.formats.written.fetch_max(format, Relaxed);
        }
        Ok(all_read)
    }

    /// With a write of our own that was applied, though it may say so already: what was only read may be known to one
    /// replica.
    async fn raise_register(&self, format: u32) -> Result<()> {
        let raised = |row: &ClusterRow| ClusterRow { format: row.format.max(format), ..row.clone() };
        let row = change(&self.cache, &Register::cluster(), |found: Option<&ClusterRow>| found.map(raised)).await?;
        match row {
            Some(row) if row.format >= format => Ok(()),
            _ => Err(Error::store("the register of the cluster is not there")),
        }
    }
}
