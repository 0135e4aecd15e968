//! One connection through the proxy: requests one way, answers the other, and what befalls them.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Shared;
use super::frames::{Frame, Protocol};

const CHUNK: usize = 64 << 10;
const DELAY_MAX_MS: u64 = 10;
const REQUESTS_LATER_MAX: u64 = 8;

/// What befalls a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Well,
    Delayed,
    Lost,
    Cut,
    Repeated,
    Answered(Answer),
}

/// What befalls an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Well,
    Lost,
    Cut,
    /// It is to a repeated request, and nobody waits for it.
    Dropped,
    Silence,
}

/// The answers that are waited for.
#[derive(Default)]
struct Awaited {
    answers: HashMap<u64, Answer>,
    sent: u64,
    answered: u64,
}

struct Connection<'a> {
    shared: &'a Shared,
    awaited: Mutex<Awaited>,
}

/// Relays until either side, or a fault, ends it.
pub(crate) async fn relay(client: TcpStream, server: TcpStream, shared: &Shared) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let connection = Connection { shared, awaited: Mutex::default() };
    tokio::select! {
        ended = connection.requests(from_client, to_server) => ended,
        ended = connection.answers(from_server, to_client) => ended,
    }
}

impl Connection<'_> {
    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self) -> Fate {
        let faults = self.shared.faults();
        let mut chance = (self.shared.random() % 10_000) as u32;
        let repeated = if self.shared.protocol == Protocol::Resp { faults.repeated } else { 0 };
        for (of, fate) in [
            (faults.delays, Fate::Delayed),
            (faults.requests_lost, Fate::Lost),
            (faults.requests_cut, Fate::Cut),
            (repeated, Fate::Repeated),
            (faults.answers_lost, Fate::Answered(Answer::Lost)),
            (faults.answers_cut, Fate::Answered(Answer::Cut)),
            (faults.silences, Fate::Answered(Answer::Silence)),
        ] {
            match chance.checked_sub(of) {
                None => return fate,
                Some(rest) => chance = rest,
            }
        }
        Fate::Well
    }

    /// Notes that a request goes on now, and what will befall its answer.
    fn sends(&self, frame: Frame, answer: Answer) {
        let mut awaited = self.awaited();
        let id = frame.stream.map_or(awaited.sent, |stream| stream as u64);
        awaited.sent += 1;
        awaited.answers.insert(id, answer);
    }

    async fn requests(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut server: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let shared = self.shared;
        let mut come = Vec::new();
        let mut is_first = true;
        // Copies that wait for so many more requests.
        let mut copies: Vec<(u64, Frame, Vec<u8>)> = Vec::new();
        loop {
            let Some(frame) = shared.protocol.request(&come, is_first) else {
                if !more(&mut client, &mut come).await? {
                    return server.write_all(&come).await;
                }
                continue;
            };
            // What was sent after the cut must not pass, whichever of the two is noticed first.
            if !*shared.open.borrow() {
                return Ok(());
            }
            is_first = false;
            let request: Vec<u8> = come.drain(..frame.bytes).collect();
            if !frame.pairs {
                server.write_all(&request).await?;
                continue;
            }
            shared.count(|counts| &mut counts.requests);
            let mut answer = Answer::Well;
            match self.fate() {
                Fate::Well => {}
                Fate::Answered(befalls) => answer = befalls,
                Fate::Delayed => {
                    shared.count(|counts| &mut counts.delays);
                    tokio::time::sleep(Duration::from_millis(shared.random() % (DELAY_MAX_MS + 1))).await;
                }
                Fate::Lost => {
                    shared.count(|counts| &mut counts.requests_lost);
                    return Ok(());
                }
                Fate::Cut => {
                    shared.count(|counts| &mut counts.requests_cut);
                    return server.write_all(&request[..request.len() / 2]).await;
                }
                Fate::Repeated => {
                    shared.count(|counts| &mut counts.repeated);
                    copies.push((shared.random() % (REQUESTS_LATER_MAX + 1), frame, request.clone()));
                }
            }
            self.sends(frame, answer);
            server.write_all(&request).await?;
            for at in (0..copies.len()).rev() {
                match copies[at].0.checked_sub(1) {
                    Some(left) => copies[at].0 = left,
                    None => {
                        let (_, frame, request) = copies.swap_remove(at);
                        self.sends(frame, Answer::Dropped);
                        server.write_all(&request).await?;
                    }
                }
            }
        }
    }

    async fn answers(&self, mut server: impl AsyncRead + Unpin, mut client: impl AsyncWrite + Unpin) -> io::Result<()> {
        let shared = self.shared;
        let mut come = Vec::new();
        loop {
            let Some(frame) = shared.protocol.answer(&come) else {
                if !more(&mut server, &mut come).await? {
                    return client.write_all(&come).await;
                }
                continue;
            };
            let answer: Vec<u8> = come.drain(..frame.bytes).collect();
            let befalls = if frame.pairs { self.answered(frame) } else { Answer::Well };
            match befalls {
                Answer::Well => client.write_all(&answer).await?,
                Answer::Dropped => {}
                Answer::Lost => {
                    shared.count(|counts| &mut counts.answers_lost);
                    return Ok(());
                }
                Answer::Cut => {
                    shared.count(|counts| &mut counts.answers_cut);
                    return client.write_all(&answer[..answer.len() / 2]).await;
                }
                Answer::Silence => {
                    shared.count(|counts| &mut counts.silences);
                    return pending().await;
                }
            }
        }
    }

    fn answered(&self, frame: Frame) -> Answer {
        let mut awaited = self.awaited();
        let id = frame.stream.map_or(awaited.answered, |stream| stream as u64);
        awaited.answered += 1;
        awaited.answers.remove(&id).unwrap_or(Answer::Well)
    }
}

/// Whether more has come before the end.
async fn more(from: &mut (impl AsyncRead + Unpin), to: &mut Vec<u8>) -> io::Result<bool> {
    to.reserve(CHUNK);
    Ok(from.read_buf(to).await? > 0)
}
