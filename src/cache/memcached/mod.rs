//! memcached, by its meta protocol (`mg`, `ms`, `md`, `mn`; 1.6 and later), as one server of a [ring](super::ring).
//!
//! Pipelined connections of our own. The `memcache` crate was looked at first: its meta client gave 50 000 to
//! 100 000 gets a second where one pipelined connection gave 254 000 on the same machine, it brings a blocking client
//! with a connection pool (r2d2) along, resolves a name once, and asks for a newer compiler than this crate does. What
//! is needed of the protocol is the two files here.
//!
//! Explicit versions (`E`, 1.6.27 and later) are not used: the version stands in the value.

mod connection;
pub mod lone;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rustls::ClientConfig;

use super::index::Index;
use super::ring::{Connect, Failed, Lazy, Ring, Server, Settings};
use super::shared::{Name, SharedCache};
use super::tally::Tally;
use crate::config::tls::TlsFiles;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};
use connection::{Connection, Tls};
use wire::Reply;

const PORT: u16 = 11211;

/// Makes the cache of a `memcached://` URL.
///
/// # Errors
/// `config`: what the URL would be.
pub(super) async fn open(mut url: ServerUrl, index: &Arc<Index>, tally: &Arc<Tally>) -> Result<Arc<dyn SharedCache>> {
    let settings = Settings::take(&mut url, PORT)?;
    let tls = TlsFiles::take_if_on(&mut url)?;
    url.finish(&[&Settings::PARAMETERS[..], &TlsFiles::PARAMETERS].concat())?;
    let tls = tls.map(|files| files.client()).transpose()?;
    if !url.path.is_empty() {
        return Err(Error::config(format!(
            "{:?}: a memcached has no databases, so nothing stands behind /",
            url.shown()
        )));
    }
    let login = match (&url.user, &url.password) {
        (None, None) => None,
        (Some(user), Some(password)) if ![user, password].iter().any(|text| text.contains(char::is_whitespace)) => {
            Some(Arc::from(format!("{user} {password}")))
        }
        _ => {
            let what = "a login is a user and a password without blanks, user:password@";
            return Err(Error::config(format!("{:?}: {what}", url.shown())));
        }
    };
    Ok(Ring::open(settings, connect(tls, login), index, tally).await)
}

/// What makes the connections. `login`: user, blank, password.
pub(super) fn connect(tls: Option<Arc<ClientConfig>>, login: Option<Arc<str>>) -> Connect {
    Box::new(move |found| {
        let tls = tls.as_ref().map(|config| Tls { config: Arc::clone(config), host: Arc::clone(&found.name) });
        Arc::new(Memcached { address: found.address, tls, login: login.clone(), connection: Lazy::new() })
    })
}

/// One memcached.
struct Memcached {
    address: SocketAddr,
    tls: Option<Tls>,
    login: Option<Arc<str>>,
    connection: Lazy<Arc<Connection>>,
}

impl std::fmt::Debug for Memcached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memcached").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Memcached {
    async fn ask(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<Reply, Failed> {
        let open = || Connection::open(self.address, self.tls.clone(), self.login.clone());
        let connection = self.connection.get(|connection| !connection.is_closed(), open).await?;
        match connection.ask(write).await? {
            Reply::Refused(why) => Err(Failed::Refused(why)),
            Reply::Locked => {
                let cure = "the URL would have a user and a password, user:password@, of its file (-Y)";
                Err(Failed::Barred("it wants a login".into(), cure))
            }
            reply => Ok(reply),
        }
    }
}

impl Server for Memcached {
    fn get(&self, name: Name) -> BoxFuture<'_, Result<Option<Bytes>, Failed>> {
        Box::pin(async move {
            match self.ask(|out| wire::get(out, name)).await? {
                Reply::Value(value) => Ok(Some(value)),
                _ => Ok(None),
            }
        })
    }

    fn set(&self, name: Name, value: Bytes, if_absent: bool) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move {
            match self.ask(|out| wire::set(out, name, &value, if_absent)).await? {
                Reply::Done => Ok(()),
                _ => Err(Failed::Refused("there is a value already".into())),
            }
        })
    }

    fn forget(&self, name: Name) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move { self.ask(|out| wire::delete(out, name)).await.map(|_| ()) })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async move { self.ask(|out| out.extend_from_slice(wire::PING)).await.map(|_| ()) })
    }

    fn close(&self) {
        self.connection.clear();
    }
}
