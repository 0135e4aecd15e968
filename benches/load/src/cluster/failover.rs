//! A node of three killed under light load: how long its shards are without answers, and what the callers of the other
//! nodes' objects notice of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Plan;
use super::callers::{Caller, Callers};
use super::calls::{Call, first_answers, quantile};
use super::nodes::Cluster;
use super::objects::one_of_each_shard;
use crate::counters::add;
use crate::wire::get;

const NODES: usize = 3;
/// How long a caller rests between an answer and its next question: one object of each shard makes some 2,000 calls a second.
const REST: Duration = Duration::from_millis(500);
/// How long a killed node's shards may be without answers before it is given up.
const LIMIT: Duration = Duration::from_secs(30);

/// What was seen of all kills together.
#[derive(Debug, Default)]
pub(super) struct Kills {
    /// By kill: from the kill to the first answer of the shard that waited longest for one.
    pub(super) longest: Vec<Duration>,
    /// The same of each shard of each killed node.
    pub(super) each: Vec<Duration>,
    /// How long answers for the other nodes' objects took, before the kills.
    pub(super) before: Vec<Duration>,
    /// The same, while a killed node's shards were without answers.
    pub(super) meanwhile: Vec<Duration>,
    /// Calls for the other nodes' objects that failed meanwhile.
    pub(super) others_failed: usize,
}

/// Measures; the nodes take turns.
pub(super) fn measure(plan: &Plan, redis: SocketAddr) -> Result<Kills> {
    println!("starting {NODES} nodes, of which one is killed {} times", plan.kills);
    let mut cluster = Cluster::new(plan, redis, "failover", NODES)?;
    cluster.start_all()?;
    let ids = one_of_each_shard();
    let adds: Vec<_> = ids.iter().map(|id| add(id)).collect();
    let gets: Vec<_> = ids.iter().map(|id| get(&format!("/objects/counter/{id}"))).collect();
    cluster.each_once(&[0], &adds)?;
    let mut kills = Kills::default();
    for number in 1..=plan.kills {
        let victim = number % NODES;
        let owners = cluster.settle(&gets)?;
        let shards: BTreeSet<usize> = owners.shards_of(victim).collect();
        // Those who had asked the victim itself would have to ask another one: here they have.
        let asked: Vec<SocketAddr> = (0..NODES).filter(|at| *at != victim).map(|at| cluster.address(at)).collect();
        let caller = |(object, request)| Caller {
            object,
            // The shards of each owner are asked for at both.
            address: asked[object % asked.len()],
            request,
        };
        let callers = Callers::start(adds.iter().cloned().enumerate().map(caller).collect(), REST);
        // Connections are made.
        thread::sleep(REST * 2);
        let from = Instant::now();
        thread::sleep(plan.time);
        let killed = Instant::now();
        cluster.kill(victim)?;
        let first = until_answered(&cluster, &callers, &shards, killed)?;
        let calls = callers.stop()?;
        let longest = first.iter().max().copied().unwrap_or_default();
        let (before, meanwhile, failed) = others(&calls, &shards, from, killed, killed + longest);
        println!(
            "  kill {number}: {} shards without an answer for {longest:?} (longest); p99 of the others {:.2} ms before, {:.2} ms \
             meanwhile",
            shards.len(),
            quantile(&before, 0.99),
            quantile(&meanwhile, 0.99)
        );
        kills.longest.push(longest);
        kills.each.extend(first);
        kills.before.extend(before);
        kills.meanwhile.extend(meanwhile);
        kills.others_failed += failed;
        cluster.start(victim)?;
    }
    Ok(kills)
}

/// Waits until each of these shards was answered for.
fn until_answered(
    cluster: &Cluster,
    callers: &Callers,
    shards: &BTreeSet<usize>,
    killed: Instant,
) -> Result<Vec<Duration>> {
    loop {
        thread::sleep(Duration::from_millis(50));
        let first = callers.look(|calls| first_answers(calls, shards, killed));
        let answered: Vec<Duration> = first.values().copied().flatten().collect();
        if answered.len() == shards.len() {
            return Ok(answered);
        }
        if killed.elapsed() > LIMIT {
            let missing = shards.len() - answered.len();
            bail!("{missing} shards of a killed node are without answers after {LIMIT:?}\n{}", cluster.printed());
        }
    }
}

/// How long answers for other objects took before the kill and from there to `back`, and how many calls for them failed then.
fn others(
    calls: &[Call],
    shards: &BTreeSet<usize>,
    from: Instant,
    killed: Instant,
    back: Instant,
) -> (Vec<Duration>, Vec<Duration>, usize) {
    let others = || calls.iter().filter(|call| !shards.contains(&call.object));
    let before = others().filter(|call| call.answered && call.asked >= from && call.over < killed);
    // Those under way at the kill are among them, and those under way when all is over.
    let meanwhile = || others().filter(|call| call.over >= killed && call.asked < back);
    let answered = meanwhile().filter(|call| call.answered).map(Call::took).collect();
    (before.map(Call::took).collect(), answered, meanwhile().filter(|call| !call.answered).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_others_count_and_those_under_way_at_the_kill_are_of_the_time_after_it() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let call = |object, asked, over, answered| Call { object, asked: at(asked), over: at(over), answered };
        let calls = [
            call(1, 0, 5, true),      // before one looked
            call(1, 10, 11, true),    // before
            call(2, 10, 12, true),    // the victim's
            call(1, 98, 103, true),   // under way at the kill
            call(3, 150, 151, false), // failed
            call(1, 199, 208, true),  // under way at the end
            call(1, 201, 202, true),  // after
        ];
        let shards = BTreeSet::from([2]);
        let (before, meanwhile, failed) = others(&calls, &shards, at(10), at(100), at(200));
        let ms = |times: &[u64]| times.iter().map(|ms| Duration::from_millis(*ms)).collect::<Vec<_>>();
        assert_eq!((before, meanwhile, failed), (ms(&[1]), ms(&[5, 9]), 1));
    }
}
