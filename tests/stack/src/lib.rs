//! Where the tests find the real servers, and what happens where there are none.
//!
//! `cargo xtask stack up` starts them at the addresses below; an environment variable names others. A test asks for
//! what it needs and ends where that is missing, with a line on stderr that no test harness hides:
//!
//! ```no_run
//! # fn a_test() {
//! let Some(hosts) = test_stack::cassandra() else { return };
//! # }
//! ```
//!
//! With `REQUIRE_BACKENDS=1`, as on CI, a missing server is a failure instead.

use std::env;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// How long a server may take to accept a connection before it counts as missing.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// One kind of server: its name for people, the variable that names other addresses, and its own.
#[derive(Debug)]
pub struct Server {
    /// For people.
    pub name: &'static str,
    /// The environment variable that names other addresses, with commas between them.
    pub variable: &'static str,
    /// `host:port` of each.
    pub addresses: &'static [&'static str],
}

/// Three nodes of one cluster, in data centre `datacenter1`; CQL, no login.
pub const CASSANDRA: Server = Server {
    name: "Cassandra",
    variable: "TEST_CASSANDRA",
    addresses: &["127.0.0.1:19042", "127.0.0.2:19042", "127.0.0.3:19042"],
};

/// Three servers that know nothing of each other.
pub const MEMCACHED: Server = Server {
    name: "memcached",
    variable: "TEST_MEMCACHED",
    addresses: &["127.0.0.1:21211", "127.0.0.1:21212", "127.0.0.1:21213"],
};

/// One server that keeps every write (`appendonly yes`, `appendfsync always`), no login.
pub const REDIS: Server = Server { name: "Redis", variable: "TEST_REDIS", addresses: &["127.0.0.1:26379"] };

/// One server; user `postgres` without a password, database `postgres`.
pub const POSTGRES: Server = Server { name: "PostgreSQL", variable: "TEST_POSTGRES", addresses: &["127.0.0.1:25432"] };

/// The Cassandra nodes, as the hosts of a URL: `127.0.0.1:19042,127.0.0.2:19042,127.0.0.3:19042`. Keyspaces are each
/// test's own to make.
///
/// # Panics
/// When a node is missing and `REQUIRE_BACKENDS` is set.
#[must_use]
pub fn cassandra() -> Option<String> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    Some(CASSANDRA.found(&FOUND)?.join(","))
}

/// The memcached servers, `host:port` each.
///
/// # Panics
/// When one is missing and `REQUIRE_BACKENDS` is set.
#[must_use]
pub fn memcached() -> Option<Vec<String>> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    MEMCACHED.found(&FOUND).map(<[String]>::to_vec)
}

/// The Redis server, `host:port`.
///
/// # Panics
/// When it is missing and `REQUIRE_BACKENDS` is set.
#[must_use]
pub fn redis() -> Option<String> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    Some(REDIS.found(&FOUND)?.join(","))
}

/// The PostgreSQL server, `host:port`.
///
/// # Panics
/// When it is missing and `REQUIRE_BACKENDS` is set.
#[must_use]
pub fn postgres() -> Option<String> {
    static FOUND: OnceLock<Found> = OnceLock::new();
    Some(POSTGRES.found(&FOUND)?.join(","))
}

/// The addresses, all of which answered, or why not.
type Found = Result<Vec<String>, String>;

impl Server {
    /// The addresses in effect, looked for once in the life of the process.
    fn found(&self, found: &'static OnceLock<Found>) -> Option<&'static [String]> {
        let found = found.get_or_init(|| self.look(env::var(self.variable).ok()));
        match found {
            Ok(addresses) => Some(addresses),
            Err(why) if required(env::var("REQUIRE_BACKENDS").ok()) => panic!("{} is required: {why}", self.name),
            Err(why) => {
                // The harness captures what `eprintln!` writes, and shows it of failed tests alone.
                let line = format!("SKIPPED{}: {why}\n", test_name());
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    fn look(&self, named: Option<String>) -> Found {
        let named = named.filter(|named| !named.trim().is_empty());
        let cure = match &named {
            Some(_) => format!("{} names it", self.variable),
            None => "`cargo xtask stack up` starts it".to_owned(),
        };
        let addresses: Vec<String> = match named {
            Some(named) => named.split(',').map(|address| address.trim().to_owned()).collect(),
            None => self.addresses.iter().map(|address| (*address).to_owned()).collect(),
        };
        for address in &addresses {
            connect(address).map_err(|why| format!("no {} at {address} ({why}); {cure}", self.name))?;
        }
        Ok(addresses)
    }
}

/// Whether a missing server is a failure.
fn required(set: Option<String>) -> bool {
    set.is_some_and(|set| !set.is_empty() && set != "0")
}

fn connect(address: &str) -> Result<(), String> {
    let resolved: Vec<SocketAddr> = address.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    let mut why = "the name has no address".to_owned();
    for one in resolved {
        match TcpStream::connect_timeout(&one, CONNECT_MAX) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// ` name` of the test that asks, where the harness gave its thread one.
fn test_name() -> String {
    let thread = thread::current();
    thread.name().filter(|name| *name != "main").map(|name| format!(" {name}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_counts_when_all_its_addresses_answer() {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let both = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
        assert_eq!(MEMCACHED.look(Some(format!("{}, {}", both[0], both[1]))), Ok(both.to_vec()));
        let [one, _gone] = listeners;
        drop(one);
        let why = MEMCACHED.look(Some(both.join(","))).unwrap_err();
        assert!(why.starts_with(&format!("no memcached at {} (", both[0])), "{why}");
        assert!(why.ends_with("; TEST_MEMCACHED names it"), "{why}");
    }

    #[test]
    fn what_is_set_to_nothing_is_not_set() {
        let nowhere = Server { name: "a", variable: "A", addresses: &["127.0.0.1:0"] };
        for named in [None, Some(String::new()), Some(" ".to_owned())] {
            let why = nowhere.look(named).unwrap_err();
            assert!(
                why.starts_with("no a at 127.0.0.1:0 (") && why.ends_with("`cargo xtask stack up` starts it"),
                "{why}"
            );
        }
    }

    #[test]
    fn servers_are_required_when_the_variable_says_so() {
        let asked = [None, Some(""), Some("0"), Some("1"), Some("yes")];
        let answers = asked.map(|set| required(set.map(str::to_owned)));
        assert_eq!(answers, [false, false, false, true, true]);
    }
}
