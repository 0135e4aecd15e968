//! The nodes: each a service on a machine of its own, started, stopped and asked by their number.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::clock::Machine;
use remote_object::error::Kind;
use remote_object::model::{Durability, Register};
use remote_object::objects::Peers;
use remote_object::storage::{Datastore, OverKeyValue};
use remote_object::{Config, Host, Service};
use tokio::time::{sleep, timeout};

use crate::cache::{self, Memcached};
use crate::line::Line;
use crate::net::Waits;
use crate::peers::Wires;
use crate::replicas::Replicas;
use crate::table::{self, Table};
use crate::world::{Weather, World};

/// How long a process may take to start before whoever starts it tries again.
const START_MAX: Duration = Duration::from_secs(20);

/// Puts something between a node and its store.
pub type Under = Arc<dyn Fn(Arc<dyn Datastore>) -> Arc<dyn Datastore> + Send + Sync>;

/// Puts something between a node and the others.
pub type Beside = Arc<dyn Fn(Arc<dyn Peers>) -> Arc<dyn Peers> + Send + Sync>;

/// What a cluster is made of.
#[derive(Clone)]
pub struct Setup {
    /// Chooses everything else that happens.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many shards: few, so that each has something to do.
    pub shards: u32,
    /// How bad it is.
    pub weather: Weather,
    /// Whether the store is three replicas that order writes; else one table with compare-and-set.
    pub ordered: bool,
    /// Whether reads of the replicas repair what they find.
    pub repairs: bool,
    /// Whether there is a shared cache.
    pub cache: bool,
    /// Whether it is written down what happens.
    pub traced: bool,
    /// The settings of the nodes.
    pub config: Config,
    /// What stands between each node and its store.
    pub under: Option<Under>,
    /// What stands between each node and the others.
    pub beside: Option<Beside>,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, shards, weather, ordered, repairs, cache, .. } = self;
        write!(
            f,
            "seed {seed}: {nodes} nodes, {shards} shards, ordered: {ordered}, repairs: {repairs}, cache: {cache}, {weather:?}"
        )
    }
}

impl Setup {
    /// A cluster as this seed wants it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let luck = remote_object::clock::Random::seeded(seed ^ 0x5e70);
        let below = |limit: u64| luck.next_u64() % limit;
        Self {
            seed,
            nodes: 2 + below(3) as usize,
            shards: 1 + below(6) as u32,
            weather: Weather {
                stray: [2, 10, 40][below(3) as usize],
                untold: 0,
                lost: [0, 1, 4][below(3) as usize],
                refused: below(3),
                panics: 0,
                lies: [0, 30][below(2) as usize],
            },
            ordered: below(3) > 0,
            repairs: below(2) == 0,
            cache: below(2) == 0,
            traced: false,
            config: Config::default(),
            under: None,
            beside: None,
        }
    }
}

/// The store of a cluster.
#[derive(Clone, Debug)]
enum Store {
    Replicas(Arc<Replicas>),
    Table(Arc<Table>),
}

/// One life of one process.
#[derive(Debug)]
pub struct Process {
    /// The number of its node.
    pub node: usize,
    /// Where it listens.
    addr: String,
    /// What it runs on.
    pub machine: Arc<Machine>,
    service: OnceLock<Service>,
}

impl Process {
    /// Its objects, once it has joined.
    #[must_use]
    pub fn host(&self) -> Option<Host> {
        self.service.get().map(|service| service.host().clone())
    }

    pub(crate) fn service(&self) -> Option<Service> {
        self.service.get().cloned()
    }

    /// It is killed. What it has sent is under way; what it had not, never is.
    pub fn kill(&self) {
        self.machine.stop();
    }
}

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    /// What everything in it shares.
    pub world: Arc<World>,
    setup: Setup,
    store: Store,
    cache: Option<Arc<Memcached>>,
    /// Of each node, the newest process last; those before it were taken for dead, and may not be.
    processes: Mutex<Vec<Vec<Arc<Process>>>>,
    /// How often each node has moved to another address.
    moved: Mutex<Vec<u32>>,
}

impl Cluster {
    /// All nodes, started.
    pub async fn start(setup: Setup) -> Arc<Self> {
        // A cluster that begins in bad weather takes half the run to begin.
        let world = World::new(setup.seed, Weather::default(), setup.traced);
        // Few shards, and the same ids each time.
        let row = format!(r#"{{"shards":{},"format":1,"id":"simulated","secret":"simulated"}}"#, setup.shards);
        let (register, row) = (Register::cluster(), Bytes::from(row));
        let store = if setup.ordered {
            let replicas = Replicas::new(&world, setup.repairs);
            replicas.preset(&register, row);
            Store::Replicas(replicas)
        } else {
            let table = Table::new(&world);
            table.preset(&register, row);
            Store::Table(table)
        };
        let cache = setup.cache.then(|| Memcached::new(&world));
        let processes = Mutex::new((0..setup.nodes).map(|_| Vec::new()).collect());
        let moved = Mutex::new(vec![0; setup.nodes]);
        let cluster = Arc::new(Self { world, setup, store, cache, processes, moved });
        let starts = (0..cluster.nodes()).map(|node| {
            let cluster = Arc::clone(&cluster);
            async move { cluster.start_node(node, false).await }
        });
        futures_util::future::join_all(starts).await;
        cluster.world.set_weather(cluster.setup.weather);
        cluster
    }

    /// What it is made of.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// How many nodes there are, be they up or not.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.setup.nodes
    }

    /// The replicas, where the store is three.
    #[must_use]
    pub fn replicas(&self) -> Option<&Arc<Replicas>> {
        match &self.store {
            Store::Replicas(replicas) => Some(replicas),
            Store::Table(_) => None,
        }
    }

    /// The shared cache, where there is one.
    #[must_use]
    pub fn cache(&self) -> Option<&Arc<Memcached>> {
        self.cache.as_ref()
    }

    /// Those that were killed are gone from it.
    fn processes(&self) -> MutexGuard<'_, Vec<Vec<Arc<Process>>>> {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.iter_mut().for_each(|of_node| of_node.retain(|process| !process.machine.is_off()));
        processes
    }

    /// The newest process of a node that was not killed.
    #[must_use]
    pub fn process(&self, node: usize) -> Option<Arc<Process>> {
        self.processes()[node].last().cloned()
    }

    pub(crate) fn listens(&self, addr: &str) -> Option<Arc<Process>> {
        self.processes().iter().flatten().rev().find(|process| process.addr == addr).cloned()
    }

    /// All processes that were not killed, those too that were taken for dead.
    #[must_use]
    pub fn alive(&self) -> Vec<Arc<Process>> {
        self.processes().iter().flatten().cloned().collect()
    }

    /// Some node.
    #[must_use]
    pub fn any(&self) -> usize {
        self.world.below(self.nodes() as u64) as usize
    }

    /// Starts a process for a node, again and again until one has joined; `elsewhere`, at another address than the last.
    pub async fn start_node(self: &Arc<Self>, node: usize, elsewhere: bool) {
        let addr = {
            let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
            moved[node] += u32::from(elsewhere);
            format!("http://node-{node}.{}", moved[node])
        };
        loop {
            let machine = Machine::new(self.world.below(u64::MAX));
            let process = Arc::new(Process { node, addr: addr.clone(), machine, service: OnceLock::new() });
            {
                let mut processes = self.processes();
                // An address is one process's: whoever comes later cannot listen there, and ends.
                if processes[node].iter().any(|other| other.addr == addr) {
                    return;
                }
                processes[node].push(Arc::clone(&process));
            }
            self.world.tell(|| format!("{addr} starts"));
            let builder = self.builder(node, &addr);
            let started = process.machine.spawn(async move { builder.build().await });
            let refused = match timeout(START_MAX, started).await {
                Ok(Ok(Ok(service))) => {
                    self.world.tell(|| format!("{addr} has joined"));
                    let _ = process.service.set(service);
                    tokio::spawn(Arc::clone(self).end(process));
                    return;
                }
                // Somebody has killed it meanwhile, and will start another one.
                _ if process.machine.is_off() => return,
                Ok(Ok(Err(error))) => Some(error),
                _ => None,
            };
            self.world.tell(|| format!("{addr} does not start: {refused:?}"));
            process.kill();
            // One of this name lives: whoever took it for dead was wrong.
            if refused.is_some_and(|error| error.kind() == Kind::Config) && self.process(node).is_some() {
                return;
            }
            sleep(self.world.ms(10, 500)).await;
        }
    }

    /// A process that finds out that it is one too many exits; and is started again where it was not.
    fn end(self: Arc<Self>, process: Arc<Process>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Some(host) = process.host() else { return };
            if let Ok(why) = process.machine.spawn(async move { host.failed().await }).await {
                self.world.tell(|| format!("{} exits: {why:?}", process.addr));
                process.kill();
                if self.process(process.node).is_none() {
                    self.start_node(process.node, false).await;
                }
            }
        })
    }

    fn builder(self: &Arc<Self>, node: usize, addr: &str) -> remote_object::ServiceBuilder {
        let mut store: Arc<dyn Datastore> = match &self.store {
            Store::Replicas(replicas) => Line::new(replicas, node),
            Store::Table(table) => Arc::new(OverKeyValue::new(table::Client::new(table, node), Durability::PowerSafe)),
        };
        if let Some(under) = &self.setup.under {
            store = under(store);
        }
        let mut peers: Arc<dyn Peers> = Arc::new(Wires { cluster: Arc::downgrade(self), from: node });
        if let Some(beside) = &self.setup.beside {
            peers = beside(peers);
        }
        let mut builder = Service::builder()
            .config(self.setup.config.clone())
            .datastore("simulated", store)
            .node_name(&format!("node-{node}"))
            .advertise(addr)
            .peers(peers);
        if let Some(cache) = &self.cache {
            builder = builder.shared_cache(cache::Client::new(cache, node));
        }
        builder
    }

    /// Asks a node, as a client does who is connected to it; `None` when no answer comes, and then nobody knows what
    /// became of it. Who drops this has given up, which the node may hear of or not.
    pub async fn ask<T, F>(&self, node: usize, call: impl FnOnce(Host) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let process = self.process(node)?;
        self.ask_process(&process, call).await
    }

    /// The same of one process, which need not be the one that its node has now.
    pub async fn ask_process<T, F>(&self, process: &Process, call: impl FnOnce(Host) -> F + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        let host = process.host()?;
        let world = &self.world;
        sleep(world.way()).await;
        let lost = world.chance(world.weather().lost);
        if lost && world.below(2) == 0 {
            return None;
        }
        let (waits, left) = Waits::new(world.below(2) == 0);
        let asked = process.machine.spawn(async move {
            tokio::select! {
                biased;
                answer = call(host) => Some(answer),
                () = left => None,
            }
        });
        let answer = asked.await.ok().flatten();
        drop(waits);
        sleep(world.way()).await;
        answer.filter(|_| !lost)
    }

    /// All is well from here on: the weather is good, all wires are whole, everybody runs, and every node has a process.
    /// What is late is still under way, for [`CALM_AFTER`](crate::CALM_AFTER) at most.
    pub async fn calm(self: &Arc<Self>) {
        self.world.tell(|| "all is well from here on".to_owned());
        self.world.set_weather(Weather::default());
        self.world.net.mend_all();
        if let Some(replicas) = self.replicas() {
            replicas.bring_all_back();
        }
        self.alive().iter().for_each(|process| process.machine.thaw());
        for node in 0..self.nodes() {
            if self.process(node).is_none_or(|process| process.host().is_none()) {
                if let Some(process) = self.process(node) {
                    process.kill();
                }
                self.start_node(node, false).await;
            }
        }
    }
}
