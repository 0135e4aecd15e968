//! One node of the store stands still, or is killed, and comes back, while three nodes of ours run; and one of these is killed
//! meanwhile, so that its objects are taken over with two replicas of three.

use super::book::skipped;
use super::cluster::{Cluster, Store};
use super::kill::until_answered;
use super::stack::{Node, task};
use std::time::{Duration, Instant};

/// A JVM that starts on a busy machine, and a driver that notices.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn one_node_of_cassandra_that_stands_still_or_is_killed_is_not_missed() {
    if let (Some(_), Err(why)) = (test_stack::cassandra(), Node::find(1)) {
        skipped::<()>("cluster-store", &why);
        return;
    }
    let Some(mut cluster) = Cluster::begin("store", Store::Cassandra) else { return };
    let task = task();
    while cluster.goes_on(2) {
        cluster.answers(200, BACK, "nothing is answered before");
        let node = Node::find(1 + cluster.load.below(3)).unwrap();
        let killed = cluster.round() % 2 == 1;
        cluster.load.watch();
        let since = Instant::now();
        let frozen = if killed {
            node.kill();
            cluster.fault("a node of Cassandra killed");
            None
        } else {
            cluster.fault("a node of Cassandra frozen");
            Some(node.freeze())
        };
        cluster.answers(100, BACK, "nothing is answered without one node of the store");
        until_answered(&cluster, since, "while one node of Cassandra is not there");
        // Every other time, one of ours goes as well.
        let victim = (cluster.round() % 4 < 2).then(|| cluster.any());
        if let Some(at) = victim {
            cluster.load.watch();
            let since = Instant::now();
            cluster.kill(at);
            cluster.sleep(3_500, 5_000);
            until_answered(&cluster, since, "while a node of Cassandra and one of ours are not there");
        }
        cluster.load.watched();
        cluster.sleep(0, 3_000);
        drop(frozen);
        if killed {
            cluster.load.slowly(|| node.restart(task));
        }
        if let Some(at) = victim {
            cluster.start(at);
        }
        cluster.answers(100, BACK, "nothing is answered with all nodes again");
        cluster.look();
    }
    cluster.end();
}
