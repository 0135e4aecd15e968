//! What each server of a ring has by itself, for people: whoever serves asks the ring, and gets an answer or none.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::Ring;
use super::place::homes;
use super::server::Failed;
use crate::cache::shared::{ByServer, Name};

/// How long a server may take for one thing: longer than anyone who serves would wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

impl Ring {
    /// What each server that should have a value has under its name.
    pub(super) async fn held(&self, name: Name) -> ByServer<Option<Bytes>> {
        let members = self.members();
        let homes = homes(&members, name, self.settings.replicas).into_iter();
        let asked = homes.map(|member| async move {
            (member.address.to_string(), within(member.reads.get(name)).await.map_err(|failed| failed.to_string()))
        });
        join_all(asked).await
    }
}

pub(super) async fn within<T>(answer: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let late = |_| Err(Failed::Broken(format!("it did not answer within {} s", PATIENCE.as_secs()).into()));
    timeout(PATIENCE, answer).await.unwrap_or_else(late)
}
