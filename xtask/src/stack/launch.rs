//! How a server is started as a process; memcached and Redis, which need nothing but their flags.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::packages::{is_root, program};
use super::process::Process;
use super::running::Running;
use super::server::Server;

/// How long a server lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifetime {
    /// Until `down`.
    OfItsOwn,
    /// No longer than this task, even if somebody interrupts it.
    OfTheTask,
}

/// What is started.
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// What its command line contains for as long as it runs.
    pub(crate) word: &'static str,
    /// Who it runs as, if not as whoever calls.
    pub(crate) user: Option<&'static str>,
    /// The signal it gets when the task it belongs to ends early.
    pub(crate) signal: &'static str,
}

impl Launch {
    /// A program with its arguments that runs as whoever calls.
    pub(crate) fn new<A: Into<OsString>>(
        program: PathBuf,
        word: &'static str,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self { program, args: args.into_iter().map(Into::into).collect(), word, user: None, signal: "TERM" }
    }

    /// Starts it, its output in the server's log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(self, server: &Server, lifetime: Lifetime) -> Result<Running> {
        let log = File::create(server.log()).with_context(|| server.log().display().to_string())?;
        let mut command = self.command(lifetime);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C on the console is not meant for it.
        command.current_dir(server.folder()).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", server.name))?;
        Ok(Running::Process(Process::of(child.id(), self.word)?))
    }

    fn command(&self, lifetime: Lifetime) -> Command {
        let setpriv = program("setpriv").filter(|_| self.user.is_some() || lifetime == Lifetime::OfTheTask);
        let mut command = match setpriv {
            None => Command::new(&self.program),
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                if let Some(user) = self.user {
                    command.args(["--reuid", user, "--regid", user, "--init-groups"]);
                }
                if lifetime == Lifetime::OfTheTask {
                    command.args(["--pdeathsig", self.signal]);
                }
                command.arg("--").arg(&self.program);
                command
            }
        };
        command.args(&self.args);
        command
    }
}

/// memcached, as it comes.
///
/// # Errors
/// When it is not installed.
pub(crate) fn memcached(server: &Server) -> Result<Launch> {
    let path = program("memcached").context("memcached is not installed")?;
    let mut launch = Launch::new(path, "memcached", memcached_args(server));
    if is_root() {
        launch.args.extend(["-u", "root"].map(Into::into));
    }
    Ok(launch)
}

/// The flags of memcached.
pub(crate) fn memcached_args(server: &Server) -> [&'static str; 6] {
    ["-l", server.host(), "-p", server.port(), "-m", "64"]
}

/// Redis that keeps every write.
///
/// # Errors
/// When it is not installed.
pub(crate) fn redis(server: &Server) -> Result<Launch> {
    let path = program("redis-server").context("redis-server is not installed")?;
    let data = server.data();
    std::fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
    let mut launch = Launch::new(path, "redis-server", redis_args(server));
    launch.args.extend(["--dir".into(), data.into()]);
    Ok(launch)
}

/// The settings of Redis.
pub(crate) fn redis_args(server: &Server) -> [&'static str; 10] {
    let (host, port) = (server.host(), server.port());
    ["--bind", host, "--port", port, "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
}
