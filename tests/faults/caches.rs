//! The caches killed, flushed, frozen, and filled with what they had before; under a server that runs, and before the start
//! of one that knows no versions yet.

use std::time::Duration;

use super::raw::Raw;
use super::run::Run;
use super::torment::{everything, hits_and_stale, torment};

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
        let mut old = everything(&run.caches);
        run.answers(300, Duration::from_secs(90), "nothing is answered by the caches");
        for _ in 0..12 {
            torment(&run.book, &mut run.caches, &mut old);
        }
        let all = everything(&run.caches);
        run.answers(200, Duration::from_secs(90), "nothing is answered with caches that are gone and come back");
        let (more_hits, more_stale) = hits_and_stale(&server);
        (hits, stale) = (hits + more_hits, stale + more_stale);
        server.kill().unwrap();
        // The next life begins with caches full of what was true some time ago.
        run.caches.iter().for_each(|cache| Raw::to(cache.address).fill(&all));
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
