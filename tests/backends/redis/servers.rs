//! Redis servers of a test's own.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remote_object::Config;

/// A server, and its folder, until it is dropped.
pub struct Server {
    process: Child,
    pub port: u16,
    args: Vec<String>,
    dir: tempfile::TempDir,
}

/// The arguments that make a server keep every write.
pub const SYNCED: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

impl Server {
    /// One with these arguments; nothing, with a word about it, where Redis is not installed.
    pub fn start(args: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port, args)
    }

    pub fn start_at(port: u16, args: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = match spawn(dir.path(), port, &args) {
            Ok(process) => process,
            Err(error) if std::env::var("REQUIRE_BACKENDS").is_ok_and(|set| !matches!(set.as_str(), "" | "0")) => {
                panic!("redis-server is required: {error}")
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "SKIPPED: redis-server cannot be started ({error})");
                return None;
            }
        };
        let server = Self { process, port, args, dir };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        for _ in 0..2000 {
            let client = redis::Client::open(self.direct()).unwrap();
            let connected = client.get_connection_with_timeout(Duration::from_millis(500));
            // One that asks for a password, or speaks TLS, answers as well.
            let answers = connected.is_ok_and(|mut connection| {
                !redis::cmd("PING")
                    .query::<String>(&mut connection)
                    .is_err_and(|error| error.is_io_error() || error.code() == Some("LOADING"))
            });
            let speaks_tls = self.args.iter().any(|arg| arg == "--tls-port");
            if answers || speaks_tls && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server does not answer on port {}", self.port);
    }

    fn direct(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its URL, for a store.
    pub fn url(&self) -> String {
        self.direct()
    }

    /// The settings of a service on it.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.store = self.url();
        config
    }

    /// Says something to it, past any store.
    pub fn tell(&self, command: &[&str]) -> redis::Value {
        let mut connection = redis::Client::open(self.direct()).unwrap().get_connection().unwrap();
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query(&mut connection).unwrap()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again in its folder.
    pub fn revive(&mut self) {
        self.process = spawn(self.dir.path(), self.port, &self.args).unwrap();
        self.wait();
    }

    /// `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(dir: &Path, port: u16, args: &[String]) -> std::io::Result<Child> {
    let plain = if args.iter().any(|arg| arg == "--tls-port") { 0 } else { port };
    Command::new("redis-server")
        .args(["--port", &plain.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(dir)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
