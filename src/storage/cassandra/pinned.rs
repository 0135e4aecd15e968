//! One coordinator for each register, so that those who contend for it queue up on one server instead of outbidding each
//! other's ballots on three.
//!
//! The driver does this for statements that a server marks as lightweight transactions. Scylla marks them, Cassandra does
//! not; this does it for both.

use std::time::Duration;

use scylla::cluster::{ClusterState, NodeRef};
use scylla::errors::RequestAttemptError;
use scylla::policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo};
use scylla::routing::Shard;
use std::sync::Arc;

/// The first replica of the partition that is connected, in the order of the ring; then the others; then whatever `inner`
/// says.
#[derive(Debug)]
pub(super) struct Pinned {
    /// The datacenter whose replicas count, in local scope.
    pub(super) datacenter: Option<String>,
    pub(super) inner: Arc<dyn LoadBalancingPolicy>,
}

impl Pinned {
    fn replicas<'a>(
        &'a self,
        request: &'a RoutingInfo,
        cluster: &'a ClusterState,
    ) -> impl Iterator<Item = (NodeRef<'a>, Option<Shard>)> + Send + Sync + 'a {
        let table = request.table.and_then(|table| Some((table, cluster.get_keyspace(table.ks_name())?)));
        let replicas = request.token.zip(table).map(|(token, (table, keyspace))| {
            let datacenter = self.datacenter.as_deref();
            cluster.replica_locator().replicas_for_token(token, &keyspace.strategy, datacenter, table)
        });
        let ordered = replicas.into_iter().flat_map(|replicas| replicas.into_replicas_ordered());
        ordered.filter(|(node, _)| node.is_connected()).map(|(node, shard)| (node, Some(shard)))
    }
}

impl LoadBalancingPolicy for Pinned {
    fn pick<'a>(&'a self, request: &'a RoutingInfo, cluster: &'a ClusterState) -> Option<(NodeRef<'a>, Option<Shard>)> {
        self.replicas(request, cluster).next().or_else(|| self.inner.pick(request, cluster))
    }

    fn fallback<'a>(&'a self, request: &'a RoutingInfo, cluster: &'a ClusterState) -> FallbackPlan<'a> {
        Box::new(self.replicas(request, cluster).chain(self.inner.fallback(request, cluster)))
    }

    fn on_request_success(&self, request: &RoutingInfo, latency: Duration, node: NodeRef<'_>) {
        self.inner.on_request_success(request, latency, node);
    }

    fn on_request_failure(
        &self,
        request: &RoutingInfo,
        latency: Duration,
        node: NodeRef<'_>,
        error: &RequestAttemptError,
    ) {
        self.inner.on_request_failure(request, latency, node, error);
    }

    fn name(&self) -> String {
        "Pinned".into()
    }
}
