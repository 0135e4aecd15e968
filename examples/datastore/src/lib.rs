//! A datastore of one's own: every write is appended to one file and synced, and all values are kept in memory.
//!
//! Three methods are written, the rest comes with `OverKeyValue`. It is small and honest, not fast: every write is a
//! sync of its own, and the file only grows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error as IoError, Read, Result as IoResult, Write};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use remote_object::error::{Error, Result};
use remote_object::model::{Cas, Durability, Entry, Rev};
use remote_object::storage::{KeyValue, OverKeyValue};

/// A key-value store in one file, which it locks.
#[derive(Debug)]
pub struct Log(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    end: u64,
    values: BTreeMap<String, Entry>,
    failed: bool,
}

/// The whole datastore over the log in this file. One process at a time, which the lock enforces: so it is exclusive.
pub fn open(path: &Path) -> IoResult<OverKeyValue<Log>> {
    Ok(OverKeyValue::new(Log::open(path)?, Durability::PowerSafe).exclusive())
}

impl Log {
    /// Opens or makes the file, and reads it.
    pub fn open(path: &Path) -> IoResult<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        file.try_lock().map_err(|_| IoError::other(format!("{} is used by another process", path.display())))?;
        File::open(path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new(".")))?.sync_all()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let bytes = Bytes::from(bytes);
        let (mut end, mut values) = (0, BTreeMap::new());
        while let Some((key, value, length)) = decode(&bytes, end) {
            end += length;
            values.insert(key, Entry { value, rev: Rev::Number(end as u64) });
        }
        // A crash can leave half a record at the end. It was never acknowledged; what comes next must not stand behind it.
        file.set_len(end as u64)?;
        file.sync_all()?;
        Ok(Self(Arc::new(Mutex::new(Inner { file, end: end as u64, values, failed: false }))))
    }

    fn with<T>(inner: &Mutex<Inner>, job: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.failed {
            return Err(Error::store("the log could not be written: open it again to see what is in it"));
        }
        job(&mut inner)
    }
}

impl KeyValue for Log {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Log::with(&self.0, |log| Ok(log.values.get(key).cloned()))
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let (log, key, seen) = (Arc::clone(&self.0), key.to_owned(), seen.cloned());
        // On a thread that may block; if the caller goes away, it ends all the same.
        let written = tokio::task::spawn_blocking(move || Log::with(&log, |log| Ok(log.write(key, seen, new)))).await;
        written.map_err(|error| Error::store(error.to_string())).flatten().unwrap_or_else(Cas::Unknown)
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let from = after.filter(|after| *after >= prefix).map_or(Included(prefix), Excluded);
        Log::with(&self.0, |log| {
            let of_prefix =
                log.values.range::<str, _>((from, Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
            Ok(of_prefix.take(limit).map(|(key, entry)| (key.clone(), entry.clone())).collect())
        })
    }
}

impl Inner {
    fn write(&mut self, key: String, seen: Option<Rev>, value: Bytes) -> Cas {
        if self.values.get(&key).map(|there| &there.rev) != seen.as_ref() {
            return Cas::Mismatch;
        }
        let record = encode(&key, &value, self.end);
        if let Err(error) = self.file.write_all(&record).and_then(|()| self.file.sync_data()) {
            // Half of it may be there, and nobody knows what the disk has: nothing is written or shown any more.
            self.failed = true;
            return Cas::Unknown(Error::store(error.to_string()));
        }
        self.end += record.len() as u64;
        // Where a record ends is a rev that never comes back, since the log never shrinks.
        let rev = Rev::Number(self.end);
        self.values.insert(key, Entry { value, rev: rev.clone() });
        Cas::Applied(rev)
    }
}

/// Length of key and value, a checksum over everything and the place, the key, the value.
fn encode(key: &str, value: &[u8], at: u64) -> Vec<u8> {
    let lengths = [(key.len() as u32).to_le_bytes(), (value.len() as u32).to_le_bytes()].concat();
    let sum = checksum(&[&at.to_le_bytes(), &lengths, key.as_bytes(), value]);
    [&lengths, &sum.to_le_bytes()[..], key.as_bytes(), value].concat()
}

fn decode(bytes: &Bytes, at: usize) -> Option<(String, Bytes, usize)> {
    let number = |from: usize| Some(u32::from_le_bytes(bytes.get(from..from + 4)?.try_into().ok()?) as usize);
    let (key_bytes, value_bytes) = (number(at)?, number(at + 4)?);
    let key = std::str::from_utf8(bytes.get(at + 16..at + 16 + key_bytes)?).ok()?;
    let value = at + 16 + key_bytes..at + 16 + key_bytes + value_bytes;
    let length = value.end - at;
    let same = encode(key, bytes.get(value.clone())?, at as u64) == bytes[at..value.end];
    same.then(|| (key.to_owned(), bytes.slice(value), length))
}

/// FNV-1a, 64 bits.
fn checksum(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
