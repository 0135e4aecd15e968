//! Two nodes that do not reach each other, though both live and reach the store: a third one hands their questions on (R11).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::ObjectKey;
use remote_object::prelude::*;
use remote_object::storage::Datastore;
use remote_object::{CallError, Error, clock};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::nodes::{Node, raw, settle, tally};
use super::objects::Tally;
use super::store::{Gate, On, Plan, shared_memory};

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// Where nothing is answered: a connection is neither made nor refused.
struct Silence {
    url: String,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silence {
    async fn begin() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(made) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(made.unwrap());
        }
        Self { url: format!("http://{address}"), _listener: listener, _waiting: waiting }
    }
}

/// Three nodes that have settled; the first does not reach the second, and finds `instead` at its address.
async fn three(instead: &str) -> [Node; 3] {
    let inner: Arc<dyn Datastore> = shared_memory();
    let nodes = [Node::start(&inner, "a").await, Node::start(&inner, "b").await, Node::start(&inner, "c").await];
    cut(&nodes[0], &nodes[1], instead);
    settle().await;
    nodes
}

fn cut(from: &Node, to: &Node, instead: &str) {
    from.store.read_instead(&to.url, instead);
}

/// Tallies that a node has.
async fn tallies_of(node: &Node, count: usize) -> Vec<Remote<Tally>> {
    let mut found = Vec::new();
    for id in 0..600 {
        let one = tally(id);
        node.client.call(one.value()).await.unwrap();
        let key = ObjectKey::new("tally", one.id()).unwrap();
        if node.service.host().owner_addr(&key).as_deref() == Some(&*node.url) {
            found.push(one);
        }
        if found.len() == count {
            return found;
        }
    }
    panic!("it has {} only", found.len());
}

/// What a node has counted of questions that others were asked to hand on.
async fn relays(node: &Node, result: &str) -> u64 {
    let text = raw(&node.url, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let begins = format!("remote_object_relays_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&begins)).expect("it is counted").parse().unwrap()
}

fn failed<E: remote_object::RemoteError>(answer: Result<i64, CallError<E>>) -> Error {
    match answer {
        Err(CallError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_third_node_hands_on_what_is_for_one_that_refuses_to_be_reached() {
    let nodes = three(NOBODY).await;
    let began = clock::now();
    for round in 1..=3 {
        for id in 0..60 {
            // Without a key: none of it could be sent again.
            let value = nodes[0].service.host().call(tally(id).add(1)).await;
            assert_eq!(value.unwrap(), round);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(relays(&nodes[0], "answered").await > 20);
    for node in &nodes[1..] {
        assert_eq!((relays(node, "answered").await, relays(node, "unsent").await), (0, 0));
        for id in 0..60 {
            assert_eq!(node.client.call(tally(id).value()).await.unwrap(), 3);
        }
    }
    // Once it is reached nobody hands anything on any more.
    nodes[0].store.read_as_it_is();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let one = tallies_of(&nodes[1], 1).await.remove(0);
    nodes[0].client.call(one.value()).await.unwrap();
    let before = relays(&nodes[0], "answered").await;
    for id in 0..60 {
        nodes[0].client.call(tally(id).add(1)).await.unwrap();
    }
    assert_eq!(relays(&nodes[0], "answered").await, before);
}

#[tokio::test]
async fn where_a_connection_is_neither_made_nor_refused_calls_go_round_within_two_seconds() {
    let silence = Silence::begin().await;
    let nodes = three(&silence.url).await;
    let of_b = tallies_of(&nodes[1], 8).await;
    let mut longest = [Duration::ZERO; 2];
    for (at, one) in of_b.iter().enumerate() {
        let began = clock::now();
        assert_eq!(nodes[0].client.call(one.add(1)).await.unwrap(), 1);
        longest[at.min(1)] = longest[at.min(1)].max(began.elapsed());
    }
    assert!(longest[0] < Duration::from_secs(2), "the first took {:?}", longest[0]);
    assert!(longest[1] < Duration::from_millis(700), "one of those after it took {:?}", longest[1]);
}

#[tokio::test]
async fn of_two_nodes_one_says_that_it_does_not_reach_the_other() {
    let inner = shared_memory();
    let (a, b) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    cut(&a, &b, NOBODY);
    settle().await;
    let one = tallies_of(&b, 1).await.remove(0);
    let error = failed(a.client.call(one.add(1)).await);
    assert_eq!((error.kind(), error.outcome()), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert_eq!(relays(&a, "unsent").await, 0);
    assert_eq!(b.client.call(one.value()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_nobody_reaches_is_not_executed_and_is_handed_on_once() {
    let nodes = three(NOBODY).await;
    let [a, b, c] = &nodes;
    let one = tallies_of(b, 1).await.remove(0);
    cut(c, b, NOBODY);
    settle().await;
    let error = failed(a.client.call(one.add(1)).await);
    assert_eq!((error.kind(), error.outcome()), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert!(relays(a, "unsent").await > 0);
    assert_eq!(relays(c, "unsent").await, 0, "what is handed on is not handed on again, though another node could");

    // As it is on the wire. A fourth node would reach it, and the third does not ask that one.
    let d = Node::start(c.store.inner(), "d").await;
    settle().await;
    let life = b.service.host().owner(&ObjectKey::new("tally", one.id()).unwrap()).0.unwrap();
    let secret = c.service.host().secret();
    let ask = async |headers: &str| {
        let path = one.uri().to_string();
        let request = format!(
            "GET /_nodes{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nremote-object-secret: {secret}\r\n\
             remote-object-relay: 1\r\n{headers}\r\n"
        );
        raw(&c.url, &request).await
    };
    let answer = ask(&format!("remote-object-life: {life}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 421") && answer.contains("remote-object-relayed: unsent"), "{answer}");
    // It is for nobody, or for one that nobody knows: not for this one either.
    for headers in ["", "remote-object-life: another\r\n"] {
        let answer = ask(headers).await;
        assert!(answer.starts_with("HTTP/1.1 421") && answer.contains("remote-object-relayed: unsent"), "{answer}");
    }
    // The first goes by the fourth.
    assert_eq!(a.client.call(one.add(1)).await.unwrap(), 1);
    drop(d);
}

/// A wire to a node, which breaks when it is told to.
struct Wire {
    url: String,
    under_way: Arc<Mutex<JoinSet<()>>>,
    _accepting: JoinSet<()>,
}

impl Wire {
    async fn to(node: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (under_way, to) = (Arc::<Mutex<JoinSet<()>>>::default(), node.url["http://".len()..].to_owned());
        let (carrying, mut accepting) = (Arc::clone(&under_way), JoinSet::new());
        accepting.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let to = to.clone();
                carrying.lock().unwrap().spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { url, under_way, _accepting: accepting }
    }

    /// Whatever is under way is lost; who connects anew is connected.
    fn break_now(&self) {
        self.under_way.lock().unwrap().abort_all();
    }
}

#[tokio::test]
async fn what_was_handed_on_and_not_answered_is_unknown_and_happens_once() {
    let nodes = three(NOBODY).await;
    let [a, b, c] = &nodes;
    let wire = Wire::to(b).await;
    c.store.read_instead(&b.url, &wire.url);
    settle().await;
    for (one, key) in tallies_of(b, 2).await.into_iter().zip([None, Some("k")]) {
        assert_eq!(a.client.call(one.add(1)).await.unwrap(), 1);
        let gate = Gate::shut();
        b.store.next(On::Put, one.id(), Plan::Before(gate.clone()));
        let (host, call) = (a.service.host().clone(), one.add(10));
        let call = if let Some(key) = key { call.idempotency_key(key) } else { call };
        let asked = tokio::spawn(async move { host.call(call).await });
        gate.reached(1).await;
        let began = clock::now();
        wire.break_now();
        let error = failed(asked.await.unwrap());
        assert_eq!((error.kind(), error.outcome()), (Kind::OutcomeUnknown, Outcome::Unknown), "{error:?}");
        // Who lives on may come to run it still: with a key it is waited for whether that life ends.
        let most = if key.is_some() { Duration::from_secs(7) } else { Duration::from_secs(1) };
        assert!(began.elapsed() < most, "{:?}", began.elapsed());
        gate.open();
        if let Some(key) = key {
            assert_eq!(a.client.call(one.add(10).idempotency_key(key)).await.unwrap(), 11, "it ran, and is known");
        }
        assert_eq!(a.client.call(one.value()).await.unwrap(), 11);
    }
    assert_eq!(relays(a, "lost").await, 2);
}

#[tokio::test]
async fn a_ring_of_calls_is_named_though_it_goes_round() {
    let nodes = three(NOBODY).await;
    let mut of_b = tallies_of(&nodes[1], 2).await;
    let (one, other) = (tallies_of(&nodes[0], 1).await.remove(0), of_b.remove(0));
    let error = match nodes[0].client.call(one.tell_round(other.clone(), one.clone())).await {
        Err(CallError::Failed(error)) => error,
        ring => panic!("{ring:?}"),
    };
    assert_eq!(error.kind(), Kind::CallCycle, "{error:?}");
    let way = [one.uri().to_string(), other.uri().to_string(), one.uri().to_string()];
    assert_eq!(error.fields()["cycle"], serde_json::json!(way));
    assert!(relays(&nodes[0], "answered").await > 0);
}
