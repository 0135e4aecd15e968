//! The server under test as a process: started, killed, stopped where it stands, and set going again.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::http::Client;

const OBJECTD: &str = env!("CARGO_BIN_EXE_objectd");
/// A start on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// A process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Objectd {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

/// What stands in the environment of a process, beside what stands in that of all.
pub type Environment = Vec<(&'static str, String)>;

/// Where and how one is started.
#[derive(Clone, Debug)]
pub struct Place {
    pub address: SocketAddr,
    /// Words before the program, such as `ip netns exec one`.
    pub before: Vec<String>,
    /// Flags of its own.
    pub flags: Vec<String>,
    pub environment: Environment,
}

impl Place {
    /// On this machine, on a port that nobody listens on now.
    pub fn free() -> Self {
        Self::at(free_address(), Vec::new())
    }

    /// At an address, with these words before the program.
    pub fn at(address: SocketAddr, before: Vec<String>) -> Self {
        Self { address, before, flags: Vec::new(), environment: Environment::new() }
    }
}

/// A port that nobody listens on now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Sends a signal to a process that this test started.
pub fn signal(pid: u32, name: &str) {
    let told = Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]).status().unwrap();
    assert!(told.success(), "kill -s {name} {pid}");
}

impl Objectd {
    /// Starts one under the name of a host, with the settings file of `dir`.
    pub fn start(dir: &Path, host: &str) -> Self {
        Self::start_at(&Place::free(), dir, host)
    }

    /// The same, where one likes.
    pub fn start_at(place: &Place, dir: &Path, host: &str) -> Self {
        let address = place.address;
        let log = dir.join(format!("{host}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut words = place.before.iter().map(String::as_str).chain([OBJECTD]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REMOTE_OBJECT_") {
                command.env_remove(name);
            }
        }
        command.env("HOSTNAME", host).env("RUST_LOG", "info,scylla=error").env("RUST_BACKTRACE", "1");
        command.envs(place.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--config").arg(dir.join("objectd.toml")).arg("--listen").arg(address.to_string());
        command.args(&place.flags);
        command.current_dir(dir).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{OBJECTD}: {error}"));
        Self { child, address, log }
    }

    /// Waits until it takes calls.
    pub fn wait(&mut self) {
        let began = Instant::now();
        loop {
            if Client::new(Duration::from_secs(10))
                .get(self.address, "/readyz")
                .is_ok_and(|answer| answer.status == 200)
            {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("objectd ended with {status}; it said:\n{}", self.said());
            }
            assert!(began.elapsed() < START_MAX, "objectd is not ready after {START_MAX:?}; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// SIGTERM: it is to leave.
    pub fn terminate(&self) {
        signal(self.child.id(), "TERM");
    }

    /// Waits for it to end by itself; `None` when it does not.
    pub fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                None if began.elapsed() < within => std::thread::sleep(Duration::from_millis(2)),
                status => return status,
            }
        }
    }

    /// SIGSTOP: it stands still.
    pub fn freeze(&self) {
        signal(self.child.id(), "STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        signal(self.child.id(), "CONT");
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let from = text.lines().count().saturating_sub(30);
        text.lines().skip(from).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Objectd {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
