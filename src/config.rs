//! Settings as plain data, and every limit in one place.
//!
//! A leaf. A setting has a reason; its name is API and stands in `docs/settings.md`.

#[cfg(any(feature = "cassandra", feature = "memcached", feature = "redis"))]
pub(crate) mod tls;
pub mod url;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// A type's name, in bytes.
pub const TYPE_NAME_BYTES_MAX: usize = 64;
/// An object's id, decoded, in bytes.
pub const ID_BYTES_MAX: usize = 512;
/// An `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Objects on the way of one chain of calls.
pub const CHAIN_DEPTH_MAX: usize = 32;
/// Calls of one turn.
pub const TURN_CALLS_MAX: usize = 256;
/// Running time after which a turn takes no further call.
pub const TURN_RUNNING_MAX: Duration = Duration::from_millis(2);
/// How long a put may stay unknown before its shard is released.
pub const PUT_UNKNOWN_MAX: Duration = Duration::from_secs(60);
/// A stored reply, in bytes; a larger one is stored without its body.
pub const KEPT_REPLY_BYTES_MAX: usize = 4 * 1024;
/// Keyed calls an object remembers, unless its type says otherwise.
pub const KEYED_CALLS_MAX: u32 = 256;
/// Bytes of replies an object remembers, unless its type says otherwise.
pub const KEYED_BYTES_MAX: u32 = 64 * 1024;
/// Objects on one page of a list.
pub const LIST_LIMIT_MAX: usize = 1000;
/// Objects on one page of a list that names no limit.
pub const LIST_LIMIT_DEFAULT: usize = 100;
/// The longest `Request-Timeout`.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// A host's name, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 255;
/// Shards of a shared store; an exclusive store has one.
pub const SHARDS: u32 = 1024;
/// How long a call waits for its object to have an owner.
pub const OWNER_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a node reads who owns what.
pub const MAP_REFRESH: Duration = Duration::from_secs(10);
/// For so long another node must be the one that should have a shard before its owner gives it back.
pub const RELEASE_AFTER: Duration = Duration::from_secs(5);
/// For so long all nodes must read a newer record format before it is written.
pub const FORMAT_AFTER: Duration = Duration::from_secs(30);
/// From saying that a node leaves to its first release: all others have seen it by then.
pub const DRAIN_NOTICE: Duration = Duration::from_millis(1500);
/// For so long a node must have seen the row of a life that is over before it removes it.
pub const DEAD_ROW_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Objects of which a process knows the current version, for each shared cache.
pub const INDEX_ENTRIES_MAX: usize = 1 << 20;
/// An object in a shared cache, in bytes; a larger one is not put there.
pub const SHARED_ITEM_BYTES_MAX: usize = 900 << 10;

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, with the field names of the Elastic Common Schema.
    Json,
}

/// What is read again before an answer leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// Whether this process is still called up: enough where the store's registers are linearizable, as they have to be.
    Node,
    /// That, and whether it still owns the shards of the objects that are answered for.
    Shard,
}

/// The settings of one service. Their `Debug` shows no password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Config {
    /// The address to listen on; see [`listen_address`] for how it may be written.
    #[serde(deserialize_with = "read_listen")]
    pub listen: SocketAddr,
    /// The URL of the datastore.
    pub store: String,
    /// The URL of the shared cache before the store, such as `memcached://m1,m2`; without one, the store alone.
    pub cache: Option<String>,
    /// Further shared caches, by the name with which a type asks for one.
    pub cache_pools: BTreeMap<String, String>,
    /// Takes a store whose acknowledged writes may be lost when its process dies.
    pub accept_weak_durability: bool,
    /// Takes a Cassandra cluster that acknowledges writes before they are synced to a disk.
    pub allow_periodic: bool,
    /// Takes a cluster of fewer than three replicas, as developers have it.
    pub dev: bool,
    /// What is read again before an answer leaves, on a store that others may share.
    pub confirm: Confirm,
    /// How the log is written.
    pub log: LogFormat,
    /// Where other nodes on the same store reach this one, such as `http://10.0.0.5:8080`.
    pub advertise: Option<String>,
    /// The name of this host among them, the same in each of its lives; the machine's unless it is set.
    pub node_name: Option<String>,
    /// What `Location` and absolute URIs of this cluster begin with, such as `https://shop.example`.
    pub public_url: Option<String>,
    /// Other clusters whose objects may be named in arguments, such as `http://stock.example:8080`.
    pub allowed_authorities: Vec<String>,
    /// The certificate that this node shows to others: a PEM file, with what leads to the authority behind it. These three
    /// go together, and need the feature `tls`.
    pub peer_tls_cert: Option<PathBuf>,
    /// Its private key, a PEM file.
    pub peer_tls_key: Option<PathBuf>,
    /// The authority that signs the certificates of nodes, and no others: a PEM file.
    pub peer_tls_ca: Option<PathBuf>,
    /// Numbers to be changed with care.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            store: "sqlite:./objectd.db".into(),
            cache: None,
            cache_pools: BTreeMap::new(),
            accept_weak_durability: false,
            allow_periodic: false,
            dev: false,
            confirm: Confirm::Node,
            log: LogFormat::Text,
            advertise: None,
            node_name: None,
            public_url: None,
            allowed_authorities: Vec::new(),
            peer_tls_cert: None,
            peer_tls_key: None,
            peer_tls_ca: None,
            limits: Limits::default(),
        }
    }
}

/// Reads an address to listen on: `IP:PORT`, `localhost:PORT`, or `:PORT` for every address of the machine.
///
/// # Errors
/// What it would be.
pub fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    let all = text.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let written = all.or(named);
    let text = written.as_deref().unwrap_or(text);
    text.parse().map_err(|_| "it is an address and a port, such as 127.0.0.1:8080 or [::1]:8080")
}

fn read_listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    listen_address(&text).map_err(serde::de::Error::custom)
}

/// The limits that are settings. Bytes, counts and milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Limits {
    /// A request's body.
    pub body_bytes: usize,
    /// An object's state, as JSON.
    pub state_bytes: usize,
    /// A request's URI.
    pub uri_bytes: usize,
    /// All of a request's headers.
    pub header_bytes: usize,
    /// A request's headers, counted.
    pub header_count: usize,
    /// How deep JSON may nest.
    pub json_depth: usize,
    /// From a connection's start, or the last answer's end, to the end of the next request's head.
    pub head_timeout_ms: u64,
    /// From a request's head to the end of its body.
    pub body_timeout_ms: u64,
    /// An idle connection is closed after it.
    pub idle_timeout_ms: u64,
    /// A call's deadline when its request names none.
    pub request_timeout_ms: u64,
    /// Calls that may wait for one object.
    pub object_queue: usize,
    /// Connections served at once.
    pub connections: usize,
    /// Calls in work at once on this node.
    pub calls: usize,
    /// The in-process cache of published states.
    pub l1_bytes: u64,
    /// How long running calls may go on after SIGTERM.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            state_bytes: 1 << 20,
            uri_bytes: 8 << 10,
            header_bytes: 16 << 10,
            header_count: 100,
            json_depth: 128,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 75_000,
            request_timeout_ms: 30_000,
            object_queue: 1024,
            connections: 20_000,
            calls: 16_384,
            l1_bytes: 256 << 20,
            drain_timeout_ms: 20_000,
        }
    }
}

/// Deeper JSON would need a larger stack than threads have.
const JSON_DEPTH_MAX: usize = 512;

impl Config {
    /// These settings as they may be shown: without the passwords in their URLs, which are `***`.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        let urls = [&mut shown.store].into_iter().chain(&mut shown.cache).chain(shown.cache_pools.values_mut());
        for url in urls.chain(&mut shown.public_url).chain(&mut shown.advertise).chain(&mut shown.allowed_authorities) {
            *url = url::redacted(url);
        }
        shown
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// `config`, naming the setting, in one line.
    pub fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let positive = [
            ("limits.body-bytes", limits.body_bytes),
            ("limits.state-bytes", limits.state_bytes),
            ("limits.uri-bytes", limits.uri_bytes),
            ("limits.header-bytes", limits.header_bytes),
            ("limits.header-count", limits.header_count),
            ("limits.json-depth", limits.json_depth),
            ("limits.object-queue", limits.object_queue),
            ("limits.connections", limits.connections),
            ("limits.calls", limits.calls),
            ("limits.head-timeout-ms", limits.head_timeout_ms as usize),
            ("limits.body-timeout-ms", limits.body_timeout_ms as usize),
            ("limits.idle-timeout-ms", limits.idle_timeout_ms as usize),
            ("limits.request-timeout-ms", limits.request_timeout_ms as usize),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(format!("the setting {name} is 0; it must be at least 1")));
        }
        if limits.json_depth > JSON_DEPTH_MAX {
            return Err(Error::config(format!(
                "the setting limits.json-depth is {}; it may be at most {JSON_DEPTH_MAX}",
                limits.json_depth
            )));
        }
        if Duration::from_millis(limits.request_timeout_ms) > REQUEST_TIMEOUT_MAX {
            return Err(Error::config("the setting limits.request-timeout-ms may be at most 300000 (5 minutes)"));
        }
        let named = self.allowed_authorities.iter().map(|url| ("allowed-authorities", url));
        let own = self.public_url.iter().map(|url| ("public-url", url));
        let peers = self.advertise.iter().map(|url| ("advertise", url));
        for (name, url) in named.chain(own).chain(peers) {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            let bare = |rest: &str| !rest.trim_end_matches('/').is_empty() && !rest.trim_end_matches('/').contains('/');
            if !rest.is_some_and(bare) {
                return Err(Error::config(format!(
                    "the setting {name} has {:?}; it would be http(s)://host or http(s)://host:port",
                    url::redacted(url)
                )));
            }
        }
        if self.node_name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NODE_NAME_BYTES_MAX) {
            return Err(Error::config(format!("the setting node-name has 1 to {NODE_NAME_BYTES_MAX} bytes")));
        }
        self.check_peer_tls()?;
        let caches = self.cache.iter().chain(self.cache_pools.values());
        if let Some(url) = [&self.store].into_iter().chain(caches).find(|url| url::is_redacted(url)) {
            return Err(Error::config(format!(
                "{url:?} has the password ***, as it is shown instead of the real one; write that in its place"
            )));
        }
        Ok(())
    }

    fn check_peer_tls(&self) -> Result<()> {
        let files = [
            ("peer-tls-cert", &self.peer_tls_cert),
            ("peer-tls-key", &self.peer_tls_key),
            ("peer-tls-ca", &self.peer_tls_ca),
        ];
        let https = self.advertise.as_ref().map(|url| url.starts_with("https://"));
        let Some((set, _)) = files.iter().find(|(_, path)| path.is_some()) else {
            return match https {
                Some(true) => Err(Error::config(
                    "the setting advertise is https://, which needs peer-tls-cert, peer-tls-key and peer-tls-ca",
                )),
                _ => Ok(()),
            };
        };
        if let Some((missing, _)) = files.iter().find(|(_, path)| path.is_none()) {
            return Err(Error::config(format!(
                "the setting {set} is there and {missing} is not: nodes need a certificate, its key, and the authority"
            )));
        }
        if https == Some(false) {
            return Err(Error::config("the setting advertise is http://; with certificates it would be https://"));
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Named one by one, so that a new field is not forgotten.
        let Self {
            listen,
            store,
            cache,
            cache_pools,
            accept_weak_durability,
            allow_periodic,
            dev,
            confirm,
            log,
            advertise,
            node_name,
            public_url,
            allowed_authorities,
            peer_tls_cert,
            peer_tls_key,
            peer_tls_ca,
            limits,
        } = self.redacted();
        f.debug_struct("Config")
            .field("listen", &listen)
            .field("store", &store)
            .field("cache", &cache)
            .field("cache_pools", &cache_pools)
            .field("accept_weak_durability", &accept_weak_durability)
            .field("allow_periodic", &allow_periodic)
            .field("dev", &dev)
            .field("confirm", &confirm)
            .field("log", &log)
            .field("advertise", &advertise)
            .field("node_name", &node_name)
            .field("public_url", &public_url)
            .field("allowed_authorities", &allowed_authorities)
            .field("peer_tls_cert", &peer_tls_cert)
            .field("peer_tls_key", &peer_tls_key)
            .field("peer_tls_ca", &peer_tls_ca)
            .field("limits", &limits)
            .finish()
    }
}
