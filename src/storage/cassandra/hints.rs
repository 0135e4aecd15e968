//! Hints: one row an object, with the version as the timestamp; a cleared one is a row that is deleted under it.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::fault::Fault;
use super::records::timestamp;
use super::session::{self, Scope};
use super::settings::Tables;
use crate::error::Result;
use crate::model::{Item, ObjectKey, Page, Put, Rev, Scan, Version};
use crate::storage::cursor;

/// Rows a page looks at, at most.
const CHUNK_MAX: usize = 1000;

#[derive(Debug)]
pub(super) struct Hints {
    session: Arc<Session>,
    set: PreparedStatement,
    clear: PreparedStatement,
    list: PreparedStatement,
}

impl Hints {
    pub(super) async fn prepare(session: &Arc<Session>, scope: &Scope, tables: &Tables) -> Result<Self, Fault> {
        let hint = tables.name("hint");
        let set = format!("INSERT INTO {hint} (shard, type, id, due) VALUES (?, ?, ?, ?) USING TIMESTAMP ?");
        let clear = format!("DELETE FROM {hint} USING TIMESTAMP ? WHERE shard = ? AND type = ? AND id = ?");
        let list =
            format!("SELECT type, id, due, writetime(due) FROM {hint} WHERE shard = ? AND (type, id) > (?, ?) LIMIT ?");
        Ok(Self {
            set: session::prepare(session, scope, &set).await?,
            clear: session::prepare(session, scope, &clear).await?,
            list: session::prepare(session, scope, &list).await?,
            session: Arc::clone(session),
        })
    }

    pub(super) async fn put(&self, shard: u32, key: &ObjectKey, due: Option<u64>, version: Version) -> Put {
        let (at, shard) = (timestamp(version), shard as i32);
        let sent = match due {
            Some(due) => {
                // What is due later than a signed number can say is due at its end, which is as never.
                let due = i64::try_from(due).unwrap_or(i64::MAX);
                session::send(&self.session, &self.set, (shard, key.type_name(), key.id(), due, at)).await
            }
            None => session::send(&self.session, &self.clear, (at, shard, key.type_name(), key.id())).await,
        };
        match sent {
            // A lower version than the one that stands there changes nothing: the server orders them.
            Ok(_) => Put::Stored(Rev::Number(version.as_u64())),
            Err(fault) => fault.put("hint"),
        }
    }

    /// One page of a shard's hints, by type and id. The cursor is `type/id`.
    pub(super) async fn page(&self, what: &Scan, shard: u32, after: Option<&str>, limit: usize) -> Result<Page> {
        // The first page begins behind the empty names, which nothing has.
        let last = after.map(|after| cursor::decode(what, after)).transpose()?.unwrap_or_default();
        let limit = limit.min(CHUNK_MAX);
        let items = self.read(shard, &last, limit).await.map_err(|fault| fault.error("scan"))?;
        let next = match items.last() {
            Some(Item::Hint { key, .. }) if items.len() == limit => {
                Some(cursor::encode(what, &format!("{}/{}", key.type_name(), key.id())))
            }
            _ => None,
        };
        Ok(Page { items, next })
    }

    async fn read(&self, shard: u32, last: &str, limit: usize) -> Result<Vec<Item>, Fault> {
        let (type_name, id) = last.split_once('/').unwrap_or_default();
        let values = (shard as i32, type_name, id, limit as i32);
        let rows = session::rows(&self.session, &self.list, values).await?;
        let rows = rows.rows::<(&str, &str, Option<i64>, Option<i64>)>()?;
        rows.map(|row| {
            let (type_name, id, due, at) = row?;
            let foreign = || Fault::Foreign(format!("the hint of {type_name}/{id} in shard {shard} is none of ours"));
            let key = ObjectKey::new(type_name, id).map_err(|_| foreign())?;
            let (due, at) = due.zip(at).ok_or_else(foreign)?;
            Ok(Item::Hint { key, due: due as u64, version: Version::from_u64(at as u64) })
        })
        .collect()
    }
}
