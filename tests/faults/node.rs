//! One node of the store stands still, or is killed, and comes back.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::book::skipped;
use super::objectd::signal;
use super::run::Run;

/// A JVM that starts on a busy machine, and a driver that notices.
const BACK: Duration = Duration::from_secs(120);

/// A node that `cargo xtask stack` started here as a process.
struct Node {
    number: u64,
    pid: u32,
}

/// The folder of the stack: cargo keeps it beside what it builds.
fn stack() -> PathBuf {
    let objectd = Path::new(env!("CARGO_BIN_EXE_objectd"));
    objectd.ancestors().nth(2).unwrap().join("stack")
}

impl Node {
    /// The node of this number, from 1; why not, when it is nobody's to kill.
    fn find(number: u64) -> Result<Self, String> {
        if std::env::var("TEST_CASSANDRA").is_ok_and(|named| !named.is_empty()) {
            return Err("TEST_CASSANDRA names nodes that are not this test's to kill".into());
        }
        let path = stack().join(format!("cassandra-{number}/running"));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let pid = match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["process", pid, ..] => pid.parse().map_err(|_| format!("{}: {text}", path.display()))?,
            _ => return Err(format!("{text:?} is no process of this machine")),
        };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains("CassandraDaemon") {
            Ok(Self { number, pid })
        } else {
            Err(format!("cassandra-{number} does not run"))
        }
    }

    fn kill(&self) {
        signal(self.pid, "KILL");
        while Path::new(&format!("/proc/{}/cmdline", self.pid)).exists() && Self::find(self.number).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts it again, with the data it had; it ends with `task`, as the one that was killed would have.
    fn restart(&self, task: Option<u32>) {
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
}

/// The process that a node belongs to, unless it stays until it is told to go.
fn task_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (parent > 1).then_some(parent)
}

/// Whatever becomes of the test, the node runs in the end.
struct Frozen<'a>(&'a Node);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        signal(self.0.pid, "CONT");
    }
}

#[test]
fn one_node_of_the_store_that_stands_still_or_is_killed_is_not_missed() {
    if let (Some(_), Err(why)) = (test_stack::cassandra(), Node::find(1)) {
        skipped::<()>("node", &why);
        return;
    }
    let Some(mut run) = Run::begin("node") else { return };
    let task = (1..=3).find_map(|number| task_of(Node::find(number).ok()?.pid));
    let server = run.start("one");
    run.load.ask_of(&[server.address]);
    while run.goes_on(2) {
        run.answers(100, BACK, "nothing is answered before");
        let node = Node::find(1 + run.load.below(3)).unwrap();
        if run.round() % 2 == 1 {
            let frozen = Frozen(&node);
            run.answers(100, BACK, "nothing is answered while one node stands still");
            run.sleep(3_000, 6_000);
            drop(frozen);
        } else {
            node.kill();
            run.answers(100, BACK, "nothing is answered while one node is gone");
            node.restart(task);
        }
        run.answers(100, BACK, "nothing is answered with all nodes again");
        run.look();
    }
    run.end();
}
