//! Programs as child processes: started, read, told to stop, and never left behind.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use remote_object::clock;
use serde_json::Value;
use tempfile::TempDir;

use super::wire::{Answer, Wire};

/// No single step takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server with the sample objects.
pub const OBJECTD: &str = env!("CARGO_BIN_EXE_objectd");

/// A program in a directory, with nothing of ours in its environment.
pub fn program(path: impl AsRef<Path>, dir: &Path) -> Command {
    let mut command = Command::new(path.as_ref());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("REMOTE_OBJECT_") || name.starts_with("RUST_") {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `objectd` with these arguments.
pub fn objectd(dir: &Path, args: &[&str]) -> Command {
    let mut command = program(OBJECTD, dir);
    command.args(args);
    command
}

/// A program that is built by `cargo test`, and by hand only if that was asked for one target alone.
pub fn example(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap();
    let made = Path::new(OBJECTD).parent().unwrap().join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.rs"));
    let age = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    if age(&made).is_none_or(|made| Some(made) < age(&source)) {
        eprintln!("building the example {name}");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", name]);
        assert!(cargo.status().unwrap().success(), "the example {name} does not build");
    }
    made
}

/// How a program ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// It was told in one line what was wrong, and that it has these words in it.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {:?}", self.stderr);
        }
    }
}

/// Runs a program that is to end by itself.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    let mut running = Running::start(command);
    let code = running.wait().code();
    let stdout = running.stdout.take().unwrap().join().unwrap();
    Ended { code, stdout, stderr: running.log() }
}

/// A child process; it is killed when this is dropped, unless it has ended.
struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<()>>,
    log: Arc<Mutex<String>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut running = Self::start_unread(command);
        let mut stdout = running.child.stdout.take().unwrap();
        running.stdout = Some(thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        }));
        running
    }

    /// Without reading its stdout.
    fn start_unread(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&log);
        let reading = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|count| count > 0) {
                to.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, stdout: None, stderr: Some(reading), log }
    }

    /// Waits for its end, and for the last of its log.
    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = within(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "it does not end; its log: {}", self.log());
        if let Some(reading) = self.stderr.take() {
            reading.join().unwrap();
        }
        status.unwrap()
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that was waited for is left alone: its number may be another's by now.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks again and again until it is so, or the time is over.
pub fn within(time: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = clock::now() + time;
    loop {
        if is_so() {
            return true;
        }
        if clock::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(3));
    }
}

/// A signal.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Terminate,
    Interrupt,
    Kill,
}

/// A program that serves.
pub struct Server {
    running: Running,
    pub address: SocketAddr,
    /// What it printed until it was ready.
    pub first_lines: String,
}

impl Server {
    /// `objectd` on a port of its own, its files in `dir`.
    #[track_caller]
    pub fn new(dir: &Path, args: &[&str]) -> Self {
        Self::start(objectd(dir, args).args(["--listen", "127.0.0.1:0"]))
    }

    /// A program that prints a URL and then lines to try.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut running = Running::start_unread(command);
        let mut lines = BufReader::new(running.child.stdout.take().unwrap()).lines();
        let mut first_lines = String::new();
        while first_lines.matches("  curl ").count() < 3 {
            let Some(Ok(line)) = lines.next() else {
                let status = running.wait();
                panic!("it ended with {status} before it was ready: {first_lines}{}", running.log());
            };
            first_lines += &format!("{line}\n");
        }
        // Nothing is printed after these lines, but the pipe stays open for it.
        running.stdout = Some(thread::spawn(move || lines.map_while(Result::ok).collect()));
        let after = first_lines.split("http://").nth(1).unwrap_or_default();
        let address = after.split(['/', '\n', ' ']).next().unwrap_or_default().parse();
        let address = address.unwrap_or_else(|_| panic!("no address in {first_lines}"));
        Self { running, address, first_lines }
    }

    /// Its lines to try.
    pub fn tries(&self) -> Vec<&str> {
        self.first_lines.lines().filter_map(|line| line.strip_prefix("  ")).collect()
    }

    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "TERM",
            Signal::Interrupt => "INT",
            Signal::Kill => "KILL",
        };
        let told = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// What it has logged until now.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Waits for its end; gives its status and all of its log.
    #[track_caller]
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = self.running.wait();
        (status, self.running.log())
    }

    /// Tells it to stop, and it does.
    #[track_caller]
    pub fn stop(self) -> String {
        self.signal(Signal::Terminate);
        let (status, log) = self.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        log
    }

    /// Takes its life at once.
    pub fn kill(self) {
        self.signal(Signal::Kill);
        self.ended();
    }

    pub fn wire(&self) -> Wire {
        Wire::to(self.address).unwrap()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.wire().ask(verb, path, headers, body);
        answer.unwrap_or_else(|error| panic!("{verb} {path}: {error:?}; the log: {}", self.log()))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A request with JSON.
    #[track_caller]
    pub fn with_json(&self, verb: &str, path: &str, json: &Value) -> Answer {
        self.ask(verb, path, &[("content-type", "application/json")], &json.to_string())
    }

    /// A call.
    #[track_caller]
    pub fn post(&self, path: &str, json: &Value) -> Answer {
        self.with_json("POST", path, json)
    }
}

/// A directory that goes with the test.
pub fn dir() -> TempDir {
    tempfile::Builder::new().prefix("objectd-cli-").tempdir().unwrap()
}
