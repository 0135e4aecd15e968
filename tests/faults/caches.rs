//! The caches killed, flushed, frozen, and filled with what they had before; under a server that runs, and before the start
//! of one that knows no versions yet.

use std::time::Duration;

use super::http::Client;
use super::objectd::Objectd;
use super::raw::Raw;
use super::run::Run;

type Items = Vec<(String, Vec<u8>)>;

/// What befalls one cache.
fn torment(run: &mut Run, old: &mut Items) {
    let at = run.load.below(run.caches.len() as u64) as usize;
    match run.load.below(8) {
        0 => run.caches[at].restart(),
        1 => Raw::to(run.caches[at].address).flush(),
        2 => {
            run.caches[at].freeze();
            run.sleep(50, 1_500);
            run.caches[at].thaw();
        }
        3 => *old = Raw::to(run.caches[at].address).dump(),
        4 => {
            // Each object is answered with what is another one's.
            let (keys, mut values): (Vec<_>, Vec<_>) = old.iter().cloned().unzip();
            values.rotate_right(1.min(old.len()));
            let mixed: Items = keys.into_iter().zip(values).collect();
            Raw::to(run.caches[at].address).fill(&mixed);
        }
        _ => Raw::to(run.caches[at].address).fill(old),
    }
    run.sleep(10, 250);
}

/// How many objects a server has had from the caches, and how many entries it found to be old.
fn hits_and_stale(server: &Objectd) -> (u64, u64) {
    let text = Client::new(Duration::from_secs(10)).get(server.address, "/metrics").unwrap().body;
    let count = |result: &str| {
        let name = |line: &&str| {
            line.starts_with("remote_object_cache_reads_total{")
                && line.contains("tier=\"l2\"")
                && line.contains(&format!("result=\"{result}\""))
        };
        let lines = text.lines().filter(name);
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    (count("hit"), count("stale"))
}

#[test]
fn caches_that_are_gone_or_lie_cost_time_and_no_answer() {
    let Some(mut run) = Run::begin("caches") else { return };
    if run.caches.is_empty() {
        return;
    }
    let mut server = run.start("one");
    run.load.ask_of(&[server.address]);
    let (mut hits, mut stale) = (0, 0);
    while run.goes_on(2) {
        run.answers(300, Duration::from_secs(90), "nothing is answered before the caches are touched");
        let mut old: Items = run.caches.iter().flat_map(|cache| Raw::to(cache.address).dump()).collect();
        run.answers(300, Duration::from_secs(90), "nothing is answered by the caches");
        for _ in 0..12 {
            torment(&mut run, &mut old);
        }
        let everything: Items = run.caches.iter().flat_map(|cache| Raw::to(cache.address).dump()).collect();
        run.answers(200, Duration::from_secs(90), "nothing is answered with caches that are gone and come back");
        let (more_hits, more_stale) = hits_and_stale(&server);
        (hits, stale) = (hits + more_hits, stale + more_stale);
        server.kill().unwrap();
        // The next life begins with caches full of what was true some time ago.
        run.caches.iter().for_each(|cache| Raw::to(cache.address).fill(&everything));
        server = run.start("one");
        run.load.ask_of(&[server.address]);
        run.look();
    }
    let (more_hits, more_stale) = hits_and_stale(&server);
    (hits, stale) = (hits + more_hits, stale + more_stale);
    run.end();
    println!("caches: {hits} objects came from the caches, {stale} entries were old");
    assert!(hits > 0 && stale > 0, "the caches were not asked, or never lied: {hits} hits, {stale} stale");
}
