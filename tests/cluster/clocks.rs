//! Clocks of the nodes hours and years apart, and jumping: under load, while one takes over from another, and between two
//! lives of one node.

use super::book::{Book, skipped};
use super::cluster::{BACK, Cluster, NODES, Store};
use super::objectd::Place;
use super::wall::{Clock, HOUR_S, YEAR_S, off_by};

/// No machine's clock can be set to what is before 1970, and 200 years are more than any battery is off.
const YEARS: (i64, i64) = (-56, 200);
/// What a date may be behind on a busy machine.
const LATE_S: i64 = 15;
const JUMPS: u32 = 4;

/// A clock for each node, and nodes that go by them.
fn begin(store: Store) -> Option<(Cluster, Vec<Clock>)> {
    let mut clocks = Err("nobody asked for any".to_owned());
    let places = |book: &Book| {
        let build = |number| Clock::build(book.dir.path(), &format!("node-{number}"));
        clocks = (1..=NODES).map(build).collect::<Result<Vec<_>, _>>();
        let environment = |at: usize| clocks.as_ref().map_or(Vec::new(), |clocks| clocks[at].environment());
        (0..NODES).map(|at| Place { environment: environment(at), ..Place::free() }).collect()
    };
    let cluster = Cluster::begin_at("clocks", store, places)?;
    match clocks {
        Ok(clocks) => Some((cluster, clocks)),
        Err(why) => skipped("cluster-clocks", &why),
    }
}

/// Sets a clock, and says how far off it is now.
fn set(cluster: &Cluster, clock: &Clock) -> i64 {
    let off = match cluster.load.below(3) {
        0 => {
            cluster.fault("a clock set off by hours");
            (cluster.load.below(48) as i64 - 24) * HOUR_S
        }
        1 => {
            cluster.fault("a clock set right");
            0
        }
        _ => {
            cluster.fault("a clock set off by years");
            (YEARS.0 + cluster.load.below((YEARS.1 - YEARS.0) as u64) as i64) * YEAR_S
        }
    };
    clock.set(off);
    off
}

/// Starts a node whose clock is off, and sees that it is.
fn start(cluster: &mut Cluster, clocks: &[Clock], at: usize) {
    let set = set(cluster, &clocks[at]);
    cluster.start(at);
    let off = off_by(cluster.process(at));
    if (off - set).abs() > LATE_S {
        cluster.fail(vec![format!(
            "the clock of {} was set off by {set} s, and it is by {off} s",
            cluster.nodes[at].name
        )]);
    }
}

fn apart(store: Store, rounds: u32) {
    let Some((mut cluster, clocks)) = begin(store) else { return };
    while cluster.goes_on(rounds) {
        for clock in &clocks {
            set(&cluster, clock);
        }
        cluster.answers(200, BACK, "nothing is answered with clocks that are apart");
        // The next who owns its objects goes by another clock, and so does it itself when it is back.
        let at = cluster.any();
        if cluster.round() % 2 == 1 {
            cluster.kill(at);
        } else {
            cluster.process(at).freeze();
            cluster.fault("SIGSTOP of a node");
        }
        for _ in 0..JUMPS {
            set(&cluster, &clocks[cluster.any()]);
            cluster.sleep(200, 2_000);
        }
        if cluster.round() % 2 == 1 {
            start(&mut cluster, &clocks, at);
        } else {
            set(&cluster, &clocks[at]);
            cluster.process(at).thaw();
        }
        cluster.answers(200, BACK, "nothing is answered with all nodes again");
        cluster.look();
        for at in 0..NODES {
            if !cluster.process(at).is_running() {
                cluster.fail(vec![format!("{} has ended: {}", cluster.nodes[at].name, cluster.said())]);
            }
        }
    }
    cluster.end();
}

#[test]
fn on_redis_clocks_hours_and_years_apart_change_nothing() {
    apart(Store::Redis, 2);
}

#[test]
fn on_cassandra_clocks_hours_and_years_apart_change_nothing() {
    apart(Store::Cassandra, 2);
}
