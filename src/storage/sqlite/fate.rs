//! Whether the disk has failed, and how: said once, for good.

use tokio::sync::watch;

use crate::error::{Error, Result};

/// The first error of the disk, if there was one.
#[derive(Debug)]
pub(super) struct Fate(watch::Sender<Option<Error>>);

impl Default for Fate {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Fate {
    /// The store is over. Only the first reason is kept.
    pub(super) fn fail(&self, error: Error) {
        self.0.send_if_modified(|fate| {
            let first = fate.is_none();
            fate.get_or_insert(error);
            first
        });
    }

    /// The error, once the store has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.0.borrow().clone().map_or(Ok(()), Err)
    }

    /// Resolves when the store has failed; never, if it does not.
    pub(super) async fn failed(&self) -> Error {
        let mut fate = self.0.subscribe();
        // The sender lives as long as `self`, so this never errs; if it did, waiting on is right.
        let reason = fate.wait_for(Option::is_some).await.ok().and_then(|fate| fate.clone());
        match reason {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }
}
