//! The nodes of the store that `cargo xtask stack` started: found, killed, and started again.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::objectd::signal;

/// A node that `cargo xtask stack` started here as a process.
#[derive(Debug)]
pub struct Node {
    /// From 1.
    pub number: u64,
    pid: u32,
}

/// The folder of the stack: cargo keeps it beside what it builds.
fn stack() -> PathBuf {
    let objectd = Path::new(env!("CARGO_BIN_EXE_objectd"));
    objectd.ancestors().nth(2).unwrap().join("stack")
}

impl Node {
    /// The node of this number, from 1.
    ///
    /// # Errors
    /// When it is nobody's to kill: why.
    pub fn find(number: u64) -> Result<Self, String> {
        if std::env::var("TEST_CASSANDRA").is_ok_and(|named| !named.is_empty()) {
            return Err("TEST_CASSANDRA names nodes that are not this test's to kill".into());
        }
        let path = stack().join(format!("cassandra-{number}/running"));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let pid = match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["process", pid, ..] => pid.parse().map_err(|_| format!("{}: {text}", path.display()))?,
            _ => return Err(format!("{text:?} is no process of this machine")),
        };
        let node = Self { number, pid };
        if node.words().iter().any(|word| word.ends_with("CassandraDaemon")) {
            Ok(node)
        } else {
            Err(format!("cassandra-{number} does not run"))
        }
    }

    /// The command that runs it.
    pub fn words(&self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.split_terminator('\0').map(str::to_owned).collect()
    }

    pub fn kill(&self) {
        signal(self.pid, "KILL");
        while Path::new(&format!("/proc/{}/cmdline", self.pid)).exists() && Self::find(self.number).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Starts it again, with the data it had; it ends with `task`, as the one that was killed would have.
    pub fn restart(&self, task: Option<u32>) {
        let mut up = Command::new(env!("CARGO"));
        up.current_dir(env!("CARGO_MANIFEST_DIR"));
        up.args(["run", "--quiet", "--package", "xtask", "--", "stack", "up", "--only", "cassandra"]);
        assert!(up.status().unwrap().success(), "the node does not come back");
        if let Some(task) = task {
            let again = Self::find(self.number).unwrap();
            let watch = format!(
                "(while kill -0 {task} && kill -0 {pid}; do sleep 1; done
                grep -q CassandraDaemon /proc/{pid}/cmdline && kill {pid}) &",
                pid = again.pid
            );
            let mut shell = Command::new("sh");
            shell.args(["-c", &watch]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(shell.process_group(0).status().unwrap().success());
        }
    }

    /// It stands still until this is dropped: whatever becomes of the test, the node runs in the end.
    pub fn freeze(&self) -> Frozen<'_> {
        signal(self.pid, "STOP");
        Frozen(self)
    }
}

/// The process that the nodes belong to, unless they stay until they are told to go.
pub fn task() -> Option<u32> {
    (1..=3).find_map(|number| task_of(Node::find(number).ok()?.pid))
}

fn task_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (parent > 1).then_some(parent)
}

/// A node that stands still.
pub struct Frozen<'a>(&'a Node);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        signal(self.0.pid, "CONT");
    }
}
