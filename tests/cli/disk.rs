//! A disk that is full: the server says so and ends, and the next one serves what was durable.
//!
//! It needs the right to mount. Where that is missing the test says so and ends, unless `REQUIRE_BACKENDS=1`, which
//! makes it a failure.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::wire::{NoAnswer, Wire};
use super::world::{Server, dir, within};

/// A small disk, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn new(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        match mount(at, &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]) {
            Ok(()) => Some(Self(at.to_owned())),
            Err(why) if std::env::var("REQUIRE_BACKENDS").is_ok_and(|set| set == "1") => {
                panic!("a small disk is required: {why}")
            }
            Err(why) => {
                eprintln!("SKIPPED: a small disk cannot be made here ({why})");
                None
            }
        }
    }

    fn grow(&self, size: &str) {
        mount(&self.0, &["-o", &format!("remount,size={size}")]).unwrap();
    }
}

fn mount(at: &Path, args: &[&str]) -> Result<(), String> {
    let output = Command::new("mount").args(args).arg(at).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Replaces a product by ever other ones until that fails, and is told so until the connection ends; gives the last number
/// that was acknowledged, and the last one that may be there.
fn fill(mut wire: Wire, product: &str) -> (u32, u32) {
    let ballast = "ballast ".repeat(1 << 11);
    let mut failed_at = None;
    for stock in 1.. {
        let state = json!({"name": ballast, "price": 1, "stock": stock}).to_string();
        let headers = [("content-type", "application/json")];
        match wire.ask("PUT", &format!("/objects/product/{product}"), &headers, &state) {
            Ok(answer) if answer.status < 300 => {
                assert_eq!(failed_at, None, "a write was acknowledged after the store had failed: {answer:?}");
            }
            Ok(answer) => {
                let (status, code, outcome) = match answer.status {
                    504 => (504, "outcome-unknown", "unknown"),
                    // It is about to end, for that very reason.
                    503 if answer.json()["code"] == "draining" => (503, "draining", "not-executed"),
                    _ => (503, "store-unavailable", "not-executed"),
                };
                let problem = answer.problem(status, code);
                assert_eq!((&problem["outcome"], &problem["retryable"]), (&json!(outcome), &json!(true)));
                failed_at.get_or_insert(stock);
            }
            Err(NoAnswer::Closed) => {
                let failed_at = failed_at.unwrap_or(stock);
                return (failed_at - 1, failed_at);
            }
            Err(NoAnswer::Cut(what)) => panic!("an answer was cut: {what:?}"),
        }
    }
    unreachable!("the disk was to be full")
}

#[test]
fn a_full_disk_ends_the_server_and_loses_nothing_acknowledged() {
    const WRITERS: usize = 4;
    let dir = dir();
    let Some(disk) = Disk::new(&dir.path().join("disk"), "3m") else { return };
    let server = Server::new(&disk.0, &[]);
    let mut waiting = server.wire();
    waiting
        .send("POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 8\r\n\r\n")
        .unwrap();
    assert_eq!(waiting.answer().unwrap().status, 100);
    let written: Vec<(u32, u32)> = thread::scope(|scope| {
        let filling = (0..WRITERS).map(|at| (format!("p{at}"), server.wire()));
        let filling: Vec<_> = filling.map(|(product, wire)| scope.spawn(move || fill(wire, &product))).collect();
        filling.into_iter().map(|filling| filling.join().unwrap()).collect()
    });
    let gone = within(Duration::from_secs(2), || match TcpStream::connect(server.address) {
        Ok(_) => {
            // While it can still be asked it is not ready.
            if let Ok(answer) = server.wire().ask("GET", "/readyz", &[], "") {
                assert_eq!(answer.status, 503, "{answer:?}");
            }
            false
        }
        Err(_) => true,
    });
    assert!(gone, "it takes no connections any more");
    // A call that had begun before is answered, and had no effect.
    waiting.send("{\"by\":1}").unwrap();
    waiting.answer().unwrap().problem(503, "store-unavailable");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("the datastore failed") && log.contains("full"), "the log says why: {log}");

    disk.grow("64m");
    let server = Server::new(&disk.0, &[]);
    for (at, (acknowledged, asked)) in written.into_iter().enumerate() {
        assert!(acknowledged > 3, "the disk was full too early");
        let stock = server.get(&format!("/objects/product/p{at}")).json()["stock"].as_u64().unwrap() as u32;
        assert!((acknowledged..=asked).contains(&stock), "p{at}: {acknowledged} acknowledged, {stock} found");
    }
    server.get("/objects/counter/a").problem(404, "object-not-found");
    server.post("/objects/counter/a/add", &json!({"by": 1})).is(200, json!(1));
    server.stop();
}
