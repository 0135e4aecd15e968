//! One run from a seed to its judgement, and many of them.

use std::sync::Arc;
use std::time::Duration;

use test_history::Counts;
use test_simulator::{CALM_AFTER, Cluster, Faults, Seeds};
use tokio::time::sleep;

use super::clients::Clients;
use super::mixtures::Mixture;

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
pub fn play(mixture: &Mixture) -> Outcome {
    test_simulator::run(async {
        let Mixture { setup, faults, habits } = mixture;
        let cluster = Cluster::start(setup.clone()).await;
        let clients = Clients::of(&cluster, *habits);
        let faults = faults.clone().unwrap_or_else(|| Faults::some(&cluster));
        cluster.world.tell(|| format!("{setup:?}, {faults:?}"));
        let all = (0..habits.clients).map(|client| tokio::spawn(Arc::clone(&clients).run(client)));
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
        if let Some(process) = cluster.process(node) {
            for id in ["a", "b", "c"] {
                clients.none_ran_twice(&process, id).await;
            }
        }
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

/// How many runs held, what there was in them, and the first that did not.
pub struct All {
    pub runs: u64,
    pub counts: Counts,
    pub broken: Option<(u64, Broken)>,
}

/// Plays runs until one breaks.
pub fn play_all(seeds: Seeds, mixture: impl Fn(u64) -> Mixture + Sync) -> All {
    all(seeds, |seed| play(&mixture(seed)).0)
}

/// Plays runs until an answer is wrong: one that only falls silent goes for one that holds.
pub fn play_until_wrong(seeds: Seeds, mixture: impl Fn(u64) -> Mixture + Sync) -> All {
    all(seeds, |seed| match play(&mixture(seed)).0 {
        Err(broken) if broken.wrong.is_empty() => Ok(Counts::default()),
        judged => judged,
    })
}

fn all(seeds: Seeds, run: impl Fn(u64) -> Result<Counts, Broken> + Sync) -> All {
    let (mut runs, mut counts) = (0, Counts::default());
    let failed = seeds.play(run, |of_run| {
        runs += 1;
        counts.add(of_run);
    });
    let panicked = || Broken { wrong: vec!["it panicked".into()], silent: Vec::new(), shortest: String::new() };
    let broken = failed.err().map(|failed| (failed.seed, failed.why.unwrap_or_else(panicked)));
    All { runs, counts, broken }
}
