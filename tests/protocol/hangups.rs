//! Callers that hang up at every point there is: what has begun goes on, what has not leaves no trace.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use remote_object::{Host, Service};
use serde_json::json;

use super::caller::*;
use super::store::{On, Plan, Scripted};

/// Asks, is gone after so many polls, and tells whether it was answered before.
async fn polled(ask: Ask, polls: usize) -> bool {
    let mut asked = pin!(ask.now());
    for _ in 0..polls {
        if poll!(asked.as_mut()).is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// A store that lets a caller hang up in the middle of everything.
async fn slow_service(shared: bool) -> (Arc<Scripted>, Service) {
    let store = if shared { Scripted::shared() } else { Scripted::exclusive() };
    let service = service(&store).await;
    for on in [On::Load, On::Put, On::Get, On::Scan] {
        store.always(on, "", Plan::Slow(2));
    }
    (store, service)
}

async fn sum(host: &Host, id: &str) -> i64 {
    number(&call(host, id, "value", json!({})).now().await)
}

#[tokio::test(start_paused = true)]
async fn an_edit_whose_caller_hangs_up_is_done_once_or_was_never_begun() {
    for shared in [false, true] {
        for warm in [false, true] {
            for method in ["add", "add-slowly"] {
                let (_store, service) = slow_service(shared).await;
                let host = service.host();
                let mut answered_after = None;
                for polls in 0..40 {
                    let id = format!("p{polls}");
                    if warm {
                        add(host, &id, 0).now().await.unwrap();
                    }
                    let args = if method == "add" { json!({ "by": 1 }) } else { json!({ "by": 1, "ms": 0 }) };
                    let ask = call(host, &id, method, args).key("k");
                    if polled(ask.clone(), polls).await {
                        answered_after.get_or_insert(polls);
                    }
                    assert_at_rest(host).await;
                    let begun = polls > 0;
                    assert_eq!(sum(host, &id).await, i64::from(begun), "{method}, gone after {polls} polls");
                    // The one who comes back is told what happened.
                    assert_eq!(reply(ask.now().await).replayed, begun);
                    assert_eq!(sum(host, &id).await, 1);
                }
                assert!(answered_after.is_some_and(|polls| polls > 2), "{method}: {answered_after:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_callers_that_hang_up_is_worked_off() {
    for shared in [false, true] {
        for polls in 1..25 {
            let (_store, service) = slow_service(shared).await;
            let host = service.host();
            let callers = (0..7).map(|n| polled(add(host, "a", 10_i64.pow(n)), polls + n as usize % 3));
            futures_util::future::join_all(callers).await;
            assert_at_rest(host).await;
            assert_eq!(sum(host, "a").await, 1_111_111, "gone after {polls} polls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_between_objects_whose_caller_hangs_up_is_done_on_both() {
    for shared in [false, true] {
        let (_store, service) = slow_service(shared).await;
        let host = service.host();
        for polls in 0..40 {
            let (a, b) = (format!("a{polls}"), format!("b{polls}"));
            let to = format!("/objects/tally/{b}");
            polled(call(host, &a, "tell", json!({ "to": to, "by": 1 })), polls).await;
            assert_at_rest(host).await;
            let begun = i64::from(polls > 0);
            assert_eq!((sum(host, &a).await, sum(host, &b).await), (begun, begun), "gone after {polls} polls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn readers_that_hang_up_leave_nothing_behind_and_take_nothing_from_others() {
    for shared in [false, true] {
        let (_store, service) = slow_service(shared).await;
        let host = service.host();
        add(host, "a", 1).now().await.unwrap();
        for polls in 0..25 {
            host.forget();
            let asks = [
                get(host, "a"),
                call(host, "a", "value", json!({})),
                call(host, "b", "ask", json!({ "of": "/objects/tally/a" })),
                get(host, &format!("absent{polls}")),
            ];
            let stays = tokio::spawn(get(host, "a").now());
            futures_util::future::join_all(asks.map(|ask| polled(ask, polls))).await;
            assert_eq!(value(&stays.await.unwrap()), 1);
            assert_at_rest(host).await;
        }
        assert_eq!(number(&add(host, "a", 1).now().await), 2);
    }
}
