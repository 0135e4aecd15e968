//! What the error of a connection says: that it broke, or that it is no TLS.

#[cfg(feature = "memcached")]
use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::server::Failed;
#[cfg(feature = "memcached")]
use crate::config::tls;

/// Why a connection ended.
#[cfg(feature = "memcached")]
pub(in crate::cache) fn failed(error: &io::Error) -> Failed {
    match tls::fault(error) {
        Some((why, cure)) => Failed::Barred(why.into(), cure),
        None => Failed::Broken(error.to_string().into()),
    }
}

/// How long a handshake may take: less than a connection may in all, so that it is told what was late.
const HANDSHAKE_MAX: Duration = Duration::from_millis(800);

/// What comes of a handshake, if that is in time.
pub(in crate::cache) async fn in_time<T>(handshake: impl Future<Output = T>) -> Result<T, Failed> {
    let late =
        |_| Failed::Barred("it answers no TLS handshake".into(), "start it with TLS, or leave TLS out of the URL");
    timeout(HANDSHAKE_MAX, handshake).await.map_err(late)
}
