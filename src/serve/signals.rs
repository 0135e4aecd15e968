//! The signals that end the process: the first one asks, a second one does not wait.

use std::future::Future;
use std::process::exit;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Listens for SIGTERM and Ctrl-C from now on; the future resolves at the first of them. A second one ends the process
/// at once, with 128 and the signal's number, as shells and supervisors expect it: what was acknowledged is durable.
///
/// # Errors
/// `config`, when the system does not let this process have signals.
pub(super) fn listen() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = Signals::new()
        .map_err(|error| Error::config(format!("this process cannot be told to stop: signals: {error}")))?;
    let (first, told) = oneshot::channel();
    tokio::spawn(async move {
        let (name, _) = signals.next().await;
        tracing::info!(signal = name, "told to stop; running calls are answered, a second signal ends them at once");
        let _ = first.send(());
        let (name, number) = signals.next().await;
        tracing::warn!(signal = name, "told to stop again: ending at once");
        exit(128 + number);
    });
    Ok(async {
        if told.await.is_err() {
            std::future::pending().await
        }
    })
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one's name and number.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 15),
            _ = self.interrupt.recv() => ("SIGINT", 2),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// The next one's name and number.
    async fn next(&mut self) -> (&'static str, i32) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        ("Ctrl-C", 2)
    }
}
