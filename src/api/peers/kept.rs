//! A connection to another node that is kept: HTTP/2, a stream a question, spoken by h2 itself.
//!
//! hyper's client has a task of its own for each body and hands each request from one task to another before it is
//! written; h2 takes both where they are asked for. A call that is sent on is small, and that was a good part of it.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong, RecvStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::api::client::REPLY_BYTES_MAX;

/// How often the other end is asked whether it is there, and how long its answer may take. After both together the
/// connection counts as broken, and calls go another way: one that was sent before is lost.
const PING: Duration = Duration::from_secs(1);
const PONG_MAX: Duration = Duration::from_secs(2);
/// What may be under way of one answer, and of all on a connection, in bytes.
const WINDOW: u32 = 1 << 20;
const WINDOW_OF_ALL: u32 = 16 * WINDOW;
/// All headers of an answer, in bytes.
const HEADERS_MAX: u32 = 16 << 10;

/// The connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Kept {
    send: SendRequest<Bytes>,
    over: Arc<AtomicBool>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It never came to the other end, or was not begun there.
    Unsent(String),
    /// It may have had its effect.
    Lost(String),
}

impl Kept {
    pub(super) async fn open<T>(io: T) -> Result<Self, h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW_OF_ALL);
        builder.max_header_list_size(HEADERS_MAX).enable_push(false);
        let (send, connection) = builder.handshake(io).await?;
        let over = Arc::new(AtomicBool::new(false));
        tokio::spawn(drive(connection, Arc::clone(&over)));
        Ok(Self { send, over })
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether it takes questions: one that goes on may have been told to take no more, or have no numbers left for them.
    pub(super) fn is_open(&mut self) -> bool {
        let ready = self.send.poll_ready(&mut Context::from_waker(Waker::noop()));
        !self.is_over() && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Asks, and reads the whole answer. `sent` becomes true before anything can have left.
    pub(super) async fn ask(
        self,
        question: Request<()>,
        body: Bytes,
        sent: &AtomicBool,
    ) -> Result<Response<Bytes>, Unanswered> {
        let over = self.over;
        let closed = |error: h2::Error| {
            over.store(true, Ordering::Release);
            Unanswered::Unsent(format!("{error:?}"))
        };
        let mut send = self.send.ready().await.map_err(closed)?;
        sent.store(true, Ordering::Release);
        let (answer, mut rest) = send.send_request(question, body.is_empty()).map_err(closed)?;
        if !body.is_empty() {
            // Refused only on a stream that has ended: its answer says how.
            let _ = rest.send_data(body, true);
        }
        let (head, body) = answer.await.map_err(unanswered)?.into_parts();
        Ok(Response::from_parts(head, read(body).await?))
    }
}

/// The body of an answer. What comes in one piece, as nearly all do, is not copied.
async fn read(mut body: RecvStream) -> Result<Bytes, Unanswered> {
    let mut whole = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| Unanswered::Lost(format!("the answer broke off: {error}")))?;
        // Fails on a stream that is reset; the next piece says so.
        let _ = body.flow_control().release_capacity(piece.len());
        if whole.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        if whole.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(Unanswered::Lost(format!("the answer has more than {REPLY_BYTES_MAX} bytes")));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// HTTP/2 says what certainly was not begun: the other node refused the stream, or went away before it came to it.
fn unanswered(error: h2::Error) -> Unanswered {
    let reason = error.reason();
    let not_begun = reason == Some(h2::Reason::REFUSED_STREAM)
        || (error.is_go_away() && error.is_remote() && reason == Some(h2::Reason::NO_ERROR));
    let detail = format!("{error:?}");
    if not_begun { Unanswered::Unsent(detail) } else { Unanswered::Lost(detail) }
}

/// Carries the frames until one of the ends closes, or the other one is silent.
async fn drive<T>(mut connection: Connection<T, Bytes>, over: Arc<AtomicBool>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let silent = silence(connection.ping_pong());
    let mut connection = pin!(connection);
    // In this order: after a pause of this process the answer to the ping may lie in the socket.
    let why = tokio::select! {
        biased;
        ended = connection.as_mut() => ended.err().map(|error| error.to_string()),
        () = silent => Some("it does not answer a ping".to_owned()),
    };
    // Before the connection falls, and its questions with it: those who ask again are to have another one.
    over.store(true, Ordering::Release);
    if let Some(why) = why {
        tracing::debug!(error.message = %why, "a connection to another node ended");
    }
}

/// Returns when a ping is not answered in time.
async fn silence(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return pending().await };
    loop {
        tokio::time::sleep(PING).await;
        if !matches!(tokio::time::timeout(PONG_MAX, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use h2::server::{self, SendResponse};
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::clock;

    type Asked = (Request<RecvStream>, SendResponse<Bytes>);

    /// A connection whose other end does this with each question.
    async fn to<F>(mut answer: impl FnMut(Asked) -> F + Send + 'static) -> Kept
    where
        F: Future<Output = ()> + Send,
    {
        let (near, far) = duplex(1 << 16);
        tokio::spawn(async move {
            let mut connection = server::Builder::new().handshake::<DuplexStream, Bytes>(far).await.unwrap();
            while let Some(Ok(asked)) = connection.accept().await {
                answer(asked).await;
            }
        });
        Kept::open(near).await.unwrap()
    }

    async fn ask(kept: &Kept, body: &'static [u8]) -> Result<Response<Bytes>, Unanswered> {
        let question = Request::post("http://there/object").body(()).unwrap();
        let sent = AtomicBool::new(false);
        kept.clone().ask(question, Bytes::from_static(body), &sent).await
    }

    fn is_unsent(asked: &Result<Response<Bytes>, Unanswered>) -> bool {
        matches!(asked, Err(Unanswered::Unsent(_)))
    }

    fn is_lost(asked: &Result<Response<Bytes>, Unanswered>) -> bool {
        matches!(asked, Err(Unanswered::Lost(_)))
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole_in_however_many_pieces() {
        for pieces in [0, 1, 3] {
            let kept = to(move |(question, mut answer): Asked| async move {
                let mut question = question.into_body();
                let told = question.data().await.unwrap().unwrap();
                let mut rest = answer.send_response(Response::new(()), pieces == 0).unwrap();
                for piece in 0..pieces {
                    rest.send_data(told.clone(), piece + 1 == pieces).unwrap();
                }
            })
            .await;
            assert_eq!(ask(&kept, b"again").await.unwrap().into_body(), "again".repeat(pieces));
        }
    }

    #[tokio::test]
    async fn what_was_refused_or_never_begun_has_no_effect_and_what_was_begun_may() {
        let reset = |reason| to(move |(_, mut answer): Asked| async move { answer.send_reset(reason) });
        assert!(is_unsent(&ask(&reset(h2::Reason::REFUSED_STREAM).await, b"5").await));
        assert!(is_lost(&ask(&reset(h2::Reason::INTERNAL_ERROR).await, b"5").await));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_is_given_up_with_all_it_was_asked() {
        let (near, far) = duplex(1 << 16);
        let kept = Kept::open(near).await.unwrap();
        let began = clock::now();
        let asked = timeout(Duration::from_secs(60), ask(&kept, b"5")).await;
        assert!(is_lost(&asked.expect("it waits for ever")));
        let lasted = clock::now() - began;
        assert!(lasted >= PONG_MAX && lasted <= PING + PONG_MAX + Duration::from_millis(10), "{lasted:?}");
        assert!(kept.is_over());
        assert!(is_unsent(&ask(&kept, b"5").await), "nothing is sent on a connection that is over");
        drop(far);
    }

    #[tokio::test]
    async fn one_that_is_told_to_take_no_more_is_not_open() {
        let (near, far) = duplex(1 << 16);
        tokio::spawn(async move {
            let mut connection = server::Builder::new().handshake::<DuplexStream, Bytes>(far).await.unwrap();
            // The first question is never answered: the connection goes on for it.
            let _first = connection.accept().await.unwrap().unwrap();
            let (_, mut second) = connection.accept().await.unwrap().unwrap();
            second.send_response(Response::new(()), true).unwrap();
            connection.graceful_shutdown();
            let _ = connection.accept().await;
        });
        let mut kept = Kept::open(near).await.unwrap();
        assert!(kept.is_open());
        let first = kept.clone();
        tokio::spawn(async move { ask(&first, b"5").await });
        tokio::task::yield_now().await;
        assert!(ask(&kept, b"5").await.is_ok());
        let told = async {
            while kept.is_open() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(1), told).await.expect("it is taken for open still");
        assert!(!kept.is_over());
        assert!(is_unsent(&ask(&kept, b"5").await));
    }

    #[tokio::test]
    async fn one_that_has_ended_takes_nothing_more() {
        let (near, far) = duplex(1 << 16);
        let kept = Kept::open(near).await.unwrap();
        drop(far);
        let ended = async {
            while !kept.is_over() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), ended).await.expect("nobody notices that it has ended");
        assert!(is_unsent(&ask(&kept, b"5").await));
    }
}
