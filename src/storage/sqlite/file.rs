//! The file: that it is ours, of a schema we know, and used by nobody else.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::{Error, Result};

/// `objd`: what `PRAGMA application_id` says of a file of ours.
const APPLICATION_ID: i32 = 0x6f62_6a64;
/// The schema's steps, in order. `PRAGMA user_version` counts those a file has taken.
const SCHEMA: [&str; 1] = [include_str!("../../../schemas/sqlite/0001.sql")];
/// How long to wait for another program that has the file open, such as `sqlite3`.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// After a burst the WAL is cut back to this, in bytes.
const WAL_BYTES_KEPT: i64 = 64 << 20;
/// The page of a new file, in bytes; a file keeps the page it was made with. A commit of many small objects writes a page for
/// each of them: half of SQLite's default writes, copies and checks half as many bytes. Smaller ones take more pages, and more
/// calls of the system, for a record of a few KiB.
const PAGE_BYTES: i64 = 2048;
/// The writer's page cache, in KiB.
const CACHE_KIB: i64 = 16 << 10;

/// The right to use a file, held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    // Unlocked by the system when it is closed, so also when the process dies. The file stays: to remove it would let
    // one process lock the old one and another the new.
    _file: File,
}

impl Lock {
    /// The database's path, without links and dots.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens or makes the file; gives the connection that writes, and the right to use it.
pub(super) fn open(path: &Path) -> Result<(Connection, Lock)> {
    let lock = lock(canonical(path)?)?;
    let shown = path.display();
    let conn = writer(&lock.path).map_err(|error| match error {
        Refusal::Ours(text) => Error::config(format!("{shown} {text}")),
        Refusal::Sqlite(error) => Error::config(format!("{shown} cannot be opened as a database: {error}")),
    })?;
    Ok((conn, lock))
}

/// A connection that reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags() - OpenFlags::SQLITE_OPEN_CREATE)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "query_only", true)?;
    // To fold the WAL is the writer's business: it alone sees an error of it.
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

fn flags() -> OpenFlags {
    // Without SQLITE_OPEN_URI, and each connection used by one thread at a time.
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// The path without links and dots, so that one file has one lock, whatever it is called.
fn canonical(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Error::config(format!("{shown} is a directory; name a file in it, such as {shown}/objectd.db")));
    }
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let Some(name) = path.file_name() else {
        return Err(Error::config(format!("{shown} is not the path of a file")));
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(parent) {
        Ok(parent) if parent.is_dir() => Ok(parent.join(name)),
        Ok(_) => Err(Error::config(format!("{} is no directory, so {shown} cannot be made", parent.display()))),
        Err(error) => Err(Error::config(format!(
            "the directory {} cannot be used ({error}); make it first, or name another file",
            parent.display()
        ))),
    }
}

fn lock(path: PathBuf) -> Result<Lock> {
    let mut beside = path.clone().into_os_string();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let cannot = |what: &str, error: std::io::Error| {
        Error::config(format!(
            "the lock file {} cannot be {what} ({error}); name a file where this process may write",
            beside.display()
        ))
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&beside)
        .map_err(|error| cannot("opened", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(used(&path, &mut file)),
        Err(TryLockError::Error(error)) => return Err(cannot("locked", error)),
    }
    let holder = format!("process {} on host {}\n", std::process::id(), host());
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
    written.map_err(|error| cannot("written", error))?;
    Ok(Lock { path, _file: file })
}

fn used(path: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    let _ = file.take(512).read_to_string(&mut text);
    let holder = match text.trim() {
        "" => "another process",
        holder => holder,
    };
    Error::config(format!("{} is used by {holder}; stop it, or use another file", path.display()))
        .with_field("holder", holder)
}

/// The host's name as Linux tells it; only ever shown.
fn host() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    told.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
}

enum Refusal {
    Ours(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return Self::Ours("is no SQLite database; name another file".into());
        }
        Self::Sqlite(error)
    }
}

fn writer(path: &Path) -> Result<Connection, Refusal> {
    let mut conn = Connection::open_with_flags(path, flags())?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    if conn.is_readonly("main")? {
        return Err(Refusal::Ours("is read-only; make it writable for this process, or name another file".into()));
    }
    // Looked at first, so that a file of somebody else is left exactly as it is.
    check(&conn)?;
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Refusal::Ours(format!(
            "lies where SQLite has no WAL (it says {mode}); name a file on a local disk"
        )));
    }
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // The writer folds the WAL itself: SQLite's own way hides an error of it.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    migrate(&mut conn)?;
    // What a crash left in the WAL may be in the kernel's cache alone. It is made durable before anyone is shown it.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(conn)
}

/// How many steps of the schema the file has taken; none, if it is new.
fn check(conn: &Connection) -> Result<usize, Refusal> {
    let application: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Refusal::Ours("is a SQLite database of another program; name another file".into()));
    }
    let known = SCHEMA.len();
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        _ => Err(Refusal::Ours(format!(
            "was written by a newer release: its schema is version {version}, this build knows up to {known}; use the newer release, or another file"
        ))),
    }
}

fn migrate(conn: &mut Connection) -> Result<(), Refusal> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let taken = check(&tx)?;
    for step in &SCHEMA[taken..] {
        tx.execute_batch(step)?;
    }
    if taken < SCHEMA.len() {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", SCHEMA.len() as i64)?;
        let made_by = concat!("remote-object ", env!("CARGO_PKG_VERSION"));
        tx.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema_by', ?1)", [made_by])?;
    }
    Ok(tx.commit()?)
}
