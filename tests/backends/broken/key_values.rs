//! Key-value stores with one fault each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use remote_object::conformance::{Failure, Suite};
use remote_object::error::Result;
use remote_object::model::{Cas, Entry, Rev};
use remote_object::storage::{KeyValue, Memory};

use super::shaky::Shaky;
use super::{caught, caught_all_the_same};

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
    /// Shows what is absent as an empty value.
    InventsEmpty,
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
        if self.fault == KvFault::InventsEmpty && entry.is_none() {
            return Ok(Some(Entry { value: Bytes::new(), rev: Rev::Number(0) }));
        }
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

/// The same, where the way to the store is unreliable.
fn check_kv_unreliable(fault: KvFault) -> Suite {
    let suite = Suite::key_value(move |_| async move { Shaky::new(BrokenKv::new(fault), fault as u64) });
    suite.lists_deleted_for(Duration::ZERO).unreliable()
}

macro_rules! broken_key_values {
    ($($test:ident: $fault:ident caught by $($case:ident)+;)*) => {
        $(
            #[test]
            fn $test() {
                caught(check_kv(KvFault::$fault), &[$(stringify!($case)),+]);
                caught_all_the_same(&check_kv_unreliable(KvFault::$fault), &[$(stringify!($case)),+]);
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
    an_empty_value_for_what_is_absent_is_found: InventsEmpty caught by
        a_key_never_set_is_absent a_register_never_set_is_absent an_object_never_put_has_no_record;
}
