//! A hint is reported too often rather than too seldom, and the higher version counts.

use super::bench::{Bench, Checked, Store, ensure, object, object_of, version};
use crate::model::{Item, ObjectKey, Scan, Version};

const SHARD: u32 = 7;
const DUE: u64 = 1_800_000_000_000;

fn item(key: &ObjectKey, due: u64, version: Version) -> Item {
    Item::Hint { key: key.clone(), due, version }
}

async fn listed(store: &Store) -> Result<Vec<Item>, String> {
    store.list(&Scan::Hints(SHARD), 10).await
}

pub(super) async fn a_hint_is_listed_with_its_due_time(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a/é b")?;
    store.hint(SHARD, &key, Some(DUE), version(3)).await?;
    let hints = listed(&store).await?;
    ensure!(hints == [item(&key, DUE, version(3))], "one hint was given, listed are {hints:?}");
    store.hint(SHARD, &key, Some(DUE), version(3)).await?;
    let hints = listed(&store).await?;
    ensure!(hints == [item(&key, DUE, version(3))], "the hint was given twice, listed are {hints:?}");
    for due in [0, 1, u64::from(u32::MAX) + 1, i64::MAX as u64] {
        let key = object(&format!("at {due}"))?;
        store.hint(SHARD + 1, &key, Some(due), version(1)).await?;
        let hints = store.list(&Scan::Hints(SHARD + 1), 10).await?;
        ensure!(hints.contains(&item(&key, due, version(1))), "a hint due at {due} is listed as {hints:?}");
    }
    Ok(())
}

pub(super) async fn a_later_hint_replaces_an_earlier_one(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    for (seq, due) in [(1, DUE), (2, DUE - 5), (5, DUE + 9)] {
        store.hint(SHARD, &key, Some(due), version(seq)).await?;
        let hints = listed(&store).await?;
        ensure!(hints == [item(&key, due, version(seq))], "the hint of 1-{seq} is due at {due}, listed are {hints:?}");
    }
    store.hint(SHARD, &key, Some(1), Version::new(2, 0)).await?;
    let hints = listed(&store).await?;
    ensure!(hints == [item(&key, 1, Version::new(2, 0))], "the hint of a later epoch is 2-0, listed are {hints:?}");
    Ok(())
}

pub(super) async fn a_hint_of_a_lower_version_changes_nothing(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    store.hint(SHARD, &key, Some(DUE), Version::new(2, 4)).await?;
    for (due, late) in
        [(Some(DUE + 1), Version::new(2, 3)), (None, Version::new(2, 3)), (Some(1), Version::new(1, u32::MAX))]
    {
        store.hint(SHARD, &key, due, late).await?;
        let hints = listed(&store).await?;
        ensure!(
            hints == [item(&key, DUE, Version::new(2, 4))],
            "after a hint of {late} over one of 2-4 listed are {hints:?}"
        );
    }
    Ok(())
}

pub(super) async fn a_cleared_hint_is_listed_no_more(bench: Bench) -> Checked {
    let store = bench.open().await;
    let (cleared, kept) = (object("cleared")?, object("kept")?);
    store.hint(SHARD, &cleared, Some(DUE), version(1)).await?;
    store.hint(SHARD, &kept, Some(DUE), version(1)).await?;
    store.hint(SHARD, &cleared, None, version(2)).await?;
    store.comes_to_list(&Scan::Hints(SHARD), &[item(&kept, DUE, version(1))]).await?;
    // One that was never given may be cleared too, and a cleared one given again.
    store.hint(SHARD, &object("never given")?, None, version(1)).await?;
    store.hint(SHARD, &cleared, Some(DUE + 1), version(3)).await?;
    let hints = listed(&store).await?;
    ensure!(
        hints.contains(&item(&cleared, DUE + 1, version(3))),
        "a hint was given after it was cleared, listed are {hints:?}"
    );
    ensure!(hints.len() == 2, "two hints are given, listed are {hints:?}");
    Ok(())
}

pub(super) async fn hints_are_listed_by_their_shard(bench: Bench) -> Checked {
    let store = bench.open().await;
    for shard in [1, 10, 11, 100, 0] {
        for type_name in ["a", "a-b", "ab"] {
            store.hint(shard, &object_of(type_name, &format!("of {shard}"))?, Some(DUE), version(1)).await?;
        }
    }
    for shard in [1, 10, 11, 100, 0, 2] {
        let hints = store.list(&Scan::Hints(shard), 10).await?;
        let wanted = if shard == 2 { 0 } else { 3 };
        ensure!(hints.len() == wanted, "shard {shard} has {wanted} hints, listed are {hints:?}");
        for hint in hints {
            let Item::Hint { key, .. } = &hint else { return Err(format!("a list of hints has {hint:?}")) };
            ensure!(key.id() == format!("of {shard}"), "{key} is listed in shard {shard}");
        }
    }
    Ok(())
}

pub(super) async fn hints_are_listed_page_by_page(bench: Bench) -> Checked {
    let store = bench.open().await;
    for n in 0..20 {
        let key = object_of(["a", "a-b", "ab", "b"][n % 4], &format!("{}{n}", ["", "x/", "é"][n % 3]))?;
        store.hint(SHARD, &key, Some(DUE + n as u64), version(1)).await?;
        if n % 5 == 0 {
            store.hint(SHARD, &key, None, version(2)).await?;
        }
    }
    for limit in [1, 2, 3, 15, 16, 17, 100] {
        let hints = store.list(&Scan::Hints(SHARD), limit).await?;
        // A cleared hint may be listed for a while; one that is not cleared may not be missed.
        ensure!((16..=20).contains(&hints.len()), "sixteen hints stand, {limit} a page listed are {hints:?}");
    }
    Ok(())
}
