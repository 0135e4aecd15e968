//! What is counted. Every counter of the hot path is found when the service is built; a request only adds to it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::error::{Error, Kind, Result};
use crate::objects::{CacheCounts, ClusterCounts, Forwards, TypeDef};

/// Upper bounds in seconds: from a view in memory to a call that waits for its deadline.
const BUCKETS: [f64; 16] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    r#type: &'static str,
    operation: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OperationLabels {
    r#type: &'static str,
    operation: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ReadLabels {
    tier: &'static str,
    pool: String,
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct WriteLabels {
    pool: String,
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ServerLabels {
    pool: String,
    state: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ForwardLabels {
    result: &'static str,
}

type Durations = Family<OperationLabels, Histogram, fn() -> Histogram>;

/// The metrics of one service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Durations,
    problems: Vec<Counter>,
    caches: Caches,
    cluster: Cluster,
    in_work: Gauge<i64, AtomicI64>,
    connections: Gauge<i64, AtomicI64>,
    /// Requests that name no object: operations, and paths and types there are none of.
    pub(crate) other: Slot,
    /// What other nodes ask.
    pub(crate) inner: Slot,
}

/// What the caches have counted, as it was told last.
#[derive(Default, Debug)]
struct Caches {
    reads: Family<ReadLabels, Counter>,
    writes: Family<WriteLabels, Counter>,
    servers: Family<ServerLabels, Gauge>,
}

/// The cluster as this node saw it last; nothing in it where one process owns the store.
#[derive(Default, Debug)]
struct Cluster {
    nodes: Gauge,
    shards: Gauge,
    taken: Counter,
    given_back: Counter,
    fenced: Counter,
    forwards: Family<ForwardLabels, Counter>,
    relays: Family<ForwardLabels, Counter>,
}

impl Cluster {
    fn set(&self, counts: ClusterCounts, forwards: &Forwards) {
        self.nodes.set(counts.nodes as i64);
        self.shards.set(counts.shards as i64);
        for (counter, count) in
            [(&self.taken, counts.taken), (&self.given_back, counts.given_back), (&self.fenced, counts.fenced)]
        {
            counter.inner().store(count, Relaxed);
        }
        for (family, counts) in [(&self.forwards, &forwards.direct), (&self.relays, &forwards.relayed)] {
            for (result, count) in [
                ("answered", &counts.answered),
                ("elsewhere", &counts.elsewhere),
                ("unsent", &counts.unsent),
                ("lost", &counts.lost),
            ] {
                family.get_or_create(&ForwardLabels { result }).inner().store(count.load(Relaxed), Relaxed);
            }
        }
    }
}

/// One kind of request of one type.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// 2xx, 3xx, 4xx, 5xx.
    by_status: [Counter; 4],
    duration: Histogram,
}

/// The slots of a type, by what is asked.
#[derive(Debug)]
pub(crate) struct TypeSlots {
    pub(crate) get: Slot,
    pub(crate) put: Slot,
    pub(crate) patch: Slot,
    pub(crate) delete: Slot,
    pub(crate) list: Slot,
    pub(crate) create: Slot,
    /// In the order of the type's methods.
    pub(crate) methods: Vec<Slot>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("remote_object");
        let requests = Family::<RequestLabels, Counter>::default();
        let durations = Durations::new_with_constructor(|| Histogram::new(BUCKETS));
        let codes = Family::<CodeLabels, Counter>::default();
        let (in_work, connections) = (Gauge::default(), Gauge::default());
        registry.register("requests", "Requests answered", requests.clone());
        let help = "Time from a request's head to its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        registry.register("problems", "Problems answered, by code; those of methods are method-error", codes.clone());
        registry.register("requests_in_work", "Requests on objects in work", in_work.clone());
        registry.register("connections", "Connections open", connections.clone());
        let caches = Caches::default();
        registry.register("cache_reads", "Objects asked of a cache", caches.reads.clone());
        registry.register("cache_writes", "Objects to be put into a shared cache", caches.writes.clone());
        registry.register("cache_servers", "Servers of a shared cache", caches.servers.clone());
        let cluster = Cluster::default();
        registry.register("nodes", "Nodes that are up", cluster.nodes.clone());
        registry.register("shards", "Shards that this node has", cluster.shards.clone());
        registry.register("shards_taken", "Shards taken", cluster.taken.clone());
        registry.register("shards_given_back", "Shards given back", cluster.given_back.clone());
        registry.register("fencings", "Times declared dead by others", cluster.fenced.clone());
        registry.register("forwards", "Questions to other nodes", cluster.forwards.clone());
        let help = "Questions that a third node was asked to hand on";
        registry.register("relays", help, cluster.relays.clone());
        let problems = Kind::ALL.iter().map(|kind| codes.get_or_create_owned(&CodeLabels { code: kind.code() }));
        let problems = problems.collect();
        let other = slot(&requests, &durations, "", "other", "");
        let inner = slot(&requests, &durations, "", "inner", "");
        Self { registry, requests, durations, problems, caches, cluster, in_work, connections, other, inner }
    }

    /// The slots of a type.
    pub(crate) fn of_type(&self, def: &TypeDef) -> TypeSlots {
        let slot = |operation, method| slot(&self.requests, &self.durations, def.name, operation, method);
        TypeSlots {
            get: slot("get", ""),
            put: slot("put", ""),
            patch: slot("patch", ""),
            delete: slot("delete", ""),
            list: slot("list", ""),
            create: slot("create", ""),
            methods: def.methods.iter().map(|m| slot(if m.is_view() { "view" } else { "edit" }, m.name)).collect(),
        }
    }

    /// Counts a request in work until the guard is dropped.
    ///
    /// # Errors
    /// `overloaded` when `limit` are in work.
    pub(crate) fn begin(&self, limit: usize) -> Result<InWork<'_>> {
        let before = self.in_work.inc();
        let guard = InWork(&self.in_work);
        match usize::try_from(before) {
            Ok(before) if before >= limit => {
                Err(Error::new(Kind::Overloaded, format!("this node has {limit} calls in work, as many as it takes")))
            }
            _ => Ok(guard),
        }
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn connect(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// Counts a problem.
    pub(crate) fn problem(&self, kind: Kind) {
        if let Some(counter) = self.problems.get(kind as usize) {
            counter.inc();
        }
    }

    /// All of it as text: OpenMetrics, or the older form that every Prometheus reads. The caches and
    /// the cluster count for themselves.
    pub(crate) fn text(
        &self,
        caches: &CacheCounts,
        cluster: Option<(ClusterCounts, &Forwards)>,
        open_metrics: bool,
    ) -> String {
        self.caches.set(caches);
        let none = Forwards::default();
        let (counts, forwards) = cluster.unwrap_or((ClusterCounts::default(), &none));
        self.cluster.set(counts, forwards);
        let mut text = String::with_capacity(16 << 10);
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        if open_metrics { text } else { older_form(&text) }
    }
}

impl Caches {
    fn set(&self, counts: &CacheCounts) {
        let read = |tier, pool: &str, result, count: u64| {
            let labels = ReadLabels { tier, pool: pool.to_owned(), result };
            self.reads.get_or_create(&labels).inner().store(count, Relaxed);
        };
        read("l1", "", "hit", counts.l1_hits);
        read("l1", "", "miss", counts.l1_misses);
        for of in &counts.pools {
            for (result, count) in [("hit", of.hits), ("miss", of.misses), ("stale", of.stale), ("wrong", of.wrong)] {
                read("l2", &of.pool, result, count);
            }
            for (result, count) in [
                ("stored", of.stored),
                ("failed", of.failed),
                ("superseded", of.superseded),
                ("dropped", of.dropped),
                ("too-large", of.too_large),
                ("rehomed", of.rehomed),
            ] {
                let labels = WriteLabels { pool: of.pool.clone(), result };
                self.writes.get_or_create(&labels).inner().store(count, Relaxed);
            }
            for (state, count) in [("up", of.servers_up), ("open", of.servers_open)] {
                let labels = ServerLabels { pool: of.pool.clone(), state };
                self.servers.get_or_create(&labels).set(count as i64);
            }
        }
    }
}

fn slot(
    requests: &Family<RequestLabels, Counter>,
    durations: &Durations,
    r#type: &'static str,
    operation: &'static str,
    method: &'static str,
) -> Slot {
    let count = |status| requests.get_or_create_owned(&RequestLabels { r#type, operation, method, status });
    let by_status = [count("2xx"), count("3xx"), count("4xx"), count("5xx")];
    Slot { by_status, duration: durations.get_or_create_owned(&OperationLabels { r#type, operation }) }
}

/// In the older form the name of a counter has its `_total` in the comments too, and there are no units and no end mark.
fn older_form(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let help_of_counter = line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next));
        match line.split(' ').nth(2) {
            Some(name) if is_counter(line) || help_of_counter => {
                text.push_str(&line.replacen(name, &format!("{name}_total"), 1));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

impl Slot {
    pub(crate) fn observe(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(3);
        self.by_status[class].inc();
        self.duration.observe(took.as_secs_f64());
    }
}

/// A request in work.
pub(crate) struct InWork<'a>(&'a Gauge<i64, AtomicI64>);

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A connection.
pub(crate) struct Connected(Gauge<i64, AtomicI64>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PoolCounts;

    #[test]
    fn what_was_counted_stands_in_the_text() {
        let metrics = Metrics::new();
        metrics.other.observe(StatusCode::NOT_FOUND, Duration::from_micros(70));
        metrics.problem(Kind::RouteNotFound);
        let _connected = metrics.connect();
        let pool = PoolCounts { pool: "default".into(), stale: 3, servers_open: 1, ..PoolCounts::default() };
        let caches = CacheCounts { l1_hits: 7, l1_misses: 2, pools: vec![pool] };
        let (cluster, forwards) =
            (ClusterCounts { nodes: 3, shards: 341, taken: 400, given_back: 59, fenced: 1 }, Forwards::default());
        forwards.direct.lost.store(2, Relaxed);
        forwards.relayed.answered.store(5, Relaxed);
        let text = metrics.text(&caches, Some((cluster, &forwards)), false);
        for line in [
            "# TYPE remote_object_requests_total counter",
            "remote_object_requests_total{type=\"\",operation=\"other\",method=\"\",status=\"4xx\"} 1",
            "# TYPE remote_object_request_duration_seconds histogram",
            "remote_object_problems_total{code=\"route-not-found\"} 1",
            "remote_object_problems_total{code=\"overloaded\"} 0",
            "remote_object_connections 1",
            "remote_object_cache_reads_total{tier=\"l1\",pool=\"\",result=\"hit\"} 7",
            "remote_object_cache_reads_total{tier=\"l2\",pool=\"default\",result=\"stale\"} 3",
            "remote_object_cache_servers{pool=\"default\",state=\"open\"} 1",
            "remote_object_nodes 3",
            "remote_object_shards 341",
            "remote_object_shards_taken_total 400",
            "remote_object_shards_given_back_total 59",
            "remote_object_fencings_total 1",
            "remote_object_forwards_total{result=\"lost\"} 2",
            "remote_object_relays_total{result=\"answered\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        assert!(!text.contains("# EOF") && metrics.text(&caches, None, true).ends_with("# EOF\n"));
    }

    #[test]
    fn more_than_the_limit_is_refused_and_counts_no_further() {
        let metrics = Metrics::new();
        let first = metrics.begin(1);
        assert!(first.is_ok());
        assert!(metrics.begin(1).is_err_and(|error| error.kind() == Kind::Overloaded));
        drop(first);
        assert!(metrics.begin(1).is_ok());
    }
}
