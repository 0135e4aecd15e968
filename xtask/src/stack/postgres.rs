//! PostgreSQL as a process. It refuses to run as root, so it runs as the user its package made.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::launch::Launch;
use super::packages::{is_root, program};
use super::server::{self, Server};

/// The user of Debian's package.
const USER: &str = "postgres";

/// One database server with a fresh cluster, or with the one it had.
///
/// # Errors
/// When it is not installed, or the cluster cannot be made.
pub(crate) fn launch(server: &Server) -> Result<Launch> {
    let programs = programs().context("PostgreSQL is not installed")?;
    let user = is_root().then_some(USER);
    let data = data(server);
    if !data.join("PG_VERSION").exists() {
        make_cluster(&programs, &data, user)?;
    }
    let mut launch = Launch::new(programs.join("postgres"), "postgres", args(server));
    launch.args.extend(["-D".into(), data.into(), "-c".into(), "unix_socket_directories=".into()]);
    launch.user = user;
    launch.signal = "INT";
    Ok(launch)
}

/// The settings of PostgreSQL.
pub(crate) fn args(server: &Server) -> [String; 6] {
    let setting = |name: &str, value: &str| format!("{name}={value}");
    let flag = "-c".to_owned();
    [
        flag.clone(),
        setting("listen_addresses", server.host()),
        flag.clone(),
        setting("port", server.port()),
        flag,
        setting("max_connections", "200"),
    ]
}

/// Where its programs are: Debian keeps them out of the path, one folder a version.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let in_path = program("postgres").and_then(|path| path.parent().map(Path::to_owned));
    folders.into_iter().rev().chain(in_path).find(|folder| folder.join("initdb").exists())
}

fn make_cluster(programs: &Path, data: &Path, user: Option<&str>) -> Result<()> {
    server::remove(data)?;
    // It must not be there: what lies ready in a folder that everybody may write to need not be ours.
    fs::create_dir(data).with_context(|| data.display().to_string())?;
    let initdb = programs.join("initdb");
    let mut command = match user {
        None => Command::new(initdb),
        Some(user) => {
            chown(data, Some(id("-u", user)?), Some(id("-g", user)?)).with_context(|| data.display().to_string())?;
            let setpriv = program("setpriv").context("setpriv (of util-linux) is not installed")?;
            let mut command = Command::new(setpriv);
            command.args(["--reuid", user, "--regid", user, "--init-groups", "--"]).arg(initdb);
            command
        }
    };
    command.args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--pgdata"]);
    let output = command.arg(data).current_dir("/").output().context("cannot start initdb")?;
    if !output.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Where its data is: beside the rest, unless its own user cannot get there, as in a checkout under `/root`.
fn data(server: &Server) -> PathBuf {
    let data = server.data();
    let reachable = data
        .ancestors()
        .skip(1)
        .filter(|folder| folder.exists())
        .all(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0));
    if !is_root() || reachable { data } else { elsewhere() }
}

/// The other place, one a checkout.
pub(crate) fn elsewhere() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    server::home().hash(&mut hasher);
    std::env::temp_dir().join(format!("remote-object-postgres-{:016x}", hasher.finish()))
}

/// The number of a user or its group.
fn id(which: &str, user: &str) -> Result<u32> {
    let output = Command::new("id").args([which, user]).output().context("cannot start id")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("there is no user {user}, which the package of PostgreSQL makes"))
}
