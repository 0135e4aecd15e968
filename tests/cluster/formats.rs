//! A rolling upgrade to a release with another record format, under load: up and down again while any node does not read it,
//! then up for good. No call fails; what is written every node that is up reads; and who does not is refused.
//!
//! The next release is this very build, told by a variable that only builds for tests know to write the format after its
//! own, which differs in how a record is checked: to who does not read it, it is a broken one.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use remote_object::config::FORMAT_AFTER;

use super::cluster::{BACK, Cluster, NODES, Store};
use super::drain::{Told, leave};
use super::objectd::{Objectd, Place};

/// It finds out at its start.
const ENDS: Duration = Duration::from_secs(30);
/// Counters whose records are looked at.
const LOOKED_AT: usize = 12;

/// In which formats the records of some counters are.
fn formats(cluster: &Cluster) -> BTreeSet<u64> {
    let objects = cluster.load.objects();
    let told = objects.iter().take(LOOKED_AT).map(|id| cluster.told(&["explain", &format!("/objects/counter/{id}")]));
    told.filter_map(|told| told["record"]["format"].as_u64()).collect()
}

fn only_the_first(cluster: &Cluster, when: &str) {
    let found = formats(cluster);
    if found != BTreeSet::from([1]) {
        cluster.fail(vec![format!("{when}: records of the formats {found:?}")]);
    }
}

/// Restarts a node as one of this release, or of the next, without a failed call.
fn change(cluster: &mut Cluster, at: usize, next: bool) {
    cluster.answers(200, BACK, "nothing is answered before a node changes");
    cluster.settle();
    cluster.nodes[at].next = next;
    let mut told = Told::default();
    leave(cluster, at, &mut told);
    if !told.failed.is_empty() {
        cluster.fail(told.failed);
    }
}

/// Waits until all records that are looked at are of the second format: the clients write them again and again.
fn until_written(cluster: &Cluster) {
    let began = Instant::now();
    while formats(cluster) != BTreeSet::from([2]) {
        if began.elapsed() > FORMAT_AFTER + BACK {
            let said = cluster.said();
            cluster.fail(vec![format!(
                "after {:?} there are the formats {:?}; {said}",
                began.elapsed(),
                formats(cluster)
            )]);
        }
        thread::sleep(Duration::from_millis(500));
    }
    println!("the next format is written {:.0} s after all nodes read it", began.elapsed().as_secs_f64());
}

fn rolled(store: Store, rounds: u32) {
    let Some(mut cluster) = Cluster::begin("formats", store) else { return };
    while cluster.goes_on(rounds) {
        // Up and down again, with an old node among them all the while.
        let at = cluster.load.below(NODES as u64) as usize;
        change(&mut cluster, at, true);
        cluster.answers(500, BACK, "nothing is answered by old and new");
        only_the_first(&cluster, "an old node is up");
        cluster.look();
        change(&mut cluster, at, false);
        only_the_first(&cluster, "all nodes are old");
        cluster.look();
    }
    for at in 0..NODES {
        change(&mut cluster, at, true);
    }
    until_written(&cluster);
    cluster.look();
    assert_eq!(cluster.told(&["nodes"])["format"], 2);

    // A former release is told why, and disturbs nobody.
    let dir = tempfile::tempdir_in(cluster.dir.path()).unwrap();
    std::fs::copy(cluster.dir.path().join("objectd.toml"), dir.path().join("objectd.toml")).unwrap();
    let mut former = Objectd::start_at(&Place::free(), dir.path(), "former");
    let status = former.ended(ENDS);
    let said = former.said();
    let lines = said.lines().filter(|line| line.starts_with("error: the store has records of format 2")).count();
    if status.and_then(|status| status.code()) != Some(2) || lines != 1 {
        cluster.fail(vec![format!("a former release ended so: {status:?}; it said: {said}")]);
    }

    // Others load what one of them wrote.
    let at = cluster.any();
    cluster.kill(at);
    cluster.answers(300, BACK, "nothing is answered after a kill");
    cluster.start(at);
    cluster.answers(100, BACK, "nothing is answered in the end");
    cluster.end();
}

#[test]
fn on_redis_a_release_with_another_record_format_is_rolled_out_and_back() {
    rolled(Store::Redis, 1);
}
