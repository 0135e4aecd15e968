//! Objects in a test: in the calling process, on a memory store, without a socket.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::error::Error;
use crate::objects::{Call, CallError, CallKind, Host, RemoteError};
use crate::service::Service;

/// All object types of the program, on a store that is gone with it.
///
/// Time is tokio's: under `#[tokio::test(start_paused = true)]`, which takes tokio's feature `test-util`, a test that
/// waits for minutes is done at once.
///
/// ```
/// # use remote_object::prelude::*;
/// # #[remote_object] pub struct Counter { value: i64 }
/// # #[remote_object] impl Counter { pub fn add(&mut self, by: i64) -> i64 { self.value += by; self.value } }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let host = remote_object::TestHost::new();
/// assert_eq!(host.call(Remote::<Counter>::new("a").add(1)).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct TestHost {
    config: Config,
    service: std::sync::Mutex<Arc<OnceCell<Service>>>,
}

impl TestHost {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty, with other settings.
    #[must_use]
    pub fn with_config(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// Runs a call.
    ///
    /// # Errors
    /// The method's own error, or what went wrong on the way.
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        self.host().await.map_err(CallError::Failed)?.call(call).await
    }

    /// The objects.
    ///
    /// # Errors
    /// `config` when the program has no object types.
    pub async fn host(&self) -> Result<Host, Error> {
        let cell = Arc::clone(&self.service.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let config = self.config.clone();
        let service = cell.get_or_try_init(|| Service::builder().config(config).store("memory:").build()).await?;
        Ok(service.host().clone())
    }

    /// Forgets everything: every object is as if never written.
    pub fn reset(&self) {
        *self.service.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::default();
    }
}
