//! Registers are linearizable.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Barrier;

use super::bench::{Bench, Checked, Store, all_joined, ensure, joined};
use crate::model::{Cas, Entry, Item, Register, Rev, Scan};

const TASKS: usize = 8;
const ROUNDS: usize = 25;

fn register() -> Register {
    Register::named("meta/of-the-kit")
}

pub(super) async fn a_register_never_set_is_absent(bench: Bench) -> Checked {
    let store = bench.open().await;
    let there = store.get(&register()).await?;
    ensure!(there.is_none(), "it was never set, and holds {there:?}");
    Ok(())
}

pub(super) async fn a_register_reads_back_as_it_was_set(bench: Bench) -> Checked {
    let store = bench.open().await;
    let mut rev = None;
    for value in ["{\"owner\":null}", "{\"owner\":\"node é\"}", "{}"] {
        let new = store.applied(&register(), rev.as_ref(), value).await?;
        let there = store.get(&register()).await?;
        let entry = there.ok_or("it was set, and is absent")?;
        ensure!(entry.value == value.as_bytes(), "it was set to {value}, and holds {:?}", entry.value);
        ensure!(entry.rev == new, "the cas gave the rev {new:?}, the get {:?}", entry.rev);
        rev = Some(new);
    }
    Ok(())
}

pub(super) async fn a_register_may_be_empty_or_long(bench: Bench) -> Checked {
    let store = bench.open().await;
    let long = "long ".repeat(8 * 1024);
    let mut rev = None;
    for value in ["", &long, ""] {
        rev = Some(store.applied(&register(), rev.as_ref(), value).await?);
        let there = store.get(&register()).await?.ok_or("it was set, and is absent")?;
        ensure!(
            there.value == value.as_bytes(),
            "it was set to {} bytes, and holds {}",
            value.len(),
            there.value.len()
        );
    }
    Ok(())
}

pub(super) async fn a_cas_on_another_rev_is_refused_and_changes_nothing(bench: Bench) -> Checked {
    let store = bench.open().await;
    let other = Register::named("meta/another");
    let old = store.applied(&register(), None, "\"one\"").await?;
    let new = store.applied(&register(), Some(&old), "\"two\"").await?;
    store.mismatch(&register(), Some(&old), "\"stale\"").await?;
    store.mismatch(&register(), None, "\"created again\"").await?;
    for made_up in [Rev::Number(u64::MAX), Rev::Text("made up".into())] {
        store.mismatch(&register(), Some(&made_up), "\"made up\"").await?;
    }
    store.mismatch(&other, Some(&new), "\"on an absent one\"").await?;
    ensure!(store.get(&other).await?.is_none(), "a cas that was a mismatch has created a register");
    let there = store.get(&register()).await?.ok_or("it was set, and is absent")?;
    ensure!(there.value == "\"two\"" && there.rev == new, "a cas that was a mismatch has changed it: {there:?}");
    Ok(())
}

pub(super) async fn a_register_is_created_once(bench: Bench) -> Checked {
    let store = bench.open().await;
    let rev = store.applied(&register(), None, "\"one\"").await?;
    store.mismatch(&register(), None, "\"two\"").await?;
    // After an `Unknown`, nobody could tell whose value it is.
    if !store.settings.unreliable {
        store.mismatch(&register(), None, "\"one\"").await?;
    }
    store.applied(&register(), Some(&rev), "\"three\"").await.map(drop)
}

pub(super) async fn a_rev_of_a_register_never_comes_back(bench: Bench) -> Checked {
    let store = bench.open().await;
    let mut given: Vec<Rev> = Vec::new();
    for round in 0..24 {
        let value = if round % 2 == 0 { "\"same\"" } else { "\"other\"" };
        let rev = store.applied(&register(), given.last(), value).await?;
        ensure!(!given.contains(&rev), "the rev {rev:?} was given to two values");
        given.push(rev);
    }
    for old in &given[..given.len() - 1] {
        store.mismatch(&register(), Some(old), "\"late\"").await?;
    }
    Ok(())
}

/// A store need not remove any; one that does removes it wholly, and nothing that was sent before finds it again.
pub(super) async fn a_register_is_removed_by_who_saw_it_last_or_not_at_all(bench: Bench) -> Checked {
    let store = bench.open().await;
    let named = Register::named("node/of-the-kit");
    let beside = Register::named("node/of-the-kit-too");
    let first = store.applied(&named, None, "\"first\"").await?;
    let last = store.applied(&named, Some(&first), "\"last\"").await?;
    store.applied(&beside, None, "\"beside\"").await?;
    ensure!(!store.remove(&named, &first).await?, "it was removed by a rev that is not its own");
    let removed = store.remove(&named, &last).await?;
    let there = store.get(&named).await?;
    if !removed && !store.settings.unreliable {
        ensure!(there.is_some_and(|there| there.rev == last), "it was not removed, and is not as it was");
        return Ok(());
    }
    if let Some(there) = there {
        ensure!(there.rev == last, "it was to be removed, and is another one");
        return Ok(());
    }
    let listed = store.list(&Scan::Registers("node/of-the-kit".into()), 10).await?;
    let names: Vec<_> = listed.iter().filter_map(register_of).collect();
    ensure!(names == [beside.name()], "one was removed, and {names:?} are listed");
    for late in [&first, &last] {
        store.mismatch(&named, Some(late), "\"late\"").await?;
    }
    let again = store.applied(&named, None, "\"again\"").await?;
    ensure!(again != first && again != last, "a rev came back over a removal");
    store.mismatch(&named, Some(&last), "\"late\"").await
}

fn register_of(item: &Item) -> Option<&str> {
    match item {
        Item::Register(register, _) => Some(register.name()),
        _ => None,
    }
}

pub(super) async fn registers_differ_byte_for_byte(bench: Bench) -> Checked {
    let store = bench.open().await;
    let names = ["n", "N", "n ", "nn", "n/n", "n_", "n%", "é", "e\u{301}", "node/1", "node/10", "node/2"];
    for name in names {
        store.applied(&Register::named(name), None, &format!("\"{name}\"")).await?;
    }
    for name in names {
        let there =
            store.get(&Register::named(name)).await?.ok_or_else(|| format!("{name:?} was set, and is absent"))?;
        ensure!(there.value == format!("\"{name}\""), "{name:?} holds {:?}", there.value);
    }
    Ok(())
}

/// The next number, and the rev to set it on.
fn counted(there: Option<Entry>) -> Result<(u64, Option<Rev>), String> {
    let Some(entry) = there else { return Ok((1, None)) };
    let text = String::from_utf8_lossy(&entry.value).into_owned();
    let count = text.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    Ok((count.ok_or_else(|| format!("a counter holds {text:?}"))? + 1, Some(entry.rev)))
}

/// Adds one in every round: all tasks have read before any of them writes, so that at most one of them may apply. The
/// values tell by whom they are.
async fn count_in_rounds(store: Store, task: usize, together: Arc<Barrier>) -> Result<Vec<u64>, String> {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let there = store.get(&register()).await;
        together.wait().await;
        let (next, rev) = counted(there?)?;
        if let Cas::Applied(_) = store.cas(&register(), rev.as_ref(), &format!("{next} by {task}")).await? {
            made.push(next);
        }
        together.wait().await;
    }
    Ok(made)
}

pub(super) async fn counting_in_a_register_from_many_tasks_loses_nothing(bench: Bench) -> Checked {
    let store = bench.open().await;
    let together = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(count_in_rounds(store.clone(), task, Arc::clone(&together)))).collect();
    let mut seen = HashSet::new();
    for made in all_joined(tasks).await?.concat() {
        ensure!(seen.insert(made), "two cas made {made} of the counter, and both were applied");
    }
    let (next, _) = counted(store.get(&register()).await?)?;
    ensure!(next == seen.len() as u64 + 1, "{} were applied, the counter is {}", seen.len(), next - 1);
    ensure!(seen.len() == ROUNDS, "in each of {ROUNDS} rounds one should be applied, and {} were", seen.len());
    Ok(())
}

pub(super) async fn a_register_is_created_by_one_of_many_tasks(bench: Bench) -> Checked {
    let store = bench.open().await;
    for round in 0..8 {
        let register = Register::named(format!("shard/{round}"));
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (store, register) = (store.clone(), register.clone());
                tokio::spawn(async move {
                    let value = format!("\"{task}\"");
                    Ok((store.cas(&register, None, &value).await?, value))
                })
            })
            .collect();
        let mut winner = None;
        for task in tasks {
            if let (Cas::Applied(_), value) = joined(task).await? {
                ensure!(winner.is_none(), "{winner:?} and {value} have both created {register:?}");
                winner = Some(value);
            }
        }
        let winner = winner.ok_or("nobody created it")?;
        let there = store.get(&register).await?.ok_or("it was created, and is absent")?;
        ensure!(there.value == winner, "{winner} was applied, and it holds {:?}", there.value);
    }
    Ok(())
}

pub(super) async fn an_applied_cas_is_seen_by_every_later_get(bench: Bench) -> Checked {
    let store = bench.open().await;
    for round in 1..=20 {
        let (next, rev) = counted(store.get(&register()).await?)?;
        ensure!(next == round, "{} were applied, a later get gives {}", round - 1, next - 1);
        store.applied(&register(), rev.as_ref(), &next.to_string()).await?;
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.get(&register()).await })
            })
            .collect();
        for reader in readers {
            let there = joined(reader).await?.ok_or("it was set, and is absent")?;
            ensure!(there.value == round.to_string(), "{round} was applied, a later get gives {:?}", there.value);
        }
    }
    Ok(())
}
