//! The crash test notices: each server that breaks one promise is found out, the one that keeps them is not.

use std::path::Path;
use std::process::{Command, Output};

fn crash_test(broken: &str, rounds: u32) -> Output {
    let load = Path::new(env!("CARGO_BIN_EXE_load"));
    let server = load.with_file_name("examples").join("broken_server");
    assert!(server.exists(), "build it: cargo build --package load --example broken_server");
    let mut command = Command::new(load);
    command.arg("crash").arg("--objectd").arg(server).args(["--rounds", &rounds.to_string()]);
    command.env("BREAK", broken).output().expect("it starts")
}

fn is_found(broken: &str, says: &str) {
    let output = crash_test(broken, 20);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains(says), "{text}");
    // What such a run leaves is for whoever looks into it; here nobody will.
    let dir = text.rsplit("are in ").next().expect("it says where its data is").trim();
    std::fs::remove_dir_all(dir).expect("the data is there");
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let output = crash_test("nothing", 4);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.starts_with("acknowledged ")).expect("it tells");
    let (acknowledged, found) = line["acknowledged ".len()..].split_once(" · found ").expect("it tells both");
    assert_eq!(acknowledged, found);
    assert_ne!(acknowledged, "0");
}

#[test]
fn an_answer_before_the_commit_is_found() {
    is_found("durability", "an acknowledged add is gone");
}

#[test]
fn a_forgotten_key_is_found() {
    is_found("keys", "asked again by its key");
}

#[test]
fn a_tag_that_comes_back_is_found() {
    is_found("tags", "ETag");
}

#[test]
fn an_add_that_takes_effect_twice_is_found() {
    is_found("once", "took effect twice");
}

#[test]
fn a_half_state_in_the_file_is_found() {
    is_found("half", "the file says");
}
