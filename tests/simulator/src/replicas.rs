//! A store as three Cassandra nodes are one, at their worst: a put reaches each replica at its own time or never, column by
//! column the highest version wins, and a read asks two of the three.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use remote_object::clock;
use remote_object::model::{Cas, Entry, Item, ObjectKey, Page, Put, Record, Register, Rev, Scan, Version};
use remote_object::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::line::REQUEST_MAX;
use crate::registers::{Chain, Decided};
use crate::world::World;

/// The three of them.
#[derive(Debug)]
pub struct Replicas {
    world: Arc<World>,
    state: Mutex<State>,
    /// Whether a read writes what it found to those it asked, before it answers.
    repairs: bool,
}

#[derive(Debug, Default)]
struct State {
    registers: BTreeMap<String, Chain>,
    objects: [BTreeMap<ObjectKey, Columns>; 3],
    hints: BTreeMap<(u32, ObjectKey), (Option<u64>, Version)>,
    /// How often each was taken away.
    away: [u32; 3],
    /// The only replica that puts reach, if a test says so.
    reaches: Option<usize>,
    /// The replica that reads do not ask, if a test says so.
    left_out: Option<usize>,
}

/// An object on one replica: each column with the timestamp it was written under.
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
        let version = Version::from_u64(u64::from_be_bytes(version[..].try_into().expect("eight bytes")));
        Record { version, state: state.clone(), meta: meta.clone() }
    }
}

/// What is written to a replica.
#[derive(Clone)]
enum Write {
    Put(ObjectKey, Columns),
    Learn(String, usize),
}

impl State {
    fn apply(&mut self, replica: usize, write: &Write) {
        match write {
            Write::Put(key, columns) => {
                let there = self.objects[replica].entry(key.clone());
                there.and_modify(|there| there.merge(columns)).or_insert_with(|| columns.clone());
            }
            Write::Learn(name, place) => self.registers.entry(name.clone()).or_default().learn(replica, *place),
        }
    }

    fn found(&self, key: &ObjectKey, on: [usize; 2]) -> Option<Columns> {
        let mut found: Option<Columns> = None;
        for there in on.into_iter().filter_map(|replica| self.objects[replica].get(key)) {
            match &mut found {
                Some(found) => found.merge(there),
                None => found = Some(there.clone()),
            }
        }
        found
    }
}

impl Replicas {
    /// Empty ones.
    #[must_use]
    pub fn new(world: &Arc<World>, repairs: bool) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), state: Mutex::default(), repairs })
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// From here on puts reach this replica alone (`None`: all), and reads ask the two others of this one (`None`: any).
    pub fn only(&self, reaches: Option<usize>, left_out: Option<usize>) {
        let mut state = self.state();
        (state.reaches, state.left_out) = (reaches, left_out);
    }

    /// Takes a replica away: it hears nothing, and is told some of it once it is [back](Self::bring_back).
    pub fn take_away(&self, replica: usize) {
        self.state().away[replica] += 1;
    }

    /// One that was taken away is there again.
    pub fn bring_back(&self, replica: usize) {
        let mut state = self.state();
        state.away[replica] = state.away[replica].saturating_sub(1);
    }

    /// All are there.
    pub fn bring_all_back(&self) {
        self.state().away = [0; 3];
    }

    /// Sets a register on all replicas, as if it had always been so.
    pub fn preset(&self, register: &Register, value: Bytes) {
        let mut state = self.state();
        let chain = state.registers.entry(register.name().to_owned()).or_default();
        if let Decided::At(place) = chain.decide([0, 1], None, Some(value), false) {
            (0..3).for_each(|replica| chain.learn(replica, place));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two replicas that are there, in any order.
    fn two(&self) -> Option<[usize; 2]> {
        let state = self.state();
        let mut there: Vec<usize> = (0..3).filter(|replica| state.away[*replica] == 0).collect();
        drop(state);
        if there.len() < 2 {
            return None;
        }
        while there.len() > 2 {
            there.remove(self.world.below(there.len() as u64) as usize);
        }
        if self.world.below(2) == 0 {
            there.reverse();
        }
        Some([there[0], there[1]])
    }

    /// When a write reaches each replica; `None`: never.
    fn travel(&self, write: &Write) -> [Option<Duration>; 3] {
        let scripted = self.state().reaches.filter(|_| matches!(write, Write::Put(..)));
        if let Some(only) = scripted {
            return std::array::from_fn(|replica| (replica == only).then_some(Duration::ZERO));
        }
        if matches!(write, Write::Learn(..)) && self.world.chance(self.world.weather().untold) {
            let told = self.world.below(3) as usize;
            return std::array::from_fn(|replica| (replica == told).then_some(Duration::ZERO));
        }
        let hit = self.world.chance(self.world.weather().stray);
        [(); 3].map(|()| match self.world.below(4) {
            0 if hit => None,
            1 if hit => Some(self.world.late()),
            _ => Some(self.world.ms(0, 4)),
        })
    }

    /// Sends a write to all replicas. Whether two of them have it in time.
    async fn spread(self: &Arc<Self>, write: Write) -> bool {
        let (told, mut heard) = mpsc::channel(3);
        for (replica, time) in self.travel(&write).into_iter().enumerate() {
            let Some(time) = time else { continue };
            let (replicas, write, told) = (Arc::clone(self), write.clone(), told.clone());
            tokio::spawn(async move {
                sleep(time).await;
                // It is kept for one that is away, as a hint, or it is not.
                while replicas.state().away[replica] > 0 {
                    if replicas.world.chance(30) {
                        return;
                    }
                    sleep(replicas.world.ms(500, 10_000)).await;
                }
                replicas.state().apply(replica, &write);
                let _ = told.send(()).await;
            });
        }
        drop(told);
        let quorum = async { heard.recv().await.is_some() && heard.recv().await.is_some() };
        let end = clock::now() + REQUEST_MAX;
        let has = timeout(REQUEST_MAX, quorum).await.unwrap_or(false);
        if !has {
            tokio::time::sleep_until(end).await;
        }
        has
    }

    fn repair(&self, on: [usize; 2], write: &Write) {
        if self.repairs {
            let mut state = self.state();
            on.into_iter().for_each(|replica| state.apply(replica, write));
        }
    }

    pub(crate) async fn get(self: Arc<Self>, name: String) -> Result<Option<Entry>> {
        let on = self.two().ok_or_else(too_few)?;
        sleep(self.world.ms(0, 3)).await;
        let (place, entry) = {
            let state = self.state();
            let Some(chain) = state.registers.get(&name) else { return Ok(None) };
            let place = chain.newest(on);
            (place, chain.entry(place))
        };
        self.repair(on, &Write::Learn(name.clone(), place));
        self.world.tell(|| format!("get {name} from {on:?}: {}", shown(entry.as_ref())));
        Ok(entry)
    }

    pub(crate) async fn cas(self: Arc<Self>, name: String, seen: Option<Rev>, new: Bytes) -> Cas {
        let Some(on) = self.two() else { return Cas::Unknown(too_few()) };
        sleep(self.world.ms(1, 6)).await;
        let weather = self.world.weather();
        let hides = self.world.chance(weather.stray.max(weather.untold));
        let decided = {
            let mut state = self.state();
            let chain = state.registers.entry(name.clone()).or_default();
            chain.decide(on, seen.as_ref(), Some(new.clone()), hides)
        };
        let Decided::At(place) = decided else {
            self.world.tell(|| format!("cas {name} from {seen:?}: mismatch"));
            return Cas::Mismatch;
        };
        self.world.tell(|| format!("cas {name}: {place} is {}", String::from_utf8_lossy(&new)));
        if self.spread(Write::Learn(name.clone(), place)).await {
            Cas::Applied(Rev::Number(place as u64))
        } else {
            self.world.tell(|| format!("cas {name}: {place} is not known to be applied"));
            Cas::Unknown(Error::store("the change was not learned in time"))
        }
    }

    pub(crate) async fn remove(self: Arc<Self>, name: String, seen: Rev) -> Result<bool> {
        let on = self.two().ok_or_else(too_few)?;
        sleep(self.world.ms(1, 6)).await;
        let decided = self.state().registers.entry(name.clone()).or_default().decide(on, Some(&seen), None, false);
        let Decided::At(place) = decided else { return Ok(false) };
        self.world.tell(|| format!("remove {name}: {place} is nothing"));
        if self.spread(Write::Learn(name, place)).await {
            Ok(true)
        } else {
            Err(Error::store("the removal was not learned in time"))
        }
    }

    /// Removes a row of a life that is over, as a node does a day later; which one the seed says.
    pub(crate) fn remove_a_remnant(self: &Arc<Self>) {
        let dead = |value: &[u8]| String::from_utf8_lossy(value).contains(r#""state":"dead""#);
        let mut remnants: Vec<(String, Rev)> = {
            let state = self.state();
            let rows = state.registers.iter().filter(|(name, _)| name.starts_with("node/"));
            rows.filter_map(|(name, chain)| Some((name.clone(), chain.last(dead)?))).collect()
        };
        if remnants.is_empty() {
            return;
        }
        let (name, rev) = remnants.swap_remove(self.world.below(remnants.len() as u64) as usize);
        tokio::spawn(Arc::clone(self).remove(name, rev));
    }

    pub(crate) async fn load(self: Arc<Self>, key: ObjectKey) -> Result<Option<Record>> {
        let left_out = self.state().left_out;
        let scripted = left_out.map(|left_out| [(left_out + 1) % 3, (left_out + 2) % 3]);
        let on = scripted.or_else(|| self.two()).ok_or_else(too_few)?;
        sleep(self.world.ms(0, 4)).await;
        let first = self.state().found(&key, [on[0], on[0]]);
        sleep(self.world.ms(0, 4)).await;
        let second = self.state().found(&key, [on[1], on[1]]);
        let found = match (first, second) {
            (Some(mut first), Some(second)) => {
                first.merge(&second);
                Some(first)
            }
            (first, second) => first.or(second),
        };
        if let Some(found) = &found {
            self.repair(on, &Write::Put(key.clone(), found.clone()));
        }
        let record = found.map(|found| found.record());
        self.world.tell(|| {
            let version = record.as_ref().map_or_else(|| "nothing".to_owned(), |record| record.version.to_string());
            format!("load {key} from {on:?}: {version}")
        });
        Ok(record)
    }

    pub(crate) async fn put(self: Arc<Self>, key: ObjectKey, record: Record) -> Put {
        if self.world.chance(self.world.weather().refused) || self.two().is_none() {
            self.world.tell(|| format!("put {key} {}: refused", record.version));
            return Put::Refused(Error::store("the store refuses it"));
        }
        let stored = self.spread(Write::Put(key.clone(), Columns::of(&record))).await;
        self.world.tell(|| {
            let (version, state) = (record.version, String::from_utf8_lossy(&record.state));
            format!("put {key} {version} {state}: {}", if stored { "stored" } else { "not known to be stored" })
        });
        if stored {
            Put::Stored(Rev::Number(record.version.as_u64()))
        } else {
            Put::Unknown(Error::store("no quorum answered in time"))
        }
    }

    pub(crate) fn hint(&self, shard: u32, key: &ObjectKey, due: Option<u64>, version: Version) -> Put {
        let mut state = self.state();
        let (there, stands) = state.hints.entry((shard, key.clone())).or_default();
        if *stands > version {
            return Put::Conflict(*stands);
        }
        (*there, *stands) = (due, version);
        Put::Stored(Rev::Number(version.as_u64()))
    }

    pub(crate) async fn scan(self: Arc<Self>, what: Scan, after: Option<String>, limit: usize) -> Result<Page> {
        let on = self.two().ok_or_else(too_few)?;
        sleep(self.world.ms(0, 6)).await;
        let state = self.state();
        let named: Vec<(String, Item)> = match &what {
            Scan::Registers(prefix) => {
                let of_prefix = state.registers.iter().filter(|(name, _)| name.starts_with(prefix.as_str()));
                let entry = |(name, chain): (&String, &Chain)| {
                    let entry = chain.entry(chain.newest(on))?;
                    Some((name.clone(), Item::Register(Register::named(name.as_str()), entry)))
                };
                of_prefix.filter_map(entry).collect()
            }
            Scan::Objects(type_name) => {
                let mut keys: Vec<&ObjectKey> = on.iter().flat_map(|replica| state.objects[*replica].keys()).collect();
                keys.sort_unstable();
                keys.dedup();
                let lives = |key: &&ObjectKey| {
                    key.type_name() == type_name
                        && state.found(key, on).is_some_and(|found| !found.record().is_deleted())
                };
                keys.into_iter().filter(lives).map(|key| (key.id().to_owned(), Item::Object(key.clone()))).collect()
            }
            Scan::Hints(shard) => {
                let of_shard = state.hints.iter().filter(|((of, _), _)| of == shard);
                let item = |((_, key), (due, version)): (&(u32, ObjectKey), &(Option<u64>, Version))| {
                    Some((key.to_string(), Item::Hint { key: key.clone(), due: (*due)?, version: *version }))
                };
                of_shard.filter_map(item).collect()
            }
        };
        let rest = named.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        let mut page: Vec<(String, Item)> = rest.take(limit + 1).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|(name, _)| name.clone());
        Ok(Page { items: page.into_iter().map(|(_, item)| item).collect(), next })
    }
}

fn shown(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "nothing".to_owned(), |entry| String::from_utf8_lossy(&entry.value).into_owned())
}

fn too_few() -> Error {
    Error::store("too few replicas are there")
}
