//! Waiting until servers answer, or are gone; and the end of a log where they do neither.

use std::collections::VecDeque;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::process::{self, Process};
use super::running::{self, Running};
use super::server::Server;
use super::{docker, probe};

/// How long servers may take to start on a machine that is busy with other things.
const START_MAX: Duration = Duration::from_secs(300);

/// How long one may take to end before it is killed.
const END_MAX: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines of a log that are shown, and what is shown of each: Cassandra says its whole configuration in one.
const LOG_LINES: usize = 30;
const LOG_COLUMNS: usize = 200;

#[allow(clippy::disallowed_methods, reason = "a task waits for real programs")]
fn now() -> Instant {
    Instant::now()
}

/// Until all of them answer, and the nodes of the cluster reach one another.
///
/// # Errors
/// When one ends instead, or time is up.
pub(crate) fn all_ready<'a>(servers: impl Iterator<Item = &'a Server>) -> Result<()> {
    let began = now();
    let mut silent: Vec<&Server> = servers.collect();
    while !silent.is_empty() {
        let mut still = Vec::new();
        for server in silent {
            let Some(running) = running::of(server) else { bail!("{} ended", server.name) };
            if !probe::is_ready(server) {
                still.push(server);
                continue;
            }
            let pid = running.pid();
            let mib = pid.and_then(process::resident_mib).unwrap_or_default();
            let (pid, took) = (pid.unwrap_or_default(), began.elapsed().as_secs_f64());
            println!("stack: {} answers at {} after {took:.1} s, pid {pid}, {mib} MiB", server.name, server.address);
        }
        silent = still;
        if began.elapsed() > START_MAX && !silent.is_empty() {
            let names: Vec<&str> = silent.iter().map(|server| server.name.as_str()).collect();
            bail!("no answer from {} within {} s", names.join(", "), START_MAX.as_secs());
        }
        if !silent.is_empty() {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Until it has ended; it is killed where asking did not help.
///
/// # Errors
/// When it does not end even then.
pub(crate) fn gone(name: &str, process: &Process) -> Result<()> {
    if ended_within(process, END_MAX) {
        return Ok(());
    }
    println!("stack: {name} did not end within {} s and is killed", END_MAX.as_secs());
    process.signal("KILL")?;
    if ended_within(process, END_MAX) { Ok(()) } else { bail!("{name}, process {}, cannot be ended", process.pid) }
}

fn ended_within(process: &Process, limit: Duration) -> bool {
    let began = now();
    while process.runs() {
        if began.elapsed() > limit {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}

/// Prints the end of what it said.
pub(crate) fn show_log(server: &Server) {
    let text = match running::recorded(server) {
        Some(Running::Container(id)) => docker::log(&id),
        _ => fs::read_to_string(server.log()).unwrap_or_default(),
    };
    println!("--- the end of the log of {}:", server.name);
    let mut end = VecDeque::with_capacity(LOG_LINES);
    for line in text.lines() {
        if end.len() == LOG_LINES {
            end.pop_front();
        }
        end.push_back(line);
    }
    for line in end {
        println!("{}", line.chars().take(LOG_COLUMNS).collect::<String>());
    }
    println!("---");
}
