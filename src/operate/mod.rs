//! # operate: the commands beside serving
//!
//! Adds: what an operator asks of a store and its caches without a server: its schema, whether it can do what is needed
//! of it, where one object is, who is up and owns what, and a purge.
//! Never knows: flags, environment, HTTP. It stands above the rooms, beside `serve`, and goes through their doors alone.
//! Door: [`Task`] and [`run`].

mod console;
mod doctor;
mod epochs;
mod explain;
mod nodes;
mod probes;
mod purge;
mod schema;
mod shards;

use std::sync::Arc;

use crate::cache::{Cache, Pools};
use crate::config::Config;
use crate::config::url::redacted;
use crate::error::{Error, Result};
use crate::storage::Datastore;

/// What a program is asked to do instead of serving.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Task {
    /// Print or apply the tables that the store needs
    #[command(subcommand, arg_required_else_help = false)]
    Schema(SchemaTask),
    /// Try all that is needed of the store and the caches, and say what is wrong
    Doctor,
    /// Say where an object is, and whether all who have it agree
    Explain {
        /// The object, such as /objects/counter/visits
        uri: String,
        /// Ask the nodes that run, by any of them, such as <http://10.0.0.5:8080>, and not the store
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Answer with one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say which nodes are up, since when, at which address, and how much each owns
    Nodes {
        /// Those that are dead too
        #[arg(long)]
        all: bool,
        /// Answer with one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say who owns which shards, and which of them move
    Shards {
        /// Answer with one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Go on after a restore
    #[command(subcommand, arg_required_else_help = false)]
    Epochs(EpochsTask),
    /// Remove the records of deleted objects for good, while no server runs
    Purge {
        /// Do not ask first
        #[arg(long)]
        yes: bool,
    },
}

/// What is to be done with the epochs.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum EpochsTask {
    /// Add to the epoch of every shard, so that no version comes again after a restore
    Raise {
        /// How much; more than there were starts and take-overs since the backup
        #[arg(long, default_value_t = 1000, value_name = "N")]
        by: u32,
        /// Do not ask first
        #[arg(long)]
        yes: bool,
    },
}

/// What is to be done with the schema.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum SchemaTask {
    /// Print the statements
    Print,
    /// Show what is missing and make it, after asking
    Apply {
        /// Do not ask first
        #[arg(long)]
        yes: bool,
    },
}

/// What the commands are about.
#[derive(Debug)]
pub(crate) struct Target {
    /// The settings in effect.
    pub(crate) config: Config,
    /// The program's own store and its name, which takes the place of the URL.
    pub(crate) own_store: Option<(Arc<dyn Datastore>, Arc<str>)>,
    /// The program's types, each with the cache pool it asks for.
    pub(crate) types: Vec<(&'static str, Option<&'static str>)>,
    /// The newest record format that the program reads.
    pub(crate) format: u32,
}

impl Target {
    /// The store as a server would open it, with all checks of the start.
    async fn open(&self) -> Result<Arc<dyn Datastore>> {
        match &self.own_store {
            Some((store, _)) => Ok(Arc::clone(store)),
            None => crate::storage::open(&self.config).await,
        }
    }

    /// The same, for those who want something of what is there already: nothing is made.
    async fn open_existing(&self) -> Result<Arc<dyn Datastore>> {
        if self.own_store.is_none() {
            crate::storage::check_existing(&self.config)?;
        }
        self.open().await
    }

    /// A store without any cache before it.
    fn bare(&self, store: Arc<dyn Datastore>) -> Cache {
        Cache::new(store, 0, Pools::default())
    }

    /// A store with the shared caches that the settings name.
    async fn cached(&self, store: Arc<dyn Datastore>) -> Result<Cache> {
        let pools = Pools::open(&self.config, self.types.iter().copied()).await?;
        Ok(Cache::new(store, 0, pools))
    }

    /// The store's name, as it may be shown.
    fn shown(&self) -> String {
        self.own_store.as_ref().map_or_else(|| redacted(&self.config.store), |(_, name)| name.to_string())
    }
}

/// Does it; answers the exit code.
///
/// # Errors
/// What is wrong, in one line: `config` when it is the settings or what was asked for.
pub(crate) async fn run(task: Task, target: Target) -> Result<i32> {
    match task {
        Task::Schema(SchemaTask::Print) => schema::print(&target),
        Task::Schema(SchemaTask::Apply { yes }) => schema::apply(&target, yes).await,
        Task::Doctor => doctor::doctor(&target).await,
        Task::Explain { uri, url, json } => explain::explain(&target, &uri, url.as_deref(), json).await,
        Task::Nodes { all, json } => nodes::nodes(&target, all, json).await,
        Task::Shards { json } => shards::shards(&target, json).await,
        Task::Epochs(EpochsTask::Raise { by, yes }) => epochs::raise(&target, by, yes).await,
        Task::Purge { yes } => purge::purge(&target, yes).await,
    }
}

/// Refuses for a reason that is none of the settings: the exit code is 1.
fn refuse(why: impl Into<String>) -> Error {
    Error::new(crate::error::Kind::StoreUnavailable, why.into())
}
