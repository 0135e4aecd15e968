//! Records: one row an object, put whole under its version as the timestamp. The highest version wins.

use std::sync::Arc;

use bytes::Bytes;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::fault::Fault;
use super::session::{self, Scope};
use super::settings::Tables;
use crate::model::{ObjectKey, Record, Version};

#[derive(Debug)]
pub(super) struct Records {
    session: Arc<Session>,
    load: PreparedStatement,
    version: PreparedStatement,
    put: PreparedStatement,
}

/// `version`, `state`, `meta` as they stand in the row, and their timestamps.
type Columns = (Option<i64>, Option<String>, Option<Bytes>, Option<i64>, Option<i64>, Option<i64>);

impl Records {
    pub(super) async fn prepare(session: &Arc<Session>, scope: &Scope, tables: &Tables) -> Result<Self, Fault> {
        let object = tables.name("object");
        let load = format!(
            "SELECT version, state, meta, writetime(version), writetime(state), writetime(meta) FROM {object} \
             WHERE type = ? AND id = ?"
        );
        // A quorum read repairs only the columns it names: all of them, else it would leave a put that landed on one
        // replica with its version on the others, and without its state.
        let version = format!(
            "SELECT version, writetime(version), writetime(state), writetime(meta) FROM {object} WHERE type = ? AND id = ?"
        );
        let put =
            format!("INSERT INTO {object} (type, id, version, state, meta) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?");
        Ok(Self {
            load: session::prepare(session, scope, &load).await?,
            version: session::prepare(session, scope, &version).await?,
            put: session::prepare(session, scope, &put).await?,
            session: Arc::clone(session),
        })
    }

    pub(super) async fn load(&self, key: &ObjectKey) -> Result<Option<Record>, Fault> {
        let rows = session::rows(&self.session, &self.load, (key.type_name(), key.id())).await?;
        match rows.maybe_first_row::<Columns>()? {
            None => Ok(None),
            Some((Some(version), Some(state), Some(meta), at, state_at, meta_at)) => {
                let version = ours(version, &[at, state_at, meta_at])?;
                Ok(Some(Record { version, state: Bytes::from(state), meta }))
            }
            Some(_) => Err(Fault::Foreign("the row lacks its version, state or meta".into())),
        }
    }

    pub(super) async fn version(&self, key: &ObjectKey) -> Result<Option<Version>, Fault> {
        let rows = session::rows(&self.session, &self.version, (key.type_name(), key.id())).await?;
        match rows.maybe_first_row::<(Option<i64>, Option<i64>, Option<i64>, Option<i64>)>()? {
            None => Ok(None),
            Some((Some(version), at, state_at, meta_at)) => ours(version, &[at, state_at, meta_at]).map(Some),
            Some((None, ..)) => Err(Fault::Foreign("the row lacks its version".into())),
        }
    }

    pub(super) async fn put(&self, key: &ObjectKey, record: &Record, state: &str) -> Result<(), Fault> {
        let version = timestamp(record.version);
        let values = (key.type_name(), key.id(), version, state, &record.meta[..], version);
        session::send(&self.session, &self.put, values).await.map(|_| ())
    }
}

/// A version as a write's timestamp; versions that do not fit were refused before.
pub(super) fn timestamp(version: Version) -> i64 {
    version.as_u64() as i64
}

/// The version of a row, if this program wrote it.
///
/// A plain write of any other tool has a clock's timestamp, far above every version: whatever is put after it is
/// acknowledged and never seen. So it must not be built upon.
fn ours(version: i64, timestamps: &[Option<i64>]) -> Result<Version, Fault> {
    match timestamps.iter().find(|at| **at != Some(version)) {
        None => Ok(Version::from_u64(version as u64)),
        Some(at) => Err(Fault::Foreign(format!(
            "the row says version {version}, and a column of it was written at {}: another program wrote it; see \
             docs/cassandra.md for how to mend it",
            at.unwrap_or_default()
        ))),
    }
}
