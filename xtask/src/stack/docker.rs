//! The servers as containers, on the machine's own network so that they listen where the tests look.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Commitlog;
use super::running::{self, Running};
use super::server::{Kind, Server};
use super::{cassandra, launch, postgres};
use crate::command::{program, run};
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

/// Starts a container, or the one that the server had.
///
/// # Errors
/// When its image cannot be had, or it cannot be started.
pub(crate) fn start(server: &Server, commitlog: Commitlog) -> Result<Running> {
    if let Some(Running::Container(id)) = running::recorded(server)
        && docker(&["start", &id]).is_ok()
    {
        return Ok(Running::Container(id));
    }
    let name = format!("{PREFIX}{}", server.name);
    // One that ended and that nobody removed; a running one is refused below, by its name.
    let _ = docker(&["rm", "--volumes", &name]);
    let Container { settings, image, command } = container(server, commitlog)?;
    if docker(&["image", "inspect", &image]).is_err() {
        // Shown, because it takes its time.
        run(program("docker").args(["pull", &image]))?;
    }
    let mut args = vec!["run", "--detach", "--network", "host", "--name", &name];
    args.extend(settings.iter().map(String::as_str));
    args.push(&image);
    args.extend(command.iter().map(String::as_str));
    Ok(Running::Container(docker(&args)?))
}

/// What `docker run` is told.
struct Container {
    settings: Vec<String>,
    image: String,
    command: Vec<String>,
}

fn container(server: &Server, commitlog: Commitlog) -> Result<Container> {
    let words = |first: &str, rest: &[&str]| [&[first], rest].concat().into_iter().map(str::to_owned).collect();
    Ok(match server.kind {
        Kind::Cassandra => cassandra(server, commitlog)?,
        Kind::Memcached => Container {
            settings: Vec::new(),
            image: images::of("memcached")?,
            command: words("memcached", &launch::memcached_args(server)),
        },
        Kind::Redis => Container {
            settings: Vec::new(),
            image: images::of("redis")?,
            command: words("redis-server", &launch::redis_args(server)),
        },
        Kind::Postgres => Container {
            settings: words("--env", &["POSTGRES_HOST_AUTH_METHOD=trust"]),
            image: images::of("postgres")?,
            command: words("postgres", &postgres::args(server).each_ref().map(String::as_str)),
        },
    })
}

/// The image's own start script would write into the configuration what it finds in the environment: not asked.
fn cassandra(server: &Server, commitlog: Commitlog) -> Result<Container> {
    let conf = cassandra::configure(server, commitlog, "/var/lib/cassandra".as_ref())?;
    let mut settings = vec!["--volume".to_owned(), format!("{}:{CONF}:ro", conf.display())];
    for setting in ["MAX_HEAP_SIZE=512M", "HEAP_NEWSIZE=128M", "JVM_EXTRA_OPTS=-XX:TieredStopAtLevel=1"] {
        settings.extend(["--env", setting].map(str::to_owned));
    }
    settings.extend(["--user", "cassandra", "--entrypoint", "cassandra"].map(str::to_owned));
    let mut command = vec!["-f".to_owned(), format!("-Dcassandra.config=file://{CONF}/cassandra.yaml")];
    command.push(cassandra::jmx(server));
    command.extend(cassandra::HASTE.iter().map(|setting| (*setting).to_owned()));
    Ok(Container { settings, image: images::of("cassandra")?, command })
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

/// Ends it, if it runs.
///
/// # Errors
/// When the engine refuses.
pub(crate) fn kill(id: &str) -> Result<()> {
    if runs(id) { docker(&["kill", id]).map(|_| ()) } else { Ok(()) }
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
