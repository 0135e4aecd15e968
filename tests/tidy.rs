//! The house rules, as tests: which room may use which, how long a file is, what every file says about itself.
//!
//! Functions of at most 70 lines, `unwrap` and clocks are clippy's work: `Cargo.toml` and `.clippy.toml`. The rules
//! here read the text of the repository and know no Rust beyond paths; each has a test that sees it fail.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom: a room may use the door of the next one, and no other.
const ROOMS: &[&str] = &["api", "objects", "locks", "cache", "storage"];

/// The shared words at the top of `src/`: any room may use them, they use only one another.
const LEAVES: &[&str] = &["model", "error", "clock", "config"];

/// Folders above the rooms: they may use the doors of all rooms, and nothing else.
const ABOVE: &[&str] = &["operate"];

/// Lines of a file before its tests.
const LINES_MAX: usize = 500;

// ---- The rules, on the repository -----------------------------------------------------------------------------------

#[test]
fn a_room_uses_the_next_rooms_door_and_no_other() {
    let doors: Vec<(&str, BTreeSet<String>)> = ROOMS.iter().map(|room| (*room, door_of(room))).collect();
    let mut wrong = Vec::new();
    // A `tests.rs` is the test module of the file it stands under, moved out for its length.
    for path in files(&["src"], &["rs"]).into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let place = path.strip_prefix(root().join("src")).unwrap();
        wrong.extend(room_violations(place, &read(&path), &doors));
    }
    none(&wrong);
}

#[test]
fn no_file_is_longer_than_500_lines_before_its_tests() {
    let code = files(&["src", "macros/src", "xtask/src", "benches", "fuzz", "examples"], &["rs"]);
    none(&code.iter().filter_map(|path| too_long(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn every_file_begins_with_what_it_is() {
    let code = files(&["src", "macros", "xtask/src", "tests", "benches", "fuzz", "examples"], &["rs"]);
    let code = code.iter().filter(|path| !path.starts_with(root().join("macros/tests/ui")));
    none(&code.filter_map(|path| no_module_doc(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let all = files(&["."], &["rs", "toml", "sql", "md", "yaml", "yml", "sh"]);
    none(&all.iter().flat_map(|path| left_for_later(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn every_schema_and_document_is_referred_to() {
    let kept = files(&["schemas", "docs"], &[]);
    let text = files(&["."], &["rs", "toml", "md", "run"]);
    let text: Vec<(PathBuf, String)> = text.into_iter().map(|path| (path.clone(), read(&path))).collect();
    none(&kept.iter().filter_map(|path| never_named(path, &text)).collect::<Vec<_>>());
}

// ---- The rules ------------------------------------------------------------------------------------------------------

/// What is wrong with the paths one file of `src/` names. `place` is relative to `src/`.
fn room_violations(place: &Path, text: &str, doors: &[(&str, BTreeSet<String>)]) -> Vec<String> {
    let module = module_of(place);
    let home = module.first().map_or("", String::as_str);
    if ABOVE.contains(&home) {
        return above_violations(place, &crate_paths(&module, before_tests(text)), doors);
    }
    let is_leaf = LEAVES.contains(&home);
    let Some(own) = ROOMS.iter().position(|room| *room == home).map(Some).or(is_leaf.then_some(None)) else {
        // The composition root, the binaries and the crate's front may name every room.
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for path in crate_paths(&module, before_tests(text)) {
        let first = path.first().map_or("", String::as_str);
        if LEAVES.contains(&first) || first == home || is_hidden_macro(first) {
            continue;
        }
        let next = own.and_then(|own| ROOMS.get(own + 1)).copied();
        let why = match next {
            Some(next) if first == next => through_the_door(&path, doors),
            Some(next) => Some(format!("{home}/ may use leaf files and the door of {next}/")),
            None if is_leaf => Some("a leaf file may use only other leaf files".to_owned()),
            None => Some(format!("{home}/ may use leaf files only")),
        };
        wrong.extend(why.map(|why| format!("src/{}: crate::{}: {why}", place.display(), path.join("::"))));
    }
    wrong
}

/// The same for a folder above the rooms.
fn above_violations(place: &Path, paths: &[Vec<String>], doors: &[(&str, BTreeSet<String>)]) -> Vec<String> {
    let home = place.iter().next().unwrap_or_default();
    let mut wrong = Vec::new();
    for path in paths {
        let first = path.first().map_or("", String::as_str);
        let why = match first {
            _ if LEAVES.contains(&first) || home == first => None,
            _ if ROOMS.contains(&first) => through_the_door(path, doors),
            _ => Some("it may use leaf files and the doors of rooms".to_owned()),
        };
        wrong.extend(why.map(|why| format!("src/{}: crate::{}: {why}", place.display(), path.join("::"))));
    }
    wrong
}

/// An exported macro stands at the crate's root wherever it was written; ours that are not for users begin with `__`.
fn is_hidden_macro(name: &str) -> bool {
    name.starts_with("__") && name != "__private"
}

/// Why `path`, which begins with the name of the next room, does not go through its door, if it does not.
fn through_the_door(path: &[String], doors: &[(&str, BTreeSet<String>)]) -> Option<String> {
    let room = path[0].as_str();
    let door = doors.iter().find(|(name, _)| *name == room).map(|(_, door)| door)?;
    match path.get(1) {
        None => Some("name what is used of the room, not the room".to_owned()),
        Some(item) if !door.contains(item) => Some(format!("src/{room}/mod.rs does not offer it")),
        Some(_) => None,
    }
}

/// What `src/{room}/mod.rs` offers: its items and re-exports, not its modules.
fn door_of(room: &str) -> BTreeSet<String> {
    let path = root().join("src").join(room).join("mod.rs");
    fs::read_to_string(path).map(|text| offered(&text)).unwrap_or_default()
}

fn offered(text: &str) -> BTreeSet<String> {
    const ITEMS: &[&str] = &["trait", "struct", "enum", "fn", "const", "static", "type", "union"];
    let text = code_only(before_tests(text));
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut names = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let follows_pub = |at: usize| at > 0 && words[at - 1].starts_with("pub");
        if *word == "use" && follows_pub(at) {
            let rest = words[at + 1..].join(" ");
            let tree = rest.split(';').next().unwrap_or_default();
            names.extend(expand(tree).into_iter().filter_map(|path| path.last().cloned()));
        } else if ITEMS.contains(word) && (follows_pub(at) || at > 1 && follows_pub(at - 1)) {
            let name = words.get(at + 1).copied().unwrap_or_default();
            names.extend(identifier(name).map(str::to_owned));
        }
    }
    names
}

/// The module of a file: `objects/turn.rs` is `[objects, turn]`, `objects/mod.rs` is `[objects]`.
fn module_of(place: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        place.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Every path of this crate the text names, from the crate's root, however it is written.
fn crate_paths(module: &[String], text: &str) -> Vec<Vec<String>> {
    let text = code_only(text);
    let mut paths = Vec::new();
    for (start, base) in [("crate", 0), ("remote_object", 0), ("super", 1)] {
        let start = format!("{start}::");
        let starts = text.match_indices(&start).map(|(at, _)| at);
        for at in starts.filter(|at| starts_a_path(&text, *at)) {
            let mut rest = &text[at + start.len()..];
            let mut up = base;
            while let Some(further) = rest.strip_prefix("super::") {
                rest = further;
                up += 1;
            }
            // Inside an inline module `super` means less than it says here; taken as more, it is only stricter.
            let Some(depth) = (if base == 0 { Some(0) } else { module.len().checked_sub(up) }) else { continue };
            paths.extend(expand(rest).into_iter().map(|path| [&module[..depth], &path].concat()));
        }
    }
    paths
}

/// Not in the middle of a path; nor is `$crate::…` one: a macro's user sees the crate's front alone.
fn starts_a_path(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|before: char| before.is_alphanumeric() || "_:$".contains(before))
}

/// The paths of a use tree, or of an expression's path, at the beginning of `text`.
fn expand(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start().trim_start_matches("::");
    if let Some(inner) = text.strip_prefix('{') {
        return group(inner).iter().flat_map(|part| expand(part)).collect();
    }
    let Some(name) = identifier(text) else {
        return if text.starts_with('*') { vec![vec!["*".to_owned()]] } else { Vec::new() };
    };
    if name == "self" {
        let further = text["self".len()..].trim_start().strip_prefix("::");
        return further.map_or_else(|| vec![Vec::new()], expand);
    }
    let rest = text[name.len()..].trim_start();
    let alias = rest.strip_prefix("as ").and_then(|alias| identifier(alias.trim_start()));
    let further = rest.strip_prefix("::").map(expand).filter(|further| !further.is_empty());
    match (alias, further) {
        // A re-export is known by its new name; where it came from does not matter to its user.
        (Some(alias), _) => vec![vec![name.to_owned(), alias.to_owned()]],
        (None, Some(further)) => further.into_iter().map(|path| [vec![name.to_owned()], path].concat()).collect(),
        (None, None) => vec![vec![name.to_owned()]],
    }
}

/// The parts of a `{…}` whose brace is already open.
fn group(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn identifier(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// The text without comments and string literals.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = rest.find(['"', '/']) {
            code.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with("//") {
                rest = "";
            } else if let Some(string) = rest.strip_prefix('"') {
                rest = end_of_string(string);
                code.push(' ');
            } else {
                code.push('/');
                rest = &rest[1..];
            }
        }
        code.push_str(rest);
        code.push('\n');
    }
    code
}

/// What follows a string literal that ends on the same line.
fn end_of_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

fn before_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod tests").map_or(text, |at| &text[..=at])
}

fn too_long(path: &Path, text: &str) -> Option<String> {
    let lines = before_tests(text).trim_end().lines().count();
    let is_tests = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
    (lines > LINES_MAX && !is_tests)
        .then(|| format!("{}: {lines} lines before its tests, {LINES_MAX} are the most", shown(path)))
}

fn no_module_doc(path: &Path, text: &str) -> Option<String> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|doc| !doc.trim().is_empty());
    (!says).then(|| format!("{}: its first line is not a `//!` that says what it is", shown(path)))
}

fn left_for_later(path: &Path, text: &str) -> Vec<String> {
    // Written apart, so that this file does not name them.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("]].map(|mark| mark.concat());
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(number, line)| marks.iter().map(move |mark| (number, line, mark)))
        .filter(|(_, line, mark)| line.contains(mark.as_str()))
        .map(|(number, _, mark)| format!("{}:{}: {mark}", shown(path), number + 1))
        .collect()
}

fn never_named(path: &Path, text: &[(PathBuf, String)]) -> Option<String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let named = text.iter().any(|(other, text)| other != path && text.contains(name));
    (!named).then(|| format!("{}: no other file names it", shown(path)))
}

// ---- Reading the repository -----------------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All files under these folders of the repository with one of these endings (none: with any), in order.
fn files(folders: &[&str], endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), endings, &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "node_modules"].contains(&name.as_str()) {
                collect(&path, endings, found);
            }
        } else if endings.is_empty() || endings.iter().any(|ending| name.rsplit('.').next() == Some(*ending)) {
            found.push(root().join(path.strip_prefix(root().join(".")).unwrap_or(&path)));
        }
    }
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

// ---- Each rule is seen to fail --------------------------------------------------------------------------------------

fn doors() -> Vec<(&'static str, BTreeSet<String>)> {
    let storage = "mod sqlite;\npub use sqlite::{Sqlite, Options as SqliteOptions};\npub trait Datastore {}\npub(crate) async fn open() {}";
    vec![("storage", offered(storage)), ("cache", offered("pub struct Local;")), ("locks", offered("pub struct Hold;"))]
}

fn violations(place: &str, text: &str) -> usize {
    room_violations(Path::new(place), text, &doors()).len()
}

#[test]
fn a_door_is_what_a_mod_file_offers() {
    let (_, storage) = doors().remove(0);
    assert_eq!(
        storage.iter().map(String::as_str).collect::<Vec<_>>(),
        ["Datastore", "Sqlite", "SqliteOptions", "open"]
    );
}

#[test]
fn a_path_past_a_door_is_found() {
    assert_eq!(violations("cache/local.rs", "use crate::storage::{Datastore, Sqlite};"), 0);
    assert_eq!(violations("cache/local.rs", "let a = crate::storage::open().await;"), 0);
    assert_eq!(violations("cache/local.rs", "use crate::storage::{Datastore, sqlite::Writer};"), 1);
    assert_eq!(violations("cache/local.rs", "use crate::storage;"), 1);
    assert_eq!(violations("cache/local.rs", "use crate::storage::*;"), 1);
    assert_eq!(violations("cache/local.rs", "use crate::{model::Version, storage::{self, Datastore}};"), 1);
}

#[test]
fn a_room_that_reaches_past_the_next_or_up_is_found() {
    assert_eq!(violations("objects/turn.rs", "use crate::locks::Hold;\nuse crate::error::{Error, Result};"), 0);
    assert_eq!(violations("objects/turn.rs", "use crate::storage::Datastore;"), 1);
    assert_eq!(violations("objects/turn.rs", "fn f(a: &dyn crate::storage::Datastore) {}"), 1);
    assert_eq!(violations("locks/hold.rs", "use crate::objects::Turn;"), 1);
    assert_eq!(violations("locks/hold.rs", "use remote_object::objects::Turn;"), 1);
    assert_eq!(violations("locks/hold.rs", "use super::super::objects::Turn;"), 1);
    assert_eq!(violations("locks/mod.rs", "use super::objects::Turn;"), 1);
    assert_eq!(violations("locks/hold.rs", "use super::shards::Shard;\nuse crate::locks::Hold;"), 0);
    assert_eq!(violations("storage/sqlite.rs", "use crate::cache::Local;"), 1);
    assert_eq!(violations("storage/sqlite.rs", "use crate::service::Service;"), 1);
    assert_eq!(violations("storage/sqlite.rs", "use crate::__private::Call;"), 1);
    assert_eq!(violations("storage/sqlite.rs", "crate::__cases!($crate::conformance::Suite);"), 0);
    assert_eq!(violations("model.rs", "use crate::storage::Datastore;"), 1);
    assert_eq!(violations("model.rs", "use crate::error::Error;"), 0);
    assert_eq!(violations("service.rs", "use crate::storage::Datastore;\nuse crate::api::router;"), 0);
}

#[test]
fn a_folder_above_the_rooms_that_goes_past_a_door_is_found() {
    assert_eq!(violations("operate/purge.rs", "use crate::storage::Datastore;\nuse crate::locks::Hold;"), 0);
    assert_eq!(violations("operate/purge.rs", "use super::console::say;\nuse crate::error::Error;"), 0);
    assert_eq!(violations("operate/purge.rs", "use crate::storage::sqlite::Writer;"), 1);
    assert_eq!(violations("operate/purge.rs", "use crate::locks;"), 1);
    assert_eq!(violations("operate/purge.rs", "use crate::service::Service;"), 1);
}

#[test]
fn comments_strings_and_tests_name_what_they_like() {
    assert_eq!(violations("locks/hold.rs", "/// See [`crate::objects::Turn`].\n// crate::objects::Turn"), 0);
    assert_eq!(violations("locks/hold.rs", "let a = \"crate::objects::Turn\";"), 0);
    assert_eq!(violations("locks/hold.rs", "\n#[cfg(test)]\nmod tests {\n    use crate::objects::Turn;\n}"), 0);
}

#[test]
fn a_long_file_is_found() {
    let path = Path::new("src/a.rs");
    let tests = format!("\n#[cfg(test)]\nmod tests {{\n{}}}", "x\n".repeat(900));
    assert_eq!(too_long(path, &("x\n".repeat(500) + &tests)), None);
    assert!(too_long(path, &"x\n".repeat(501)).is_some());
    assert_eq!(too_long(Path::new("src/a/tests.rs"), &"x\n".repeat(900)), None);
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_found() {
    let path = Path::new("src/a.rs");
    assert_eq!(no_module_doc(path, "//! What it is.\nuse a;"), None);
    for text in ["", "use a;", "//!\nuse a;", "// What it is.", "use a;\n//! What it is."] {
        assert!(no_module_doc(path, text).is_some(), "{text:?}");
    }
}

#[test]
fn a_mark_for_later_is_found() {
    let path = Path::new("src/a.rs");
    assert_eq!(left_for_later(path, "a\nb // later\n").len(), 0);
    assert_eq!(left_for_later(path, &format!("a\n// {}: b\n", ["TO", "DO"].concat())).len(), 1);
    assert_eq!(left_for_later(path, &format!("{}(\"a\")", ["unimplemented", "!"].concat())).len(), 1);
}

#[test]
fn a_document_nobody_names_is_found() {
    let path = Path::new("docs/guide.md");
    let named = (PathBuf::from("README.md"), "see docs/guide.md".to_owned());
    let itself = (PathBuf::from("docs/guide.md"), "guide.md".to_owned());
    assert_eq!(never_named(path, &[itself.clone(), named]), None);
    assert!(never_named(path, &[itself]).is_some());
}
