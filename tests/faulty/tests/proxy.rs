//! Each fault does what it says, to a server that counts.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use test_faulty::{Faults, Protocol, Proxy};

/// Every time.
const ALWAYS: u32 = 10_000;
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Answers each `PING` with how many there have been; keeps what else has come.
#[derive(Default)]
struct Server {
    pings: AtomicU64,
    rest: Mutex<Vec<u8>>,
}

impl Server {
    fn start() -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Arc::new(Self::default());
        let of_thread = Arc::clone(&server);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let server = Arc::clone(&of_thread);
                std::thread::spawn(move || server.answer(client.unwrap()));
            }
        });
        (server, address)
    }

    fn answer(&self, mut client: TcpStream) {
        let mut byte = [0];
        let mut come = Vec::new();
        while client.read(&mut byte).is_ok_and(|read| read > 0) {
            come.push(byte[0]);
            if come == PING {
                let nth = self.pings.fetch_add(1, Ordering::SeqCst) + 1;
                let _ = write!(client, ":{nth}\r\n");
                come.clear();
            }
        }
        self.rest.lock().unwrap().extend(come);
    }

    /// What has come, once nothing more does.
    fn pings(&self) -> u64 {
        std::thread::sleep(Duration::from_millis(100));
        self.pings.load(Ordering::SeqCst)
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    client
}

/// Sends one `PING` and reads until a line is whole, or nothing more comes.
fn ping(client: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let _ = client.write_all(PING);
    let mut line = String::new();
    let mut byte = [0];
    loop {
        match client.read(&mut byte) {
            Ok(0) => return (line, None),
            Ok(_) => line.push(byte[0] as char),
            Err(error) => return (line, Some(error.kind())),
        }
        if line.ends_with("\r\n") {
            return (line, None);
        }
    }
}

fn through(faults: Faults) -> (Arc<Server>, Proxy) {
    let (server, address) = Server::start();
    (server, Proxy::start(&address, Protocol::Resp, faults))
}

#[test]
fn without_faults_all_goes_through() {
    let (server, proxy) = through(Faults::default());
    let mut client = connect(&proxy);
    for nth in 1..=50 {
        assert_eq!(ping(&mut client), (format!(":{nth}\r\n"), None));
    }
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.requests, server.pings()), (1, 50, 50));
}

#[test]
fn a_request_that_is_lost_never_arrives() {
    let (server, proxy) = through(Faults { requests_lost: ALWAYS, ..Faults::default() });
    assert_eq!(ping(&mut connect(&proxy)).0, "");
    assert_eq!((server.pings(), proxy.counts().requests_lost), (0, 1));
}

#[test]
fn a_request_that_is_cut_arrives_in_half() {
    let (server, proxy) = through(Faults { requests_cut: ALWAYS, ..Faults::default() });
    assert_eq!(ping(&mut connect(&proxy)).0, "");
    assert_eq!((server.pings(), proxy.counts().requests_cut), (0, 1));
    assert_eq!(*server.rest.lock().unwrap(), PING[..PING.len() / 2]);
}

#[test]
fn an_answer_is_lost_after_its_request_took_effect() {
    let (server, proxy) = through(Faults { answers_lost: ALWAYS, ..Faults::default() });
    assert_eq!(ping(&mut connect(&proxy)).0, "");
    assert_eq!((server.pings(), proxy.counts().answers_lost), (1, 1));
}

#[test]
fn an_answer_is_cut_after_its_request_took_effect() {
    let (server, proxy) = through(Faults { answers_cut: ALWAYS, ..Faults::default() });
    assert_eq!(ping(&mut connect(&proxy)).0, ":1");
    assert_eq!((server.pings(), proxy.counts().answers_cut), (1, 1));
}

#[test]
fn a_silence_leaves_the_connection_and_the_effect() {
    let (server, proxy) = through(Faults { silences: ALWAYS, ..Faults::default() });
    let (line, ended) = ping(&mut connect(&proxy));
    assert_eq!(line, "");
    assert!(matches!(ended, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{ended:?}");
    assert_eq!((server.pings(), proxy.counts().silences), (1, 1));
}

#[test]
fn a_repeated_request_is_answered_once() {
    let (server, proxy) = through(Faults { repeated: ALWAYS, ..Faults::default() });
    let mut client = connect(&proxy);
    let mut before = 0;
    for _ in 0..40 {
        let (line, ended) = ping(&mut client);
        let nth: u64 = line.trim_matches([':', '\r', '\n']).parse().unwrap_or_else(|_| panic!("{line:?} {ended:?}"));
        assert!(nth > before, "an answer to a copy came through: {nth} after {before}");
        before = nth;
    }
    proxy.set(Faults::default());
    for _ in 0..10 {
        ping(&mut client);
    }
    assert_eq!((server.pings(), proxy.counts().repeated), (90, 40));
}

#[test]
fn a_delayed_request_arrives_though_its_client_is_gone() {
    let (server, proxy) = through(Faults { delays: ALWAYS, ..Faults::default() });
    for _ in 0..10 {
        connect(&proxy).write_all(PING).unwrap();
    }
    assert_eq!((server.pings(), proxy.counts().delays), (10, 10));
}

#[test]
fn a_server_that_is_cut_off_is_reached_again_later() {
    let (server, proxy) = through(Faults::default());
    let mut client = connect(&proxy);
    assert_eq!(ping(&mut client).0, ":1\r\n");
    proxy.cut_off();
    assert_eq!(ping(&mut client).0, "");
    assert_eq!(ping(&mut connect(&proxy)).0, "");
    proxy.reconnect();
    assert_eq!(ping(&mut connect(&proxy)).0, ":2\r\n");
    assert_eq!(server.pings(), 2);
}

#[test]
fn the_same_seed_does_the_same_to_the_same_requests() {
    let run = || {
        let faults =
            Faults { seed: 5, delays: 500, requests_lost: 500, answers_lost: 500, repeated: 500, ..Faults::default() };
        let (_, proxy) = through(faults);
        for _ in 0..200 {
            ping(&mut connect(&proxy));
        }
        proxy.counts()
    };
    let counts = run();
    assert!(counts.requests_lost > 0 && counts.answers_lost > 0 && counts.delays > 0, "{counts:?}");
    assert_eq!(run(), counts);
}
