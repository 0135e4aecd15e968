//! One load generator for four questions: how fast is it (`load bench`), how fast on Cassandra and memcached (`load
//! stack`), what do many nodes cost, and what is it like to lose one (`load cluster`), and what does `kill -9` lose (`load
//! crash`).
//!
//! They start real servers as children on loopback, know them by HTTP alone, and end what they started. `cargo xtask
//! bench` and `cargo xtask crash` build the servers and call this.

#![allow(clippy::disallowed_methods, reason = "real time is what is measured here")]

mod bench;
mod cluster;
mod counters;
mod crash;
mod generator;
mod process;
mod redis;
mod report;
mod stack;
mod wire;

use std::process::ExitCode;

use clap::Parser;

/// The load generator.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Measure the contenders side by side
    Bench(bench::Options),
    /// Measure on Cassandra and memcached beside the driver alone (`cargo xtask bench --stack`)
    Stack(stack::Options),
    /// Measure several nodes on one Redis (`cargo xtask bench --cluster`)
    Cluster(cluster::Options),
    /// Kill the server under load and look for lost, doubled and half writes
    Crash(crash::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Bench(options) => bench::run(&options),
        Task::Stack(options) => stack::run(&options),
        Task::Cluster(options) => cluster::run(&options),
        Task::Crash(options) => crash::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
