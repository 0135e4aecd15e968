//! The conformance kit on every store of ours.

use std::time::Duration;

use remote_object::conformance;
use remote_object::storage::{Memory, Sqlite};

conformance::key_value!(memory_as_key_value, |_| async { Memory::new() }, lists_deleted_for(Duration::ZERO));

conformance::datastore!(memory, |_| async { Memory::store() }, lists_deleted_for(Duration::ZERO));

conformance::datastore!(
    sqlite,
    |place| async move { Sqlite::open(place.dir().join("store.db")).unwrap() },
    reopens,
    lists_deleted_for(Duration::ZERO),
);
