//! The caches of three nodes killed, flushed, frozen, and filled with what they had before, while objects move from node to
//! node: each who takes over knows no versions yet and asks the caches.

use super::cluster::{BACK, Cluster, NODES, Store};
use super::raw::Raw;
use super::torment::{everything, hits_and_stale, torment};

const TORMENTS: u32 = 6;

/// What the nodes that run have counted.
fn counted(cluster: &mut Cluster) -> (u64, u64) {
    let of = (0..NODES).map(|at| hits_and_stale(cluster.process(at)));
    of.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

fn lying(store: Store, rounds: u32) {
    let Some(mut cluster) = Cluster::begin("caches", store) else { return };
    if cluster.caches.is_empty() {
        return;
    }
    let (mut hits, mut stale) = (0, 0);
    while cluster.goes_on(rounds) {
        cluster.answers(300, BACK, "nothing is answered before the caches are touched");
        let mut old = everything(&cluster.caches);
        cluster.answers(200, BACK, "nothing is answered by the caches");
        for _ in 0..TORMENTS {
            torment(&cluster.book, &mut cluster.caches, &mut old);
        }
        let all = everything(&cluster.caches);
        cluster.answers(200, BACK, "nothing is answered with caches that are gone and come back");
        // Its objects go to others, and back; each time the caches are full of what was true some time ago.
        let at = cluster.any();
        if cluster.round() % 2 == 1 {
            let of_it = hits_and_stale(cluster.process(at));
            (hits, stale) = (hits + of_it.0, stale + of_it.1);
            cluster.kill(at);
        } else {
            cluster.process(at).freeze();
            cluster.fault("SIGSTOP of a node");
        }
        cluster.caches.iter().for_each(|cache| Raw::to(cache.address).fill(&all));
        cluster.fault("all caches filled with old items before a take-over");
        // The others watch for three seconds.
        cluster.sleep(3_500, 4_500);
        cluster.answers(100, BACK, "nothing is answered by those who take over");
        if cluster.round() % 2 == 1 {
            cluster.start(at);
        } else {
            cluster.process(at).thaw();
        }
        cluster.caches.iter().for_each(|cache| Raw::to(cache.address).fill(&all));
        cluster.answers(200, BACK, "nothing is answered with all nodes again");
        cluster.look();
    }
    let (more_hits, more_stale) = counted(&mut cluster);
    (hits, stale) = (hits + more_hits, stale + more_stale);
    cluster.end();
    println!("caches on {store:?}: {hits} objects came from the caches, {stale} entries were old");
    assert!(hits > 0 && stale > 0, "the caches were not asked, or never lied: {hits} hits, {stale} stale");
}

#[test]
fn on_redis_caches_that_are_gone_or_lie_cost_time_and_no_answer() {
    lying(Store::Redis, 1);
}

#[test]
fn on_cassandra_caches_that_are_gone_or_lie_cost_time_and_no_answer() {
    lying(Store::Cassandra, 2);
}
