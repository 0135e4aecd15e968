//! How a node reaches another one: over TLS where certificates are set, over a bare socket where none are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::PeerTls;

/// How long a connection, and then its handshake, may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to nodes, for hyper's client: with certificates to `https://` only, where this node shows its own, and the
/// other's has to be signed by the same authority and to be for the host of the URL, a name or an IP address. Without
/// certificates to `http://` only.
#[derive(Clone, Debug)]
pub struct Connector {
    tls: Option<PeerTls>,
    sockets: HttpConnector,
}

impl Connector {
    /// Nothing is connected to yet.
    #[must_use]
    pub fn new(tls: Option<PeerTls>) -> Self {
        let mut sockets = HttpConnector::new();
        sockets.set_nodelay(true);
        sockets.set_connect_timeout(Some(CONNECT_TIMEOUT));
        sockets.enforce_http(false);
        Self { tls, sockets }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<PeerStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<PeerStream>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sockets.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (tls, secure) = (self.tls.clone(), uri.scheme_str() == Some("https"));
        if secure != tls.is_some() {
            let why = if secure {
                "is reached over https://, and this node has no certificates: set peer-tls-cert, peer-tls-key, peer-tls-ca"
            } else {
                "is reached over http://, and this node has certificates: the other would have them too, and say https://"
            };
            return Box::pin(async move { Err(io::Error::other(format!("the node at {uri} {why}"))) });
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let socket = self.sockets.call(uri);
        Box::pin(async move {
            let socket = socket.await.map_err(io::Error::other)?.into_inner();
            let Some(tls) = tls else { return Ok(TokioIo::new(PeerStream::Plain(socket))) };
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let handshake = TlsConnector::from(tls.client()).connect(name, socket);
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake).await;
            let stream = stream.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time"))??;
            Ok(TokioIo::new(PeerStream::Tls(Box::new(stream))))
        })
    }
}

/// A connection to a node.
#[derive(Debug)]
pub enum PeerStream {
    /// A bare socket.
    Plain(TcpStream),
    /// Both ends have shown their certificates.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for PeerStream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(socket) => socket.connected(),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_ref();
                let connected = socket.connected();
                if session.alpn_protocol() == Some(b"h2") { connected.negotiated_h2() } else { connected }
            }
        }
    }
}

/// The same call on whichever stream it is.
macro_rules! either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            PeerStream::Plain($inner) => $call,
            PeerStream::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for PeerStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for PeerStream {
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
