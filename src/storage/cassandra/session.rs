//! The connections: who is asked, how long, and what is never left to the driver's own judgement.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::{DefaultPolicy, LoadBalancingPolicy};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency, Statement};

use super::fault::Fault;
use super::pinned::Pinned;
use super::settings::Settings;
use super::wary::{Wary, watched};
use crate::error::Result;

/// How long a request may take; after that its outcome is unknown.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(2);
/// How long a change of the schema may take.
const SCHEMA_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long one question about the cluster's servers and schema may take.
const METADATA_MAX: Duration = Duration::from_secs(10);
/// A server that is frozen, or cut off without a word, is noticed after these two together.
const KEEPALIVE_INTERVAL: Duration = Duration::from_millis(1500);
const KEEPALIVE_MAX: Duration = Duration::from_secs(2);

/// Within which replicas a quorum is counted. One for all statements: a quorum of one kind need not meet one of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Those of this datacenter.
    Local(String),
    /// All of them.
    Global,
}

impl Scope {
    /// Of plain reads and writes, and of a transaction's commit.
    pub(super) fn quorum(&self) -> Consistency {
        match self {
            Self::Local(_) => Consistency::LocalQuorum,
            Self::Global => Consistency::Quorum,
        }
    }

    /// Of a transaction's ballots.
    pub(super) fn serial(&self) -> SerialConsistency {
        match self {
            Self::Local(_) => SerialConsistency::LocalSerial,
            Self::Global => SerialConsistency::Serial,
        }
    }

    pub(super) fn datacenter(&self) -> Option<&str> {
        match self {
            Self::Local(datacenter) => Some(datacenter),
            Self::Global => None,
        }
    }

    fn policy(&self) -> Arc<dyn LoadBalancingPolicy> {
        let policy = DefaultPolicy::builder().token_aware(true).permit_dc_failover(false);
        match self {
            Self::Local(datacenter) => policy.prefer_datacenter(datacenter.clone()).build(),
            Self::Global => policy.prefer_no_datacenter().build(),
        }
    }

    fn profile(&self) -> ExecutionProfile {
        ExecutionProfile::builder()
            .consistency(self.quorum())
            .serial_consistency(Some(self.serial()))
            .request_timeout(Some(REQUEST_MAX))
            .load_balancing_policy(Arc::new(Wary(self.policy())))
            .retry_policy(Arc::new(FallthroughRetryPolicy))
            .speculative_execution_policy(None)
            .build()
    }
}

/// Connections to the whole cluster. Its scope is global until [`narrow`] says otherwise: which datacenters there are is
/// known when they are connected.
///
/// # Errors
/// `config` when a PEM file cannot be used; the driver's own when nobody answers.
pub(super) async fn connect(settings: &Settings) -> Result<Result<Session, Fault>> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.hosts)
        .default_execution_profile_handle(Scope::Global.profile().into_handle())
        .keyspaces_to_fetch([&settings.tables.keyspace])
        .connection_timeout(CONNECT_MAX)
        .metadata_request_clientside_timeout(METADATA_MAX)
        // Scylla gives up first, and says why.
        .metadata_request_serverside_timeout(METADATA_MAX * 9 / 10)
        .keepalive_interval(KEEPALIVE_INTERVAL)
        .keepalive_timeout(KEEPALIVE_MAX);
    if let Some((user, password)) = &settings.login {
        builder = builder.user(user, password);
    }
    if let Some(files) = &settings.tls {
        // For the server's IP address, by which the driver knows it.
        builder = builder.tls_context(Some(files.client()?));
    }
    Ok(builder.build().await.map_err(Fault::from))
}

/// Has every statement that is prepared, or sent, from here on keep to a scope.
pub(super) fn narrow(session: &Session, scope: &Scope) {
    session.get_default_execution_profile_handle().clone().map_to_another_profile(scope.profile());
}

/// A statement for rows of ours: everything about it is said here and nothing left to a default.
pub(super) async fn prepare(session: &Session, scope: &Scope, text: &str) -> Result<PreparedStatement, Fault> {
    let mut statement = session.prepare(text).await?;
    statement.set_consistency(scope.quorum());
    statement.set_serial_consistency(Some(scope.serial()));
    statement.set_request_timeout(Some(REQUEST_MAX));
    statement.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy)));
    Ok(statement)
}

/// As [`prepare`], for a lightweight transaction.
pub(super) async fn prepare_transaction(
    session: &Session,
    scope: &Scope,
    text: &str,
) -> Result<PreparedStatement, Fault> {
    let mut statement = prepare(session, scope, text).await?;
    let datacenter = scope.datacenter().map(str::to_owned);
    let pinned = Arc::new(Pinned { datacenter, inner: scope.policy() });
    statement.set_load_balancing_policy(Some(Arc::new(Wary(pinned))));
    Ok(statement)
}

/// Sends a prepared statement, once.
pub(super) async fn send(
    session: &Session,
    statement: &PreparedStatement,
    values: impl SerializeRow,
) -> Result<QueryResult, Fault> {
    // The driver's future is large, and would be in that of everything that waits for it.
    Ok(watched(Box::pin(session.execute_unpaged(statement, values))).await?)
}

/// As [`send`], for one that answers rows.
pub(super) async fn rows(
    session: &Session,
    statement: &PreparedStatement,
    values: impl SerializeRow,
) -> Result<QueryRowsResult, Fault> {
    Ok(send(session, statement, values).await?.into_rows_result()?)
}

/// Changes the schema, and waits until every server knows it.
pub(super) async fn change_schema(session: &Session, text: &str) -> Result<(), Fault> {
    let mut statement = Statement::new(text);
    statement.set_request_timeout(Some(SCHEMA_MAX));
    session.query_unpaged(statement, &[]).await?;
    Ok(())
}
