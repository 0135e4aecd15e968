//! Partitions with Cassandra: three nodes of ours and three of the store, each in a network namespace of its own. Wires are cut
//! between one of ours and the store, or one of its nodes, and between nodes of the store; both ways or one; then they are
//! mended.

use std::fs;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use super::book::{self, Book, skipped};
use super::cluster::{BACK, Cluster, NODES};
use super::kill::until_answered;
use super::net::{self, Net};
use super::objectd::Place;
use super::own::{Cassandra, REPLICAS};
use super::wires::Cut;

/// Shorter than a node is watched, and longer; and longer than nodes of Cassandra wait for one another.
const CUT: (u64, u64) = (1_000, 5_000);
const CUT_LONG: (u64, u64) = (1_000, 40_000);
/// Answers that were confirmed before the cut have left after so long.
const CONFIRMED_IS_OUT: Duration = Duration::from_secs(3);
const APART: &str = "all nodes of Cassandra cut from each other";

fn choose(cluster: &Cluster) -> Cut {
    let ours = &[cluster.any()][..];
    let stores: Vec<usize> = (NODES..NODES + REPLICAS).collect();
    let one = &[stores[cluster.load.below(REPLICAS as u64) as usize]][..];
    let others: Vec<usize> = stores.iter().copied().filter(|store| *store != one[0]).collect();
    match cluster.round() % 9 {
        1 => Cut::both("a node of Cassandra cut from the others", one, &others),
        2 => Cut::both("a node cut from Cassandra", ours, &stores),
        3 => Cut::way("nothing comes from a node to Cassandra", ours, &stores),
        4 => Cut::way("nothing comes from Cassandra to a node", &stores, ours),
        5 => Cut::way("nothing comes from a node of Cassandra to the others", one, &others),
        6 => Cut::both("a node cut from a node of Cassandra", ours, one),
        7 => Cut::way("nothing comes to a node of Cassandra from the others", &others, one),
        8 => Cut::both(APART, &stores, &stores),
        // It sees a store that has no quorum, and the others see one that has.
        _ => Cut::both("a node and a node of Cassandra cut from the others", ours, &others)
            .and(Cut::both("", one, &others)),
    }
}

#[test]
fn on_cassandra_wires_to_the_store_and_within_it_may_be_cut_both_ways_or_one() {
    let alone = book::alone();
    if test_stack::cassandra().is_none() {
        return;
    }
    let net = match Net::new(NODES + REPLICAS) {
        Ok(net) => net,
        Err(why) => return net::skipped(&why),
    };
    let files = tempfile::tempdir().unwrap();
    let (store, config) = match Cassandra::start(&net, NODES, files.path()) {
        Ok(started) => started,
        Err(why) => {
            skipped::<()>("cluster-split", &why);
            return;
        }
    };
    let book = Book::open("cluster-split-cassandra", &config, alone);
    book.settings(&config, "");
    store.logs_into(book.dir.path());
    let place = |at| Place::at((net.address(at), 8080).into(), net.inside(at));
    let mut cluster = Cluster::of(book, (0..NODES).map(place).collect(), Vec::new());
    let mut tale = fs::File::create(cluster.dir.path().join("cuts")).unwrap();
    while cluster.goes_on(9) {
        cluster.answers(200, BACK, "nothing is answered before the cut");
        let cut = choose(&cluster);
        let (from, to) = if cluster.is_long() { CUT_LONG } else { CUT };
        let time = cluster.between(from, to);
        writeln!(tale, "round {}: {cut:?}, for {time:?}", cluster.round()).unwrap();
        cluster.load.watch();
        let since = Instant::now();
        cut.make(&net);
        cluster.fault(cut.kind);
        if cut.kind == APART {
            nothing_is_answered(&cluster, time);
        } else {
            thread::sleep(time);
            // Two nodes of ours and two of the store see each other, whatever is cut.
            until_answered(&cluster, since, &format!("while it is so: {}", cut.kind));
        }
        let seen = cluster.load.watched().len();
        writeln!(tale, "  mended after {:?}; {seen} calls", since.elapsed()).unwrap();
        net.mend();
        cluster.answers(200, BACK, "nothing is answered with whole wires again");
        cluster.look();
    }
    cluster.end();
    drop(store);
}

/// Without a quorum nothing can be confirmed.
fn nothing_is_answered(cluster: &Cluster, time: Duration) {
    thread::sleep(CONFIRMED_IS_OUT);
    let before = cluster.load.answered();
    thread::sleep(time);
    let more = cluster.load.answered() - before;
    if more > 0 {
        cluster.fail(vec![format!("{more} answers left while the store had no quorum")]);
    }
}
