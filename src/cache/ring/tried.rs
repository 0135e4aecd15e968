//! Whether each server of a ring does what is needed of it: tried with a value of its own, for people.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Ring;
use super::look::{PATIENCE, within};
use super::server::{Failed, Member};
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
            let why = match found {
                Ok(Ok(1..)) => return None,
                Ok(Ok(_)) => "its name has no address".to_owned(),
                Ok(Err(error)) => format!("its name cannot be resolved ({error})"),
                Err(_) => "its name cannot be resolved in time".to_owned(),
            };
            Some((
                host.trim_end_matches(":0").to_owned(),
                Err(format!("{why}; see how the URL has it, or the name servers")),
            ))
        });
        let mut tried: ByServer<Duration> = join_all(lost).await.into_iter().flatten().collect();
        // One after the other: what is sent to one is not to slow down the next.
        for member in self.members().iter() {
            let took = self.try_one(member, name, value).await;
            tried.push((member.address.to_string(), took.map_err(|failed| cured(&failed))));
        }
        tried
    }

    async fn try_one(&self, member: &Arc<Member>, name: Name, value: &Bytes) -> Result<Duration, Failed> {
        // The first one may have to connect. A ping is so short that who expects TLS would wait for the rest of it.
        within(member.reads.get(name)).await?;
        let mut quickest = Duration::MAX;
        for _ in 0..PINGS {
            let began = clock::now();
            within(member.reads.ping()).await?;
            quickest = quickest.min(began.elapsed());
        }
        let budget = self.settings.budget;
        if quickest > budget {
            let (took, budget) = (quickest.as_millis(), budget.as_millis());
            return Err(broken(&format!("it answers after {took} ms, and within {budget} ms it would be of use")));
        }
        let began = clock::now();
        within(member.writes.set(name, value.clone(), false)).await?;
        let read = within(member.reads.get(name)).await?;
        within(member.writes.forget(name)).await?;
        if read.is_some_and(|read| read != *value) {
            return Err(broken("it reads back other bytes than were set"));
        }
        if within(member.reads.get(name)).await?.is_some() {
            return Err(broken("it still has what it was told to forget"));
        }
        Ok(began.elapsed())
    }
}

fn broken(why: &str) -> Failed {
    Failed::Broken(why.into())
}

/// What is wrong and what to do about it.
fn cured(failed: &Failed) -> String {
    match failed {
        Failed::Broken(why) => format!("{why}; see that it runs, and is reached quickly from here"),
        Failed::Refused(why) => format!("{why}; see how full it is, and that it takes items of 1 MiB"),
        Failed::Barred(..) => failed.to_string(),
    }
}
