//! `kill -9` of any node: of one, or of all but one; the others take over, or it comes back before they do.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{BACK, Cluster, NODES, SHARDS, Store};
use super::gaps::{Gaps, first_answers};

/// From the end of a node to the first answer of each of its shards: three seconds of watching, and a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// Waits until every shard that was asked for since then has been answered for, by whoever has it now.
pub fn until_answered(cluster: &Cluster, since: Instant, when: &str) {
    until_taken_over(cluster, &(0..SHARDS as usize).collect(), since, when);
}

/// Waits until every shard of these that is asked for is answered for again.
fn until_taken_over(cluster: &Cluster, shards: &BTreeSet<usize>, since: Instant, when: &str) {
    let began = Instant::now();
    loop {
        let first = first_answers(&cluster.load.seen(), shards, since);
        let waiting: Vec<usize> =
            first.iter().filter(|(_, answer)| answer.is_none()).map(|(shard, _)| *shard).collect();
        // Nobody may have asked yet.
        if waiting.is_empty() && (!first.is_empty() || shards.is_empty()) {
            return;
        }
        if began.elapsed() > TAKEN_OVER {
            let said = cluster.said();
            cluster.fail(vec![format!("the shards {waiting:?} are without answers for {TAKEN_OVER:?} {when}; {said}")]);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn killed(store: Store, rounds: u32) {
    let Some(mut cluster) = Cluster::begin("kill", store) else { return };
    let mut gaps = Gaps::default();
    while cluster.goes_on(rounds) {
        cluster.answers(300, BACK, "nothing is answered before a kill");
        cluster.settle();
        let first = cluster.any();
        // Every fourth time all but one go at once.
        let victims: Vec<usize> = match cluster.round() % 4 {
            0 => (0..NODES).filter(|at| *at != first).collect(),
            _ => vec![first],
        };
        let owners = cluster.owners();
        let is_theirs = |owner: &Option<String>| {
            owner.as_ref().is_some_and(|owner| victims.iter().any(|at| cluster.nodes[*at].name == *owner))
        };
        let shards: BTreeSet<usize> = (0..owners.len()).filter(|at| is_theirs(&owners[*at])).collect();
        cluster.load.watch();
        cluster.sleep(500, 1_500);
        let since = Instant::now();
        victims.iter().for_each(|at| cluster.kill(*at));
        if cluster.round() % 3 == 0 {
            // It is back before it is missed.
            cluster.sleep(0, 500);
            cluster.load.watched();
        } else {
            until_taken_over(&cluster, &shards, since, "after a kill");
            gaps.add(&cluster.load.watched(), &shards, since);
        }
        victims.iter().for_each(|at| cluster.launch(*at));
        victims.iter().for_each(|at| cluster.wait(*at));
        cluster.answers(100, BACK, "nothing is answered after a kill");
        cluster.look();
    }
    cluster.end();
    println!("kill on {store:?}: {}", gaps.told());
}

#[test]
fn on_redis_any_node_may_be_killed_and_nothing_is_lost() {
    killed(Store::Redis, 4);
}

#[test]
fn on_cassandra_any_node_may_be_killed_and_nothing_is_lost() {
    killed(Store::Cassandra, 2);
}
