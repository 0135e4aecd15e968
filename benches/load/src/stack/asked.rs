//! A program that is asked on stdin, a line a question, and answers on stdout, a line an answer (`benches/peers`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::report::Cell;

/// How long it may take to leave things as it found them.
const END_MAX: Duration = Duration::from_secs(30);

/// It runs until this is dropped.
#[derive(Debug)]
pub(super) struct Asked {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    /// What it said of itself.
    pub(super) about: String,
}

impl Asked {
    /// Starts it and waits until it is ready; what it prints on stderr goes to `log`.
    ///
    /// # Errors
    /// When it ends before it is ready; with what it printed.
    pub(super) fn start(program: &Path, args: &[&str], log: PathBuf) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().display().to_string();
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a child without stdout")?);
        let mut asked = Self { name, child, stdin, stdout, log, about: String::new() };
        asked.about = asked.line()?.strip_prefix("ready ").context("it was not ready")?.to_owned();
        Ok(asked)
    }

    /// Has it run a case.
    ///
    /// # Errors
    /// When an operation of the case fails.
    pub(super) fn measure(&mut self, case: &str, time: Duration) -> Result<Cell> {
        let answer = self.ask(&format!("{case} {}", time.as_secs_f64()))?;
        let numbers: Vec<f64> = answer.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [rate, p50, p99] = numbers[..] else { bail!("{}: {answer:?}", self.name) };
        Ok(Cell { rate, p50, p99 })
    }

    /// Asks for anything else.
    ///
    /// # Errors
    /// When it has no answer; with what it printed.
    pub(super) fn ask(&mut self, question: &str) -> Result<String> {
        let stdin = self.stdin.as_mut().context("it was told to end")?;
        // Where it has ended, the answer that does not come says why.
        let _ = writeln!(stdin, "{question}");
        self.line().with_context(|| question.to_owned())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("{} ended: {}", self.name, fs::read_to_string(&self.log).unwrap_or_default());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let limit = Instant::now() + END_MAX;
        while Instant::now() < limit {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
