//! SIGTERM under load, of one node and of all, one after the other: no call fails, and each ends with 0.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clients::Seen;
use super::cluster::{BACK, Cluster, NODES, Node, Store, shard_of};
use super::gaps::at as percentile;
use super::http::Client;

/// How long a node may go on as if it had not been told.
const TOLD: Duration = Duration::from_secs(5);
/// How long a node may take to leave.
const LEAVES: Duration = Duration::from_secs(20);

/// What befell the callers when a node left.
#[derive(Default)]
pub struct Told {
    /// Calls that failed, which none may.
    pub failed: Vec<String>,
    /// How long it took to leave.
    left_after: Vec<Duration>,
    /// How long the answers of its shards took while it left.
    answers: Vec<Duration>,
}

impl Told {
    /// Counts what was seen while the node at `at` was told to leave, at `since`.
    fn add(&mut self, cluster: &Cluster, at: usize, seen: &[Seen], shards: &BTreeSet<usize>, since: Instant) {
        let leaving = &cluster.nodes[at];
        for call in seen {
            let Some(why) = &call.failed else {
                if call.over >= since && shards.contains(&shard_of(&call.id)) {
                    self.answers.push(call.over - call.asked);
                }
                continue;
            };
            // One who asks too much, or twice, is told so at any time.
            let is_busy = ["429 object-busy", "409 idempotency-key-in-use"].contains(&why.as_str());
            // It does not listen any more: nothing was sent, and another one is asked.
            let is_closed = call.server == leaving.place.address && call.over >= since && why == "NotSent";
            if is_busy || is_closed {
                continue;
            }
            let of = cluster.nodes.iter().find(|node| node.place.address == call.server);
            let (of, took) = (of.map_or("?", |node| node.name.as_str()), call.over - call.asked);
            let when = call.asked.saturating_duration_since(since);
            self.failed.push(format!(
                "{}, shard {}: {of} was asked {when:?} after {} was told to leave: {why} after {took:?}",
                call.id,
                shard_of(&call.id),
                leaving.name
            ));
        }
    }
}

/// Tells a node to leave, and starts it again.
pub fn leave(cluster: &mut Cluster, at: usize, told: &mut Told) {
    let (owners, name) = (cluster.owners(), cluster.nodes[at].name.clone());
    let shards = (0..owners.len()).filter(|shard| owners[*shard].as_ref() == Some(&name)).collect();
    let doubts = doubts(cluster);
    cluster.load.watch();
    cluster.sleep(300, 1_000);
    let since = Instant::now();
    cluster.process(at).terminate();
    cluster.fault("SIGTERM of a node");
    // As a balancer does that asks for /readyz twice a second: it sends nobody there from then on.
    let address = cluster.nodes[at].place.address;
    loop {
        cluster.sleep(500, 600);
        match Client::new(Duration::from_secs(2)).get(address, "/readyz").map(|answer| answer.status) {
            Ok(503) => break,
            // A busy machine has not told it yet.
            Ok(200) if since.elapsed() < TOLD => {}
            ready => cluster.fail(vec![format!("{name} was told to leave, and /readyz says: {ready:?}")]),
        }
    }
    let all: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.place.address).collect();
    cluster.load.ask_of(&all.iter().copied().filter(|other| *other != address).collect::<Vec<_>>());
    match cluster.process(at).ended(LEAVES) {
        Some(status) if status.code() == Some(0) => told.left_after.push(since.elapsed()),
        ended => {
            let said = cluster.process(at).said();
            cluster
                .fail(vec![format!("{name} was told to leave, and it ended so within {LEAVES:?}: {ended:?}; {said}")]);
        }
    }
    cluster.sleep(500, 1_000);
    cluster.start(at);
    cluster.load.ask_of(&all);
    cluster.sleep(300, 500);
    let seen = cluster.load.watched();
    told.add(cluster, at, &seen, &shards, since);
    if !told.failed.is_empty() && self::doubts(cluster) > doubts {
        // On a machine that is too busy a server may stand still for longer than the calls' deadline, whoever leaves.
        println!("the store did not answer while {name} left, so these say nothing of that: {:?}", told.failed);
        told.failed.clear();
    }
}

/// How often the nodes have found that a server of the store did not answer.
fn doubts(cluster: &Cluster) -> usize {
    let log = |node: &Node| cluster.dir.path().join(format!("{}.log", node.name));
    let told = cluster.nodes.iter().map(|node| fs::read_to_string(log(node)).unwrap_or_default());
    told.map(|log| log.matches("and is passed over for a while").count()).sum()
}

fn played(scenario: &str, store: Store, rounds: u32, nodes: impl Fn(&Cluster) -> Vec<usize>) {
    let Some(mut cluster) = Cluster::begin(scenario, store) else { return };
    let mut told = Told::default();
    while cluster.goes_on(rounds) {
        cluster.answers(300, BACK, "nothing is answered before");
        cluster.settle();
        for at in nodes(&cluster) {
            leave(&mut cluster, at, &mut told);
            if !told.failed.is_empty() {
                cluster.fail(told.failed);
            }
        }
        cluster.look();
    }
    cluster.end();
    println!(
        "{scenario} on {store:?}: {} times a node left, after {:.0} ms (longest); the answers of its shards took {:.1} ms \
         (p50), {:.1} ms (p99), {:.0} ms (longest)",
        told.left_after.len(),
        percentile(&mut told.left_after, 100),
        percentile(&mut told.answers, 50),
        percentile(&mut told.answers, 99),
        percentile(&mut told.answers, 100),
    );
}

#[test]
fn on_redis_a_node_that_is_told_to_leave_fails_no_call() {
    played("drain", Store::Redis, 3, |cluster| vec![cluster.any()]);
}

#[test]
fn on_cassandra_a_node_that_is_told_to_leave_fails_no_call() {
    played("drain", Store::Cassandra, 1, |cluster| vec![cluster.any()]);
}

#[test]
fn on_redis_all_nodes_restarted_one_after_the_other_fail_no_call() {
    played("rolling", Store::Redis, 1, |_| (0..NODES).collect());
}

#[test]
fn on_cassandra_all_nodes_restarted_one_after_the_other_fail_no_call() {
    played("rolling", Store::Cassandra, 1, |_| (0..NODES).collect());
}
