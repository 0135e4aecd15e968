//! What one process has of the store: requests that travel there, and answers that travel back, or do not.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use remote_object::model::{
    Caps, Cas, Durability, Entry, Loaded, ObjectKey, Ordering, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, check_put};
use remote_object::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::net::Place;
use crate::replicas::Replicas;
use crate::world::World;

/// How long a driver waits for an answer.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(2);

/// The wire of a process to something that all of them share.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) from: Place,
    pub(crate) to: Place,
}

impl Wire {
    /// One request and its answer; `None` when that does not come in time. Whatever becomes of who asked, what was sent is
    /// under way: it is done now, or much later, or never.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        what: impl Fn() -> String + Send + 'static,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let Self { world, from, to } = self.clone();
        // On no machine: a process that stands still, or is gone, does not hold up what it has sent.
        tokio::spawn(async move {
            sleep(world.way()).await;
            let is_cut = world.net.is_cut(from, to);
            if is_cut || world.chance(world.weather().lost) {
                if world.below(3) > 0 {
                    world.tell(|| format!("{from:?}: {}: never arrives", what()));
                    sleep(REQUEST_MAX).await;
                    return;
                }
                sleep(world.late()).await;
                world.tell(|| format!("{from:?}: {}: arrives late", what()));
            }
            let result = request.await;
            sleep(world.way()).await;
            if world.net.is_cut(to, from) || world.chance(world.weather().lost) {
                world.tell(|| format!("{from:?}: {}: the answer is lost", what()));
                sleep(REQUEST_MAX).await;
                return;
            }
            let _ = reply.send(result);
        });
        timeout(REQUEST_MAX, answer).await.ok()?.ok()
    }
}

/// The three replicas as one process sees them.
#[derive(Debug)]
pub struct Line {
    wire: Wire,
    replicas: Arc<Replicas>,
}

impl Line {
    /// Of this node.
    #[must_use]
    pub fn new(replicas: &Arc<Replicas>, node: usize) -> Arc<Self> {
        let world = Arc::clone(replicas.world());
        let wire = Wire { world, from: Place::Node(node), to: Place::Store };
        Arc::new(Self { wire, replicas: Arc::clone(replicas) })
    }

    async fn read<T: Send + 'static>(
        &self,
        what: impl Fn() -> String + Send + 'static,
        request: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.wire.ask(what, request).await.unwrap_or_else(|| Err(silent()))
    }
}

pub(crate) fn silent() -> Error {
    Error::store("no answer in time")
}

impl Datastore for Line {
    fn caps(&self) -> Caps {
        Caps {
            ordering: Ordering::Ordered,
            exclusive: false,
            durability: Durability::PowerSafe,
            record_bytes_max: 2 << 20,
        }
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        let name = register.name().to_owned();
        let asked = Arc::clone(&self.replicas).get(name.clone());
        Box::pin(self.read(move || format!("get {name}"), asked))
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        let name = register.name().to_owned();
        let asked = Arc::clone(&self.replicas).cas(name.clone(), seen.cloned(), new.to_vec().into());
        Box::pin(async {
            let answer = self.wire.ask(move || format!("cas {name}"), asked).await;
            answer.unwrap_or_else(|| Cas::Unknown(silent()))
        })
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        let name = register.name().to_owned();
        let asked = Arc::clone(&self.replicas).remove(name.clone(), seen.clone());
        Box::pin(self.read(move || format!("remove {name}"), asked))
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        let asked = Arc::clone(&self.replicas).load(key.clone());
        let id = key.to_string();
        Box::pin(async {
            let found = self.read(move || format!("load {id}"), asked).await?;
            Ok(found.map(|record| Loaded { rev: Rev::Number(record.version.as_u64()), record }))
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        let asked = Arc::clone(&self.replicas).load(key.clone());
        let id = key.to_string();
        Box::pin(async { Ok(self.read(move || format!("version {id}"), asked).await?.map(|record| record.version)) })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            if let Err(error) = check_put(&self.caps(), seen, record) {
                return Put::Refused(error);
            }
            let world = &self.wire.world;
            let what = format!("put {key} {}", record.version);
            let panics = world.chance(world.weather().panics);
            let sent = self.wire.ask(move || what.clone(), Arc::clone(&self.replicas).put(key.clone(), record.clone()));
            if panics {
                let mut sent = std::pin::pin!(sent);
                std::future::poll_fn(|cx| {
                    let _ = sent.as_mut().poll(cx);
                    Poll::Ready(())
                })
                .await;
                // As a panic of the driver would be, without its words on stderr.
                std::panic::resume_unwind(Box::new("a driver with a bug"));
            }
            sent.await.unwrap_or_else(|| Put::Unknown(silent()))
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        Box::pin(async move { self.replicas.hint(shard, key, due, version) })
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        let asked = Arc::clone(&self.replicas).scan(what.clone(), after.map(str::to_owned), limit);
        let what = what.clone();
        Box::pin(self.read(move || format!("scan {what:?}"), asked))
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async { Err(Error::config("the simulated store is never purged")) })
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        Box::pin(std::future::pending())
    }
}
