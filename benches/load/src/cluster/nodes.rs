//! Some nodes on one store: started, killed, told to leave, and asked what they have.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Plan;
use super::objects::SHARDS;
use crate::counters::CONNECTIONS;
use crate::generator::{self, Target};
use crate::process::{Server, free_address};
use crate::wire::{Client, get};

/// How long nodes may take to see each other, and shards to come to rest.
const SETTLES: Duration = Duration::from_secs(60);
/// How long a node may take to leave.
const LEAVES: Duration = Duration::from_secs(20);

/// Nodes, whether they run or not. Each keeps its name and its address.
#[derive(Debug)]
pub(super) struct Cluster {
    objectd: PathBuf,
    store: String,
    dir: PathBuf,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    address: SocketAddr,
    server: Option<Server>,
}

/// Who has which shards, by the registers.
#[derive(Debug)]
pub(super) struct Owners {
    /// By shard: the node, if one has it that is up.
    pub(super) of: Vec<Option<usize>>,
    /// How many are not with who should have them.
    moving: usize,
}

impl Cluster {
    /// So many nodes on a store of their own in this Redis; none of them runs yet.
    pub(super) fn new(plan: &Plan, redis: SocketAddr, part: &str, count: usize) -> Result<Self> {
        let dir = plan.data.join(part);
        fs::create_dir_all(&dir)?;
        let node = |number| Ok(Node { name: format!("node-{number}"), address: free_address()?, server: None });
        Ok(Self {
            objectd: plan.objectd.clone(),
            store: format!("redis://{redis}?prefix={part}:"),
            dir,
            nodes: (1..=count).map(node).collect::<Result<_>>()?,
        })
    }

    /// Starts all of them, and waits until they know each other.
    pub(super) fn start_all(&mut self) -> Result<()> {
        (0..self.nodes.len()).try_for_each(|at| self.start(at))?;
        self.wait(&format!("{} nodes that know each other", self.nodes.len()), |cluster| {
            for at in 0..cluster.nodes.len() {
                if cluster.metric(at, "remote_object_nodes")? != cluster.nodes.len() as f64 {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Starts a node, and waits until it answers.
    pub(super) fn start(&mut self, at: usize) -> Result<()> {
        let node = &mut self.nodes[at];
        let (listen, store) = (node.address.to_string(), self.store.clone());
        let args = ["--listen", &listen, "--node-name", &node.name, "--store", &store, "--accept-weak-durability"];
        let log = self.dir.join(format!("{}.log", node.name));
        let mut server = Server::start(&self.objectd, &args.map(str::to_owned), node.address, log)?;
        server.wait_for_answer("/readyz")?;
        node.server = Some(server);
        Ok(())
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        let mut server = self.nodes[at].server.take().context("the node does not run")?;
        if !server.is_running()? {
            bail!("a node had ended by itself; it printed:\n{}", server.printed());
        }
        Ok(server.kill()?)
    }

    /// SIGTERM.
    pub(super) fn tell_to_leave(&self, at: usize) -> Result<()> {
        self.nodes[at].server.as_ref().context("the node does not run")?.terminate()
    }

    /// Waits for a node that was told to leave.
    pub(super) fn wait_until_left(&mut self, at: usize) -> Result<()> {
        let mut server = self.nodes[at].server.take().context("the node does not run")?;
        match server.ended(LEAVES)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                bail!("a node that was told to leave ended with {status}; it printed:\n{}", server.printed())
            }
            None => bail!("a node did not leave within {LEAVES:?}; it printed:\n{}", server.printed()),
        }
    }

    /// Where a node listens.
    pub(super) fn address(&self, at: usize) -> SocketAddr {
        self.nodes[at].address
    }

    /// The node that an answer names as the owner.
    pub(super) fn named(&self, owner: &str) -> Option<usize> {
        self.nodes.iter().position(|node| owner == format!("http://{}", node.address))
    }

    /// One value of a node's metrics, over a connection of its own: one that leaves keeps none open.
    pub(super) fn metric(&self, at: usize, name: &str) -> Result<f64> {
        let text = Client::connect(self.address(at))?.ask(&get("/metrics"))?.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no metric {name} in\n{text}"))?.trim().parse()?)
    }

    /// Sends each of these requests once, to any of these nodes.
    pub(super) fn each_once(&self, nodes: &[usize], requests: &[Box<[u8]>]) -> Result<()> {
        let share = requests.len().div_ceil(nodes.len()).max(1);
        let targets: Vec<Target<'_>> = nodes
            .iter()
            .zip(requests.chunks(share))
            .map(|(at, requests)| Target { address: self.address(*at), requests })
            .collect();
        let done = generator::run_on(&targets, CONNECTIONS, generator::Plan::EachOnce);
        done.map(|_| ()).with_context(|| self.printed())
    }

    /// What the registers say.
    pub(super) fn owners(&self) -> Result<Owners> {
        let output = Command::new(&self.objectd)
            .args(["shards", "--json", "--accept-weak-durability", "--store", &self.store])
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.objectd.display().to_string())?;
        if !output.status.success() {
            bail!("objectd shards: {}", String::from_utf8_lossy(&output.stderr));
        }
        let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        Owners::read(&serde_json::from_slice(&output.stdout)?, &names)
    }

    /// Waits until every shard is with the node that should have it; `requests` are asked again and again meanwhile, since a
    /// shard is taken when it is asked for.
    pub(super) fn settle(&self, requests: &[Box<[u8]>]) -> Result<Owners> {
        let running: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].server.is_some()).collect();
        self.wait("shards that do not move", |cluster| {
            cluster.each_once(&running, requests)?;
            Ok(cluster.owners()?.moving == 0)
        })?;
        self.owners()
    }

    /// Waits for something, four times a second.
    fn wait(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let limit = Instant::now() + SETTLES;
        while !is_so(self)? {
            if Instant::now() > limit {
                bail!("after {SETTLES:?} there are not: {what}\n{}", self.printed());
            }
            thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    }

    /// The end of what each of them has printed.
    pub(super) fn printed(&self) -> String {
        let printed = |node: &Node| {
            let text = node.server.as_ref().map(Server::printed).unwrap_or_default();
            format!("{} printed:\n{text}", node.name)
        };
        self.nodes.iter().map(printed).collect::<Vec<_>>().join("\n")
    }
}

impl Owners {
    /// Of what `objectd shards --json` prints.
    fn read(told: &serde_json::Value, names: &[&str]) -> Result<Self> {
        let unexpected = || format!("objectd shards --json printed what was not expected: {told}");
        let mut of = vec![None; SHARDS];
        for owner in told["owners"].as_array().with_context(unexpected)? {
            let is_up = owner["state"] == "up" || owner["state"] == "draining";
            let Some(at) = names.iter().position(|name| is_up && owner["node"] == *name) else { continue };
            for range in owner["shards"].as_array().with_context(unexpected)? {
                let range = range.as_str().with_context(unexpected)?;
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
                of.get_mut(first..=last).with_context(unexpected)?.fill(Some(at));
            }
        }
        Ok(Self { of, moving: told["moves"].as_array().with_context(unexpected)?.len() })
    }

    /// The shards of a node.
    pub(super) fn shards_of(&self, at: usize) -> impl Iterator<Item = usize> {
        (0..SHARDS).filter(move |shard| self.of[*shard] == Some(at))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_nodes_that_are_up_own_shards() {
        let told = json!({
            "owners": [
                {"node": "node-1", "state": "up", "shards": ["0-1", "7"]},
                {"node": "node-2", "state": "draining", "shards": ["2"]},
                {"node": "node-2", "state": "dead", "shards": ["3"]},
                {"node": null, "state": "nobody", "shards": ["1023"]}
            ],
            "moves": [{}]
        });
        let owners = Owners::read(&told, &["node-1", "node-2"]).unwrap();
        assert_eq!(owners.shards_of(0).collect::<Vec<_>>(), [0, 1, 7]);
        assert_eq!(owners.shards_of(1).collect::<Vec<_>>(), [2]);
        assert_eq!(owners.moving, 1);
        assert!(Owners::read(&json!({"owners": []}), &[]).is_err());
        let beyond = json!({"owners": [{"node": "node-1", "state": "up", "shards": ["1024"]}], "moves": []});
        assert!(Owners::read(&beyond, &["node-1"]).is_err());
    }
}
