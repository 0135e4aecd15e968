//! What runs, recorded beside its data, so that `down` ends that and nothing else.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::docker;
use super::process::Process;
use super::server::{Kind, Server};
use super::wait;

/// A server that was started from here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Running {
    Process(Process),
    /// By its id.
    Container(String),
}

impl Running {
    /// Written down, so that a later task knows it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn record(&self, server: &Server) -> Result<()> {
        let path = path(server);
        fs::write(&path, self.line()).with_context(|| path.display().to_string())
    }

    fn line(&self) -> String {
        match self {
            Self::Process(Process { pid, began, word }) => format!("process {pid} {began} {word}\n"),
            Self::Container(id) => format!("container {id}\n"),
        }
    }

    fn read(line: &str) -> Option<Self> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["process", pid, began, word] => {
                let (pid, began) = (pid.parse().ok()?, began.parse().ok()?);
                Some(Self::Process(Process { pid, began, word: word.to_owned() }))
            }
            ["container", id] => Some(Self::Container(id.to_owned())),
            _ => None,
        }
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        match self {
            Self::Process(process) => process.runs(),
            Self::Container(id) => docker::runs(id),
        }
    }

    /// Its process on this machine.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Process(process) => Some(process.pid),
            Self::Container(id) => docker::pid(id),
        }
    }
}

fn path(server: &Server) -> PathBuf {
    server.folder().join("running")
}

pub(super) fn recorded(server: &Server) -> Option<Running> {
    Running::read(&fs::read_to_string(path(server)).ok()?)
}

/// What was started from here for this server, if it still runs.
pub(crate) fn of(server: &Server) -> Option<Running> {
    recorded(server).filter(Running::runs)
}

/// The signal that asks it to end without waiting for its clients.
fn polite(kind: Kind) -> &'static str {
    if kind == Kind::Postgres { "INT" } else { "TERM" }
}

/// What becomes of the containers that are ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Containers {
    /// They are started again.
    Kept,
    /// They go, with their data.
    Removed,
}

/// Ends what was started from here for these servers: all are asked first, then waited for.
///
/// # Errors
/// When one cannot be ended.
pub(crate) fn end(servers: &[Server], containers: Containers) -> Result<()> {
    let recorded: Vec<(&Server, Running)> =
        servers.iter().filter_map(|server| Some((server, recorded(server)?))).collect();
    for (server, running) in &recorded {
        match (running, containers) {
            (Running::Process(process), _) => process.signal(polite(server.kind))?,
            (Running::Container(id), Containers::Kept) => docker::kill(id)?,
            (Running::Container(id), Containers::Removed) => docker::remove(id)?,
        }
    }
    for (server, running) in recorded {
        match (running, containers) {
            (Running::Process(process), _) => wait::gone(&server.name, &process)?,
            (Running::Container(_), Containers::Kept) => continue,
            (Running::Container(_), Containers::Removed) => {}
        }
        fs::remove_file(path(server)).with_context(|| path(server).display().to_string())?;
        println!("stack: {} ended", server.name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back() {
        let process = Running::Process(Process { pid: 7, began: 4711, word: "memcached".to_owned() });
        let container = Running::Container("0123abcd".to_owned());
        for running in [process, container] {
            assert_eq!(Running::read(&running.line()), Some(running));
        }
        for line in ["", "process 7", "process x 1 memcached", "container"] {
            assert_eq!(Running::read(line), None, "{line:?}");
        }
    }
}
