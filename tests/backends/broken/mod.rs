//! Stores that are broken on purpose, as real ones have been: the kit must find each out, by the case that says it.

use std::time::Duration;

use remote_object::conformance::{Failure, Suite};
use remote_object::storage::Memory;

mod datastores;
mod key_values;

#[track_caller]
fn caught(checked: Result<(), Vec<Failure>>, by: &[&str]) {
    let failures = checked.expect_err("the kit has found nothing wrong with a broken store");
    let cases: Vec<&str> = failures.iter().map(|failure| failure.case).collect();
    for case in by {
        assert!(cases.contains(case), "{case} has not caught it, but {failures:#?}");
    }
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
