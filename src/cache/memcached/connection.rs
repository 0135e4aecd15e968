//! One pipelined connection: whoever asks writes into one buffer, one task sends what is in it, another one hands the
//! answers out in the order in which they were asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::wire::{self, Reply};
use crate::cache::ring::{Failed, connection_failed, handshake_in_time};

/// Bytes that may wait to be sent, and questions that may wait for their answers: a server that is further behind is of
/// no use.
const OUT_MAX: usize = 64 << 20;
const WAITING_MAX: usize = 1 << 16;
const READ_BYTES: usize = 64 << 10;
/// What TLS needs to be spoken with one server.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// What its certificate has to be for: a name or an address.
    pub(super) host: Arc<str>,
}

const GIVEN_UP: &str = "the connection was given up";
/// What may be the matter with a server that ends a connection without a word.
const HUNG_UP: &str = "if it speaks TLS, tls-ca would be the certificate of who signed its own";
const HUNG_UP_TLS: &str =
    "if it asks for a certificate, tls-cert and tls-key would be a certificate of ours that it takes";

/// A connection to one server. It ends with this value, or at the first thing that is wrong with it.
#[derive(Debug)]
pub(super) struct Connection {
    lane: Arc<Lane>,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Lane {
    state: Mutex<State>,
    bell: Notify,
    /// What may be the matter with a server that ends it without a word.
    hung_up: &'static str,
}

#[derive(Default, Debug)]
struct State {
    out: Vec<u8>,
    waiting: VecDeque<oneshot::Sender<Reply>>,
    answered: bool,
    closed: Option<Failed>,
}

impl Tls {
    async fn connect(self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        let barred = |why: &str, cure| Failed::Barred(why.into(), cure);
        let name = ServerName::try_from(self.host.to_string());
        let name = name.map_err(|_| barred("its host cannot stand in a certificate", "call it by another name"))?;
        let handshake = TlsConnector::from(self.config).connect(name, stream);
        handshake_in_time(handshake).await?.map_err(|error| connection_failed(&error))
    }
}

impl Connection {
    /// Connects, over TLS where that is wanted, and logs in where there is a login.
    pub(super) async fn open(
        address: SocketAddr,
        tls: Option<Tls>,
        login: Option<Arc<str>>,
    ) -> Result<Arc<Self>, Failed> {
        let stream = TcpStream::connect(address).await.map_err(|error| connection_failed(&error))?;
        stream.set_nodelay(true).map_err(|error| connection_failed(&error))?;
        let connection = match tls {
            None => {
                let (input, output) = stream.into_split();
                Self::over(input, output, HUNG_UP)
            }
            Some(tls) => {
                let (input, output) = tokio::io::split(tls.connect(stream).await?);
                Self::over(input, output, HUNG_UP_TLS)
            }
        };
        if let Some(login) = login {
            match connection.ask(|out| wire::login(out, &login)).await {
                Ok(Reply::Done) => {}
                Err(failed @ Failed::Barred(..)) => return Err(failed),
                _ => {
                    let cure = "see the user and the password in the URL, and those of its file (-Y)";
                    return Err(Failed::Barred("it does not take the login".into(), cure));
                }
            }
        }
        Ok(Arc::new(connection))
    }

    /// `hung_up`: what may be the matter if it ends without a word.
    fn over(
        input: impl AsyncRead + Unpin + Send + 'static,
        output: impl AsyncWrite + Unpin + Send + 'static,
        hung_up: &'static str,
    ) -> Self {
        let lane = Arc::new(Lane { state: Mutex::default(), bell: Notify::new(), hung_up });
        let send = tokio::spawn(send(Arc::clone(&lane), output)).abort_handle();
        let receive = tokio::spawn(receive(Arc::clone(&lane), input)).abort_handle();
        Self { lane, tasks: [send, receive] }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lane.state().closed.is_some()
    }

    /// Writes a question and waits for its answer.
    pub(super) async fn ask(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<Reply, Failed> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.lane.state();
            if let Some(failed) = &state.closed {
                return Err(failed.clone());
            }
            if state.out.len() > OUT_MAX || state.waiting.len() > WAITING_MAX {
                return Err(broken("it is too far behind"));
            }
            write(&mut state.out);
            state.waiting.push_back(reply);
        }
        self.lane.bell.notify_one();
        answer.await.map_err(|_| self.lane.state().closed.clone().unwrap_or_else(|| broken(GIVEN_UP)))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.lane.close(broken(GIVEN_UP));
    }
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server ended it.
    fn end(&self, failed: Failed) {
        let answered = self.state().answered;
        self.close(match failed {
            Failed::Broken(why) if !answered => {
                Failed::Barred(format!("it ended the connection without a word ({why})").into(), self.hung_up)
            }
            failed => failed,
        });
    }

    /// Everyone who waits is told that nothing comes.
    fn close(&self, failed: Failed) {
        let mut state = self.state();
        state.closed.get_or_insert(failed);
        state.waiting.clear();
        state.out = Vec::new();
        drop(state);
        self.bell.notify_one();
    }
}

fn broken(why: &str) -> Failed {
    Failed::Broken(why.into())
}

async fn send(lane: Arc<Lane>, mut output: impl AsyncWrite + Unpin) {
    let mut sending = Vec::new();
    loop {
        sending.clear();
        {
            let mut state = lane.state();
            if state.closed.is_some() {
                return;
            }
            std::mem::swap(&mut sending, &mut state.out);
        }
        if sending.is_empty() {
            lane.bell.notified().await;
        } else if let Err(error) = sent(&mut output, &sending).await {
            return lane.end(connection_failed(&error));
        }
    }
}

async fn sent(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    output.write_all(bytes).await?;
    output.flush().await
}

async fn receive(lane: Arc<Lane>, mut input: impl AsyncRead + Unpin) {
    let mut bytes = BytesMut::new();
    let mut replies = Vec::new();
    loop {
        bytes.reserve(READ_BYTES);
        match input.read_buf(&mut bytes).await {
            Ok(0) => return lane.end(broken("it hung up")),
            Ok(_) => {}
            Err(error) => return lane.end(connection_failed(&error)),
        }
        let garbled = loop {
            match wire::parse(&mut bytes) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break None,
                Err(why) => break Some(why),
            }
        };
        let mut state = lane.state();
        state.answered |= !replies.is_empty();
        for reply in replies.drain(..) {
            match state.waiting.pop_front() {
                // Who asked may have given up.
                Some(waiting) => _ = waiting.send(reply),
                None => {
                    drop(state);
                    return lane.close(broken("it answered what nobody asked"));
                }
            }
        }
        drop(state);
        if let Some(why) = garbled {
            return lane.close(broken(&why));
        }
    }
}
