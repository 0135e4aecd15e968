//! Redis as a store: three operations in Lua and plain commands, and what the server is asked before it is trusted.
//!
//! Adds: objects in a Redis that is there anyway. What an acknowledged write survives is the server's setting, so it is
//! read at every connect (`server.rs`), and a server that has lost acknowledged writes stops the store (`wire.rs`).
//! Never knows: what a key means. Door: [`Redis`].
//!
//! Keys in the database, all behind the prefix: `k:<key>`, a hash of `rev` and `value`; `index`, a sorted set of all keys,
//! every score 0, so that it is in byte order.

mod address;
mod login;
mod rev;
mod script;
mod server;
mod wire;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use self::address::Address;
pub(crate) use self::login::RedisLogin;
use self::script::Script;
use self::wire::Wire;
use super::{Datastore, KeyValue, OverKeyValue};
use crate::clock::Random;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::{
    Caps, Cas, Durability, Entry, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};

/// Values asked for at once by a scan: each may be as large as a record.
const VALUES_AT_ONCE: usize = 32;

/// A [`KeyValue`] in a Redis server: one server, not a Redis Cluster.
///
/// What is `Applied` survives what [`Redis::durability`] says. Every command is sent once; one that is not answered
/// within 2 seconds, or whose connection ends, is `Unknown`.
pub struct Redis {
    wire: Wire,
    prefix: String,
    compare_and_set: Script,
    random: Random,
}

impl Redis {
    /// Connects to `redis://user:password@host:port/db`, or `rediss://` for TLS. Parameters: `prefix`, which all keys of
    /// the store begin with (`remote-object:` unless said otherwise); `tls-ca`, `tls-cert` and `tls-key`, PEM files.
    ///
    /// # Errors
    /// `config` when the URL is wrong, the server refuses us, or is none to keep objects in (a replica, a cluster's node,
    /// one that evicts keys); `store-unavailable` when it does not answer.
    pub async fn connect(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let prefix = address.prefix.clone();
        let wire = Wire::connect(address).await?;
        let compare_and_set = Script::new(include_str!("compare_and_set.lua"));
        Ok(Self { wire, prefix, compare_and_set, random: Random::from_os() })
    }

    /// What an acknowledged write survives, by the settings of the server.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.wire.server().durability
    }

    /// Why it survives that and no more, in a few words for the log.
    #[must_use]
    pub fn durability_reason(&self) -> &'static str {
        self.wire.server().reason
    }

    /// Resolves when the server is found to have lost writes it had acknowledged, with what is known of it.
    pub fn failed(&self) -> impl Future<Output = Error> + Send + '_ {
        self.wire.failed()
    }

    fn value_key(&self, key: &str) -> String {
        format!("{}k:{key}", self.prefix)
    }

    fn index_key(&self) -> String {
        format!("{}index", self.prefix)
    }

    fn get_command(&self, key: &str) -> Cmd {
        let mut get = cmd("HMGET");
        get.arg(self.value_key(key)).arg("rev").arg("value");
        get
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("wire", &self.wire).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl KeyValue for Redis {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        entry(self.wire.ask(&self.get_command(key)).await?)
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let quoted = match seen {
            None => "",
            Some(Rev::Text(text)) => text,
            // No rev of ours is a number.
            Some(Rev::Number(_)) => return Cas::Mismatch,
        };
        let Some(rev) = rev::after(quoted, self.random.next_u64()) else {
            return Cas::Mismatch;
        };
        let (value_key, index_key) = (self.value_key(key), self.index_key());
        let keys = [value_key.as_str(), index_key.as_str()];
        let args = [quoted.as_bytes(), rev.as_bytes(), &new, key.as_bytes()];
        match self.wire.run(&self.compare_and_set, &keys, &args).await {
            Ok(Value::Int(1)) => {
                self.wire.acknowledged(value_key, rev.clone());
                Cas::Applied(Rev::Text(rev))
            }
            Ok(Value::Int(0)) => Cas::Mismatch,
            Ok(Value::Int(-1)) => {
                self.wire.doubt();
                Cas::Mismatch
            }
            Ok(other) => Cas::Unknown(odd("a compare-and-set", &other)),
            Err(error) => Cas::Unknown(error),
        }
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let mut range = cmd("ZRANGEBYLEX");
        range.arg(self.index_key());
        match after.filter(|after| *after >= prefix) {
            Some(after) => range.arg(format!("({after}")),
            None => range.arg(format!("[{prefix}")),
        };
        // No key has the byte 0xff, which is in no text: behind the prefix it is above all keys that begin so.
        range.arg([b"(", prefix.as_bytes(), b"\xff"].concat()).arg("LIMIT").arg(0).arg(limit);
        let names = names(self.wire.ask(&range).await?)?;
        let mut entries = Vec::with_capacity(names.len());
        for names in names.chunks(VALUES_AT_ONCE) {
            let gets: Vec<Cmd> = names.iter().map(|name| self.get_command(name)).collect();
            for (name, value) in names.iter().zip(self.wire.ask_all(&gets).await?) {
                let gone = || Error::store(format!("the index of the store has {name:?}, whose value is gone"));
                entries.push((name.clone(), entry(value)?.ok_or_else(gone)?));
            }
        }
        Ok(entries)
    }
}

fn entry(value: Value) -> Result<Option<Entry>> {
    match value {
        Value::Array(mut parts) if parts.len() == 2 => match (parts.swap_remove(0), parts.swap_remove(0)) {
            (Value::Nil, Value::Nil) => Ok(None),
            (Value::BulkString(rev), Value::BulkString(value)) => {
                let rev = String::from_utf8(rev).map_err(|_| Error::store("a rev in the store is no text"))?;
                Ok(Some(Entry { value: value.into(), rev: Rev::Text(rev.into()) }))
            }
            (rev, _) => Err(odd("a value", &rev)),
        },
        other => Err(odd("a value", &other)),
    }
}

fn names(value: Value) -> Result<Vec<String>> {
    let Value::Array(names) = value else { return Err(odd("a range of keys", &value)) };
    let names = names.into_iter().map(|name| match name {
        Value::BulkString(name) => String::from_utf8(name).map_err(|_| Error::store("a key in the store is no text")),
        other => Err(odd("a key", &other)),
    });
    names.collect()
}

fn odd(what: &str, value: &Value) -> Error {
    let text: String = format!("{value:?}").chars().take(200).collect();
    Error::store(format!("Redis answers {text} where {what} was expected"))
}

/// The store that the settings name.
///
/// # Errors
/// As [`Redis::connect`]; and `config` when the server may lose acknowledged writes and that was not accepted.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Datastore>> {
    let redis = Redis::connect(&config.store).await?;
    let (class, reason) = (redis.durability(), redis.durability_reason());
    if class != Durability::PowerSafe {
        if !config.accept_weak_durability {
            return Err(Error::config(format!(
                "{}: {reason}, so that acknowledged writes may be lost; set appendonly yes and appendfsync always in \
                 Redis, or take the loss with --accept-weak-durability",
                redis.wire
            )));
        }
        tracing::warn!(durability = ?class, "{}: {reason}; accepted by --accept-weak-durability", redis.wire);
    }
    Ok(Arc::new(Store { inner: OverKeyValue::new(redis, class) }))
}

/// The datastore over it, which says when the server has lost what it had acknowledged.
#[derive(Debug)]
struct Store {
    inner: OverKeyValue<Redis>,
}

#[deny(clippy::missing_trait_methods)]
impl Datastore for Store {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        Datastore::get(&self.inner, register)
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.inner.cas(register, seen, new)
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.inner.load(key)
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        self.inner.version(key)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        self.inner.put(key, seen, record)
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        Datastore::scan(&self.inner, what, after, limit)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(self.inner.key_value().failed())
    }
}
