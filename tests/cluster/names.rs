//! Two hosts with one name: the second one says so and ends, and the first goes on.

use std::time::Duration;

use super::cluster::{BACK, Cluster, Store};
use super::objectd::{Objectd, Place};

/// It has to find out whether the first one lives.
const ENDS: Duration = Duration::from_secs(30);

fn named_alike(store: Store, rounds: u32) {
    let Some(mut cluster) = Cluster::begin("names", store) else { return };
    while cluster.goes_on(rounds) {
        cluster.answers(100, BACK, "nothing is answered before");
        let at = cluster.any();
        let name = cluster.nodes[at].name.clone();
        let place = Place { flags: vec!["--node-name".to_owned(), name.clone()], ..Place::free() };
        let dir = tempfile::tempdir_in(cluster.dir.path()).unwrap();
        std::fs::copy(cluster.dir.path().join("objectd.toml"), dir.path().join("objectd.toml")).unwrap();
        let mut second = Objectd::start_at(&place, dir.path(), &name);
        cluster.fault("a second node of one name");
        let status = second.ended(ENDS);
        let said = second.said();
        if status.and_then(|status| status.code()) != Some(2) || !said.contains(&name) {
            cluster.fail(vec![format!("a second process named {name} ended so: {status:?}; it said: {said}")]);
        }
        let running = cluster.process(at).is_running();
        if !running {
            let said = cluster.process(at).said();
            cluster.fail(vec![format!("the first process named {name} has ended: {said}")]);
        }
        cluster.answers(100, BACK, "nothing is answered after");
        cluster.look();
    }
    cluster.end();
}

#[test]
fn on_redis_the_second_of_two_with_one_name_says_so_and_ends() {
    named_alike(Store::Redis, 1);
}

#[test]
fn on_cassandra_the_second_of_two_with_one_name_says_so_and_ends() {
    named_alike(Store::Cassandra, 1);
}
