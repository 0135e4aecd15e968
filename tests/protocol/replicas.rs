//! A store as three Cassandra nodes are one, at their worst: a put reaches each replica at its own time or never, column by
//! column the highest version wins, and a read asks two of the three.
//!
//! Every process has a [`Line`] of its own to it, which can be frozen for a while or cut for good. What was sent before
//! still lands: as packets under way, and as requests that wait in a node's queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::clock::Random;
use remote_object::model::{
    Caps, Cas, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, check_put};
use remote_object::{Error, Result};
use tokio::sync::watch;
use tokio::time::sleep;

use super::store::shared_memory;

/// How long a request waits for its answer.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// After so long nothing is under way any more.
pub const CALM_AFTER: Duration = Duration::from_secs(120);

/// How bad it is, in chances out of a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weather {
    /// That a put reaches a replica late, or never: drawn for each replica of a put that is hit, and of half of them.
    pub stray: u64,
    /// That an answer is lost.
    pub lost: u64,
    /// That the driver panics in a put.
    pub panics: u64,
}

/// The three nodes.
#[derive(Debug)]
pub struct Replicas {
    /// Registers are linearizable by themselves.
    registers: Arc<dyn Datastore>,
    nodes: Mutex<[BTreeMap<ObjectKey, Columns>; 3]>,
    pub random: Random,
    weather: Mutex<Weather>,
    /// Whether a read writes what it found to those it asked, before it answers.
    repairs: bool,
    script: Mutex<Script>,
}

/// What a test has decided itself.
#[derive(Default, Debug)]
struct Script {
    /// The only node that puts reach.
    reaches: Option<usize>,
    /// The node that reads do not ask.
    left_out: Option<usize>,
}

/// An object on one node: each column with the timestamp it was written under.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Columns([(u64, Bytes); 3]);

impl Columns {
    fn of(record: &Record) -> Self {
        let at = record.version.as_u64();
        let version = Bytes::copy_from_slice(&at.to_be_bytes());
        Self([(at, version), (at, record.state.clone()), (at, record.meta.clone())])
    }

    /// The later write of each column; of two at the same time the greater value, as Cassandra has it.
    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            if theirs > mine {
                *mine = theirs.clone();
            }
        }
    }

    fn record(&self) -> Record {
        let [(_, version), (_, state), (_, meta)] = &self.0;
        let version = Version::from_u64(u64::from_be_bytes(version[..].try_into().unwrap()));
        Record { version, state: state.clone(), meta: meta.clone() }
    }
}

impl Replicas {
    pub fn new(seed: u64, repairs: bool, weather: Weather) -> Arc<Self> {
        let (random, weather) = (Random::seeded(seed), Mutex::new(weather));
        let (nodes, script) = (Mutex::default(), Mutex::default());
        Arc::new(Self { registers: shared_memory(), nodes, random, weather, repairs, script })
    }

    /// From here on all goes well; what is under way is.
    pub fn calm(&self) {
        *self.weather.lock().unwrap() = Weather::default();
    }

    /// From here on puts reach this node alone (`None`: all), and reads ask the two others of this one (`None`: any).
    pub fn only(&self, reaches: Option<usize>, left_out: Option<usize>) {
        *self.script.lock().unwrap() = Script { reaches, left_out };
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    /// 0..`limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn chance(&self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    fn ms(&self, from: u64, to: u64) -> Duration {
        Duration::from_micros(1000 * from + self.below(1000 * (to - from)))
    }

    fn nodes(&self) -> MutexGuard<'_, [BTreeMap<ObjectKey, Columns>; 3]> {
        self.nodes.lock().unwrap()
    }

    fn write(&self, node: usize, key: &ObjectKey, columns: &Columns) {
        self.nodes()[node]
            .entry(key.clone())
            .and_modify(|there| there.merge(columns))
            .or_insert_with(|| columns.clone());
    }

    /// When a put reaches each node; `None`: never.
    fn travel(&self) -> [Option<Duration>; 3] {
        if let Some(node) = self.script.lock().unwrap().reaches {
            return std::array::from_fn(|at| (at == node).then_some(Duration::ZERO));
        }
        let hit = self.chance(self.weather().stray);
        [(); 3].map(|()| match self.below(4) {
            0 if hit => None,
            1 if hit => Some(self.ms(10, 60_000)),
            _ => Some(self.ms(0, 4)),
        })
    }

    /// Sends a record to all nodes. The quorum's moment, if there is one.
    fn send(self: &Arc<Self>, key: &ObjectKey, record: &Record) -> Option<Duration> {
        let travel = self.travel();
        let columns = Columns::of(record);
        for (node, time) in travel.into_iter().enumerate() {
            let Some(time) = time else { continue };
            let (nodes, key, columns) = (Arc::clone(self), key.clone(), columns.clone());
            tokio::spawn(async move {
                sleep(time).await;
                nodes.write(node, &key, &columns);
            });
        }
        let mut reached: Vec<Duration> = travel.into_iter().flatten().collect();
        reached.sort_unstable();
        reached.get(1).copied().filter(|time| *time < REQUEST_MAX)
    }

    /// A change of a register that nobody hears of again, and that lands later or never.
    async fn late_cas(
        &self,
        register: &Register,
        seen: Option<&Rev>,
        new: &[u8],
        lands: Option<Duration>,
    ) -> std::result::Result<Cas, Error> {
        if let Some(time) = lands {
            let (registers, register) = (Arc::clone(&self.registers), register.clone());
            let (seen, new) = (seen.cloned(), new.to_vec());
            tokio::spawn(async move {
                sleep(time).await;
                registers.cas(&register, seen.as_ref(), &new).await
            });
        }
        sleep(REQUEST_MAX).await;
        Err(Error::store("a transaction timed out"))
    }

    async fn read(&self, key: &ObjectKey) -> Option<Record> {
        let left_out = self.script.lock().unwrap().left_out.unwrap_or(self.below(3) as usize);
        let mut found: Option<Columns> = None;
        let asked = (0..3).filter(|node| *node != left_out);
        for node in asked.clone() {
            sleep(self.ms(0, 4)).await;
            let Some(there) = self.nodes()[node].get(key).cloned() else { continue };
            match &mut found {
                Some(found) => found.merge(&there),
                None => found = Some(there),
            }
        }
        if let (true, Some(found)) = (self.repairs, &found) {
            asked.for_each(|node| self.write(node, key, found));
        }
        found.map(|found| found.record())
    }
}

/// Whether a process is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Power {
    On,
    Frozen,
    Off,
}

/// What one process has of the store.
#[derive(Debug)]
pub struct Line {
    replicas: Arc<Replicas>,
    power: watch::Sender<Power>,
}

impl Line {
    pub fn to(replicas: &Arc<Replicas>) -> Arc<Self> {
        Arc::new(Self { replicas: Arc::clone(replicas), power: watch::Sender::new(Power::On) })
    }

    /// The process is killed: nothing that it does from here on does anything.
    pub fn cut(&self) {
        self.power.send_replace(Power::Off);
    }

    /// The process stands still.
    pub fn freeze(&self) {
        self.power
            .send_if_modified(|power| *power == Power::On && std::mem::replace(power, Power::Frozen) == Power::On);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.power
            .send_if_modified(|power| *power == Power::Frozen && std::mem::replace(power, Power::On) == Power::Frozen);
    }

    /// Resolves when the process is killed.
    pub async fn killed(&self) {
        let _ = self.power.subscribe().wait_for(|power| *power == Power::Off).await;
    }

    /// Goes on as soon as the process runs, and never if it was killed.
    async fn running(&self) {
        let mut power = self.power.subscribe();
        if power.wait_for(|power| *power != Power::Frozen).await.is_ok_and(|power| *power == Power::On) {
            return;
        }
        std::future::pending().await
    }

    /// One request and its answer; whether the answer was lost.
    async fn ask<T>(&self, request: impl Future<Output = T>) -> std::result::Result<T, Error> {
        self.running().await;
        sleep(self.replicas.ms(0, 2)).await;
        let answer = request.await;
        let is_lost = self.replicas.chance(self.replicas.weather().lost);
        sleep(if is_lost { REQUEST_MAX } else { self.replicas.ms(0, 2) }).await;
        self.running().await;
        if is_lost { Err(Error::store("the answer was lost")) } else { Ok(answer) }
    }
}

impl Datastore for Line {
    fn caps(&self) -> Caps {
        Caps { ordering: Ordering::Ordered, ..self.replicas.registers.caps() }
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(async { self.ask(self.replicas.registers.get(register)).await? })
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(async move {
            let replicas = &self.replicas;
            let lands =
                if replicas.chance(replicas.weather().lost) { replicas.travel()[0] } else { Some(Duration::ZERO) };
            let answer = match lands {
                Some(Duration::ZERO) => self.ask(replicas.registers.cas(register, seen, new)).await,
                lands => self.ask(replicas.late_cas(register, seen, new, lands)).await.and_then(|answer| answer),
            };
            answer.unwrap_or_else(Cas::Unknown)
        })
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(async {
            let found = self.ask(self.replicas.read(key)).await?;
            Ok(found.map(|record| Loaded { rev: Rev::Number(record.version.as_u64()), record }))
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        Box::pin(async { Ok(self.ask(self.replicas.read(key)).await?.map(|record| record.version)) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            if let Err(error) = check_put(&self.caps(), seen, record) {
                return Put::Refused(error);
            }
            let send = async {
                let quorum = self.replicas.send(key, record);
                if self.replicas.chance(self.replicas.weather().panics) {
                    // As a panic of the driver would be, without its words on stderr.
                    std::panic::resume_unwind(Box::new("a driver with a bug"));
                }
                sleep(quorum.unwrap_or(REQUEST_MAX)).await;
                quorum.is_some()
            };
            match self.ask(send).await {
                Ok(true) => Put::Stored(Rev::Number(record.version.as_u64())),
                Ok(false) => Put::Unknown(Error::store("no quorum answered in time")),
                Err(error) => Put::Unknown(error),
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.replicas.registers.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        Box::pin(async move { self.ask(self.replicas.registers.scan(what, after, limit)).await? })
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.replicas.registers.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(std::future::pending())
    }
}
