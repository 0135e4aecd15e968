//! What the protocol needs of a store, tried on things of its own: registers below `doctor/`, an object of a type nobody
//! else has. They disturb nothing: the object is left as deleted, and a purge, where the store has one,
//! takes it all away.

use bytes::Bytes;

use super::doctor::{Fault, Report};
use crate::error::Error;
use crate::model::{Cas, Item, ObjectKey, Ordering, Put, Record, Register, Rev, Scan, Seen, Version};
use crate::storage::Datastore;

/// The type of the object that is put.
const TYPE: &str = "remote-object-doctor";
/// The shard its hint is put under: none that there is, so that nobody looks at it.
const SHARD: u32 = u32::MAX >> 1;
/// What the rooms above may put beside a state of the largest size, in bytes.
const META_BYTES: usize = 64 << 10;

const BROKEN: &str = "objects are not safe in this store; report it to whoever makes it";
const AGAIN: &str = "ask again; if it stays so, see how busy its servers are, and whether all of them run";

type Probed<T = ()> = Result<T, Fault>;

/// Registers: created once, changed by whoever saw the last value, read as they were written last.
pub(super) async fn registers(store: &dyn Datastore, report: &mut Report, id: &str) -> Option<()> {
    let register = Register::named(format!("doctor/{id}"));
    let cas = async |seen: Option<&Rev>, new: &str| store.cas(&register, seen, new.as_bytes()).await;
    let first = report.probe("a register is created", async { applied(cas(None, "1").await) }).await?;
    report.probe("a second creation of it is refused", async { mismatch(cas(None, "2").await) }).await;
    let second =
        report.probe("it is changed by who has seen it", async { applied(cas(Some(&first), "3").await) }).await?;
    report.probe("a stale change of it is refused", async { mismatch(cas(Some(&first), "4").await) }).await;
    let read = async {
        let there = store.get(&register).await?;
        match there {
            Some(there) if there.value == "3" && there.rev == second => Ok(()),
            there => Err(Fault::new(format!("it was set to 3 last, and reads {there:?}"), BROKEN)),
        }
    };
    report.probe("it reads as it was written last", read).await
}

fn applied(cas: Cas) -> Probed<Rev> {
    match cas {
        Cas::Applied(rev) => Ok(rev),
        Cas::Mismatch => Err(Fault::new("it is refused, as if somebody else had written it", BROKEN)),
        Cas::Unknown(error) => Err(unknown(&error)),
    }
}

fn mismatch(cas: Cas) -> Probed {
    match cas {
        Cas::Mismatch => Ok(()),
        Cas::Applied(_) => Err(Fault::new("it took effect, so that two could own the same objects", BROKEN)),
        Cas::Unknown(error) => Err(unknown(&error)),
    }
}

fn unknown(error: &Error) -> Fault {
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Fault::new(format!("nobody knows what became of it: {}{detail}", error.message()), AGAIN)
}

/// Objects: put over what was seen, read back byte for byte, listed, hinted at, deleted.
pub(super) async fn objects(store: &dyn Datastore, report: &mut Report, id: &str, state_bytes: usize) {
    let key = match ObjectKey::new(TYPE, id) {
        Ok(key) => key,
        Err(error) => return report.fail("an object is named", &error.into()),
    };
    put_and_read(store, report, &key, state_bytes).await;
    report.probe("it is deleted", delete(store, &key)).await;
}

async fn put_and_read(store: &dyn Datastore, report: &mut Report, key: &ObjectKey, state_bytes: usize) -> Option<()> {
    let put = async |seen: Option<&Seen>, record: &Record| store.put(key, seen, record).await;
    let first = record(1, r#"{"text":"été 日本"}"#);
    let first = report.probe("an object is put", async { stored(put(None, &first).await, &first) }).await?;
    let second = record(3, r#"{"text":"fünf 五"}"#);
    let over = async { stored(put(Some(&first), &second).await, &second) };
    let seen = report.probe("it is put over what was seen", over).await?;
    if store.caps().ordering == Ordering::Conditional {
        let again = async { conflict(put(None, &record(4, "{}")).await, second.version) };
        report.probe("a second creation of it is refused", again).await;
        let stale = async { conflict(put(Some(&first), &record(4, "{}")).await, second.version) };
        report.probe("a stale put of it is refused", stale).await;
    } else {
        // It may be acknowledged; what counts is what is there afterwards.
        let late = async {
            put(Some(&first), &record(2, "{}")).await;
            holds(store, key, &second).await
        };
        report.probe("a late put of a lower version changes nothing", late).await;
    }
    let again = async { stored(put(Some(&first), &second).await, &second).map(drop) };
    report.probe("the same put, sent again, is stored", again).await;
    report.probe("it reads back byte for byte", holds(store, key, &second)).await;
    let version = async {
        match store.version(key).await? {
            Some(version) if version == second.version => Ok(()),
            other => Err(Fault::new(format!("it is of version {}, and {other:?} is told", second.version), BROKEN)),
        }
    };
    report.probe("its version is told without it", version).await;
    report.probe("it is listed", listed(store, key)).await;
    report.probe("a hint for it is kept and cleared", hinted(store, key, second.version)).await;
    let caps = store.caps();
    let size = state_bytes.min(caps.record_bytes_max.saturating_sub(META_BYTES));
    let large = record(5, &format!("\"{}\"", "x".repeat(size.saturating_sub(2))));
    let what = format!("a state of {size} bytes is put and reads back");
    let largest = async {
        stored(put(Some(&seen), &large).await, &large)?;
        holds(store, key, &large).await
    };
    report.probe(&what, largest).await
}

/// A record of the first epoch, with every byte there is in its meta.
fn record(seq: u32, state: &str) -> Record {
    let meta: Vec<u8> = (0..=255).collect();
    Record { version: Version::new(1, seq), state: Bytes::copy_from_slice(state.as_bytes()), meta: meta.into() }
}

fn stored(put: Put, record: &Record) -> Probed<Seen> {
    match put {
        Put::Stored(rev) => Ok(Seen { version: record.version, rev }),
        Put::Conflict(version) => Err(Fault::new(format!("it is refused: version {version} stands there"), BROKEN)),
        Put::Refused(error) => Err(error.into()),
        Put::Unknown(error) => Err(unknown(&error)),
    }
}

fn conflict(put: Put, there: Version) -> Probed {
    match put {
        Put::Conflict(version) if version == there => Ok(()),
        Put::Conflict(version) => {
            Err(Fault::new(format!("it is refused, and told that version {version} stands there, not {there}"), BROKEN))
        }
        Put::Stored(_) => Err(Fault::new("it took effect over an acknowledged write", BROKEN)),
        Put::Refused(error) => Err(error.into()),
        Put::Unknown(error) => Err(unknown(&error)),
    }
}

async fn holds(store: &dyn Datastore, key: &ObjectKey, record: &Record) -> Probed {
    let shown = |record: &Record| format!("version {} of {} bytes", record.version, record.bytes());
    match store.load(key).await?.map(|loaded| loaded.record) {
        Some(there) if there == *record => Ok(()),
        Some(there) => {
            let same = if there.version == record.version { ", with other bytes" } else { "" };
            Err(Fault::new(format!("{} was put, and {} reads back{same}", shown(record), shown(&there)), BROKEN))
        }
        None => Err(Fault::new("it was acknowledged, and is not there", BROKEN)),
    }
}

/// It is on some page of the list of its type; pages end.
async fn listed(store: &dyn Datastore, key: &ObjectKey) -> Probed {
    let scan = Scan::Objects(TYPE.into());
    match find(store, &scan, |item| matches!(item, Item::Object(listed) if listed == key)).await? {
        true => Ok(()),
        false => Err(Fault::new("it was acknowledged, and is on no page of the list of its type", BROKEN)),
    }
}

async fn find(store: &dyn Datastore, scan: &Scan, is: impl Fn(&Item) -> bool) -> Probed<bool> {
    let mut after = None;
    loop {
        let page = store.scan(scan, after.as_deref(), 500).await?;
        if page.items.iter().any(&is) {
            return Ok(true);
        }
        after = page.next;
        if after.is_none() {
            return Ok(false);
        }
    }
}

async fn hinted(store: &dyn Datastore, key: &ObjectKey, version: Version) -> Probed {
    // So late that nobody looks before it is cleared.
    const DUE: u64 = 1 << 52;
    let hint = async |due| match store.hint(SHARD, key, due, version).await {
        Put::Stored(_) => Ok(()),
        Put::Conflict(higher) => Err(Fault::new(format!("a hint of version {higher} stands there"), BROKEN)),
        Put::Refused(error) => Err(error.into()),
        Put::Unknown(error) => Err(unknown(&error)),
    };
    hint(Some(DUE)).await?;
    let is = |item: &Item| matches!(item, Item::Hint { key: of, due: DUE, version: at } if of == key && *at == version);
    let listed = find(store, &Scan::Hints(SHARD), is).await?;
    hint(None).await?;
    if listed { Ok(()) } else { Err(Fault::new("it was acknowledged, and is not listed", BROKEN)) }
}

async fn delete(store: &dyn Datastore, key: &ObjectKey) -> Probed {
    let Some(there) = store.load(key).await? else { return Ok(()) };
    let seen = Seen { version: there.record.version, rev: there.rev };
    let deleted = record(9, "");
    stored(store.put(key, Some(&seen), &deleted).await, &deleted)?;
    holds(store, key, &deleted).await
}
