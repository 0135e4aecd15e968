//! TLS between nodes: each shows a certificate, and takes those that the same authority signed.
//!
//! One who shows none comes in all the same, as any client of HTTPS does; he is no node then. The files are read again
//! when they change; files that cannot be used change nothing.
//!
//! The provider of the cryptography is named here, never taken from the process: with two of them linked, a default is a
//! panic at run time. No session is resumed: every connection proves itself anew.

mod connector;
mod files;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

pub use self::connector::Connector;
use self::files::{Files, Stamp};
use crate::clock::{self, Instant};
use crate::config::Config;
use crate::error::Result;

/// A connection that came in.
pub(crate) type ServerStream = tokio_rustls::server::TlsStream<TcpStream>;

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// What this node shows to others, and by what it knows them. Cheap to clone.
#[derive(Clone)]
pub struct PeerTls(Arc<Inner>);

struct Inner {
    files: Files,
    current: Mutex<Current>,
}

struct Current {
    ends: Ends,
    /// Of the files as they were when they were read last, usable or not.
    stamp: Stamp,
    looked: Instant,
}

/// Both ends of a connection between nodes.
#[derive(Clone)]
struct Ends {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl PeerTls {
    /// With the certificates that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// `config`, naming the file and what is wrong with it.
    pub fn open(config: &Config) -> Result<Option<Self>> {
        let Some(files) = Files::of(config) else { return Ok(None) };
        let stamp = files.stamp();
        let current = Mutex::new(Current { ends: files.read()?, stamp, looked: clock::now() });
        Ok(Some(Self(Arc::new(Inner { files, current }))))
    }

    /// Makes a connection that came in one with TLS. The second value says whether the other end showed a certificate,
    /// and so is a node.
    ///
    /// # Errors
    /// What failed in the handshake: a certificate that the authority did not sign, say.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(ServerStream, bool)> {
        let stream = TlsAcceptor::from(self.ends().server).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let proved = shown.is_some_and(|certificates| !certificates.is_empty());
        Ok((stream, proved))
    }

    fn client(&self) -> Arc<ClientConfig> {
        self.ends().client
    }

    /// Both ends by the files of now.
    fn ends(&self) -> Ends {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = clock::now();
            // Before they are read: what changes while they are is seen the next time.
            let stamp = self.0.files.stamp();
            if stamp != current.stamp {
                current.stamp = stamp;
                match self.0.files.read() {
                    Ok(ends) => {
                        current.ends = ends;
                        tracing::info!(certificate = %self.0.files.cert.display(), "read the certificates of this node again");
                    }
                    Err(error) => tracing::error!(
                        error.message = error.message(),
                        "the certificates of this node have changed and cannot be used; it goes on with those before"
                    ),
                }
            }
        }
        current.ends.clone()
    }
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerTls").field(&self.0.files).finish()
    }
}

#[cfg(test)]
mod tests;
