//! Who is measured, and how each is started.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::Plan;
use crate::process::{Server, free_address};
use crate::redis::{self, Kept};

/// One contender.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(super) enum Contender {
    /// axum that keeps nothing
    Bare,
    /// axum and Redis with `appendfsync always`
    Redis,
    /// objectd on SQLite
    Sqlite,
    /// objectd on memory
    Memory,
}

/// A contender that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Who it is.
    pub(super) contender: Contender,
    /// What is asked.
    pub(super) front: Server,
    /// What it asks in turn.
    behind: Option<Server>,
}

impl Running {
    /// The most resident memory of all its processes together, in bytes.
    pub(super) fn resident_peak(&self) -> Result<u64> {
        let behind = self.behind.as_ref().map(Server::resident_peak).transpose()?;
        Ok(self.front.resident_peak()? + behind.unwrap_or(0))
    }
}

impl Contender {
    /// In the order of the table.
    pub(super) const ALL: [Self; 4] = [Self::Bare, Self::Redis, Self::Sqlite, Self::Memory];

    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum",
            Self::Redis => "axum + Redis always",
            Self::Sqlite => "objectd, SQLite",
            Self::Memory => "objectd, memory",
        }
    }

    /// Whether it is ours.
    pub(super) fn is_objectd(self) -> bool {
        matches!(self, Self::Sqlite | Self::Memory)
    }

    /// Starts it with an empty folder of its own and waits for its first answer.
    pub(super) fn start(self, plan: &Plan) -> Result<Running> {
        let dir = self.empty_dir(plan)?;
        let mut running = self.start_in(plan, &dir)?;
        running.front.wait_for_answer("/objects/counter/first")?;
        Ok(running)
    }

    /// An empty folder of its own.
    pub(super) fn empty_dir(self, plan: &Plan) -> Result<PathBuf> {
        let dir = plan.data.join(format!("{self:?}").to_lowercase());
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(dir)
    }

    /// Starts it on what is in `dir`, and does not wait.
    pub(super) fn start_in(self, plan: &Plan, dir: &Path) -> Result<Running> {
        let address = free_address()?;
        let listen = address.to_string();
        let log = dir.join("log");
        let objectd = |store: String| {
            let args = ["--listen".to_owned(), listen.clone(), "--store".to_owned(), store];
            Server::start(&plan.objectd, &args, address, log.clone())
        };
        let (front, behind) = match self {
            Self::Bare => {
                (Server::start(&plan.programs.join("bare-axum"), std::slice::from_ref(&listen), address, log)?, None)
            }
            Self::Redis => {
                let redis = redis::start(dir, Kept::Synced)?;
                let args = [listen.clone(), format!("redis://{}", redis.address)];
                (Server::start(&plan.programs.join("axum-redis"), &args, address, log)?, Some(redis))
            }
            Self::Sqlite => (objectd(format!("sqlite:{}", dir.join("objectd.db").display()))?, None),
            Self::Memory => (objectd("memory:".to_owned())?, None),
        };
        Ok(Running { contender: self, front, behind })
    }
}
