//! Redis as one server of a [ring](super::ring): GET, SET, DEL on one multiplexed connection.
//!
//! Every value expires a week after it was last put there: a Redis without a memory limit would else keep for ever what
//! nobody asks for. One with a limit should evict (`allkeys-lru`); where it refuses instead, that is counted, and no error.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ::redis::aio::MultiplexedConnection;
use ::redis::io::AsyncDNSResolver;
use ::redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, RedisFuture, cmd};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::index::Index;
use super::ring::{Failed, Found, Lazy, Ring, Server, Settings, handshake_in_time};
use super::shared::{Name, SharedCache};
use super::tally::Tally;
use crate::config::tls::{self, TlsFiles};
use crate::config::url::ServerUrl;
use crate::error::Result;
use crate::storage::RedisLogin;

const PORT: u16 = 6379;
/// How long a value is kept that nobody puts there again, in seconds.
const KEPT_S: u64 = 7 * 24 * 3600;
/// Commands that may wait on a connection before further ones wait for them.
const PIPELINE: usize = 1024;

/// Makes the cache of a `redis://` or `rediss://` URL.
///
/// # Errors
/// `config`: what the URL would be.
pub(super) async fn open(mut url: ServerUrl, index: &Arc<Index>, tally: &Arc<Tally>) -> Result<Arc<dyn SharedCache>> {
    let settings = Settings::take(&mut url, PORT)?;
    let login = RedisLogin::take(&mut url)?;
    url.finish(&[&Settings::PARAMETERS[..], &TlsFiles::PARAMETERS].concat())?;
    let connect = move |found: &Found| {
        Arc::new(Redis {
            found: found.clone(),
            login: login.clone(),
            connection: Lazy::new(),
            answered: AtomicBool::new(false),
        }) as Arc<dyn Server>
    };
    Ok(Ring::open(settings, Box::new(connect), index, tally).await)
}

/// One Redis.
#[derive(Debug)]
struct Redis {
    found: Found,
    login: RedisLogin,
    connection: Lazy<MultiplexedConnection>,
    /// Whether it ever answered.
    answered: AtomicBool,
}

impl Redis {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failed> {
        let open = || connect(self.found.clone(), self.login.clone());
        let mut connection = self.connection.get(|_| true, open).await?;
        let answer = command.query_async(&mut connection).await.map_err(|error| self.failed(&error))?;
        self.answered.store(true, Relaxed);
        Ok(answer)
    }

    fn failed(&self, error: &RedisError) -> Failed {
        // Out of memory, and set not to evict.
        if error.code() == Some("OOM") {
            return Failed::Refused(error.to_string().into());
        }
        self.connection.clear();
        if error.is_connection_dropped() && !self.answered.load(Relaxed) && tls::fault(error).is_none() {
            let cure = match self.login.is_over_tls() {
                false => "if it speaks TLS, the URL would be rediss://",
                true => {
                    "if it asks for a certificate, tls-cert and tls-key would be a certificate of ours that it takes"
                }
            };
            return Failed::Barred("it ended the connection without a word".into(), cure);
        }
        told(error)
    }
}

/// What an error says of a server that is no use to us.
fn told(error: &RedisError) -> Failed {
    let barred = |cure| Failed::Barred(error.to_string().into(), cure);
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) => barred("see the user and the password in the URL"),
        (_, Some("NOAUTH")) => barred("the URL would have a user and a password, user:password@"),
        (_, Some("NOPERM")) => barred("its user would be allowed GET, SET, DEL and PING on the keys ro-*"),
        _ => match tls::fault(error) {
            Some((why, cure)) => Failed::Barred(why.into(), cure),
            None => Failed::Broken(error.to_string().into()),
        },
    }
}

/// Of all the addresses that a name may have, this one.
struct At(SocketAddr);

impl AsyncDNSResolver for At {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        _port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        let address: Box<dyn Iterator<Item = SocketAddr> + Send + 'a> = Box::new(std::iter::once(self.0));
        Box::pin(async { Ok(address) })
    }
}

async fn connect(found: Found, login: RedisLogin) -> Result<MultiplexedConnection, Failed> {
    let client = login.client(found.name.to_string(), found.address.port()).map_err(|error| told(&error))?;
    // Who asks has a time limit of his own.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE)
        .set_dns_resolver(At(found.address));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let connected = if login.is_over_tls() { handshake_in_time(connecting).await? } else { connecting.await };
    connected.map_err(|error| told(&error))
}

impl Server for Redis {
    fn get(&self, name: Name) -> BoxFuture<'_, Result<Option<Bytes>, Failed>> {
        Box::pin(async move {
            let value: Option<Vec<u8>> = self.ask(cmd("GET").arg(name.to_string())).await?;
            Ok(value.map(Bytes::from))
        })
    }

    fn set(&self, name: Name, value: Bytes, if_absent: bool) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move {
            let mut set = cmd("SET");
            set.arg(name.to_string()).arg(&value[..]).arg("EX").arg(KEPT_S);
            if if_absent {
                set.arg("NX");
            }
            match self.ask::<Option<String>>(&set).await? {
                Some(_) => Ok(()),
                None => Err(Failed::Refused("there is a value already".into())),
            }
        })
    }

    fn forget(&self, name: Name) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move { self.ask::<i64>(cmd("DEL").arg(name.to_string())).await.map(|_| ()) })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move { self.ask::<String>(&cmd("PING")).await.map(|_| ()) })
    }

    fn close(&self) {
        self.connection.clear();
    }
}
