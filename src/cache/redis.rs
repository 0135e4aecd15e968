//! Redis as one server of a [ring](super::ring): GET, SET, DEL on one multiplexed connection.
//!
//! Every value expires a week after it was last put there: a Redis without a memory limit would else keep for ever what
//! nobody asks for. One with a limit should evict (`allkeys-lru`); where it refuses instead, that is counted, and no error.

use std::net::SocketAddr;
use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError,
};
use ::redis::{FromRedisValue, cmd};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::index::Index;
use super::ring::{Failed, Lazy, Ring, Server, Settings};
use super::shared::{Name, SharedCache};
use super::tally::Tally;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};

const PORT: u16 = 6379;
/// How long a value is kept that nobody puts there again, in seconds.
const KEPT_S: u64 = 7 * 24 * 3600;
/// Commands that may wait on a connection before further ones wait for them.
const PIPELINE: usize = 1024;

/// Makes the cache of a `redis://` URL.
///
/// # Errors
/// `config`: what the URL would be.
pub(super) async fn open(mut url: ServerUrl, index: &Arc<Index>, tally: &Arc<Tally>) -> Result<Arc<dyn SharedCache>> {
    let settings = Settings::take(&mut url, PORT)?;
    url.finish(&Settings::PARAMETERS)?;
    let database = match url.path.as_str() {
        "" => 0,
        path => path
            .parse()
            .map_err(|_| Error::config(format!("{:?}: the database is {path:?}; it would be a number", url.shown())))?,
    };
    let mut login = RedisConnectionInfo::default().set_db(database).set_skip_set_lib_name();
    if let Some(user) = url.user.as_deref().filter(|user| !user.is_empty()) {
        login = login.set_username(user);
    }
    if let Some(password) = &url.password {
        login = login.set_password(password);
    }
    let connect =
        move |address| Arc::new(Redis { address, login: login.clone(), connection: Lazy::new() }) as Arc<dyn Server>;
    Ok(Ring::open(settings, Box::new(connect), index, tally).await)
}

/// One Redis.
#[derive(Debug)]
struct Redis {
    address: SocketAddr,
    login: RedisConnectionInfo,
    connection: Lazy<MultiplexedConnection>,
}

impl Redis {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failed> {
        let open = || connect(self.address, self.login.clone());
        let mut connection = self.connection.get(|_| true, open).await?;
        command.query_async(&mut connection).await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &RedisError) -> Failed {
        // Out of memory, and set not to evict.
        if error.code() == Some("OOM") {
            return Failed::Refused(error.to_string().into());
        }
        self.connection.clear();
        Failed::Broken(error.to_string().into())
    }
}

async fn connect(address: SocketAddr, login: RedisConnectionInfo) -> Result<MultiplexedConnection, Failed> {
    let broken = |error: RedisError| Failed::Broken(error.to_string().into());
    let info = ConnectionAddr::Tcp(address.ip().to_string(), address.port()).into_connection_info().map_err(broken)?;
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true)).set_redis_settings(login);
    let client = Client::open(info).map_err(broken)?;
    // Who asks has a time limit of his own.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE);
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(broken)
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
