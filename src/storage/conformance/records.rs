//! A record is put whole, over what was seen, and read back as it was put.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;

use super::bench::{Bench, Checked, ensure, joined, object, record, version};
use crate::model::{Put, Record, Rev, Seen, Version};

pub(super) async fn an_object_never_put_has_no_record(bench: Bench) -> Checked {
    let store = bench.open().await;
    store.absent(&object("a")?).await?;
    store.stored(&object("ab")?, None, &record(1, "1")).await?;
    store.absent(&object("a")?).await
}

pub(super) async fn a_record_reads_back_as_it_was_put(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let mut seen = None;
    for seq in 1..=5 {
        let new = record(seq, &"{\"n\":1}".repeat(seq as usize));
        let put = store.stored(&key, seen.as_ref(), &new).await?;
        store.holds(&key, &new).await?;
        let there = store.load(&key).await?.ok_or("no record")?;
        // What a load gives out builds as well as what the put gave.
        seen = Some(if seq % 2 == 0 { put } else { Seen { version: there.record.version, rev: there.rev } });
    }
    Ok(())
}

pub(super) async fn an_acknowledged_put_is_seen_by_every_later_load(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let mut seen = None;
    for seq in 1..=20 {
        let new = record(seq, "{}");
        seen = Some(store.stored(&key, seen.as_ref(), &new).await?);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (store, key, new) = (store.clone(), key.clone(), new.clone());
                tokio::spawn(async move { store.holds(&key, &new).await })
            })
            .collect();
        for reader in readers {
            joined(reader).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_second_creation_is_refused(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let first = record(1, "\"first\"");
    store.stored(&key, None, &first).await?;
    if store.is_conditional() {
        store.conflict(&key, None, &record(2, "\"second\"")).await?;
        store.holds(&key, &first).await?;
    }
    Ok(())
}

pub(super) async fn a_stale_update_is_refused(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    let two = store.stored(&key, Some(&one), &record(2, "2")).await?;
    store.conflict(&key, Some(&one), &record(3, "\"stale\"")).await?;
    store.holds(&key, &record(2, "2")).await?;
    // The mark that is there, with a version that is not: nobody has seen that.
    store.stored(&key, Some(&two), &record(4, "4")).await?;
    store.conflict(&key, Some(&two), &record(5, "\"stale\"")).await?;
    store.holds(&key, &record(4, "4")).await
}

pub(super) async fn an_update_of_an_absent_object_is_refused(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let (there, absent) = (object("there")?, object("absent")?);
    let seen = store.stored(&there, None, &record(1, "1")).await?;
    for rev in [seen.rev, Rev::Number(u64::MAX), Rev::Text("made up".into())] {
        let seen = Seen { version: version(1), rev };
        let told = store.conflict(&absent, Some(&seen), &record(2, "2")).await?;
        ensure!(told == Version::default(), "there is no record, and the conflict tells of version {told}");
    }
    store.absent(&absent).await?;
    store.holds(&there, &record(1, "1")).await
}

pub(super) async fn a_conflict_tells_the_version_there(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    let told = store.conflict(&key, None, &record(2, "2")).await?;
    ensure!(told == version(1), "version 1-1 is there, the conflict tells of {told}");
    let of_next_epoch = Record { version: Version::new(2, 0), ..record(0, "2") };
    store.stored(&key, Some(&one), &of_next_epoch).await?;
    let told = store.conflict(&key, Some(&one), &record(3, "3")).await?;
    ensure!(told == Version::new(2, 0), "version 2-0 is there, the conflict tells of {told}");
    Ok(())
}

pub(super) async fn putting_the_same_record_again_is_stored(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    store.stored(&key, None, &record(1, "1")).await?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    store.stored(&key, Some(&one), &record(2, "2")).await?;
    store.stored(&key, Some(&one), &record(2, "2")).await?;
    let two = store.stored(&key, Some(&one), &record(2, "2")).await?;
    store.holds(&key, &record(2, "2")).await?;
    store.stored(&key, Some(&two), &record(3, "3")).await?;
    store.holds(&key, &record(3, "3")).await?;
    if store.is_conditional() {
        let told = store.conflict(&key, Some(&one), &record(2, "2")).await?;
        ensure!(told == version(3), "1-3 stands over 1-2, the conflict tells of {told}");
        store.holds(&key, &record(3, "3")).await?;
    }
    Ok(())
}

pub(super) async fn the_same_version_with_other_bytes_is_no_repetition(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    store.stored(&key, Some(&one), &record(2, "\"mine\"")).await?;
    let other_meta = Record { meta: Bytes::from_static(b"other"), ..record(2, "\"mine\"") };
    for other in [record(2, "\"not mine\""), other_meta] {
        let told = store.conflict(&key, Some(&one), &other).await?;
        ensure!(told == version(2), "1-2 is there, the conflict tells of {told}");
    }
    store.holds(&key, &record(2, "\"mine\"")).await
}

pub(super) async fn a_mark_on_a_record_never_comes_back(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let mut marks = HashSet::new();
    let mut given: Vec<Seen> = Vec::new();
    for seq in 1..=16 {
        let same_bytes = Record { version: version(seq), ..record(0, "\"same\"") };
        let seen = store.stored(&key, given.last(), &same_bytes).await?;
        ensure!(marks.insert((seen.version, seen.rev.clone())), "{seen:?} was given to two records");
        given.push(seen);
    }
    if store.is_conditional() {
        let last = given.pop();
        for old in &given {
            store.conflict(&key, Some(old), &record(50, "\"late\"")).await?;
        }
        store.stored(&key, last.as_ref(), &record(51, "51")).await?;
    }
    Ok(())
}

pub(super) async fn a_deleted_object_keeps_its_record(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    let deleted = record(2, "");
    let two = store.stored(&key, Some(&one), &deleted).await?;
    store.holds(&key, &deleted).await?;
    if store.is_conditional() {
        let told = store.conflict(&key, None, &record(3, "3")).await?;
        ensure!(told == version(2), "the record of the deleted object is there with 1-2, the conflict tells of {told}");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.holds(&key, &deleted).await?;
    store.stored(&key, Some(&two), &record(3, "\"born again\"")).await?;
    store.holds(&key, &record(3, "\"born again\"")).await
}

pub(super) async fn the_highest_version_wins_on_an_ordered_store(bench: Bench) -> Checked {
    let store = bench.open().await;
    if store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let one = store.stored(&key, None, &record(1, "1")).await?;
    store.stored(&key, Some(&one), &record(5, "5")).await?;
    store.stored(&key, Some(&one), &record(3, "\"late\"")).await?;
    store.holds(&key, &record(5, "5")).await?;
    let of_next_epoch = Record { version: Version::new(2, 0), ..record(0, "\"sealed\"") };
    store.stored(&key, None, &of_next_epoch).await?;
    store.stored(&key, Some(&one), &record(9, "\"of a former owner\"")).await?;
    store.holds(&key, &of_next_epoch).await
}

pub(super) async fn a_store_in_order_has_not_failed(bench: Bench) -> Checked {
    let store = bench.open().await;
    let caps = store.inner.caps();
    ensure!(
        matches!(store.put(&object("a")?, None, &record(1, "1")).await, Put::Stored(_)),
        "a first put is not stored"
    );
    let failed = tokio::time::timeout(Duration::from_millis(50), store.inner.failed()).await;
    ensure!(failed.is_err(), "it works, and says that it has failed: {failed:?}");
    ensure!(store.inner.caps() == caps, "its caps have changed");
    ensure!(
        caps.record_bytes_max >= 64 * 1024 || store.settings.record_bytes_max.is_some(),
        "it takes no record of 64 KiB"
    );
    Ok(())
}
