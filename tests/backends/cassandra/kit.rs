//! The conformance kit.

use remote_object::conformance::{self, Place};
use remote_object::storage::Cassandra;

use super::world::{self, is_there};

async fn open(place: Place) -> Cassandra {
    Cassandra::open(&world::config_for(&place).await).await.unwrap()
}

conformance::datastore!(cassandra, open, reopens, needs(is_there), cleans_up(world::done));

/// The way to the nodes delays, loses and cuts.
async fn open_over_a_faulty_way(place: Place) -> Cassandra {
    world::open_over_a_faulty_way(&place).await
}

conformance::datastore!(
    over_a_faulty_way,
    open_over_a_faulty_way,
    reopens,
    unreliable,
    needs(is_there),
    cleans_up(world::done)
);
