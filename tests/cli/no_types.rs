//! A program without object types says so and does not start. It is a test without a harness, so that the program
//! can be this very binary: it starts itself.

use std::process::{Command, ExitCode, Output};

const CHILD: &str = "NO_TYPES_CHILD";

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return match runtime.block_on(remote_object::serve()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let own = std::env::current_exe().expect("this program has a path");
    let asked = ["--listen", "127.0.0.1:0", "--store", "memory:"];
    let child = Command::new(own).args(asked).env(CHILD, "1").output().expect("it can be started");
    check(&child);
    println!("test result: ok. 1 passed; 0 failed");
    ExitCode::SUCCESS
}

fn check(child: &Output) {
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: this service has no object types"), "{said}");
    assert!(said.contains("#[remote_object]"), "what would be right: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(child.stdout.is_empty());
}
