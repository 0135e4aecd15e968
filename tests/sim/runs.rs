//! One run from a seed to its judgement, and thousands of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use test_history::Counts;
use test_simulator::{CALM_AFTER, Cluster, Faults, Setup};
use tokio::time::sleep;

use super::clients::Clients;

const CLIENTS: u64 = 4;
const CALLS: u64 = 25;
/// When all is well again, everything answers within this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// What was wrong in a run, for people.
#[derive(Debug)]
pub struct Broken {
    pub wrong: Vec<String>,
    /// What did not answer though all was well.
    pub silent: Vec<String>,
    /// The fewest answers that show it, where it shows in answers.
    pub shortest: String,
}

/// What came of a run: its judgement, and what happened in it if that was asked for.
pub type Outcome = (Result<Counts, Broken>, Vec<String>);

/// Plays a run.
pub fn play(setup: &Setup) -> Outcome {
    test_simulator::run(async {
        let cluster = Cluster::start(setup.clone()).await;
        let clients = Clients::of(&cluster);
        let faults = Faults::some(&cluster);
        cluster.world.tell(|| format!("{setup:?}, {faults:?}"));
        let all = (0..CLIENTS).map(|client| tokio::spawn(Arc::clone(&clients).run(client, CALLS)));
        tokio::select! {
            biased;
            _ = futures_util::future::join_all(all) => {}
            () = faults.play(&cluster) => {}
        }
        cluster.calm().await;
        everything_answers(&clients).await;
        look_at_all(&clients).await;
        (judge(&clients), cluster.world.told())
    })
}

const OBJECTS: [&str; 8] = ["tally/a", "tally/b", "tally/c", "few/a", "few/b", "few/c", "teller/x", "teller/y"];

/// Every node answers for every object, soon.
async fn everything_answers(clients: &Clients) {
    let end = clients.cluster.world.time() + ANSWERS_WITHIN;
    for node in 0..clients.cluster.nodes() {
        node_answers(clients, node, end).await;
    }
}

/// A node answers for every object until then.
async fn node_answers(clients: &Clients, node: usize, end: Duration) {
    for object in OBJECTS {
        loop {
            let answered = match clients.cluster.process(node) {
                Some(process) => clients.read_at(&process, object).await,
                None => Err("there is no such node".to_owned()),
            };
            let Err(why) = answered else { break };
            if clients.cluster.world.time() >= end {
                let what = format!("all is well for {ANSWERS_WITHIN:?}, and node {node} has no {object}: {why}");
                clients.silent.lock().unwrap().push(what);
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Everything is over, and under way no more: all is read by processes that know nothing.
async fn look_at_all(clients: &Clients) {
    let cluster = &clients.cluster;
    cluster.alive().iter().for_each(|process| process.kill());
    sleep(CALM_AFTER).await;
    for node in [0, 1] {
        cluster.start_node(node, false).await;
        node_answers(clients, node, cluster.world.time() + ANSWERS_WITHIN).await;
        cluster.alive().iter().for_each(|process| process.kill());
    }
}

fn judge(clients: &Clients) -> Result<Counts, Broken> {
    let (mut wrong, silent) = (clients.wrong.lock().unwrap().clone(), clients.silent.lock().unwrap().clone());
    match clients.recorder.check() {
        Ok(counts) if wrong.is_empty() && silent.is_empty() => return Ok(counts),
        Ok(_) => {}
        Err(lines) => wrong.extend(lines),
    }
    let histories = clients.recorder.histories();
    let shortest = histories.iter().filter_map(|(object, history)| Some(format!("{object}:\n{}", history.shortest()?)));
    Err(Broken { wrong, silent, shortest: shortest.collect() })
}

/// A number of the environment.
fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How many runs, and from which seed on; `FAULTS_ROUNDS`, `FAULTS_SEED`, `FAULTS_SECONDS`.
pub struct Seeds {
    first: u64,
    count: u64,
    until: Option<Instant>,
    /// Whether a run that only falls silent goes for one that holds: what is looked for is a wrong answer.
    may_be_silent: bool,
}

impl Seeds {
    /// So many, unless the environment says otherwise.
    pub fn of(count: u64) -> Self {
        #[allow(clippy::disallowed_methods, reason = "how long runs are played is real time")]
        let until = set("FAULTS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let count = set("FAULTS_ROUNDS").unwrap_or(if until.is_some() { u64::MAX } else { count });
        Self { first: set("FAULTS_SEED").unwrap_or(0), count, until, may_be_silent: false }
    }

    /// Exactly so many, from zero on.
    pub fn fixed(count: u64) -> Self {
        Self { first: 0, count, until: None, may_be_silent: false }
    }

    /// The same, until an answer is wrong.
    pub fn until_wrong(count: u64) -> Self {
        Self { may_be_silent: true, ..Self::fixed(count) }
    }

    fn is_over(&self) -> bool {
        #[allow(clippy::disallowed_methods, reason = "how long runs are played is real time")]
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// How many runs held, what there was in them, and the first that did not.
pub struct All {
    pub runs: u64,
    pub counts: Counts,
    pub broken: Option<(u64, Broken)>,
}

/// Plays runs on all processors until one breaks.
pub fn play_all(seeds: &Seeds, setup: impl Fn(u64) -> Setup + Sync) -> All {
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let all = Mutex::new(All { runs: 0, counts: Counts::default(), broken: None });
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(SeqCst) && !seeds.is_over() {
                    let at = next.fetch_add(1, SeqCst);
                    if at >= seeds.count {
                        return;
                    }
                    let seed = seeds.first + at;
                    let played = catch_unwind(AssertUnwindSafe(|| play(&setup(seed)).0));
                    let mut all = all.lock().unwrap();
                    match played {
                        Ok(Ok(counts)) => {
                            all.runs += 1;
                            all.counts.add(counts);
                        }
                        Ok(Err(broken)) if seeds.may_be_silent && broken.wrong.is_empty() => all.runs += 1,
                        broken => {
                            over.store(true, SeqCst);
                            let panicked = || Broken {
                                wrong: vec!["it panicked".into()],
                                silent: Vec::new(),
                                shortest: String::new(),
                            };
                            let broken = broken.map_or_else(|_| panicked(), |broken| broken.expect_err("it broke"));
                            if all.broken.as_ref().is_none_or(|(before, _)| seed < *before) {
                                all.broken = Some((seed, broken));
                            }
                        }
                    }
                }
            });
        }
    });
    all.into_inner().unwrap()
}
