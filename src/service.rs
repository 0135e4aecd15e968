//! The composition root: the only file that names every room, and puts them on top of each other.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "http")]
use crate::api::Api;
use crate::cache::{Cache, Pools, SharedCache};
use crate::clock::{self, Instant, Random};
use crate::config::Config;
use crate::error::Result;
use crate::locks::{Locks, NodeId};
use crate::model::Durability;
use crate::objects::{FORMAT, Host, Peers, Registry, RemoteObject, TypeDef};
use crate::storage::{Datastore, KeyValue, OverKeyValue};

/// A running service: its objects, and the store under them.
#[derive(Debug, Clone)]
pub struct Service {
    host: Host,
    /// Its store's name, as in `Cache-Status`.
    store: Arc<str>,
    durability: Durability,
    #[cfg(feature = "http")]
    api: Api,
}

/// Says what a [`Service`] is made of.
#[derive(Debug)]
pub struct ServiceBuilder {
    config: Config,
    types: Vec<TypeDef>,
    linked: bool,
    store: Option<(Arc<dyn Datastore>, Arc<str>)>,
    /// The newest record format it reads and writes.
    format: u32,
    shared_cache: Option<Arc<dyn SharedCache>>,
    peers: Option<Arc<dyn Peers>>,
}

impl Service {
    /// With the default settings.
    #[must_use]
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder {
            config: Config::default(),
            types: Vec::new(),
            linked: true,
            store: None,
            shared_cache: None,
            peers: None,
            format: FORMAT,
        }
    }

    /// Its objects, to call from this process.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What an acknowledged write survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The name of its store, such as `sqlite`.
    #[must_use]
    pub fn store_name(&self) -> &str {
        &self.store
    }

    /// The HTTP routes of its objects, for an axum app: alone, merged, or nested below a prefix. Requests to other paths
    /// are left to the app.
    #[cfg(feature = "http")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        self.api.router().with_state(())
    }

    /// Serves HTTP on `listener` until `shutdown` resolves: then it takes no new calls, answers those under way, and
    /// returns.
    ///
    /// # Errors
    /// When the listener cannot be used.
    #[cfg(feature = "http")]
    pub async fn run(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: impl std::future::Future<Output = ()> + Send,
    ) -> Result<()> {
        let host = self.host.clone();
        let began = std::sync::OnceLock::new();
        let drained = async {
            shutdown.await;
            let began = *began.get_or_init(clock::now);
            // The rest of the time is for the answers of calls that were let in before.
            if tokio::time::timeout_at(began + self.drain_timeout() * 3 / 4, host.retire()).await.is_err() {
                tracing::warn!("not every object was given to another node within three quarters of the drain time");
            }
            if !host.has_others() {
                host.drain();
            }
            began + self.drain_timeout()
        };
        self.api.serve(listener, drained).await?;
        self.stop_by(began.get().copied().unwrap_or_else(clock::now) + self.drain_timeout()).await;
        Ok(())
    }

    /// Takes no new calls, waits until those under way are answered (for `drain-timeout-ms` at most), and lets another
    /// process have the objects.
    pub async fn stop(&self) {
        self.stop_by(clock::now() + self.drain_timeout()).await;
    }

    fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.host.config().limits.drain_timeout_ms)
    }

    async fn stop_by(&self, end: Instant) {
        self.host.drain();
        if tokio::time::timeout_at(end, self.host.idle()).await.is_err() {
            tracing::warn!("calls were still running at the end of the drain time");
        }
        self.host.leave().await;
    }
}

impl ServiceBuilder {
    /// Adds a type. Types of this program register themselves; this is for those of libraries that a linker may drop, and
    /// for a service that is to have only some ([`ServiceBuilder::only_given_types`]).
    #[must_use]
    pub fn object<T: RemoteObject>(mut self) -> Self {
        self.types.push(TypeDef::of::<T>());
        self
    }

    /// Leaves out the types that registered themselves.
    #[must_use]
    pub fn only_given_types(mut self) -> Self {
        self.linked = false;
        self
    }

    /// The settings so far.
    #[must_use]
    pub fn settings(&self) -> &Config {
        &self.config
    }

    /// The datastore that was given instead of a URL, and its name.
    #[cfg(feature = "cli")]
    pub(crate) fn own_store(&self) -> Option<&(Arc<dyn Datastore>, Arc<str>)> {
        self.store.as_ref()
    }

    /// Its types, each with the cache pool it asks for.
    #[cfg(feature = "cli")]
    pub(crate) fn cache_pools(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let registry = Registry::new(&self.types, self.linked);
        registry.map(|types| types.iter().map(|def| (def.name, def.options.cache_pool)).collect()).unwrap_or_default()
    }

    /// The newest record format it reads and writes.
    #[cfg(feature = "cli")]
    pub(crate) fn format(&self) -> u32 {
        self.format
    }

    /// As a release would be that has the record format after this one's: for tests of how one is rolled out.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    #[must_use]
    pub fn next_format(mut self) -> Self {
        self.format = FORMAT + 1;
        self
    }

    /// Sets all settings.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The store by its URL: `sqlite:PATH` or `memory:`, and where they are built in `cassandra://…` or `redis://…`.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.config.store = url.into();
        self
    }

    /// A shared cache before the store by its URL, such as `memcached://m1,m2`: see `docs/caching.md`.
    #[must_use]
    pub fn cache(mut self, url: impl Into<String>) -> Self {
        self.config.cache = Some(url.into());
        self
    }

    /// A datastore of one's own; `name` stands for it in `Cache-Status` and in the log.
    #[must_use]
    pub fn datastore(mut self, name: &str, store: Arc<dyn Datastore>) -> Self {
        self.store = Some((store, name.into()));
        self
    }

    /// A key-value store of one's own that other processes may share; `durability` is what its acknowledged writes survive.
    #[must_use]
    pub fn key_value<K: KeyValue>(self, name: &str, store: K, durability: Durability) -> Self {
        self.datastore(name, Arc::new(OverKeyValue::new(store, durability)))
    }

    #[doc(hidden)]
    /// How the other nodes are asked, in place of HTTP.
    #[must_use]
    pub fn peers(mut self, peers: Arc<dyn Peers>) -> Self {
        self.peers = Some(peers);
        self
    }

    #[doc(hidden)]
    /// A shared cache of one's own, in place of one with a URL.
    #[must_use]
    pub fn shared_cache(mut self, cache: Arc<dyn SharedCache>) -> Self {
        self.shared_cache = Some(cache);
        self
    }

    /// The name of this host among those that share the store, the same in each of its lives. By default the machine's.
    #[must_use]
    pub fn node_name(mut self, name: &str) -> Self {
        self.config.node_name = Some(name.to_owned());
        self
    }

    /// Where other nodes on the same store reach this one, such as `http://10.0.0.5:8080`: there the service is run, or its
    /// routes are mounted at the root. Without it this node can have objects, and the others cannot ask it for them.
    #[must_use]
    pub fn advertise(mut self, url: impl Into<String>) -> Self {
        self.config.advertise = Some(url.into());
        self
    }

    /// Opens the store, joins it, and puts the rooms together.
    ///
    /// # Errors
    /// `config` when there are no types, or the store's URL or file cannot be used; `store-unavailable`.
    pub async fn build(self) -> Result<Service> {
        let registry = Registry::new(&self.types, self.linked)?;
        self.config.check()?;
        let (store, name) = match self.store {
            Some(store) => store,
            None => {
                let scheme = self.config.store.split(':').next().unwrap_or_default().to_owned();
                (crate::storage::open(&self.config).await?, scheme.into())
            }
        };
        let durability = store.caps().durability;
        tracing::info!(store = %name, durability = durability.as_str(), "opened the store");
        let pools = match self.shared_cache {
            Some(cache) => Pools::of(cache),
            None => {
                let types = registry.iter().map(|def| (def.name, def.options.cache_pool));
                Pools::open(&self.config, types).await?
            }
        };
        let cache = Cache::new(store, self.config.limits.l1_bytes, pools);
        let name_of_node = self.config.node_name.clone().unwrap_or_else(machine_name);
        let addr = self.config.advertise.clone().unwrap_or_default();
        let node = NodeId { name: name_of_node, addr, format: self.format };
        let locks = Locks::join(cache, node, self.config.confirm, Random::from_os()).await?;
        let config = Arc::new(self.config);
        #[cfg(feature = "client")]
        let elsewhere = Some(Arc::new(crate::api::Outbound::new()) as Arc<dyn crate::objects::Elsewhere>);
        #[cfg(not(feature = "client"))]
        let elsewhere = None;
        let peers = match self.peers {
            Some(peers) => Some(peers),
            #[cfg(feature = "client")]
            None => Some(Arc::new(crate::api::Nodes::new(locks.secret(), &config)?) as Arc<dyn Peers>),
            #[cfg(not(feature = "client"))]
            None => None,
        };
        let host = Host::new(registry, locks, config, elsewhere, peers);
        Ok(Service {
            #[cfg(feature = "http")]
            api: Api::new(host.clone(), &name, durability),
            host,
            store: name,
            durability,
        })
    }
}

/// The machine's name.
pub(crate) fn machine_name() -> String {
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    named.or_else(of_kernel).unwrap_or_else(|| "localhost".to_owned())
}
