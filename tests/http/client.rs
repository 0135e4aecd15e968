//! The typed client: answers and errors as in the process of the objects.

use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::{CallError, Client, Remote};
use tokio::io::AsyncReadExt;

use crate::objects::{Careful, Probe, ProbeError};
use crate::world::World;

#[tokio::test]
async fn calls_and_errors_are_typed() {
    let world = World::new().await;
    let client = Client::new(&world.url()).unwrap();
    let probe = Remote::<Probe>::new("a/b é");
    assert_eq!(client.call(probe.hit()).await.unwrap(), 1);
    assert_eq!(client.call(probe.echo("hi".into(), Some(2))).await.unwrap(), "hihi");
    let refused = client.call(probe.refuse("so".into())).await.unwrap_err();
    assert_eq!(refused.method(), Some(ProbeError::Refused { hits: 1, why: "so".into() }));
    client.call(probe.grow(10)).await.unwrap();
    assert_eq!(client.call(probe.look_at(Remote::new("c"))).await.unwrap(), "seen");
}

#[tokio::test]
async fn an_error_is_what_it_is_in_the_process_of_the_object() {
    let world = World::new().await;
    let client = Client::new(&world.url()).unwrap();
    let host = world.service.host();
    let probe = Remote::<Probe>::new("a");
    macro_rules! same {
        ($call:expr) => {
            let here = remote_object::Error::from(host.call($call).await.unwrap_err());
            let there = remote_object::Error::from(client.call($call).await.unwrap_err());
            assert_eq!((here.kind(), here.code(), here.message()), (there.kind(), there.code(), there.message()));
            assert_eq!(
                (here.outcome(), here.method(), here.fields()),
                (there.outcome(), there.method(), there.fields())
            );
        };
    }
    same!(probe.boom());
    same!(probe.swamp());
    same!(probe.refuse("so".into()));
    same!(probe.pass(Remote::new("b"), Some(Remote::new("a"))));
    same!(probe.slow_view(5000).timeout(Duration::from_millis(50)));
    same!(probe.slow(5000).timeout(Duration::from_millis(50)));
    same!(probe.hit().idempotency_key("a b"));
}

#[tokio::test]
async fn a_key_given_is_sent() {
    let world = World::new().await;
    let client = Client::new(&world.url()).unwrap();
    let probe = Remote::<Probe>::new("a");
    for _ in 0..3 {
        assert_eq!(client.call(probe.hit().idempotency_key("k")).await.unwrap(), 1);
    }
    assert_eq!(client.call(probe.hit()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_service_that_is_not_there_was_not_asked() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{free}")).unwrap();
    let Err(CallError::Failed(error)) = client.call(Remote::<Probe>::new("a").hit()).await else { panic!() };
    assert_eq!((error.kind(), error.outcome()), (Kind::StoreUnavailable, Outcome::NotExecuted));
    assert!(error.retryable());
}

#[tokio::test]
async fn an_edit_that_was_sent_and_not_answered_is_unknown_and_a_view_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        // Reads a request and hangs up.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let probe = Remote::<Probe>::new("a");
    let Err(CallError::Failed(error)) = client.call(probe.hit()).await else { panic!() };
    assert_eq!((error.kind(), error.outcome()), (Kind::OutcomeUnknown, Outcome::Unknown));
    let Err(CallError::Failed(error)) = client.call(probe.echo("x".into(), None)).await else { panic!() };
    assert_eq!((error.kind(), error.outcome()), (Kind::StoreUnavailable, Outcome::NotExecuted));
}

#[tokio::test]
async fn a_service_that_hangs_is_waited_for_no_longer_than_the_call_may_take() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let probe = Remote::<Probe>::new("a");
    let short = Duration::from_millis(100);
    let Err(CallError::Failed(error)) = client.call(probe.hit().timeout(short)).await else { panic!() };
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    let Err(CallError::Failed(error)) = client.call(probe.slow_view(1).timeout(short)).await else { panic!() };
    assert_eq!((error.kind(), error.outcome()), (Kind::DeadlineExceeded, Outcome::NotExecuted));
    drop(listener);
}

#[tokio::test]
async fn an_object_behind_tls_is_refused_before_anything_is_sent() {
    let client = Client::new("http://127.0.0.1:1").unwrap();
    let probe = Remote::<Probe>::parse("https://other.example/objects/probe/a").unwrap();
    let Err(CallError::Failed(error)) = client.call(probe.hit()).await else { panic!() };
    assert_eq!((error.kind(), error.outcome()), (Kind::AuthorityNotAllowed, Outcome::NotExecuted));
    assert!(error.message().contains("http:// only"), "{error}");
}

#[tokio::test]
async fn a_call_carries_its_condition() {
    let world = World::new().await;
    let client = Client::new(&world.url()).unwrap();
    let host = world.service.host();
    let careful = Remote::<Careful>::new("a");
    macro_rules! kind {
        ($answer:expr) => {
            remote_object::Error::from($answer.await.unwrap_err()).kind()
        };
    }
    assert_eq!(kind!(client.call(careful.add(1))), Kind::PreconditionRequired);
    assert_eq!(kind!(host.call(careful.add(1))), Kind::PreconditionRequired);
    assert_eq!(host.call_tagged(careful.value()).await.unwrap(), (0, None));
    let (value, first) = client.call_tagged(careful.add(1).if_absent()).await.unwrap();
    let first = first.unwrap();
    assert_eq!((value, client.call_tagged(careful.value()).await.unwrap()), (1, (1, Some(first))));
    let (_, second) = host.call_tagged(careful.add(1).if_match(first)).await.unwrap();
    assert_eq!(kind!(client.call(careful.add(1).if_match(first))), Kind::PreconditionFailed);
    assert_eq!(kind!(host.call(careful.add(1).if_absent())), Kind::PreconditionFailed);
    assert_eq!(client.call(careful.add(1).if_match(second.unwrap())).await.unwrap(), 3);
}
