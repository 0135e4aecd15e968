//! One pipelined connection: whoever asks writes into one buffer, one task sends what is in it, another one hands the
//! answers out in the order in which they were asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::wire::{self, Reply};
use crate::cache::ring::Failed;

/// Bytes that may wait to be sent, and questions that may wait for their answers: a server that is further behind is of
/// no use.
const OUT_MAX: usize = 64 << 20;
const WAITING_MAX: usize = 1 << 16;
const READ_BYTES: usize = 64 << 10;

/// A connection to one server. It ends with this value, or at the first thing that is wrong with it.
#[derive(Debug)]
pub(super) struct Connection {
    lane: Arc<Lane>,
    tasks: [AbortHandle; 2],
}

#[derive(Default, Debug)]
struct Lane {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default, Debug)]
struct State {
    out: Vec<u8>,
    waiting: VecDeque<oneshot::Sender<Reply>>,
    closed: Option<Arc<str>>,
}

impl Connection {
    /// Connects, and logs in where there is a login.
    pub(super) async fn open(address: SocketAddr, login: Option<Arc<str>>) -> Result<Arc<Self>, Failed> {
        let stream = TcpStream::connect(address).await.map_err(|error| broken(&error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| broken(&error.to_string()))?;
        let connection = Self::over(stream);
        if let Some(login) = login {
            match connection.ask(|out| wire::login(out, &login)).await {
                Ok(Reply::Done) => {}
                _ => return Err(broken("it does not take the login")),
            }
        }
        Ok(Arc::new(connection))
    }

    fn over(stream: TcpStream) -> Self {
        let lane = Arc::new(Lane::default());
        let (input, output) = stream.into_split();
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
            if let Some(why) = &state.closed {
                return Err(Failed::Broken(Arc::clone(why)));
            }
            if state.out.len() > OUT_MAX || state.waiting.len() > WAITING_MAX {
                return Err(broken("it is too far behind"));
            }
            write(&mut state.out);
            state.waiting.push_back(reply);
        }
        self.lane.bell.notify_one();
        answer.await.map_err(|_| {
            let why = self.lane.state().closed.clone();
            Failed::Broken(why.unwrap_or_else(|| "the connection was given up".into()))
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.lane.close("the connection was given up");
    }
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everyone who waits is told that nothing comes.
    fn close(&self, why: &str) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| why.into());
        state.waiting.clear();
        state.out = Vec::new();
        drop(state);
        self.bell.notify_one();
    }
}

fn broken(why: &str) -> Failed {
    Failed::Broken(why.into())
}

async fn send(lane: Arc<Lane>, mut output: OwnedWriteHalf) {
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
        } else if let Err(error) = output.write_all(&sending).await {
            return lane.close(&error.to_string());
        }
    }
}

async fn receive(lane: Arc<Lane>, mut input: OwnedReadHalf) {
    let mut bytes = BytesMut::new();
    let mut replies = Vec::new();
    loop {
        bytes.reserve(READ_BYTES);
        match input.read_buf(&mut bytes).await {
            Ok(0) => return lane.close("it hung up"),
            Ok(_) => {}
            Err(error) => return lane.close(&error.to_string()),
        }
        let garbled = loop {
            match wire::parse(&mut bytes) {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break None,
                Err(why) => break Some(why),
            }
        };
        let mut state = lane.state();
        for reply in replies.drain(..) {
            match state.waiting.pop_front() {
                // Who asked may have given up.
                Some(waiting) => _ = waiting.send(reply),
                None => {
                    drop(state);
                    return lane.close("it answered what nobody asked");
                }
            }
        }
        drop(state);
        if let Some(why) = garbled {
            return lane.close(&why);
        }
    }
}
