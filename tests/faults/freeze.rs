//! SIGSTOP beyond every timeout, while another node takes over and writes; then SIGCONT, with clients who still wait.

use std::thread;
use std::time::{Duration, Instant};

use super::run::Run;

/// Longer than a request to the store, a watch over a silent node and a try at a register take; and longer than the 30
/// and 60 seconds for which a confirm and a put are tried, which only a long run has time for.
const FROZEN: (u64, u64) = (11_000, 14_000);
const FROZEN_LONG: (u64, u64) = (11_000, 80_000);
/// The other one watches for three seconds, and then takes shard after shard.
const TAKE_OVER: Duration = Duration::from_secs(60);

#[test]
fn frozen_beyond_every_timeout_it_shows_nothing_that_another_has_overwritten() {
    let Some(mut run) = Run::begin("freeze") else { return };
    let (mut owner, mut other) = (run.start("one"), run.start("two"));
    run.load.ask_of(&[owner.address, other.address]);
    while run.goes_on(2) {
        run.answers(100, TAKE_OVER, "nothing is answered before the freeze");
        owner.freeze();
        run.fault("SIGSTOP");
        let began = Instant::now();
        let (from, to) = if run.is_long() { FROZEN_LONG } else { FROZEN };
        let time = run.between(from, to);
        // Those who are impatient ask the other one, which takes over.
        run.answers(20, time.max(TAKE_OVER), "nobody takes over from a frozen node");
        thread::sleep(time.saturating_sub(began.elapsed()));
        owner.thaw();
        // It finds that it is over, answers those who waited all the time, and joins again.
        run.answers(100, TAKE_OVER, "nothing is answered after the thaw");
        run.look();
        std::mem::swap(&mut owner, &mut other);
    }
    run.end();
    assert!(owner.is_running() && other.is_running());
}
