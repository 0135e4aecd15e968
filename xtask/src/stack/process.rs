//! Processes of this machine, as `/proc` shows them: which one it is, what it uses, and how it is ended.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A process, told apart from a later one with the same number by when it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Ticks since the machine started, as `/proc/PID/stat` says.
    pub(crate) began: u64,
    /// What its command line contains.
    pub(crate) word: String,
}

impl Process {
    /// The process with this number, now.
    ///
    /// # Errors
    /// When it is gone already, or is another program.
    pub(crate) fn of(pid: u32, word: &str) -> Result<Self> {
        let began = began(pid).with_context(|| format!("process {pid} ended at once"))?;
        Ok(Self { pid, began, word: word.to_owned() })
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        // There is no command line for a moment while a program starts itself anew, as Java does.
        let is_ours = |line: &str| line.is_empty() || line.contains(&self.word);
        began(self.pid) == Some(self.began) && is_ours(&command_line(self.pid))
    }

    /// Sends a signal, such as `TERM`, if it still runs.
    ///
    /// # Errors
    /// When that is not allowed.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        if !self.runs() {
            return Ok(());
        }
        // The shell has `kill` built in; a program of that name is not on every machine.
        let script = format!("kill -s {name} {}", self.pid);
        let output = Command::new("sh").args(["-c", &script]).output().context("cannot start sh")?;
        if !output.status.success() && self.runs() {
            bail!("{script}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn began(pid: u32) -> Option<u64> {
    began_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field; none where the third says that it has ended and nobody has asked how. The second is a name in
/// brackets that may hold blanks and brackets itself.
fn began_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if ["Z", "X"].contains(fields.first()?) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// The memory it holds, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_process_began_is_read_past_any_name() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 9 0 0 0 0 0 0 0 20 0 1 0 4711 1 2 3";
        assert_eq!(began_in(stat), Some(4711));
        assert_eq!(began_in(&stat.replace(" R ", " Z ")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_is_ended_and_another_with_its_number_is_not() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id(), "sleep").unwrap();
        assert!(process.runs());
        // A process that has just begun shows no command line yet, and may be any.
        while command_line(child.id()).is_empty() {
            std::thread::yield_now();
        }
        let later = Process { began: process.began + 1, ..process.clone() };
        let other = Process { word: "memcached".to_owned(), ..process.clone() };
        for stranger in [later, other] {
            assert!(!stranger.runs());
            stranger.signal("KILL").unwrap();
        }
        assert!(child.try_wait().unwrap().is_none(), "a process that is not meant was ended");
        process.signal("KILL").unwrap();
        child.wait().unwrap();
        assert!(!process.runs());
    }
}
