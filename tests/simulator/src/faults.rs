//! What may befall a cluster, one thing after the other, as long as it is played.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;
use crate::net::Place;

/// Ten years, in milliseconds.
const YEARS_MS: i64 = 10 * 365 * 86_400_000;

/// How long a process that leaves gives its objects to others.
const RETIRE_MAX: Duration = Duration::from_secs(10);

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A process is killed, and another one starts in its place, sooner or later.
    Kill,
    /// A process stands still for 0.2 to 20 s.
    Freeze,
    /// The same, and somebody takes it for dead and starts another one in its place.
    Replace,
    /// A process is told to leave, and another one starts in its place.
    Drain,
    /// A node and the store do not hear each other, or one of them does not, for up to 10 s.
    CutStore,
    /// The same between two nodes.
    CutNodes,
    /// One replica of the store is away for up to 20 s.
    Replica,
    /// Nobody gets an answer of the store for up to 5 s.
    Blackout,
    /// A wall clock is set, by up to ten years.
    Clock,
    /// A process forgets all it has in memory.
    Forget,
    /// The shared cache forgets everything.
    Flush,
    /// The row of a life that is over is removed, as nodes do a day later: what keeps that safe is no time.
    Remove,
}

const ALL: [Fault; 12] = [
    Fault::Kill,
    Fault::Freeze,
    Fault::Replace,
    Fault::Drain,
    Fault::CutStore,
    Fault::CutNodes,
    Fault::Replica,
    Fault::Blackout,
    Fault::Clock,
    Fault::Forget,
    Fault::Flush,
    Fault::Remove,
];

/// Which faults are played, and how.
#[derive(Clone, Debug)]
pub struct Faults {
    of: Vec<Fault>,
    /// The time between two, in milliseconds.
    every: (u64, u64),
    /// How long they last, in milliseconds, where not each as long as it says.
    lasting: Option<(u64, u64)>,
}

impl Faults {
    /// All there are.
    #[must_use]
    pub fn all() -> Self {
        Self::these(&ALL)
    }

    /// These; one that is named twice is twice as likely.
    #[must_use]
    pub fn these(faults: &[Fault]) -> Self {
        Self { of: faults.to_vec(), every: (50, 4_000), lasting: None }
    }

    /// So many milliseconds after each other.
    #[must_use]
    pub fn every(self, from_ms: u64, to_ms: u64) -> Self {
        Self { every: (from_ms, to_ms), ..self }
    }

    /// Those that end by themselves do so after so many milliseconds.
    #[must_use]
    pub fn lasting(self, from_ms: u64, to_ms: u64) -> Self {
        Self { lasting: Some((from_ms, to_ms)), ..self }
    }

    /// Half of them, as the seed wants it: what all of them together hide, some of them show.
    #[must_use]
    pub fn some(cluster: &Cluster) -> Self {
        let chosen: Vec<Fault> = ALL.into_iter().filter(|_| cluster.world.below(2) == 0).collect();
        if chosen.is_empty() { Self::all() } else { Self::these(&chosen) }
    }

    /// Plays one after the other, for as long as it is polled.
    pub async fn play(&self, cluster: &Arc<Cluster>) {
        loop {
            sleep(cluster.world.ms(self.every.0, self.every.1)).await;
            let fault = self.of[cluster.world.below(self.of.len() as u64) as usize];
            one(cluster, fault, self.lasting);
        }
    }
}

fn one(cluster: &Arc<Cluster>, fault: Fault, lasting: Option<(u64, u64)>) {
    let world = &cluster.world;
    let time = |from, to| {
        let (from, to) = lasting.unwrap_or((from, to));
        world.ms(from, to)
    };
    let node = cluster.any();
    world.tell(|| format!("{fault:?} of node {node}"));
    let process = cluster.process(node);
    match fault {
        Fault::Kill => {
            if let Some(process) = process {
                process.kill();
                restart(cluster, node, world.ms(0, 8_000));
            }
        }
        Fault::Freeze | Fault::Replace => {
            if let Some(process) = process {
                let has_joined = process.host().is_some();
                process.machine.freeze();
                let time = time(200, 20_000);
                tokio::spawn(async move {
                    sleep(time).await;
                    process.machine.thaw();
                });
                if fault == Fault::Replace && has_joined {
                    let cluster = Arc::clone(cluster);
                    tokio::spawn(async move { cluster.start_node(node, true).await });
                }
            }
        }
        Fault::Drain => drain(cluster, node),
        Fault::CutStore => cut(cluster, Place::Node(node), Place::Store, time(100, 10_000)),
        Fault::CutNodes => cut(cluster, Place::Node(node), Place::Node(cluster.any()), time(100, 10_000)),
        Fault::Replica => {
            let Some(replicas) = cluster.replicas().cloned() else { return };
            let replica = world.below(3) as usize;
            replicas.take_away(replica);
            let time = time(500, 20_000);
            tokio::spawn(async move {
                sleep(time).await;
                replicas.bring_back(replica);
            });
        }
        Fault::Blackout => {
            let time = time(200, 5_000);
            (0..cluster.nodes()).for_each(|node| cut(cluster, Place::Node(node), Place::Store, time));
        }
        Fault::Clock => {
            if let Some(process) = process {
                process.machine.set_wall(world.below(2 * YEARS_MS as u64) as i64 - YEARS_MS);
            }
        }
        Fault::Forget => {
            if let Some(host) = process.and_then(|process| process.host()) {
                host.forget();
            }
        }
        Fault::Flush => {
            if let Some(cache) = cluster.cache() {
                cache.flush();
            }
        }
        Fault::Remove => {
            if let Some(replicas) = cluster.replicas() {
                replicas.remove_a_remnant();
            }
        }
    }
}

fn restart(cluster: &Arc<Cluster>, node: usize, after: Duration) {
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        sleep(after).await;
        if cluster.process(node).is_none() {
            let elsewhere = cluster.world.below(2) == 0;
            cluster.start_node(node, elsewhere).await;
        }
    });
}

/// As on SIGTERM: it gives its objects to the others, answers what is under way, and is gone.
fn drain(cluster: &Arc<Cluster>, node: usize) {
    let Some(process) = cluster.process(node) else { return };
    let Some(service) = process.service() else { return };
    let (cluster, pause) = (Arc::clone(cluster), cluster.world.ms(0, 2_000));
    tokio::spawn(async move {
        let left = process.machine.spawn(async move {
            let _ = timeout(RETIRE_MAX, service.host().retire()).await;
            service.stop().await;
        });
        let _ = left.await;
        process.kill();
        restart(&cluster, node, pause);
    });
}

/// Cuts a wire one way or both, for so long.
fn cut(cluster: &Arc<Cluster>, one: Place, other: Place, time: Duration) {
    let world = Arc::clone(&cluster.world);
    if one == other {
        return;
    }
    let ways = match world.below(3) {
        0 => vec![(one, other)],
        1 => vec![(other, one)],
        _ => vec![(one, other), (other, one)],
    };
    world.tell(|| format!("{ways:?} cut for {time:?}"));
    ways.iter().for_each(|(from, to)| world.net.cut(*from, *to));
    tokio::spawn(async move {
        sleep(time).await;
        ways.iter().for_each(|(from, to)| world.net.mend(*from, *to));
    });
}
