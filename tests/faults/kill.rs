//! `kill -9` at random moments, those of the start among them.

use std::time::Duration;

use super::objectd::Objectd;
use super::run::Run;

/// Rounds between two looks at everything.
const LOOK: u32 = 5;

#[test]
fn killed_at_random_moments_it_loses_and_doubles_nothing() {
    let Some(mut run) = Run::begin("kill") else { return };
    let mut server = run.start("one");
    run.load.ask_of(&[server.address]);
    while run.goes_on(5) {
        run.answers(1, Duration::from_secs(30), "nothing is answered after a kill");
        run.sleep(50, 900);
        assert!(server.is_running(), "it ended by itself: {}", server.said());
        server.kill().unwrap();
        run.fault("kill -9");
        if run.load.below(6) == 0 {
            // To begin must survive its own death too.
            let mut stillborn = Objectd::start(run.dir.path(), "one");
            run.sleep(0, 600);
            stillborn.kill().unwrap();
        }
        server = run.start("one");
        run.load.ask_of(&[server.address]);
        if run.round() % LOOK == 0 {
            run.look();
        }
    }
    run.end();
}
