//! Connections: protocols on one port, slow ones, silent ones, many, and the end of all.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remote_object::{Config, clock};
use tokio::net::TcpStream;

use crate::world::{PATIENCE, Wire, World};

/// Short times.
fn hasty() -> Config {
    let mut config = Config::default();
    config.limits.head_timeout_ms = 500;
    config.limits.body_timeout_ms = 700;
    config.limits.idle_timeout_ms = 1500;
    config
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let world = World::new().await;
    let mut wire = world.wire().await;
    wire.send("POST /objects/counter/a/add HTTP/1.0\r\ncontent-length: 8\r\n\r\n{\"by\":5}").await;
    wire.answer(false).await.unwrap().is(200, 5);
    wire.closed().await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let world = World::new().await;
    let mut wire = world.wire().await;
    let one = "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{\"by\":1}";
    wire.send(one.repeat(50)).await;
    for n in 1..=50 {
        wire.answer(false).await.unwrap().is(200, n);
    }
    // An error in the middle ends nothing.
    wire.send(format!("{}{one}", one.replace("by", "no"))).await;
    wire.answer(false).await.unwrap().is_problem(422, "invalid-arguments");
    wire.answer(false).await.unwrap().is(200, 51);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_shares_the_port() {
    let world = World::with(hasty()).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |sender: &mut hyper::client::conn::http2::SendRequest<Full<bytes::Bytes>>,
               verb: &str,
               path: &str,
               body: &'static str| {
        let request =
            http::Request::builder().method(verb).uri(format!("http://x{path}")).body(Full::from(body)).unwrap();
        let sent = sender.send_request(request);
        async move {
            let (head, body) = sent.await.unwrap().into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        }
    };
    let many: Vec<_> = (0..20).map(|_| ask(&mut sender, "POST", "/objects/counter/a/add", r#"{"by":1}"#)).collect();
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(|(head, _)| head.status == 200));
    assert_eq!(ask(&mut sender, "GET", "/objects/counter/a/value", "").await.1, "20");
    let (head, body) = ask(&mut sender, "HEAD", "/objects/counter/a", "").await;
    assert_eq!((head.status.as_u16(), body.len(), &head.headers["content-length"]), (200, 0, &"12".parse().unwrap()));
    assert_eq!(ask(&mut sender, "GET", "/objects/counter/..", "").await.0.status, 400);
    // Longer than a head may take: an idle connection is another matter.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(ask(&mut sender, "GET", "/objects/counter/a/value", "").await.1, "20");
    let idle = clock::now();
    let _ = tokio::time::timeout(PATIENCE, connection).await.expect("an idle connection ends");
    assert!(idle.elapsed() >= Duration::from_millis(1000));
}

#[tokio::test]
async fn a_head_that_does_not_come_is_408() {
    let world = World::with(hasty()).await;
    let began = clock::now();
    let mut wire = world.wire().await;
    wire.send("GET /objects/counter/a HTTP/1.1\r\nhost: x\r\n").await;
    wire.answer(false).await.unwrap().is_problem(408, "request-timeout");
    wire.closed().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    // Nor does it help to send a byte now and then.
    let mut wire = world.wire().await;
    for byte in "GET /objects/counter/a HTTP/1.1\r\n".chars().map(String::from).cycle() {
        if tokio::io::AsyncWriteExt::write_all(&mut wire.stream, byte.as_bytes()).await.is_err() {
            break;
        }
        if began.elapsed() > Duration::from_secs(4) {
            panic!("a head of one byte after another is read for ever");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The second head of a connection has its time as well.
    let mut wire = world.wire().await;
    wire.ask("GET", "/healthz", &[], "").await;
    wire.send("GET /objects").await;
    wire.answer(false).await.unwrap().is_problem(408, "request-timeout");
    world.assert_alive().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let world = World::with(hasty()).await;
    let mut wire = world.wire().await;
    wire.send("POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{\"by").await;
    wire.answer(false).await.unwrap().is_problem(408, "request-timeout");
    wire.closed().await;
    let mut wire = world.wire().await;
    let head =
        "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\nrequest-timeout: 0.2\r\ncontent-length: 8\r\n\r\n{\"by";
    wire.send(head).await;
    wire.answer(false).await.unwrap().is_problem(504, "deadline-exceeded");
    // One that comes slowly, but in time, is taken.
    let mut wire = world.wire().await;
    wire.send("POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n").await;
    for part in ["{\"b", "y\":", "5}"] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        wire.send(part).await;
    }
    wire.answer(false).await.unwrap().is(200, 5);
}

#[tokio::test]
async fn a_body_cut_off_changes_nothing() {
    let world = World::new().await;
    let mut wire = world.wire().await;
    wire.send("POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-length: 80\r\n\r\n{\"by\":5}").await;
    drop(wire);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn an_idle_connection_lasts_longer_than_a_head_may_take_and_then_ends() {
    let world = World::with(hasty()).await;
    let mut wire = world.wire().await;
    wire.ask("GET", "/healthz", &[], "").await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(wire.ask("GET", "/healthz", &[], "").await.status, 200);
    let idle = clock::now();
    wire.closed().await;
    let idle = idle.elapsed();
    assert!((Duration::from_millis(1200)..Duration::from_secs(4)).contains(&idle), "{idle:?}");
}

#[tokio::test]
async fn a_long_call_is_no_idle_connection() {
    let world = World::with(hasty()).await;
    world.post("/objects/probe/a/slow", r#"{"ms":2500}"#).await.is(200, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_that_say_nothing_are_closed_and_disturb_nobody() {
    const MANY: usize = 2000;
    let world = World::with(hasty()).await;
    let before = resident_kib();
    let mut silent = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        silent.push(world.wire().await);
    }
    world.assert_alive().await;
    let each = resident_kib().saturating_sub(before) * 1024 / MANY;
    // Both ends live in this process.
    assert!(each < 16 << 10, "{each} bytes a silent connection");
    for wire in &mut silent {
        wire.closed().await;
    }
    world.assert_alive().await;
    let open = world.get("/metrics").await;
    let text = String::from_utf8(open.body).unwrap();
    let open: usize =
        text.lines().find_map(|line| line.strip_prefix("remote_object_connections ")).unwrap().parse().unwrap();
    assert!(open < 10, "{open} connections are still counted");
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_place() {
    let mut config = hasty();
    config.limits.connections = 2;
    let world = World::with(config).await;
    let (_one, _two) = (world.wire().await, world.wire().await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The two say nothing, so their places are free after the time of a head.
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn at_the_end_running_calls_are_answered_and_no_new_ones_taken() {
    let mut world = World::new().await;
    let address = world.address;
    let (mut idle, mut running) = (world.wire().await, world.wire().await);
    idle.ask("GET", "/healthz", &[], "").await;
    running.send("POST /objects/probe/a/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{\"ms\":700}").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.stop();
    idle.closed().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err(), "a new connection is taken");
    let answer = running.answer(false).await.unwrap();
    assert_eq!(answer.is(200, 1).header("connection"), Some("close"));
    running.closed().await;
    world.ended().await;
}

#[tokio::test]
async fn at_the_end_a_call_that_does_not_end_is_given_up() {
    let mut config = Config::default();
    config.limits.drain_timeout_ms = 300;
    let mut world = World::with(config).await;
    let mut running: Wire = world.wire().await;
    running.send("POST /objects/probe/a/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{\"ms\":15000}").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = clock::now();
    world.stop();
    running.closed().await;
    world.ended().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
