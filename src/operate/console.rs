//! Lines for people, and a question to them.

use std::io::{BufRead, IsTerminal, Write};

use crate::error::{Error, Result};

/// One line on stdout, now.
pub(super) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is no reason to stop halfway.
    let _ = writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush());
}

/// Whether the person at the terminal says yes. `yes`: it was said already, and nobody is asked.
///
/// # Errors
/// `config` when there is no terminal to ask at.
pub(super) fn agreed(question: &str, yes: bool) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::config("nobody can be asked here, since the input is no terminal; say --yes to go on"));
    }
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    let mut answer = String::new();
    let read = input.lock().read_line(&mut answer);
    Ok(read.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

/// Rows as lines, each column as wide as its longest word.
pub(super) fn table<const COLUMNS: usize>(rows: Vec<[String; COLUMNS]>) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
