//! `confirm = shard`: before an answer leaves, the row of the object's shard is read too. Only a store whose registers are
//! not linearizable makes it need that: here a row is changed behind its owner's back, whose life nobody has ended.

use std::sync::Arc;
use std::time::Duration;

use remote_object::config::Confirm;
use remote_object::error::{Kind, Outcome};
use remote_object::model::{Cas, Register};
use remote_object::objects::Answered;
use remote_object::storage::Datastore;
use remote_object::{Config, Service};
use serde_json::{Value, json};

use super::caller::*;
use super::ordered::Ordered;
use super::shared::AT_ONCE;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

async fn node(inner: &Arc<dyn Datastore>, name: &str, confirm: Confirm) -> (Arc<Scripted>, Service) {
    let store = Scripted::over(Arc::clone(inner));
    let mut config = Config::default();
    config.confirm = confirm;
    let service = configured(&store, name, config).await;
    (store, service)
}

fn shard_of(id: &str) -> Register {
    Register::shard(key(id).shard(1024))
}

async fn row(store: &Scripted, id: &str) -> Value {
    let row = store.inner().get(&shard_of(id)).await.unwrap().unwrap();
    serde_json::from_slice(&row.value).unwrap()
}

/// Writes the row of an object's shard, whoever has it.
async fn set_row(store: &Scripted, id: &str, new: &Value) {
    let before = store.inner().get(&shard_of(id)).await.unwrap().unwrap();
    let answer = store.inner().cas(&shard_of(id), Some(&before.rev), new.to_string().as_bytes()).await;
    assert!(matches!(answer, Cas::Applied(_)), "{answer:?}");
}

/// Two nodes that live, of which the first had `a` with 1 in it, and the second has it by its row, and has made it 11: what
/// a transaction that split looks like.
struct Split {
    store: Arc<Scripted>,
    first: Service,
    second: Service,
}

impl Split {
    async fn on(inner: Arc<dyn Datastore>, confirm: Confirm) -> Self {
        let (store, first) = node(&inner, "first", confirm).await;
        let (_, second) = node(&inner, "second", confirm).await;
        assert_eq!(number(&add(first.host(), "a", 1).key("k").now().await), 1);
        get(first.host(), "b").now().await.unwrap_err();
        let (other, _) = lives(&store).await.into_iter().find(|(_, row)| row["name"] == "second").unwrap();
        let other = other.name().strip_prefix("node/").unwrap().to_owned();
        let epoch = row(&store, "a").await["epoch"].as_u64().unwrap();
        set_row(&store, "a", &json!({ "owner": other, "epoch": epoch + 1 })).await;
        assert_eq!(number(&add(second.host(), "a", 10).now().await), 11);
        Self { store, first, second }
    }
}

fn stores() -> [Arc<dyn Datastore>; 2] {
    [shared_memory(), Ordered::store()]
}

fn reads(host: &remote_object::Host) -> Vec<Ask> {
    vec![
        get(host, "a"),
        call(host, "a", "value", json!({})),
        call(host, "a", "refuse", json!({ "by": 1 })),
        add(host, "a", 1).key("k"),
        add(host, "a", 5).if_match(remote_object::model::Version::new(9, 9)),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_answer_shows_what_a_shard_was_under_an_owner_that_lost_it_unseen() {
    for at in 0..5 {
        for inner in stores() {
            let split = Split::on(inner, Confirm::Shard).await;
            let told = reads(split.first.host()).remove(at).now().await;
            assert_eq!(failure(&told), (Kind::WrongNode, Outcome::NotExecuted), "{at}: {told:?}");
            // It knows from now on.
            assert_eq!(failure(&get(split.first.host(), "a").now().await).0, Kind::WrongNode);
            assert_eq!(value(&get(split.second.host(), "a").now().await), 11);
            // Of its life, and of its other shards, nothing has ended.
            let up = lives(&split.store).await.into_iter().filter(|(_, row)| row["state"] == "up").count();
            assert_eq!(up, 2);
            // And it may have the object again when the other one has gone.
            split.second.stop().await;
            assert_eq!(value(&get(split.first.host(), "a").now().await), 11);
            assert_at_rest(split.first.host()).await;
        }
    }
}

/// That they can fail: without the option every one of these leaves, and is stale.
#[tokio::test(start_paused = true)]
async fn without_the_option_they_leave() {
    let is_stale = |at: usize, told: &Answered| match at {
        0 | 1 => told.is_ok(),
        2 => failure(told).0 == Kind::Method,
        3 => told.as_ref().is_ok_and(|reply| reply.replayed),
        _ => failure(told).0 == Kind::PreconditionFailed,
    };
    for at in 0..5 {
        for inner in stores() {
            let split = Split::on(inner, Confirm::Node).await;
            let told = reads(split.first.host()).remove(at).now().await;
            assert!(is_stale(at, &told), "{at}: {told:?}");
        }
    }
    let split = Split::on(Ordered::store(), Confirm::Node).await;
    assert_eq!(number(&add(split.first.host(), "a", 100).now().await), 101);
    split.second.host().forget();
    assert_eq!(value(&get(split.second.host(), "a").now().await), 11, "an acknowledged write stands");
}

#[tokio::test(start_paused = true)]
async fn a_write_of_an_owner_that_lost_its_shard_unseen_is_not_acknowledged() {
    let split = Split::on(Ordered::store(), Confirm::Shard).await;
    let told = add(split.first.host(), "a", 100).now().await;
    assert_eq!(failure(&told), (Kind::OutcomeUnknown, Outcome::Unknown), "{told:?}");
    // Where the store refuses it, it is certainly not done.
    let split = Split::on(shared_memory(), Confirm::Shard).await;
    let told = add(split.first.host(), "a", 100).now().await;
    assert_eq!(failure(&told).1, Outcome::NotExecuted, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn the_row_is_read_after_the_put_was_answered() {
    let (store, first) = node(&Ordered::store(), "first", Confirm::Shard).await;
    add(first.host(), "a", 1).now().await.unwrap();
    let put = Gate::shut();
    store.next(On::Put, "a", Plan::After(put.clone()));
    let edit = add(first.host(), "a", 1).sent().await;
    put.reached(1).await;
    quiet().await;
    let epoch = row(&store, "a").await["epoch"].as_u64().unwrap();
    set_row(&store, "a", &json!({ "owner": "another", "epoch": epoch + 1 })).await;
    put.open();
    assert_eq!(failure(&edit.answer().await), (Kind::OutcomeUnknown, Outcome::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_names_nobody_or_another_epoch_is_none_of_this_owner_either() {
    for (its_own, epoch) in [(false, 1), (false, 2), (true, 2)] {
        let (store, first) = node(&shared_memory(), "first", Confirm::Shard).await;
        add(first.host(), "a", 1).now().await.unwrap();
        let owner = if its_own { row(&store, "a").await["owner"].take() } else { Value::Null };
        set_row(&store, "a", &json!({ "owner": owner, "epoch": epoch })).await;
        assert_eq!(failure(&get(first.host(), "a").now().await), (Kind::WrongNode, Outcome::NotExecuted));
        assert_eq!(value(&get(first.host(), "a").now().await), 1);
        assert_eq!(row(&store, "a").await["epoch"], epoch + 1, "it was taken anew");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_enough_state_is_one_whose_own_shard_was_confirmed_so_lately() {
    for (confirm, stale) in [(Confirm::Node, true), (Confirm::Shard, false)] {
        let split = Split::on(Ordered::store(), confirm).await;
        let host = split.first.host();
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Another shard's answer confirms the life, and nothing of this one.
        get(host, "b").now().await.unwrap_err();
        let read = get(host, "a").max_age(Duration::from_secs(1)).now().await;
        assert_eq!(read.is_ok(), stale, "{confirm:?}: {read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_read_serves_all_answers_of_a_shard_and_nobody_joins_one_that_has_begun() {
    let (store, first) = node(&shared_memory(), "first", Confirm::Shard).await;
    let host = first.host();
    add(host, "a", 1).now().await.unwrap();
    // Just after a beat, so that no beat reads a row meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (life, shard) = (Gate::shut(), Gate::shut());
    let (_, before) = store.reads();
    let mut early = Vec::new();
    for number in 1..=AT_ONCE {
        store.next(On::Get, "node/", Plan::After(life.clone()));
        store.next(On::Get, shard_of("a").name(), Plan::After(shard.clone()));
        early.push(get(host, "a").sent().await);
        life.reached(number).await;
        shard.reached(number).await;
        assert_eq!(store.reads().1, before + 2 * number, "one of each, side by side");
    }
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(get(host, "a").sent().await);
        others.push(call(host, "a", "value", json!({})).sent().await);
        others.push(add(host, "a", 1).sent().await);
    }
    assert_eq!(store.reads().1, before + 2 * AT_ONCE, "one more began beside them");
    life.open();
    quiet().await;
    early.iter().chain(&others).for_each(Sent::assert_waits);
    shard.open();
    for answer in early.into_iter().chain(others) {
        answer.answer().await.unwrap();
    }
    // Those that came first, and the turn that began with them, whose answers left with what had come meanwhile.
    assert!(store.reads().1 <= before + 2 * AT_ONCE + 4, "{} reads", store.reads().1 - before);
}

#[tokio::test(start_paused = true)]
async fn without_the_option_nothing_more_is_read() {
    for (confirm, reads) in [(Confirm::Node, 1), (Confirm::Shard, 2)] {
        let (store, first) = node(&shared_memory(), "first", confirm).await;
        add(first.host(), "a", 1).now().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (_, before) = store.reads();
        get(first.host(), "a").now().await.unwrap();
        assert_eq!(store.reads().1, before + reads, "{confirm:?}");
        add(first.host(), "a", 1).now().await.unwrap();
        assert_eq!(store.reads().1, before + 2 * reads, "{confirm:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_asked_for_again() {
    let (store, first) = node(&shared_memory(), "first", Confirm::Shard).await;
    let host = first.host();
    add(host, "a", 1).now().await.unwrap();
    store.always(On::Get, "shard/", Plan::LostForGood);
    let read = get(host, "a").sent().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    read.assert_waits();
    store.calm();
    assert_eq!(value(&read.answer().await), 1);
    store.always(On::Get, "shard/", Plan::LostForGood);
    let read = get(host, "a").now().await;
    assert_eq!(failure(&read), (Kind::StoreUnavailable, Outcome::NotExecuted));
    store.calm();
    assert_eq!(value(&get(host, "a").now().await), 1, "a store that did not answer has ended nothing");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_one_process_has_alone_is_asked_nothing() {
    let store = Scripted::exclusive();
    let mut config = Config::default();
    config.confirm = Confirm::Shard;
    let service = configured(&store, "node", config).await;
    add(service.host(), "a", 1).now().await.unwrap();
    let (_, before) = store.reads();
    get(service.host(), "a").now().await.unwrap();
    add(service.host(), "a", 1).now().await.unwrap();
    assert_eq!(store.reads().1, before);
}
