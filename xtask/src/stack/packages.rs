//! The programs the servers need, and how the missing ones are installed where that is possible.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::server::{Kind, Server};
use super::{cassandra, postgres};
use crate::command::{program as command, run};

/// Where programs may be that are not for everybody's path.
const FURTHER: &[&str] = &["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Forbids packages to start their services while it exists.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The program of this name in the path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(FURTHER.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether the caller may do everything.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs what these servers need and what is not there.
///
/// # Errors
/// When something is missing and cannot be installed; says what.
pub(crate) fn install_missing(servers: &[Server]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("servers from packages need Linux; elsewhere an engine of Docker has to answer `docker info`");
    }
    let missing = missing(servers);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_root() || program("apt-get").is_none() {
        bail!("these of Debian's packages, or their like, have to be installed first: {packages}");
    }
    println!("stack: installing {packages}");
    let _no_services = NoServices::begin()?;
    run(command("apt-get").args(["-qq", "update"]))?;
    let mut install = command("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends"]).args(&missing);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The packages to install.
fn missing(servers: &[Server]) -> Vec<&'static str> {
    let any = |kind| servers.iter().any(|server| server.kind == kind);
    let mut missing = Vec::new();
    if any(Kind::Cassandra) && cassandra::java().is_none() {
        missing.push("openjdk-17-jdk-headless");
    }
    if any(Kind::Cassandra) && !cassandra::has_jars() && program("mvn").is_none() {
        missing.push("maven");
    }
    if any(Kind::Memcached) && program("memcached").is_none() {
        missing.push("memcached");
    }
    if any(Kind::Redis) && program("redis-server").is_none() {
        missing.push("redis-server");
    }
    if any(Kind::Postgres) && postgres::programs().is_none() {
        missing.push("postgresql");
    }
    missing
}

/// While this lives, a package that is installed does not start its own service.
struct NoServices {
    made: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        // One that is there already says what the machine's owner wants.
        let made = !Path::new(POLICY).exists();
        if made {
            use std::os::unix::fs::PermissionsExt as _;
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context(POLICY)?;
        }
        Ok(Self { made })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(POLICY);
        }
    }
}
