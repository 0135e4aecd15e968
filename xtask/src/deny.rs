//! `cargo deny`, installed once beside the build.

use std::fs;

use anyhow::Result;

use crate::command::{cargo, program, run, target_dir};

/// The version that CI and people share.
const VERSION: &str = "0.20.2";

/// Checks bans, licences and sources. Advisories need a database from the network, so they are a command for people:
/// `target/tools/bin/cargo-deny check advisories`.
///
/// # Errors
/// When the tool cannot be built, or finds something.
pub(crate) fn check() -> Result<()> {
    let tools = target_dir().join("tools");
    let tool = tools.join("bin/cargo-deny");
    let installed = program(&tool).arg("--version").output();
    let expected = format!("cargo-deny {VERSION}");
    if !installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == expected) {
        let build = tools.join("build");
        let args = format!("install --locked --debug cargo-deny --version {VERSION} --root");
        run(cargo(&args).arg(&tools).env("CARGO_TARGET_DIR", &build))?;
        // A gigabyte that nothing needs again.
        let _ = fs::remove_dir_all(&build);
    }
    run(program(&tool).args(["--workspace", "--all-features", "check", "bans", "licenses", "sources"]))
}
