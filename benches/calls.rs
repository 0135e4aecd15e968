//! What a call costs in this process, the disk and the wire left out: `cargo bench --bench calls`.

#![allow(missing_docs, reason = "the macros of criterion make public functions")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use remote_object::model::ObjectUri;
use remote_object::objects::{Args, Authorities, State};
use remote_object::prelude::*;
use remote_object::{RemoteObject, TestHost};
use tokio::runtime::{Builder, Runtime};

/// A number that counts.
#[remote_object]
pub struct Counter {
    value: i64,
}

#[remote_object]
impl Counter {
    /// Answers how far it has counted.
    pub fn value(&self) -> i64 {
        self.value
    }

    /// Adds, and answers the new value.
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime of one thread")
}

/// The parts that turn bytes into values and back.
fn codecs(criterion: &mut Criterion) {
    criterion.bench_function("decode the URI", |bench| {
        bench.iter(|| ObjectUri::parse(black_box("/objects/counter/visits%2F2026")));
    });
    let method = Counter::methods().iter().find(|method| method.name == "add").expect("Counter has it");
    let authorities = Arc::new(Authorities::new(None, &[]));
    criterion.bench_function("decode the arguments", |bench| {
        let body = Bytes::from_static(br#"{"by":5}"#);
        bench.iter(|| {
            let args = Args::from_body(black_box(body.clone()), method.params, 128, &authorities)?;
            args.get::<i64>(0)
        });
    });
    criterion.bench_function("copy and encode the state", |bench| {
        let state: &dyn State = &Counter { value: 48_211 };
        let mut out = Vec::with_capacity(64);
        bench.iter(|| {
            out.clear();
            black_box(state).copy().encode(&mut out)
        });
    });
}

/// Whole calls on the memory store.
fn calls(criterion: &mut Criterion) {
    let runtime = runtime();
    let host = TestHost::new();
    let host = runtime.block_on(host.host()).expect("the program has a type");
    runtime.block_on(host.call(Remote::<Counter>::new("warm").add(1))).expect("an add");
    criterion.bench_function("a view of a warm object", |bench| {
        bench.iter(|| runtime.block_on(host.call(Remote::<Counter>::new("warm").value())));
    });
    criterion.bench_function("an edit of a warm object", |bench| {
        bench.iter(|| runtime.block_on(host.call(Remote::<Counter>::new("warm").add(1))));
    });
    criterion.bench_function("the first edit of an object", |bench| {
        let mut number = 0_u64;
        bench.iter(|| {
            number += 1;
            runtime.block_on(host.call(Remote::<Counter>::new(format!("cold-{number}")).add(1)))
        });
    });
}

criterion_group!(benches, codecs, calls);
criterion_main!(benches);
