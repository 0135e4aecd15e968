//! Redis: the conformance kit on a real server.

use std::time::Duration;

use remote_object::conformance;
use remote_object::storage::Redis;

use crate::servers;

/// A store of its own on the server: behind a prefix that nobody else has.
async fn open(place: conformance::Place) -> Redis {
    let server = servers::redis().unwrap();
    Redis::connect(&format!("redis://{server}/?prefix={}:", place.name())).await.unwrap()
}

conformance::key_value!(kit, open, reopens, lists_deleted_for(Duration::ZERO), needs(|| servers::redis().is_some()));
