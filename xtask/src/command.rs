//! Running commands: shown before they run, their output left on the console, their tests counted.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many checks passed and failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Checks that passed.
    pub(crate) passed: u64,
    /// Checks that failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// One check that passed.
    pub(crate) const ONE: Self = Self { passed: 1, failed: 0 };

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the repository")
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// `cargo` with these arguments, split at blanks, in the repository's root.
pub(crate) fn cargo(args: &str) -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args.split_whitespace());
    command
}

/// A program run in the repository's root.
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// Runs it to its end.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    show(command);
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs it to its end, and shows of its stderr only the lines that `shown` picks.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_filtered(command: &mut Command, shown: fn(&str) -> bool) -> Result<()> {
    show(command);
    let mut child =
        command.stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", name(command)))?;
    let stderr = child.stderr.take().context("the child has no stderr")?;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        if shown(&text) {
            eprintln!("{text}");
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a test runner to its end and counts what it says it ran.
///
/// # Errors
/// When it cannot be started, or fails without naming a failed test (it did not compile).
pub(crate) fn run_counting(command: &mut Command) -> Result<Tally> {
    show(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", name(command)))?;
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("the child's output is not text")?;
        println!("{line}");
        if let Some(more) = counted(&line) {
            tally.add(more);
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(tally)
}

/// What one closing line of a test binary says.
fn counted(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let mut tally = Tally::default();
    for part in rest.split(['.', ';']) {
        let Some((number, word)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match word {
            "passed" => tally.passed = number,
            "failed" => tally.failed = number,
            _ => {}
        }
    }
    Some(tally)
}

fn show(command: &Command) {
    println!("$ {}", line(command));
}

fn line(command: &Command) -> String {
    let mut text = String::new();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            text.push_str(&format!("{}={:?} ", key.display(), value.display()));
        }
    }
    text.push_str(&name(command));
    for arg in command.get_args() {
        text.push_str(&format!(" {}", arg.display()));
    }
    text
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_binary_is_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(counted(ok), Some(Tally { passed: 12, failed: 0 }));
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s";
        assert_eq!(counted(bad), Some(Tally { passed: 3, failed: 2 }));
        assert_eq!(counted("test a ... ok"), None);
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&command), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }
}
