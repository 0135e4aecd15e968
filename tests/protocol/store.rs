//! A datastore whose every answer a test can script: it holds, refuses, loses, tears and delays what it is told to.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use remote_object::model::{
    Caps, Cas, Durability, Entry, Item, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, Memory, OverKeyValue};
use remote_object::{Error, Result};
use tokio::sync::watch;

/// Which operation a plan is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    Get,
    Cas,
    Load,
    Put,
    Scan,
}

/// What to do instead of just doing it.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Does it once the gate opens.
    Before(Gate),
    /// Does it now, and says so once the gate opens.
    After(Gate),
    /// Does it after so many turns of the scheduler.
    Slow(usize),
    /// Does it after a time.
    Late(Duration),
    /// A put: certainly without effect. Anything else: an error.
    Refuse,
    /// Answers that it does not know, and has done it.
    LostButDone,
    /// Answers that it does not know, and does it when told to: see [`Scripted::land`] and [`Scripted::land_cas`].
    LostUntilLater,
    /// Answers that it does not know, and never does it.
    LostForGood,
    /// A load: the state of another record under this meta.
    Torn,
    /// Panics; a put after it was done.
    Panic,
}

/// Where operations wait until a test lets them go.
#[derive(Clone, Debug)]
pub struct Gate(Arc<(watch::Sender<usize>, watch::Sender<bool>)>);

impl Gate {
    pub fn shut() -> Self {
        Self(Arc::new((watch::Sender::new(0), watch::Sender::new(false))))
    }

    pub fn open(&self) {
        self.0.1.send_replace(true);
    }

    /// Resolves once so many have come.
    pub async fn reached(&self, count: usize) {
        let mut came = self.0.0.subscribe();
        let all = came.wait_for(|came| *came >= count);
        tokio::time::timeout(Duration::from_secs(1000), all).await.expect("nobody came to the gate").unwrap();
    }

    async fn pass(&self) {
        self.0.0.send_modify(|came| *came += 1);
        self.0.1.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

#[derive(Default, Debug)]
struct Script {
    plans: Vec<Planned>,
    puts: Vec<(ObjectKey, Option<Seen>, Record)>,
    late: Vec<(ObjectKey, Option<Seen>, Record)>,
    late_cas: Vec<(Register, Option<Rev>, Vec<u8>)>,
    loads: usize,
    gets: usize,
}

#[derive(Debug)]
struct Planned {
    on: On,
    name: String,
    plan: Plan,
    once: bool,
}

/// A store under orders.
#[derive(Debug)]
pub struct Scripted {
    inner: Arc<dyn Datastore>,
    script: Mutex<Script>,
    /// What is read of registers has the second of these in place of the first.
    instead: Mutex<Vec<(String, String)>>,
    failed: watch::Sender<bool>,
}

/// A memory store that others may use too.
pub fn shared_memory() -> Arc<dyn Datastore> {
    Arc::new(OverKeyValue::new(Memory::new(), Durability::Weak))
}

impl Scripted {
    pub fn over(inner: Arc<dyn Datastore>) -> Arc<Self> {
        let (script, instead) = Default::default();
        Arc::new(Self { inner, script, instead, failed: watch::Sender::new(false) })
    }

    /// Over a memory store of its own that one process uses.
    pub fn exclusive() -> Arc<Self> {
        Self::over(Memory::store())
    }

    /// Over a memory store of its own that others might use too.
    pub fn shared() -> Arc<Self> {
        Self::over(shared_memory())
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The next operation of this kind on what begins with `name` does this.
    pub fn next(&self, on: On, name: &str, plan: Plan) {
        self.script().plans.push(Planned { on, name: name.to_owned(), plan, once: true });
    }

    /// Every operation of this kind on what begins with `name` does this.
    pub fn always(&self, on: On, name: &str, plan: Plan) {
        self.script().plans.push(Planned { on, name: name.to_owned(), plan, once: false });
    }

    /// From here on `other` is read in registers wherever `this` stands: an address that is another one from here.
    pub fn read_instead(&self, this: &str, other: &str) {
        self.instead.lock().unwrap().push((this.to_owned(), other.to_owned()));
    }

    /// From here on they are read as they are.
    pub fn read_as_it_is(&self) {
        self.instead.lock().unwrap().clear();
    }

    fn seen_from_here(&self, entry: &mut Entry) {
        for (this, other) in self.instead.lock().unwrap().iter() {
            let text = String::from_utf8(entry.value.to_vec()).unwrap();
            entry.value = text.replace(this.as_str(), other).into();
        }
    }

    /// All plans are off.
    pub fn calm(&self) {
        self.script().plans.clear();
    }

    /// The store is broken for good.
    pub fn fail(&self) {
        self.failed.send_replace(true);
    }

    /// Every put that was tried of an object.
    pub fn puts(&self, id: &str) -> Vec<Record> {
        self.script().puts.iter().filter(|(key, ..)| key.id() == id).map(|(.., record)| record.clone()).collect()
    }

    /// How many loads and reads of registers were asked for.
    pub fn reads(&self) -> (usize, usize) {
        let script = self.script();
        (script.loads, script.gets)
    }

    /// The lost puts that were to land later do so now, in their order.
    pub async fn land(&self) -> Vec<Put> {
        let late = std::mem::take(&mut self.script().late);
        let mut answers = Vec::new();
        for (key, seen, record) in late {
            answers.push(self.inner.put(&key, seen.as_ref(), &record).await);
        }
        answers
    }

    /// The same for changes of registers; tells whether one of them was applied.
    pub async fn land_cas(&self) -> bool {
        let late = std::mem::take(&mut self.script().late_cas);
        let mut applied = false;
        for (register, seen, new) in late {
            applied |= matches!(self.inner.cas(&register, seen.as_ref(), &new).await, Cas::Applied(_));
        }
        applied
    }

    /// What really stands there.
    pub async fn stored(&self, key: &ObjectKey) -> Option<Loaded> {
        self.inner.load(key).await.unwrap()
    }

    /// Overwrites what stands there, past every rule.
    pub async fn overwrite(&self, key: &ObjectKey, record: &Record) {
        let there = self.stored(key).await;
        let seen = there.map(|there| Seen { version: there.record.version, rev: there.rev });
        assert!(matches!(self.inner.put(key, seen.as_ref(), record).await, Put::Stored(_)));
    }

    pub fn inner(&self) -> &Arc<dyn Datastore> {
        &self.inner
    }

    fn plan(&self, on: On, name: &str) -> Option<Plan> {
        let mut script = self.script();
        let at = script.plans.iter().position(|planned| planned.on == on && name.starts_with(&planned.name))?;
        if script.plans[at].once { Some(script.plans.remove(at).plan) } else { Some(script.plans[at].plan.clone()) }
    }

    async fn read<T>(&self, on: On, name: &str, ask: impl Future<Output = Result<T>>) -> Result<T> {
        match self.plan(on, name) {
            None | Some(Plan::Torn) => ask.await,
            Some(Plan::Panic) => panic!("a store with a bug"),
            Some(Plan::Before(gate)) => {
                gate.pass().await;
                ask.await
            }
            Some(Plan::After(gate)) => {
                let answer = ask.await;
                gate.pass().await;
                answer
            }
            Some(Plan::Slow(turns)) => {
                slow(turns).await;
                ask.await
            }
            Some(Plan::Late(time)) => {
                tokio::time::sleep(time).await;
                ask.await
            }
            Some(_) => Err(lost()),
        }
    }
}

async fn slow(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

fn lost() -> Error {
    Error::store("as the script says")
}

impl Datastore for Scripted {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.script().gets += 1;
        let read = async {
            let mut entry = self.inner.get(register).await?;
            entry.iter_mut().for_each(|entry| self.seen_from_here(entry));
            Ok(entry)
        };
        Box::pin(self.read(On::Get, register.name(), read))
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(async move {
            match self.plan(On::Cas, register.name()) {
                Some(Plan::Before(gate)) => {
                    gate.pass().await;
                    self.inner.cas(register, seen, new).await
                }
                Some(Plan::After(gate)) => {
                    let answer = self.inner.cas(register, seen, new).await;
                    gate.pass().await;
                    answer
                }
                Some(Plan::Late(time)) => {
                    tokio::time::sleep(time).await;
                    self.inner.cas(register, seen, new).await
                }
                Some(Plan::LostButDone) => {
                    self.inner.cas(register, seen, new).await;
                    Cas::Unknown(lost())
                }
                Some(Plan::LostUntilLater) => {
                    self.script().late_cas.push((register.clone(), seen.cloned(), new.to_vec()));
                    Cas::Unknown(lost())
                }
                Some(Plan::LostForGood | Plan::Refuse) => Cas::Unknown(lost()),
                _ => self.inner.cas(register, seen, new).await,
            }
        })
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.script().loads += 1;
        Box::pin(async move {
            let torn = {
                let mut script = self.script();
                let mine = |planned: &Planned| planned.on == On::Load && key.id().starts_with(&planned.name);
                let at = script.plans.iter().position(|planned| mine(planned) && matches!(planned.plan, Plan::Torn));
                if let Some(at) = at.filter(|at| script.plans[*at].once) {
                    script.plans.remove(at);
                }
                at.is_some()
            };
            if torn {
                let mut loaded = self.inner.load(key).await?;
                if let Some(loaded) = &mut loaded {
                    loaded.record.state = Bytes::from_static(br#"{"value":777}"#);
                }
                return Ok(loaded);
            }
            self.read(On::Load, key.id(), self.inner.load(key)).await
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        self.inner.version(key)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        self.script().puts.push((key.clone(), seen.cloned(), record.clone()));
        Box::pin(async move {
            match self.plan(On::Put, key.id()) {
                None | Some(Plan::Torn) => self.inner.put(key, seen, record).await,
                Some(Plan::Before(gate)) => {
                    gate.pass().await;
                    self.inner.put(key, seen, record).await
                }
                Some(Plan::After(gate)) => {
                    let answer = self.inner.put(key, seen, record).await;
                    gate.pass().await;
                    answer
                }
                Some(Plan::Slow(turns)) => {
                    slow(turns).await;
                    self.inner.put(key, seen, record).await
                }
                Some(Plan::Late(time)) => {
                    tokio::time::sleep(time).await;
                    self.inner.put(key, seen, record).await
                }
                Some(Plan::Refuse) => Put::Refused(lost()),
                Some(Plan::LostButDone) => {
                    self.inner.put(key, seen, record).await;
                    Put::Unknown(lost())
                }
                Some(Plan::LostUntilLater) => {
                    self.script().late.push((key.clone(), seen.cloned(), record.clone()));
                    Put::Unknown(lost())
                }
                Some(Plan::LostForGood) => Put::Unknown(lost()),
                Some(Plan::Panic) => {
                    self.inner.put(key, seen, record).await;
                    panic!("a store with a bug")
                }
            }
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        let name = match what {
            Scan::Registers(prefix) => prefix.as_str(),
            Scan::Objects(type_name) => type_name.as_str(),
            Scan::Hints(_) => "",
        };
        let read = async move {
            let mut page = self.inner.scan(what, after, limit).await?;
            for item in &mut page.items {
                if let Item::Register(_, entry) = item {
                    self.seen_from_here(entry);
                }
            }
            Ok(page)
        };
        Box::pin(self.read(On::Scan, name, read))
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(async {
            let _ = self.failed.subscribe().wait_for(|failed| *failed).await;
            Error::store("the disk is gone")
        })
    }
}
