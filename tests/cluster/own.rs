//! A Cassandra of a test's own: three nodes, each in a place of a network, started with the very commands that run those of
//! `cargo xtask stack`, with other addresses and folders.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use remote_object::Config;
use remote_object::storage::schema_apply;
use tokio::runtime::Runtime;

use super::book;
use super::net::Net;
use super::stack::Node;

pub const REPLICAS: usize = 3;
const PORT: u16 = 19042;
/// Three JVMs that start on a busy machine.
const START_MAX: Duration = Duration::from_secs(240);

/// The nodes; they are killed when this is dropped.
#[derive(Debug)]
pub struct Cassandra {
    nodes: Vec<Child>,
    logs: Vec<PathBuf>,
}

/// What follows this beginning of a word.
fn word_of<'a>(words: &'a [String], begins: &str) -> Result<&'a str, String> {
    let found = words.iter().find_map(|word| word.strip_prefix(begins));
    found.ok_or_else(|| format!("no {begins}… among the words that run the nodes of the stack"))
}

impl Cassandra {
    /// Three nodes in the places from `first` on, with their files in `dir`, that have our tables; and their settings.
    ///
    /// # Errors
    /// When the stack's own nodes are no processes of this machine.
    pub fn start(net: &Net, first: usize, dir: &Path) -> Result<(Self, Config), String> {
        let like = (1..=REPLICAS as u64).map(Node::find).collect::<Result<Vec<_>, _>>()?;
        let moved = |text: &str| {
            (0..REPLICAS).fold(text.to_owned(), |text, number| {
                text.replace(&format!("127.0.0.{}", number + 1), &net.address(first + number).to_string())
            })
        };
        let mut own = Self { nodes: Vec::new(), logs: Vec::new() };
        for (number, node) in like.iter().enumerate() {
            let words = node.words();
            let (config, data) = (
                word_of(&words, "-Dcassandra.config=file://")?.to_owned(),
                word_of(&words, "-Dcassandra.storagedir=")?.to_owned(),
            );
            let (folder, log) = (dir.join(format!("{number}")), dir.join(format!("cassandra-{}.log", number + 1)));
            fs::create_dir_all(&folder).unwrap();
            let (own_config, own_data) = (folder.join("cassandra.yaml"), folder.join("data"));
            let [own_config, own_data] = [own_config, own_data].map(|path| path.to_str().unwrap().to_owned());
            let text = fs::read_to_string(&config).map_err(|error| format!("{config}: {error}"))?;
            fs::write(&own_config, moved(&text.replace(&data, &own_data))).unwrap();
            // They end with this thread, whatever ends it.
            let before = ["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned).to_vec();
            let words = words.iter().map(|word| word.replace(&config, &own_config).replace(&data, &own_data));
            let words: Vec<String> = before.into_iter().chain(net.inside(first + number)).chain(words).collect();
            let file = File::create(&log).unwrap();
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).current_dir(&folder).stdin(Stdio::null());
            command.stdout(file.try_clone().unwrap()).stderr(file);
            own.nodes.push(command.spawn().map_err(|error| format!("{}: {error}", words[0]))?);
            own.logs.push(log);
        }
        let addresses = (0..REPLICAS).map(|number| SocketAddr::from((net.address(first + number), PORT)));
        let addresses: Vec<SocketAddr> = addresses.collect();
        let hosts = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let config = book::cassandra(&hosts);
        own.wait(&addresses, &config);
        Ok((own, config))
    }

    /// Until all take clients, and have our tables.
    fn wait(&mut self, addresses: &[SocketAddr], config: &Config) {
        let end = Instant::now() + START_MAX;
        let mut silent = addresses.to_vec();
        let runtime = Runtime::new().unwrap();
        loop {
            silent.retain(|address| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_err());
            let why = if silent.is_empty() {
                match runtime.block_on(schema_apply(config)) {
                    Ok(_) => return,
                    Err(error) => format!("{error:?}"),
                }
            } else {
                format!("{silent:?} take no clients")
            };
            let ended = self.nodes.iter_mut().any(|node| node.try_wait().unwrap().is_some());
            assert!(!ended && Instant::now() < end, "no Cassandra of our own: {why}; {}", self.said());
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// The ends of their logs.
    fn said(&self) -> String {
        let end = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().rev().take(10).collect::<Vec<_>>().join("\n")
        };
        self.logs.iter().map(end).collect::<Vec<_>>().join("\n---\n")
    }

    /// Their logs, to be kept beside others.
    pub fn logs_into(&self, dir: &Path) {
        for log in &self.logs {
            let _ = std::os::unix::fs::symlink(log, dir.join(log.file_name().unwrap()));
        }
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(|node| drop(node.kill()));
        self.nodes.iter_mut().for_each(|node| drop(node.wait()));
    }
}
