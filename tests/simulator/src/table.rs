//! A store as one server with compare-and-set is one: each request is done at one moment, and may be lost or late.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use remote_object::Result;
use remote_object::model::{Cas, Entry, Register, Rev};
use remote_object::storage::KeyValue;
use tokio::time::sleep;

use crate::line::{Wire, silent};
use crate::net::Place;
use crate::world::World;

/// The server.
#[derive(Debug)]
pub struct Table {
    world: Arc<World>,
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    entries: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
}

impl Rows {
    fn set(&mut self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let there = self.entries.get(key).map(|(_, rev)| Rev::Number(*rev));
        if there.as_ref() != seen {
            return Cas::Mismatch;
        }
        self.writes += 1;
        self.entries.insert(key.to_owned(), (new, self.writes));
        Cas::Applied(Rev::Number(self.writes))
    }
}

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), rows: Mutex::default() })
    }

    /// Sets a register, as if it had always been so.
    pub fn preset(&self, register: &Register, value: Bytes) {
        self.rows().set(&format!("r/{}", register.name()), None, value);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table as one process sees it.
pub(crate) struct Client {
    wire: Wire,
    table: Arc<Table>,
}

impl Client {
    pub(crate) fn new(table: &Arc<Table>, node: usize) -> Self {
        let world = Arc::clone(&table.world);
        Self { wire: Wire { world, from: Place::Node(node), to: Place::Store }, table: Arc::clone(table) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl KeyValue for Client {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let (table, key) = (Arc::clone(&self.table), key.to_owned());
        let what = format!("get {key}");
        let asked = async move {
            sleep(table.world.ms(0, 2)).await;
            let found = table.rows().entries.get(&key).cloned();
            found.map(|(value, rev)| Entry { value, rev: Rev::Number(rev) })
        };
        self.wire.ask(move || what.clone(), asked).await.ok_or_else(silent)
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let (table, key, seen) = (Arc::clone(&self.table), key.to_owned(), seen.cloned());
        let what = format!("set {key}");
        let asked = async move {
            sleep(table.world.ms(0, 4)).await;
            let answer = table.rows().set(&key, seen.as_ref(), new.clone());
            table.world.tell(|| format!("set {key} over {seen:?}: {answer:?}: {:?}", String::from_utf8_lossy(&new)));
            answer
        };
        self.wire.ask(move || what.clone(), asked).await.unwrap_or_else(|| Cas::Unknown(silent()))
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let (table, prefix, after) = (Arc::clone(&self.table), prefix.to_owned(), after.map(str::to_owned));
        let what = format!("scan {prefix}");
        let asked = async move {
            sleep(table.world.ms(0, 4)).await;
            let rows = table.rows();
            let from = match &after {
                Some(after) if *after >= prefix => Bound::Excluded(after.as_str()),
                _ => Bound::Included(prefix.as_str()),
            };
            let range = rows.entries.range::<str, _>((from, Bound::Unbounded));
            let of_prefix = range.take_while(|(key, _)| key.starts_with(&prefix)).take(limit);
            let entry = |(value, rev): &(Bytes, u64)| Entry { value: value.clone(), rev: Rev::Number(*rev) };
            of_prefix.map(|(key, row)| (key.clone(), entry(row))).collect()
        };
        self.wire.ask(move || what.clone(), asked).await.ok_or_else(silent)
    }
}
