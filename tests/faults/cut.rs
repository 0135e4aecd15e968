//! The store cut off and back: without a word or with one, from all of its nodes or from one; with a server that waits
//! for it, or one that dies meanwhile, whose last writes arrive when the next one runs already.

use std::time::Duration;

use super::proxy::Wire;
use super::run::Run;

/// Answers that were confirmed before the cut have left after so long.
const CONFIRMED_IS_OUT: (u64, u64) = (3_000, 3_001);
const CUT: (u64, u64) = (2_000, 5_000);
/// The driver connects again after a pause that grows.
const BACK: Duration = Duration::from_secs(90);

#[test]
fn cut_off_from_the_store_it_answers_nothing_and_back_with_it_it_goes_on() {
    let Some(mut run) = Run::begin("cut") else { return };
    let mut server = run.start("one");
    run.load.ask_of(&[server.address]);
    while run.goes_on(2) {
        run.answers(50, BACK, "nothing is answered before the cut");
        let wire = if run.round() % 2 == 1 { Wire::Silent } else { Wire::Cut };
        run.proxies.set_all(wire);
        run.fault("a store cut off");
        run.sleep(CONFIRMED_IS_OUT.0, CONFIRMED_IS_OUT.1);
        let before = run.load.answered();
        run.sleep(CUT.0, CUT.1);
        let more = run.load.answered() - before;
        if more > 0 {
            run.fail(vec![format!("{more} answers left while nothing could be confirmed ({wire:?})")]);
        }
        let dies = run.round() % 4 == 1;
        if dies {
            server.kill().unwrap();
            run.fault("kill -9 while the store is cut off");
        }
        run.proxies.set_all(Wire::Whole);
        if dies {
            server = run.start("one");
            run.load.ask_of(&[server.address]);
        }
        run.answers(50, BACK, "nothing is answered after the cut");
        // One node of three is not missed for long.
        let node = run.load.below(3) as usize;
        run.proxies.set(node, wire);
        run.fault("one node of Cassandra cut off");
        run.answers(20, BACK, "nothing is answered without one node");
        run.proxies.set(node, Wire::Whole);
        run.look();
    }
    assert!(server.is_running(), "it ended by itself: {}", server.said());
    run.end();
}
