//! Redis: the conformance kit on a real server, straight and over a faulty wire; servers that are set up wrongly, die, freeze
//! and go back.

mod faults;
mod servers;
mod setups;

use std::sync::OnceLock;
use std::time::Duration;

use redis::Commands;
use remote_object::conformance::{self, Place};
use remote_object::storage::Redis;
use test_faulty::{Faults, Protocol, Proxy};

/// A store of its own on the server: behind a prefix that nobody else has.
fn url(server: &str, place: &Place) -> String {
    format!("redis://{server}/?prefix={}:", place.name())
}

fn is_there() -> bool {
    test_stack::redis().is_some()
}

async fn open(place: Place) -> Redis {
    Redis::connect(&url(&test_stack::redis().unwrap(), &place)).await.unwrap()
}

/// Removes what a case has written.
async fn clean_up(place: Place) {
    let client = redis::Client::open(format!("redis://{}", test_stack::redis().unwrap())).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = connection.scan_match(format!("{}:*", place.name())).unwrap().map(Result::unwrap).collect();
    if !keys.is_empty() {
        let _: () = connection.unlink(keys).unwrap();
    }
}

conformance::key_value!(kit, open, reopens, lists_deleted_for(Duration::ZERO), cleans_up(clean_up), needs(is_there));

/// One for all cases, so that each comes at another point of its chances.
fn proxy() -> &'static Proxy {
    static PROXY: OnceLock<Proxy> = OnceLock::new();
    PROXY.get_or_init(|| Proxy::start(&test_stack::redis().unwrap(), Protocol::Resp, Faults::usual(1)))
}

async fn open_faulty(place: Place) -> Redis {
    loop {
        // Connecting is not what is tried here.
        match Redis::connect(&url(&proxy().address(), &place)).await {
            Ok(redis) => return redis,
            Err(error) => assert_eq!(error.code(), "store-unavailable", "{error:?}"),
        }
    }
}

conformance::key_value!(
    kit_over_a_faulty_wire,
    open_faulty,
    unreliable,
    reopens,
    lists_deleted_for(Duration::ZERO),
    cleans_up(clean_up),
    needs(is_there)
);
