//! # Cassandra and Scylla
//!
//! Adds: durability on a quorum of replicas, shared by many processes. A put is one plain quorum write with the version as
//! its timestamp, so the highest version wins and no put is ever refused for another (ordering `Ordered`): whoever takes an
//! object over seals it. Registers are lightweight transactions on a table of their own.
//! Never knows: what an object is, who owns it, what a register says.
//! Door: [`Cassandra`], [`schema_print`] and [`schema_apply`]. `settings` reads the URL, `session` sees to it that no
//! statement leaves anything to the driver's defaults, `registers`, `records`, `roster` and `hints` are one table each,
//! `facts` and `checks` are what start-up reads and what it refuses, `fault` knows which failures had no effect, `pinned` and `wary`
//! which server is asked.
//!
//! Nothing is tried again in here: a request is sent once, and after [`session::REQUEST_MAX`] its outcome is unknown.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};
use scylla::client::session::Session;

use self::fault::Fault;
use self::hints::Hints;
use self::purge::Purge;
use self::records::Records;
use self::registers::Registers;
use self::roster::Roster;
use self::settings::Settings;
use super::{Datastore, check_put};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::model::{
    Caps, Cas, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};

mod checks;
mod facts;
mod fault;
mod hints;
mod pinned;
mod purge;
mod records;
mod registers;
mod roster;
mod schema;
mod session;
mod settings;
mod wary;
mod written;

pub use schema::{schema_apply, schema_print};

/// A larger record is refused, in bytes. A server takes writes of half a segment of its commit log (16 MiB as it is
/// delivered), and a quorum write keeps several copies in memory.
const RECORD_BYTES_MAX: usize = 2 << 20;

/// How long the connecting and the checks of a start may take.
const START_MAX: Duration = Duration::from_secs(60);

/// A [`Datastore`] in a keyspace of a Cassandra or Scylla cluster.
pub struct Cassandra {
    shown: String,
    caps: Caps,
    registers: Registers,
    records: Arc<Records>,
    roster: Arc<Roster>,
    hints: Hints,
    purge: Purge,
}

impl Cassandra {
    /// Connects to the cluster that `config.store` names, and checks that it keeps what this store promises. It changes
    /// nothing there: tables are made by [`schema_apply`].
    ///
    /// # Errors
    /// `config`, in one line: what is wrong with the URL or the cluster, and what to change. `store-unavailable`: the servers, or
    /// too many of them, do not answer.
    pub async fn open(config: &Config) -> Result<Self> {
        let settings = Settings::read(config)?;
        let late = || {
            let text = format!(
                "{:?} did not come to an end of the checks within {} s; see that these servers are well",
                settings.shown,
                START_MAX.as_secs()
            );
            Error::new(Kind::StoreUnavailable, text)
        };
        tokio::time::timeout(START_MAX, Self::start(&settings)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn start(settings: &Settings) -> Result<Self> {
        let session = connected(settings).await?;
        let unreadable = |fault: Fault| unreachable(settings, &fault);
        let facts = facts::read(&session, &settings.tables).await.map_err(unreadable)?;
        let found = checks::check(settings, &facts)?;
        session::narrow(&session, &found.scope);
        let (scope, tables) = (&found.scope, &settings.tables);
        let misfit = |fault: Fault| checks::misfit(settings, &fault);
        let records = Arc::new(Records::prepare(&session, scope, tables).await.map_err(misfit)?);
        let roster = Roster::prepare(&session, &records, scope, tables).await.map_err(misfit)?;
        let hints = Hints::prepare(&session, scope, tables).await.map_err(misfit)?;
        let registers = Registers::prepare(&session, scope, tables).await.map_err(misfit)?;
        registers.probe().await.map_err(|fault| checks::no_transactions(settings, scope, &fault))?;
        tracing::info!(
            store = settings.shown,
            scope = ?found.scope,
            durability = ?found.durability,
            commitlog = found.commitlog,
            "connected"
        );
        let purge = Purge::new(&session, &roster, scope, tables);
        let caps = Caps {
            ordering: Ordering::Ordered,
            exclusive: false,
            durability: found.durability,
            record_bytes_max: RECORD_BYTES_MAX,
        };
        Ok(Self { shown: settings.shown.clone(), caps, registers, records, roster, hints, purge })
    }

    async fn put_record(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        if let Err(error) = check_put(&self.caps, seen, record) {
            return Put::Refused(error);
        }
        let Ok(state) = std::str::from_utf8(&record.state) else {
            return Put::Refused(Error::internal("a put of a state that is no text"));
        };
        let deleted = record.is_deleted();
        if deleted && let Err(fault) = self.roster.goes(key, record.version).await {
            return fault.put("put");
        }
        if let Err(fault) = self.records.put(key, record, state).await {
            return fault.put("put");
        }
        if deleted {
            self.roster.gone(key, record.version);
        } else if let Err(fault) = self.roster.lives(key, record.version).await {
            return Put::Unknown(fault.error("put"));
        }
        Put::Stored(Rev::Number(record.version.as_u64()))
    }
}

async fn connected(settings: &Settings) -> Result<Arc<Session>> {
    let session = session::connect(settings).await?;
    session.map(Arc::new).map_err(|fault| unreachable(settings, &fault))
}

fn unreachable(settings: &Settings, fault: &Fault) -> Error {
    let cure = match settings.tls {
        None => "see that these servers run, speak no TLS, and let this user in, or name others",
        Some(_) => {
            "see that these servers run, speak TLS with certificates for their IP addresses that tls-ca has signed, and \
             let this user in, or name others"
        }
    };
    let text = fault::one_line(&fault.to_string());
    let kind = if fault.is_silence() { Kind::StoreUnavailable } else { Kind::Config };
    Error::new(kind, format!("{:?} cannot be used: {text}; {cure}", settings.shown))
}

impl std::fmt::Debug for Cassandra {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cassandra").field("store", &self.shown).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Datastore for Cassandra {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(self.registers.get(register))
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(self.registers.cas(register, seen, new))
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.registers.remove(register, seen))
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(async move {
            let record = self.records.load(key).await.map_err(|fault| fault.error("load").with_key(key))?;
            Ok(record.map(|record| Loaded { rev: Rev::Number(record.version.as_u64()), record }))
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        Box::pin(async move { self.records.version(key).await.map_err(|fault| fault.error("version").with_key(key)) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            match self.put_record(key, seen, record).await {
                Put::Refused(error) => Put::Refused(error.with_key(key)),
                Put::Unknown(error) => Put::Unknown(error.with_key(key)),
                answer => answer,
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        Box::pin(self.hints.put(shard, key, due, version))
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        let limit = limit.max(1);
        match what {
            Scan::Registers(prefix) => Box::pin(self.registers.page(what, prefix, after, limit)),
            Scan::Objects(type_name) => Box::pin(self.roster.page(what, type_name, after, limit)),
            Scan::Hints(shard) => Box::pin(self.hints.page(what, *shard, after, limit)),
        }
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move { self.purge.run().await.map_err(|fault| fault.error("purge")) })
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(future::pending())
    }
}
