//! What start-up refuses, of what [`facts`](super::facts) found: each refusal says what is wrong and what to change.

use super::facts::{Facts, Keyspace, Product, Server, Table, Told};
use super::fault::{Fault, one_line};
use super::schema::{self, NEWEST};
use super::session::Scope;
use super::settings::{Settings, WantedScope};
use crate::error::{Error, Kind, Result};
use crate::model::Durability;

/// Fewer replicas cannot lose one and go on.
const REPLICAS_MIN: u32 = 3;
const TABLES: [&str; 4] = ["object", "hint", "roster", "register"];
/// Compactions that go by size and level alone. One by time windows would go by our versions, which are no times.
const COMPACTIONS: [&str; 2] = ["LeveledCompactionStrategy", "UnifiedCompactionStrategy"];

/// What a cluster that may be used is like.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) scope: Scope,
    pub(super) durability: Durability,
    /// The servers' `commitlog_sync`.
    pub(super) commitlog: String,
}

/// Goes through all that was read.
///
/// # Errors
/// `config`, in one line: the first thing that is wrong, and what to change.
pub(super) fn check(settings: &Settings, facts: &Facts) -> Result<Found> {
    let refuse = |why: String| Error::config(format!("{:?}: {why}", settings.shown));
    let scope = scope(settings, facts).map_err(refuse)?;
    let servers: Vec<(&Server, &Told)> = facts
        .servers
        .iter()
        .filter(|server| scope.datacenter().is_none_or(|datacenter| datacenter == server.datacenter))
        .filter_map(|server| Some((server, server.told.as_ref()?)))
        .collect();
    if servers.is_empty() {
        return Err(refuse("no server tells its version and settings; see that they run, and try again".into()));
    }
    for (server, told) in &servers {
        version(told).map_err(|why| refuse(format!("{} {why}", server.address)))?;
    }
    let apply = format!("`objectd schema apply --store '{}'`", settings.shown);
    let keyspace = facts.keyspace.as_ref().ok_or_else(|| {
        refuse(format!("there is no keyspace {}; make it, and the tables, with {apply}", settings.tables.keyspace))
    })?;
    replicas(settings, facts, keyspace, &scope).map_err(refuse)?;
    if keyspace.tablets && servers.iter().any(|(_, told)| told.version.numbers < (2025, 4, 0)) {
        return Err(refuse(format!(
            "the keyspace {} is on tablets, where Scylla has lightweight transactions from 2025.4 only; use another \
             keyspace, made with {apply}, or the newer Scylla",
            settings.tables.keyspace
        )));
    }
    for (server, told) in &servers {
        guardrails(told).map_err(|why| refuse(format!("{} {why}", server.address)))?;
    }
    tables(settings, facts, &apply).map_err(refuse)?;
    let (durability, commitlog) = durability(settings, &servers).map_err(refuse)?;
    Ok(Found { scope, durability, commitlog })
}

/// The scope that is wanted, if there is such a one.
fn scope(settings: &Settings, facts: &Facts) -> Result<Scope, String> {
    let mut all: Vec<&str> = facts.servers.iter().map(|server| server.datacenter.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    let datacenter = match &settings.scope {
        WantedScope::Global => return Ok(Scope::Global),
        WantedScope::Local(Some(datacenter)) => datacenter.as_str(),
        WantedScope::Local(None) if all.len() == 1 => all[0],
        WantedScope::Local(None) => {
            return Err(format!(
                "the cluster has the datacenters {}; name the one whose replicas are to be the quorum with \
                 datacenter=NAME, the same for every process, or say scope=global",
                all.join(", ")
            ));
        }
    };
    if all.contains(&datacenter) {
        return Ok(Scope::Local(datacenter.to_owned()));
    }
    Err(format!("there is no datacenter {datacenter:?}; name one of those there are: {}", all.join(", ")))
}

/// Whether transactions are linearizable there.
fn version(told: &Told) -> Result<(), String> {
    let Told { product, version, .. } = told;
    let why = match product {
        Product::Cassandra if version.numbers < (4, 0, 0) => {
            "whose serial reads are not linearizable (CASSANDRA-12126); use 4.0 or newer"
        }
        Product::Cassandra if ((4, 1, 0)..=(4, 1, 5)).contains(&version.numbers) => {
            "which may apply an old transaction again (CASSANDRA-19617); use 4.1.6 or newer"
        }
        Product::Scylla if version.numbers < (5, 0, 0) || (2000..2022).contains(&version.numbers.0) => {
            "whose transactions were seen to split when servers join or leave; use 5.0, 2022.1 or newer"
        }
        _ => return Ok(()),
    };
    Err(format!("runs {product} {version}, {why}"))
}

fn replicas(settings: &Settings, facts: &Facts, keyspace: &Keyspace, scope: &Scope) -> Result<(), String> {
    let name = &settings.tables.keyspace;
    let alter = format!("ALTER KEYSPACE {name} WITH replication = {}", settings.replication);
    let class = keyspace.replication.get("class").map_or("", String::as_str);
    if !class.ends_with("NetworkTopologyStrategy") {
        return Err(format!(
            "the keyspace {name} has {class}, which knows no datacenters; change it with `{alter}` and repair it"
        ));
    }
    let mut replicas = 0;
    for (datacenter, number) in keyspace.replication.iter().filter(|(datacenter, _)| *datacenter != "class") {
        if scope.datacenter().is_none_or(|wanted| wanted == datacenter) {
            replicas += count(number).ok_or_else(|| {
                format!("the keyspace {name} has {number:?} replicas in {datacenter}; change it to a whole number")
            })?;
        }
    }
    let place = scope.datacenter().map_or("all".to_owned(), |datacenter| format!("the datacenter {datacenter}"));
    if replicas == 0 || (replicas < REPLICAS_MIN && !settings.dev) {
        return Err(format!(
            "the keyspace {name} has {replicas} replicas in {place}, so losing one server stops it or loses data; change \
             it with `{alter}` and repair it, or start with --dev if this is for development"
        ));
    }
    let in_scope = |server: &&Server| scope.datacenter().is_none_or(|wanted| wanted == server.datacenter);
    let servers = facts.servers.iter().filter(in_scope).count();
    if servers < replicas as usize / 2 + 1 {
        return Err(format!(
            "the keyspace {name} has {replicas} replicas in {place}, where there are {servers} servers: there is never a \
             quorum; add servers, or replicate it less often"
        ));
    }
    if !keyspace.durable_writes {
        return Err(format!(
            "the keyspace {name} keeps no commit log; change it with `ALTER KEYSPACE {name} WITH durable_writes = true`"
        ));
    }
    Ok(())
}

/// `3`, or a list of racks with one replica each, as newer Scyllas write it. Not `3/1`, where one has no data.
fn count(replicas: &str) -> Option<u32> {
    match replicas.trim().strip_prefix('[') {
        Some(racks) => Some(racks.split(',').count() as u32),
        None => replicas.trim().parse().ok(),
    }
}

/// Versions are small numbers, and servers may be set to refuse timestamps that lie far back.
fn guardrails(told: &Told) -> Result<(), String> {
    let name = "minimum_timestamp_fail_threshold";
    match told.settings.get(name).map(String::as_str) {
        None | Some("" | "null") => Ok(()),
        Some(value) => Err(format!(
            "refuses writes with old timestamps ({name} is {value}), and every put has one, since its timestamp is its \
             version; remove {name} from cassandra.yaml"
        )),
    }
}

fn tables(settings: &Settings, facts: &Facts, apply: &str) -> Result<(), String> {
    let missing: Vec<String> = TABLES
        .iter()
        .filter(|table| !facts.tables.contains_key(**table))
        .map(|table| settings.tables.name(table))
        .collect();
    if !missing.is_empty() {
        return Err(format!("there is no table {}; make it with {apply}", missing.join(", ")));
    }
    match schema::taken(facts) {
        Some(NEWEST) => {}
        Some(taken) if taken > NEWEST => return Err(schema::newer(taken)),
        Some(taken) => return Err(format!("the tables are at step {taken} of {NEWEST}; take the rest with {apply}")),
        None => {
            return Err(format!(
                "the comment of the table {} does not say which step it is at; was it made by another program? Use another \
                 keyspace or prefix, or make the tables with {apply}",
                settings.tables.name("register")
            ));
        }
    }
    for (table, found) in facts.tables.iter().filter(|(table, _)| TABLES.contains(&table.as_str())) {
        if let Some(option) = wrong_option(found) {
            let name = settings.tables.name(table);
            let (is, should) = option;
            return Err(format!("the table {name} {is}; change it with `ALTER TABLE {name} WITH {should}`"));
        }
    }
    Ok(())
}

/// What of a table's options breaks a promise, and what it should be.
fn wrong_option(table: &Table) -> Option<(String, &'static str)> {
    if table.ttl_s != 0 {
        return Some((format!("forgets its rows after {} s", table.ttl_s), "default_time_to_live = 0"));
    }
    if table.cdc {
        return Some(("has CDC on, which goes by timestamps and is not for ours".into(), "cdc = false"));
    }
    if let Some(repair) = table.read_repair.as_deref().filter(|repair| !repair.eq_ignore_ascii_case("BLOCKING")) {
        let is = format!("has read_repair {repair}, so that a read may show what the next one does not");
        return Some((is, "read_repair = 'BLOCKING'"));
    }
    if !COMPACTIONS.contains(&table.compaction.as_str()) {
        let is = format!("has {}, which is not for rows that are written again and again", table.compaction);
        return Some((is, "compaction = {'class': 'LeveledCompactionStrategy'}"));
    }
    None
}

/// What an acknowledged write survives, by the weakest server.
fn durability(settings: &Settings, servers: &[(&Server, &Told)]) -> Result<(Durability, String), String> {
    let rank = |durability: Durability| match durability {
        Durability::PowerSafe => 0,
        Durability::ProcessSafe => 1,
        Durability::Weak => 2,
    };
    let classes = servers.iter().map(|(server, told)| {
        let sync = told.settings.get("commitlog_sync").map_or("unknown", String::as_str).to_ascii_lowercase();
        let durability = match (told.product, sync.as_str()) {
            (_, "batch" | "group") => Durability::PowerSafe,
            (Product::Cassandra, _) => Durability::ProcessSafe,
            (Product::Scylla, _) => Durability::Weak,
        };
        (durability, sync, *server)
    });
    let Some((durability, sync, server)) = classes.max_by_key(|(durability, ..)| rank(*durability)) else {
        return Err("no server tells its settings".into());
    };
    if durability != Durability::PowerSafe {
        let lost = match durability {
            Durability::Weak => "when its process dies",
            _ => "when a quorum of servers loses power at once",
        };
        let what = format!(
            "{} has commitlog_sync {sync}: it acknowledges a write before it is on the disk, and loses it {lost}",
            server.address
        );
        if !settings.allow_periodic {
            let grant = if sync == "unknown" { " (and let this user read the server's settings)" } else { "" };
            return Err(format!(
                "{what}; set commitlog_sync to batch or group on every server{grant}, or start with --allow-periodic to \
                 take it as it is"
            ));
        }
        tracing::warn!(store = settings.shown, ?durability, "{what}");
    }
    Ok((durability, sync))
}

/// A statement was refused though the tables are there.
pub(super) fn misfit(settings: &Settings, fault: &Fault) -> Error {
    Error::config(format!(
        "{:?}: the tables are there and cannot be used as ours: {}; were they made by another program? See that this user \
         may read and write them, or use another keyspace or prefix",
        settings.shown,
        one_line(&fault.to_string())
    ))
}

/// The transaction at start-up went wrong.
pub(super) fn no_transactions(settings: &Settings, scope: &Scope, fault: &Fault) -> Error {
    let serial = scope.serial();
    let kind = if fault.is_silence() { Kind::StoreUnavailable } else { Kind::Config };
    let text = format!(
        "{:?}: a lightweight transaction at {serial} on {} went wrong: {}; see that a quorum of its replicas is up, that \
         this user may write it, and that no guardrail forbids this consistency",
        settings.shown,
        settings.tables.name("register"),
        one_line(&fault.to_string())
    );
    Error::new(kind, text)
}

#[cfg(test)]
mod tests;
