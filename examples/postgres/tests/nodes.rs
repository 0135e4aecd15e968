//! Two processes on one PostgreSQL: either takes any call, and when one of them is killed the other goes on. A store of one's
//! own needs nothing more for it than its three methods.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "real servers take real time")]

mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use world::{Server, ask, on_an_empty_database};

/// Callers, each with a counter of its own.
const CALLERS: usize = 12;
/// How long nothing may be answered of a counter whose node is killed: three seconds of watching, and a busy machine.
const GAP_MAX: Duration = Duration::from_secs(15);

/// One who adds to his own counter, asking one node and the other in turn.
#[derive(Default)]
struct Called {
    /// Answers so far; the counter was added to so often.
    answers: u64,
    /// The longest time between two of them.
    gap: Duration,
    /// What cannot be.
    wrong: Vec<String>,
}

/// Adds one, again and again under one key until it is answered: that is the next number, whatever befell the nodes.
fn call(number: usize, nodes: &[String], over: &AtomicBool, called: &Mutex<Called>) {
    let path = format!("/objects/counter/own-{number}/add");
    let mut asked = number;
    let mut before = Instant::now();
    for next in 1_u64.. {
        let key = format!("request-timeout: 8\r\nidempotency-key: {number}-{next}\r\n");
        let body = loop {
            asked += 1;
            match ask(&nodes[asked % nodes.len()], "POST", &path, &key, "{\"by\":1}") {
                Ok(answer) if answer.status == 200 => break answer.body,
                Ok(answer) if ![409, 503, 504].contains(&answer.status) => {
                    return called.lock().unwrap().wrong.push(format!("{path}: {} {}", answer.status, answer.body));
                }
                _ => thread::sleep(Duration::from_millis(20)),
            }
        };
        let mut called = called.lock().unwrap();
        if body != next.to_string() {
            return called.wrong.push(format!("{path}: the add number {next} was answered {body}"));
        }
        (called.answers, called.gap) = (next, called.gap.max(before.elapsed()));
        before = Instant::now();
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Waits until every caller has had so many answers more.
fn all_answered(callers: &[Arc<Mutex<Called>>], more: u64, within: Duration) {
    let answers = || callers.iter().map(|called| called.lock().unwrap().answers).collect::<Vec<_>>();
    let (before, began) = (answers(), Instant::now());
    while answers().iter().zip(&before).any(|(now, before)| *now < before + more) {
        let wrong: Vec<String> = callers.iter().flat_map(|called| called.lock().unwrap().wrong.clone()).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(began.elapsed() < within, "{before:?} answers, and after {within:?} {:?}", answers());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Which counters a node has, asked of another one.
fn owned_by(owner: &str, asked: &str) -> usize {
    let owner = format!("http://{owner}");
    let of = |number| ask(asked, "GET", &format!("/objects/counter/own-{number}"), "", "").unwrap();
    (0..CALLERS).filter(|number| of(*number).header("remote-object-owner") == Some(&owner)).count()
}

fn killed(database: &str) {
    let (one, two) = (Server::start(database, "one"), Server::start(database, "two"));
    let nodes = Arc::new(vec![one.address.clone(), two.address.clone()]);
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<Arc<Mutex<Called>>> = (0..CALLERS).map(|_| Arc::default()).collect();
    let threads = callers.iter().enumerate().map(|(number, called)| {
        let (nodes, over, called) = (Arc::clone(&nodes), Arc::clone(&over), Arc::clone(called));
        thread::spawn(move || call(number, &nodes, &over, &called))
    });
    let threads: Vec<_> = threads.collect();
    all_answered(&callers, 20, Duration::from_secs(60));
    // Each has some, and is asked for those of the other.
    let began = Instant::now();
    while owned_by(&one.address, &two.address) == 0 || owned_by(&two.address, &one.address) == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "one has them all");
        thread::sleep(Duration::from_millis(200));
    }
    let theirs = owned_by(&one.address, &two.address);
    callers.iter().for_each(|called| called.lock().unwrap().gap = Duration::ZERO);
    drop(one);
    all_answered(&callers, 20, Duration::from_secs(60));
    assert_eq!(owned_by(&two.address, &two.address), CALLERS, "the other one has them all");
    let longest = callers.iter().map(|called| called.lock().unwrap().gap).max().unwrap();
    assert!(longest < GAP_MAX, "{longest:?} without an answer");
    println!(
        "of {CALLERS} counters {theirs} were the killed node's; the longest time without an answer was {longest:?}"
    );

    // It comes back, elsewhere, and is asked as well as the other.
    let one = Server::start(database, "one");
    all_answered(&callers, 20, Duration::from_secs(60));
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    for (number, called) in callers.iter().enumerate() {
        let called = called.lock().unwrap();
        assert_eq!(called.wrong, Vec::<String>::new());
        for server in [&one, &two] {
            let state = server.ask("GET", &format!("/objects/counter/own-{number}"), "");
            assert_eq!(state, format!("{{\"value\":{}}}", called.answers));
        }
    }
}

#[tokio::test]
async fn when_one_of_two_processes_is_killed_the_other_goes_on_and_nothing_is_lost() {
    on_an_empty_database("nodes", |database| killed(&database)).await;
}
