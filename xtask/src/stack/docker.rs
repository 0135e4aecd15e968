//! The servers as containers, on the machine's own network so that they listen where the tests look.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Commitlog;
use super::running::Running;
use super::server::{Kind, Server};
use super::{cassandra, launch, postgres};
use crate::images;

/// The head of every container's name.
const PREFIX: &str = "remote-object-stack-";

/// Where a container finds the configuration that was written for it.
const CONF: &str = "/stack";

/// Whether there is an engine.
pub(crate) fn answers() -> bool {
    let info = Command::new("docker").arg("info").stdin(Stdio::null()).output();
    info.is_ok_and(|output| output.status.success())
}

/// Starts a container.
///
/// # Errors
/// When its image cannot be had, or it cannot be started.
pub(crate) fn start(server: &Server, commitlog: Commitlog) -> Result<Running> {
    let name = format!("{PREFIX}{}", server.name);
    // One that ended and that nobody removed; a running one is refused below, by its name.
    let _ = docker(&["rm", "--volumes", &name]);
    let args = run_args(server, commitlog)?;
    let mut all = vec!["run", "--detach", "--network", "host", "--name", &name];
    all.extend(args.iter().map(String::as_str));
    let id = docker(&all)?;
    Ok(Running::Container(id))
}

/// What follows `docker run`: settings, image, command.
fn run_args(server: &Server, commitlog: Commitlog) -> Result<Vec<String>> {
    let owned = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    Ok(match server.kind {
        Kind::Cassandra => cassandra_args(server, commitlog)?,
        Kind::Memcached => {
            [vec![images::of("memcached")?], owned(&["memcached"]), owned(&launch::memcached_args(server))].concat()
        }
        Kind::Redis => {
            [vec![images::of("redis")?], owned(&["redis-server"]), owned(&launch::redis_args(server))].concat()
        }
        Kind::Postgres => {
            let trust = owned(&["--env", "POSTGRES_HOST_AUTH_METHOD=trust"]);
            [trust, vec![images::of("postgres")?], owned(&["postgres"]), postgres::args(server).to_vec()].concat()
        }
    })
}

/// The image's own start script would write into the configuration what it finds in the environment: not asked.
fn cassandra_args(server: &Server, commitlog: Commitlog) -> Result<Vec<String>> {
    let conf = cassandra::configure(server, commitlog, "/var/lib/cassandra".as_ref())?;
    let mut args = vec!["--volume".to_owned(), format!("{}:{CONF}:ro", conf.display())];
    for setting in ["MAX_HEAP_SIZE=512M", "HEAP_NEWSIZE=128M"] {
        args.extend(["--env".to_owned(), setting.to_owned()]);
    }
    args.extend(["--user", "cassandra", "--entrypoint", "cassandra"].map(str::to_owned));
    args.extend([images::of("cassandra")?, "-f".to_owned()]);
    args.push(format!("-Dcassandra.config=file://{CONF}/cassandra.yaml"));
    args.push(cassandra::jmx(server));
    args.extend(cassandra::HASTE.iter().map(|setting| (*setting).to_owned()));
    Ok(args)
}

/// Whether the container runs.
pub(crate) fn runs(id: &str) -> bool {
    docker(&["inspect", "--format", "{{.State.Running}}", id]).is_ok_and(|answer| answer == "true")
}

/// The number of the container's first process on this machine.
pub(crate) fn pid(id: &str) -> Option<u32> {
    docker(&["inspect", "--format", "{{.State.Pid}}", id]).ok()?.parse().ok().filter(|pid| *pid > 0)
}

/// What it wrote.
pub(crate) fn log(id: &str) -> String {
    let output = Command::new("docker").args(["logs", "--tail", "50", id]).output();
    output
        .map(|output| [output.stdout, output.stderr].concat())
        .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Ends it and removes what it kept.
///
/// # Errors
/// When the engine refuses.
pub(crate) fn remove(id: &str) -> Result<()> {
    match docker(&["rm", "--force", "--volumes", id]) {
        Err(error) if !error.to_string().contains("No such container") => Err(error),
        _ => Ok(()),
    }
}

/// Runs it to its end; what it printed.
fn docker(args: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(args).stdin(Stdio::null()).output().context("cannot start docker")?;
    if !output.status.success() {
        let shown = args.first().copied().unwrap_or_default();
        bail!("docker {shown}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
