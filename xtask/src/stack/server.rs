//! Which servers there are, where they listen, and the folder of each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::postgres;
use crate::command::target_dir;

/// One kind of server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Three nodes of one cluster.
    Cassandra,
    /// Three servers that know nothing of each other.
    Memcached,
    /// One server.
    Redis,
    /// One server.
    Postgres,
}

/// One server of the stack.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// Its folder, its container, and what people call it: `cassandra-1`.
    pub(crate) name: String,
    /// `host:port`.
    pub(crate) address: &'static str,
    /// Which of its kind it is, from 1.
    pub(crate) number: u16,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Cassandra, Self::Memcached, Self::Redis, Self::Postgres];

    /// Where the tests look for them.
    pub(crate) fn addresses(self) -> &'static [&'static str] {
        match self {
            Self::Cassandra => test_stack::CASSANDRA.addresses,
            Self::Memcached => test_stack::MEMCACHED.addresses,
            Self::Redis => test_stack::REDIS.addresses,
            Self::Postgres => test_stack::POSTGRES.addresses,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cassandra => "cassandra",
            Self::Memcached => "memcached",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }
}

/// The servers of these kinds; of all kinds where none is named.
pub(crate) fn all(only: &[Kind]) -> Vec<Server> {
    let kinds = Kind::ALL.into_iter().filter(|kind| only.is_empty() || only.contains(kind));
    kinds
        .flat_map(|kind| {
            let addresses = kind.addresses();
            (1..).zip(addresses).map(move |(number, address)| Server {
                kind,
                name: if addresses.len() == 1 { kind.name().to_owned() } else { format!("{}-{number}", kind.name()) },
                address,
                number,
            })
        })
        .collect()
}

/// Where the stack keeps everything.
pub(crate) fn home() -> PathBuf {
    target_dir().join("stack")
}

impl Server {
    /// The host alone.
    pub(crate) fn host(&self) -> &'static str {
        self.address.rsplit_once(':').map_or(self.address, |(host, _)| host)
    }

    /// The port alone.
    pub(crate) fn port(&self) -> &'static str {
        self.address.rsplit_once(':').map_or("", |(_, port)| port)
    }

    /// Its folder: `log`, `running`, `conf/` and `data/`.
    pub(crate) fn folder(&self) -> PathBuf {
        home().join(&self.name)
    }

    /// What it writes to its output, where it is a process.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// What it keeps, where it is a process.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Removes what it kept; the log stays, for whoever asks what happened.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub(crate) fn remove_data(&self) -> Result<()> {
        if self.kind == Kind::Postgres {
            remove(&postgres::elsewhere())?;
        }
        remove(&self.data())?;
        remove(&self.folder().join("conf"))
    }
}

/// Removes a folder, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_kind_and_number() {
        let names: Vec<String> = all(&[Kind::Redis, Kind::Cassandra]).into_iter().map(|server| server.name).collect();
        assert_eq!(names, ["cassandra-1", "cassandra-2", "cassandra-3", "redis"]);
        assert_eq!(all(&[]).len(), 8);
    }

    #[test]
    fn no_two_servers_share_an_address_and_all_are_on_loopback() {
        let servers = all(&[]);
        for (at, server) in servers.iter().enumerate() {
            assert!(server.host().starts_with("127.0.0."), "{}", server.address);
            assert!(server.port().parse::<u16>().is_ok(), "{}", server.address);
            assert!(servers[at + 1..].iter().all(|other| other.address != server.address), "{}", server.address);
        }
    }
}
