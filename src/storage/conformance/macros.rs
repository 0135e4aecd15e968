//! The list of the cases, and the macros that make a test of each.

/// The cases of a `Datastore`, by the file they stand in, given to the macro that is named.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_datastore_cases {
    ($to:ident) => {
        $to! {
            registers {
                a_register_never_set_is_absent
                a_register_reads_back_as_it_was_set
                a_register_may_be_empty_or_long
                a_cas_on_another_rev_is_refused_and_changes_nothing
                a_register_is_created_once
                a_rev_of_a_register_never_comes_back
                a_register_is_removed_by_who_saw_it_last_or_not_at_all
                registers_differ_byte_for_byte
                counting_in_a_register_from_many_tasks_loses_nothing
                a_register_is_created_by_one_of_many_tasks
                an_applied_cas_is_seen_by_every_later_get
            }
            records {
                an_object_never_put_has_no_record
                a_record_reads_back_as_it_was_put
                an_acknowledged_put_is_seen_by_every_later_load
                a_second_creation_is_refused
                a_stale_update_is_refused
                an_update_of_an_absent_object_is_refused
                a_conflict_tells_the_version_there
                putting_the_same_record_again_is_stored
                the_same_version_with_other_bytes_is_no_repetition
                a_mark_on_a_record_never_comes_back
                a_deleted_object_keeps_its_record
                the_highest_version_wins_on_an_ordered_store
                a_store_in_order_has_not_failed
            }
            shapes {
                ids_differ_byte_for_byte
                types_differ_byte_for_byte
                ids_of_every_legal_shape_are_kept
                every_byte_survives_in_meta
                every_text_survives_in_state
                empty_parts_survive
                epochs_and_sequences_survive
                the_largest_record_reads_back
                a_record_too_large_is_refused
            }
            atomicity {
                state_meta_and_version_are_of_one_put
                updates_from_many_tasks_lose_nothing
                an_object_is_created_by_one_of_many_tasks
                many_objects_are_put_at_once
                a_dropped_put_lands_whole_or_not_at_all
                a_dropped_cas_lands_whole_or_not_at_all
            }
            listings {
                an_empty_type_lists_nothing
                a_list_has_each_object_of_its_type_once
                a_page_holds_no_more_than_its_limit_and_pages_end
                the_order_of_a_list_does_not_change
                a_deleted_object_is_listed_no_more
                an_object_born_again_is_listed
                a_list_between_deleted_objects_ends
                a_cursor_of_another_list_is_a_bad_request
                a_list_misses_nothing_while_others_write
                many_lists_are_read_at_once
                registers_are_listed_by_prefix
            }
            hints {
                a_hint_is_listed_with_its_due_time
                a_later_hint_replaces_an_earlier_one
                a_hint_of_a_lower_version_changes_nothing
                a_cleared_hint_is_listed_no_more
                hints_are_listed_by_their_shard
                hints_are_listed_page_by_page
            }
            purging {
                a_purge_removes_what_is_deleted_and_nothing_else
            }
            reopening {
                everything_acknowledged_is_there_when_opened_again
                marks_hold_when_opened_again
            }
            random {
                random_operations_do_what_the_model_does
            }
        }
    };
}

/// The cases of a `KeyValue`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_key_value_cases {
    ($to:ident) => {
        $to! {
            key_values {
                a_key_never_set_is_absent
                a_value_reads_back_as_it_was_set
                a_key_is_set_only_on_the_rev_it_has
                a_key_is_created_once
                a_rev_of_a_key_never_comes_back
                keys_differ_byte_for_byte
                values_of_every_shape_survive
                counting_in_a_key_from_many_tasks_loses_nothing
                a_scan_has_each_key_of_its_prefix_in_order
                a_scan_goes_on_behind_any_key
                a_scan_shows_what_get_shows
                a_scan_misses_nothing_while_others_write
            }
        }
    };
}

/// One `#[test]` for each case, in a module where `suite()` makes the suite.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($($room:ident { $($case:ident)* })*) => {
        $($(
            #[test]
            fn $case() {
                suite().test(stringify!($case));
            }
        )*)*
    };
}

/// One test a case, for a [`Datastore`](crate::storage::Datastore): a name, a closure that opens a store in a
/// [`Place`](crate::conformance::Place), and those settings of a [`Suite`](crate::conformance::Suite) that it needs,
/// such as `reopens` or `record_bytes_max(4096)`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_datastore {
    ($name:ident, $open:expr $(, $setting:ident $(( $($value:expr),* ))?)* $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::__conformance_tests;

            fn suite() -> $crate::conformance::Suite {
                $crate::conformance::Suite::datastore($open) $(.$setting($($($value),*)?))*
            }

            $crate::__conformance_datastore_cases!(__conformance_tests);
        }
    };
}

/// One test a case, for a [`KeyValue`](crate::storage::KeyValue) and for the datastore over it; as
/// [`datastore!`](crate::conformance::datastore).
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_key_value {
    ($name:ident, $open:expr $(, $setting:ident $(( $($value:expr),* ))?)* $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::__conformance_tests;

            fn suite() -> $crate::conformance::Suite {
                $crate::conformance::Suite::key_value($open) $(.$setting($($($value),*)?))*
            }

            $crate::__conformance_key_value_cases!(__conformance_tests);
            $crate::__conformance_datastore_cases!(__conformance_tests);
        }
    };
}
