//! What the URL says: which servers, which tables, under which scope.

use std::fmt;
use std::str::FromStr;

use crate::config::Config;
use crate::config::tls::TlsFiles;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};

/// Where CQL is spoken when a URL names no port.
const PORT: u16 = 9042;
/// Names of keyspaces and tables, in bytes; a prefix leaves room for the longest table's name.
const NAME_BYTES_MAX: usize = 48;
const PREFIX_BYTES_MAX: usize = 40;

const LEGAL: &[&str] = &["scope", "datacenter", "prefix", "replication", "tls-ca", "tls-cert", "tls-key"];

/// A URL of this store, taken apart, with the settings that concern it.
#[derive(Clone, PartialEq)]
pub(super) struct Settings {
    /// `host:port` of each server to begin with.
    pub(super) hosts: Vec<String>,
    /// User and password.
    pub(super) login: Option<(String, String)>,
    pub(super) tables: Tables,
    pub(super) scope: WantedScope,
    pub(super) replication: Replication,
    pub(super) tls: Option<TlsFiles>,
    /// The URL as it may be shown.
    pub(super) shown: String,
    pub(super) allow_periodic: bool,
    pub(super) dev: bool,
}

/// Names of the keyspace and of what stands in it; letters, digits and `_` alone, so they need no quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tables {
    pub(super) keyspace: String,
    pub(super) prefix: String,
}

/// Within which replicas a quorum is counted, as the URL says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum WantedScope {
    /// Those of one datacenter: the one that is named, or the only one there is.
    Local(Option<String>),
    /// All of them.
    Global,
}

/// How often `schema apply` has each row kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Replication {
    /// So often in every datacenter.
    Each(u32),
    /// In some datacenters, so often in each.
    Datacenters(Vec<(String, u32)>),
}

impl Settings {
    /// Takes `config.store` apart, a `cassandra://` or `scylla://` URL.
    ///
    /// # Errors
    /// `config`, saying which part is wrong and what it would be.
    pub(super) fn read(config: &Config) -> Result<Self> {
        let mut url = ServerUrl::parse(&config.store)?;
        let shown = url.shown().to_owned();
        let wrong = |why: String| Error::config(format!("{shown:?}: {why}"));
        let datacenter: Option<String> = url.take("datacenter", "a datacenter's name")?;
        let scope = match url.take("scope", "local or global")?.unwrap_or(WantedScope::Local(None)) {
            WantedScope::Local(_) => WantedScope::Local(datacenter),
            WantedScope::Global if datacenter.is_none() => WantedScope::Global,
            WantedScope::Global => {
                return Err(wrong("the parameter datacenter goes with scope=local; leave one of the two out".into()));
            }
        };
        let prefix: String = url.take("prefix", "letters, digits and _")?.unwrap_or_default();
        let replication = "a number such as 3, or one for each datacenter such as dc1:3,dc2:3";
        let replication =
            url.take("replication", replication)?.unwrap_or(Replication::Each(if config.dev { 1 } else { 3 }));
        let tls = TlsFiles::take_if_on(&mut url)?;
        url.finish(LEGAL)?;
        if !is_name(&url.path, NAME_BYTES_MAX) {
            return Err(wrong(format!(
                "the keyspace is {:?}; it would be a name behind the hosts, such as /remote_object, of lower-case \
                 letters, digits and _, at most {NAME_BYTES_MAX}, the first a letter",
                url.path
            )));
        }
        if !prefix.is_empty() && !is_name(&prefix, PREFIX_BYTES_MAX) {
            return Err(wrong(format!(
                "the prefix is {prefix:?}; it would be of lower-case letters, digits and _, at most \
                 {PREFIX_BYTES_MAX}, the first a letter, such as shop_"
            )));
        }
        let login = match (url.user.clone(), url.password.clone()) {
            (Some(user), password) => Some((user, password.unwrap_or_default())),
            (None, _) => None,
        };
        let hosts = url.hosts.iter().map(|host| host.or_port(PORT)).collect();
        let tables = Tables { keyspace: url.path.clone(), prefix };
        let (allow_periodic, dev) = (config.allow_periodic, config.dev);
        Ok(Self { hosts, login, tables, scope, replication, tls, shown, allow_periodic, dev })
    }
}

/// Without the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Tables {
    /// The full name of one of our tables.
    pub(super) fn name(&self, table: &str) -> String {
        format!("{}.{}{table}", self.keyspace, self.prefix)
    }
}

impl FromStr for WantedScope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "local" => Ok(Self::Local(None)),
            "global" => Ok(Self::Global),
            _ => Err(()),
        }
    }
}

impl FromStr for Replication {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().ok().filter(|n| (1..=100).contains(n)).ok_or(());
        if !text.contains(':') {
            return number(text).map(Self::Each);
        }
        let each = text.split(',').map(|part| match part.rsplit_once(':') {
            Some((datacenter, n)) if !datacenter.is_empty() => Ok((datacenter.to_owned(), number(n)?)),
            _ => Err(()),
        });
        each.collect::<Result<_, ()>>().map(Self::Datacenters)
    }
}

/// As CQL.
impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{'class': 'NetworkTopologyStrategy'")?;
        match self {
            Self::Each(n) => write!(f, ", 'replication_factor': {n}")?,
            Self::Datacenters(each) => {
                for (datacenter, n) in each {
                    write!(f, ", '{}': {n}", datacenter.replace('\'', "''"))?;
                }
            }
        }
        f.write_str("}")
    }
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= bytes_max && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn read(url: &str) -> Result<Settings> {
        Settings::read(&Config { store: url.into(), ..Config::default() })
    }

    #[test]
    fn a_url_says_everything() {
        let settings = read(
            "scylla://shop:s3cret@c1,c2:9043,[::1]/ks_1?scope=local&datacenter=dc1&prefix=a_&replication=dc1:3,dc'2:5&\
             tls-ca=/ca.pem&tls-cert=/c.pem&tls-key=/k.pem",
        )
        .unwrap();
        assert_eq!(settings.hosts, ["c1:9042", "c2:9043", "[::1]:9042"]);
        assert_eq!(settings.login, Some(("shop".into(), "s3cret".into())));
        assert_eq!(settings.tables.name("object"), "ks_1.a_object");
        assert_eq!(settings.scope, WantedScope::Local(Some("dc1".into())));
        let replication = settings.replication.to_string();
        assert_eq!(replication, "{'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc''2': 5}");
        assert_eq!(settings.tls.clone().unwrap().own.unwrap().1, PathBuf::from("/k.pem"));
        assert!(!format!("{settings:?}").contains("s3cret"));
        let least = read("cassandra://c1/ks").unwrap();
        assert_eq!((least.scope, least.replication), (WantedScope::Local(None), Replication::Each(3)));
        assert_eq!((least.login, least.tls), (None, None));
        assert_eq!(read("cassandra://c1/ks?scope=global").unwrap().scope, WantedScope::Global);
    }

    #[test]
    fn a_part_that_is_wrong_is_told_what_it_would_be() {
        for (url, says) in [
            ("cassandra://c1", "the keyspace is \"\"; it would be a name behind the hosts"),
            ("cassandra://c1/Ks", "lower-case letters, digits and _"),
            ("cassandra://c1/1ks", "the first a letter"),
            ("cassandra://c1/ks;drop", "lower-case letters, digits and _"),
            ("cassandra://c1/ks?prefix=a.b", "the prefix is \"a.b\""),
            ("cassandra://c1/ks?scope=all", "it would be local or global"),
            ("cassandra://c1/ks?scope=global&datacenter=dc1", "goes with scope=local"),
            ("cassandra://c1/ks?replication=0", "a number such as 3"),
            ("cassandra://c1/ks?replication=dc1:3,:3", "one for each datacenter such as dc1:3,dc2:3"),
            ("cassandra://c1/ks?tls-cert=a", "tls-cert and tls-key go together"),
            ("cassandra://c1/ks?tls-cert=a&tls-key=b", "need tls-ca"),
            ("cassandra://c1/ks?consistency=one", "there are: scope, datacenter, prefix, replication, tls-ca"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.message().contains(says), "{url}: {error}");
            assert!(!error.message().contains('\n'));
        }
    }
}
