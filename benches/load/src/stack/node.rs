//! An objectd on the stack.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Plan;
use crate::counters::{CONNECTIONS, KEYS, add, adds, gets};
use crate::generator::{self, Sample};
use crate::process::{Server, free_address};
use crate::wire::{Client, get};

/// Its keyspace.
pub(super) const KEYSPACE: &str = "bench_objectd";

/// One that runs, with its 10,000 objects.
#[derive(Debug)]
pub(super) struct Node {
    server: Server,
    /// The table of its objects.
    pub(super) table: String,
}

/// What is asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    EditMany,
    EditOne,
    GetMany,
}

impl Node {
    /// Starts it with tables of its own and makes its objects. `l1`: whether its process keeps their states.
    pub(super) fn start(plan: &Plan, l1: bool) -> Result<Self> {
        let prefix = if l1 { "warm_" } else { "cold_" };
        let store = format!("cassandra://{}/{KEYSPACE}?prefix={prefix}", plan.cassandra);
        let dir = plan.data.join(prefix);
        fs::create_dir_all(&dir)?;
        apply_schema(plan, &store)?;
        let settings = dir.join("objectd.toml");
        fs::write(&settings, if l1 { "" } else { "[limits]\nl1-bytes = 0\n" })?;
        let address = free_address()?;
        let args = [
            "--config".to_owned(),
            settings.display().to_string(),
            "--listen".to_owned(),
            address.to_string(),
            "--store".to_owned(),
            store,
            "--cache".to_owned(),
            format!("memcached://{}", plan.memcached),
            "--allow-periodic".to_owned(),
        ];
        let mut server = Server::start(&plan.objectd, &args, address, dir.join("log"))?;
        server.wait_for_answer("/objects/counter/key-0")?;
        let node = Self { server, table: format!("{KEYSPACE}/{prefix}object") };
        node.each_once(&adds(KEYS)).with_context(|| node.printed())?;
        // The second time what the first left behind under way is where it belongs.
        for _ in 0..2 {
            node.each_once(&gets(KEYS)).with_context(|| node.printed())?;
            std::thread::sleep(Duration::from_millis(300));
        }
        Ok(node)
    }

    /// Loads it for a time.
    pub(super) fn run(&self, load: Load, time: Duration) -> Result<Sample> {
        let requests = match load {
            Load::EditMany => adds(KEYS),
            Load::EditOne => vec![add("hot")],
            Load::GetMany => gets(KEYS),
        };
        generator::run(self.server.address, &requests, CONNECTIONS, generator::Plan::Random(time))
            .with_context(|| format!("{load:?}; objectd printed:\n{}", self.printed()))
    }

    /// How many objects it has found in memcached.
    pub(super) fn shared_hits(&self) -> Result<f64> {
        let text = Client::connect(self.server.address)?.ask(&get("/metrics"))?.body;
        let name = r#"remote_object_cache_reads_total{tier="l2",pool="default",result="hit"}"#;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.with_context(|| format!("no metric {name} in\n{text}"))?.trim().parse()?)
    }

    fn each_once(&self, requests: &[Box<[u8]>]) -> Result<()> {
        generator::run(self.server.address, requests, CONNECTIONS, generator::Plan::EachOnce).map(|_| ())
    }

    fn printed(&self) -> String {
        self.server.printed()
    }
}

fn apply_schema(plan: &Plan, store: &str) -> Result<()> {
    let output = Command::new(&plan.objectd)
        .args(["schema", "apply", "--yes", "--allow-periodic", "--store", store])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", plan.objectd.display()))?;
    if !output.status.success() {
        bail!("objectd schema apply: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
