//! What a server is asked at every connect: whether objects can be kept in it, and what its acknowledged writes survive.

use std::fmt;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, RedisError, RedisResult, cmd};

use crate::config::tls;
use crate::model::Durability;

/// What is known of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) durability: Durability,
    /// Why no more than that.
    pub(super) reason: &'static str,
    /// Replicas that are connected: a failover to one may lose writes.
    pub(super) replicas: u64,
}

/// Why a server cannot be used.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It does not answer in time.
    Late,
    /// It cannot be reached, or answers with an error.
    Failed(RedisError),
    /// It is of the wrong kind, or set up wrongly.
    Wrong(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("no answer in time"),
            // The parser's words are of many lines and of bytes.
            Self::Failed(error) if error.kind() == ErrorKind::Parse => {
                f.write_str("its answer cannot be read as one of Redis")
            }
            Self::Failed(error) => match tls::fault(error) {
                Some((why, cure)) => write!(f, "{why}; {cure}"),
                None if error.kind() == ErrorKind::AuthenticationFailed => {
                    write!(f, "{error}; see the user and the password in the URL")
                }
                None if error.code() == Some("NOAUTH") => {
                    write!(f, "{error}; the URL would have a user and a password, user:password@")
                }
                None => error.fmt(f),
            },
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

impl Server {
    pub(super) async fn inspect(connection: &mut MultiplexedConnection) -> Result<Self, Unfit> {
        let info: String = cmd("INFO").query_async(connection).await.map_err(Unfit::Failed)?;
        let info = Info(&info);
        fit(&info).map_err(Unfit::Wrong)?;
        let (durability, reason) = if info.field("aof_enabled") == Some("1") {
            let policy = setting(connection, "appendfsync").await;
            let pauses = setting(connection, "no-appendfsync-on-rewrite").await;
            class(policy.as_deref(), pauses.as_deref())
        } else {
            (Durability::Weak, "appendonly is no")
        };
        let replicas = info.field("connected_slaves").and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(Self { durability, reason, replicas })
    }
}

/// The sections of `INFO`.
struct Info<'a>(&'a str);

impl<'a> Info<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.split_once(':').filter(|(key, _)| *key == name)).map(|(_, v)| v.trim())
    }
}

fn fit(info: &Info<'_>) -> Result<(), String> {
    if info.field("role") != Some("master") {
        return Err("it is a replica, which shows old data; name the master".into());
    }
    if info.field("cluster_enabled") == Some("1") {
        return Err("it is a node of a Redis Cluster; the objects are kept in one server that is none".into());
    }
    let (limit, policy) = (info.field("maxmemory"), info.field("maxmemory_policy"));
    match (limit, policy) {
        (Some("0") | None, _) | (_, Some("noeviction") | None) => Ok(()),
        (Some(_), Some(policy)) => Err(format!(
            "it has a maxmemory and the maxmemory-policy {policy}, under which records would vanish; set it to noeviction"
        )),
    }
}

/// A setting, if we may read it.
async fn setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let mut get: Cmd = cmd("CONFIG");
    get.arg("GET").arg(name);
    let answer: RedisResult<(String, String)> = get.query_async(connection).await;
    answer.ok().map(|(_, value)| value)
}

/// What an acknowledged write survives on a server with an append-only file. Redis writes the file before it answers, but
/// for `everysec`, which puts the writing off for up to two seconds while an earlier sync is under way.
fn class(policy: Option<&str>, pauses: Option<&str>) -> (Durability, &'static str) {
    match (policy, pauses) {
        (Some("always"), Some("no")) => (Durability::PowerSafe, "appendfsync is always"),
        (Some("always"), _) => (Durability::ProcessSafe, "no-appendfsync-on-rewrite is yes, or cannot be read"),
        (Some("no"), _) => (Durability::ProcessSafe, "appendfsync is no"),
        (Some("everysec"), _) => (Durability::Weak, "appendfsync is everysec"),
        _ => (Durability::Weak, "appendfsync cannot be read, since CONFIG GET is not allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_is_always_synced_survives_the_loss_of_power() {
        assert_eq!(class(Some("always"), Some("no")).0, Durability::PowerSafe);
        assert_eq!(class(Some("always"), Some("yes")).0, Durability::ProcessSafe);
        assert_eq!(class(Some("always"), None).0, Durability::ProcessSafe);
        assert_eq!(class(Some("no"), Some("no")).0, Durability::ProcessSafe);
        assert_eq!(class(Some("everysec"), Some("no")).0, Durability::Weak);
        assert_eq!(class(None, None).0, Durability::Weak);
    }

    #[test]
    fn a_server_that_would_lose_records_is_told_what_to_change() {
        let info = |role: &str, cluster: &str, limit: &str, policy: &str| {
            format!(
                "# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n# Replication\r\nrole:{role}\r\n\
                 # Cluster\r\ncluster_enabled:{cluster}\r\n"
            )
        };
        let told = |info: String| fit(&Info(&info)).err().unwrap_or_default();
        assert_eq!(told(info("master", "0", "0", "allkeys-lru")), "");
        assert_eq!(told(info("master", "0", "1000", "noeviction")), "");
        assert!(told(info("slave", "0", "0", "noeviction")).contains("name the master"));
        assert!(told(info("master", "1", "0", "noeviction")).contains("Cluster"));
        assert!(told(info("master", "0", "1000", "volatile-ttl")).contains("noeviction"));
    }
}
