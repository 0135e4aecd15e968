//! Some nodes on one store, started, killed and drained under load.

use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use remote_object::Config;
use remote_object::model::ObjectKey;

use super::book::{self, Book};
use super::objectd::{Objectd, Place};
use super::servers::{Server, has};

const OBJECTD: &str = env!("CARGO_BIN_EXE_objectd");
pub const NODES: usize = 3;
/// As many as a shared store has.
pub const SHARDS: u32 = 1024;
/// Makes `objectd`, as tests build it, one of the next release.
const NEXT: &str = "OBJECTD_NEXT_FORMAT";
/// How long calls may wait for something to be as it was before: a busy machine, and no reason to give up too soon.
pub const BACK: Duration = Duration::from_secs(60);

/// What the nodes share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    Redis,
    Cassandra,
}

impl Store {
    /// Its settings; `None` where there is none, which has been said.
    fn config(self) -> Option<Config> {
        match self {
            Self::Redis => Some(book::redis(&test_stack::redis()?)),
            Self::Cassandra => Some(book::cassandra(&test_stack::cassandra()?)),
        }
    }
}

/// A node, whether it runs or not. It keeps its name and its address.
pub struct Node {
    pub name: String,
    pub place: Place,
    /// It is started as if it were of the release after this one, which has another record format.
    pub next: bool,
    process: Option<Objectd>,
}

/// A scenario under way.
pub struct Cluster {
    pub book: Book,
    pub nodes: Vec<Node>,
    pub caches: Vec<Server>,
}

impl Cluster {
    /// Begins a scenario on a store: three nodes that take calls, and clients who send them to any of these.
    pub fn begin(scenario: &str, store: Store) -> Option<Self> {
        Self::begin_at(scenario, store, |_| (0..NODES).map(|_| Place::free()).collect())
    }

    /// The same, at the places that `places` finds once the books are open.
    pub fn begin_at(scenario: &str, store: Store, places: impl FnOnce(&Book) -> Vec<Place>) -> Option<Self> {
        let alone = book::alone();
        let config = store.config()?;
        let name = format!("cluster-{scenario}-{store:?}").to_lowercase();
        let book = Book::open(&name, &config, alone);
        let caches: Vec<Server> = (0..if has("memcached") { 3 } else { 0 }).map(|_| Server::memcached(&[])).collect();
        book.settings(&config, &book::url_of(&caches));
        let places = places(&book);
        Some(Self::of(book, places, caches))
    }

    /// The same, where the nodes are told where to stand and the settings are written.
    pub fn of(book: Book, places: Vec<Place>, caches: Vec<Server>) -> Self {
        let node = |(number, place)| Node { name: format!("node-{number}"), place, next: false, process: None };
        let mut cluster = Self { book, nodes: (1..).zip(places).map(node).collect(), caches };
        // All at once: to join must not depend on who is there already.
        (0..cluster.nodes.len()).for_each(|at| cluster.launch(at));
        (0..cluster.nodes.len()).for_each(|at| cluster.wait(at));
        let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.place.address).collect();
        cluster.load.ask_any_of(&addresses);
        cluster
    }

    /// Starts a node, and does not wait for it.
    pub fn launch(&mut self, at: usize) {
        let Node { name, place, next, .. } = &self.nodes[at];
        let mut place = place.clone();
        place.flags.extend(["--node-name".to_owned(), name.clone()]);
        if *next {
            place.environment.push((NEXT, "1".to_owned()));
        }
        let process = Objectd::start_at(&place, self.book.dir.path(), name);
        self.nodes[at].process = Some(process);
    }

    /// Waits until a node takes calls.
    pub fn wait(&mut self, at: usize) {
        self.process(at).wait();
    }

    pub fn start(&mut self, at: usize) {
        self.launch(at);
        self.wait(at);
    }

    /// The process of a node that runs.
    pub fn process(&mut self, at: usize) -> &mut Objectd {
        self.nodes[at].process.as_mut().expect("it was started")
    }

    /// `kill -9`.
    pub fn kill(&mut self, at: usize) {
        let running = self.process(at).is_running();
        if !running {
            let said = self.process(at).said();
            self.fail(vec![format!("{} had ended by itself: {said}", self.nodes[at].name)]);
        }
        self.process(at).kill().unwrap();
        self.fault("kill -9 of a node");
        self.nodes[at].process = None;
    }

    /// Any of the nodes.
    pub fn any(&self) -> usize {
        self.load.below(self.nodes.len() as u64) as usize
    }

    /// What the registers say of shards.
    fn shards(&self) -> serde_json::Value {
        self.told(&["shards"])
    }

    /// What a command says of the store.
    pub fn told(&self, command: &[&str]) -> serde_json::Value {
        let mut objectd = Command::new(OBJECTD);
        objectd.args(command).args(["--json", "--config"]).arg(self.dir.path().join("objectd.toml"));
        // As a release that reads whatever there is.
        objectd.env(NEXT, "1");
        let began = Instant::now();
        loop {
            let told = objectd.output().unwrap();
            if told.status.success() {
                return serde_json::from_slice(&told.stdout).unwrap();
            }
            // A store on a busy machine may be late once.
            if began.elapsed() > BACK {
                self.fail(vec![format!("{command:?} says nothing of the store for {BACK:?}: {told:?}")]);
            }
            thread::sleep(Duration::from_millis(250));
        }
    }

    /// The node that owns each shard by the registers, if one does that is up.
    pub fn owners(&self) -> Vec<Option<String>> {
        let found = self.shards();
        let mut owners = vec![None; SHARDS as usize];
        for owner in found["owners"].as_array().unwrap() {
            let is_up = owner["state"] == "up" || owner["state"] == "draining";
            let Some(node) = owner["node"].as_str().filter(|_| is_up) else { continue };
            for range in owner["shards"].as_array().unwrap() {
                let range = range.as_str().unwrap();
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                owners[first..=last].fill(Some(node.to_owned()));
            }
        }
        owners
    }

    /// Waits until nothing moves any more: each shard that was ever taken is with the node that is to have it.
    pub fn settle(&self) {
        let began = Instant::now();
        loop {
            let moves = &self.shards()["moves"];
            if moves.as_array().unwrap().is_empty() {
                return;
            }
            if began.elapsed() > BACK {
                self.fail(vec![format!("shards still are to move after {BACK:?}: {moves}; {}", self.said())]);
            }
            thread::sleep(Duration::from_millis(250));
        }
    }

    /// What the processes have said last.
    pub fn said(&self) -> String {
        let said =
            |node: &Node| format!("{}: {}", node.name, node.process.as_ref().map(Objectd::said).unwrap_or_default());
        self.nodes.iter().map(said).collect::<Vec<_>>().join("\n")
    }

    /// A last look, and the end. All nodes run.
    #[track_caller]
    pub fn end(self) {
        let Self { book, nodes, .. } = self;
        book.end();
        drop(nodes);
    }
}

impl Deref for Cluster {
    type Target = Book;

    fn deref(&self) -> &Book {
        &self.book
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Book {
        &mut self.book
    }
}

/// The shard of a counter.
pub fn shard_of(id: &str) -> usize {
    ObjectKey::new("counter", id).unwrap().shard(SHARDS) as usize
}
