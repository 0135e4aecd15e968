//! A put happens as a whole or not at all, however many others there are and whoever waits for it.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::bench::{Bench, Checked, Store, ensure, joined, object, record, version};
use crate::model::{Cas, ObjectKey, Put, Record, Register, Seen, Version};

/// A record of which any part tells the whole.
fn marked(seq: u32) -> Record {
    let bytes = 1 + (seq as usize * 977) % 9000;
    let text = format!("\"{seq}:{}\"", "s".repeat(bytes));
    let meta = format!("{seq}:{}", "m".repeat(9001 - bytes));
    Record { version: version(seq), state: text.into(), meta: meta.into() }
}

pub(super) async fn state_meta_and_version_are_of_one_put(bench: Bench) -> Checked {
    const PUTS: u32 = 120;
    let store = bench.open().await;
    let key = object("a")?;
    let mut seen = store.stored(&key, None, &marked(1)).await?;
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(read_marked(store.clone(), key.clone(), PUTS))).collect();
    for seq in 2..=PUTS {
        seen = store.stored(&key, Some(&seen), &marked(seq)).await?;
    }
    for reader in readers {
        joined(reader).await?;
    }
    Ok(())
}

async fn read_marked(store: Store, key: ObjectKey, last: u32) -> Checked {
    let mut newest = Version::default();
    while newest < version(last) {
        let there = store.load(&key).await?.ok_or("it was put, and has no record")?.record;
        let wanted = marked(there.version.seq());
        ensure!(
            there == wanted,
            "a load of version {} has {} bytes of state that begin {:?}, and {} of meta",
            there.version,
            there.state.len(),
            &there.state[..there.state.len().min(12)],
            there.meta.len()
        );
        ensure!(there.version >= newest, "a load gave version {newest}, a later one {}", there.version);
        newest = there.version;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Adds one to the number in an object's state, until it is stored; the version it was stored under.
async fn add_one(store: &Store, key: &ObjectKey) -> Result<Version, String> {
    loop {
        let there = store.load(key).await?;
        let (seen, count) = match there {
            None => (None, 0),
            Some(there) => {
                let text = String::from_utf8_lossy(&there.record.state).into_owned();
                let count: u32 = text.parse().map_err(|_| format!("the state is {text:?}"))?;
                (Some(Seen { version: there.record.version, rev: there.rev }), count)
            }
        };
        let at = seen.as_ref().map_or(Version::default(), |seen| seen.version);
        // Each attempt is of other bytes, so that the store cannot take one for the repetition of another.
        let next = Record {
            version: version(at.seq() + 1),
            state: (count + 1).to_string().into(),
            meta: Bytes::copy_from_slice(&crate::clock::Random::from_os().next_bytes()),
        };
        match store.put(key, seen.as_ref(), &next).await {
            Put::Stored(_) => return Ok(next.version),
            Put::Conflict(_) => tokio::task::yield_now().await,
            other => return Err(format!("an update was answered {other:?}")),
        }
    }
}

pub(super) async fn updates_from_many_tasks_lose_nothing(bench: Bench) -> Checked {
    const TASKS: usize = 8;
    const EACH: usize = 20;
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                for _ in 0..EACH {
                    add_one(&store, &key).await?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    let there = store.load(&key).await?.ok_or("it was put, and has no record")?.record;
    let wanted = (TASKS * EACH).to_string();
    ensure!(there.state == wanted, "{wanted} additions were stored, the sum is {:?}", there.state);
    ensure!(
        there.version.seq() as usize == TASKS * EACH,
        "{wanted} puts were stored, the version is {}",
        there.version
    );
    Ok(())
}

pub(super) async fn an_object_is_created_by_one_of_many_tasks(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    for round in 0..8 {
        let key = object(&format!("{round}"))?;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, key, new) = (store.clone(), key.clone(), record(task + 1, &format!("{task}")));
                tokio::spawn(async move { Ok((store.put(&key, None, &new).await, new)) })
            })
            .collect();
        let mut winner: Option<Record> = None;
        for task in tasks {
            if let (Put::Stored(_), new) = joined(task).await? {
                ensure!(winner.is_none(), "{key} was created twice: by {:?} and {new:?}", winner);
                winner = Some(new);
            }
        }
        store.holds(&key, &winner.ok_or("nobody created it")?).await?;
    }
    Ok(())
}

pub(super) async fn many_objects_are_put_at_once(bench: Bench) -> Checked {
    let store = bench.open().await;
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = object(&format!("{task}"))?;
                let mut seen = None;
                for seq in 1..=8 {
                    seen = Some(store.stored(&key, seen.as_ref(), &record(seq, &format!("{task}"))).await?);
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        joined(task).await?;
    }
    for task in 0..64 {
        store.holds(&object(&format!("{task}"))?, &record(8, &format!("{task}"))).await?;
    }
    Ok(())
}

/// Polls a future a few times, then drops it.
async fn begin_and_drop(future: impl Future + Send, polls: u32) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if matches!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn a_dropped_put_lands_whole_or_not_at_all(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let mut newest = marked(1);
    store.stored(&key, None, &newest).await?;
    for round in 0..30 {
        let there = store.load(&key).await?.ok_or("it was put, and has no record")?;
        let seen = Seen { version: there.record.version, rev: there.rev };
        let dropped = marked(seen.version.seq() + 1);
        begin_and_drop(store.inner.put(&key, Some(&seen), &dropped), round % 4).await;
        // It may land at any later time, but only as a whole; and what is put over it counts.
        for _ in 0..5 {
            let there = store.load(&key).await?.ok_or("it was put, and has no record")?.record;
            ensure!(
                there == newest || there == dropped,
                "neither the record before a dropped put is there, nor the dropped one, but {there:?}"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        newest = put_over(&store, &key, dropped.version.seq() + 1).await?;
    }
    Ok(())
}

async fn put_over(store: &Store, key: &ObjectKey, seq: u32) -> Result<Record, String> {
    for _ in 0..100 {
        let there = store.load(key).await?.ok_or("it was put, and has no record")?;
        let seen = Seen { version: there.record.version, rev: there.rev };
        match store.put(key, Some(&seen), &marked(seq)).await {
            Put::Stored(_) => return Ok(marked(seq)),
            Put::Conflict(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            other => return Err(format!("after a dropped put, one is answered {other:?}")),
        }
    }
    Err("after a dropped put, none is stored".into())
}

pub(super) async fn a_dropped_cas_lands_whole_or_not_at_all(bench: Bench) -> Checked {
    let store = bench.open().await;
    let register = Register::named("meta/of-the-kit");
    store.applied(&register, None, "\"0\"").await?;
    for round in 1..=30_u32 {
        let there = store.get(&register).await?.ok_or("it was set, and is absent")?;
        let (before, dropped) = (there.value.clone(), format!("\"dropped {round}\""));
        begin_and_drop(store.inner.cas(&register, Some(&there.rev), dropped.as_bytes()), round % 4).await;
        for attempt in 0..100 {
            let there = store.get(&register).await?.ok_or("it was set, and is absent")?;
            let known = there.value == before || there.value == dropped;
            ensure!(known, "it was {before:?}, {dropped} was begun, and it is {:?}", there.value);
            ensure!(attempt < 99, "after a dropped cas, none applies");
            match store.inner.cas(&register, Some(&there.rev), format!("\"{round}\"").as_bytes()).await {
                Cas::Applied(_) => break,
                Cas::Mismatch => tokio::time::sleep(Duration::from_millis(1)).await,
                Cas::Unknown(error) => return Err(format!("after a dropped cas, one is Unknown: {error:?}")),
            }
        }
    }
    Ok(())
}
