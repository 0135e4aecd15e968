//! A Redis of one's own: found or installed, started with an empty folder.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::process::{Server, free_address};

/// Whether a `redis-server` can be started; root on a machine with apt gets one.
pub(crate) fn is_there() -> bool {
    let answers = || succeeds(Command::new("redis-server").arg("--version"));
    if answers() {
        return true;
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !is_root {
        return false;
    }
    println!("installing redis-server");
    succeeds(Command::new("apt-get").arg("update"))
        && succeeds(
            Command::new("apt-get")
                .args(["install", "--yes", "--no-install-recommends", "redis-server"])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
        && answers()
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What it keeps of what it has acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// Everything: it syncs before it answers.
    Synced,
    /// Nothing beyond its process: it answers as fast as it can.
    InMemory,
}

/// Starts one with its data in `dir`, and waits until it takes connections.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn start(dir: &Path, kept: Kept) -> Result<Server> {
    let address = free_address()?;
    let (file, sync) = match kept {
        Kept::Synced => ("yes", "always"),
        Kept::InMemory => ("no", "no"),
    };
    let settings = [
        ("bind", "127.0.0.1".to_owned()),
        ("port", address.port().to_string()),
        ("dir", dir.display().to_string()),
        ("appendonly", file.to_owned()),
        ("appendfsync", sync.to_owned()),
        ("save", String::new()),
    ];
    let args: Vec<String> = settings.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect();
    let mut server = Server::start(Path::new("redis-server"), &args, address, dir.join("redis.log"))?;
    server.wait_for_port()?;
    Ok(server)
}
