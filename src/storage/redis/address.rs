//! From a URL to where the server is and how it is talked to.

use ::redis::Client;

use super::login::RedisLogin;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};

const PORT: u16 = 6379;
const PREFIX: &str = "remote-object:";
const PARAMETERS: &[&str] = &["prefix", "tls-ca", "tls-cert", "tls-key"];

/// Where the server is.
pub(super) struct Address {
    pub(super) client: Client,
    /// What every key of the store begins with.
    pub(super) prefix: String,
    /// The URL without its password.
    pub(super) shown: String,
    pub(super) is_over_tls: bool,
}

impl Address {
    /// # Errors
    /// `config`: what it would be.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let mut url = ServerUrl::parse(url)?;
        let shown = url.shown().to_owned();
        let wrong = |why: String| Error::config(format!("{shown:?}: {why}"));
        let [host] = url.hosts.as_slice() else {
            return Err(wrong("one server keeps the objects; a Redis Cluster, or Sentinels, cannot be named".into()));
        };
        let (host, port) = (host.host.clone(), host.port.unwrap_or(PORT));
        let prefix = url.take("prefix", "what every key begins with")?.unwrap_or_else(|| PREFIX.to_owned());
        let login = RedisLogin::take(&mut url)?;
        url.finish(PARAMETERS)?;
        let client = login.client(host, port).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, prefix, shown, is_over_tls: login.is_over_tls() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_url_names_a_server_a_database_and_a_prefix() {
        let address = Address::parse("redis://user:s3cret@cache.example/3?prefix=shop:").unwrap();
        assert_eq!(address.prefix, "shop:");
        assert_eq!(address.shown, "redis://user:***@cache.example/3?prefix=shop:");
        let info = address.client.get_connection_info();
        assert_eq!(info.addr().to_string(), "cache.example:6379");
        let login = info.redis_settings();
        assert_eq!((login.username(), login.password(), login.db()), (Some("user"), Some("s3cret"), 3));
        assert_eq!(Address::parse("rediss://h:7000").unwrap().prefix, PREFIX);
    }

    #[test]
    fn a_wrong_url_is_told_what_it_would_be() {
        for (url, says) in [
            ("redis://a,b", "one server"),
            ("redis://a/shop", "it would be a number"),
            ("redis://a?perfix=x", "there are: prefix, tls-ca"),
            ("redis://a?tls-ca=/x", "are for rediss://"),
            ("rediss://a?tls-ca=/no/such/file", "/no/such/file has no certificate in PEM"),
            ("rediss://a?tls-ca=/dev/null", "/dev/null has no certificate in PEM"),
            ("rediss://a?tls-cert=/dev/null", "go together"),
            ("redis://", "a host is empty"),
        ] {
            let error = Address::parse(url).err().unwrap();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains(says), "{url}: {error}");
        }
    }
}
