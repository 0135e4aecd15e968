//! All shards of a node taken by another one: after `kill -9`, and when it leaves. Nobody asks for anything meanwhile, so it
//! is the background that takes them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Plan;
use super::nodes::Cluster;
use super::objects::{SHARDS, one_of_each_shard};
use crate::counters::add;

/// How long it may take until all are taken, the watching included.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the nodes are asked what they have.
const LOOK: Duration = Duration::from_millis(5);
/// What they are asked for.
const HELD: &str = "remote_object_shards";

/// How long it took, one a round.
#[derive(Debug, Default)]
pub(super) struct Takes {
    /// From the last look at which none was taken, to the first at which all were.
    pub(super) killed: Vec<Duration>,
    /// From the last look at which the leaving node had all, to the first at which the other one had.
    pub(super) left: Vec<Duration>,
}

/// Measures, in rounds. In each the shards go to the other node and come back.
pub(super) fn measure(plan: &Plan, redis: SocketAddr) -> Result<Takes> {
    println!("starting a node that has all {SHARDS} shards");
    let mut cluster = Cluster::new(plan, redis, "takes", 2)?;
    cluster.start(0)?;
    let adds: Vec<_> = one_of_each_shard().iter().map(|id| add(id)).collect();
    cluster.each_once(&[0], &adds)?;
    let held = cluster.metric(0, HELD)?;
    if held != SHARDS as f64 {
        bail!("{SHARDS} objects, one of each shard, were asked for, and the node has {held} shards");
    }
    let mut takes = Takes::default();
    for round in 1..=plan.rounds {
        // The other one comes just before, so that nothing is on its way to it yet.
        cluster.start(1)?;
        cluster.kill(0)?;
        let killed = taken(&cluster, 1, Some(0.0), Instant::now())?;
        cluster.start(0)?;
        cluster.tell_to_leave(1)?;
        let began = begun(&cluster, 1)?;
        let left = taken(&cluster, 0, None, began)?;
        cluster.wait_until_left(1)?;
        println!("  round {round}: after a kill {killed:?}, of a node that leaves {left:?}");
        takes.killed.push(killed);
        takes.left.push(left);
    }
    Ok(takes)
}

/// When the node was last seen with all its shards.
fn begun(cluster: &Cluster, leaving: usize) -> Result<Instant> {
    let limit = Instant::now() + LIMIT;
    let mut last = Instant::now();
    while Instant::now() < limit {
        let asked = Instant::now();
        if cluster.metric(leaving, HELD)? < SHARDS as f64 {
            return Ok(last);
        }
        last = asked;
        thread::sleep(LOOK);
    }
    bail!("after {LIMIT:?} a node that was told to leave has all its shards")
}

/// Waits until a node has all shards, and answers how long it took since `began`, or since it was last seen with `none`.
fn taken(cluster: &Cluster, taker: usize, none: Option<f64>, mut began: Instant) -> Result<Duration> {
    let limit = Instant::now() + LIMIT;
    loop {
        let asked = Instant::now();
        let held = cluster.metric(taker, HELD)?;
        if held == SHARDS as f64 {
            return Ok(began.elapsed());
        }
        if Some(held) == none {
            began = asked;
        }
        if asked > limit {
            bail!("after {LIMIT:?} {held} of {SHARDS} shards are taken");
        }
        thread::sleep(LOOK);
    }
}
