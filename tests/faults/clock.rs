//! A wall clock that is off by years, and jumps: under load, and between two lives.

use std::time::Duration;

use super::book::skipped;
use super::run::Run;
use super::wall::{Clock, YEAR_S, off_by};

/// What a date that was written a moment ago may be behind.
const LATE_S: i64 = 15;

#[test]
fn a_wall_clock_that_is_off_by_years_changes_nothing() {
    let Some(mut run) = Run::begin("clock") else { return };
    let clock = match Clock::build(run.dir.path(), "one") {
        Ok(clock) => clock,
        Err(why) => {
            skipped::<()>("clock", &why);
            return;
        }
    };
    while run.goes_on(2) {
        // Not before 1970, where no machine's clock can be set to.
        let some_years = |run: &Run| (run.load.below(100) as i64 - 50) * YEAR_S;
        let mut set = some_years(&run);
        clock.set(set);
        let server = run.start_with("one", clock.environment());
        run.load.ask_of(&[server.address]);
        let mut latest = set;
        for _ in 0..3 {
            run.answers(30, Duration::from_secs(60), "nothing is answered after a jump of the clock");
            // The date of answers is written anew once a second, and not when the clock went back.
            run.sleep(1_200, 1_500);
            let off = off_by(&server);
            assert!((off - latest).abs() < LATE_S, "the clock was set off by {latest} s, and it is by {off} s");
            set = some_years(&run);
            clock.set(set);
            run.fault("a wall clock that jumps by years");
            latest = latest.max(set);
        }
        drop(server);
        let server = run.start_with("one", clock.environment());
        run.load.ask_of(&[server.address]);
        run.look();
        drop(server);
    }
    let server = run.start_with("one", clock.environment());
    run.load.ask_of(&[server.address]);
    run.end();
}
