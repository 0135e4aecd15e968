//! Too much: bytes, headers, calls.

use std::time::Duration;

use remote_object::Config;
use tokio::io::AsyncWriteExt;

use crate::world::{Wire, World};

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_its_sender_reads_so() {
    let world = World::new().await;
    let exactly = format!(r#"{{"text":"{}"}}"#, "x".repeat((1 << 20) - 11));
    assert_eq!(exactly.len(), 1 << 20);
    assert_eq!(world.post("/objects/probe/a/echo", &exactly).await.status, 200);
    for megabytes in [2, 10] {
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(megabytes << 20));
        // As clients do: all of it first, then the answer.
        world.post("/objects/probe/a/echo", &body).await.is_problem(413, "body-too-large");
        world.post("/objects/probe/a/nothing", &body).await.is_problem(404, "method-not-found");
    }
    world.assert_alive().await;
}

#[tokio::test]
async fn a_body_in_chunks_is_counted() {
    let world = World::new().await;
    let mut wire = world.wire().await;
    wire.send("POST /objects/probe/a/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..32 {
        wire.send(&chunk).await;
    }
    wire.send("0\r\n\r\n").await;
    wire.answer(false).await.unwrap().is_problem(413, "body-too-large");
}

#[tokio::test]
async fn who_asks_first_whether_to_send_is_told() {
    let world = World::new().await;
    let head = |length: usize| {
        format!(
            "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut wire = world.wire().await;
    wire.send(head(8)).await;
    assert_eq!(wire.answer(false).await.unwrap().status, 100);
    wire.send(r#"{"by":5}"#).await;
    wire.answer(false).await.unwrap().is(200, 5);
    let mut wire = world.wire().await;
    wire.send(head(5 << 20)).await;
    wire.answer(false).await.unwrap().is_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_uri_over_the_limit_is_414() {
    let world = World::new().await;
    let text = |bytes: usize| format!("/objects/probe/a/echo?text={}", "x".repeat(bytes));
    assert_eq!(world.get(&text(8100)).await.status, 200);
    for bytes in [9 << 10, 40 << 10] {
        world.get(&text(bytes)).await.is_problem(414, "uri-too-long");
    }
    // Far over it, the HTTP library answers by itself.
    let mut wire = world.wire().await;
    let sent = wire.stream.write_all(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", text(300 << 10)).as_bytes()).await;
    if let (Ok(()), Some(answer)) = (sent, wire.answer(false).await) {
        assert!(matches!(answer.status, 414 | 431), "{answer:?}");
    }
    world.assert_alive().await;
}

#[tokio::test]
async fn headers_over_the_limits_are_431() {
    let world = World::new().await;
    let large = "x".repeat(15 << 10);
    assert_eq!(world.ask("GET", "/healthz", &[("x", &large)], "").await.status, 200);
    let larger = "x".repeat(17 << 10);
    world.ask("GET", "/healthz", &[("x", &larger)], "").await.is_problem(431, "headers-too-large");
    let many = |count| {
        let lines: String = (1..count).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
    };
    for (count, status) in [(100, 200), (101, 431), (140, 431), (1000, 431)] {
        let mut wire = world.wire().await;
        wire.send(many(count)).await;
        let answer = wire.answer(false).await.unwrap();
        assert_eq!(answer.status, status, "{count}: {answer:?}");
        if count == 101 {
            answer.is_problem(431, "headers-too-large");
        }
    }
    world.assert_alive().await;
}

#[tokio::test]
async fn a_state_over_the_limit_is_413_and_the_old_one_stays() {
    let mut config = Config::default();
    config.limits.state_bytes = 1000;
    let world = World::with(config).await;
    world.post("/objects/probe/a/hit", "").await.is(200, 1);
    world.post("/objects/probe/a/grow", r#"{"bytes":2000}"#).await.is_problem(413, "state-too-large");
    world.post("/objects/probe/a/hit", "").await.is(200, 2);
}

#[tokio::test]
async fn more_calls_than_the_node_takes_are_503_at_once() {
    let mut config = Config::default();
    config.limits.calls = 2;
    let world = World::with(config).await;
    let mut slow = Vec::new();
    for name in ["a", "b"] {
        let mut wire = world.wire().await;
        let body = r#"{"ms":1000}"#;
        wire.send(format!("POST /objects/probe/{name}/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n{body}"))
            .await;
        slow.push(wire);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.get("/objects/counter/a").await.is_problem(503, "overloaded");
    // What operators ask is answered all the same.
    world.get("/healthz").await.is(200, serde_json::json!({"status": "alive"}));
    for wire in &mut slow {
        wire.answer(false).await.unwrap().is(200, 1);
    }
    world.get("/objects/counter/a").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn a_full_queue_is_429() {
    let mut config = Config::default();
    config.limits.object_queue = 2;
    let world = World::with(config).await;
    let mut waiting: Vec<Wire> = Vec::new();
    let mut answers = Vec::new();
    for _ in 0..8 {
        let mut wire = world.wire().await;
        let body = r#"{"ms":300}"#;
        wire.send(format!("POST /objects/probe/a/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{body}")).await;
        waiting.push(wire);
    }
    for wire in &mut waiting {
        answers.push(wire.answer(false).await.unwrap());
    }
    let busy = answers.iter().filter(|answer| answer.status == 429).inspect(|answer| {
        answer.is_problem(429, "object-busy");
    });
    let (busy, done) = (busy.count(), answers.iter().filter(|answer| answer.status == 200).count());
    assert_eq!(busy + done, 8);
    assert!(busy >= 4 && done >= 2, "{busy} busy, {done} done");
}
