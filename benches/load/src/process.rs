//! Servers as children: started on a free port, asked until they answer, measured, ended.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::wire::{Client, get};

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A port of loopback that nobody listens on now.
///
/// # Errors
/// When there is none.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Server {
    /// Starts a program that will listen on `address`; what it prints goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(program: &Path, args: &[String], address: SocketAddr, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, log, address })
    }

    /// Waits until it answers a GET of `path`, whatever the status.
    ///
    /// # Errors
    /// When it ends, or has not answered after 20 seconds; with the end of what it printed.
    pub(crate) fn wait_for_answer(&mut self, path: &str) -> Result<()> {
        let request = get(path);
        self.wait(|address| Client::connect(address)?.ask(&request).map(|_| ()))
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// As [`Server::wait_for_answer`].
    pub(crate) fn wait_for_port(&mut self) -> Result<()> {
        self.wait(|address| std::net::TcpStream::connect(address).map(|_| ()))
    }

    fn wait(&mut self, attempt: impl Fn(SocketAddr) -> io::Result<()>) -> Result<()> {
        let limit = Instant::now() + Duration::from_secs(20);
        while attempt(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}; it printed:\n{}", self.printed());
            }
            if Instant::now() > limit {
                bail!("the server did not answer within 20 seconds; it printed:\n{}", self.printed());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    /// The end of what it printed.
    pub(crate) fn printed(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let from = text.lines().count().saturating_sub(20);
        text.lines().skip(from).collect::<Vec<_>>().join("\n")
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGTERM: it is to end.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn terminate(&self) -> Result<()> {
        let told = Command::new("sh").args(["-c", &format!("kill -s TERM {}", self.child.id())]).status()?;
        if !told.success() {
            bail!("process {} cannot be told to end: {told}", self.child.id());
        }
        Ok(())
    }

    /// Waits for it to end by itself; `None` when it does not.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn ended(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let limit = Instant::now() + within;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < limit => std::thread::sleep(Duration::from_millis(2)),
                status => return Ok(status),
            }
        }
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory it ever had, in bytes.
    ///
    /// # Errors
    /// When `/proc` does not tell.
    pub(crate) fn resident_peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{path} (memory is read from Linux's /proc)"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{path}: {name}"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
