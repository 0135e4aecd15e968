//! A listing has everything there is, once, page by page.

use std::collections::BTreeSet;

use super::bench::{Bench, Checked, Store, ensure, joined, object_of, record};
use crate::error::Kind;
use crate::model::{Item, ObjectKey, Put, Register, Scan, Seen};

fn things() -> Scan {
    Scan::Objects("thing".into())
}

/// Creates so many objects of a type, and gives their ids in byte order.
async fn create(store: &Store, type_name: &str, count: usize) -> Result<Vec<String>, String> {
    let mut ids: Vec<String> = (0..count).map(|n| format!("{}{n}", ["", "A", "a/", "é", "a "][n % 5])).collect();
    for id in &ids {
        store.stored(&object_of(type_name, id)?, None, &record(1, "{}")).await?;
    }
    ids.sort();
    Ok(ids)
}

async fn delete(store: &Store, key: &ObjectKey) -> Result<Seen, String> {
    let there = store.load(key).await?.ok_or("it was put, and has no record")?;
    let seen = Seen { version: there.record.version, rev: there.rev };
    store.stored(key, Some(&seen), &record(seen.version.seq() + 1, "")).await
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

pub(super) async fn an_empty_type_lists_nothing(bench: Bench) -> Checked {
    let store = bench.open().await;
    ensure!(store.list(&things(), 10).await?.is_empty(), "nothing was put, and something is listed");
    create(&store, "thing-b", 3).await?;
    create(&store, "thin", 3).await?;
    let ids = store.ids("thing", 10).await?;
    ensure!(ids.is_empty(), "only objects of other types were put, and {ids:?} are listed");
    Ok(())
}

pub(super) async fn a_list_has_each_object_of_its_type_once(bench: Bench) -> Checked {
    let store = bench.open().await;
    let mut wanted = Vec::new();
    let types = ["a", "aa", "a-a", "b"];
    for (at, type_name) in types.into_iter().enumerate() {
        wanted.push(create(&store, type_name, 31 + at).await?);
    }
    for limit in [1, 2, 3, 7, 31, 32, 1000] {
        for (type_name, wanted) in types.into_iter().zip(&wanted) {
            let listed = sorted(store.ids(type_name, limit).await?);
            ensure!(listed == *wanted, "{type_name}, {limit} a page: put were {wanted:?}, listed are {listed:?}");
        }
    }
    Ok(())
}

pub(super) async fn a_page_holds_no_more_than_its_limit_and_pages_end(bench: Bench) -> Checked {
    let store = bench.open().await;
    create(&store, "thing", 12).await?;
    for limit in [1, 5, 11, 12, 13] {
        // `list` checks each page.
        let ids = store.ids("thing", limit).await?;
        ensure!(ids.len() == 12, "12 were put, {} are listed, {limit} a page", ids.len());
    }
    Ok(())
}

pub(super) async fn the_order_of_a_list_does_not_change(bench: Bench) -> Checked {
    let store = bench.open().await;
    create(&store, "thing", 40).await?;
    let at_once = store.ids("thing", 1000).await?;
    for limit in [1, 7, 39] {
        let paged = store.ids("thing", limit).await?;
        ensure!(paged == at_once, "at once the order is {at_once:?}, {limit} a page it is {paged:?}");
    }
    Ok(())
}

pub(super) async fn a_deleted_object_is_listed_no_more(bench: Bench) -> Checked {
    let store = bench.open().await;
    create(&store, "thing", 6).await?;
    let listed = store.list(&things(), 10).await?;
    for (at, item) in listed.iter().enumerate() {
        if let (Item::Object(key), 0) = (item, at % 2) {
            delete(&store, key).await?;
        }
    }
    let left: Vec<Item> = listed.into_iter().enumerate().filter(|(at, _)| at % 2 == 1).map(|(_, item)| item).collect();
    store.comes_to_list(&things(), &left).await
}

pub(super) async fn an_object_born_again_is_listed(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object_of("thing", "phoenix")?;
    store.stored(&key, None, &record(1, "1")).await?;
    let seen = delete(&store, &key).await?;
    store.comes_to_list(&things(), &[]).await?;
    store.stored(&key, Some(&seen), &record(3, "3")).await?;
    let listed = store.ids("thing", 10).await?;
    ensure!(listed == ["phoenix"], "it was deleted and put again, and listed are {listed:?}");
    Ok(())
}

pub(super) async fn a_list_between_deleted_objects_ends(bench: Bench) -> Checked {
    let store = bench.open().await;
    let ids: Vec<String> = (0..90).map(|n| format!("{n:03}")).collect();
    let lives = |id: &str| matches!(id, "000" | "044" | "089");
    for id in &ids {
        let state = if lives(id) { "{}" } else { "" };
        store.stored(&object_of("thing", id)?, None, &record(1, state)).await?;
    }
    let left = ["000", "044", "089"].into_iter().map(|id| object_of("thing", id).map(Item::Object));
    let left = left.collect::<Result<Vec<_>, _>>()?;
    store.comes_to_list(&things(), &left).await?;
    for limit in [1, 2, 7, 90] {
        let listed = sorted(store.ids("thing", limit).await?);
        ensure!(listed == ["000", "044", "089"], "three of ninety live, and {limit} a page listed are {listed:?}");
    }
    Ok(())
}

pub(super) async fn a_cursor_of_another_list_is_a_bad_request(bench: Bench) -> Checked {
    let store = bench.open().await;
    create(&store, "thing", 5).await?;
    create(&store, "other", 5).await?;
    let page = store.page(&things(), None, 2).await.map_err(|error| format!("{error:?}"))?;
    let cursor = page.next.ok_or("five were put, the first page of two has no cursor")?;
    let (things, others) = (things(), Scan::Objects("other".into()));
    let half = cursor.chars().take(cursor.chars().count() / 2).collect::<String>();
    let garbage = ["", "x", "\u{0}", "é", "../..", "00000000", half.as_str()];
    for (what, cursor) in garbage.into_iter().map(|wrong| (&things, wrong)).chain([(&others, cursor.as_str())]) {
        match store.page(what, Some(cursor), 2).await {
            Err(error) if error.kind() == Kind::BadRequest => {}
            other => return Err(format!("the cursor {cursor:?} is none of {what:?}, and the answer is {other:?}")),
        }
    }
    Ok(())
}

/// Creates and updates objects until it has made so many of them.
async fn write_others(store: Store, writer: u32, count: u32) -> Checked {
    for n in 0..count {
        let key = object_of("thing", &format!("{}-{writer}-{n}", ["a", "m", "z"][n as usize % 3]))?;
        let seen = store.stored(&key, None, &record(1, "1")).await?;
        let answer = store.put(&key, Some(&seen), &record(2, if n % 2 == 0 { "" } else { "2" })).await;
        ensure!(matches!(answer, Put::Stored(_)), "an update beside a list is answered {answer:?}");
    }
    Ok(())
}

pub(super) async fn a_list_misses_nothing_while_others_write(bench: Bench) -> Checked {
    let store = bench.open().await;
    let before: BTreeSet<String> = create(&store, "thing", 30).await?.into_iter().collect();
    let writers: Vec<_> = (0..3).map(|writer| tokio::spawn(write_others(store.clone(), writer, 30))).collect();
    for round in 0..12 {
        let listed: BTreeSet<String> = store.ids("thing", 3 + round % 5).await?.into_iter().collect();
        let missed: Vec<_> = before.difference(&listed).collect();
        ensure!(missed.is_empty(), "{missed:?} were created before the list began, and it misses them");
    }
    for writer in writers {
        joined(writer).await?;
    }
    Ok(())
}

pub(super) async fn many_lists_are_read_at_once(bench: Bench) -> Checked {
    let store = bench.open().await;
    let wanted = create(&store, "thing", 40).await?;
    let readers: Vec<_> = (1..=16)
        .map(|limit| {
            let store = store.clone();
            tokio::spawn(async move { store.ids("thing", limit).await })
        })
        .collect();
    for reader in readers {
        let listed = sorted(joined(reader).await?);
        ensure!(listed == wanted, "beside other lists, listed are {listed:?} instead of {wanted:?}");
    }
    Ok(())
}

pub(super) async fn registers_are_listed_by_prefix(bench: Bench) -> Checked {
    let store = bench.open().await;
    let names = ["node/a", "node/b", "node/é", "nodes/a", "shard/1", "shard/10", "shard/2", "meta/cluster"];
    for name in names {
        let rev = store.applied(&Register::named(name), None, "\"old\"").await?;
        store.applied(&Register::named(name), Some(&rev), &format!("\"{name}\"")).await?;
    }
    create(&store, "node", 3).await?;
    for (prefix, count) in [("node/", 3), ("node", 4), ("shard/1", 2), ("shard/", 3), ("absent/", 0), ("", 8)] {
        for limit in [1, 2, 100] {
            let items = store.list(&Scan::Registers(prefix.into()), limit).await?;
            ensure!(items.len() == count, "{count} registers begin with {prefix:?}, listed are {items:?}");
            for item in items {
                let Item::Register(register, entry) = item else {
                    return Err(format!("a list of registers has {item:?}"));
                };
                ensure!(register.name().starts_with(prefix), "{register:?} does not begin with {prefix:?}");
                let there = store.get(&register).await?;
                ensure!(there.as_ref() == Some(&entry), "{register:?} is listed as {entry:?}, and read as {there:?}");
            }
        }
    }
    Ok(())
}
