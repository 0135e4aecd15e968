//! The story of a call.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::call::{Call, CallKind, CallRequest, read_reply};
use super::context::Frame;
use super::failure::{CallError, RemoteError};
use super::registry::Registry;
use super::remote::Authorities;
use super::request::{Answered, Listed, Request};
use crate::config::Config;
use crate::error::{Error, Result};

/// The objects of one service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host(Arc<Core>);

#[derive(Debug)]
struct Core {
    registry: Registry,
    authorities: Arc<Authorities>,
    config: Arc<Config>,
}

impl Host {
    /// The types.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Which clusters URIs in arguments may name.
    #[must_use]
    pub fn authorities(&self) -> &Arc<Authorities> {
        &self.0.authorities
    }

    /// Answers a request. Dropping the future changes nothing of what has begun.
    ///
    /// # Errors
    /// See the table of problems in `docs/http.md`.
    pub async fn answer(&self, request: Request) -> Answered {
        let _ = request;
        Err(Error::internal("not yet"))
    }

    /// One page of the objects of a type (a name of the registry's).
    ///
    /// # Errors
    /// `bad-request` for a mark that is none of the store's; `store-unavailable`.
    pub async fn list(&self, type_name: &str, after: Option<&str>, limit: usize) -> Result<Listed> {
        let _ = (type_name, after, limit);
        Err(Error::internal("not yet"))
    }

    /// Runs a typed call.
    ///
    /// # Errors
    /// The method's own error as its enum, or what went wrong on the way.
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        let _ = call;
        read_reply(Err(Error::internal("not yet")))
    }

    /// Whether new calls are taken, and if not why (`draining`, `store-unavailable`).
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) async fn nested(&self, request: CallRequest, caller: &Arc<Frame>) -> Result<Bytes> {
        let _ = (request, caller);
        Err(Error::internal("not yet"))
    }
}
