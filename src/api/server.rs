//! The server: accepts, serves HTTP/1.0, 1.1 and HTTP/2 on one port, with and without TLS, and drains.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::at_once::AtOnce;
use super::connection::{Guarded, Watch};
use super::layers::Api;
use super::stream::{Entrance, Proved, Stream};
use crate::clock::Instant;
use crate::config::Limits;
use crate::error::Result;

/// After an `accept` that failed (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// So long one who has connected, and has asked nothing yet, may take to ask when this server closes.
const FIRST_ASKED: Duration = Duration::from_millis(200);

/// What connections are told.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Open,
    /// Answer what is running, then close.
    Drain,
    /// Close now.
    Over,
}

/// See [`Api::serve`].
pub(crate) async fn serve(
    api: Api,
    listener: TcpListener,
    shutdown: impl Future<Output = Instant> + Send,
) -> Result<()> {
    let limits = api.inner().limits().clone();
    let entrance = Entrance::of(api.inner().host.config())?;
    let (phase, told) = watch::channel(Phase::Open);
    let served = Served { api, entrance, builder: builder(&limits) };
    let end = accept_until(shutdown, listener, told, Arc::new(served)).await;
    // The last receiver goes with the last connection.
    let _ = phase.send(Phase::Drain);
    if tokio::time::timeout_at(end, phase.closed()).await.is_err() {
        tracing::warn!(drain_timeout_ms = limits.drain_timeout_ms, "calls still running were given up");
        let _ = phase.send(Phase::Over);
        phase.closed().await;
    }
    Ok(())
}

/// What every connection needs.
struct Served {
    api: Api,
    entrance: Entrance,
    builder: Builder<TokioExecutor>,
}

async fn accept_until(
    shutdown: impl Future<Output = Instant> + Send,
    listener: TcpListener,
    told: watch::Receiver<Phase>,
    served: Arc<Served>,
) -> Instant {
    let mut shutdown = pin!(shutdown);
    let places = Arc::new(Semaphore::new(served.api.inner().limits().connections.min(Semaphore::MAX_PERMITS)));
    let end = loop {
        // A connection beyond the limit waits in the kernel's queue until another ends.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            end = &mut shutdown => break end,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve_connection(Arc::clone(&served), stream, told.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(error.message = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    };
    // Those who wait in the kernel's queue have connected, and would be cut off.
    while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        tokio::spawn(serve_connection(Arc::clone(&served), stream, told.clone()));
    }
    end
}

async fn serve_connection(served: Arc<Served>, stream: TcpStream, mut told: watch::Receiver<Phase>) {
    let api = &served.api;
    let limits = api.inner().limits();
    let _connected = api.inner().metrics.connect();
    // Answers are small and complete when they are written.
    let _ = stream.set_nodelay(true);
    let watch = Arc::new(Watch::new());
    let (stream, proved) = if served.entrance.is_plain() {
        (Stream::Plain(stream), false)
    } else {
        let entered =
            tokio::time::timeout(Duration::from_millis(limits.head_timeout_ms), served.entrance.enter(stream));
        match tokio::select! { entered = entered => entered, _ = told.changed() => return } {
            Ok(Ok(entered)) => entered,
            Ok(Err(error)) => return tracing::debug!(error.message = %error, "a handshake failed"),
            Err(_) => return,
        }
    };
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&watch), limits));
    let answering = api.clone();
    let asked = Arc::new(AtomicBool::new(false));
    let was_asked = Arc::clone(&asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        asked.store(true, Relaxed);
        let in_work = watch.begin(request.version());
        let api = answering.clone();
        if proved {
            request.extensions_mut().insert(Proved);
        }
        async move {
            let answer = api.serve_one(request).await;
            drop(in_work);
            answer
        }
    });
    let mut connection = AtOnce::new(served.builder.serve_connection(io, service));
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(error.message = %error, "a connection ended early");
                }
                return;
            }
            changed = told.changed() => {
                if changed.is_err() || *told.borrow() == Phase::Over {
                    return;
                }
                if !was_asked.load(Relaxed) {
                    tokio::select! {
                        _ = &mut connection => return,
                        () = tokio::time::sleep(FIRST_ASKED) => {}
                    }
                }
                connection.inner().graceful_shutdown();
            }
        }
    }
}

/// hyper's own limits lie above ours, so that what is a little too large gets a problem document; what is far too
/// large is refused by hyper, bare.
fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    const BUFFER_MIN: usize = 64 << 10;
    let head = (2 * (limits.header_bytes + limits.uri_bytes)).max(BUFFER_MIN);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Heads and idle connections are timed by `Guarded`, from the first byte of the first connection on.
        .header_read_timeout(None)
        .half_close(false)
        .max_headers(limits.header_count + 50)
        .max_buf_size(head);
    // All that other nodes ask comes over one connection each.
    let streams = u32::try_from(limits.calls).unwrap_or(u32::MAX);
    builder.http2().max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX)).max_concurrent_streams(streams);
    // Questions whose askers gave up while this process stood still are no attack.
    builder.http2().max_pending_accept_reset_streams(limits.calls);
    builder
}
