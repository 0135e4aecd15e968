//! Rows of lives that are over are removed a day after they were seen so (R10), and a row that is gone says `dead`: to who
//! stood still all the while, too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use remote_object::Result;
use remote_object::error::{Error, Kind, Outcome};
use remote_object::model::{
    Caps, Cas, Entry, Item, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::Datastore;
use tokio::sync::Mutex;

use super::caller::*;
use super::store::{Gate, On, Plan, Scripted, shared_memory};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Longer than from one look at the registers to the next.
const LOOK: Duration = Duration::from_secs(30);

/// A store that removes registers: one whose value is of a rev that was removed is absent.
#[derive(Debug)]
struct Removing {
    inner: Arc<dyn Datastore>,
    removed: Mutex<HashMap<String, Rev>>,
}

impl Removing {
    fn store() -> Arc<dyn Datastore> {
        Arc::new(Self { inner: shared_memory(), removed: Mutex::default() })
    }
}

impl Datastore for Removing {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(async move {
            let removed = self.removed.lock().await;
            let there = self.inner.get(register).await?;
            Ok(there.filter(|there| removed.get(register.name()) != Some(&there.rev)))
        })
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        Box::pin(async move {
            let removed = self.removed.lock().await;
            let gone = removed.get(register.name());
            match seen {
                None => match self.inner.cas(register, gone, new).await {
                    Cas::Mismatch => self.inner.cas(register, None, new).await,
                    answer => answer,
                },
                Some(seen) if gone == Some(seen) => Cas::Mismatch,
                seen => self.inner.cas(register, seen, new).await,
            }
        })
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut removed = self.removed.lock().await;
            let there = self.inner.get(register).await?.filter(|there| there.rev == *seen);
            Ok(there.is_some_and(|there| removed.insert(register.name().to_owned(), there.rev).as_ref() != Some(seen)))
        })
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        self.inner.load(key)
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        self.inner.version(key)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        self.inner.put(key, seen, record)
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        Box::pin(async move {
            let removed = self.removed.lock().await;
            let mut page = self.inner.scan(what, after, limit).await?;
            let is_there = |item: &Item| match item {
                Item::Register(register, entry) => removed.get(register.name()) != Some(&entry.rev),
                _ => true,
            };
            page.items.retain(is_there);
            Ok(page)
        })
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.purge()
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        self.inner.failed()
    }
}

/// Time goes by at once, and then long enough for a look.
async fn goes_by(time: Duration) {
    tokio::time::advance(time).await;
    tokio::time::sleep(LOOK).await;
}

/// What the rows of this name say, in any order.
async fn states(store: &Scripted, name: &str) -> Vec<String> {
    let rows = lives(store).await.into_iter().filter(|(_, row)| row["name"] == name);
    rows.map(|(_, row)| row["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_row_of_a_life_that_is_over_is_removed_a_day_after_it_was_seen_so() {
    let inner = Removing::store();
    let (one, two) = (Scripted::over(Arc::clone(&inner)), Scripted::over(inner));
    let first = named(&one, "first").await;
    let second = named(&two, "second").await;
    add(first.host(), "a", 1).now().await.unwrap();
    first.stop().await;
    goes_by(Duration::ZERO).await;
    for _ in 0..23 {
        goes_by(HOUR).await;
        assert_eq!(states(&two, "first").await, ["dead"]);
    }
    goes_by(HOUR).await;
    assert!(states(&two, "first").await.is_empty(), "it is there still");
    assert_eq!(states(&two, "second").await, ["up"]);
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_a_shard_names_stays_until_none_does() {
    let inner = Removing::store();
    let (one, two) = (Scripted::over(Arc::clone(&inner)), Scripted::over(inner));
    let first = named(&one, "first").await;
    add(first.host(), "a", 1).now().await.unwrap();
    two.always(On::Cas, Register::shard(key("a").shard(1024)).name(), Plan::Refuse);
    let second = named(&two, "second").await;
    first.stop().await;
    goes_by(Duration::ZERO).await;
    goes_by(HOUR * 30).await;
    assert_eq!(states(&two, "first").await, ["dead"]);
    two.calm();
    goes_by(Duration::ZERO).await;
    goes_by(Duration::ZERO).await;
    assert!(states(&two, "first").await.is_empty(), "it is there still");
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_removes_nothing_keeps_them() {
    let inner = shared_memory();
    let (one, two) = (Scripted::over(Arc::clone(&inner)), Scripted::over(inner));
    let first = named(&one, "first").await;
    let _second = named(&two, "second").await;
    first.stop().await;
    goes_by(Duration::ZERO).await;
    goes_by(HOUR * 50).await;
    assert_eq!(states(&two, "first").await, ["dead"]);
}

/// A node stands still, with an edit and a read of its under way, until its row is gone; and then goes on.
async fn thaws_after_its_row_is_gone(insert_lands: bool) {
    let inner = Removing::store();
    let (one, two) = (Scripted::over(Arc::clone(&inner)), Scripted::over(inner));
    if insert_lands {
        // Its row is inserted twice, since nobody answers the first time.
        one.next(On::Cas, "node/", Plan::LostUntilLater);
    }
    let first = named(&one, "first").await;
    let second = named(&two, "second").await;
    assert_eq!(number(&add(first.host(), "a", 1).now().await), 1);
    let frozen = Gate::shut();
    for on in [On::Cas, On::Get] {
        one.always(on, "node/", Plan::Before(frozen.clone()));
    }
    one.always(On::Put, "", Plan::Before(frozen.clone()));
    let (edit, read) = (add(first.host(), "a", 100).sent().await, get(first.host(), "a").sent().await);
    assert_eq!(number(&add(second.host(), "a", 10).anywhere().now().await), 11);
    goes_by(Duration::ZERO).await;
    goes_by(HOUR * 25).await;
    assert!(states(&two, "first").await.is_empty(), "it is there still");
    if insert_lands {
        assert!(one.land_cas().await, "it was created once more");
        assert_eq!(states(&two, "first").await, ["up"]);
    }
    one.calm();
    frozen.open();
    // It was told before the thaw that the store does not answer.
    assert_eq!(
        failure(&read.answer().await),
        (Kind::StoreUnavailable, Outcome::NotExecuted),
        "a dead life answered a read"
    );
    assert!(edit.answer().await.is_err(), "a dead life acknowledged an edit");
    assert_eq!(failure(&get(first.host(), "a").now().await), (Kind::WrongNode, Outcome::NotExecuted));
    assert_eq!(value(&get(second.host(), "a").now().await), 11);
    // It watches whoever has its name and its address before it joins again.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let mut states = states(&two, "first").await;
    states.sort();
    // Of a life that nobody lives the beat stands still, or a later one of that name ends it.
    assert_eq!(states, if insert_lands { vec!["dead", "up"] } else { vec!["up"] });
    assert_at_rest(first.host()).await;
}

#[tokio::test(start_paused = true)]
async fn who_stood_still_until_his_row_was_gone_answers_nothing_any_more() {
    thaws_after_its_row_is_gone(false).await;
}

#[tokio::test(start_paused = true)]
async fn an_insert_that_lands_after_the_row_was_gone_brings_no_life_back() {
    thaws_after_its_row_is_gone(true).await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_shard_of_a_life_whose_row_is_gone_writes_it_dead_anew() {
    let inner = Removing::store();
    let (one, two) = (Scripted::over(Arc::clone(&inner)), Scripted::over(inner));
    let first = named(&one, "first").await;
    assert_eq!(number(&add(first.host(), "a", 1).now().await), 1);
    kill(&one, "first").await;
    let (register, _) = lives(&one).await.remove(0);
    let rev = one.inner().get(&register).await.unwrap().unwrap().rev;
    assert!(one.inner().remove(&register, &rev).await.unwrap());
    let second = named(&two, "second").await;
    assert_eq!(number(&add(second.host(), "a", 1).now().await), 2);
    let row = two.inner().get(&register).await.unwrap().expect("it stands there again");
    assert!(String::from_utf8_lossy(&row.value).contains(r#""state":"dead""#));
    assert_eq!(failure(&get(first.host(), "a").now().await), (Kind::WrongNode, Outcome::NotExecuted));
}
