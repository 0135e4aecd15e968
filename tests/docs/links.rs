//! Links of the pages: every file and every heading they lead to is there.

use std::path::Path;

use crate::{pages, read, root};

/// The targets of `[text](target)` outside of code blocks.
fn targets(page: &str) -> Vec<String> {
    let mut code = false;
    let mut targets = Vec::new();
    for line in page.lines() {
        code ^= line.starts_with("```");
        let ends = line.match_indices("](").map(|(at, _)| at + 2);
        let found = ends.filter_map(|at| line[at..].split_once(')').map(|(target, _)| target.to_owned()));
        targets.extend(found.filter(|_| !code));
    }
    targets
}

/// As the sites that show pages name a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

/// Why a target leads nowhere, if it does.
fn dead(page: &Path, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = match file {
        "" => root().join(page),
        file => root().join(page).parent().unwrap().join(file),
    };
    if !path.exists() {
        return Some(format!("{}: {target} is not there", page.display()));
    }
    let text = heading.and_then(|_| std::fs::read_to_string(&path).ok())?;
    let found = text.lines().filter(|line| line.starts_with('#')).any(|line| Some(anchor(line).as_str()) == heading);
    (!found).then(|| format!("{}: {target} has no such heading", page.display()))
}

#[test]
fn no_link_leads_nowhere() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let targets = targets(&read(page.to_str().unwrap()));
        seen += targets.len();
        wrong.extend(targets.iter().filter_map(|target| dead(&page, target)));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(seen > 50, "{seen} links were found");
}

#[test]
fn a_dead_link_is_found() {
    let page = Path::new("docs/http.md");
    assert_eq!(targets("see [a](b.md) and [c](d#e)\n```\n[no](x)\n```"), ["b.md", "d#e"]);
    assert_eq!(anchor("## Settings, limits, log"), "settings-limits-log");
    assert!(dead(page, "nowhere.md").is_some() && dead(page, "../README.md#nothing").is_some());
    assert!(dead(page, "../README.md").is_none() && dead(page, "#problems").is_none());
}
