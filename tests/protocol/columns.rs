//! Records that contradict themselves, and records from the future (R3): never shown, never overwritten.

use remote_object::error::{Kind, Outcome};
use remote_object::model::Version;
use serde_json::json;

use super::caller::*;
use super::ordered::Ordered;
use super::store::{On, Plan, Scripted};

#[tokio::test(start_paused = true)]
async fn a_torn_record_is_neither_shown_nor_overwritten_and_heals_with_the_store() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        let before = add(host, "a", 1).key("k").now().await;
        let puts = store.puts("a").len();
        store.always(On::Load, "a", Plan::Torn);
        assert_at_rest(host).await;
        host.forget();
        let asks = [
            get(host, "a"),
            add(host, "a", 1),
            add(host, "a", 1).key("k"),
            replace(host, "a", r#"{"value":5,"text":""}"#),
            delete(host, "a"),
            call(host, "a", "value", json!({})),
            add(host, "a", 1).if_absent(),
        ];
        for ask in asks {
            assert_eq!(failure(&ask.now().await), (Kind::RecordCorrupt, Outcome::NotExecuted));
        }
        assert_eq!(store.puts("a").len(), puts, "a corrupt record was overwritten");
        assert_at_rest(host).await;
        store.calm();
        let seen = get(host, "a").now().await;
        assert_eq!((value(&seen), tag(&seen)), (1, tag(&before)));
        assert_eq!(number(&add(host, "a", 1).now().await), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn columns_that_were_read_apart_once_are_read_again() {
    let store = Scripted::shared();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    for ask in [get(host, "a"), add(host, "a", 0)] {
        assert_at_rest(host).await;
        host.forget();
        store.next(On::Load, "a", Plan::Torn);
        ask.now().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn one_broken_object_is_no_other_ones_business() {
    let store = Scripted::exclusive();
    let service = service(&store).await;
    let host = service.host();
    add(host, "a", 1).now().await.unwrap();
    add(host, "b", 1).now().await.unwrap();
    store.always(On::Load, "a", Plan::Torn);
    host.forget();
    get(host, "a").now().await.unwrap_err();
    assert_eq!(number(&add(host, "b", 1).now().await), 2);
    assert_eq!(host.list("tally", None, 10).await.unwrap().keys, [key("a"), key("b")]);
}

#[tokio::test]
async fn an_epoch_that_somebody_else_had_is_not_used_again() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        // The registers went back behind the records, as when a part of the store was restored.
        let next = store.stored(&key("a")).await.unwrap().record.version.epoch() + 1;
        let later = foreign("a", Version::new(next, 3), r#"{"value":50,"text":""}"#).await;
        store.overwrite(&key("a"), &later).await;
        host.forget();
        assert_eq!(failure(&add(host, "a", 1).now().await), (Kind::WrongNode, Outcome::NotExecuted));
        assert_eq!(failure(&add(host, "a", 1).now().await), (Kind::WrongNode, Outcome::NotExecuted));
        let answer = add(host, "a", 1).now().await.unwrap();
        assert_eq!(answer.tag.unwrap().epoch(), next + 1, "its versions were given before");
        assert_eq!(number(&Ok(answer)), 51);
        assert_at_rest(host).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_later_epoch_is_not_overwritten() {
    for store in [Scripted::exclusive(), Scripted::shared(), Scripted::over(Ordered::store())] {
        let service = service(&store).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        add(host, "b", 1).now().await.unwrap();
        let later = foreign("a", Version::new(1000, 1), r#"{"value":50,"text":""}"#).await;
        store.overwrite(&key("a"), &later).await;
        host.forget();
        for ask in [get(host, "a"), add(host, "a", 1), delete(host, "a"), call(host, "a", "value", json!({}))] {
            assert_eq!(failure(&ask.now().await), (Kind::WrongNode, Outcome::NotExecuted));
        }
        assert_eq!(store.stored(&key("a")).await.unwrap().record, later);
        // The Hold was given up; the others go on under the next.
        assert_eq!(number(&add(host, "b", 1).now().await), 2);
        assert_at_rest(host).await;
    }
}
