//! Cache servers of a test's own: real processes that it may kill, freeze and fill, and that end with it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// One server.
pub struct Server {
    child: Option<Child>,
    program: &'static str,
    args: Vec<String>,
    tls: bool,
    pub address: SocketAddr,
}

/// Whether this machine has a program. Where it has not, that is said, or is a failure when `REQUIRE_BACKENDS` is set.
pub fn has(program: &'static str) -> bool {
    static MEMCACHED: OnceLock<bool> = OnceLock::new();
    static REDIS: OnceLock<bool> = OnceLock::new();
    let known = if program == "memcached" { &MEMCACHED } else { &REDIS };
    let runs = || {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let has = *known.get_or_init(runs);
    if !has {
        let required = std::env::var("REQUIRE_BACKENDS").is_ok_and(|set| !set.is_empty() && set != "0");
        assert!(!required, "{program} is required and is not installed");
        let thread = std::thread::current();
        let line = format!("SKIPPED {}: {program} is not installed\n", thread.name().unwrap_or_default());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    has
}

/// An address nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// A memcached with these further arguments.
    pub fn memcached(args: &[&str]) -> Self {
        Self::start("memcached", args.iter().map(ToString::to_string).collect(), false)
    }

    /// A Redis that keeps nothing.
    pub fn redis(args: &[&str]) -> Self {
        let args = ["--save", "", "--appendonly", "no"].iter().chain(args).map(ToString::to_string).collect();
        Self::start("redis-server", args, false)
    }

    /// A memcached that speaks TLS and nothing else, with this certificate and its key; with `asks`, only to who shows a
    /// certificate of this authority.
    #[allow(dead_code, reason = "not all who include this need it")]
    pub fn memcached_over_tls([certificate, key]: &[String; 2], asks: Option<&str>) -> Self {
        let mut options = format!("ssl_chain_cert={certificate},ssl_key={key}");
        if let Some(ca) = asks {
            options.push_str(&format!(",ssl_verify_mode=2,ssl_ca_cert={ca}"));
        }
        Self::start("memcached", ["-Z".into(), "-o".into(), options].into(), true)
    }

    /// The same of Redis.
    #[allow(dead_code, reason = "not all who include this need it")]
    pub fn redis_over_tls([certificate, key]: &[String; 2], asks: Option<&str>, args: &[&str]) -> Self {
        let files = ["--tls-cert-file", certificate, "--tls-key-file", key];
        // Redis wants an authority even where it asks nobody for a certificate.
        let asked = match asks {
            Some(ca) => ["--tls-ca-cert-file", ca, "--tls-auth-clients", "yes"],
            None => ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"],
        };
        let args = ["--save", "", "--appendonly", "no"].iter().chain(&files).chain(&asked).chain(args);
        Self::start("redis-server", args.map(ToString::to_string).collect(), true)
    }

    fn start(program: &'static str, args: Vec<String>, tls: bool) -> Self {
        let mut server = Self { child: None, program, args, tls, address: free_address() };
        server.restart();
        server
    }

    /// Starts it again at its address, empty.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(self.program);
        let port = self.address.port().to_string();
        match self.program {
            "memcached" => command.args(["-u", "root", "-l", "127.0.0.1", "-p", &port, "-U", "0"]),
            _ if self.tls => command.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port]),
            _ => command.args(["--bind", "127.0.0.1", "--port", &port]),
        };
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < end, "{} did not start", self.program);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it as it stands: its connections stay, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
