//! The connection: one for all, made anew when anything fails on it, and never a command sent twice.
//!
//! Not the driver's `ConnectionManager`: commands wait for its reconnect without a limit of time, and it keeps a
//! connection on which every command times out, as when the other side has gone without a word.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value, from_redis_value};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::error::Elapsed;
use tokio::time::{timeout, timeout_at};

use super::address::Address;
use super::rev;
use super::script::Script;
use super::server::{Server, Unfit};
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::model::Durability;

/// A command that is not answered in this time is unknown, and its connection is given up.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Acknowledged writes that are looked for after a reconnect. A server that has gone back lacks the last ones; since many
/// tasks take answers, the last one noted here need not be the last one applied, but that is among so many.
const REMEMBERED: usize = 256;
/// Commands that may wait for the connection's task.
const QUEUE: usize = 1024;

/// One connection for all commands.
pub(super) struct Wire {
    address: Address,
    /// What the server was when it was connected to first.
    server: Server,
    connection: Mutex<Connection>,
    /// Held by who connects.
    connecting: AsyncMutex<()>,
    /// The last acknowledged writes: keys and revs.
    acknowledged: Mutex<VecDeque<(String, Arc<str>)>>,
    revs: Script,
    failed: watch::Sender<Option<Error>>,
}

#[derive(Default)]
struct Connection {
    /// Counts the connections, so that who gives one up does not give up the next.
    number: u64,
    open: Option<MultiplexedConnection>,
}

impl Wire {
    /// # Errors
    /// `config` when the server refuses us or is unfit; `store-unavailable` when it does not answer.
    pub(super) async fn connect(address: Address) -> Result<Self> {
        let opened = timeout(TIMEOUT, open(&address)).await;
        let (connection, server) = match opened.unwrap_or_else(|_| Err(Unfit::Late)) {
            Ok(opened) => opened,
            Err(why) if is_transient(&why) => return Err(failure(&address, &format!("{why}{}", cure(&address, &why)))),
            Err(why) => return Err(Error::config(format!("{}: {why}", address.shown))),
        };
        if server.replicas > 0 {
            tracing::warn!(
                "{}: {} replicas are connected; a failover to one of them loses what it has not got yet, acknowledged or not",
                address.shown,
                server.replicas
            );
        }
        Ok(Self {
            address,
            server,
            connection: Mutex::new(Connection { number: 1, open: Some(connection) }),
            connecting: AsyncMutex::default(),
            acknowledged: Mutex::default(),
            revs: Script::new(include_str!("revs.lua")),
            failed: watch::Sender::new(None),
        })
    }

    /// What the server was when it was connected to first.
    pub(super) fn server(&self) -> Server {
        self.server
    }

    /// Notes a write that was acknowledged, to look for it after a reconnect.
    pub(super) fn acknowledged(&self, value_key: String, rev: Arc<str>) {
        let mut acknowledged = lock(&self.acknowledged);
        if acknowledged.len() == REMEMBERED {
            acknowledged.pop_front();
        }
        acknowledged.push_back((value_key, rev));
    }

    /// Has the next command look whether the server still has what it acknowledged.
    pub(super) fn doubt(&self) {
        lock(&self.connection).open = None;
    }

    /// Resolves when the server is found to have lost acknowledged writes.
    pub(super) async fn failed(&self) -> Error {
        let mut failed = self.failed.subscribe();
        let failed = failed.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        match failed {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Sends a command, once.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value> {
        let end = clock::now() + TIMEOUT;
        let (number, mut connection) = self.connection(end).await?;
        let answer = timeout_at(end, command.query_async(&mut connection)).await;
        self.judged(number, answer)
    }

    /// Sends commands that read, together.
    pub(super) async fn ask_all(&self, commands: &[Cmd]) -> Result<Vec<Value>> {
        let end = clock::now() + TIMEOUT;
        let (number, mut connection) = self.connection(end).await?;
        let answer = timeout_at(end, ask_together(&mut connection, commands)).await;
        self.judged(number, answer)
    }

    /// Runs a script, once.
    pub(super) async fn run(&self, script: &Script, keys: &[&str], args: &[&[u8]]) -> Result<Value> {
        let end = clock::now() + TIMEOUT;
        let (number, mut connection) = self.connection(end).await?;
        let answer = timeout_at(end, script.run(&mut connection, keys, args)).await;
        self.judged(number, answer)
    }

    fn judged<T>(&self, number: u64, answer: Result<RedisResult<T>, Elapsed>) -> Result<T> {
        let why = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Unfit::Failed(error),
            Err(_) => Unfit::Late,
        };
        // Whatever it was (a lost connection, a server that is loading, or has become a replica): the next one looks anew.
        let mut connection = lock(&self.connection);
        if connection.number == number {
            connection.open = None;
        }
        Err(failure(&self.address, &why.to_string()))
    }

    /// The connection there is, or a new one.
    async fn connection(&self, end: clock::Instant) -> Result<(u64, MultiplexedConnection)> {
        let connected = timeout_at(end, async {
            if let Some(there) = self.there()? {
                return Ok(there);
            }
            let _alone = self.connecting.lock().await;
            match self.there()? {
                Some(there) => Ok(there),
                None => self.reconnect().await,
            }
        });
        connected.await.unwrap_or_else(|_| Err(failure(&self.address, &Unfit::Late.to_string())))
    }

    fn there(&self) -> Result<Option<(u64, MultiplexedConnection)>> {
        if let Some(failed) = &*self.failed.borrow() {
            return Err(failed.clone());
        }
        let connection = lock(&self.connection);
        Ok(connection.open.clone().map(|open| (connection.number, open)))
    }

    async fn reconnect(&self) -> Result<(u64, MultiplexedConnection)> {
        let fails = |why: &dyn fmt::Display| failure(&self.address, &why.to_string());
        let (mut opened, server) = open(&self.address).await.map_err(|why| fails(&why))?;
        if survives(server.durability) < survives(self.server.durability) {
            return Err(fails(&format!(
                "{}, which is less than at the start; set it back, or start anew with what it is now",
                server.reason
            )));
        }
        if let Some(lost) = self.lost(&mut opened).await.map_err(|why| fails(&why))? {
            let detail = format!("{}: the write of {lost:?} was acknowledged and is gone", self.address.shown);
            let error = Error::new(Kind::StoreUnavailable, "the datastore has lost acknowledged writes");
            let error = error.with_detail(format!(
                "{detail}, as after a failover to a replica, a restart without a synced file, or FLUSHALL; the store is \
                 stopped, a restart serves what is there"
            ));
            self.failed.send_replace(Some(error.clone()));
            return Err(error);
        }
        let mut connection = lock(&self.connection);
        connection.number += 1;
        connection.open = Some(opened.clone());
        Ok((connection.number, opened))
    }

    /// A key whose last acknowledged write is not there any more.
    async fn lost(&self, connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
        // The newest of each key.
        let mut known = HashSet::new();
        let acknowledged: Vec<(String, Arc<str>)> =
            lock(&self.acknowledged).iter().rev().filter(|(key, _)| known.insert(key.clone())).cloned().collect();
        let keys: Vec<&str> = acknowledged.iter().map(|(key, _)| key.as_str()).collect();
        let there: Vec<String> = from_redis_value(self.revs.run(connection, &keys, &[]).await?)?;
        let gone = acknowledged.iter().zip(there).find(|((_, rev), there)| !rev::holds(there, rev));
        Ok(gone.map(|((key, _), _)| key.clone()))
    }
}

/// Shown without the password.
impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address.shown)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("url", &self.address.shown).field("server", &self.server).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing between lock and unlock leaves it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn survives(durability: Durability) -> u8 {
    match durability {
        Durability::PowerSafe => 2,
        Durability::ProcessSafe => 1,
        Durability::Weak => 0,
    }
}

fn failure(address: &Address, why: &str) -> Error {
    Error::store(format!("{}: {why}", address.shown))
}

/// What may be the matter with a server that never said a word.
fn cure(address: &Address, why: &Unfit) -> &'static str {
    match (why, address.is_over_tls) {
        (Unfit::Late, true) => "; if it does not speak TLS, the URL would be redis://",
        (Unfit::Failed(error), false) if error.is_connection_dropped() => {
            "; if it speaks TLS, the URL would be rediss://"
        }
        (Unfit::Failed(error), true) if error.is_connection_dropped() => {
            "; if it asks for a certificate, tls-cert and tls-key would be a certificate of ours that it takes"
        }
        _ => "",
    }
}

/// Whether the same server may be fit a moment later.
fn is_transient(why: &Unfit) -> bool {
    match why {
        Unfit::Late => true,
        Unfit::Wrong(_) => false,
        Unfit::Failed(error) => error.is_io_error() || error.code() == Some("LOADING") || is_cut_short(error),
    }
}

/// Whether the connection ended within an answer, which the driver tells only in the words of its parser; anything else
/// that cannot be read comes from a server of another protocol.
fn is_cut_short(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Parse && error.to_string().contains("end of input")
}

async fn open(address: &Address) -> Result<(MultiplexedConnection, Server), Unfit> {
    // No limits of time of the driver's own: ours hold for connecting and answering together.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE);
    let connection = address.client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.map_err(Unfit::Failed)?;
    let server = Server::inspect(&mut connection).await?;
    Ok((connection, server))
}

async fn ask_together(connection: &mut MultiplexedConnection, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command.clone());
    }
    let answers: Vec<Value> = pipeline.query_async(connection).await?;
    match answers.len() == commands.len() {
        true => Ok(answers),
        false => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "fewer answers than commands"))),
    }
}
