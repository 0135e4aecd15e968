//! The end: what has begun is answered, what has not is refused, and nobody waits longer than he must.

use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use remote_object::clock;
use serde_json::json;

use super::wire::{NoAnswer, Wire};
use super::world::{PATIENCE, Server, Signal, dir, within};

/// A call whose body is still to come, though the server has read its head and asks for the body.
fn begun_call(server: &Server) -> Wire {
    let mut wire = server.wire();
    let head =
        "POST /objects/counter/slow/add HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 8\r\n\r\n";
    wire.send(head).unwrap();
    assert_eq!(wire.answer().unwrap().status, 100);
    wire.send("{\"by\"").unwrap();
    wire
}

fn refuses_connections(server: &Server) -> bool {
    within(Duration::from_secs(2), || TcpStream::connect(server.address).is_err())
}

fn a_signal_lets_running_calls_be_answered(signal: Signal, name: &str) {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    let mut idle = server.wire();
    assert_eq!(idle.ask("GET", "/readyz", &[], "").unwrap().status, 200);
    let mut running = begun_call(&server);
    server.signal(signal);
    assert!(refuses_connections(&server), "the socket closes at once, while a call still runs");
    assert!(idle.is_closed(), "an idle connection ends at once");
    running.send(":7}").unwrap();
    running.answer().unwrap().is(200, json!(7));
    assert!(running.is_closed(), "no further request is taken");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("told to stop") && log.contains(name) && log.contains("stopped"), "{log}");
    Server::new(dir.path(), &[]).get("/objects/counter/slow").is(200, json!({"value": 7}));
}

#[test]
fn sigterm_lets_running_calls_be_answered_and_takes_no_new_ones() {
    a_signal_lets_running_calls_be_answered(Signal::Terminate, "SIGTERM");
}

#[test]
fn ctrl_c_lets_running_calls_be_answered_and_takes_no_new_ones() {
    a_signal_lets_running_calls_be_answered(Signal::Interrupt, "SIGINT");
}

#[test]
fn a_server_with_nothing_to_do_stops_at_once() {
    let dir = dir();
    let server = Server::new(dir.path(), &[]);
    let began = clock::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (second, code) in [(Signal::Terminate, 143), (Signal::Interrupt, 130)] {
        let dir = dir();
        let server = Server::new(dir.path(), &[]);
        let mut running = begun_call(&server);
        server.signal(Signal::Terminate);
        assert!(refuses_connections(&server));
        let began = clock::now();
        server.signal(second);
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(code), "{log}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(matches!(running.answer(), Err(NoAnswer::Closed)));
    }
}

#[test]
fn nobody_is_waited_for_longer_than_the_drain_time() {
    let dir = dir();
    std::fs::write(dir.path().join("short.toml"), "[limits]\ndrain-timeout-ms = 400\n").unwrap();
    let server = Server::new(dir.path(), &["--config", "short.toml"]);
    let _silent = server.wire();
    let mut running = begun_call(&server);
    let began = clock::now();
    server.signal(Signal::Terminate);
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!((400..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(log.contains("given up"), "{log}");
    assert!(matches!(running.answer(), Err(NoAnswer::Closed)));
}

/// Adds 1 to a counter of its own until the server stops; gives how many times that was acknowledged.
fn add_until_the_end(mut wire: Wire, counter: &str, of_all: &AtomicUsize) -> u64 {
    let (path, json) = (format!("/objects/counter/{counter}/add"), [("content-type", "application/json")]);
    let mut acknowledged = 0;
    loop {
        match wire.ask("POST", &path, &json, r#"{"by":1}"#) {
            Ok(answer) if answer.status == 200 => {
                acknowledged += 1;
                of_all.fetch_add(1, Ordering::Relaxed);
                assert_eq!(answer.json(), json!(acknowledged));
            }
            // It came too late, and is told so.
            Ok(answer) => {
                answer.problem(503, "draining");
                assert_eq!(answer.header("outcome"), Some("not-executed"));
            }
            Err(NoAnswer::Closed) => return acknowledged,
            Err(NoAnswer::Cut(what)) => panic!("an answer was cut: {what:?}"),
        }
    }
}

fn stop_under_load(dir: &Path, signal: Signal) {
    const CONNECTIONS: usize = 32;
    let server = Server::new(dir, &[]);
    let wires: Vec<Wire> = (0..CONNECTIONS).map(|_| server.wire()).collect();
    let of_all = AtomicUsize::new(0);
    let counts: Vec<u64> = thread::scope(|scope| {
        let adding = wires.into_iter().enumerate();
        let adding: Vec<_> = adding
            .map(|(at, wire)| {
                let of_all = &of_all;
                scope.spawn(move || add_until_the_end(wire, &format!("c{at}"), of_all))
            })
            .collect();
        let is_load = within(PATIENCE, || of_all.load(Ordering::Relaxed) > 300);
        server.signal(signal);
        assert!(is_load, "there is to be load: {of_all:?}");
        adding.into_iter().map(|adding| adding.join().unwrap()).collect()
    });
    let began = clock::now();
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    let server = Server::new(dir, &[]);
    for (at, acknowledged) in counts.iter().enumerate() {
        let found = server.get(&format!("/objects/counter/c{at}/value"));
        // Not one less: it was acknowledged. Not one more: a request without an answer was not begun.
        assert_eq!(found.json(), json!(acknowledged), "c{at}");
    }
}

#[test]
fn a_stop_under_load_loses_nothing_and_cuts_nothing() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        stop_under_load(dir().path(), signal);
    }
}
