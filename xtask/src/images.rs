//! The images of `docker/`: their versions stand in `docker/versions.env` and nowhere else.

use std::fs;

use anyhow::{Context, Result};

use crate::command::root;

/// Where they stand.
pub(crate) const VERSIONS: &str = "docker/versions.env";

/// The names and values of `docker/versions.env`, in its order.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn versions() -> Result<Vec<(String, String)>> {
    Ok(pairs(&fs::read_to_string(root().join(VERSIONS)).context(VERSIONS)?))
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One version, such as that of `CASSANDRA_VERSION`.
///
/// # Errors
/// When the file does not name it.
pub(crate) fn version(name: &str) -> Result<String> {
    let found = versions()?.into_iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value).with_context(|| format!("{VERSIONS} does not name {name}"))
}

/// The image of this name in its version: `redis` is `redis:7.4.5`.
///
/// # Errors
/// As [`version`].
pub(crate) fn of(name: &str) -> Result<String> {
    Ok(format!("{name}:{}", version(&format!("{}_VERSION", name.to_uppercase()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_without_the_comments() {
        let text = "# A_VERSION=0\n\nA_VERSION=1.2\n B=c\n";
        assert_eq!(pairs(text), [("A_VERSION".to_owned(), "1.2".to_owned()), ("B".to_owned(), "c".to_owned())]);
    }

    #[test]
    fn the_images_that_the_stack_starts_have_versions() {
        for name in ["cassandra", "memcached", "redis", "postgres"] {
            let image = of(name).unwrap();
            assert!(image.starts_with(&format!("{name}:")) && image.len() > name.len() + 1, "{image}");
        }
    }
}
