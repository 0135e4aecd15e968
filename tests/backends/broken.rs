//! Stores that are broken on purpose, as real ones have been: the kit must find each out, by the case that says it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use remote_object::conformance::{Failure, Suite};
use remote_object::error::{Error, Result};
use remote_object::model::{
    Caps, Cas, Durability, Entry, Item, Loaded, ObjectKey, Page, Put, Record, Register, Rev, Scan, Seen, Version,
};
use remote_object::storage::{Datastore, KeyValue, Memory, OverKeyValue};

#[track_caller]
fn caught(checked: Result<(), Vec<Failure>>, by: &[&str]) {
    let failures = checked.expect_err("the kit has found nothing wrong with a broken store");
    let cases: Vec<&str> = failures.iter().map(|failure| failure.case).collect();
    for case in by {
        assert!(cases.contains(case), "{case} has not caught it, but {failures:#?}");
    }
}

// --- Broken key-value stores ---------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq, Debug)]
enum KvFault {
    /// Looks, then writes, and somebody may write between.
    LosesUpdates,
    /// Writes whatever the rev is.
    IgnoresSeen,
    /// As a case-insensitive collation.
    FoldsCase,
    /// As a padded text column.
    TrimsKeys,
    /// The rev is a hash of the content: it comes back with it.
    RepeatsRevs,
    /// The rev of a get is not the one to quote.
    WrongRevInScans,
    /// A page begins one too late.
    MissesAtTheBorder,
    /// A page begins one too early.
    RepeatsAtTheBorder,
    /// Gives half a page though there is more.
    EndsEarly,
    /// `o/a/` finds `o/ab/` too.
    ConfusesPrefixes,
    /// Newest first.
    ScansBackwards,
    /// A replica that lags: an applied write is seen later.
    SeenLater,
    /// A column too short.
    Truncates,
    /// Text where bytes should be.
    ReplacesBytes,
    /// Answers `Applied` to a conflict.
    SwallowsConflicts,
    /// Two writes where one should be.
    WritesInHalves,
    /// Keeps no empty value.
    DropsEmpty,
}

#[derive(Debug)]
struct BrokenKv {
    inner: Arc<Memory>,
    /// What a replica that lags shows.
    lagging: Arc<Mutex<BTreeMap<String, Entry>>>,
    fault: KvFault,
}

impl BrokenKv {
    fn new(fault: KvFault) -> Self {
        Self { inner: Arc::new(Memory::new()), lagging: Arc::default(), fault }
    }

    fn key(&self, key: &str) -> String {
        match self.fault {
            KvFault::FoldsCase => key.to_lowercase(),
            KvFault::TrimsKeys => key.trim_end().to_owned(),
            _ => key.to_owned(),
        }
    }

    fn entry(&self, entry: Entry) -> Entry {
        match self.fault {
            KvFault::RepeatsRevs => Entry { rev: content_rev(&entry.value), value: entry.value },
            _ => entry,
        }
    }
}

fn content_rev(value: &[u8]) -> Rev {
    Rev::Number(value.iter().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte))))
}

impl KeyValue for BrokenKv {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let key = self.key(key);
        if self.fault == KvFault::SeenLater {
            return Ok(self.lagging.lock().unwrap().get(&key).cloned());
        }
        let entry = KeyValue::get(&*self.inner, &key).await?;
        let entry = entry.filter(|entry| self.fault != KvFault::DropsEmpty || !entry.value.is_empty());
        Ok(entry.map(|entry| self.entry(entry)))
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        let key = self.key(key);
        let there = KeyValue::get(&*self.inner, &key).await.unwrap();
        let rev = there.as_ref().map(|entry| &entry.rev);
        match self.fault {
            KvFault::LosesUpdates if rev == seen => {
                tokio::time::sleep(Duration::from_micros(50)).await;
                let now = KeyValue::get(&*self.inner, &key).await.unwrap().map(|entry| entry.rev);
                self.inner.compare_and_set(&key, now.as_ref(), new).await
            }
            KvFault::IgnoresSeen => self.inner.compare_and_set(&key, rev, new).await,
            KvFault::RepeatsRevs if there.as_ref().map(|entry| content_rev(&entry.value)).as_ref() == seen => {
                self.inner.compare_and_set(&key, rev, new.clone()).await;
                Cas::Applied(content_rev(&new))
            }
            KvFault::RepeatsRevs => Cas::Mismatch,
            KvFault::SeenLater => {
                let answer = self.inner.compare_and_set(&key, seen, new.clone()).await;
                if let Cas::Applied(rev) = answer.clone() {
                    let lagging = Arc::clone(&self.lagging);
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        lagging.lock().unwrap().insert(key, Entry { value: new, rev });
                    });
                }
                answer
            }
            KvFault::Truncates => self.inner.compare_and_set(&key, seen, new.slice(..new.len().min(65_535))).await,
            KvFault::ReplacesBytes => {
                let text = String::from_utf8_lossy(&new).into_owned();
                self.inner.compare_and_set(&key, seen, text.into()).await
            }
            KvFault::SwallowsConflicts => match self.inner.compare_and_set(&key, seen, new).await {
                Cas::Mismatch => Cas::Applied(rev.cloned().unwrap_or(Rev::Number(0))),
                answer => answer,
            },
            KvFault::WritesInHalves => match self.inner.compare_and_set(&key, seen, new.slice(..new.len() / 2)).await {
                Cas::Applied(rev) => {
                    tokio::task::yield_now().await;
                    self.inner.compare_and_set(&key, Some(&rev), new).await
                }
                answer => answer,
            },
            _ => self.inner.compare_and_set(&key, seen, new).await,
        }
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let mut entries = match self.fault {
            KvFault::MissesAtTheBorder if after.is_some() => {
                let entries = KeyValue::scan(&*self.inner, prefix, after, limit + 1).await?;
                entries.into_iter().skip(1).collect()
            }
            KvFault::RepeatsAtTheBorder if after.is_some() => {
                let all = KeyValue::scan(&*self.inner, prefix, None, usize::MAX).await?;
                all.into_iter().filter(|(key, _)| Some(key.as_str()) >= after).take(limit).collect()
            }
            KvFault::EndsEarly => KeyValue::scan(&*self.inner, prefix, after, limit.div_ceil(2)).await?,
            KvFault::ConfusesPrefixes => {
                KeyValue::scan(&*self.inner, prefix.trim_end_matches('/'), after, limit).await?
            }
            KvFault::ScansBackwards => {
                let mut all = KeyValue::scan(&*self.inner, prefix, None, usize::MAX).await?;
                all.reverse();
                all.into_iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() < after)).take(limit).collect()
            }
            _ => KeyValue::scan(&*self.inner, prefix, after, limit).await?,
        };
        for (key, entry) in &mut entries {
            if self.fault == KvFault::WrongRevInScans {
                entry.rev = Rev::Text(key.as_str().into());
            } else {
                *entry = self.entry(entry.clone());
            }
        }
        Ok(entries)
    }
}

fn check_kv(fault: KvFault) -> Result<(), Vec<Failure>> {
    Suite::key_value(move |_| async move { BrokenKv::new(fault) }).lists_deleted_for(Duration::ZERO).check()
}

macro_rules! broken_key_values {
    ($($test:ident: $fault:ident caught by $($case:ident)+;)*) => {
        $(
            #[test]
            fn $test() {
                caught(check_kv(KvFault::$fault), &[$(stringify!($case)),+]);
            }
        )*
    };
}

broken_key_values! {
    a_lost_update_is_found: LosesUpdates caught by
        counting_in_a_key_from_many_tasks_loses_nothing
        counting_in_a_register_from_many_tasks_loses_nothing
        updates_from_many_tasks_lose_nothing
        an_object_is_created_by_one_of_many_tasks;
    a_put_that_ignores_what_was_seen_is_found: IgnoresSeen caught by
        a_key_is_set_only_on_the_rev_it_has
        a_cas_on_another_rev_is_refused_and_changes_nothing
        a_second_creation_is_refused
        a_stale_update_is_refused
        random_operations_do_what_the_model_does;
    a_collation_that_folds_case_is_found: FoldsCase caught by
        keys_differ_byte_for_byte registers_differ_byte_for_byte ids_differ_byte_for_byte;
    keys_without_their_trailing_blanks_are_found: TrimsKeys caught by
        keys_differ_byte_for_byte registers_differ_byte_for_byte ids_differ_byte_for_byte;
    a_rev_that_comes_back_is_found: RepeatsRevs caught by
        a_rev_of_a_key_never_comes_back a_rev_of_a_register_never_comes_back;
    a_scan_that_gives_other_revs_is_found: WrongRevInScans caught by
        a_scan_shows_what_get_shows registers_are_listed_by_prefix;
    a_list_that_misses_one_at_the_border_of_a_page_is_found: MissesAtTheBorder caught by
        a_scan_has_each_key_of_its_prefix_in_order a_list_has_each_object_of_its_type_once hints_are_listed_page_by_page;
    a_list_that_repeats_one_at_the_border_of_a_page_is_found: RepeatsAtTheBorder caught by
        a_scan_has_each_key_of_its_prefix_in_order a_list_has_each_object_of_its_type_once hints_are_listed_page_by_page;
    a_list_that_ends_early_is_found: EndsEarly caught by
        a_scan_has_each_key_of_its_prefix_in_order a_list_has_each_object_of_its_type_once;
    a_prefix_taken_for_another_is_found: ConfusesPrefixes caught by
        a_scan_has_each_key_of_its_prefix_in_order an_empty_type_lists_nothing hints_are_listed_by_their_shard;
    a_scan_against_the_order_is_found: ScansBackwards caught by a_scan_has_each_key_of_its_prefix_in_order;
    a_write_acknowledged_before_it_is_seen_is_found: SeenLater caught by
        a_value_reads_back_as_it_was_set
        an_applied_cas_is_seen_by_every_later_get
        an_acknowledged_put_is_seen_by_every_later_load;
    a_large_value_cut_short_is_found: Truncates caught by
        values_of_every_shape_survive the_largest_record_reads_back;
    bytes_taken_for_text_are_found: ReplacesBytes caught by
        values_of_every_shape_survive every_byte_survives_in_meta;
    a_conflict_answered_as_success_is_found: SwallowsConflicts caught by
        a_key_is_created_once a_stale_update_is_refused updates_from_many_tasks_lose_nothing;
    a_write_in_two_halves_is_found: WritesInHalves caught by
        state_meta_and_version_are_of_one_put a_dropped_put_lands_whole_or_not_at_all;
    an_empty_value_taken_for_none_is_found: DropsEmpty caught by
        values_of_every_shape_survive a_register_may_be_empty_or_long;
}

// --- Broken datastores ---------------------------------------------------------------------------------------------

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
    /// Panics on a name it does not like.
    Panics,
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Datastore>,
    fault: Fault,
    put: Mutex<BTreeSet<ObjectKey>>,
    late: Mutex<Vec<ObjectKey>>,
    versions: Mutex<BTreeMap<ObjectKey, Version>>,
    hints: Mutex<BTreeMap<(u32, ObjectKey), (Option<u64>, Version)>>,
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

    fn load<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Loaded>>> {
        Box::pin(async move {
            let there = self.inner.load(key).await?;
            match (self.fault, there) {
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

macro_rules! broken_datastores {
    ($($test:ident: $fault:ident caught by $($case:ident)+;)*) => {
        $(
            #[test]
            fn $test() {
                caught(check(Fault::$fault), &[$(stringify!($case)),+]);
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
    a_panic_is_found_and_told: Panics caught by
        ids_of_every_legal_shape_are_kept;
}

#[test]
fn a_store_that_forgets_when_it_is_closed_is_found() {
    let checked = Suite::datastore(|_| async { Memory::store() }).reopens().lists_deleted_for(Duration::ZERO).check();
    caught(checked, &["everything_acknowledged_is_there_when_opened_again", "marks_hold_when_opened_again"]);
}

#[test]
fn a_store_that_is_not_broken_is_not_accused() {
    let checked = Suite::datastore(|_| async { Memory::store() }).lists_deleted_for(Duration::ZERO).check();
    checked.unwrap();
}
