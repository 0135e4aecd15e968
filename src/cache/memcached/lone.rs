//! A connection to one memcached and nothing around it, for the benchmark that compares it with another client.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::wire::{self, Reply};
use crate::cache::ring::Failed;
use crate::cache::shared::Name;
use crate::error::{Error, Result};

/// A client of one memcached, which shares one connection among all who ask.
#[derive(Debug)]
pub struct Client(Arc<Connection>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// `store-unavailable` when nobody answers there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Ok(Self(Connection::open(address, None, None).await.map_err(|failed| told(&failed))?))
    }

    /// What the number's value stands under.
    #[must_use]
    pub fn key(number: u128) -> String {
        Name::new(number).to_string()
    }

    /// The number's value.
    ///
    /// # Errors
    /// `store-unavailable` when the connection broke, or the server refuses.
    pub async fn get(&self, number: u128) -> Result<Option<Bytes>> {
        match self.0.ask(|out| wire::get(out, Name::new(number))).await.map_err(|failed| told(&failed))? {
            Reply::Value(value) => Ok(Some(value)),
            Reply::Miss => Ok(None),
            other => Err(Error::store(format!("memcached answered a get with {other:?}"))),
        }
    }
}

fn told(failed: &Failed) -> Error {
    Error::store(format!("{failed:?}"))
}
