//! One job of the writer, as SQL inside the transaction of its batch. Each is conditional by itself.

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Result, ToSql, params};

use super::writer::Ask;
use crate::model::{ObjectKey, Put, Record, Rev, Seen, Version};

const INSERT: &str =
    "INSERT INTO object (type, id, version, state, meta) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
// The row is where to look, the version is the condition, the name makes sure.
const UPDATE: &str =
    "UPDATE object SET version = ?3, state = ?4, meta = ?5 WHERE row = ?6 AND version = ?7 AND type = ?1 AND id = ?2";
const LOOK: &str = "SELECT row, version, state, meta FROM object WHERE type = ?1 AND id = ?2";
const CREATE_REGISTER: &str = "INSERT INTO register (name, rev, value) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING";
const SET_REGISTER: &str = "UPDATE register SET rev = rev + 1, value = ?2 WHERE name = ?1 AND rev = ?3";
const HINT: &str = "INSERT INTO hint (shard, type, id, due, version) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET due = excluded.due, version = excluded.version WHERE excluded.version >= version";
const LOOK_HINT: &str = "SELECT version FROM hint WHERE shard = ?1 AND type = ?2 AND id = ?3";

/// JSON text as it is, without a copy and without a look at it.
struct Text<'a>(&'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// What the job's answer will be once the batch is durable.
pub(super) fn apply(conn: &Connection, ask: &Ask) -> Result<Put> {
    match ask {
        Ask::Put { key, seen, record } => put(conn, key, seen.as_ref(), record),
        Ask::Cas { name, seen, new } => cas(conn, name, seen.as_ref(), new),
        Ask::Hint { shard, key, due, version } => hint(conn, *shard, key, *due, *version),
        Ask::Purge => purge(conn),
    }
}

fn put(conn: &Connection, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Result<Put> {
    match seen {
        None => {
            let (version, state, meta) = columns(record);
            let values = params![key.type_name(), key.id(), version, state, meta];
            if conn.prepare_cached(INSERT)?.execute(values)? == 1 {
                return Ok(Put::Stored(Rev::Number(conn.last_insert_rowid() as u64)));
            }
        }
        Some(Seen { version, rev: Rev::Number(row) }) => {
            if update(conn, key, *row as i64, *version, record)? {
                return Ok(Put::Stored(Rev::Number(*row)));
            }
        }
        Some(Seen { rev: Rev::Text(_), .. }) => {}
    }
    let there = conn
        .prepare_cached(LOOK)?
        .query_row(params![key.type_name(), key.id()], |row| Ok((row.get(0)?, read_record(row, 1)?)))
        .optional()?;
    match (there, seen) {
        (None, _) => Ok(Put::Conflict(Version::default())),
        (Some((row, there)), _) if there == *record => Ok(Put::Stored(stored_rev(row))),
        // The version is the condition; a row that is not where it was seen is found again.
        (Some((row, there)), Some(seen)) if there.version == seen.version => {
            update(conn, key, row, seen.version, record)?;
            Ok(Put::Stored(stored_rev(row)))
        }
        (Some((_, there)), _) => Ok(Put::Conflict(there.version)),
    }
}

fn update(conn: &Connection, key: &ObjectKey, row: i64, seen: Version, record: &Record) -> Result<bool> {
    let (version, state, meta) = columns(record);
    let seen = seen.as_u64() as i64;
    let values = params![key.type_name(), key.id(), version, state, meta, row, seen];
    Ok(conn.prepare_cached(UPDATE)?.execute(values)? == 1)
}

fn columns(record: &Record) -> (i64, Text<'_>, &[u8]) {
    (record.version.as_u64() as i64, Text(&record.state), &record.meta)
}

/// The mark on a record: its row. With the version, which the put must know too, it names one put.
pub(super) fn stored_rev(row: i64) -> Rev {
    Rev::Number(row as u64)
}

/// Version, state and meta from the columns that begin at `first`.
pub(super) fn read_record(row: &rusqlite::Row<'_>, first: usize) -> Result<Record> {
    let bytes = |column: usize| -> Result<Bytes> {
        match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            other => Err(rusqlite::Error::InvalidColumnType(column, "state or meta".into(), other.data_type())),
        }
    };
    let version = row.get::<_, i64>(first)?;
    Ok(Record { version: Version::from_u64(version as u64), state: bytes(first + 1)?, meta: bytes(first + 2)? })
}

fn cas(conn: &Connection, name: &str, seen: Option<&Rev>, new: &Bytes) -> Result<Put> {
    let (applied, rev) = match seen {
        None => (conn.prepare_cached(CREATE_REGISTER)?.execute(params![name, Text(new)])?, 1),
        Some(Rev::Number(rev)) => {
            (conn.prepare_cached(SET_REGISTER)?.execute(params![name, Text(new), *rev as i64])?, rev.wrapping_add(1))
        }
        Some(Rev::Text(_)) => (0, 0),
    };
    Ok(if applied == 1 { Put::Stored(Rev::Number(rev)) } else { Put::Conflict(Version::default()) })
}

fn hint(conn: &Connection, shard: u32, key: &ObjectKey, due: Option<u64>, version: Version) -> Result<Put> {
    let number = version.as_u64() as i64;
    let values = params![shard, key.type_name(), key.id(), due.map(|due| due as i64), number];
    if conn.prepare_cached(HINT)?.execute(values)? == 1 {
        return Ok(Put::Stored(Rev::Number(version.as_u64())));
    }
    let there: i64 =
        conn.prepare_cached(LOOK_HINT)?.query_row(params![shard, key.type_name(), key.id()], |row| row.get(0))?;
    Ok(Put::Conflict(Version::from_u64(there as u64)))
}

fn purge(conn: &Connection) -> Result<Put> {
    let records = conn.execute("DELETE FROM object WHERE octet_length(state) = 0", [])?;
    conn.execute("DELETE FROM hint WHERE due IS NULL", [])?;
    conn.execute("DELETE FROM register WHERE name >= 'doctor/' AND name < 'doctor0'", [])?;
    Ok(Put::Stored(Rev::Number(records as u64)))
}
