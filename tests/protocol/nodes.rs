//! Several nodes on one store: any takes any request, and nothing is lost or doubled when they come and go.

use std::sync::Arc;
use std::time::Duration;

use remote_object::error::Kind;
use remote_object::prelude::*;
use remote_object::storage::Datastore;
use remote_object::{CallError, Client, Service};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::caller::lives;
use super::objects::{Tally, TallyError};
use super::store::{Gate, On, Plan, Scripted, shared_memory};

/// A node with a socket.
pub(super) struct Node {
    pub(super) service: Service,
    pub(super) store: Arc<Scripted>,
    pub(super) url: String,
    pub(super) client: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Node {
    pub(super) async fn start(inner: &Arc<dyn Datastore>, name: &str) -> Self {
        let store = Scripted::over(Arc::clone(inner));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let builder = Service::builder().datastore("shared", Arc::clone(&store) as _).node_name(name).advertise(&url);
        let service = builder.build().await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = service.clone();
        let serving = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            running.run(listener, stopped).await.unwrap();
        });
        Self { service, store, client: Client::new(&url).unwrap(), url, stop: Some(stop), serving }
    }

    async fn drain(mut self) {
        drop(self.stop.take());
        self.serving.await.unwrap();
    }

    /// Neither its beats nor its reads and writes come through any more, nor any answer.
    pub(super) fn freeze(&self) -> Gate {
        let gate = Gate::shut();
        for on in [On::Cas, On::Get, On::Put] {
            self.store.always(on, "", Plan::Before(gate.clone()));
        }
        gate
    }
}

pub(super) fn tally(id: usize) -> Remote<Tally> {
    Remote::new(format!("t{id}"))
}

/// Until each has seen the others, and has what it should have.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

#[tokio::test]
async fn any_node_takes_any_request() {
    let inner = shared_memory();
    let nodes = [Node::start(&inner, "a").await, Node::start(&inner, "b").await, Node::start(&inner, "c").await];
    for round in 1..=3 {
        for id in 0..60 {
            let node = &nodes[(id + round) % 3];
            assert_eq!(node.client.call(tally(id).add(1)).await.unwrap(), round as i64);
        }
    }
    for node in &nodes {
        for id in 0..60 {
            assert_eq!(node.client.call(tally(id).value()).await.unwrap(), 3);
            // In the process, too.
            assert_eq!(node.service.host().call(tally(id).value()).await.unwrap(), 3);
        }
    }
    // An error of the method's own is the same from wherever it is.
    for node in &nodes {
        let refused = node.client.call(tally(7).refuse(1)).await.unwrap_err().method();
        assert_eq!(refused, Some(TallyError::Refused { value: 4 }));
    }
}

#[tokio::test]
async fn calls_between_objects_go_from_node_to_node_and_rings_are_named() {
    let inner = shared_memory();
    let nodes = [Node::start(&inner, "a").await, Node::start(&inner, "b").await, Node::start(&inner, "c").await];
    settle().await;
    for id in 0..30 {
        let node = &nodes[id % 3];
        assert_eq!(node.client.call(tally(id).tell(tally(id + 100), 5)).await.unwrap(), 5);
        assert_eq!(node.client.call(tally(id + 200).ask(tally(id + 100))).await.unwrap(), 5);
    }
    for id in 0..12 {
        let (one, other) = (tally(id + 300), tally(id + 400));
        let ring = nodes[id % 3].client.call(one.tell_round(other.clone(), one.clone())).await.unwrap_err();
        let CallError::Failed(error) = ring else { panic!("{ring:?}") };
        assert_eq!(error.kind(), Kind::CallCycle, "{error:?}");
        let way = [one.uri().to_string(), other.uri().to_string(), one.uri().to_string()];
        assert_eq!(error.fields()["cycle"], serde_json::json!(way));
    }
}

#[tokio::test]
async fn a_node_that_drains_hands_over_without_a_failed_call() {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    settle().await;
    let client = second.client.clone();
    let (over, mut told) = oneshot::channel::<()>();
    let load = tokio::spawn(async move {
        let mut sent = 0;
        let mut longest = Duration::ZERO;
        while told.try_recv().is_err() {
            let began = remote_object::clock::now();
            // Without a key: nothing of it could be sent again.
            client.call(tally(sent % 50).add(1)).await.unwrap_or_else(|error| panic!("{sent}: {error:?}"));
            longest = longest.max(began.elapsed());
            sent += 1;
        }
        (sent, longest)
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (had, host) = (first.service.host().cluster_counts().unwrap().0, first.service.host().clone());
    first.drain().await;
    let (gave, took) = (host.cluster_counts().unwrap().0, second.service.host().cluster_counts().unwrap().0);
    assert!(had.taken >= had.shards as u64 && had.shards > 0, "{had:?}");
    assert!(gave.given_back >= had.shards as u64 && gave.shards == 0, "{gave:?}");
    assert!(took.taken > 0, "{took:?}");
    assert_eq!((gave.fenced, took.fenced), (0, 0));
    tokio::time::sleep(Duration::from_millis(500)).await;
    over.send(()).unwrap();
    let (sent, longest) = load.await.unwrap();
    assert!(sent > 100, "{sent}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    let mut sum = 0;
    for id in 0..50 {
        sum += second.client.call(tally(id).value()).await.unwrap();
    }
    assert_eq!(sum, sent as i64);
}

#[tokio::test]
async fn a_node_that_drains_lets_objects_end_what_they_ask_of_others() {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    settle().await;
    // Asked through the node that stays; half of them are on the one that leaves, and are not through when it gives its shards back.
    let asked: Vec<_> = (0..40)
        .map(|id| {
            let client = second.client.clone();
            tokio::spawn(async move { client.call(tally(id).tell_late(tally(id + 100), 4_000)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    first.drain().await;
    for (id, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), 1);
        assert_eq!(second.client.call(tally(id).value()).await.unwrap(), 1);
        assert_eq!(second.client.call(tally(id + 100).value()).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn who_has_left_is_not_waited_for() {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    settle().await;
    for id in 0..40 {
        first.client.call(tally(id).add(1)).await.unwrap();
        second.client.call(tally(id).add(1)).await.unwrap();
    }
    first.drain().await;
    // The second has not looked since: it asks the first for all that it remembers to be there.
    let began = remote_object::clock::now();
    let calls = (0..40).map(|id| {
        let host = second.service.host().clone();
        // Without a key.
        tokio::spawn(async move { host.call(tally(id).add(1)).await })
    });
    for value in futures_util::future::join_all(calls).await {
        assert_eq!(value.unwrap().unwrap(), 3);
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn calls_go_on_within_seconds_when_a_node_freezes() {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    settle().await;
    for id in 0..20 {
        second.client.call(tally(id).add(1)).await.unwrap();
    }
    let gate = first.freeze();
    let began = remote_object::clock::now();
    // Typed clients send a key: what may have run is asked again of the next owner, and answered once.
    let calls = (0..20).map(|id| {
        let client = second.client.clone();
        tokio::spawn(async move {
            loop {
                match client.call(tally(id).add(1).idempotency_key("k")).await {
                    Ok(value) => return value,
                    Err(error) => {
                        assert!(began.elapsed() < Duration::from_secs(12), "{error:?}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        })
    });
    for value in futures_util::future::join_all(calls).await {
        assert_eq!(value.unwrap(), 2);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    first.store.calm();
    gate.open();
    settle().await;
    for id in 0..20 {
        assert_eq!(first.client.call(tally(id).value()).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn who_has_left_does_not_join_again() {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    let (service, store) = (first.service.clone(), Arc::clone(&second.store));
    first.drain().await;
    settle().await;
    let up: Vec<_> = lives(&store).await.into_iter().filter(|(_, row)| row["state"] == "up").collect();
    assert!(up.iter().all(|(_, row)| row["name"] == "b") && up.len() == 1, "{up:?}");
    assert_eq!(service.host().call(tally(1).value()).await.unwrap_err().code(), "draining");
}

/// Sends a request as it stands, and reads the answer.
pub(super) async fn raw(url: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(&url["http://".len()..]).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_answer_is_the_same_from_whichever_node_it_is_asked() {
    let inner = shared_memory();
    let nodes = [Node::start(&inner, "a").await, Node::start(&inner, "b").await];
    settle().await;
    for id in 0..10 {
        nodes[0].client.call(tally(id).add(3)).await.unwrap();
        for (line, body, status) in [
            (format!("GET /objects/tally/t{id}"), "", "200"),
            (format!("GET /objects/tally/t{id}\r\nif-none-match: *"), "", "304"),
            (format!("HEAD /objects/tally/t{id}"), "", "200"),
            (format!("GET /objects/tally/none-{id}"), "", "404"),
            (format!("GET /objects/tally/t{id}/value"), "", "200"),
            (format!("PUT /objects/tally/t{id}\r\nif-match: \"foreign\""), "{\"value\":1}", "412"),
            (format!("PUT /objects/tally/t{id}\r\nif-none-match: *"), "{\"value\":1}", "412"),
            (format!("POST /objects/tally/t{id}/refuse"), "{\"by\":1}", "402"),
            (format!("POST /objects/tally/t{id}/refuse"), "{\"by\":\"x\"}", "422"),
        ] {
            let (first, headers) = line.split_once("\r\n").unwrap_or((&line, ""));
            let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
            let length = body.len();
            let request = format!(
                "{first} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            );
            let answers = [raw(&nodes[0].url, &request).await, raw(&nodes[1].url, &request).await];
            let same = |answer: &String| {
                let lines =
                    answer.lines().filter(|line| !line.starts_with("date:") && !line.starts_with("cache-status:"));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert!(answers[0].starts_with(&format!("HTTP/1.1 {status}")), "{line}: {}", answers[0]);
            assert_eq!(same(&answers[0]), same(&answers[1]), "{line}");
        }
    }
}

#[tokio::test]
async fn the_inner_routes_answer_nobody_else() {
    let inner = shared_memory();
    let node = Node::start(&inner, "a").await;
    node.client.call(tally(1).add(1)).await.unwrap();
    let ask = async |headers: &str| {
        let head = format!("GET /_nodes/objects/tally/t1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        raw(&node.url, &head).await
    };
    let secret = node.service.host().secret().to_owned();
    assert_eq!(secret.len(), 32);
    for headers in ["", "remote-object-secret: \r\n", &format!("remote-object-secret: {}\r\n", &secret[..31])] {
        let answer = ask(headers).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("route-not-found"), "{answer}");
    }
    let known = format!("remote-object-secret: {secret}\r\n");
    assert!(ask(&known).await.starts_with("HTTP/1.1 200"));
    // A question to another life of this address, and one of who knows of a later owner, are not answered here.
    for header in ["remote-object-life: another", "remote-object-known: 99-0"] {
        let answer = ask(&format!("{known}{header}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 421") && answer.contains("wrong-node"), "{header}: {answer}");
    }
}

#[tokio::test]
async fn the_second_of_two_hosts_with_one_name_says_so() {
    let inner = shared_memory();
    let first = Node::start(&inner, "a").await;
    let builder =
        Service::builder().datastore("shared", Arc::clone(&inner)).node_name("a").advertise("http://127.0.0.1:1");
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("--node-name") && error.message().contains(&first.url), "{error}");
    first.client.call(tally(1).add(1)).await.unwrap();
}

#[tokio::test]
async fn the_second_of_two_with_one_name_and_one_address_goes_when_it_finds_the_other() {
    let inner = shared_memory();
    let start = async || {
        let builder = Service::builder().datastore("shared", Arc::clone(&inner)).node_name("a");
        builder.advertise("http://127.0.0.1:1").build().await.unwrap()
    };
    let services = [start().await, start().await];
    // The second has ended the first, as a restart would; the first joins again, and sees that the second beats.
    for _ in 0..150 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answers = services.iter().map(|service| service.host().call(tally(1).add(1)));
        let answers = futures_util::future::join_all(answers).await;
        let gone: Vec<_> =
            answers.iter().filter_map(|answer| answer.as_ref().err()).map(|error| error.code()).collect();
        if gone == ["config"] {
            return;
        }
    }
    panic!("both live on");
}
