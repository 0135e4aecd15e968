//! The fuzz targets, built by the stable compiler: libFuzzer needs only LLVM's coverage pass, which it has.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo, program, root, target_dir};

/// What `cargo fuzz` would pass, without its sanitizers, which only a nightly compiler has.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Runs the targets, each for its share of the seconds. What they find beyond the seeds in `fuzz/corpus/` is kept in
/// the target directory and used again.
///
/// # Errors
/// When a target does not build or finds an input that fails; the input is printed as hex.
pub(crate) fn run(seconds: u32, only: &[String]) -> Result<()> {
    let all = targets()?;
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        bail!("there is no fuzz target {unknown:?}; the targets are {}", all.join(", "));
    }
    let chosen = |target: &&String| only.is_empty() || only.contains(target);
    let targets: Vec<&String> = all.iter().filter(chosen).collect();
    let build = target_dir().join("fuzz");
    let host = host()?;
    // A named `--target` keeps the flags away from build scripts and macros, which could not be linked with them.
    build_targets(&format!("build --manifest-path fuzz/Cargo.toml --release --target {host}"), &build)?;
    let share = (seconds / targets.len() as u32).max(1);
    for target in targets {
        fuzz_one(target, &build.join(&host).join("release").join(target), &build, share)?;
    }
    Ok(())
}

/// The targets: one file each.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/src/bin")).context("fuzz/src/bin")? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn build_targets(args: &str, build: &Path) -> Result<()> {
    command::run(
        cargo(args)
            .env("CARGO_TARGET_DIR", build)
            .env("RUSTFLAGS", FLAGS.join(" "))
            .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )
}

fn fuzz_one(target: &str, program_path: &Path, build: &Path, seconds: u32) -> Result<()> {
    let found = build.join("corpus").join(target);
    let failing = build.join("failing").join(target);
    fs::create_dir_all(&found)?;
    let _ = fs::remove_dir_all(&failing);
    fs::create_dir_all(&failing)?;
    let outcome = run_fuzzer(target, program_path, &found, &failing, seconds);
    for entry in fs::read_dir(&failing)? {
        let path = entry?.path();
        println!("the failing input, {}:\n{}", path.display(), hex(&fs::read(&path)?));
    }
    outcome.with_context(|| format!("fuzz target {target}"))
}

fn run_fuzzer(target: &str, path: &Path, found: &Path, failing: &Path, seconds: u32) -> Result<()> {
    let mut command = program(path);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-rss_limit_mb=1024", "-timeout=5", "-max_len=8192", "-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}/", failing.display()));
    command.arg(found).arg(root().join("fuzz/corpus").join(target));
    // It ends with a dictionary of hundreds of lines, for a person who goes on by hand.
    command::run_filtered(&mut command, |line| !line.contains("# Uses: "))
}

/// Thirty-two bytes a line, as `xxd -r -p` reads it back.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + bytes.len() / 32 + 1);
    for line in bytes.chunks(32) {
        for byte in line {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = program(rustc).arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_input_is_printed_as_hex() {
        assert_eq!(hex(&[0, 1, 0xff]), "0001ff\n");
        assert_eq!(hex(&[7; 33]).lines().count(), 2);
    }
}
