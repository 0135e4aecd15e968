//! What a connection is: a bare socket, or one with TLS on it. Both come in at one port.
//!
//! Where no certificates are set, a connection costs what it costs without this file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use super::tls::{PeerTls, ServerStream};
use crate::config::Config;
use crate::error::Result;

/// A connection whose bytes are HTTP.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<ServerStream>),
}

/// In the extensions of a request: its connection is that of a node, which proved itself with a certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proved;

impl Proved {
    /// Whether a node sent the request. Without certificates nobody can prove that he is one.
    #[must_use]
    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

/// How connections come in.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    #[cfg(feature = "tls")]
    tls: Option<PeerTls>,
}

impl Entrance {
    /// As the settings have it.
    ///
    /// # Errors
    /// `config` when a certificate cannot be used.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        #[cfg(not(feature = "tls"))]
        if config.peer_tls_cert.is_some() {
            let what = "the setting peer-tls-cert needs TLS, which is not in this build: build it with the feature tls";
            return Err(crate::error::Error::config(what));
        }
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: PeerTls::open(config)?,
        })
    }

    /// Whether a connection is HTTP from its first byte on, and nobody has to look.
    pub(crate) fn is_plain(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_none();
        #[cfg(not(feature = "tls"))]
        true
    }

    /// Waits for the first byte of a connection, and for its handshake where it is TLS. The second value says whether the
    /// other end proved that it is a node.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) async fn enter(&self, stream: TcpStream) -> io::Result<(Stream, bool)> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            /// What a handshake begins with (RFC 8446 §5.1), and no HTTP does.
            const HANDSHAKE: u8 = 22;
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE {
                let (stream, proved) = tls.accept(stream).await?;
                return Ok((Stream::Tls(Box::new(stream)), proved));
            }
        }
        Ok((Stream::Plain(stream), false))
    }
}

/// The same call on whichever stream it is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain($inner) => $call,
            #[cfg(feature = "tls")]
            Stream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(&mut *self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, inner => Pin::new(inner).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, inner => inner.is_write_vectored())
    }
}
