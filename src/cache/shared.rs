//! The seam of L2: what a cache that other processes share has to do, and how a URL names one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::index::Index;
use super::tally::Tally;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};

/// What each server says, by its address; or why it does not.
pub(super) type ByServer<T> = Vec<(String, Result<T, String>)>;

/// Values under names, shared with other processes. It may lose, keep or mix up whatever it likes: who reads from it
/// checks. Nothing here is an error; whatever goes wrong is a miss, and soon.
pub trait SharedCache: fmt::Debug + Send + Sync + 'static {
    /// The value under a name, if it comes in time.
    fn get(&self, name: Name) -> BoxFuture<'_, Option<Bytes>>;

    /// Puts a value there, over the one that is there. Whether it stands anywhere now.
    fn set(&self, name: Name, value: Bytes) -> BoxFuture<'_, bool>;

    /// Takes it away wherever it can.
    fn forget(&self, name: Name) -> BoxFuture<'_, ()>;

    /// How its servers are.
    fn servers(&self) -> Servers;

    /// What each server that should have a value has under its name, or why that is not known.
    fn look(&self, name: Name) -> BoxFuture<'_, ByServer<Option<Bytes>>>;

    /// Sets a value on each server, reads it back and forgets it: how long that took, or what is wrong.
    fn try_out(&self, name: Name, value: Bytes) -> BoxFuture<'_, ByServer<Duration>>;
}

/// How many servers a cache has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Servers {
    /// Those that are asked.
    pub(super) up: usize,
    /// Those that are left alone until they answer again.
    pub(super) open: usize,
}

/// The name of an object in a shared cache: a hash of cluster, type and id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Name(u128);

impl Name {
    pub(super) fn new(hash: u128) -> Self {
        Self(hash)
    }

    /// Half of it: a hash by itself.
    pub(super) fn low(self) -> u64 {
        self.0 as u64
    }
}

/// As it stands in a cache: `ro-` and 32 hex digits.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ro-{:032x}", self.0)
    }
}

/// A cache as its URL names it.
pub(super) struct Opened {
    pub(super) cache: Arc<dyn SharedCache>,
    /// What kind it is, as in `Cache-Status`.
    pub(super) kind: &'static str,
    /// What the URL says to tell clusters apart by, beside their ids.
    pub(super) namespace: String,
}

/// The caches there are, as an error names them.
const LEGAL: &str = match (cfg!(feature = "memcached"), cfg!(feature = "redis")) {
    (true, true) => "memcached://host:port,host:port, redis://host:port/db",
    (true, false) => "memcached://host:port,host:port (this build is without the feature redis)",
    (false, true) => "redis://host:port/db (this build is without the feature memcached)",
    (false, false) => "none (this build is without the features memcached and redis)",
};

/// Makes the cache that a URL names. Its servers need not be there.
///
/// # Errors
/// `config`: what the URL would be.
pub(super) async fn open(url: &str, index: &Arc<Index>, tally: &Arc<Tally>) -> Result<Opened> {
    let mut parsed = ServerUrl::parse(url)?;
    let namespace = parsed.take("namespace", "any text")?.unwrap_or_default();
    let (cache, kind) = of_scheme(parsed, index, tally).await?;
    Ok(Opened { cache, kind, namespace })
}

#[cfg_attr(not(any(feature = "memcached", feature = "redis")), allow(clippy::unused_async, reason = "no cache waits"))]
async fn of_scheme(
    url: ServerUrl,
    index: &Arc<Index>,
    tally: &Arc<Tally>,
) -> Result<(Arc<dyn SharedCache>, &'static str)> {
    let _ = (index, tally);
    match url.scheme.as_str() {
        #[cfg(feature = "memcached")]
        "memcached" => Ok((super::memcached::open(url, index, tally).await?, "memcached")),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => Ok((super::redis::open(url, index, tally).await?, "redis")),
        _ => Err(Error::config(format!("{:?}: there is no such cache; there are: {LEGAL}", url.shown()))),
    }
}
