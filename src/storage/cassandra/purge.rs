//! A purge: takes the rows of deleted objects away, under the versions they were deleted with, so that a put of a later
//! owner is not touched even if it comes meanwhile.
//!
//! A server cannot say which rows are deleted without reading all of them, so it is asked for one small range of tokens
//! after the other, and for half of it where that is too much at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::fault::Fault;
use super::roster::Roster;
use super::session::{self, Scope};
use super::settings::Tables;
use crate::model::{ObjectKey, Version};

/// Ranges of tokens to begin with, as a power of two.
const RANGES_BITS: u32 = 8;
/// A range that takes longer is asked for in halves.
const RANGE_MAX: Duration = Duration::from_secs(10);
/// Halved so often at most, before its error is told.
const HALVED_MAX: u32 = 16;
/// Rows removed at the same time.
const AT_ONCE: usize = 32;
/// What `objectd doctor` names its registers.
const PROBES: &str = "doctor/";

#[derive(Debug)]
pub(super) struct Purge {
    session: Arc<Session>,
    roster: Arc<Roster>,
    scope: Scope,
    tables: Tables,
}

/// What it is done with.
struct Statements {
    deleted: PreparedStatement,
    remove: PreparedStatement,
}

impl Purge {
    pub(super) fn new(session: &Arc<Session>, roster: &Arc<Roster>, scope: &Scope, tables: &Tables) -> Self {
        let (session, roster) = (Arc::clone(session), Arc::clone(roster));
        Self { session, roster, scope: scope.clone(), tables: tables.clone() }
    }

    /// Removes the records of deleted objects; how many they were. Whatever has gone when it fails is gone.
    pub(super) async fn run(&self) -> Result<u64, Fault> {
        self.probes().await?;
        let object = self.tables.name("object");
        let deleted = format!(
            "SELECT type, id, version FROM {object} WHERE token(type, id) >= ? AND token(type, id) <= ? AND state = '' \
             ALLOW FILTERING"
        );
        let remove = format!("DELETE FROM {object} USING TIMESTAMP ? WHERE type = ? AND id = ?");
        let mut deleted = session::prepare(&self.session, &self.scope, &deleted).await?;
        deleted.set_request_timeout(Some(RANGE_MAX));
        let remove = session::prepare(&self.session, &self.scope, &remove).await?;
        let statements = Statements { deleted, remove };
        let mut count = 0;
        let width = u64::MAX >> RANGES_BITS;
        for range in 0..1_u64 << RANGES_BITS {
            let first = range << (u64::BITS - RANGES_BITS);
            count += self.range(&statements, first, first + width).await?;
        }
        Ok(count)
    }

    /// Of the tokens from `first` to `last`, counted from the least one.
    async fn range(&self, statements: &Statements, first: u64, last: u64) -> Result<u64, Fault> {
        // The part to look at next is at the end.
        let mut parts = vec![(first, last, 0)];
        let mut count = 0;
        while let Some((first, last, halved)) = parts.pop() {
            let rows = session::rows(&self.session, &statements.deleted, (token(first), token(last))).await;
            let rows = match rows {
                Ok(rows) => rows,
                Err(_) if halved < HALVED_MAX => {
                    let middle = first + (last - first) / 2;
                    parts.push((middle + 1, last, halved + 1));
                    parts.push((first, middle, halved + 1));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let rows = rows.rows::<(String, String, i64)>()?.collect::<Result<Vec<_>, _>>()?;
            count += rows.len() as u64;
            let removals =
                rows.into_iter().map(|(type_name, id, version)| self.remove(statements, type_name, id, version));
            stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(count)
    }

    async fn remove(&self, statements: &Statements, type_name: String, id: String, version: i64) -> Result<(), Fault> {
        // The roster first: its rows are found by the record alone.
        if let Ok(key) = ObjectKey::new(&type_name, &id) {
            self.roster.forget(&key, Version::from_u64(version as u64)).await?;
        }
        session::send(&self.session, &statements.remove, (version, type_name, id)).await.map(|_| ())
    }

    /// Removes the registers that were made to try this store.
    async fn probes(&self) -> Result<(), Fault> {
        let register = self.tables.name("register");
        let list = session::prepare(&self.session, &self.scope, &format!("SELECT k FROM {register}")).await?;
        let remove = format!("DELETE FROM {register} WHERE k = ? IF EXISTS");
        let remove = session::prepare_transaction(&self.session, &self.scope, &remove).await?;
        let rows = session::rows(&self.session, &list, ()).await?;
        for row in rows.rows::<(String,)>()? {
            let (name,) = row?;
            if name.starts_with(PROBES) {
                session::send(&self.session, &remove, (name,)).await?;
            }
        }
        Ok(())
    }
}

/// Tokens are signed, and the least one is no row's.
fn token(number: u64) -> i64 {
    (number ^ 1 << 63) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_begin_at_the_least_and_end_at_the_greatest() {
        assert_eq!((token(0), token(1 << 63), token(u64::MAX)), (i64::MIN, 0, i64::MAX));
    }
}
