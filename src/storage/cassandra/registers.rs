//! Registers: one row each, changed by lightweight transactions alone.
//!
//! # Why a plain quorum read is enough
//!
//! A transaction that answers `applied` has committed at a quorum of the scope, so a plain quorum read that begins later
//! meets one of those replicas and sees it, or something newer. That is what [`Datastore::get`] promises, and all that a
//! confirm (rule R5) needs, since a kill is the killer's own applied transaction. What a read shows was decided: replicas
//! have only values that a quorum had accepted, and any later transaction must first finish those. And it never goes back,
//! since the read repair of a quorum read (which start-up checks) writes what it shows to a quorum first.
//!
//! What it may miss is a transaction nobody was told the end of: that is `Unknown` to its caller, and may be seen now or
//! later. (Scylla may also tell of a `Mismatch` with a value that only one replica has learned, and a read may show the one
//! before. Rule R1 takes neither a mismatch nor a read for a proof.)
//!
//! A read through a ballot would see those as well. It would cost four round trips instead of one, fail under contention
//! as transactions do, and make every confirm an opponent of the node's own beats, which are on the same partition.
//!
//! [`Datastore::get`]: crate::storage::Datastore::get

use std::sync::Arc;

use bytes::Bytes;
use scylla::client::session::Session;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use tokio::sync::Mutex;
use uuid::{Builder, Uuid};
use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use super::session::{self, Scope};
use super::settings::Tables;
use crate::clock::Random;
use crate::error::{Error, Result};
use crate::model::{Cas, Entry, Item, Page, Register, Rev, Scan};
use crate::storage::cursor;

/// Registers whose changes wait for each other, by the hash of the name: enough that hardly two different ones do.
const QUEUES: usize = 4096;
/// Rows a listing asks for at once.
const CHUNK: usize = 256;
/// The least token, where a listing begins.
const FIRST_TOKEN: i64 = i64::MIN;

#[derive(Debug)]
pub(super) struct Registers {
    session: Arc<Session>,
    get: PreparedStatement,
    create: PreparedStatement,
    set: PreparedStatement,
    list: PreparedStatement,
    /// The rows whose names lie between two; none where the server prepares no such statement.
    list_between: Option<PreparedStatement>,
    all_hold: PreparedStatement,
    remove: PreparedStatement,
    random: Random,
    /// One transaction at a time on a register, of those this process sends: more would outbid each other's ballots until
    /// all of them time out.
    queues: Vec<Mutex<()>>,
}

impl Registers {
    pub(super) async fn prepare(session: &Arc<Session>, scope: &Scope, tables: &Tables) -> Result<Self, Fault> {
        let register = tables.name("register");
        let get = format!("SELECT rev, v FROM {register} WHERE k = ?");
        let create = format!("INSERT INTO {register} (k, rev, v) VALUES (?, ?, ?) IF NOT EXISTS");
        let set = format!("UPDATE {register} SET rev = ?, v = ? WHERE k = ? IF rev = ?");
        let list = format!("SELECT token(k), k, rev, v FROM {register} WHERE token(k) >= ? LIMIT ?");
        let list_between =
            format!("SELECT token(k), k, rev, v FROM {register} WHERE k >= ? AND k < ? LIMIT ? ALLOW FILTERING");
        let remove = format!("DELETE FROM {register} WHERE k = ? IF rev = ?");
        let mut all_hold =
            session::prepare(session, scope, &format!("SELECT rev, v FROM {register} WHERE k = ?")).await?;
        all_hold.set_consistency(Consistency::All);
        Ok(Self {
            get: session::prepare(session, scope, &get).await?,
            create: session::prepare_transaction(session, scope, &create).await?,
            set: session::prepare_transaction(session, scope, &set).await?,
            list: session::prepare(session, scope, &list).await?,
            list_between: session::prepare(session, scope, &list_between).await.ok(),
            all_hold,
            remove: session::prepare_transaction(session, scope, &remove).await?,
            session: Arc::clone(session),
            random: Random::from_os(),
            queues: (0..QUEUES).map(|_| Mutex::new(())).collect(),
        })
    }

    pub(super) async fn get(&self, register: &Register) -> Result<Option<Entry>> {
        self.read(register.name()).await.map_err(|fault| fault.error("get"))
    }

    async fn read(&self, name: &str) -> Result<Option<Entry>, Fault> {
        let rows = session::rows(&self.session, &self.get, (name,)).await?;
        let row = rows.maybe_first_row::<(Option<Uuid>, Option<String>)>()?;
        row.map(|(rev, value)| entry(name, rev, value)).transpose()
    }

    pub(super) async fn cas(&self, register: &Register, seen: Option<&Rev>, new: &[u8]) -> Cas {
        let name = register.name();
        let Ok(new) = std::str::from_utf8(new) else {
            return Cas::Unknown(Error::internal(format!("the register {name} was to be set to what is no text")));
        };
        let _turn = self.queues[xxh3_64(name.as_bytes()) as usize % QUEUES].lock().await;
        // Every write has a mark of its own, so that none ever comes back.
        let rev = Builder::from_random_bytes(self.random.next_bytes()).into_uuid();
        let sent = match seen.map(parse) {
            None => session::rows(&self.session, &self.create, (name, rev, new)).await,
            Some(Some(seen)) => session::rows(&self.session, &self.set, (rev, new, name, seen)).await,
            // No mark of ours, so it is not the one that is there.
            Some(None) => return Cas::Mismatch,
        };
        match sent.and_then(|rows| applied(&rows)) {
            Ok(true) => Cas::Applied(Rev::Text(rev.to_string().into())),
            Ok(false) => Cas::Mismatch,
            Err(fault) => fault.cas(),
        }
    }

    /// Removes a register, by a transaction on the rev that was seen.
    ///
    /// What a server forgets of a removal, once `gc_grace_seconds` have gone by, must not leave an older value that another one
    /// has kept, since it was away at two writes. So all replicas have to have this value before: a read of all sees to it, of all
    /// columns, since no others are repaired. Where one is away nothing is removed, and the server that was asked is not to blame.
    pub(super) async fn remove(&self, register: &Register, seen: &Rev) -> Result<bool> {
        let name = register.name();
        let Some(seen) = parse(seen) else { return Ok(false) };
        let _turn = self.queues[xxh3_64(name.as_bytes()) as usize % QUEUES].lock().await;
        let removed = async {
            let all = Box::pin(self.session.execute_unpaged(&self.all_hold, (name,)));
            let Ok(rows) = all.await else { return Ok(false) };
            match rows.into_rows_result()?.maybe_first_row::<(Option<Uuid>, Option<String>)>()? {
                Some((Some(rev), _)) if rev == seen => {}
                _ => return Ok(false),
            }
            applied(&session::rows(&self.session, &self.remove, (name, seen)).await?)
        };
        removed.await.map_err(|fault: Fault| fault.error("remove"))
    }

    /// One page of the registers whose names begin with a prefix, in the order of their tokens. The cursor is `token name`.
    ///
    /// Nodes ask once a second who is up, and there are a thousand rows of shards beside those of nodes. So the server picks
    /// those that are asked for, in one request; what comes behind a first page is read as it stands, and some of it shown.
    pub(super) async fn page(&self, what: &Scan, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page> {
        if after.is_none()
            && let (Some(statement), Some(end)) = (&self.list_between, end_of(prefix))
        {
            let asked = i32::try_from(limit + 1).unwrap_or(i32::MAX);
            match self.rows(statement, (prefix, end, asked)).await {
                Ok(rows) => {
                    let more = rows.len() > limit;
                    let last = rows.get(limit - 1).filter(|_| more);
                    let next = last.map(|(token, name, _)| cursor::encode(what, &format!("{token} {name}")));
                    let item = |(_, name, entry): (i64, String, Entry)| Item::Register(Register::named(name), entry);
                    return Ok(Page { items: rows.into_iter().take(limit).map(item).collect(), next });
                }
                // Servers may be told not to do that while they run.
                Err(fault) if fault.is_refusal() => {}
                Err(fault) => return Err(fault.error("scan")),
            }
        }
        let mut last = match after.map(|after| cursor::decode(what, after)).transpose()? {
            None => None,
            Some(last) => Some(read_position(&last).ok_or_else(|| Error::internal(format!("the cursor {last:?}")))?),
        };
        let mut page = Page::default();
        loop {
            let rows = self.chunk(last.as_ref()).await.map_err(|fault| fault.error("scan"))?;
            let ended = rows.len() < CHUNK;
            for (token, name, entry) in rows {
                let at = (token, name);
                // Of names with one token, which come together in their own order.
                if last.as_ref().is_some_and(|last| at <= *last) {
                    continue;
                }
                if page.items.len() == limit {
                    page.next = last.map(|(token, name)| cursor::encode(what, &format!("{token} {name}")));
                    return Ok(page);
                }
                if at.1.starts_with(prefix) {
                    page.items.push(Item::Register(Register::named(&at.1), entry));
                }
                last = Some(at);
            }
            if ended {
                return Ok(page);
            }
        }
    }

    async fn chunk(&self, last: Option<&(i64, String)>) -> Result<Vec<(i64, String, Entry)>, Fault> {
        let from = last.map_or(FIRST_TOKEN, |(token, _)| *token);
        self.rows(&self.list, (from, CHUNK as i32)).await
    }

    async fn rows(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<(i64, String, Entry)>, Fault> {
        let rows = session::rows(&self.session, statement, values).await?;
        let rows = rows.rows::<(i64, String, Option<Uuid>, Option<String>)>()?;
        rows.map(|row| {
            let (token, name, rev, value) = row?;
            let entry = entry(&name, rev, value)?;
            Ok((token, name, entry))
        })
        .collect()
    }

    /// Whether transactions work at all here: a ballot is held over a change that cannot apply, so nothing is written.
    pub(super) async fn probe(&self) -> Result<(), Fault> {
        let nobody = Builder::from_random_bytes(self.random.next_bytes()).into_uuid();
        // A name of its own: processes that start together would contend for one, and some of them time out.
        let name = format!("probe-{nobody}");
        let rows = session::rows(&self.session, &self.set, (nobody, "", &name, nobody)).await?;
        match applied(&rows)? {
            false => self.read(&name).await.map(|_| ()),
            true => Err(Fault::Answer("a change of a register that is not there was answered as applied".into())),
        }
    }
}

/// What comes behind all names that begin with a prefix; none where that is not said by its last letter.
fn end_of(prefix: &str) -> Option<String> {
    let last = prefix.chars().last().filter(|last| last.is_ascii() && *last < '\u{7f}')?;
    let mut end = prefix.to_owned();
    end.pop();
    end.push(char::from(last as u8 + 1));
    Some(end)
}

fn parse(rev: &Rev) -> Option<Uuid> {
    match rev {
        Rev::Text(text) => text.parse().ok(),
        Rev::Number(_) => None,
    }
}

fn read_position(text: &str) -> Option<(i64, String)> {
    let (token, name) = text.split_once(' ')?;
    Some((token.parse().ok()?, name.to_owned()))
}

fn entry(name: &str, rev: Option<Uuid>, value: Option<String>) -> Result<Entry, Fault> {
    match (rev, value) {
        (Some(rev), Some(value)) => Ok(Entry { value: Bytes::from(value), rev: Rev::Text(rev.to_string().into()) }),
        _ => Err(Fault::Foreign(format!("the register {name} has no rev or no value"))),
    }
}

/// What a transaction answered. By the column's name: which others there are, and where, depends on the server and on the
/// answer.
fn applied(rows: &QueryRowsResult) -> Result<bool, Fault> {
    let none = || Fault::Answer("a transaction's answer has no [applied]".into());
    let (at, _) = rows.column_specs().get_by_name("[applied]").ok_or_else(none)?;
    let row = rows.maybe_first_row::<Row>()?.ok_or_else(none)?;
    match row.columns.get(at) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
        _ => Err(none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_prefix_lies_before_its_end() {
        let end = end_of("node/").unwrap();
        assert_eq!(end, "node0");
        for name in ["node/", "node/0", "node/~\u{10ffff}"] {
            assert!(("node/"..end.as_str()).contains(&name));
        }
        for name in ["node", "node.", "node0", "shard/1", "nodes/1"] {
            assert!(!("node/"..end.as_str()).contains(&name));
        }
        for none in ["", "é", "\u{7f}"] {
            assert_eq!(end_of(none), None);
        }
    }
}
