//! Wall clocks of processes, which a test sets: an `LD_PRELOAD` adds to what the machine says. The monotonic clock stays.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::http::Client;
use super::objectd::{Environment, Objectd};

pub const HOUR_S: i64 = 3600;
pub const YEAR_S: i64 = 365 * 24 * HOUR_S;

/// The clock of a process.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    path: PathBuf,
    offset: File,
}

impl Clock {
    /// One that is right, in files of this folder. Its library is built by the C compiler that SQLite needs too.
    ///
    /// # Errors
    /// When there is none.
    pub fn build(dir: &Path, name: &str) -> Result<Self, String> {
        let (library, path) = (dir.join("clock.so"), dir.join(format!("clock-{name}")));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        // Others may have loaded it already, and it is the same for all.
        if !library.exists() {
            let built = cc.status().map_err(|error| format!("cc: {error}"))?;
            if !built.success() {
                return Err(format!("cc does not build clock.c: {built}"));
            }
        }
        fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        let offset = File::options().write(true).open(&path).unwrap();
        Ok(Self { library, path, offset })
    }

    /// What a process is given whose clock this is.
    pub fn environment(&self) -> Environment {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![("LD_PRELOAD", text(&self.library)), ("CLOCK_OFFSET_FILE", text(&self.path))]
    }

    /// So many seconds off, from now on.
    pub fn set(&self, seconds: i64) {
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

/// How far the clock of a server is off, in seconds, by its `Date`: that is written anew once a second, and not when the clock
/// went back.
pub fn off_by(server: &Objectd) -> i64 {
    let answer = Client::new(Duration::from_secs(10)).get(server.address, "/healthz").unwrap();
    let date = answer.header("date").expect("a Date").to_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    unix_s(&date).unwrap_or_else(|| panic!("{date:?} is no date")) - now
}

/// Seconds since the Unix epoch of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn unix_s(date: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let [_, day, month, year, time, "GMT"] = date.split(' ').collect::<Vec<_>>()[..] else { return None };
    let (day, month, year): (i64, i64, i64) = (day.parse().ok()?, MONTHS.find(month)? as i64 / 3, year.parse().ok()?);
    // Years that begin in March end with the day that not all have.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let parts = time.split(':').map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    Some(days * 24 * HOUR_S + hours * HOUR_S + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        assert_eq!(unix_s("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(unix_s("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(unix_s("Tue, 29 Feb 2000 23:59:59 GMT"), Some(951_868_799));
        assert_eq!(unix_s("Wed, 01 Mar 2000 00:00:00 GMT"), Some(951_868_800));
        assert_eq!(unix_s("06 Nov 1994"), None);
    }
}
