//! The protocol's model: `protocol.md` as a program small enough that every state of it can be looked at.
//!
//! Registers, replicas, nodes and callers are a few bytes each ([`world`]); a node does what the rules let it do
//! ([`node`], [`object`]); [`explore`] takes every step in every order, and [`properties`] judges each answer. Nothing
//! here runs the library: what is shown is that the *rules* suffice, within the bounds, and that each is needed.
//! [`bounds`] has one small model for each concern; the protocol must keep its promises in all of them, seen to the end.
//! Then the rules of `protocol.md` §9 are left out one by one ([`rules`]), and the same model must find a broken promise:
//!
//! | left out | model |
//! |---|---|
//! | confirm | [`CONFIRM`] |
//! | confirm started after the put's ack | [`CONFIRM`] |
//! | kill by an own applied CAS, not by a read | [`CONFIRM`] |
//! | confirm for answers that write nothing | [`CONFIRM`] |
//! | a row that is gone says `dead`, and one that came back does (not in §9) | [`REMOVED`] |
//! | seal | [`SEAL`], and with read repair [`SEAL_REPAIRED`] |
//! | the epoch in the version | [`VERSIONS`] |
//! | a new epoch after a sent release | [`RELEASE`] |
//! | no reads after a sent release | [`RELEASE`] |
//! | L1 dropped at a release | [`RELEASE`] |
//! | an unsettled put remembered | [`UNSETTLED`] |
//! | keys in the record, not in a row of their own | [`KEYS`] |
//! | stored replies after the put, not from the working copy | [`KEYS`] |
//! | CAS `Unknown` may land | [`KEYS_CONDITIONAL`] |
//! | the horizon, when keys are forgotten by count; by time | [`KEYS_CONDITIONAL`] |
//! | a keyed call runs under no earlier epoch than it was sent for (not in §9) | [`KEYS_CONDITIONAL`] |
//! | the horizon asked for first sendings too (not in §9) | [`STRAGGLER`] |
//! | an own record under the failure of a second sending (not in §9) | [`FAILURE`], [`FAILURE_CONDITIONAL`] |
//! | keys outlive the object | [`DELETION`] |
//! | an ETag for each call, not for the turn | [`TURNS`] |
//! | L2 entry by version, not by age or presence | [`CACHE`] |
//!
//! [`formats`] is a model of its own, of how a newer record format comes to be written.
//!
//! Not in the model: the watch, beats as such and drain (R10), forwarding (R11), calls between
//! objects (R9), effects (§6), a record whose columns mix, and everything that needs more than the bounds give.
#![allow(clippy::unwrap_used, missing_docs, reason = "helpers of tests")]

mod bounds;
mod explore;
mod formats;
mod node;
mod object;
mod properties;
mod rules;
mod steps;
mod world;

use bounds::{
    Bounds, CACHE, CONFIRM, DELETION, FAILURE, FAILURE_CONDITIONAL, KEYS, KEYS_CONDITIONAL, RELEASE,
    RELEASE_CONDITIONAL, REMOVED, REMOVED_LATE, SEAL, SEAL_REPAIRED, STRAGGLER, TURNS, UNSETTLED, VERSIONS,
};
use explore::explore;
use node::Protocol;
use rules::Rule;

/// More states than this, and a model is no small one.
const STATES_MAX: usize = 3_000_000;

/// The protocol keeps its promises in every state of this model.
fn keeps_its_promises(bounds: Bounds) {
    let explored = explore(&Protocol { bounds, without: None }, STATES_MAX);
    println!("{}: {} states, up to {} steps away", bounds.name, explored.states, explored.depth);
    if let Some(counterexample) = explored.counterexample {
        panic!("{}: the protocol itself breaks a promise\n{counterexample}", bounds.name);
    }
}

/// Without this rule it does not.
fn needs(rule: Rule, bounds: Bounds) {
    let explored = explore(&Protocol { bounds, without: Some(rule) }, STATES_MAX);
    let Some(counterexample) = explored.counterexample else {
        panic!("{}: nothing breaks without {rule:?}, in {} states", bounds.name, explored.states);
    };
    println!("{}, without {rule:?}: after {} states\n{counterexample}", bounds.name, explored.states);
}

macro_rules! models {
    ($($name:ident: $bounds:ident;)*) => {
        mod the_protocol_keeps_its_promises {
            $(#[test] fn $name() { super::keeps_its_promises(super::$bounds); })*
        }
    };
}

models! {
    over_kill_and_take: CONFIRM;
    over_rows_that_are_removed_and_come_back: REMOVED;
    over_rows_that_are_removed_while_changes_land_late: REMOVED_LATE;
    over_three_owners: SEAL;
    over_three_owners_with_read_repair: SEAL_REPAIRED;
    between_the_puts_of_two_owners: VERSIONS;
    over_release_and_take_back: RELEASE;
    over_release_and_take_back_on_a_conditional_store: RELEASE_CONDITIONAL;
    when_an_activation_is_lost_with_its_put: UNSETTLED;
    to_keyed_calls: KEYS;
    to_keyed_calls_on_a_conditional_store: KEYS_CONDITIONAL;
    to_keyed_calls_whose_first_sending_comes_last: STRAGGLER;
    to_calls_that_fail_when_sent_again: FAILURE;
    to_calls_that_fail_when_sent_again_on_a_conditional_store: FAILURE_CONDITIONAL;
    over_a_deletion: DELETION;
    within_a_turn: TURNS;
    with_a_cache_that_lies: CACHE;
}

macro_rules! broken {
    ($($name:ident: $rule:ident in $bounds:ident;)*) => {
        mod a_promise_breaks_without {
            $(#[test] fn $name() { super::needs(super::Rule::$rule, super::$bounds); })*
        }
    };
}

broken! {
    confirm: Confirm in CONFIRM;
    the_ack_before_the_confirm: ConfirmAfterTheAck in CONFIRM;
    the_kill_by_an_applied_write: KillByAnAppliedWrite in CONFIRM;
    a_confirm_for_answers_that_write_nothing: ConfirmForEveryAnswer in CONFIRM;
    the_row_that_is_gone_being_dead: GoneIsDead in REMOVED;
    the_row_that_came_back_being_dead: RowOfItsBeats in REMOVED;
    the_seal: Seal in SEAL;
    the_seal_though_reads_repair: Seal in SEAL_REPAIRED;
    the_epoch_in_the_version: EpochInTheVersion in VERSIONS;
    a_new_epoch_after_a_sent_release: NewEpochAfterRelease in RELEASE;
    silence_of_reads_after_a_sent_release: NoReadsAfterRelease in RELEASE;
    an_empty_cache_after_a_release: EmptyAfterRelease in RELEASE;
    the_memory_of_unsettled_puts: UnsettledIsRemembered in UNSETTLED;
    the_keys_in_the_record: KeysInTheRecord in KEYS;
    the_wait_of_stored_replies_for_the_put: StoredReplyAfterThePut in KEYS;
    the_knowledge_that_an_unknown_cas_may_land: UnknownMayLand in KEYS_CONDITIONAL;
    the_horizon_of_keys_forgotten_by_count: HorizonOfTheCounted in KEYS_CONDITIONAL;
    the_horizon_of_keys_forgotten_by_time: HorizonOfTheTimed in KEYS_CONDITIONAL;
    the_refusal_of_calls_for_a_later_epoch: CallsForTheirEpoch in KEYS_CONDITIONAL;
    the_horizon_for_first_sendings: HorizonForFirstSendings in STRAGGLER;
    an_own_record_under_a_failure: FailureOverAnOwnRecord in FAILURE;
    an_own_record_under_a_failure_on_a_conditional_store: FailureOverAnOwnRecord in FAILURE_CONDITIONAL;
    keys_that_outlive_the_object: KeysOutliveTheObject in DELETION;
    an_etag_for_each_call: TagForEachCall in TURNS;
    the_version_of_a_cached_entry: CacheByVersion in CACHE;
}
