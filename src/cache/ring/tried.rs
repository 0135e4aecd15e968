//! Whether each server of a ring does what is needed of it: tried with a value of its own, for people.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Ring;
use super::look::{PATIENCE, within};
use super::server::Member;
use crate::cache::shared::{ByServer, Name};
use crate::clock;

/// How often its quickness is measured.
const PINGS: usize = 5;

impl Ring {
    /// Tries every server, and every name: how long it took to set, read and forget a value.
    pub(super) async fn tried(&self, name: Name, value: &Bytes) -> ByServer<Duration> {
        let lost = self.settings.hosts.iter().map(|(host, _)| async move {
            let host = host.or_port(0);
            let found = timeout(PATIENCE, lookup_host(&host)).await.map(|found| found.map(Iterator::count));
            let host = host.trim_end_matches(":0").to_owned();
            match found {
                Ok(Ok(1..)) => None,
                Ok(Ok(_)) => Some((host, Err("its name has no address".to_owned()))),
                Ok(Err(error)) => Some((host, Err(format!("its name cannot be resolved ({error})")))),
                Err(_) => Some((host, Err("its name cannot be resolved in time".to_owned()))),
            }
        });
        let mut tried: ByServer<Duration> = join_all(lost).await.into_iter().flatten().collect();
        // One after the other: what is sent to one is not to slow down the next.
        for member in self.members().iter() {
            tried.push((member.address.to_string(), self.try_one(member, name, value).await));
        }
        tried
    }

    async fn try_one(&self, member: &Arc<Member>, name: Name, value: &Bytes) -> Result<Duration, String> {
        // The first one may have to connect.
        within(member.reads.ping()).await?;
        let mut quickest = Duration::MAX;
        for _ in 0..PINGS {
            let began = clock::now();
            within(member.reads.ping()).await?;
            quickest = quickest.min(began.elapsed());
        }
        let budget = self.settings.budget;
        if quickest > budget {
            return Err(format!(
                "it answers after {} ms, and within {} ms it would be of use",
                quickest.as_millis(),
                budget.as_millis()
            ));
        }
        let began = clock::now();
        within(member.writes.set(name, value.clone(), false)).await?;
        let read = within(member.reads.get(name)).await?;
        within(member.writes.forget(name)).await?;
        if read.is_some_and(|read| read != *value) {
            return Err("it reads back other bytes than were set".to_owned());
        }
        if within(member.reads.get(name)).await?.is_some() {
            return Err("it still has what it was told to forget".to_owned());
        }
        Ok(began.elapsed())
    }
}
