//! The tasks of the project: what the README, CI and people call.
//!
//! `cargo xtask` alone lists them. A task only decides which commands run, in which order and with which flags; it
//! prints each command before running it, so that any of them can be repeated by hand.

mod children;
mod command;
mod compose;
mod deny;
mod faults;
mod fuzz;
mod images;
mod stack;
mod steps;

use std::process::ExitCode;

use clap::{Args, Parser};

/// What can be asked for.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The tasks of the project", version)]
enum Task {
    /// Everything CI checks, one step after the other; the first failure stops
    Test {
        /// Only what finds most mistakes: format, lints, tidy, tests, a short crash test
        #[arg(long)]
        quick: bool,
        /// Only this step (may be given more than once)
        #[arg(long, value_name = "STEP")]
        only: Vec<String>,
    },
    /// Format, clippy, tidy and dependencies: the checks that run nothing
    Lint,
    /// Kill the server with `kill -9` under load and look for lost, doubled and half writes
    #[command(disable_help_flag = true)]
    Crash(Rest),
    /// Play faults of one server and of three on the real stack: killed, frozen, cut off, drained, its clock off by years
    Faults(faults::Options),
    /// Measure beside bare axum and axum with Redis; with --stack on Cassandra and memcached beside the driver alone, with
    /// --cluster several nodes on one Redis; a full run writes docs/performance.md
    #[command(disable_help_flag = true)]
    Bench(Rest),
    /// Run the fuzz targets, sharing the seconds among them
    Fuzz {
        /// Seconds for all targets together
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Only this target (may be given more than once)
        #[arg(long, value_name = "TARGET")]
        target: Vec<String>,
    },
    /// Cassandra, memcached, Redis and PostgreSQL for the tests, on loopback
    Stack {
        #[command(subcommand)]
        verb: stack::Verb,
    },
}

/// Arguments handed on to the load generator; `--help` lists them.
#[derive(Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test { quick, only } => return steps::test(quick, &only),
        Task::Lint => return steps::lint(),
        Task::Crash(rest) => children::crash(&rest.args),
        Task::Faults(options) => faults::play(&options),
        Task::Bench(rest) => children::bench(&rest.args),
        Task::Fuzz { seconds, target } => fuzz::run(seconds, &target),
        Task::Stack { verb } => stack::run(&verb),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
