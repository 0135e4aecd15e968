//! The conformance kit.

use remote_object::conformance::{self, Place};
use remote_object::storage::Cassandra;

use super::world::{self, is_there};

async fn open(place: Place) -> Cassandra {
    Cassandra::open(&world::config_for(&place).await).await.unwrap()
}

conformance::datastore!(cassandra, open, reopens, needs(is_there));
