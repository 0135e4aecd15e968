//! Loads and listings: a few connections beside the writer's, used on threads that may block.
//!
//! A read takes its snapshot when it runs, which is after it was asked for: it sees every put acknowledged before.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::apply::{read_record, stored_rev};
use super::file;
use crate::error::{Error, Result};
use crate::model::{Entry, Item, Loaded, ObjectKey, Page, Register, Rev, Scan, Version};
use crate::storage::cursor;

/// Reads that run at once.
const READERS: usize = 4;
/// Rows one page looks at, at most: a page that met deleted objects only says where to go on.
const SCAN_LOOKED_MAX: usize = 8 * 1024;

/// Connections that read, opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS)), idle: Mutex::default() }
    }

    /// Runs a job on a connection of its own. A caller that goes away changes nothing: the job ends by itself.
    pub(super) async fn run<T: Send + 'static>(
        readers: &Arc<Self>,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let gone = |error: &dyn std::fmt::Display| Error::store(format!("reading: {error}"));
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|error| gone(&error))?;
        let readers = Arc::clone(readers);
        let blocking = move || {
            let _permit = permit;
            let conn = match readers.idle().pop() {
                Some(conn) => conn,
                None => file::reader(&readers.path)?,
            };
            let result = job(&conn);
            readers.idle().push(conn);
            result
        };
        let result = match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(blocking).await.map_err(|error| gone(&error))?,
            Err(_) => blocking(),
        };
        result.map_err(|error| gone(&error))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn get(conn: &Connection, name: &str) -> rusqlite::Result<Option<Entry>> {
    conn.prepare_cached("SELECT rev, value FROM register WHERE name = ?1")?
        .query_row([name], |row| entry(row, 0))
        .optional()
}

fn entry(row: &Row<'_>, first: usize) -> rusqlite::Result<Entry> {
    let value = match row.get_ref(first + 1)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Bytes::copy_from_slice(bytes),
        other => return Err(rusqlite::Error::InvalidColumnType(first + 1, "value".into(), other.data_type())),
    };
    Ok(Entry { value, rev: Rev::Number(row.get::<_, i64>(first)? as u64) })
}

pub(super) fn load(conn: &Connection, key: &ObjectKey) -> rusqlite::Result<Option<Loaded>> {
    conn.prepare_cached("SELECT row, version, state, meta FROM object WHERE type = ?1 AND id = ?2")?
        .query_row(params![key.type_name(), key.id()], |row| {
            Ok(Loaded { record: read_record(row, 1)?, rev: stored_rev(row.get(0)?) })
        })
        .optional()
}

pub(super) fn version(conn: &Connection, key: &ObjectKey) -> rusqlite::Result<Option<Version>> {
    conn.prepare_cached("SELECT version FROM object WHERE type = ?1 AND id = ?2")?
        .query_row(params![key.type_name(), key.id()], |row| Ok(Version::from_u64(row.get::<_, i64>(0)? as u64)))
        .optional()
}

/// One row of a listing: its name for the cursor, and what it is, if it is to be listed.
type Found = (String, Option<Item>);

pub(super) fn scan(conn: &Connection, what: &Scan, last: Option<String>, limit: usize) -> rusqlite::Result<Page> {
    let sql = match what {
        Scan::Registers(_) => "SELECT name, rev, value FROM register WHERE name >= ?1 AND name > ?2 ORDER BY name",
        // Without a look at the state itself, which may be large.
        Scan::Objects(_) => "SELECT id, octet_length(state) > 0 FROM object WHERE type = ?1 AND id > ?2 ORDER BY id",
        Scan::Hints(_) => {
            "SELECT type, id, due, version FROM hint WHERE shard = ?1 AND (type, id) > (?2, ?3) ORDER BY type, id"
        }
    };
    let mut statement = conn.prepare_cached(sql)?;
    // The first page begins behind the empty name, which nothing has.
    let mut last = last.unwrap_or_default();
    let mut rows = match what {
        Scan::Registers(prefix) => statement.query([prefix, &last])?,
        Scan::Objects(type_name) => statement.query([type_name, &last])?,
        Scan::Hints(shard) => {
            let (type_name, id) = last.split_once('/').unwrap_or_default();
            statement.query(params![shard, type_name, id])?
        }
    };
    let mut page = Page::default();
    let mut looked = 0;
    while let Some(row) = rows.next()? {
        if page.items.len() == limit || looked == SCAN_LOOKED_MAX.max(limit) {
            page.next = Some(cursor::encode(what, &last));
            break;
        }
        let Some((name, item)) = found(what, row)? else { break };
        page.items.extend(item);
        last = name;
        looked += 1;
    }
    Ok(page)
}

/// What a row is to the listing; `None` behind its end.
fn found(what: &Scan, row: &Row<'_>) -> rusqlite::Result<Option<Found>> {
    let key = |type_name: &str, id: &str| {
        ObjectKey::new(type_name, id)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
    };
    Ok(match what {
        Scan::Registers(prefix) => {
            let name: String = row.get(0)?;
            if !name.starts_with(prefix) {
                return Ok(None);
            }
            let item = Item::Register(Register::named(&name), entry(row, 1)?);
            Some((name, Some(item)))
        }
        Scan::Objects(type_name) => {
            let id: String = row.get(0)?;
            let item = if row.get(1)? { Some(Item::Object(key(type_name, &id)?)) } else { None };
            Some((id, item))
        }
        Scan::Hints(_) => {
            let (type_name, id): (String, String) = (row.get(0)?, row.get(1)?);
            let version = Version::from_u64(row.get::<_, i64>(3)? as u64);
            let item = match row.get::<_, Option<i64>>(2)? {
                Some(due) => Some(Item::Hint { key: key(&type_name, &id)?, due: due as u64, version }),
                None => None,
            };
            Some((format!("{type_name}/{id}"), item))
        }
    })
}
