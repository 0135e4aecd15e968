//! What it costs to ask the wrong node: the same requests sent to the node that has the object, and to the other one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Plan;
use super::nodes::Cluster;
use crate::counters::{CONNECTIONS, KEYS, add, adds};
use crate::generator::{self, Target};
use crate::report::Cell;
use crate::wire::{Client, get};

const NODES: usize = 2;

/// What is asked, and of whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Case {
    /// An add, of the node that has the object.
    LocalEdit,
    /// An add, of the other node.
    ForwardedEdit,
    /// A GET, of the node that has the object.
    LocalGet,
    /// A GET, of the other node.
    ForwardedGet,
}

impl Case {
    /// In the order of the table.
    pub(super) const ALL: [Self; 4] = [Self::LocalEdit, Self::ForwardedEdit, Self::LocalGet, Self::ForwardedGet];

    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LocalEdit => "edit, asked of the node that has the object",
            Self::ForwardedEdit => "edit, asked of the other node",
            Self::LocalGet => "GET, asked of the node that has the object",
            Self::ForwardedGet => "GET, asked of the other node",
        }
    }

    fn is_edit(self) -> bool {
        matches!(self, Self::LocalEdit | Self::ForwardedEdit)
    }

    fn is_forwarded(self) -> bool {
        matches!(self, Self::ForwardedEdit | Self::ForwardedGet)
    }
}

/// One cell a round.
pub(super) type Cells = BTreeMap<Case, Vec<Cell>>;

/// The requests for the objects of one node.
#[derive(Debug, Default)]
struct Requests {
    edits: Vec<Box<[u8]>>,
    gets: Vec<Box<[u8]>>,
}

/// Measures, in rounds; the first is thrown away.
pub(super) fn measure(plan: &Plan, redis: SocketAddr) -> Result<Cells> {
    println!("starting {NODES} nodes with {KEYS} objects");
    let mut cluster = Cluster::new(plan, redis, "forward", NODES)?;
    cluster.start_all()?;
    cluster.each_once(&[0, 1], &adds(KEYS))?;
    let requests = by_owner(&cluster)?;
    let counts: Vec<usize> = requests.iter().map(|requests| requests.gets.len()).collect();
    println!("of the objects the nodes have {counts:?}");
    let mut cells = Cells::new();
    for round in 0..=plan.rounds {
        // Whoever comes first finds another machine than whoever comes last.
        let mut cases = Case::ALL;
        if round % 2 == 1 {
            cases.reverse();
        }
        for case in cases {
            thread::sleep(Duration::from_millis(100));
            let cell = run(plan, &cluster, &requests, case).with_context(|| case.name())?;
            println!("  {:<44} {cell}", case.name());
            if round > 0 {
                cells.entry(case).or_default().push(cell);
            }
        }
        println!("round {round} of {}{}", plan.rounds, if round == 0 { " (warm-up)" } else { "" });
    }
    Ok(cells)
}

/// Asks for each object once, and sorts them by the owner that the answer names.
fn by_owner(cluster: &Cluster) -> Result<Vec<Requests>> {
    let mut requests: Vec<Requests> = (0..NODES).map(|_| Requests::default()).collect();
    let mut client = Client::connect(cluster.address(0))?;
    for key in (0..KEYS).map(|key| format!("key-{key}")) {
        let request = get(&format!("/objects/counter/{key}"));
        let answer = client.ask(&request)?;
        let owner = answer.owner.as_deref().and_then(|owner| cluster.named(owner));
        let owner = owner.with_context(|| format!("the answer names no node as the owner: {answer:?}"))?;
        requests[owner].edits.push(add(&key));
        requests[owner].gets.push(request);
    }
    Ok(requests)
}

fn run(plan: &Plan, cluster: &Cluster, requests: &[Requests], case: Case) -> Result<Cell> {
    let targets: Vec<Target<'_>> = requests
        .iter()
        .enumerate()
        .map(|(owner, requests)| Target {
            address: cluster.address(if case.is_forwarded() { (owner + 1) % NODES } else { owner }),
            requests: if case.is_edit() { &requests.edits } else { &requests.gets },
        })
        .collect();
    let before = forwards(cluster)?;
    let sample = generator::run_on(&targets, CONNECTIONS, generator::Plan::Random(plan.time))
        .with_context(|| cluster.printed())?;
    let forwarded = forwards(cluster)? - before;
    // What the case says is what was measured.
    let expected = if case.is_forwarded() { sample.count() as f64 } else { 0.0 };
    if (forwarded < expected) || (expected == 0.0 && forwarded > 0.0) {
        bail!("{forwarded} of {} requests were sent on", sample.count());
    }
    Ok(sample.cell())
}

/// How many questions the nodes have sent on to each other and had answered.
fn forwards(cluster: &Cluster) -> Result<f64> {
    let name = r#"remote_object_forwards_total{result="answered"}"#;
    (0..NODES).map(|at| cluster.metric(at, name)).sum()
}
