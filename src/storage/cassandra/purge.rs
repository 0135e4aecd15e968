//! Removing what is deleted, while nobody uses the store.
//!
//! A record goes by a deletion under its own version, so what is put later, which has a higher one, is not hidden by it.

use std::sync::Arc;

use futures_util::TryStreamExt;
use scylla::client::session::Session;

use super::fault::Fault;
use super::records::timestamp;
use super::roster::Roster;
use super::session::{self, Scope};
use super::settings::Tables;
use crate::model::{ObjectKey, Version};

/// Rows fetched at once.
const PAGE: i32 = 500;

#[derive(Debug)]
pub(super) struct Purge {
    session: Arc<Session>,
    scope: Scope,
    tables: Tables,
    roster: Arc<Roster>,
}

impl Purge {
    pub(super) fn new(session: &Arc<Session>, scope: &Scope, tables: &Tables, roster: &Arc<Roster>) -> Self {
        let (session, roster) = (Arc::clone(session), Arc::clone(roster));
        Self { session, scope: scope.clone(), tables: tables.clone(), roster }
    }

    /// Answers how many records went.
    pub(super) async fn run(&self) -> Result<u64, Fault> {
        let gone = self.records().await?;
        self.probes().await?;
        Ok(gone)
    }

    async fn records(&self) -> Result<u64, Fault> {
        let object = self.tables.name("object");
        let find = format!("SELECT type, id, version FROM {object} WHERE state = '' ALLOW FILTERING");
        let remove = format!("DELETE FROM {object} USING TIMESTAMP ? WHERE type = ? AND id = ?");
        let mut find = session::prepare(&self.session, &self.scope, &find).await?;
        find.set_page_size(PAGE);
        let remove = session::prepare(&self.session, &self.scope, &remove).await?;
        let rows = self.session.execute_iter(find, ()).await?;
        let mut rows = rows.rows_stream::<(String, String, Option<i64>)>()?;
        let mut gone = 0;
        while let Some((type_name, id, version)) = rows.try_next().await? {
            let foreign = || Fault::Foreign(format!("the record of {type_name}/{id} is none of ours"));
            let key = ObjectKey::new(&type_name, &id).map_err(|_| foreign())?;
            let version = Version::from_u64(version.ok_or_else(foreign)? as u64);
            // The list first: a record that is there without its row is found again by the next purge.
            self.roster.forget(&key, version).await?;
            session::send(&self.session, &remove, (timestamp(version), &type_name, &id)).await?;
            gone += 1;
        }
        Ok(gone)
    }

    /// What `objectd doctor` tried registers with.
    async fn probes(&self) -> Result<(), Fault> {
        let register = self.tables.name("register");
        let find = session::prepare(&self.session, &self.scope, &format!("SELECT k FROM {register}")).await?;
        let remove = format!("DELETE FROM {register} WHERE k = ? IF EXISTS");
        let remove = session::prepare_transaction(&self.session, &self.scope, &remove).await?;
        let mut names = self.session.execute_iter(find, ()).await?.rows_stream::<(String,)>()?;
        while let Some((name,)) = names.try_next().await? {
            if name.starts_with("doctor/") {
                session::send(&self.session, &remove, (&name,)).await?;
            }
        }
        Ok(())
    }
}
