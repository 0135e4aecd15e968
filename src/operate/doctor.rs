//! `doctor`: the checks of a start, then each thing that is needed of the store and the caches, tried out on them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::console::say;
use super::{Target, probes};
use crate::clock::{self, Random};
use crate::config::url::redacted;
use crate::error::{Error, Kind, Result};
use crate::model::{Caps, Durability, Ordering};
use crate::storage::Datastore;

/// A probe that takes longer has failed.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// What was found out so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    failed: bool,
}

/// What is wrong, and what to do about it.
#[derive(Debug)]
pub(super) struct Fault {
    wrong: String,
    cure: String,
}

impl Fault {
    pub(super) fn new(wrong: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), cure: cure.into() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let cure = match error.kind() {
            Kind::StoreUnavailable => "see that its servers run and can be reached from here, then ask again",
            // Those say it themselves.
            _ => "",
        };
        Self::new(format!("{}{detail}", error.message()), cure)
    }
}

impl Report {
    /// Tries one thing and says what came of it; `None` when it is not as it should be.
    pub(super) async fn probe<T>(&mut self, what: &str, probe: impl Future<Output = Result<T, Fault>>) -> Option<T> {
        let began = clock::now();
        let outcome = tokio::time::timeout(PROBE_MAX, probe).await;
        let took = began.elapsed();
        let late = || Fault::new("it was not answered within 10 s", "see what its servers are busy with");
        match outcome.unwrap_or_else(|_| Err(late())) {
            Ok(found) => {
                self.pass(what, took);
                Some(found)
            }
            Err(fault) => {
                self.fail(what, &fault);
                None
            }
        }
    }

    fn pass(&self, what: &str, took: Duration) {
        say(format!("ok   {what} ({:.1} ms)", took.as_secs_f64() * 1e3));
    }

    /// Says that a thing is not as it should be.
    pub(super) fn fail(&mut self, what: &str, fault: &Fault) {
        self.failed = true;
        let line = format!("FAIL {what}: {}", fault.wrong);
        let line = if fault.cure.is_empty() { line } else { format!("{line}; {}", fault.cure) };
        say(line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}

pub(super) async fn doctor(target: &Target) -> Result<i32> {
    let mut report = Report::default();
    say(format!("store: {}", target.shown()));
    if let Some(cache) = &target.config.cache {
        say(format!("cache: {}", redacted(cache)));
    }
    let began = clock::now();
    let store = match target.open().await {
        Ok(store) => store,
        Err(error) => {
            // As it would end at the start.
            let code = if error.kind() == Kind::Config { 2 } else { 1 };
            report.fail("the checks of the start", &error.into());
            return Ok(code);
        }
    };
    let took = began.elapsed().as_secs_f64() * 1e3;
    say(format!("ok   the checks of the start ({took:.1} ms): {}", described(&store.caps())));
    let id: String = Random::from_os().next_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    probes::registers(&*store, &mut report, &id).await;
    probes::objects(&*store, &mut report, &id, target.config.limits.state_bytes).await;
    caches(target, store, &mut report).await?;
    say(if report.failed { "not everything is as it should be" } else { "all is as it should be" });
    Ok(i32::from(report.failed))
}

/// Every server of the shared caches: that it is reached, and sets, reads and forgets.
async fn caches(target: &Target, store: Arc<dyn Datastore>, report: &mut Report) -> Result<()> {
    const CURE: &str = "or leave it out: objects are served without it, only slower";
    for tried in target.cached(store).await?.try_servers().await {
        let what = format!("{} sets, reads and forgets", tried.server);
        match tried.outcome {
            Ok(took) => report.pass(&what, took),
            Err(wrong) => report.fail(&what, &Fault::new(wrong, CURE)),
        }
    }
    Ok(())
}

fn described(caps: &Caps) -> String {
    let ordering = match caps.ordering {
        Ordering::Conditional => "it refuses stale writes",
        Ordering::Ordered => "it orders writes by their versions",
    };
    let shared = if caps.exclusive { "for one process alone" } else { "for many processes" };
    let durability = match caps.durability {
        Durability::PowerSafe => "acknowledged writes survive the loss of power",
        Durability::ProcessSafe => "acknowledged writes survive the process, not the loss of power",
        Durability::Weak => "acknowledged writes may be lost with its process",
    };
    format!("{shared}, {ordering}, {durability}")
}
