//! The roster: which objects of a type there are, so that they can be listed.
//!
//! Its rows carry the version of a put as their timestamp, as records do, so that a late request of an earlier put never
//! undoes what a later one did. Two things hold:
//!
//! - **No acknowledged creation is missed.** Under each epoch the first put of an object that lives writes its row, after
//!   the record is stored and before the put is answered; [`Written`] remembers that it did. A row is removed only under
//!   the version of a stored deletion, so one that was written for a later put survives.
//! - **A deleted object is soon listed no more**, also when the process dies between its put and the row's removal: before a
//!   deletion is sent, the id is noted [`BUCKETS`] buckets further, and the note goes last. A listing that finds a note
//!   looks at the record, shows it if it lives, and tidies up what was left behind.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, stream};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::fault::Fault;
use super::records::{Records, timestamp};
use super::session::{self, Scope};
use super::settings::Tables;
use super::written::Written;
use crate::error::{Error, Result};
use crate::model::{Item, ObjectKey, Page, Scan, Version};
use crate::storage::cursor;

/// Partitions of one type. Never changed: where an id stands depends on it.
const BUCKETS: i32 = 64;
/// Rows of a bucket a page looks at, at most.
const CHUNK_MAX: usize = 1000;
/// Buckets read at the same time.
const READ_AHEAD: usize = 8;

#[derive(Debug)]
pub(super) struct Roster {
    session: Arc<Session>,
    records: Arc<Records>,
    add: PreparedStatement,
    remove: PreparedStatement,
    list: PreparedStatement,
    list_between: PreparedStatement,
    written: Mutex<Written>,
}

/// A part of a bucket, as a listing sees it.
struct Part {
    bucket: i32,
    /// Every id that was looked at, in order, and whether it is to be shown.
    ids: Vec<(String, bool)>,
    /// Nothing comes behind these.
    ended: bool,
}

impl Roster {
    pub(super) async fn prepare(
        session: &Arc<Session>,
        records: &Arc<Records>,
        scope: &Scope,
        tables: &Tables,
    ) -> Result<Arc<Self>, Fault> {
        let roster = tables.name("roster");
        let add = format!("INSERT INTO {roster} (type, bucket, id) VALUES (?, ?, ?) USING TIMESTAMP ?");
        let remove = format!("DELETE FROM {roster} USING TIMESTAMP ? WHERE type = ? AND bucket = ? AND id = ?");
        let list = format!("SELECT id FROM {roster} WHERE type = ? AND bucket = ? AND id > ? LIMIT ?");
        let list_between = format!("SELECT id FROM {roster} WHERE type = ? AND bucket = ? AND id > ? AND id <= ?");
        Ok(Arc::new(Self {
            add: session::prepare(session, scope, &add).await?,
            remove: session::prepare(session, scope, &remove).await?,
            list: session::prepare(session, scope, &list).await?,
            list_between: session::prepare(session, scope, &list_between).await?,
            session: Arc::clone(session),
            records: Arc::clone(records),
            written: Mutex::default(),
        }))
    }

    /// The object lives, as its record of this version says, which is stored: has its row written, once an epoch.
    pub(super) async fn lives(&self, key: &ObjectKey, version: Version) -> Result<(), Fault> {
        if self.written().stands(key, version.epoch()) {
            return Ok(());
        }
        self.add(key, bucket(key.id()), version).await?;
        self.written().note(key, version, true);
        Ok(())
    }

    /// The object's deletion is about to be sent.
    pub(super) async fn goes(&self, key: &ObjectKey, version: Version) -> Result<(), Fault> {
        // First of all: whatever becomes of this request, the next put that lives writes the row again.
        self.written().note(key, version, false);
        self.add(key, bucket(key.id()) + BUCKETS, version).await
    }

    /// The record of this version, which is deleted, is stored: its row goes, then the note. Nobody waits for it, and if it
    /// fails the note stays, and the next listing does it.
    pub(super) fn gone(self: &Arc<Self>, key: &ObjectKey, version: Version) {
        self.tidy(key.clone(), version, true);
    }

    /// Removes the row and the note of an object whose record is to be removed, as of its last version.
    pub(super) async fn forget(&self, key: &ObjectKey, version: Version) -> Result<(), Fault> {
        let bucket = bucket(key.id());
        self.remove(key, bucket, version).await?;
        self.remove(key, bucket + BUCKETS, version).await
    }

    /// Removes the note of an object, and before that, if it is deleted, its row: all of it as of the record's version.
    fn tidy(self: &Arc<Self>, key: ObjectKey, version: Version, deleted: bool) {
        let roster = Arc::clone(self);
        tokio::spawn(async move {
            let bucket = bucket(key.id());
            let done = async {
                if deleted {
                    roster.remove(&key, bucket, version).await?;
                }
                roster.remove(&key, bucket + BUCKETS, version).await
            };
            if let Err(fault) = done.await {
                tracing::debug!(object = %key, error = %fault, "the roster is tidied later");
            }
        });
    }

    async fn add(&self, key: &ObjectKey, bucket: i32, version: Version) -> Result<(), Fault> {
        let values = (key.type_name(), bucket, key.id(), timestamp(version));
        session::send(&self.session, &self.add, values).await.map(|_| ())
    }

    async fn remove(&self, key: &ObjectKey, bucket: i32, version: Version) -> Result<(), Fault> {
        let values = (timestamp(version), key.type_name(), bucket, key.id());
        session::send(&self.session, &self.remove, values).await.map(|_| ())
    }

    /// One page of a type's objects, by bucket and id. The cursor is `bucket/id`.
    pub(super) async fn page(
        self: &Arc<Self>,
        what: &Scan,
        type_name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        let last = match after.map(|after| cursor::decode(what, after)).transpose()? {
            Some(last) => position(&last).ok_or_else(|| Error::internal(format!("the cursor {last:?}")))?,
            // The first page begins behind the empty id, which nothing has.
            None => (0, String::new()),
        };
        let (first, mut behind) = (last.0, Some(last.1));
        let parts = (first..BUCKETS).map(|bucket| {
            let behind = behind.take().unwrap_or_default();
            self.part(type_name, bucket, behind, limit.min(CHUNK_MAX))
        });
        let mut parts = stream::iter(parts).buffered(READ_AHEAD);
        let mut page = Page::default();
        let mut last: Option<(i32, String)> = None;
        while let Some(part) = parts.next().await {
            let Part { bucket, ids, ended } = part.map_err(|fault| fault.error("scan"))?;
            for (id, shown) in ids {
                if page.items.len() == limit {
                    page.next = last.map(|last| at(what, &last));
                    return Ok(page);
                }
                if shown {
                    page.items.push(Item::Object(ObjectKey::new(type_name, &id)?));
                }
                last = Some((bucket, id));
            }
            if !ended {
                page.next = last.map(|last| at(what, &last));
                return Ok(page);
            }
        }
        Ok(page)
    }

    async fn part(self: &Arc<Self>, type_name: &str, bucket: i32, behind: String, limit: usize) -> Result<Part, Fault> {
        let values = (type_name, bucket, &behind, limit as i32);
        let ids = read_ids(&session::rows(&self.session, &self.list, values).await?)?;
        let ended = ids.len() < limit;
        let Some(last) = ids.last() else { return Ok(Part { bucket, ids: Vec::new(), ended }) };
        let values = (type_name, bucket + BUCKETS, &behind, last);
        let noted: HashSet<String> =
            read_ids(&session::rows(&self.session, &self.list_between, values).await?)?.into_iter().collect();
        let mut shown = Vec::with_capacity(ids.len());
        for id in ids {
            let lives = !noted.contains(&id) || self.look(type_name, &id).await?;
            shown.push((id, lives));
        }
        Ok(Part { bucket, ids: shown, ended })
    }

    /// Whether an object that was noted lives, by its record.
    async fn look(self: &Arc<Self>, type_name: &str, id: &str) -> Result<bool, Fault> {
        let key = ObjectKey::new(type_name, id).map_err(|error| Fault::Foreign(error.to_string()))?;
        let record = match self.records.load(&key).await {
            Ok(record) => record,
            // Loading it says what is wrong; leaving it out would hide it.
            Err(Fault::Foreign(_)) => return Ok(true),
            Err(fault) => return Err(fault),
        };
        let Some(record) = record else { return Ok(false) };
        let deleted = record.is_deleted();
        self.tidy(key, record.version, deleted);
        Ok(!deleted)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bucket(id: &str) -> i32 {
    (xxhash_rust::xxh3::xxh3_64(id.as_bytes()) % BUCKETS as u64) as i32
}

fn at(what: &Scan, (bucket, id): &(i32, String)) -> String {
    cursor::encode(what, &format!("{bucket}/{id}"))
}

fn position(text: &str) -> Option<(i32, String)> {
    let (bucket, id) = text.split_once('/')?;
    Some((bucket.parse().ok()?, id.to_owned()))
}

fn read_ids(rows: &scylla::response::query_result::QueryRowsResult) -> Result<Vec<String>, Fault> {
    let rows = rows.rows::<(String,)>()?;
    rows.map(|row| Ok(row?.0)).collect()
}
