//! From names to addresses, again and again: servers come and go behind a name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::url::HostPort;

/// How long a name may take.
const RESOLVE_MAX: Duration = Duration::from_secs(5);
/// How often names are resolved, and how often while one has no address.
const EVERY: Duration = Duration::from_secs(30);
const EVERY_WHILE_MISSING: Duration = Duration::from_secs(1);

/// The names of a ring, with the addresses they last had.
#[derive(Debug)]
pub(super) struct Names(Vec<Known>);

#[derive(Debug)]
struct Known {
    host: HostPort,
    /// Its host alone.
    name: Arc<str>,
    weight: f64,
    addresses: Vec<SocketAddr>,
    warned: bool,
}

/// A server, as the URL and its names say.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::cache) struct Found {
    /// Where it is.
    pub(in crate::cache) address: SocketAddr,
    /// The host, a name or an address, by which the URL has it: a certificate has to be for that.
    pub(in crate::cache) name: Arc<str>,
    /// How much it takes.
    pub(super) weight: f64,
}

impl Names {
    pub(super) fn new(hosts: &[(HostPort, f64)]) -> Self {
        let known = |(host, weight): &(HostPort, f64)| Known {
            host: host.clone(),
            name: host.host.as_str().into(),
            weight: *weight,
            addresses: Vec::new(),
            warned: false,
        };
        Self(hosts.iter().map(known).collect())
    }

    /// Looks all of them up. A name that has no address at the moment keeps its last ones.
    pub(super) async fn resolve(&mut self) {
        join_all(self.0.iter_mut().map(Known::resolve)).await;
    }

    /// Every server there is, once, by the first of its names.
    pub(super) fn found(&self) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for known in &self.0 {
            for address in &known.addresses {
                if !found.iter().any(|other| other.address == *address) {
                    found.push(Found { address: *address, name: Arc::clone(&known.name), weight: known.weight });
                }
            }
        }
        found
    }

    /// When to resolve next.
    pub(super) fn pause(&self) -> Duration {
        if self.0.iter().any(|known| known.addresses.is_empty()) { EVERY_WHILE_MISSING } else { EVERY }
    }
}

impl Known {
    async fn resolve(&mut self) {
        let name = self.host.or_port(0);
        let why = match timeout(RESOLVE_MAX, lookup_host(&name)).await {
            Ok(Ok(addresses)) => {
                let all: Vec<SocketAddr> = addresses.collect();
                // A host with both has one server, which is not to count as two.
                let v4: Vec<SocketAddr> = all.iter().copied().filter(SocketAddr::is_ipv4).collect();
                let addresses = if v4.is_empty() { all } else { v4 };
                if !addresses.is_empty() {
                    self.addresses = addresses;
                    self.warned = false;
                    return;
                }
                "it has no address".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(name, why, "the name of a cache server cannot be resolved");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> (HostPort, f64) {
        (text.parse().unwrap(), 1.0)
    }

    #[tokio::test]
    async fn a_name_is_its_addresses_each_once() {
        let mut names = Names::new(&[host("127.0.0.1:1"), host("localhost:1"), host("[::1]:2")]);
        names.resolve().await;
        let found: Vec<String> =
            names.found().iter().map(|found| format!("{} {}", found.name, found.address)).collect();
        assert_eq!(found, ["127.0.0.1 127.0.0.1:1", "::1 [::1]:2"]);
        assert_eq!(names.pause(), EVERY);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_asked_for_again_soon_and_keeps_what_it_had() {
        let mut names = Names::new(&[host("127.0.0.1:1"), host("no-such-name.invalid:1")]);
        names.resolve().await;
        assert_eq!(names.found().len(), 1);
        assert_eq!(names.pause(), EVERY_WHILE_MISSING);
        names.0[1].addresses = vec![([127, 0, 0, 9], 1).into()];
        names.resolve().await;
        assert_eq!(names.found().len(), 2);
        assert_eq!(names.pause(), EVERY);
    }
}
