//! What was tried: what became of the calls, how many histories were judged, and what befell the servers.
//!
//! `FAULTS_TALLY` names a file to which a scenario adds it when it ends, so that `cargo xtask faults` can say it of all of
//! them: a line each, `NUMBER WHAT`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use test_history::Counts;

use super::clients::Load;

/// How often what befell the servers.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    /// Once more.
    pub fn fault(&self, what: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.to_owned()).or_default() += 1;
    }

    /// Adds everything to the file that the environment names, if it does.
    pub fn write(&self, load: &Load, counts: Counts) {
        let Some(path) = std::env::var_os("FAULTS_TALLY") else { return };
        let [acknowledged, not_executed, unknown] = load.outcomes();
        let mut text = String::new();
        let calls = acknowledged + not_executed + unknown;
        for (number, what) in [
            (calls, "calls"),
            (acknowledged, "acknowledged"),
            (not_executed, "not executed"),
            (unknown, "unknown"),
            (counts.histories, "histories judged"),
            (counts.adds, "adds acknowledged, found once"),
            (counts.reads, "reads"),
            (counts.unknown, "adds left open"),
            (counts.unknown_found, "of these found once"),
        ] {
            text += &format!("{number} {what}\n");
        }
        for (what, number) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            text += &format!("{number} fault: {what}\n");
        }
        File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// One line of what befell the servers.
    pub fn told(&self) -> String {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().map(|(what, number)| format!("{number} × {what}")).collect::<Vec<_>>().join(", ")
    }
}
