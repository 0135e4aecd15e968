//! What nobody should send, and what comes back. The server goes on after each.

use crate::world::{Answer, World};

/// Sends bytes as they are; `None` is a closed connection.
async fn raw(world: &World, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut wire = world.wire().await;
    wire.send(bytes).await;
    wire.answer(false).await
}

/// A POST on a counter with these bytes for a body.
async fn add(world: &World, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    raw(world, [head.as_bytes(), body].concat()).await.expect("an answer")
}

#[tokio::test]
async fn what_is_no_json_is_400() {
    let world = World::new().await;
    let deep = "[".repeat(100_000);
    let deep_value = format!(r#"{{"by":{}}}"#, "[".repeat(100_000));
    let closed = format!(r#"{{"by":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let deep_objects = r#"{"a":"#.repeat(100_000);
    let bodies: [&[u8]; 24] = [
        b"{",
        b"}",
        b"x",
        b"{\"by\":1",
        b"{\"by\":1}}",
        b"{\"by\":1} {\"by\":1}",
        b"{'by':1}",
        b"{by:1}",
        b"{\"by\":01}",
        b"{\"by\":+1}",
        b"{\"by\":1,}",
        b"{\"by\":NaN}",
        b"{\"by\":1e999}",
        b"{\"by\":-1e999}",
        b"{\"by\":1,\"by\":1}",
        b"{\"by\":1,\"\\u0062y\":1}",
        b"{\"by\":{\"a\":1,\"a\":1}}",
        b"{\"by\":\"\xff\xfe\"}",
        b"{\"by\":\"\\ud800\"}",
        b"{\"by\":1}\0",
        deep.as_bytes(),
        deep_value.as_bytes(),
        closed.as_bytes(),
        deep_objects.as_bytes(),
    ];
    for body in bodies {
        add(&world, body).await.is_problem(400, "bad-request");
    }
    world.assert_alive().await;
}

#[tokio::test]
async fn json_that_fits_no_number_of_ours_is_422() {
    let world = World::new().await;
    let forty = "9".repeat(40);
    for number in [forty.as_str(), "9223372036854775808", "-9223372036854775809", "1.5", "1e300", "\"1\"", "true", "[]"]
    {
        add(&world, format!(r#"{{"by":{number}}}"#)).await.is_problem(422, "invalid-arguments");
    }
    add(&world, r#"{"by":9223372036854775807}"#).await.is(200, i64::MAX);
    world.assert_alive().await;
}

#[tokio::test]
async fn text_may_hold_anything_json_can() {
    let world = World::new().await;
    let answer = world.post("/objects/probe/a/echo", "{\"text\":\"\\u0000 \\ud83d\\ude00 \u{2028}\"}").await;
    answer.is(200, "\0 \u{1F600} \u{2028}");
    world.post("/objects/account/a/open", "{\"owner\":\"\\u0000\"}").await.is_empty(204);
    assert_eq!(world.get("/objects/account/a").await.json()["owner"], "\0");
}

#[tokio::test]
async fn heads_that_cannot_be_parsed_are_400_or_the_end() {
    let world = World::new().await;
    let heads: [&[u8]; 15] = [
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /objects/counter/a\0b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /objects/counter/a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /objects/counter/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nx\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello in TLS, which is not spoken here",
    ];
    for head in heads {
        if let Some(answer) = raw(&world, head).await {
            assert!(matches!(answer.status, 400 | 404), "{:?}: {answer:?}", String::from_utf8_lossy(head));
        }
    }
    world.assert_alive().await;
}

#[tokio::test]
async fn length_and_chunks_at_once_never_smuggle_a_second_request() {
    let world = World::new().await;
    let smuggled = "POST /objects/counter/smuggled/add HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{\"by\":1}";
    let first = format!(
        "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        smuggled.len() + 5
    );
    let mut wire = world.wire().await;
    wire.send(first).await;
    if let Some(answer) = wire.answer(false).await {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    wire.closed().await;
    world.get("/objects/counter/smuggled").await.is_problem(404, "object-not-found");
}

#[tokio::test]
async fn bodies_in_chunks_are_read_and_bad_chunks_refused() {
    let world = World::new().await;
    let chunked = |chunks: &str| {
        format!(
            "POST /objects/counter/a/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{chunks}"
        )
    };
    let good = raw(&world, chunked("3\r\n{\"b\r\n6\r\ny\": 5}\r\n0\r\n\r\n")).await.unwrap();
    good.is(200, 5);
    for bad in ["zz\r\nxx\r\n0\r\n\r\n", "-1\r\nx\r\n", "ffffffffffffffffff\r\nx\r\n"] {
        if let Some(answer) = raw(&world, chunked(bad)).await {
            assert_eq!(answer.status, 400, "{bad:?}");
        }
    }
    world.get("/objects/counter/a/value").await.is(200, 5);
}

#[tokio::test]
async fn a_header_of_ours_that_does_not_parse_is_400() {
    let world = World::new().await;
    let bad = [("request-timeout", "soon"), ("idempotency-key", "a b"), ("if-match", "x"), ("if-none-match", "\"x")];
    for (name, value) in bad {
        for (verb, path) in
            [("GET", "/objects/counter/a"), ("POST", "/objects/counter/a/reset"), ("GET", "/objects/counter")]
        {
            let problem = world.ask(verb, path, &[(name, value)], "").await.is_problem(400, "bad-request");
            assert!(
                problem["detail"].as_str().unwrap().to_ascii_lowercase().replace(' ', "-").contains(name),
                "{problem}"
            );
        }
    }
    let mut wire = world.wire().await;
    wire.send(b"POST /objects/counter/a/reset HTTP/1.1\r\nhost: x\r\nidempotency-key: \xff\xfe\r\n\r\n").await;
    wire.answer(false).await.unwrap().is_problem(400, "bad-request");
    for ignored in [("traceparent", "00-x"), ("cache-control", "=;,"), ("x-unknown", "x"), ("accept", ";;;")] {
        world.ask("POST", "/objects/counter/a/reset", &[ignored], "").await.is_empty(204);
    }
}
