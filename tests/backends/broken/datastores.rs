//! Datastores with one fault each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use remote_object::conformance::{Failure, Suite};
use remote_object::error::{Error, Result};
use remote_object::model::{
    Caps, Cas, Durability, Entry, Item, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, Memory, OverKeyValue};

use super::shaky::Shaky;
use super::{caught, caught_all_the_same};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// Deletes the record with the object.
    RemovesDeleted,
    /// Never takes a deleted object off the list.
    ListsDeleted,
    /// Reads state and meta one after the other.
    ReadsTorn,
    /// The last hint counts, whatever its version.
    OverwritesHints,
    /// Drops a hint that is given again with the same version.
    ForgetsHints,
    /// Says that there was a conflict, and not with what.
    HidesVersions,
    /// The same bytes again are a conflict.
    IsNotIdempotent,
    /// The version alone tells whether a put is a repetition.
    ComparesVersionsAlone,
    /// A cursor that is none begins anew.
    TakesAnyCursor,
    /// Gives more than was asked for.
    IgnoresLimits,
    /// The version alone is answered from a cache.
    CachesVersions,
    /// Cuts what is too large, and says that it is stored.
    TakesTooLarge,
    /// Says that it has failed, and goes on.
    CriesWolf,
    /// Lists what was there some pages ago.
    ListsLate,
    /// Purges what lives, and says that all was deleted.
    PurgesLife,
    /// Purges nothing, and says that all is gone.
    PurgesNothing,
    /// Panics on a name it does not like.
    Panics,
}

type Hints = BTreeMap<(u32, ObjectKey), (Option<u64>, Version)>;

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Datastore>,
    fault: Fault,
    put: Mutex<BTreeSet<ObjectKey>>,
    late: Mutex<Vec<ObjectKey>>,
    versions: Mutex<BTreeMap<ObjectKey, Version>>,
    hints: Mutex<Hints>,
    purged: AtomicBool,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        let inner = Arc::new(OverKeyValue::new(Memory::new(), Durability::Weak).record_bytes_max(1 << 20));
        Self {
            inner,
            fault,
            put: Mutex::default(),
            late: Mutex::default(),
            versions: Mutex::default(),
            hints: Mutex::default(),
            purged: AtomicBool::default(),
        }
    }

    async fn put_broken(&self, key: &ObjectKey, seen: Option<&Seen>, record: &Record) -> Put {
        let there = self.inner.load(key).await.unwrap();
        let at = there.as_ref().map(|there| there.record.version);
        match self.fault {
            Fault::IsNotIdempotent if at == Some(record.version) => Put::Conflict(record.version),
            Fault::ComparesVersionsAlone if at == Some(record.version) => Put::Stored(there.unwrap().rev),
            Fault::RemovesDeleted if there.is_some_and(|there| there.record.is_deleted()) && seen.is_none() => {
                let seen = self.inner.load(key).await.unwrap().unwrap();
                let seen = Seen { version: seen.record.version, rev: seen.rev };
                self.inner.put(key, Some(&seen), record).await
            }
            Fault::TakesTooLarge if record.bytes() > self.inner.caps().record_bytes_max => {
                let cut = Record { state: record.state.slice(..10), meta: Bytes::new(), version: record.version };
                self.inner.put(key, seen, &cut).await
            }
            Fault::HidesVersions => match self.inner.put(key, seen, record).await {
                Put::Conflict(_) => Put::Conflict(Version::default()),
                answer => answer,
            },
            Fault::Panics if key.id().contains('\'') => panic!("syntax error near {}", key.id()),
            _ => self.inner.put(key, seen, record).await,
        }
    }

    async fn scan_broken(&self, what: &Scan, after: Option<&str>, limit: usize) -> Result<Page> {
        match (self.fault, what) {
            (Fault::ListsDeleted, Scan::Objects(type_name)) => {
                let all = self.put.lock().unwrap().clone();
                let of_type = all.into_iter().filter(|key| key.type_name() == type_name);
                Ok(Page { items: of_type.map(Item::Object).collect(), next: None })
            }
            (Fault::ListsLate, Scan::Objects(_)) => {
                let page = self.inner.scan(what, after, limit).await?;
                let hidden = self.late.lock().unwrap().last().cloned();
                let items = page
                    .items
                    .into_iter()
                    .filter(|item| !matches!(item, Item::Object(key) if Some(key) == hidden.as_ref()));
                Ok(Page { items: items.collect(), next: page.next })
            }
            (Fault::OverwritesHints | Fault::ForgetsHints, Scan::Hints(shard)) => {
                let all = self.hints.lock().unwrap().clone();
                let due = all.into_iter().filter(|((of, _), _)| of == shard);
                let items =
                    due.filter_map(|((_, key), (due, version))| due.map(|due| Item::Hint { key, due, version }));
                Ok(Page { items: items.collect(), next: None })
            }
            (Fault::TakesAnyCursor, _) => match self.inner.scan(what, after, limit).await {
                Err(_) => self.inner.scan(what, None, limit).await,
                page => page,
            },
            (Fault::IgnoresLimits, _) => self.inner.scan(what, after, limit + 1).await,
            _ => self.inner.scan(what, after, limit).await,
        }
    }
}

impl Datastore for Broken {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn get<'a>(&'a self, register: &'a Register) -> BoxFuture<'a, Result<Option<Entry>>> {
        self.inner.get(register)
    }

    fn cas<'a>(&'a self, register: &'a Register, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas> {
        self.inner.cas(register, seen, new)
    }

    fn remove<'a>(&'a self, register: &'a Register, seen: &'a Rev) -> BoxFuture<'a, Result<bool>> {
        self.inner.remove(register, seen)
    }

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(async move {
            let there = self.inner.load(key).await?;
            match (self.fault, there) {
                (Fault::PurgesLife, Some(_)) if self.purged.load(Relaxed) => Ok(None),
                (Fault::RemovesDeleted, Some(there)) if there.record.is_deleted() => Ok(None),
                (Fault::ReadsTorn, Some(mut there)) => {
                    tokio::time::sleep(Duration::from_micros(100)).await;
                    if let Some(later) = self.inner.load(key).await? {
                        there.record.meta = later.record.meta;
                    }
                    Ok(Some(there))
                }
                (_, there) => Ok(there),
            }
        })
    }

    fn version<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Version>>> {
        Box::pin(async move {
            let version = self.inner.version(key).await?;
            match (self.fault, version) {
                (Fault::CachesVersions, Some(version)) => {
                    Ok(Some(*self.versions.lock().unwrap().entry(key.clone()).or_insert(version)))
                }
                (_, version) => Ok(version),
            }
        })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, seen: Option<&'a Seen>, record: &'a Record) -> BoxFuture<'a, Put> {
        Box::pin(async move {
            let answer = self.put_broken(key, seen, record).await;
            if matches!(answer, Put::Stored(_)) && self.put.lock().unwrap().insert(key.clone()) {
                self.late.lock().unwrap().push(key.clone());
            }
            answer
        })
    }

    fn hint<'a>(&'a self, shard: u32, key: &'a ObjectKey, due: Option<u64>, version: Version) -> BoxFuture<'a, Put> {
        let mut hints = self.hints.lock().unwrap();
        let there = hints.get(&(shard, key.clone())).copied();
        match (self.fault, there) {
            (Fault::ForgetsHints, Some((_, at))) if at == version => drop(hints.remove(&(shard, key.clone()))),
            (Fault::ForgetsHints, Some((_, at))) if at > version => {}
            _ => drop(hints.insert((shard, key.clone()), (due, version))),
        }
        drop(hints);
        self.inner.hint(shard, key, due, version)
    }

    fn scan<'a>(&'a self, what: &'a Scan, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Page>> {
        Box::pin(self.scan_broken(what, after, limit))
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64>> {
        match self.fault {
            Fault::PurgesLife => Box::pin(async {
                self.purged.store(true, Relaxed);
                Ok(1)
            }),
            Fault::PurgesNothing => Box::pin(future::ready(Ok(20))),
            _ => self.inner.purge(),
        }
    }

    fn failed(&self) -> BoxFuture<'_, Error> {
        match self.fault {
            Fault::CriesWolf => Box::pin(future::ready(Error::store("wolf"))),
            _ => self.inner.failed(),
        }
    }
}

fn check(fault: Fault) -> Result<(), Vec<Failure>> {
    Suite::datastore(move |_| async move { Broken::new(fault) }).lists_deleted_for(Duration::ZERO).check()
}

/// The same, where the way to the store is unreliable.
fn check_unreliable(fault: Fault) -> Suite {
    let suite = Suite::datastore(move |_| async move { Shaky::new(Broken::new(fault), fault as u64) });
    suite.lists_deleted_for(Duration::ZERO).unreliable()
}

macro_rules! broken_datastores {
    ($($test:ident: $fault:ident caught by $($case:ident)+;)*) => {
        $(
            #[test]
            fn $test() {
                caught(check(Fault::$fault), &[$(stringify!($case)),+]);
                caught_all_the_same(&check_unreliable(Fault::$fault), &[$(stringify!($case)),+]);
            }
        )*
    };
}

broken_datastores! {
    a_record_removed_with_its_object_is_found: RemovesDeleted caught by
        a_deleted_object_keeps_its_record;
    a_deleted_object_listed_for_ever_is_found: ListsDeleted caught by
        a_deleted_object_is_listed_no_more a_list_between_deleted_objects_ends;
    a_torn_read_is_found: ReadsTorn caught by
        state_meta_and_version_are_of_one_put;
    a_late_hint_that_overwrites_is_found: OverwritesHints caught by
        a_hint_of_a_lower_version_changes_nothing;
    a_hint_lost_by_repetition_is_found: ForgetsHints caught by
        a_hint_is_listed_with_its_due_time;
    a_conflict_that_tells_no_version_is_found: HidesVersions caught by
        a_conflict_tells_the_version_there random_operations_do_what_the_model_does;
    a_repetition_taken_for_a_conflict_is_found: IsNotIdempotent caught by
        putting_the_same_record_again_is_stored random_operations_do_what_the_model_does;
    other_bytes_taken_for_a_repetition_are_found: ComparesVersionsAlone caught by
        the_same_version_with_other_bytes_is_no_repetition;
    a_cursor_never_checked_is_found: TakesAnyCursor caught by
        a_cursor_of_another_list_is_a_bad_request;
    a_page_too_long_is_found: IgnoresLimits caught by
        a_page_holds_no_more_than_its_limit_and_pages_end;
    a_version_from_a_cache_is_found: CachesVersions caught by
        a_record_reads_back_as_it_was_put;
    a_record_cut_and_called_stored_is_found: TakesTooLarge caught by
        a_record_too_large_is_refused;
    a_false_alarm_is_found: CriesWolf caught by
        a_store_in_order_has_not_failed;
    a_list_that_lags_is_found: ListsLate caught by
        a_list_has_each_object_of_its_type_once an_object_born_again_is_listed;
    a_purge_of_what_lives_is_found: PurgesLife caught by
        a_purge_removes_what_is_deleted_and_nothing_else;
    a_purge_that_leaves_what_it_says_is_gone_is_found: PurgesNothing caught by
        a_purge_removes_what_is_deleted_and_nothing_else;
    a_panic_is_found_and_told: Panics caught by
        ids_of_every_legal_shape_are_kept;
}
