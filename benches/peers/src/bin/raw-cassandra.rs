//! What Cassandra does when it is asked directly: the driver, prepared statements, records as large as objectd's for a
//! counter, in tables of a keyspace of its own. Asked on stdin; see the library. It also tells how often the servers have
//! read a table (`reads KEYSPACE/TABLE`), and drops the keyspaces of the benchmark before and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_peers::{IN_FLIGHT, KEYS, Measured, Worker, asked, measure, seconds};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::Node;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency, Statement};
use scylla::value::Row;

/// A counter's type, state, and as many bytes as its meta has.
const TYPE: &str = "counter";
const STATE: &str = r#"{"value":12}"#;
const META: [u8; 65] = [7; 65];
const REQUEST_MAX: Duration = Duration::from_secs(10);
const SCHEMA_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    WriteMany,
    WriteOne,
    LwtMany,
    LwtOneWriter,
    ReadMany,
}

impl Case {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "write-many" => Self::WriteMany,
            "write-one" => Self::WriteOne,
            "lwt-many" => Self::LwtMany,
            "lwt-one-writer" => Self::LwtOneWriter,
            "read-many" => Self::ReadMany,
            _ => bail!("there is no case {name:?}"),
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: raw-cassandra HOST:PORT,… KEYSPACE,… (the first is this program's own; all are dropped)";
    let (hosts, keyspaces) = (args.next().context(usage)?, args.next().context(usage)?);
    let keyspaces: Vec<&str> = keyspaces.split(',').collect();
    let session = connect(&hosts).await?;
    drop_all(&session, &keyspaces).await?;
    let raw = Arc::new(Raw::prepare(session, keyspaces[0]).await?);
    raw.fill().await?;
    println!("ready {}", raw.server().await?);
    while let Some((what, of)) = asked()? {
        match &*what {
            "reads" => println!("{}", raw.reads(&of).await?),
            case => println!("{}", run(&raw, Case::named(case)?, seconds(&of)?).await?),
        }
    }
    drop_all(&raw.session, &keyspaces).await
}

async fn run(raw: &Arc<Raw>, case: Case, time: Duration) -> Result<Measured> {
    let count = if case == Case::LwtOneWriter { 1 } else { IN_FLIGHT };
    let workers = (0..count).map(|number| One { raw: Arc::clone(raw), case, number }).collect();
    measure(workers, time).await.with_context(|| format!("{case:?}"))
}

async fn connect(hosts: &str) -> Result<Session> {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::Quorum)
        .serial_consistency(Some(SerialConsistency::Serial))
        .request_timeout(Some(REQUEST_MAX))
        .retry_policy(Arc::new(FallthroughRetryPolicy))
        .build();
    let builder = SessionBuilder::new().known_nodes(hosts.split(','));
    let builder = builder.default_execution_profile_handle(profile.into_handle());
    builder.build().await.with_context(|| format!("no Cassandra at {hosts}"))
}

async fn drop_all(session: &Session, keyspaces: &[&str]) -> Result<()> {
    for keyspace in keyspaces {
        change_schema(session, format!("DROP KEYSPACE IF EXISTS {keyspace}")).await?;
    }
    Ok(())
}

async fn change_schema(session: &Session, text: String) -> Result<()> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(SCHEMA_MAX));
    session.query_unpaged(statement, ()).await?;
    Ok(())
}

/// The session, its statements, and what is known of the rows.
struct Raw {
    session: Session,
    write: PreparedStatement,
    read: PreparedStatement,
    lwt_create: PreparedStatement,
    lwt_change: PreparedStatement,
    /// The versions of the rows that transactions change; zero where there is none yet. The last is for one writer.
    lwt_versions: Vec<AtomicI64>,
    version: AtomicI64,
}

impl Raw {
    async fn prepare(session: Session, keyspace: &str) -> Result<Self> {
        let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}";
        change_schema(&session, format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}")).await?;
        for table in ["plain", "lwt"] {
            let columns = "type text, id text, version bigint, state text, meta blob, PRIMARY KEY ((type, id))";
            let options = "compaction = {'class': 'LeveledCompactionStrategy'}";
            change_schema(&session, format!("CREATE TABLE {keyspace}.{table} ({columns}) WITH {options}")).await?;
        }
        let insert = "(type, id, version, state, meta) VALUES (?, ?, ?, ?, ?)";
        let write = format!("INSERT INTO {keyspace}.plain {insert} USING TIMESTAMP ?");
        let read = format!("SELECT version, state, meta FROM {keyspace}.plain WHERE type = ? AND id = ?");
        let create = format!("INSERT INTO {keyspace}.lwt {insert} IF NOT EXISTS");
        let change = "SET version = ?, state = ?, meta = ? WHERE type = ? AND id = ? IF version = ?";
        let change = format!("UPDATE {keyspace}.lwt {change}");
        Ok(Self {
            write: session.prepare(write).await?,
            read: session.prepare(read).await?,
            lwt_create: session.prepare(create).await?,
            lwt_change: session.prepare(change).await?,
            lwt_versions: (0..=KEYS).map(|_| AtomicI64::new(0)).collect(),
            version: AtomicI64::new(1 << 32),
            session,
        })
    }

    /// Every row once, so that reads find something.
    async fn fill(&self) -> Result<()> {
        let writes = stream::iter(0..KEYS).map(|key| self.write(format!("key-{key}")));
        writes.buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// For people: which server, and when its writes reach the disk.
    async fn server(&self) -> Result<String> {
        let rows = self.session.query_unpaged("SELECT release_version FROM system.local", ()).await?;
        let (version,) = rows.into_rows_result()?.first_row::<(String,)>()?;
        let setting = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'";
        let rows = self.session.query_unpaged(setting, ()).await?.into_rows_result()?;
        let sync = rows.maybe_first_row::<(Option<String>,)>()?.and_then(|(sync,)| sync).unwrap_or_default();
        Ok(format!("Cassandra {version}, commitlog_sync {sync}"))
    }

    /// How often the servers have read rows of a table, by their own count.
    async fn reads(&self, table: &str) -> Result<i64> {
        let (keyspace, table) = table.split_once('/').context("a table would be KEYSPACE/TABLE")?;
        let nodes: Vec<Arc<Node>> = self.session.get_cluster_state().get_nodes_info().to_vec();
        let mut sum = 0;
        for node in nodes {
            let count = "SELECT count FROM system_views.local_read_latency WHERE keyspace_name = ? AND table_name = ?";
            let mut count = Statement::new(count);
            count.set_consistency(Consistency::One);
            let here = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(node), None);
            count.set_load_balancing_policy(Some(here));
            let rows = self.session.query_unpaged(count, (keyspace, table)).await?.into_rows_result()?;
            sum += rows.single_row::<(i64,)>().with_context(|| format!("no counts of {keyspace}.{table}"))?.0;
        }
        Ok(sum)
    }

    async fn write(&self, id: String) -> Result<()> {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let values = (TYPE, id, version, STATE, &META[..], version);
        self.session.execute_unpaged(&self.write, values).await?;
        Ok(())
    }

    async fn read(&self, id: String) -> Result<()> {
        let rows = self.session.execute_unpaged(&self.read, (TYPE, id)).await?.into_rows_result()?;
        rows.single_row::<(i64, &str, &[u8])>()?;
        Ok(())
    }

    /// A transaction on a row that nobody else changes now.
    async fn change(&self, row: usize) -> Result<()> {
        let known = &self.lwt_versions[row];
        let (id, old) = (format!("key-{row}"), known.load(Ordering::Relaxed));
        let new = old + 1;
        let sent = match old {
            0 => self.session.execute_unpaged(&self.lwt_create, (TYPE, id, new, STATE, &META[..])).await,
            _ => self.session.execute_unpaged(&self.lwt_change, (new, STATE, &META[..], TYPE, id, old)).await,
        };
        if !applied(&sent?.into_rows_result()?)? {
            bail!("a row that only this program changes was changed");
        }
        known.store(new, Ordering::Relaxed);
        Ok(())
    }
}

/// By the column's name: which others a transaction answers depends on what came of it.
fn applied(rows: &QueryRowsResult) -> Result<bool> {
    let (at, _) = rows.column_specs().get_by_name("[applied]").context("a transaction's answer has no [applied]")?;
    let row: Row = rows.single_row()?;
    row.columns[at].as_ref().and_then(|value| value.as_boolean()).context("[applied] is no boolean")
}

/// One operation in flight.
struct One {
    raw: Arc<Raw>,
    case: Case,
    number: usize,
}

impl Worker for One {
    async fn once(&mut self) -> Result<()> {
        let any = || format!("key-{}", fastrand::usize(..KEYS));
        match self.case {
            Case::WriteMany => self.raw.write(any()).await,
            Case::WriteOne => self.raw.write("hot".to_owned()).await,
            Case::ReadMany => self.raw.read(any()).await,
            // Rows of its own, so that no two meet.
            Case::LwtMany => self.raw.change(fastrand::usize(..KEYS / IN_FLIGHT) * IN_FLIGHT + self.number).await,
            Case::LwtOneWriter => self.raw.change(KEYS).await,
        }
    }
}
