//! What start-up reads of a cluster: its servers, how they are set, and what stands in the keyspace.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use scylla::client::session::Session;
use scylla::cluster::Node;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::{Consistency, Statement};
use scylla::value::{CqlValue, Row};

use super::fault::Fault;
use super::settings::Tables;

/// How long one server may take to tell of itself.
const ASK_MAX: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Every server of the cluster.
    pub(super) servers: Vec<Server>,
    pub(super) keyspace: Option<Keyspace>,
    /// The tables in the keyspace that begin with our prefix, by their names without it.
    pub(super) tables: BTreeMap<String, Table>,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) datacenter: String,
    /// What it told; nothing, if it did not answer.
    pub(super) told: Option<Told>,
}

/// What a server told of itself.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) product: Product,
    pub(super) version: Version,
    /// Its settings by name; none, if it shows none.
    pub(super) settings: HashMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Product {
    Cassandra,
    Scylla,
}

/// The first three numbers of a version, and all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Version {
    pub(super) numbers: (u32, u32, u32),
    text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Keyspace {
    /// As the server has it: `class`, and a number for each datacenter.
    pub(super) replication: HashMap<String, String>,
    pub(super) durable_writes: bool,
    /// Scylla's tablets instead of its older ring.
    pub(super) tablets: bool,
}

/// The options of a table that matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Table {
    pub(super) ttl_s: i32,
    pub(super) cdc: bool,
    /// Cassandra alone has it.
    pub(super) read_repair: Option<String>,
    /// The class, without its package.
    pub(super) compaction: String,
    pub(super) comment: String,
}

/// Reads it all.
///
/// # Errors
/// When no server answers, or the schema cannot be read.
pub(super) async fn read(session: &Session, tables: &Tables) -> Result<Facts, Fault> {
    let state = session.get_cluster_state();
    let servers = future::join_all(state.get_nodes_info().iter().map(|node| ask(session, node))).await;
    let scylla = servers.iter().any(|server| server.is(Product::Scylla));
    let keyspace = read_keyspace(session, &tables.keyspace, scylla).await?;
    Ok(Facts { servers, keyspace, tables: read_tables(session, tables).await? })
}

impl Server {
    fn is(&self, product: Product) -> bool {
        self.told.as_ref().is_some_and(|told| told.product == product)
    }
}

async fn ask(session: &Session, node: &Arc<Node>) -> Server {
    let told = match ask_all(session, node).await {
        Ok(told) => Some(told),
        Err(fault) => {
            tracing::warn!(server = %node.address, error = %fault, "a server does not answer; it was not checked");
            None
        }
    };
    let datacenter = node.datacenter.clone().unwrap_or_default();
    Server { address: node.address.to_string(), datacenter, told }
}

async fn ask_all(session: &Session, node: &Arc<Node>) -> Result<Told, Fault> {
    // A table that Scylla alone has; what it says beside that, `release_version`, is another product's number.
    let scylla = one_text(&of_node(session, node, "SELECT version FROM system.versions WHERE key = 'local'").await);
    let (product, version, settings) = match scylla {
        Some(version) => (Product::Scylla, version, "SELECT name, value FROM system.config"),
        None => {
            let rows = of_node(session, node, "SELECT release_version FROM system.local WHERE key = 'local'").await?;
            let none = || Fault::Answer("a server has no release_version".into());
            let version = one_text(&Ok(rows)).ok_or_else(none)?;
            (Product::Cassandra, version, "SELECT name, value FROM system_views.settings")
        }
    };
    let settings = match of_node(session, node, settings).await {
        Ok(rows) => read_settings(&rows)?,
        Err(fault) if fault.is_refusal() => HashMap::new(),
        Err(fault) => return Err(fault),
    };
    Ok(Told { product, version: Version::read(&version), settings })
}

/// Asks this very server, of what it alone knows.
async fn of_node(session: &Session, node: &Arc<Node>, text: &str) -> Result<QueryRowsResult, Fault> {
    let mut statement = Statement::new(text);
    statement.set_consistency(Consistency::LocalOne);
    statement.set_request_timeout(Some(ASK_MAX));
    let node = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(node, None)));
    Ok(session.query_unpaged(statement, &[]).await?.into_rows_result()?)
}

fn one_text(rows: &Result<QueryRowsResult, Fault>) -> Option<String> {
    let rows = rows.as_ref().ok()?;
    rows.maybe_first_row::<(String,)>().ok().flatten().map(|row| row.0)
}

fn read_settings(rows: &QueryRowsResult) -> Result<HashMap<String, String>, Fault> {
    let rows = rows.rows::<(String, Option<String>)>()?;
    rows.map(|row| {
        let (name, value) = row?;
        // Scylla writes them as JSON.
        Ok((name, value.unwrap_or_default().trim_matches('"').to_owned()))
    })
    .collect()
}

async fn read_keyspace(session: &Session, name: &str, scylla: bool) -> Result<Option<Keyspace>, Fault> {
    let rows = schema(session, "keyspaces", name).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let tablets = if scylla {
        match schema(session, "scylla_keyspaces", name).await {
            Ok(rows) => rows.iter().any(|row| row.contains_key("initial_tablets")),
            Err(fault) if fault.is_refusal() => false,
            Err(fault) => return Err(fault),
        }
    } else {
        false
    };
    let replication = match row.get("replication") {
        Some(CqlValue::Map(pairs)) => pairs.iter().map(|(name, value)| (shown(name), shown(value))).collect(),
        _ => HashMap::new(),
    };
    let durable_writes = !matches!(row.get("durable_writes"), Some(CqlValue::Boolean(false)));
    Ok(Some(Keyspace { replication, durable_writes, tablets }))
}

async fn read_tables(session: &Session, tables: &Tables) -> Result<BTreeMap<String, Table>, Fault> {
    let rows = schema(session, "tables", &tables.keyspace).await?;
    let mut found = BTreeMap::new();
    let mut logged = Vec::new();
    for row in &rows {
        let name = row.get("table_name").map(shown).unwrap_or_default();
        let Some(name) = name.strip_prefix(&tables.prefix) else { continue };
        // Scylla keeps a table's changes in one of this name.
        if let Some(of) = name.strip_suffix("_scylla_cdc_log") {
            logged.push(of.to_owned());
        }
        found.insert(name.to_owned(), Table::read(row));
    }
    for name in logged {
        if let Some(table) = found.get_mut(&name) {
            table.cdc = true;
        }
    }
    Ok(found)
}

impl Table {
    fn read(row: &HashMap<String, CqlValue>) -> Self {
        let text = |name: &str| row.get(name).map(shown).unwrap_or_default();
        let compaction = match row.get("compaction") {
            Some(CqlValue::Map(pairs)) => {
                let class = pairs.iter().find(|(name, _)| shown(name) == "class").map(|(_, class)| shown(class));
                class.unwrap_or_default()
            }
            _ => String::new(),
        };
        Self {
            ttl_s: row.get("default_time_to_live").and_then(CqlValue::as_int).unwrap_or(0),
            cdc: row.get("cdc").and_then(CqlValue::as_boolean).unwrap_or(false),
            read_repair: row.get("read_repair").map(shown),
            compaction: compaction.rsplit('.').next().unwrap_or_default().to_owned(),
            comment: text("comment"),
        }
    }
}

/// What a table of the schema says of a keyspace, by the columns' names: which there are depends on product and version.
async fn schema(session: &Session, table: &str, keyspace: &str) -> Result<Vec<HashMap<String, CqlValue>>, Fault> {
    // The name needs no quotes; sent as it is, since old servers refuse to prepare what they do not have.
    let text = format!("SELECT * FROM system_schema.{table} WHERE keyspace_name = '{keyspace}'");
    let mut statement = Statement::new(text);
    statement.set_consistency(Consistency::LocalOne);
    statement.set_request_timeout(Some(ASK_MAX));
    let rows = session.query_unpaged(statement, &[]).await?.into_rows_result()?;
    let names: Vec<String> = rows.column_specs().iter().map(|column| column.name().to_owned()).collect();
    let rows = rows.rows::<Row>()?;
    rows.map(|row| {
        let named = names.iter().cloned().zip(row?.columns);
        Ok(named.filter_map(|(name, value)| Some((name, value?))).collect())
    })
    .collect()
}

fn shown(value: &CqlValue) -> String {
    value.as_text().cloned().unwrap_or_default()
}

impl Version {
    /// Reads `5.0.8`, `4.1.0-SNAPSHOT`, `2025.4.0~rc1-0.20251201.abc`; what is no number is 0.
    pub(super) fn read(text: &str) -> Self {
        let mut numbers = text.split(['.', '-', '~', '+']).map(|part| part.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { numbers: (next(), next(), next()), text: text.to_owned() }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cassandra => "Cassandra",
            Self::Scylla => "Scylla",
        })
    }
}
