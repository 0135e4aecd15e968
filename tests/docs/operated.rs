//! The commands of the page on operations, run where it says they were run: they print what it shows, but for times,
//! ids and sizes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::process::{Serving, objectd};
use crate::{blocks, read};

/// A text without what differs from run to run: `6.5 ms` and ids of lives.
fn steady(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| "(),:".contains(c));
        let is_time = bare.parse::<f64>().is_ok() && bare.contains('.');
        let is_id = bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_time || is_id { word.replace(bare, "…") } else { word.to_owned() }
    };
    text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

fn two_counters(dir: &Path) {
    let mut command = objectd(&["--listen", "127.0.0.1:0"]);
    let (_serving, lines) = Serving::start(command.current_dir(dir));
    let address = lines[0].strip_prefix("listening on http://").unwrap();
    for (request, headers, body) in [
        ("POST /objects/counter/visits/add", "", r#"{"by": 4}"#),
        ("POST /objects/counter/visits/add", "idempotency-key: monday\r\n", r#"{"by": 3}"#),
        ("POST /objects/counter/old/add", "", r#"{"by": 1}"#),
        ("DELETE /objects/counter/old", "", ""),
    ] {
        let length = body.len();
        let head = format!("{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n");
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{head}content-type: application/json\r\n{headers}\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{request}: {answer}");
    }
}

#[test]
fn the_commands_of_the_page_on_operations_print_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    two_counters(dir.path());
    let page = read("docs/operations.md");
    let shown: Vec<String> =
        blocks(&page).into_iter().filter(|(info, _)| info == "console").map(|(_, text)| text).collect();
    assert_eq!(shown.len(), 5);
    for block in shown {
        let (command, output) = block.split_once('\n').unwrap();
        let args = command.strip_prefix("$ objectd ").unwrap().split(' ');
        let args: Vec<&str> = args.collect();
        let told = objectd(&args).current_dir(dir.path()).output().unwrap();
        assert!(told.status.success(), "{command}: {told:?}");
        assert_eq!(steady(&String::from_utf8(told.stdout).unwrap()), steady(output), "{command}");
    }
}

#[test]
fn what_differs_from_run_to_run_is_left_out_and_nothing_else() {
    let line = "ok   x (6.5 ms): was abecfa3017f93eef8b58682bea1a93cc, of 1 shards\n";
    assert_eq!(steady(line), "ok   x (… ms): was …, of 1 shards\n");
}
