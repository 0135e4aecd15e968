//! Stores that are broken on purpose, as real ones have been: the kit must find each out, by the case that says it, and no
//! less when the way to the store loses requests and answers.

use std::time::Duration;

use remote_object::conformance::{Failure, Suite};
use remote_object::model::Durability;
use remote_object::storage::{Memory, OverKeyValue};

mod datastores;
mod key_values;
mod shaky;

use shaky::Shaky;

#[track_caller]
fn caught(checked: Result<(), Vec<Failure>>, by: &[&str]) {
    let failures = checked.expect_err("the kit has found nothing wrong with a broken store");
    let cases: Vec<&str> = failures.iter().map(|failure| failure.case).collect();
    for case in by {
        assert!(cases.contains(case), "{case} has not caught it, but {failures:#?}");
    }
}

/// Only these cases are run: one fails with a panic.
#[track_caller]
fn caught_all_the_same(suite: &Suite, by: &[&str]) {
    for case in by {
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| suite.test(case)));
        assert!(held.is_err(), "on an unreliable way, {case} has not caught it");
    }
}

#[test]
fn a_store_that_forgets_when_it_is_closed_is_found() {
    let checked = Suite::datastore(|_| async { Memory::store() }).reopens().lists_deleted_for(Duration::ZERO).check();
    caught(checked, &["everything_acknowledged_is_there_when_opened_again", "marks_hold_when_opened_again"]);
}

#[test]
fn a_store_behind_a_bad_way_is_accused_unless_the_kit_is_told() {
    let suite = |seed| {
        Suite::key_value(move |_| async move { Shaky::new(Memory::new(), seed) }).lists_deleted_for(Duration::ZERO)
    };
    assert!(suite(1).check().is_err());
    suite(2).unreliable().check().unwrap();
    let datastore = |_| async { Shaky::new(OverKeyValue::new(Memory::new(), Durability::Weak), 4) };
    Suite::datastore(datastore).lists_deleted_for(Duration::ZERO).unreliable().check().unwrap();
}

#[test]
fn a_store_that_is_not_broken_is_not_accused() {
    let checked = Suite::datastore(|_| async { Memory::store() }).lists_deleted_for(Duration::ZERO).check();
    checked.unwrap();
}
