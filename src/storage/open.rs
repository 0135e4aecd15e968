//! From a URL to a store.

use std::sync::Arc;

use super::{Datastore, Memory};
use crate::config::Config;
use crate::config::url::redacted;
use crate::error::{Error, Result};

/// The stores of this crate: the feature that adds one, whether it is in this build, and the URL.
const STORES: &[(&str, bool, &str)] = &[
    ("sqlite", cfg!(feature = "sqlite"), "sqlite:PATH (such as sqlite:./objectd.db)"),
    ("", true, "memory:"),
    ("redis", cfg!(feature = "redis"), "redis://host:port/db"),
    ("cassandra", cfg!(feature = "cassandra"), "cassandra://host,host/keyspace"),
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

/// Opens the store that the settings name: `sqlite:PATH`, a file that is made when it is not there; `memory:`;
/// `redis://host:port/db` or `rediss://…` (see `Redis::connect`).
///
/// # Errors
/// `config`, in one line: the URL names no store there is, or the store cannot be used, and what to do about it.
pub async fn open(config: &Config) -> Result<Arc<dyn Datastore>> {
    let url = config.store.as_str();
    let Some((scheme, path)) = url.split_once(':') else {
        return Err(Error::config(format!("the store {:?} is no URL; there are: {}", redacted(url), legal())));
    };
    match (scheme, path) {
        ("memory", "") => Ok(Memory::store()),
        ("memory", _) => Err(Error::config(format!("the store {url:?} would be memory: and nothing behind it"))),
        ("sqlite", path) => sqlite(url, path),
        #[cfg(feature = "redis")]
        ("redis" | "rediss", _) => super::redis::open(config).await,
        #[cfg(feature = "cassandra")]
        ("cassandra" | "scylla", _) => Ok(Arc::new(super::Cassandra::open(config).await?)),
        _ => Err(no_store(scheme)),
    }
}

/// Refuses a store that would be made by opening it, or is in the memory of a process that it ends with: for those who
/// want something of what is there.
///
/// # Errors
/// `config`.
pub fn check_existing(config: &Config) -> Result<()> {
    match config.store.split_once(':') {
        Some(("memory", _)) => Err(Error::config(
            "the store memory: is in the memory of the process that serves from it; there is nothing for another one",
        )),
        Some(("sqlite", path)) if !path.is_empty() && !std::path::Path::new(path).exists() => {
            Err(Error::config(format!("there is no file {path}; name the store with --store")))
        }
        _ => Ok(()),
    }
}

fn no_store(scheme: &str) -> Error {
    // `rediss` is `redis` by TLS.
    let known = |feature: &str| feature == scheme || Some(feature) == scheme.strip_suffix('s');
    let missing = STORES.iter().find(|(feature, there, _)| !there && known(feature));
    let cure = missing.map(|(feature, ..)| format!("build it with the feature {feature}; "));
    Error::config(format!("this build has no store {scheme}:; {}there are: {}", cure.unwrap_or_default(), legal()))
}

#[cfg(feature = "sqlite")]
fn sqlite(url: &str, path: &str) -> Result<Arc<dyn Datastore>> {
    if path.is_empty() || path.starts_with("//") {
        return Err(Error::config(format!(
            "the store {url:?} names no file; it would be sqlite:PATH, such as sqlite:./objectd.db or sqlite:/var/lib/objectd.db"
        )));
    }
    Ok(Arc::new(super::Sqlite::open(path)?))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_url: &str, _path: &str) -> Result<Arc<dyn Datastore>> {
    Err(no_store("sqlite"))
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
            ("cassandra:127.0.0.1/ks", "this build has no store cassandra:; there are: "),
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
