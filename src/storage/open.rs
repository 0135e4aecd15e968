//! From a URL to a store.

use std::path::Path;
use std::sync::Arc;

use super::{Datastore, Memory};
use crate::config::Config;
use crate::config::url::redacted;
use crate::error::{Error, Result};

/// The stores of this crate: the feature that adds one, whether it is in this build, and the URL.
const STORES: &[(&str, bool, &str)] = &[
    ("sqlite", cfg!(feature = "sqlite"), "sqlite:PATH (such as sqlite:./objectd.db)"),
    ("", true, "memory:"),
    ("cassandra", cfg!(feature = "cassandra"), "cassandra://host,host,host/keyspace"),
    ("redis", cfg!(feature = "redis"), "redis://host:port/db"),
];

/// The stores there are, as an error names them.
fn legal() -> String {
    let there: Vec<&str> = STORES.iter().filter(|(_, there, _)| *there).map(|(.., url)| *url).collect();
    let missing: Vec<&str> = STORES.iter().filter(|(_, there, _)| !there).map(|(feature, ..)| *feature).collect();
    match missing.as_slice() {
        [] => there.join(", "),
        missing => format!("{} (this build is without the features {})", there.join(", "), missing.join(", ")),
    }
}

/// A store, by its URL.
enum Named<'a> {
    Memory,
    Sqlite(&'a str),
    #[cfg(feature = "cassandra")]
    Cassandra,
    #[cfg(feature = "redis")]
    Redis,
}

fn named(config: &Config) -> Result<Named<'_>> {
    let url = config.store.as_str();
    let Some((scheme, path)) = url.split_once(':') else {
        return Err(Error::config(format!("the store {:?} is no URL; there are: {}", redacted(url), legal())));
    };
    match (scheme, path) {
        ("memory", "") => Ok(Named::Memory),
        ("memory", _) => Err(Error::config(format!("the store {url:?} would be memory: and nothing behind it"))),
        ("sqlite", path) if cfg!(feature = "sqlite") => {
            if path.is_empty() || path.starts_with("//") {
                return Err(Error::config(format!(
                    "the store {url:?} names no file; it would be sqlite:PATH, such as sqlite:./objectd.db or sqlite:/var/lib/objectd.db"
                )));
            }
            Ok(Named::Sqlite(path))
        }
        #[cfg(feature = "cassandra")]
        ("cassandra" | "scylla", _) => Ok(Named::Cassandra),
        #[cfg(feature = "redis")]
        ("redis" | "rediss", _) => Ok(Named::Redis),
        _ => Err(no_store(scheme)),
    }
}

/// Opens the store that the settings name: `sqlite:PATH`, a file that is made when it is not there; `memory:`;
/// `cassandra://host,host/keyspace` or `scylla://…` (see `Cassandra::open`); `redis://host:port/db` or `rediss://…` (see
/// `Redis::connect`).
///
/// # Errors
/// `config`, in one line: the URL names no store there is, or the store cannot be used, and what to do about it.
pub async fn open(config: &Config) -> Result<Arc<dyn Datastore>> {
    match named(config)? {
        Named::Memory => Ok(Memory::store()),
        #[cfg(feature = "sqlite")]
        Named::Sqlite(path) => Ok(Arc::new(super::Sqlite::open(path)?)),
        #[cfg(not(feature = "sqlite"))]
        Named::Sqlite(_) => Err(no_store("sqlite")),
        #[cfg(feature = "cassandra")]
        Named::Cassandra => Ok(Arc::new(super::Cassandra::open(config).await?)),
        #[cfg(feature = "redis")]
        Named::Redis => super::redis::open(config).await,
    }
}

/// Refuses a store that would be made by opening it, or is in the memory of a process that it ends with: for those who
/// want something of what is there.
///
/// # Errors
/// `config`.
pub fn check_existing(config: &Config) -> Result<()> {
    match named(config)? {
        Named::Memory => Err(Error::config(
            "the store memory: is in the memory of the process that serves from it; there is nothing for another one",
        )),
        Named::Sqlite(path) if !Path::new(path).exists() => {
            Err(Error::config(format!("there is no file {path}; name the store with --store")))
        }
        _ => Ok(()),
    }
}

/// The statements that make the tables of a store whose tables are made by hand; `None` for those that need none, or make
/// them themselves. Asks no server.
///
/// # Errors
/// `config` when the URL is wrong.
pub fn schema_text(config: &Config) -> Result<Option<String>> {
    match named(config)? {
        #[cfg(feature = "cassandra")]
        Named::Cassandra => super::schema_print(config).map(Some),
        _ => Ok(None),
    }
}

/// Makes what is missing of the tables of such a store; gives the statements that were applied.
///
/// # Errors
/// `config` when the store cannot be used or refuses one.
pub async fn schema_make(config: &Config) -> Result<Vec<String>> {
    match named(config)? {
        #[cfg(feature = "cassandra")]
        Named::Cassandra => super::schema_apply(config).await,
        _ => Ok(Vec::new()),
    }
}

fn no_store(scheme: &str) -> Error {
    let of = match scheme {
        "rediss" => "redis",
        "scylla" => "cassandra",
        other => other,
    };
    let missing = STORES.iter().find(|(feature, there, _)| !there && *feature == of);
    let cure = missing.map(|(feature, ..)| format!("build it with the feature {feature}; "));
    Error::config(format!("this build has no store {scheme}:; {}there are: {}", cure.unwrap_or_default(), legal()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn a_url_of_no_store_is_told_which_there_are() {
        for (url, says) in [
            ("", "is no URL; there are: "),
            ("objectd.db", "is no URL; there are: "),
            ("casandra://127.0.0.1/ks", "this build has no store casandra:; there are: "),
            ("memory:x", "would be memory: and nothing behind it"),
            ("sqlite:", if cfg!(feature = "sqlite") { "names no file" } else { "no store sqlite:" }),
            ("sqlite://x.db", if cfg!(feature = "sqlite") { "sqlite:./objectd.db" } else { "no store sqlite:" }),
        ] {
            let config = Config { store: url.into(), ..Config::default() };
            let error = open(&config).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{url:?}");

            assert!(error.message().contains(says), "{url:?}: {error}");
            assert!(!error.message().contains('\n'));
        }
    }
}
