//! A wall clock that is off by years, and jumps: under load, and between two lives.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::book::skipped;
use super::http::Client;
use super::objectd::Objectd;
use super::run::Run;

const YEAR_S: i64 = 365 * 24 * 3600;

/// The clock of a server, set by the test.
struct Clock {
    library: PathBuf,
    path: PathBuf,
    offset: File,
}

impl Clock {
    /// Its library is built by the C compiler that SQLite needs too.
    fn build(dir: &Path) -> Result<Self, String> {
        let (library, path) = (dir.join("clock.so"), dir.join("clock-offset"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        let built = cc.status().map_err(|error| format!("cc: {error}"))?;
        if !built.success() {
            return Err(format!("cc does not build clock.c: {built}"));
        }
        fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        let offset = File::options().write(true).open(&path).unwrap();
        Ok(Self { library, path, offset })
    }

    fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [("LD_PRELOAD", text(&self.library)), ("CLOCK_OFFSET_FILE", text(&self.path))]
    }

    fn set(&self, years: i64) {
        self.offset.write_all_at(&(years * YEAR_S).to_ne_bytes(), 0).unwrap();
    }
}

/// The year that a server says it is, by its `Date`.
fn year(server: &Objectd) -> i64 {
    let answer = Client::new(Duration::from_secs(10)).get(server.address, "/healthz").unwrap();
    let date = answer.header("date").expect("a Date").to_owned();
    date.split(' ').nth(3).and_then(|year| year.parse().ok()).unwrap_or_else(|| panic!("{date:?} has no year"))
}

#[test]
fn a_wall_clock_that_is_off_by_years_changes_nothing() {
    let Some(mut run) = Run::begin("clock") else { return };
    let clock = match Clock::build(run.dir.path()) {
        Ok(clock) => clock,
        Err(why) => {
            skipped::<()>("clock", &why);
            return;
        }
    };
    let now = {
        let server = run.start_with("one", &clock.environment());
        year(&server)
    };
    while run.goes_on(2) {
        let mut set = run.load.below(100) as i64 - 50;
        clock.set(set);
        let server = run.start_with("one", &clock.environment());
        run.load.ask_of(&[server.address]);
        let mut latest = set;
        for _ in 0..3 {
            run.answers(30, Duration::from_secs(60), "nothing is answered after a jump of the clock");
            // The date of answers is written anew once a second, and not when the clock went back.
            run.sleep(1_200, 1_500);
            let off = year(&server) - now - latest;
            assert!((-1..=1).contains(&off), "the clock was set {latest} years off, and it is {} there", year(&server));
            // Not before 1970, where no machine's clock can be set to.
            set = run.load.below(100) as i64 - 50;
            clock.set(set);
            latest = latest.max(set);
        }
        drop(server);
        let server = run.start_with("one", &clock.environment());
        run.load.ask_of(&[server.address]);
        run.look();
        drop(server);
    }
    let server = run.start_with("one", &clock.environment());
    run.load.ask_of(&[server.address]);
    run.end();
}
