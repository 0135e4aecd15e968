//! SIGSTOP of any node for one second up to twenty: shorter than the others watch, and longer; then SIGCONT, with clients
//! who still wait.

use std::thread;

use super::cluster::{BACK, Cluster, Store};

const FROZEN: (u64, u64) = (1_000, 8_000);
const FROZEN_LONG: (u64, u64) = (1_000, 20_000);

fn frozen(store: Store, rounds: u32) {
    let Some(mut cluster) = Cluster::begin("freeze", store) else { return };
    while cluster.goes_on(rounds) {
        cluster.answers(200, BACK, "nothing is answered before the freeze");
        let at = cluster.any();
        let (from, to) = if cluster.is_long() { FROZEN_LONG } else { FROZEN };
        let time = cluster.between(from, to);
        cluster.process(at).freeze();
        cluster.fault("SIGSTOP of a node");
        thread::sleep(time);
        cluster.process(at).thaw();
        cluster.answers(200, BACK, "nothing is answered after the thaw");
        cluster.look();
        if !cluster.process(at).is_running() {
            let said = cluster.process(at).said();
            cluster.fail(vec![format!("it was frozen for {time:?} and has ended: {said}")]);
        }
    }
    cluster.end();
}

#[test]
fn on_redis_any_node_may_stand_still_and_nothing_stale_is_shown() {
    frozen(Store::Redis, 3);
}

#[test]
fn on_cassandra_any_node_may_stand_still_and_nothing_stale_is_shown() {
    frozen(Store::Cassandra, 2);
}
