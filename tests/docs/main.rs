//! The pages against the code: tables, commands with their output, and links. Their Rust code is compiled and run as doc
//! tests; see the end of `src/lib.rs`.
#![allow(clippy::unwrap_used, missing_docs, reason = "helpers of tests")]

mod links;
mod operated;
mod played;
mod process;
mod tables;

use std::path::{Path, PathBuf};

/// The first program of the README, which its commands are played against.
#[path = "../../examples/object.rs"]
#[allow(dead_code, reason = "its `main` serves for ever")]
mod object;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page of the project, by its path.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from).into();
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    pages.extend(docs.map(|name| Path::new("docs").join(name)).filter(|path| path.extension().unwrap() == "md"));
    pages.sort();
    pages
}

/// The code blocks of a page: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        // A block in a list is indented.
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block does not end");
    blocks
}

/// The rows of the table whose header begins with this cell, as cells.
fn table(page: &str, first: &str) -> Vec<Vec<String>> {
    let head = format!("| {first} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&head));
    let rows: Vec<Vec<String>> = lines.skip(2).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "there is no table that begins with {first:?}");
    rows
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What stands in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_first_program_is_the_example() {
    let readme = blocks(&read("README.md"));
    let example = read("examples/object.rs");
    let (_, code) = example.split_once("\n\n").unwrap();
    assert_eq!(readme[0].1, code, "examples/object.rs, without its first line, is the first program of README.md");
}

/// Where what a page shows and does not compile may stand.
const EXAMPLES: &[&str] = &[
    "examples/datastore/tests/kit.rs",
    "examples/postgres/src/lib.rs",
    "examples/postgres/src/main.rs",
    "examples/postgres/tests/kit.rs",
];

/// The lines of a text, whatever their indent.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn what_is_shown_and_not_compiled_stands_in_an_example() {
    let examples = EXAMPLES.iter().map(|path| read(path)).collect::<Vec<_>>();
    let mut seen = 0;
    for page in pages() {
        for (info, text) in blocks(&read(page.to_str().unwrap())) {
            if info == "rs" {
                seen += 1;
                let shown = lines(&text);
                // Of the log's kit two tests are left out between the lines.
                let mut stands = examples.iter().map(|example| lines(example)).filter(|example| {
                    example.windows(shown.len()).any(|lines| lines == shown)
                        || example.iter().filter(|line| shown.contains(line)).count() == shown.len()
                });
                assert!(stands.next().is_some(), "{}: no example has\n{text}", page.display());
            }
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn tables_and_blocks_are_found() {
    let page = "| a | b |\n|---|---|\n| `x`, `y` | 1 |\n\n```rust,ignore\nfn f() {}\n```\n";
    assert_eq!(table(page, "a"), [["`x`, `y`", "1"]]);
    assert_eq!(names("`x`, `y`"), ["x", "y"]);
    assert_eq!(blocks(page), [("rust,ignore".to_owned(), "fn f() {}\n".to_owned())]);
}
