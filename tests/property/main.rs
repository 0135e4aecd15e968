//! Random sequences of calls through the whole stack, HTTP to SQLite, against a plain model.
//!
//! A failure names its seed; `PROPERTY_SEED=… cargo test --test property` runs the same cases again, and
//! `PROPERTY_CASES=…` more of them.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

mod http;
mod model;
mod objects;
mod world;

use std::time::Duration;

use model::{Cond, Op, Step, Verb};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use remote_object::clock::{self, Random};

/// For CI: about so many cases fit into it.
const TIME: Duration = Duration::from_secs(12);
const CASES: u32 = 100;

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        4 => (-5_i64..=5).prop_map(Verb::Add),
        2 => (-5_i64..=5, -5_i64..=5).prop_map(|(min, by)| Verb::AddFrom(min, by)),
        1 => Just(Verb::Crash),
        2 => (-9_i64..=9).prop_map(Verb::Put),
        1 => (-9_i64..=9).prop_map(Verb::Patch),
        2 => Just(Verb::Delete),
        2 => (-5_i64..=5).prop_map(Verb::AddSlowly),
        3 => Just(Verb::Get),
        2 => Just(Verb::Value),
    ]
}

fn cond() -> impl Strategy<Value = Cond> {
    prop_oneof![
        6 => Just(Cond::None),
        1 => Just(Cond::IfMatchLast),
        1 => Just(Cond::IfMatchFormer),
        1 => Just(Cond::IfMatchAny),
        1 => Just(Cond::IfNoneMatchLast),
        1 => Just(Cond::IfNoneMatchAny),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let key = prop_oneof![3 => Just(None), 2 => (0_u8..4).prop_map(Some)];
    (0_u8..3, verb(), cond(), key).prop_map(|(id, verb, cond, key)| Op { id, verb, cond, key })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => op().prop_map(Step::One),
        4 => prop::collection::vec(op(), 2..=4).prop_map(Step::AtOnce),
        2 => (0_u8..3, 0_u8..3, -5_i64..=5).prop_map(|(from, to, by)| Step::Tell(from, to, by)),
        2 => Just(Step::Forget),
        1 => Just(Step::List),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

#[test]
fn the_whole_stack_answers_as_a_plain_model_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("PROPERTY_SEED").unwrap_or_else(|| Random::from_os().next_u64());
    let cases = number("PROPERTY_CASES");
    let config = Config {
        cases: cases.map_or(CASES, |cases| cases as u32),
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let began = clock::now();
    let strategy = (any::<bool>(), prop::collection::vec(step(), 1..60));
    let outcome = runner.run(&strategy, |(small_l1, steps)| {
        if cases.is_none() && began.elapsed() > TIME {
            return Ok(());
        }
        runtime.block_on(world::play(small_l1, &steps)).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("PROPERTY_SEED={seed}\n{error}");
    }
}
