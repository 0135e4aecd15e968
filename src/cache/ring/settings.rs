//! What a cache's URL says of its ring.

use std::time::Duration;

use crate::config::url::{HostPort, ServerUrl};
use crate::error::{Error, Result};

/// Servers that have a copy of an object, at most.
const REPLICAS_MAX: usize = 8;
const REPLICAS: usize = 2;
/// How long a get may take in all, in milliseconds.
const TIMEOUT_MS: u64 = 25;

/// A ring's settings.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::cache) struct Settings {
    /// Names or addresses, each with its port and its weight.
    pub(super) hosts: Vec<(HostPort, f64)>,
    /// Servers that have a copy of an object.
    pub(super) replicas: usize,
    /// How long a get may take in all.
    pub(super) budget: Duration,
}

impl Settings {
    /// Takes what it knows out of a URL; a host without a port has this one.
    ///
    /// # Errors
    /// `config`: what a parameter would be.
    pub(in crate::cache) fn take(url: &mut ServerUrl, port: u16) -> Result<Self> {
        let wrong = |what: &str| Error::config(format!("{:?}: {what}", url.shown()));
        let (few, soon) = (format!("a number from 1 to {REPLICAS_MAX}"), "a number from 1 to 10000");
        let mut url_mut = url.clone();
        let replicas = url_mut.take("replicas", &few)?.unwrap_or(REPLICAS);
        if !(1..=REPLICAS_MAX).contains(&replicas) {
            return Err(wrong(&format!("the parameter replicas is {replicas}; it would be {few}")));
        }
        let timeout_ms = url_mut.take("timeout-ms", soon)?.unwrap_or(TIMEOUT_MS);
        if !(1..=10_000).contains(&timeout_ms) {
            return Err(wrong(&format!("the parameter timeout-ms is {timeout_ms}; it would be {soon}")));
        }
        let weights = match url_mut.take::<String>("weights", "a number for each server")? {
            None => vec![1.0; url.hosts.len()],
            Some(text) => {
                let weights = text.split(',').map(|weight| weight.trim().parse().ok().filter(is_weight));
                let weights: Option<Vec<f64>> = weights.collect();
                weights.filter(|weights| weights.len() == url.hosts.len()).ok_or_else(|| {
                    let count = url.hosts.len();
                    wrong(&format!(
                        "the parameter weights is {text:?}; it would be {count} numbers above 0, one for each server, such as {}",
                        vec!["1"; count].join(",")
                    ))
                })?
            }
        };
        *url = url_mut;
        let with_port = |host: &HostPort| HostPort { port: Some(host.port.unwrap_or(port)), ..host.clone() };
        let hosts = url.hosts.iter().map(with_port).zip(weights).collect();
        Ok(Self { hosts, replicas, budget: Duration::from_millis(timeout_ms) })
    }

    /// The names of the parameters it takes.
    pub(in crate::cache) const PARAMETERS: [&'static str; 4] = ["namespace", "replicas", "timeout-ms", "weights"];
}

fn is_weight(weight: &f64) -> bool {
    (0.001..=1000.0).contains(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Settings> {
        let mut url = ServerUrl::parse(url)?;
        let settings = Settings::take(&mut url, 11211)?;
        url.finish(&Settings::PARAMETERS).map(|()| settings)
    }

    #[test]
    fn a_url_says_which_servers_and_how() {
        let settings = read("memcached://m1,m2:11212,[::1]?replicas=3&weights=1,0.5,2&timeout-ms=40").unwrap();
        let hosts: Vec<_> = settings.hosts.iter().map(|(host, weight)| (host.or_port(0), *weight)).collect();
        assert_eq!(
            hosts,
            [("m1:11211".to_owned(), 1.0), ("m2:11212".to_owned(), 0.5), ("[::1]:11211".to_owned(), 2.0)]
        );
        assert_eq!((settings.replicas, settings.budget), (3, Duration::from_millis(40)));
        let plain = read("memcached://m1").unwrap();
        assert_eq!((plain.replicas, plain.budget), (2, Duration::from_millis(25)));
    }

    #[test]
    fn what_cannot_be_is_told_what_it_would_be() {
        for (url, says) in [
            ("memcached://m1?replicas=0", "replicas is 0; it would be a number from 1 to 8"),
            ("memcached://m1?replicas=x", "it would be a number from 1 to 8"),
            ("memcached://m1?timeout-ms=0", "it would be a number from 1 to 10000"),
            ("memcached://m1,m2?weights=1", "it would be 2 numbers above 0, one for each server, such as 1,1"),
            ("memcached://m1?weights=0", "it would be 1 numbers above 0"),
            ("memcached://m1?weights=NaN", "it would be 1 numbers above 0"),
            ("memcached://m1?weight=1", "there are: namespace, replicas, timeout-ms, weights"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.message().contains(says), "{url}: {error}");
        }
    }
}
