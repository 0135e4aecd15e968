//! PostgreSQL as a datastore: one table, four statements, a pool of connections.
//!
//! Three methods are written, the rest comes with `OverKeyValue`. Each write is one statement, so that PostgreSQL itself
//! makes it one step and commits it before it answers.

use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use remote_object::error::{Error, Result};
use remote_object::model::{Cas, Durability, Entry, Rev};
use remote_object::storage::{KeyValue, OverKeyValue};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

/// A statement that is not answered in this time is unknown.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Statements at once. Commits of several connections share one sync of the disk, so that more of them are faster.
const CONNECTIONS: usize = 16;
/// The longest key, in the largest characters: behind a prefix, no key with that prefix is above it.
const LONGEST: usize = 600 / 4;

/// A key-value store in one table.
#[derive(Debug)]
pub struct Postgres {
    pool: Pool,
    get: String,
    create: String,
    update: String,
    scan: String,
}

/// The whole datastore over a table of the database at `url`, which many processes may use at once.
///
/// # Errors
/// As [`Postgres::open`].
pub async fn open(url: &str, table: &str) -> Result<OverKeyValue<Postgres>> {
    // `Postgres::open` has made sure that this is true.
    Ok(OverKeyValue::new(Postgres::open(url, table).await?, Durability::PowerSafe))
}

impl Postgres {
    /// Connects to `postgres://user:password@host:port/database`, and makes the table where it is not there.
    ///
    /// # Errors
    /// `config` when the URL or the server is set up wrongly; `store-unavailable` when it does not answer.
    pub async fn open(url: &str, table: &str) -> Result<Self> {
        let named = !table.is_empty() && table.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        let mut config: Config =
            url.parse().map_err(|error| Error::config(format!("the URL of PostgreSQL: {error}")))?;
        if !named {
            return Err(Error::config(format!("{table:?} is no table; it would be of letters, digits and _")));
        }
        // A commit is synced before it is answered, whatever the server, the database or the user say; and no replica that
        // lags behind is read.
        let options = format!("{} -c synchronous_commit=on", config.get_options().unwrap_or_default());
        config.options(options).target_session_attrs(TargetSessionAttrs::ReadWrite).connect_timeout(TIMEOUT);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager)).max_size(CONNECTIONS);
        let pool = pool.runtime(Runtime::Tokio1).wait_timeout(Some(TIMEOUT)).create_timeout(Some(TIMEOUT));
        let store = Self {
            pool: pool.build().map_err(|error| Error::config(format!("the pool of PostgreSQL: {error}")))?,
            get: format!("SELECT value, rev FROM {table} WHERE key = $1"),
            // A second one waits for the first; if that commits, it inserts nothing.
            create: format!("INSERT INTO {table} VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING rev"),
            // It too waits, then looks again whether the rev is still there. The new rev is the sequence's next number.
            update: format!("UPDATE {table} SET value = $2, rev = DEFAULT WHERE key = $1 AND rev = $3 RETURNING rev"),
            scan: format!(
                "SELECT key, value, rev FROM {table} WHERE key >= $1 AND key <= $2 AND key > $3 ORDER BY key LIMIT $4"
            ),
        };
        // Bytes compare as bytes under the collation "C", whatever the database's own is. Two that make the same table at
        // once would disturb each other: the lock has them take turns.
        let make = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('{table}'));
             CREATE TABLE IF NOT EXISTS {table} (key text COLLATE \"C\" PRIMARY KEY, value bytea NOT NULL, rev bigserial);
             COMMIT"
        );
        store.pool.get().await.map_err(unknown)?.batch_execute(&make).await.map_err(unknown)?;
        let settings = "SELECT current_setting('fsync') || current_setting('server_encoding')";
        match store.ask(settings, &[]).await?.first().map(|row| row.get(0)) {
            Some("onUTF8") => Ok(store),
            other => Err(Error::config(format!("PostgreSQL has {other:?}; it would have fsync on, and be in UTF8"))),
        }
    }

    /// Runs a statement once, and waits for its commit. Never again when it failed: it may have been committed.
    async fn ask(&self, statement: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.pool.get().await.map_err(unknown)?;
        let rows = tokio::time::timeout(TIMEOUT, async {
            let statement = client.prepare_cached(statement).await?;
            // All rows and the end, which comes after the commit. The rows come before it.
            client.query(&statement, values).await
        });
        match rows.await {
            Ok(rows) => rows.map_err(unknown),
            Err(late) => {
                // Whoever has the connection next would wait as well.
                drop(Object::take(client));
                Err(unknown(late))
            }
        }
    }
}

impl KeyValue for Postgres {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.ask(&self.get, &[&key]).await?.first().map(|row| entry(row, 0)))
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let rows = match seen {
            None => self.ask(&self.create, &[&key, &&new[..]]).await,
            Some(Rev::Number(rev)) => self.ask(&self.update, &[&key, &&new[..], &rev.cast_signed()]).await,
            Some(Rev::Text(_)) => return Cas::Mismatch,
        };
        match rows {
            Ok(rows) => rows.first().map_or(Cas::Mismatch, |row| Cas::Applied(rev(row, 0))),
            Err(error) => Cas::Unknown(error),
        }
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let last = format!("{prefix}{}", "\u{10ffff}".repeat(LONGEST));
        let values: [&(dyn ToSql + Sync); 4] = [&prefix, &last, &after.unwrap_or(""), &(limit as i64)];
        Ok(self.ask(&self.scan, &values).await?.iter().map(|row| (row.get(0), entry(row, 1))).collect())
    }
}

fn entry(row: &Row, at: usize) -> Entry {
    Entry { value: Bytes::copy_from_slice(row.get(at)), rev: rev(row, at + 1) }
}

fn rev(row: &Row, at: usize) -> Rev {
    Rev::Number(row.get::<_, i64>(at).cast_unsigned())
}

fn unknown(error: impl std::fmt::Display) -> Error {
    Error::store(format!("PostgreSQL: {error}"))
}
