//! One suite of behaviours, run in every way there is to run objects, and on every store: the results, and the errors, are
//! the same.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod cases;
mod objects;
mod stores;
mod world;

use remote_object::{Config, Service};
use world::World;

/// One test a case: it runs in zero mode under paused time and in sync mode in real time on a store, and both must answer
/// alike. Where the store's server is missing, that is said, and the test ends.
macro_rules! behaviours {
    ($store:ident: $($name:ident)*) => {
        mod $store {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let sync =
                        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                    let builder = Service::builder().config(config());
                    let Some(ground) = sync.block_on(stores::$store(builder)) else { return };
                    let over_http = sync.block_on(async {
                        let world = World::sync(ground).await;
                        let script = cases::$name(&world).await;
                        world.assert_at_rest().await;
                        world.end().await;
                        script
                    });
                    let zero =
                        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
                    let in_process = zero.block_on(async {
                        let world = World::zero(config()).await;
                        let script = cases::$name(&world).await;
                        world.assert_at_rest().await;
                        script
                    });
                    assert_eq!(in_process, over_http);
                }
            )*
        }
    };
}

macro_rules! on {
    ($store:ident) => {
        behaviours! { $store:
            an_edit_is_seen_by_the_next_view
            an_object_nobody_wrote_has_its_default
            errors_come_back_as_the_users_own_enum
            a_failed_call_is_undone_alone
            a_panic_is_undone_and_the_object_goes_on
            a_state_too_large_is_undone
            a_view_runs_beside_the_running_turn
            calls_on_one_object_never_overlap
            a_deadline_that_passes_undoes_the_call
            what_has_begun_goes_on_without_its_caller
            a_keyed_call_takes_effect_once
            a_key_for_another_request_is_refused
            a_failed_keyed_call_runs_again
            objects_call_each_other
            a_view_asks_other_objects
            an_error_of_a_called_object_is_handed_on
            a_ring_of_calls_is_named_at_once
            calls_that_wait_on_each_other_crosswise_are_answered
            a_chain_that_is_too_long_is_refused
            a_full_queue_refuses_and_loses_nothing
            the_context_of_one_call_never_shows_in_another
        }
    };
}

on!(sqlite);
#[cfg(feature = "redis")]
on!(redis);
on!(postgres);
#[cfg(feature = "cassandra")]
on!(cassandra);

fn config() -> Config {
    let mut config = Config::default();
    config.limits.state_bytes = 10_000;
    config.limits.object_queue = 40;
    config
}
