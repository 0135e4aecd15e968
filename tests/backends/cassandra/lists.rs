//! Lists miss nothing that lives and show nothing that is long deleted, whoever died in between.

use std::time::{Duration, Instant};

use bytes::Bytes;
use remote_object::error::Kind;
use remote_object::model::{Item, ObjectKey, Put, Record, Scan, Seen, Version};
use remote_object::storage::{Cassandra, Datastore};
use scylla::client::session::Session;
use scylla::errors::DbError;
use scylla_proxy::Condition;

use super::wire::{self, Wire, executes, holds};
use super::world::{self, fresh, is_there, run, shared_table};

/// A type of its own, with one object.
struct Thing {
    store: Cassandra,
    session: Session,
    key: ObjectKey,
}

impl Thing {
    async fn new() -> Self {
        let store = Cassandra::open(&world::shared_config().await).await.unwrap();
        let key = ObjectKey::new(&fresh("list"), "it's/a").unwrap();
        Self { store, session: world::session().await, key }
    }

    async fn put(&self, epoch: u32, seq: u32, state: &str) {
        stored(self.store.put(&self.key, None, &record(epoch, seq, state)).await);
    }

    async fn is_listed(&self) -> bool {
        is_listed(&self.store, &self.key).await
    }

    async fn comes_to_be_listed(&self, listed: bool) {
        let began = Instant::now();
        while self.is_listed().await != listed {
            assert!(began.elapsed() < Duration::from_secs(20), "it should be listed: {listed}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many rows the roster has of this type: those of objects, and those of deletions that are under way.
    async fn rows(&self) -> (usize, usize) {
        let rows = |from: i32| {
            let buckets: Vec<String> = (from..from + 64).map(|bucket| bucket.to_string()).collect();
            let (roster, type_name) = (shared_table("roster"), self.key.type_name());
            let buckets = buckets.join(",");
            let text = format!("SELECT id FROM {roster} WHERE type = '{type_name}' AND bucket IN ({buckets})");
            async move { self.session.query_unpaged(text, &[]).await.unwrap().into_rows_result().unwrap().rows_num() }
        };
        (rows(0).await, rows(64).await)
    }

    async fn come_to_have_rows(&self, wanted: (usize, usize)) {
        let began = Instant::now();
        while self.rows().await != wanted {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?} instead of {wanted:?}", self.rows().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A deletion of a process that died before it could take the row away: the note, and the record.
    async fn deleted_by_one_who_died(&self, epoch: u32, seq: u32) {
        self.noted_by_one_who_died(epoch, seq).await;
        let (object, version) = (shared_table("object"), Version::new(epoch, seq).as_u64());
        let text = format!(
            "INSERT INTO {object} (type, id, version, state, meta) VALUES ('{}', '{}', {version}, '', 0x80) \
             USING TIMESTAMP {version}",
            self.key.type_name(),
            self.quoted_id()
        );
        run(&self.session, &text).await;
    }

    async fn noted_by_one_who_died(&self, epoch: u32, seq: u32) {
        let (roster, version) = (shared_table("roster"), Version::new(epoch, seq).as_u64());
        let text = format!(
            "INSERT INTO {roster} (type, bucket, id) VALUES ('{}', {}, '{}') USING TIMESTAMP {version}",
            self.key.type_name(),
            self.bucket() + 64,
            self.quoted_id()
        );
        run(&self.session, &text).await;
    }

    fn bucket(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.key.id().as_bytes()) % 64
    }

    fn quoted_id(&self) -> String {
        self.key.id().replace('\'', "''")
    }
}

async fn is_listed(store: &Cassandra, key: &ObjectKey) -> bool {
    let page = store.scan(&Scan::Objects(key.type_name().into()), None, 10).await.unwrap();
    assert!(page.next.is_none() && page.items.len() <= 1, "{page:?}");
    page.items == [Item::Object(key.clone())]
}

fn record(epoch: u32, seq: u32, state: &str) -> Record {
    Record {
        version: Version::new(epoch, seq),
        state: Bytes::from(state.to_owned()),
        meta: Bytes::from_static(b"\x80"),
    }
}

#[track_caller]
fn stored(put: Put) -> Seen {
    match put {
        Put::Stored(rev @ remote_object::model::Rev::Number(version)) => {
            Seen { version: Version::from_u64(version), rev }
        }
        other => panic!("not stored: {other:?}"),
    }
}

#[tokio::test]
async fn an_object_is_listed_from_its_first_put_to_its_deletion_and_again_when_it_is_born_again() {
    if !is_there() {
        return;
    }
    let thing = Thing::new().await;
    for round in 0..5 {
        assert!(!thing.is_listed().await);
        thing.put(1, 10 * round + 1, "1").await;
        assert!(thing.is_listed().await);
        thing.put(1, 10 * round + 2, "2").await;
        assert!(thing.is_listed().await);
        thing.put(1, 10 * round + 3, "").await;
        thing.comes_to_be_listed(false).await;
    }
    thing.come_to_have_rows((0, 0)).await;
}

#[tokio::test]
async fn a_deletion_whose_process_died_is_not_listed_and_its_rows_are_taken_away() {
    if !is_there() {
        return;
    }
    let thing = Thing::new().await;
    thing.put(1, 1, "1").await;
    thing.deleted_by_one_who_died(1, 2).await;
    assert_eq!(thing.rows().await, (1, 1));
    assert!(!thing.is_listed().await, "its record is deleted");
    thing.come_to_have_rows((0, 0)).await;
    thing.put(2, 1, "born again").await;
    assert!(thing.is_listed().await);
}

#[tokio::test]
async fn a_deletion_that_was_begun_and_never_came_hides_nothing() {
    if !is_there() {
        return;
    }
    let thing = Thing::new().await;
    thing.put(1, 1, "1").await;
    thing.noted_by_one_who_died(1, 2).await;
    for _ in 0..3 {
        assert!(thing.is_listed().await);
    }
    // It may still come, so the note stays; a put over it ends that.
    assert_eq!(thing.rows().await, (1, 1));
    thing.put(2, 1, "2").await;
    assert!(thing.is_listed().await);
    thing.come_to_have_rows((1, 0)).await;
}

#[tokio::test]
async fn a_late_removal_of_an_earlier_deletion_hides_no_new_life() {
    if !is_there() {
        return;
    }
    let thing = Thing::new().await;
    thing.put(1, 1, "1").await;
    thing.put(1, 2, "").await;
    thing.put(1, 3, "born again").await;
    for late in [2, 1] {
        let (roster, version) = (shared_table("roster"), Version::new(1, late).as_u64());
        let (type_name, bucket, id) = (thing.key.type_name(), thing.bucket(), thing.quoted_id());
        let row = format!("type = '{type_name}' AND bucket = {bucket} AND id = '{id}'");
        run(&thing.session, &format!("DELETE FROM {roster} USING TIMESTAMP {version} WHERE {row}")).await;
        assert!(thing.is_listed().await, "a removal under 1-{late} came after a put under 1-3");
    }
}

#[tokio::test]
async fn the_row_is_written_once_an_epoch_and_after_every_deletion() {
    if !is_there() {
        return;
    }
    let config = world::shared_config().await;
    let mut wire = Wire::up().await;
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    let key = ObjectKey::new(&fresh("list"), "a").unwrap();
    let mut seen = wire.watch(key.type_name());
    let mut requests = async |epoch, seq, state: &str| {
        stored(store.put(&key, None, &record(epoch, seq, state)).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        seen.all().len()
    };
    assert_eq!(requests(1, 1, "1").await, 2, "the record and the row");
    assert_eq!(requests(1, 2, "2").await, 1);
    assert_eq!(requests(1, 3, "3").await, 1);
    assert_eq!(requests(2, 1, "4").await, 2, "another epoch: another process may have deleted it in between");
    assert_eq!(requests(2, 2, "5").await, 1);
    assert_eq!(requests(2, 3, "").await, 4, "the note, the record, the row away, the note away");
    assert_eq!(requests(2, 4, "6").await, 2, "the record and the row");
}

#[tokio::test]
async fn a_creation_is_stored_only_when_its_row_is() {
    if !is_there() {
        return;
    }
    let config = world::shared_config().await;
    let mut wire = Wire::up().await;
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    let key = ObjectKey::new(&fresh("list"), "a").unwrap();
    let new = record(1, 1, "\"the record\"");
    let row = || executes(key.type_name()).and(Condition::not(holds("the record")));
    for error in [DbError::Overloaded, DbError::Invalid] {
        let mut seen = wire.react_if(row, &wire::error(error));
        let put = store.put(&key, None, &new).await;
        // The record is there: whatever becomes of the row, nobody may take it for not executed.
        assert!(matches!(put, Put::Unknown(_)), "{put:?}");
        assert_eq!(seen.all().len(), 1);
    }
    wire.mend();
    assert_eq!(store.load(&key).await.unwrap().unwrap().record, new);
    assert!(!is_listed(&store, &key).await);
    stored(store.put(&key, None, &new).await);
    assert!(is_listed(&store, &key).await);
}

#[tokio::test]
async fn a_deletion_is_sent_only_when_its_note_stands() {
    if !is_there() {
        return;
    }
    let config = world::shared_config().await;
    let mut wire = Wire::up().await;
    let store = Cassandra::open(&wire.config(&config)).await.unwrap();
    let key = ObjectKey::new(&fresh("list"), "a").unwrap();
    let seen = stored(store.put(&key, None, &record(1, 1, "1")).await);
    let deleted = record(1, 2, "");
    let mut sent = wire.react(key.type_name(), &wire::error(DbError::Overloaded));
    assert!(matches!(store.put(&key, Some(&seen), &deleted).await, Put::Unknown(_)));
    assert_eq!(sent.all().len(), 1, "the note, and nothing after it");
    wire.mend();
    assert_eq!(store.load(&key).await.unwrap().unwrap().record.version, seen.version);
    // Its next put writes the row again: who knows what of that deletion is still under way.
    let mut sent = wire.watch(key.type_name());
    stored(store.put(&key, Some(&seen), &record(1, 3, "3")).await);
    assert_eq!(sent.all().len(), 2);
}

#[tokio::test]
async fn a_row_that_another_program_wrote_is_reported_and_not_built_upon() {
    if !is_there() {
        return;
    }
    let thing = Thing::new().await;
    thing.put(1, 1, "1").await;
    let object = shared_table("object");
    let row = format!("type = '{}' AND id = '{}'", thing.key.type_name(), thing.quoted_id());
    run(&thing.session, &format!("UPDATE {object} SET state = '2' WHERE {row}")).await;
    let error = thing.store.load(&thing.key).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RecordCorrupt, "{error:?}");
    assert!(error.detail().unwrap().contains("another program wrote it"), "{error:?}");
    assert!(thing.is_listed().await, "loading it says what is wrong");
    run(&thing.session, &format!("UPDATE {object} SET version = 4294967298 WHERE {row}")).await;
    assert_eq!(thing.store.version(&thing.key).await.unwrap_err().kind(), Kind::RecordCorrupt);
}
