//! Partitions: each node and the store stand in a network namespace of their own, and wires between two of them are cut, both
//! ways or one; then they are mended.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::book::{self, Book};
use super::cluster::{BACK, Cluster, NODES, SHARDS};
use super::gaps::first_answers;
use super::net::{self, Net};
use super::objectd::Place;
use super::servers::has;
use super::wires::Cut;

/// The place of the store, behind those of the nodes.
const STORE: usize = NODES;
/// Shorter than a node is watched, and longer.
const CUT: (u64, u64) = (1_000, 8_000);
const CUT_LONG: (u64, u64) = (1_000, 30_000);

/// A Redis that keeps every write, in a place of the network.
struct Redis(Child);

impl Redis {
    fn start(net: &Net, dir: &Path) -> Self {
        let address = SocketAddr::from((net.address(STORE), 6379));
        let mut words = net.inside(STORE);
        words.extend(["redis-server", "--protected-mode", "no", "--save", ""].map(str::to_owned));
        words.extend(["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned));
        words.extend(["--port".to_owned(), address.port().to_string(), "--bind".to_owned(), address.ip().to_string()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let redis = Self(command.spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < end, "redis-server does not start at {address}");
            thread::sleep(Duration::from_millis(10));
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ANOTHER: &str = "a node cut from another";
const TO_ANOTHER: &str = "nothing comes from a node to another";
/// A connection that carries nothing is found out after 3 s, one more is tried for a second, and the machine is busy.
const GOES_ROUND: Duration = Duration::from_secs(20);

fn choose(cluster: &Cluster) -> Cut {
    let one = cluster.any();
    let others: Vec<usize> = (0..NODES).filter(|at| *at != one).collect();
    let other = &[others[cluster.load.below(NODES as u64 - 1) as usize]][..];
    let one = &[one][..];
    match cluster.round() % 6 {
        1 => Cut::both("a node cut from the store", one, &[STORE]),
        2 => Cut::both(ANOTHER, one, other),
        3 => Cut::way("nothing comes from a node to the store", one, &[STORE]),
        4 => Cut::way("nothing comes from the store to a node", &[STORE], one),
        5 => Cut::way(TO_ANOTHER, one, other),
        _ => Cut::both("a node that reaches the store alone", one, &others),
    }
}

/// Waits until each node has answered for each shard that it was asked for since then: what it does not reach itself, a third
/// one hands on. Tells after which time that was so.
fn every_node_answers(cluster: &Cluster, since: Instant, when: &str) -> Duration {
    let waited = since.elapsed();
    let shards = (0..SHARDS as usize).collect();
    loop {
        let seen = cluster.load.seen();
        let mut waiting = Vec::new();
        let mut latest = Duration::ZERO;
        for node in &cluster.nodes {
            let asked_here = seen.iter().filter(|call| call.server == node.place.address).cloned();
            let first = first_answers(&asked_here.collect::<Vec<_>>(), &shards, since);
            let without = first.iter().filter(|(_, answer)| answer.is_none()).map(|(shard, _)| *shard);
            waiting.extend(without.map(|shard| format!("{} for shard {shard}", node.name)));
            if first.is_empty() {
                waiting.push(format!("{} for anything", node.name));
            }
            latest = latest.max(first.values().flatten().max().copied().unwrap_or_default());
        }
        if waiting.is_empty() {
            return latest;
        }
        if since.elapsed() > GOES_ROUND + waited {
            cluster.fail(vec![format!("no answers while it is so: {when}: {waiting:?}; {}", cluster.said())]);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn on_redis_wires_between_nodes_and_to_the_store_may_be_cut_both_ways_or_one() {
    let alone = book::alone();
    if !has("redis-server") {
        return;
    }
    let net = match Net::new(NODES + 1) {
        Ok(net) => net,
        Err(why) => return net::skipped(&why),
    };
    let files = tempfile::tempdir().unwrap();
    let redis = Redis::start(&net, files.path());
    let config = book::redis(&format!("{}:6379", net.address(STORE)));
    let book = Book::open("cluster-partition-redis", &config, alone);
    book.settings(&config, "");
    let place = |at| Place::at((net.address(at), 8080).into(), net.inside(at));
    let mut cluster = Cluster::of(book, (0..NODES).map(place).collect(), Vec::new());
    let mut tale = fs::File::create(cluster.dir.path().join("cuts")).unwrap();
    while cluster.goes_on(6) {
        cluster.answers(200, BACK, "nothing is answered before the cut");
        let cut = choose(&cluster);
        let (from, to) = if cluster.is_long() { CUT_LONG } else { CUT };
        let time = cluster.between(from, to);
        writeln!(tale, "round {}: {cut:?}, for {time:?}", cluster.round()).unwrap();
        cluster.load.watch();
        let since = Instant::now();
        cut.make(&net);
        cluster.fault(cut.kind);
        thread::sleep(time);
        if [ANOTHER, TO_ANOTHER].contains(&cut.kind) {
            let took = every_node_answers(&cluster, since, cut.kind);
            writeln!(tale, "  every node has answered for every counter within {took:?}").unwrap();
        } else {
            // Two nodes of three and the store see each other, whatever is cut.
            cluster.answers(20, BACK, &format!("nothing is answered while it is so: {}", cut.kind));
        }
        cluster.load.watched();
        net.mend();
        cluster.answers(200, BACK, "nothing is answered with whole wires again");
        cluster.look();
    }
    cluster.end();
    drop(redis);
}
