//! The real servers of the tests: three Cassandra nodes, three memcached, Redis and PostgreSQL on loopback.
//!
//! By Docker where an engine answers, else as processes of the machine's packages. Ports and folders are the stack's
//! own (`tests/stack` and `target/stack`), so a server that the machine itself runs is neither used nor disturbed. What
//! runs is recorded beside its data, and only that is ever ended. The door is [`up`], [`down`], [`status`] and, for the
//! tests, [`Lease`].

mod cassandra;
mod docker;
mod launch;
mod lease;
mod packages;
mod postgres;
mod probe;
mod process;
mod running;
mod server;
mod wait;

use std::fs;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

pub(crate) use lease::{Lease, required};
pub(crate) use server::Kind;

use launch::Lifetime;
use running::Containers;
use server::Server;

/// What can be asked of the stack.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Start what does not answer yet, and return when all of it answers
    Up(Up),
    /// End what `up` started, and remove its data
    Down(Only),
    /// Address, process, memory, and whether it answers
    Status(Only),
}

/// Which servers are meant.
#[derive(Args, Clone, Default)]
pub(crate) struct Only {
    /// Only these
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<Kind>,
}

/// How servers are started.
#[derive(Args, Clone, Default)]
pub(crate) struct Up {
    #[command(flatten)]
    only: Only,
    /// When Cassandra's commit log reaches the disk: `batch` and `group` before a write is answered
    #[arg(long, value_name = "MODE", default_value = "batch")]
    commitlog: Commitlog,
    /// Where the servers come from, instead of Docker where an engine answers and packages elsewhere
    #[arg(long, value_name = "SOURCE")]
    from: Option<Source>,
}

/// Where the servers come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Source {
    /// Images, in the versions of `docker/versions.env`.
    Docker,
    /// Debian's packages, and Cassandra's jars from Maven.
    Packages,
}

/// Cassandra's `commitlog_sync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Commitlog {
    /// Every ten seconds; a power failure takes what was acknowledged since.
    Periodic,
    /// Before each write is answered.
    #[default]
    Batch,
    /// Before a write is answered, for all writes of a millisecond together.
    Group,
}

impl Commitlog {
    /// As it is asked for.
    fn name(self) -> &'static str {
        match self {
            Self::Periodic => "periodic",
            Self::Batch => "batch",
            Self::Group => "group",
        }
    }
}

/// `cargo xtask stack`.
///
/// # Errors
/// When a server cannot be started or ended.
pub(crate) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Up(options) => up(options, Lifetime::OfItsOwn).map(|_| ()),
        Verb::Down(only) => down(&server::all(&only.only)),
        Verb::Status(only) => status(&server::all(&only.only)),
    }
}

/// Starts what does not answer, waits until it does, and says what it started.
///
/// # Errors
/// When something cannot be started or does not answer in time; then nothing of this call is left running.
fn up(options: &Up, lifetime: Lifetime) -> Result<Vec<Server>> {
    let (present, missing): (Vec<_>, Vec<_>) = server::all(&options.only.only).into_iter().partition(probe::answers);
    for server in &present {
        if server.kind == Kind::Cassandra {
            cassandra::same_commitlog(server, options.commitlog)?;
        }
        let whose = if running::of(server).is_some() { "" } else { ", not started from here and left alone" };
        println!("stack: {} answers at {} already{whose}", server.name, server.address);
    }
    if missing.is_empty() {
        return Ok(missing);
    }
    refuse_half_a_cluster(&present, &missing)?;
    // One that hangs, or the record of one that is gone. Tests begin with nothing, where no other server knows better.
    if lifetime == Lifetime::OfTheTask && present.is_empty() {
        down(&missing)?;
    } else {
        running::end(&missing, Containers::Kept)?;
    }
    let done = start(&missing, options, lifetime).and_then(|()| {
        // A node that comes back is there when the others say so too.
        let is_node = |server: &&Server| server.kind == Kind::Cassandra;
        let others = present.iter().filter(|other| is_node(other) && missing.iter().any(|server| is_node(&server)));
        wait::all_ready(missing.iter().chain(others))
    });
    if let Err(error) = done {
        let ended: Vec<&Server> = missing.iter().filter(|server| running::of(server).is_none()).collect();
        let silent = missing.iter().filter(|server| ended.is_empty() && !probe::is_ready(server));
        silent.chain(ended.iter().copied()).for_each(wait::show_log);
        down(&missing)?;
        return Err(error);
    }
    Ok(missing)
}

/// A node that is missing in a cluster of somebody else's is theirs to start.
fn refuse_half_a_cluster(present: &[Server], missing: &[Server]) -> Result<()> {
    let is_node = |server: &&Server| server.kind == Kind::Cassandra;
    let theirs = present.iter().filter(is_node).find(|server| running::of(server).is_none());
    if let (Some(theirs), Some(silent)) = (theirs, missing.iter().find(is_node)) {
        bail!(
            "{} answers and was not started from here; {} of the same cluster does not answer",
            theirs.name,
            silent.name
        );
    }
    Ok(())
}

fn start(servers: &[Server], options: &Up, lifetime: Lifetime) -> Result<()> {
    let source = options.from.unwrap_or_else(|| if docker::answers() { Source::Docker } else { Source::Packages });
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    println!(
        "stack: starting {} from {}",
        names.join(", "),
        if source == Source::Docker { "Docker" } else { "packages" }
    );
    if source == Source::Packages {
        packages::install_missing(servers)?;
    }
    for server in servers {
        let folder = server.folder();
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let running = match source {
            Source::Docker => docker::start(server, options.commitlog)?,
            Source::Packages => {
                let launch = match server.kind {
                    Kind::Cassandra => cassandra::launch(server, options.commitlog)?,
                    Kind::Memcached => launch::memcached(server)?,
                    Kind::Redis => launch::redis(server)?,
                    Kind::Postgres => postgres::launch(server)?,
                };
                launch.start(server, lifetime)?
            }
        };
        running.record(server)?;
    }
    Ok(())
}

/// Ends what was started from here and removes its data; what costs time to fetch again is kept.
///
/// # Errors
/// When something does not end, or its folder cannot be removed.
fn down(servers: &[Server]) -> Result<()> {
    running::end(servers, Containers::Removed)?;
    for server in servers {
        server.remove_data()?;
    }
    Ok(())
}

fn status(servers: &[Server]) -> Result<()> {
    println!("{:<12} {:<16} {:>8} {:>9}  answers", "server", "address", "pid", "memory");
    let mut silent = 0;
    for server in servers {
        let running = running::of(server);
        let pid = running.as_ref().and_then(running::Running::pid);
        let answers = probe::answers(server);
        silent += usize::from(!answers);
        let memory = pid.and_then(process::resident_mib).map(|mib| format!("{mib} MiB"));
        let answer = match (answers, &running) {
            (true, Some(_)) => "yes",
            (true, None) => "yes, not started from here",
            (false, _) => "no",
        };
        let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let memory = memory.unwrap_or_else(|| "-".to_owned());
        println!("{:<12} {:<16} {pid:>8} {memory:>9}  {answer}", server.name, server.address);
    }
    if silent > 0 {
        bail!("{silent} of {} do not answer; `cargo xtask stack up` starts them", servers.len());
    }
    Ok(())
}
