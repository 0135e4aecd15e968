//! A connection that is made when it is first needed, and anew once it is broken.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::timeout;

use super::server::Failed;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(1);

type Coming<C> = Shared<BoxFuture<'static, Result<C, Failed>>>;

/// At most one connection at a time, shared by whoever asks.
pub(in crate::cache) struct Lazy<C: Clone>(Mutex<Option<Coming<C>>>);

impl<C: Clone + Send + Sync + 'static> Lazy<C> {
    pub(in crate::cache) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The connection, if it `is_good`; else what `open` makes. It comes about, or not, though nobody waits for it any
    /// more: those who ask have less time than that may take.
    pub(in crate::cache) async fn get<F>(
        &self,
        is_good: impl FnOnce(&C) -> bool,
        open: impl FnOnce() -> F,
    ) -> Result<C, Failed>
    where
        F: Future<Output = Result<C, Failed>> + Send + 'static,
    {
        let coming = {
            let mut place = self.place();
            let there = place.as_ref().filter(|coming| match coming.peek() {
                None => true,
                Some(Ok(connection)) => is_good(connection),
                Some(Err(_)) => false,
            });
            match there {
                Some(coming) => coming.clone(),
                None => {
                    let late = |_| Err(Failed::Broken("it cannot be connected to in time".into()));
                    let opening = open();
                    let opening = async move { timeout(CONNECT_MAX, opening).await.unwrap_or_else(late) };
                    let coming = opening.boxed().shared();
                    tokio::spawn(coming.clone());
                    place.insert(coming).clone()
                }
            }
        };
        coming.await
    }

    /// Gives it up.
    pub(in crate::cache) fn clear(&self) {
        *self.place() = None;
    }

    fn place(&self) -> MutexGuard<'_, Option<Coming<C>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clone> Debug for Lazy<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lazy")
    }
}
