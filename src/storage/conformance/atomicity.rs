//! A put happens as a whole or not at all, however many others there are and whoever waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Barrier;

use super::bench::{Bench, Checked, Store, all_joined, ensure, joined, object, record, version};
use crate::model::{Cas, ObjectKey, Put, Record, Register, Seen, Version};

const TASKS: usize = 8;
const ROUNDS: usize = 25;

/// A record of which any part tells the whole.
fn marked(seq: u32) -> Record {
    let bytes = 1 + (seq as usize * 977) % 9000;
    let text = format!("\"{seq}:{}\"", "s".repeat(bytes));
    let meta = format!("{seq}:{}", "m".repeat(9001 - bytes));
    Record { version: version(seq), state: text.into(), meta: meta.into() }
}

pub(super) async fn state_meta_and_version_are_of_one_put(bench: Bench) -> Checked {
    const PUTS_MIN: u32 = 60;
    const PUTS_MAX: u32 = 20_000;
    let store = bench.open().await;
    let key = object("a")?;
    let mut seen = store.stored(&key, None, &marked(1)).await?;
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..3).map(|_| tokio::spawn(read_marked(store.clone(), key.clone(), Arc::clone(&over)))).collect();
    // As long as the readers need, whether the store is fast or slow.
    for seq in 2..=PUTS_MAX {
        seen = store.stored(&key, Some(&seen), &marked(seq)).await?;
        if seq >= PUTS_MIN && readers.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        joined(reader).await?;
    }
    Ok(())
}

/// Loads while somebody puts, and finds every record whole and none older than one before.
async fn read_marked(store: Store, key: ObjectKey, over: Arc<AtomicBool>) -> Checked {
    let mut newest = Version::default();
    for _ in 0..50 {
        let there = store.load(&key).await?.ok_or("it was put, and has no record")?.record;
        let wanted = marked(there.version.seq());
        let (state, meta) = (&there.state[..there.state.len().min(12)], &there.meta[..there.meta.len().min(12)]);
        ensure!(
            there == wanted,
            "a load of {} has a state that begins {state:?}, a meta that begins {meta:?}",
            there.version
        );
        ensure!(there.version >= newest, "a load gave version {newest}, a later one {}", there.version);
        newest = there.version;
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(())
}

/// Adds one to the number in an object's state in every round: all tasks have read before any of them writes, so that
/// at most one put may be stored.
async fn add_in_rounds(store: Store, key: ObjectKey, together: Arc<Barrier>) -> Result<Vec<Version>, String> {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let there = store.load(&key).await;
        together.wait().await;
        let (seen, count) = match there? {
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
        match store.put(&key, seen.as_ref(), &next).await {
            Put::Stored(_) => made.push(next.version),
            Put::Conflict(_) => {}
            other => return Err(format!("an update was answered {other:?}")),
        }
        together.wait().await;
    }
    Ok(made)
}

pub(super) async fn updates_from_many_tasks_lose_nothing(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    let key = object("a")?;
    let together = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> =
        (0..TASKS).map(|_| tokio::spawn(add_in_rounds(store.clone(), key.clone(), Arc::clone(&together)))).collect();
    let mut seen = HashSet::new();
    for made in all_joined(tasks).await?.concat() {
        ensure!(seen.insert(made), "two puts of version {made} over the same one were both stored");
    }
    let there = store.load(&key).await?.ok_or("it was put, and has no record")?.record;
    ensure!(seen.len() == ROUNDS, "in each of {ROUNDS} rounds one should be stored, and {} were", seen.len());
    ensure!(there.state == ROUNDS.to_string(), "{ROUNDS} additions were stored, the sum is {:?}", there.state);
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
        let (before, dropped, over) = (there.value.clone(), format!("\"dropped {round}\""), format!("\"{round}\""));
        begin_and_drop(store.inner.cas(&register, Some(&there.rev), dropped.as_bytes()), round % 4).await;
        for attempt in 0..100 {
            let there = store.get(&register).await?.ok_or("it was set, and is absent")?;
            let known = there.value == before || there.value == dropped;
            ensure!(known, "it was {before:?}, {dropped} was begun, and it is {:?}", there.value);
            ensure!(attempt < 99, "after a dropped cas, none applies");
            if let Cas::Applied(_) = store.cas(&register, Some(&there.rev), &over).await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}
