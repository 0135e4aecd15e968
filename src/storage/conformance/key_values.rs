//! The contract of a `KeyValue`, below the adapter.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;

use super::bench::{Checked, KvBench, KvStore, all_joined, ensure, joined};
use crate::model::{Cas, Entry, Rev};

const TASKS: usize = 8;
const ROUNDS: usize = 25;

async fn set(kv: &KvStore, key: &str, seen: Option<&Rev>, value: impl Into<Bytes>) -> Result<Rev, String> {
    match kv.cas(key, seen, &value.into()).await? {
        Cas::Applied(rev) => Ok(rev),
        other => Err(format!("a compare-and-set of {key:?} over {seen:?} should apply, and is {other:?}")),
    }
}

async fn mismatch(kv: &KvStore, key: &str, seen: Option<&Rev>) -> Checked {
    match kv.cas(key, seen, b"must not be set").await? {
        Cas::Mismatch => Ok(()),
        other => Err(format!("a compare-and-set of {key:?} over {seen:?} should be a Mismatch, and is {other:?}")),
    }
}

async fn holds(kv: &KvStore, key: &str, value: &[u8], rev: &Rev) -> Checked {
    let there = kv.get(key).await?.ok_or_else(|| format!("{key:?} was set, and is absent"))?;
    ensure!(there.value == value, "{key:?} was set to {} bytes, and holds {} others", value.len(), there.value.len());
    ensure!(there.rev == *rev, "{key:?} was given {rev:?}, and holds {:?}", there.rev);
    Ok(())
}

fn keys(entries: &[(String, Entry)]) -> Vec<&str> {
    entries.iter().map(|(key, _)| key.as_str()).collect()
}

pub(super) async fn a_key_never_set_is_absent(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    ensure!(kv.get("a").await?.is_none(), "it was never set, and is there");
    set(&kv, "ab", None, "x").await?;
    ensure!(kv.get("a").await?.is_none(), "only a longer one was set, and it is there");
    Ok(())
}

pub(super) async fn a_value_reads_back_as_it_was_set(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let mut rev = None;
    for value in ["one", "two", "one"] {
        let new = set(&kv, "a", rev.as_ref(), value).await?;
        holds(&kv, "a", value.as_bytes(), &new).await?;
        rev = Some(new);
    }
    Ok(())
}

pub(super) async fn a_key_is_set_only_on_the_rev_it_has(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let one = set(&kv, "a", None, "one").await?;
    let two = set(&kv, "a", Some(&one), "two").await?;
    mismatch(&kv, "a", Some(&one)).await?;
    mismatch(&kv, "a", Some(&Rev::Number(u64::MAX))).await?;
    mismatch(&kv, "a", Some(&Rev::Text("made up".into()))).await?;
    mismatch(&kv, "absent", Some(&two)).await?;
    ensure!(kv.get("absent").await?.is_none(), "a mismatch has created a key");
    holds(&kv, "a", b"two", &two).await
}

pub(super) async fn a_key_is_created_once(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let rev = set(&kv, "a", None, "one").await?;
    mismatch(&kv, "a", None).await?;
    holds(&kv, "a", b"one", &rev).await
}

pub(super) async fn a_rev_of_a_key_never_comes_back(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let mut given: Vec<Rev> = Vec::new();
    for round in 0..24 {
        let rev = set(&kv, "a", given.last(), ["same", "other"][round % 2]).await?;
        ensure!(!given.contains(&rev), "the rev {rev:?} was given to two values");
        given.push(rev);
    }
    for old in &given[..given.len() - 1] {
        mismatch(&kv, "a", Some(old)).await?;
    }
    Ok(())
}

pub(super) async fn keys_differ_byte_for_byte(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let long = "k".repeat(600);
    let keys = [
        "a",
        "A",
        "a ",
        "aa",
        "a/b",
        "a/",
        "a\\b",
        "%",
        "_",
        "*",
        "é",
        "e\u{301}",
        "a.b",
        "..",
        "a%2Fb",
        "o/t/../x",
        &long,
        &long[..599],
    ];
    let mut revs = Vec::new();
    for key in keys {
        revs.push(set(&kv, key, None, key.to_owned()).await?);
    }
    for (key, rev) in keys.into_iter().zip(&revs) {
        holds(&kv, key, key.as_bytes(), rev).await?;
    }
    Ok(())
}

pub(super) async fn values_of_every_shape_survive(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let every: Vec<u8> = (0..=255).collect();
    let largest = bench.settings.record_bytes_max.unwrap_or(2 << 20);
    let large: Vec<u8> = (0..largest).map(|n| (n * 31 + n / 255) as u8).collect();
    let mut rev = None;
    for value in [Vec::new(), every, vec![0; 100], large, b"no UTF-8: \xff\xfe".to_vec(), Vec::new()] {
        let new = set(&kv, "a", rev.as_ref(), value.clone()).await?;
        holds(&kv, "a", &value, &new).await?;
        rev = Some(new);
    }
    Ok(())
}

/// The number a counter holds; behind it stands by whom it was set.
fn counted(there: Option<&Entry>) -> Result<u64, String> {
    let text = there.map_or("0".into(), |entry| String::from_utf8_lossy(&entry.value).into_owned());
    let count = text.split(' ').next().and_then(|count| count.parse().ok());
    count.ok_or_else(|| format!("the counter holds {text:?}"))
}

/// Adds one in every round: all tasks have read before any of them writes, so that at most one of them may apply.
async fn count_in_rounds(kv: KvStore, task: usize, together: Arc<Barrier>) -> Result<Vec<u64>, String> {
    let mut made = Vec::new();
    for _ in 0..ROUNDS {
        let there = kv.get("count").await;
        together.wait().await;
        let there = there?;
        let next = counted(there.as_ref())? + 1;
        let rev = there.as_ref().map(|entry| &entry.rev);
        if let Cas::Applied(_) = kv.cas("count", rev, format!("{next} by {task}").as_bytes()).await? {
            made.push(next);
        }
        together.wait().await;
    }
    Ok(made)
}

pub(super) async fn counting_in_a_key_from_many_tasks_loses_nothing(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let together = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(count_in_rounds(kv.clone(), task, Arc::clone(&together)))).collect();
    let mut seen = HashSet::new();
    for made in all_joined(tasks).await?.concat() {
        ensure!(seen.insert(made), "two made {made} of the counter, and both were applied");
    }
    let count = counted(kv.get("count").await?.as_ref())?;
    ensure!(count == seen.len() as u64, "{} were applied, the counter is {count}", seen.len());
    ensure!(seen.len() == ROUNDS, "in each of {ROUNDS} rounds one should be applied, and {} were", seen.len());
    Ok(())
}

/// Sets keys in an order that is not theirs.
async fn fill(kv: &KvStore) -> Result<BTreeSet<String>, String> {
    let mut all = BTreeSet::new();
    for n in 0..30_u32 {
        let key = format!("{}{}", ["o/a/", "o/a-b/", "o/ab/", "o/A/", "r/"][n as usize % 5], (n * 7) % 30);
        set(kv, &key, None, key.clone()).await?;
        all.insert(key);
    }
    Ok(all)
}

pub(super) async fn a_scan_has_each_key_of_its_prefix_in_order(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let all = fill(&kv).await?;
    for prefix in ["o/a/", "o/a", "o/", "o/A/", "r/", "", "o/a/1", "zzz", "o/%", "o/_/"] {
        let wanted: Vec<&str> = all.iter().filter(|key| key.starts_with(prefix)).map(String::as_str).collect();
        for limit in [1, 2, 5, 30, 31] {
            let mut got: Vec<String> = Vec::new();
            loop {
                let entries = kv.scan(prefix, got.last().map(String::as_str), limit).await?;
                let ended = entries.len() < limit;
                got.extend(entries.into_iter().map(|(key, _)| key));
                ensure!(got.len() <= wanted.len(), "of {wanted:?} a scan gives, {limit} at a time, {got:?}");
                if ended {
                    break;
                }
            }
            ensure!(got == wanted, "of {prefix:?} there are {wanted:?}, a scan gives, {limit} at a time, {got:?}");
        }
    }
    Ok(())
}

pub(super) async fn a_scan_goes_on_behind_any_key(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    for key in ["p/b", "p/d", "p/d/e", "p/f", "q/a"] {
        set(&kv, key, None, "x").await?;
    }
    let wanted: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("p/", &["p/b", "p/d", "p/d/e", "p/f"][..]),
        ("p/a", &["p/b", "p/d", "p/d/e", "p/f"]),
        ("p/b", &["p/d", "p/d/e", "p/f"]),
        ("p/c", &["p/d", "p/d/e", "p/f"]),
        ("p/d", &["p/d/e", "p/f"]),
        ("p/d/", &["p/d/e", "p/f"]),
        ("p/f", &[]),
        ("p/z", &[]),
    ]);
    for (after, wanted) in wanted {
        let entries = kv.scan("p/", Some(after), 10).await?;
        ensure!(keys(&entries) == wanted, "behind {after:?} come {wanted:?}, a scan gives {:?}", keys(&entries));
    }
    Ok(())
}

pub(super) async fn a_scan_shows_what_get_shows(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    for key in fill(&kv).await? {
        let there = kv.get(&key).await?.ok_or("it was set, and is absent")?;
        set(&kv, &key, Some(&there.rev), format!("second value of {key}")).await?;
    }
    for (key, entry) in kv.scan("", None, 100).await? {
        let there = kv.get(&key).await?;
        ensure!(there.as_ref() == Some(&entry), "{key:?} is {entry:?} in a scan, and {there:?} in a get");
    }
    Ok(())
}

pub(super) async fn a_scan_misses_nothing_while_others_write(bench: KvBench) -> Checked {
    let kv = bench.open().await;
    let before = fill(&kv).await?;
    let writer = {
        let kv = kv.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                set(&kv, &format!("o/a/new {n}"), None, "x").await?;
            }
            Ok(())
        })
    };
    for _ in 0..10 {
        let entries = kv.scan("", None, 1000).await?;
        let listed: BTreeSet<&str> = keys(&entries).into_iter().collect();
        let missed: Vec<_> = before.iter().filter(|key| !listed.contains(key.as_str())).collect();
        ensure!(missed.is_empty(), "{missed:?} were set before the scan began, and it misses them");
        tokio::task::yield_now().await;
    }
    joined(writer).await
}
