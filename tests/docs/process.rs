//! What the server itself says, beside what the pages say of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use remote_object::Config;

use crate::{blocks, names, read, table};

/// The server, without what this machine's environment would set.
pub(crate) fn objectd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_objectd"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("REMOTE_OBJECT_") || name == "RUST_LOG"
    });
    for name in ours {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn stdout(args: &[&str]) -> String {
    let output = objectd(args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server that is killed when this is dropped.
pub(crate) struct Serving(Child);

impl Serving {
    fn in_memory() -> (Self, Vec<String>) {
        Self::start(&mut objectd(&["--listen", "127.0.0.1:0", "--store", "memory:", "--log", "json"]))
    }

    /// With its first lines, up to "try:".
    pub(crate) fn start(command: &mut Command) -> (Self, Vec<String>) {
        let mut serving = Self(command.spawn().unwrap());
        let mut lines = Vec::new();
        for line in BufReader::new(serving.0.stdout.as_mut().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap() == "try:" {
                break;
            }
        }
        (serving, lines)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn the_settings_in_effect_are_those_of_the_table() {
    let printed: Config = toml::from_str(&stdout(&["--print-config"])).unwrap();
    assert_eq!(printed, Config::default());
}

#[test]
fn every_flag_and_its_environment_variable_stand_in_the_page_and_in_the_help() {
    let help = stdout(&["--help"]);
    let page = read("docs/settings.md");
    let words = |text: &str, start: &str| -> BTreeSet<String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let all = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with(start) && word.len() > start.len());
        all.map(str::to_owned).collect()
    };
    let mut flags = words(&help, "--");
    assert!(flags.remove("--help") && flags.remove("--version"));
    assert_eq!(flags.len(), 16);
    let rows = table(&page, "TOML key");
    let in_rows: BTreeSet<String> = rows.iter().flat_map(|row| words(&row[1], "--")).collect();
    assert_eq!(in_rows, flags.iter().filter(|flag| !flag.ends_with("config")).cloned().collect());
    for flag in flags {
        assert!(words(&page, "--").contains(&flag), "{flag}");
        let variable = format!("REMOTE_OBJECT_{}", flag[2..].replace('-', "_").to_uppercase());
        assert!(words(&help, "REMOTE").contains(&variable), "{variable} is not in --help");
        assert!(words(&page, "REMOTE").contains(&variable), "{variable} is not in docs/settings.md");
    }
}

#[test]
fn a_mistake_is_told_in_the_line_that_the_page_shows() {
    let page = read("docs/settings.md");
    let (_, block) = blocks(&page).into_iter().find(|(_, text)| text.contains("\nerror: ")).unwrap();
    let (command, line) = block.trim_end().split_once('\n').unwrap();
    let args: Vec<&str> = command.split_whitespace().skip(2).collect();
    let output = objectd(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap().trim_end(), line);
}

#[test]
fn the_first_lines_are_those_that_the_readme_shows() {
    let (_serving, lines) = Serving::in_memory();
    let begin = |line: &String| line.split_once(':').map(|(name, _)| name.to_owned());
    let (_, block) = blocks(&read("README.md")).into_iter().find(|(_, text)| text.contains("listening on")).unwrap();
    let shown: Vec<String> = block.lines().skip(1).take(lines.len()).map(str::to_owned).collect();
    assert_eq!(lines.iter().map(begin).collect::<Vec<_>>(), shown.iter().map(begin).collect::<Vec<_>>());
}

#[test]
fn every_field_of_the_log_stands_in_the_page() {
    let (mut serving, lines) = Serving::in_memory();
    let address = lines[0].strip_prefix("listening on http://").unwrap();
    get(address, "/objects/counter/a");
    serving.0.kill().unwrap();
    let mut log = String::new();
    serving.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let first: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(log.lines().next().expect("a line of log")).unwrap();

    let rows = table(&read("docs/settings.md"), "field");
    let documented: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    let source = read("src/log.rs");
    let (_, renamed) = source.split_once("const NAMES").unwrap();
    let renamed = renamed.split_once(';').unwrap().0.split('"').skip(1).step_by(2).filter(|name| name.contains('.'));
    let said = first.keys().map(String::as_str).chain(renamed);
    for name in said {
        assert!(documented.contains(name), "{name} is not in the table of docs/settings.md");
    }
}

#[test]
fn every_metric_stands_in_the_page_and_every_one_there_is() {
    let (_serving, lines) = Serving::in_memory();
    let address = lines[0].strip_prefix("listening on http://").unwrap();
    let text = get(address, "/metrics");
    let told: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let rows = table(&read("docs/settings.md"), "metric");
    let documented = rows.iter().map(|row| (names(&row[0]).remove(0), row[1].clone())).collect();
    assert_eq!(told, documented);
    for row in &rows {
        let name = &names(&row[0])[0];
        let sample = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_count{{")));
        let labels: BTreeSet<String> = sample
            .and_then(|line| line.split_once('{')?.1.split_once('}'))
            .map(|(labels, _)| {
                labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned())).collect()
            })
            .unwrap_or_default();
        assert_eq!(labels, names(&row[2]).into_iter().collect(), "the labels of {name}");
    }
}
