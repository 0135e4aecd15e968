//! What is told of a request that went wrong on its way, and what is there afterwards.

use std::time::{Duration, Instant};

use bytes::Bytes;
use remote_object::model::{Cas, ObjectKey, Put, Record, Register, Scan, Seen, Version};
use remote_object::storage::{Cassandra, Datastore};
use scylla::errors::{DbError, WriteType};
use scylla::statement::Consistency;
use scylla_proxy::{Condition, Reaction, RequestReaction, RequestRule};

use super::wire::{self, BOOLEAN, TEXT, UUID, Wire};
use super::world::{self, fresh, is_there};

/// How long a store waits for an answer.
const REQUEST_MAX: Duration = Duration::from_secs(2);

/// Names and types of an answer's columns, and a row of them.
type Columns<'a> = &'a [(&'a str, u16)];
type Values<'a> = &'a [Option<&'a [u8]>];

/// A store behind a proxy, and one that goes straight to the nodes.
struct Both {
    wire: Wire,
    store: Cassandra,
    straight: Cassandra,
}

impl Both {
    async fn open() -> Self {
        let config = world::shared_config().await;
        let wire = Wire::up().await;
        let store = Cassandra::open(&wire.config(&config)).await.unwrap();
        let straight = Cassandra::open(&config).await.unwrap();
        Self { wire, store, straight }
    }

    async fn holds(&self, key: &ObjectKey, record: Option<&Record>) {
        let there = self.straight.load(key).await.unwrap().map(|loaded| loaded.record);
        assert_eq!(there.as_ref(), record);
    }

    async fn register_holds(&self, register: &Register, value: Option<&str>) {
        let there = self.straight.get(register).await.unwrap().map(|entry| entry.value);
        assert_eq!(there, value.map(|value| Bytes::from(value.to_owned())));
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("thing", &fresh("outcome")).unwrap()
}

fn register() -> Register {
    Register::named(fresh("outcome/r"))
}

fn record(seq: u32, state: &str) -> Record {
    Record { version: Version::new(1, seq), state: Bytes::from(state.to_owned()), meta: Bytes::from_static(b"\x80") }
}

fn seen(put: Put) -> Seen {
    match put {
        Put::Stored(rev @ remote_object::model::Rev::Number(version)) => {
            Seen { version: Version::from_u64(version), rev }
        }
        other => panic!("not stored: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_done_and_its_answer_lost_is_unknown_and_stands() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let (key, register, new) = (key(), register(), record(1, "\"lost\""));
    both.wire.lose_results();
    let began = Instant::now();
    let put = both.store.put(&key, None, &new).await;
    assert!(matches!(put, Put::Unknown(_)), "{put:?}");
    assert!((REQUEST_MAX..2 * REQUEST_MAX).contains(&began.elapsed()), "after {:?}", began.elapsed());
    let cas = both.store.cas(&register, None, b"\"lost\"").await;
    assert!(matches!(cas, Cas::Unknown(_)), "{cas:?}");
    let hint = both.store.hint(7, &key, Some(1), new.version).await;
    assert!(matches!(hint, Put::Unknown(_)), "{hint:?}");
    both.holds(&key, Some(&new)).await;
    both.register_holds(&register, Some("\"lost\"")).await;
    // What was put is not listed yet, since nobody was told of it; once it is stored, it is.
    both.wire.mend();
    seen(both.store.put(&key, None, &new).await);
    let listed = both.straight.scan(&Scan::Objects("thing".into()), None, 1000).await.unwrap();
    assert!(format!("{listed:?}").contains(key.id()), "it is stored, and not listed");
    let there = both.store.get(&register).await.unwrap().unwrap();
    assert!(matches!(both.store.cas(&register, Some(&there.rev), b"\"next\"").await, Cas::Applied(_)));
}

/// Errors of a server that may have begun, or handed on, what it was asked.
fn unknown() -> Vec<DbError> {
    let (consistency, received, required) = (Consistency::LocalQuorum, 1, 2);
    let write_timeout = |write_type| DbError::WriteTimeout { consistency, received, required, write_type };
    vec![
        DbError::Unavailable { consistency, required, alive: 1 },
        write_timeout(WriteType::Cas),
        write_timeout(WriteType::Simple),
        DbError::WriteFailure { consistency, received, required, numfailures: 1, write_type: WriteType::Simple },
        DbError::ReadTimeout { consistency, received, required, data_present: true },
        DbError::ReadFailure { consistency, received, required, numfailures: 1, data_present: false },
        DbError::Overloaded,
        DbError::IsBootstrapping,
        DbError::TruncateError,
        DbError::ServerError,
        DbError::ProtocolError,
        DbError::Other(0x7777),
    ]
}

#[tokio::test]
async fn an_error_that_may_come_too_late_is_unknown_and_nothing_is_sent_again() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    for error in unknown() {
        let (key, register) = (key(), register());
        let mut seen = both.wire.react("outcome", &wire::error(error.clone()));
        let put = both.store.put(&key, None, &record(1, "{}")).await;
        assert!(matches!(put, Put::Unknown(_)), "{error}: {put:?}");
        assert_eq!(seen.all().len(), 1, "{error}: a put is sent once");
        let cas = both.store.cas(&register, None, b"{}").await;
        assert!(matches!(cas, Cas::Unknown(_)), "{error}: {cas:?}");
        assert_eq!(seen.all().len(), 1, "{error}: a cas is sent once");
        let hint = both.store.hint(7, &key, Some(1), Version::new(1, 1)).await;
        assert!(matches!(hint, Put::Unknown(_)), "{error}: {hint:?}");
        assert_eq!(seen.all().len(), 1, "{error}: a hint is sent once");
        assert!(both.store.load(&key).await.is_err(), "{error}");
        assert!(both.store.version(&key).await.is_err(), "{error}");
        assert!(both.store.get(&register).await.is_err(), "{error}");
        assert_eq!(seen.all().len(), 3, "{error}: each read is sent once");
        both.holds(&key, None).await;
        both.register_holds(&register, None).await;
    }
}

#[tokio::test]
async fn an_error_that_comes_before_anything_is_done_is_a_refusal() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    for error in [DbError::Invalid, DbError::Unauthorized, DbError::SyntaxError, DbError::ConfigError] {
        let (key, register) = (key(), register());
        let mut sent = both.wire.react("outcome", &wire::error(error.clone()));
        let put = both.store.put(&key, None, &record(1, "{}")).await;
        assert!(matches!(put, Put::Refused(_)), "{error}: {put:?}");
        let hint = both.store.hint(7, &key, Some(1), Version::new(1, 1)).await;
        assert!(matches!(hint, Put::Refused(_)), "{error}: {hint:?}");
        // There is no word for it among the answers of a compare-and-set.
        let cas = both.store.cas(&register, None, b"{}").await;
        assert!(matches!(cas, Cas::Unknown(_)), "{error}: {cas:?}");
        assert_eq!(sent.all().len(), 3, "{error}: each is sent once");
        both.holds(&key, None).await;
    }
}

#[tokio::test]
async fn a_transactions_answer_is_read_by_the_name_of_its_column() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let (yes, no, rev, value) = (&[1_u8][..], &[0_u8][..], &[7_u8; 16][..], &b"{}"[..]);
    let applied = ("[applied]", BOOLEAN);
    // As Cassandra answers, as Scylla does, and in an order that nobody has.
    let shapes: [(Columns<'_>, Values<'_>, bool); 6] = [
        (&[applied], &[Some(yes)], true),
        (&[applied, ("rev", UUID)], &[Some(no), Some(rev)], false),
        (&[applied, ("k", TEXT), ("rev", UUID), ("v", TEXT)], &[Some(yes), None, None, None], true),
        (&[applied, ("k", TEXT), ("rev", UUID), ("v", TEXT)], &[Some(no), Some(value), Some(rev), Some(value)], false),
        (&[("v", TEXT), ("dead", BOOLEAN), applied], &[Some(value), Some(no), Some(yes)], true),
        (&[("dead", BOOLEAN), applied], &[Some(yes), Some(no)], false),
    ];
    for (columns, values, is_applied) in shapes {
        both.wire.react("outcome", &wire::result(wire::rows_of(columns, values)));
        match both.store.cas(&register(), None, b"{}").await {
            Cas::Applied(_) if is_applied => {}
            Cas::Mismatch if !is_applied => {}
            other => panic!("{columns:?}, {values:?}: {other:?}"),
        }
    }
    // What says neither is neither.
    let without: [(Columns<'_>, Values<'_>); 3] =
        [(&[("v", TEXT)], &[Some(value)]), (&[applied], &[None]), (&[applied], &[])];
    for (columns, values) in without {
        both.wire.react("outcome", &wire::result(wire::rows_of(columns, values)));
        let cas = both.store.cas(&register(), None, b"{}").await;
        assert!(matches!(cas, Cas::Unknown(_)), "{columns:?}, {values:?}: {cas:?}");
    }
}

#[tokio::test]
async fn a_request_that_comes_late_lands_by_itself_and_loses_against_what_is_newer() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let (alone, overtaken, register, taken) = (key(), key(), register(), register());
    both.wire.react("outcome", &RequestReaction::delay(REQUEST_MAX + Duration::from_millis(500)));
    let (first, late) = (record(1, "\"alone\""), record(1, "\"overtaken\""));
    let (put, other, cas, late_cas) = tokio::join!(
        both.store.put(&alone, None, &first),
        both.store.put(&overtaken, None, &late),
        both.store.cas(&register, None, b"\"late\""),
        both.store.cas(&taken, None, b"\"late\""),
    );
    assert!(matches!((&put, &other), (Put::Unknown(_), Put::Unknown(_))), "{put:?} {other:?}");
    assert!(matches!((&cas, &late_cas), (Cas::Unknown(_), Cas::Unknown(_))), "{cas:?} {late_cas:?}");
    both.holds(&alone, None).await;
    both.register_holds(&register, None).await;
    let newer = record(2, "\"newer\"");
    seen(both.straight.put(&overtaken, None, &newer).await);
    assert!(matches!(both.straight.cas(&taken, None, b"\"first\"").await, Cas::Applied(_)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    both.holds(&alone, Some(&first)).await;
    both.holds(&overtaken, Some(&newer)).await;
    both.register_holds(&register, Some("\"late\"")).await;
    both.register_holds(&taken, Some("\"first\"")).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_makes_it_unknown_and_the_store_heals() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let (key, register, new) = (key(), register(), record(1, "\"cut\""));
    both.wire.react("outcome", &RequestReaction::drop_connection());
    let began = Instant::now();
    let put = both.store.put(&key, None, &new).await;
    assert!(matches!(put, Put::Unknown(_)), "{put:?}");
    let cas = both.store.cas(&register, None, b"{}").await;
    assert!(matches!(cas, Cas::Unknown(_)), "{cas:?}");
    assert!(began.elapsed() < REQUEST_MAX, "nobody waits for what was cut: {:?}", began.elapsed());
    both.wire.mend();
    let healed = Instant::now();
    let put = loop {
        match both.store.put(&key, None, &new).await {
            Put::Stored(_) => break true,
            _ if healed.elapsed() > Duration::from_secs(20) => break false,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    assert!(put, "the store does not come back");
    both.holds(&key, Some(&new)).await;
}

#[tokio::test]
async fn a_node_that_is_frozen_is_soon_left_out() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let frozen = || vec![RequestRule(Condition::True, RequestReaction::drop_frame())];
    both.wire.requests(|node| if node == 0 { frozen() } else { Vec::new() });
    // Its connections say nothing, and do not go down either.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for seq in 1..=30 {
        let began = Instant::now();
        seen(both.store.put(&key(), None, &record(seq, "{}")).await);
        assert!(matches!(both.store.cas(&register(), None, b"{}").await, Cas::Applied(_)));
        assert!(began.elapsed() < REQUEST_MAX, "{seq}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_could_not_be_sent_is_refused() {
    if !is_there() {
        return;
    }
    let both = Both::open().await;
    let (key, new) = (key(), record(1, "\"nowhere\""));
    let Both { wire, store, straight } = both;
    wire.down().await;
    let began = Instant::now();
    // Until the driver knows, it writes into connections nobody reads.
    while !matches!(store.put(&key, None, &new).await, Put::Refused(_)) {
        assert!(began.elapsed() < Duration::from_secs(20), "the nodes are gone, and a put is still sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(store.cas(&register(), None, b"{}").await, Cas::Unknown(_)));
    assert!(store.load(&key).await.is_err());
    assert!(straight.load(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_put_that_is_too_large_or_no_text_is_refused_and_not_sent() {
    if !is_there() {
        return;
    }
    let mut both = Both::open().await;
    let mut sent = both.wire.react("outcome", &RequestReaction::noop());
    let key = key();
    let largest = both.store.caps().record_bytes_max;
    let too_large = Record { state: vec![b'1'; largest].into(), ..record(1, "") };
    let no_text = Record { state: Bytes::from_static(b"\xff"), ..record(1, "") };
    let seen = Seen { version: Version::new(1, 1), rev: remote_object::model::Rev::Number(1 << 32 | 1) };
    for (seen, wrong) in [(None, too_large), (None, no_text), (Some(&seen), record(1, "{}"))] {
        let put = both.store.put(&key, seen, &wrong).await;
        assert!(matches!(put, Put::Refused(_)), "{put:?}");
    }
    assert!(sent.all().is_empty());
}
