//! A node of two told to leave under load: how long each of its shards is without an answer.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Plan;
use super::callers::{Caller, Callers};
use super::calls::longest_gaps;
use super::nodes::Cluster;
use super::objects::one_of_each_shard;
use crate::counters::add;
use crate::wire::get;

/// Objects of the leaving node that are asked for all the while, each of a shard of its own.
const ASKED: usize = 64;
/// How long a caller rests between an answer and its next question.
const REST: Duration = Duration::from_millis(5);
/// How long is looked on once the node is gone.
const AFTER: Duration = Duration::from_secs(1);

/// What was seen of all drains together.
#[derive(Debug, Default)]
pub(super) struct Drains {
    /// How often a node was drained.
    pub(super) count: usize,
    /// By shard that was asked for: the longest time between two answers, while its node left.
    pub(super) gaps: Vec<Duration>,
    /// The same, in the time before.
    pub(super) before: Vec<Duration>,
    /// From SIGTERM to the end of the process.
    pub(super) left_after: Vec<Duration>,
    /// Calls that were not answered with 2xx.
    pub(super) failed: usize,
}

/// Measures, in rounds; the nodes take turns.
pub(super) fn measure(plan: &Plan, redis: SocketAddr) -> Result<Drains> {
    println!("starting 2 nodes, of which one leaves under load");
    let mut cluster = Cluster::new(plan, redis, "drain", 2)?;
    cluster.start_all()?;
    let ids = one_of_each_shard();
    let adds: Vec<_> = ids.iter().map(|id| add(id)).collect();
    let gets: Vec<_> = ids.iter().map(|id| get(&format!("/objects/counter/{id}"))).collect();
    cluster.each_once(&[0], &adds)?;
    let mut drains = Drains::default();
    for round in 1..=plan.rounds {
        let owners = cluster.settle(&gets)?;
        let (leaving, staying) = (round % 2, (round + 1) % 2);
        let shards: Vec<usize> = owners.shards_of(leaving).collect();
        if shards.len() < ASKED {
            bail!("a node of two has {} shards", shards.len());
        }
        // As spread as its shards are. All of them are in use: an edit each, over a connection each.
        let callers = (0..ASKED).map(|at| shards[at * shards.len() / ASKED]).map(|shard| Caller {
            object: shard,
            address: cluster.address(staying),
            request: adds[shard].clone(),
        });
        let callers = Callers::start(callers.collect(), REST);
        thread::sleep(Duration::from_millis(300));
        let from = Instant::now();
        thread::sleep(plan.time);
        let told = Instant::now();
        cluster.tell_to_leave(leaving)?;
        cluster.wait_until_left(leaving)?;
        let left_after = told.elapsed();
        thread::sleep(AFTER);
        let end = Instant::now();
        // So that the last gap ends with an answer.
        thread::sleep(Duration::from_millis(100));
        let calls = callers.stop()?;
        let gaps: Vec<Duration> = longest_gaps(&calls, told, end).into_values().collect();
        let failed = calls.iter().filter(|call| !call.answered).count();
        println!(
            "  round {round}: node {} left after {left_after:?}; longest without an answer {:?}; {} calls, {failed} failed",
            leaving + 1,
            gaps.iter().max().copied().unwrap_or_default(),
            calls.len()
        );
        drains.count += 1;
        drains.gaps.extend(gaps);
        drains.before.extend(longest_gaps(&calls, from, told).into_values());
        drains.left_after.push(left_after);
        drains.failed += failed;
        cluster.start(leaving)?;
    }
    Ok(drains)
}
