//! What nodes tell of one object: the same from whichever it is asked, also while something is the matter; and that asking
//! changes nothing.

use std::time::Duration;

use remote_object::clock;
use serde_json::{Value, json};

use super::nodes::{Node, raw, settle, tally};
use super::store::{Gate, On, Plan, shared_memory};

/// What a node tells of a tally.
async fn explained(node: &Node, id: usize) -> Value {
    let head = "host: x\r\nconnection: close\r\nrequest-timeout: 6";
    let answer = raw(&node.url, &format!("GET /objects/tally/t{id}/_explain HTTP/1.1\r\n{head}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The same again and again, until it is so.
async fn until(node: &Node, id: usize, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = clock::now();
    loop {
        let told = explained(node, id).await;
        if is_so(&told) {
            return told;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{told}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn waits_for(told: &Value) -> String {
    let waits = told["memory"]["waits-for"].as_array().cloned().unwrap_or_default();
    waits.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Two nodes, and a tally that the first one has.
async fn two_nodes() -> (Node, Node, usize) {
    let inner = shared_memory();
    let (first, second) = (Node::start(&inner, "a").await, Node::start(&inner, "b").await);
    settle().await;
    for id in 0.. {
        second.client.call(tally(id).add(1)).await.unwrap();
        if explained(&second, id).await["memory"]["node"] == json!("a") {
            return (first, second, id);
        }
    }
    unreachable!("the first one has half of them");
}

#[tokio::test]
async fn any_node_tells_what_the_owner_knows() {
    let inner = shared_memory();
    let nodes = [Node::start(&inner, "a").await, Node::start(&inner, "b").await];
    settle().await;
    let mut owners = std::collections::BTreeSet::new();
    for id in 0..12 {
        nodes[id % 2].client.call(tally(id).add(3).idempotency_key("once")).await.unwrap();
        let mut told = [explained(&nodes[0], id).await, explained(&nodes[1], id).await];
        for told in &mut told {
            told["owner"]["beat"] = Value::Null;
        }
        assert_eq!(told[0], told[1]);
        let [told, _] = told;
        let owner = told["owner"]["node"].as_str().unwrap().to_owned();
        assert_eq!(told["owner"]["address"], json!(nodes[usize::from(owner == "b")].url));
        let memory = &told["memory"];
        assert_eq!((&memory["node"], &memory["incarnation"]), (&json!(owner), &told["owner"]["incarnation"]));
        assert_eq!((&memory["l1"], &memory["agrees"]), (&told["record"]["version"], &json!(true)), "{told}");
        assert_eq!(memory["epoch"], told["shard"]["epoch"]);
        assert_eq!((&memory["at-work"], &memory["waits-for"]), (&json!(false), &json!([])), "{told}");
        assert_eq!(told["keyed-calls"].as_array().unwrap().len(), 1, "{told}");
        assert_eq!((&told["wrong"], &told["unknown"]), (&json!([]), &json!({})));
        assert!(!told.to_string().contains("remote-object-secret"));
        owners.insert(owner);
    }
    assert_eq!(owners.len(), 2, "one has all of them");
}

#[tokio::test]
async fn to_ask_takes_no_shard_and_loads_nothing() {
    let inner = shared_memory();
    let node = Node::start(&inner, "a").await;
    for _ in 0..2 {
        let told = explained(&node, 1).await;
        assert_eq!((&told["shard"]["epoch"], &told["owner"], &told["memory"]), (&json!(0), &json!(null), &json!(null)));
        assert_eq!((&told["record"], &told["unknown"]), (&json!(null), &json!({})));
    }
    node.client.call(tally(1).add(1)).await.unwrap();
    node.service.host().forget();
    for _ in 0..2 {
        let told = explained(&node, 1).await;
        assert_eq!((&told["memory"]["l1"], &told["memory"]["agrees"]), (&json!(null), &json!(null)), "{told}");
        assert_eq!(told["memory"]["at-work"], json!(false), "{told}");
    }
    // One that is known not to be there.
    assert_eq!(node.client.call(tally(2).value()).await.unwrap(), 0);
    let told = explained(&node, 2).await;
    assert_eq!((&told["memory"]["l1"], &told["memory"]["agrees"]), (&json!("absent"), &json!(true)), "{told}");
}

#[tokio::test]
async fn what_waits_is_told_and_for_what() {
    let (first, second, id) = two_nodes().await;
    let gate = Gate::shut();
    first.store.always(On::Put, &format!("t{id}"), Plan::Before(gate.clone()));
    let call = |keyed: bool| {
        let client = second.client.clone();
        let call = tally(id).add(1);
        let call = if keyed { call.idempotency_key("k") } else { call };
        tokio::spawn(async move { client.call(call).await.unwrap() })
    };
    let calls = [call(false), call(true), call(false)];
    let told =
        until(&second, id, |told| told["memory"]["calls"].as_array().is_some_and(|calls| calls.len() == 2)).await;
    assert!(waits_for(&told).contains("the store: of its shard"), "{told}");
    assert_eq!((&told["memory"]["at-work"], &told["memory"]["agrees"]), (&json!(true), &json!(true)), "{told}");
    let waiting = told["memory"]["calls"][0].clone();
    assert_eq!(waiting["operation"], json!("add"));
    assert!((1..=30_000).contains(&waiting["left-ms"].as_u64().unwrap()), "{told}");

    // Another one, whose method waits for this one.
    let asks = (0..).find(|other| *other != id).unwrap();
    let client = second.client.clone();
    let telling = tokio::spawn(async move { client.call(tally(asks).tell(tally(id), 1)).await.unwrap() });
    let told =
        until(&second, asks, |told| told["memory"]["at-work"] == json!(true) && !waits_for(told).contains("its own"))
            .await;
    assert_eq!(waits_for(&told), format!("the answer of /objects/tally/t{id}"), "{told}");
    gate.open();
    for call in calls {
        call.await.unwrap();
    }
    telling.await.unwrap();
    first.store.calm();
    let told = until(&second, id, |told| told["memory"]["at-work"] == json!(false)).await;
    assert_eq!((waits_for(&told), &told["memory"]["agrees"]), (String::new(), &json!(true)), "{told}");
}

#[tokio::test]
async fn a_store_that_does_not_say_is_told_of() {
    let (first, second, id) = two_nodes().await;
    first.store.always(On::Put, &format!("t{id}"), Plan::LostForGood);
    let client = second.client.clone();
    let call = tokio::spawn(async move { client.call(tally(id).add(1)).await.unwrap() });
    let told = until(&second, id, |told| waits_for(told).contains("does not say")).await;
    assert!(waits_for(&told).contains("what became of the put of version"), "{told}");
    first.store.calm();
    call.await.unwrap();
    let told = until(&second, id, |told| told["memory"]["at-work"] == json!(false)).await;
    assert_eq!(waits_for(&told), "", "{told}");
}

#[tokio::test]
async fn what_cannot_be_found_out_is_told_so() {
    let (first, second, id) = two_nodes().await;
    // The owner is cut from its registers, and not missed yet.
    let gate = first.freeze();
    let told = explained(&second, id).await;
    assert!(told["unknown"]["owner"].as_str().unwrap().contains("did not answer within"), "{told}");
    assert_eq!((&told["memory"]["node"], &told["wrong"]), (&json!("a"), &json!([])), "{told}");
    first.store.calm();
    gate.open();
    // A record that somebody else wrote.
    settle().await;
    second.client.call(tally(id).add(1)).await.unwrap();
    for node in [&first, &second] {
        node.store.always(On::Load, &format!("t{id}"), Plan::Refuse);
    }
    let told = explained(&second, id).await;
    assert!(told["unknown"]["record"].is_string() && told["record"].is_null(), "{told}");
    assert_eq!(told["memory"]["agrees"], json!(null), "{told}");
}

#[tokio::test]
async fn a_record_that_is_not_what_l1_has_is_called_wrong() {
    let (first, second, id) = two_nodes().await;
    let key = remote_object::model::ObjectKey::new("tally", &format!("t{id}")).unwrap();
    use remote_object::storage::Datastore;
    let loaded = first.store.load(&key).await.unwrap().unwrap();
    let mut record = loaded.record.clone();
    record.version = remote_object::model::Version::new(record.version.epoch(), record.version.seq() + 1);
    let seen = remote_object::model::Seen { version: loaded.record.version, rev: loaded.rev };
    let put = first.store.put(&key, Some(&seen), &record).await;
    assert!(matches!(put, remote_object::model::Put::Stored(_)), "{put:?}");
    let told = explained(&second, id).await;
    assert_eq!(told["memory"]["agrees"], json!(false), "{told}");
    assert!(told["wrong"].to_string().contains("somebody else wrote the record"), "{told}");
}

#[tokio::test]
async fn the_route_is_read_only_and_between_nodes_it_is_closed() {
    let (first, second, id) = two_nodes().await;
    let path = format!("/objects/tally/t{id}/_explain");
    let ask = async |node: &Node, line: String, headers: &str| {
        let length = "content-length: 0\r\n";
        raw(&node.url, &format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{length}{headers}\r\n")).await
    };
    for (line, answer) in [
        (format!("POST {path}"), "405"),
        (format!("DELETE {path}"), "405"),
        (format!("OPTIONS {path}"), "204"),
        (format!("HEAD {path}"), "200"),
        (format!("GET {path}?a=1"), "400"),
        ("GET /objects/nobody/t1/_explain".to_owned(), "404"),
        ("GET /objects/tally/t1/_explained".to_owned(), "404"),
        (format!("GET /_nodes{path}"), "404"),
    ] {
        let told = ask(&second, line.clone(), "").await;
        assert!(told.starts_with(&format!("HTTP/1.1 {answer}")), "{line}: {told}");
    }
    let known = format!("remote-object-secret: {}\r\n", first.service.host().secret());
    let inner = format!("GET /_nodes{path}");
    assert!(ask(&first, inner.clone(), &known).await.starts_with("HTTP/1.1 200"));
    // The one that has it not does not ask on; nor does one answer a question to a life before.
    assert!(ask(&second, inner.clone(), &known).await.starts_with("HTTP/1.1 421"));
    assert!(ask(&first, inner, &format!("{known}remote-object-life: another\r\n")).await.starts_with("HTTP/1.1 421"));
}
