//! `schema`: the tables that a store needs, printed or applied; never at a start, and by one who asks first.

use super::Target;
use super::console::{agreed, say};
use crate::error::Result;
use crate::storage::{schema_make, schema_text};

pub(super) fn print(target: &Target) -> Result<i32> {
    match schema(target)? {
        Some(text) => say(text.trim_end()),
        None => say(format!("-- {}", nothing(target))),
    }
    Ok(0)
}

pub(super) async fn apply(target: &Target, yes: bool) -> Result<i32> {
    let Some(text) = schema(target)? else {
        say(nothing(target));
        return Ok(0);
    };
    say(format!("-- what {} needs; what of it is there already stays as it is\n", target.shown()));
    say(text.trim_end());
    if !agreed("\napply what is missing?", yes)? {
        say("nothing was applied");
        return Ok(1);
    }
    let applied = schema_make(&target.config).await?;
    applied.iter().for_each(|statement| say(format!("applied: {}", one_line(statement))));
    say(if applied.is_empty() {
        "all of it was there".to_owned()
    } else {
        format!("statements applied: {}", applied.len())
    });
    Ok(0)
}

fn schema(target: &Target) -> Result<Option<String>> {
    if target.own_store.is_some() { Ok(None) } else { schema_text(&target.config) }
}

fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why there is nothing to apply.
fn nothing(target: &Target) -> String {
    let why = match (&target.own_store, target.config.store.split(':').next()) {
        (Some(_), _) => "this program brings it",
        (None, Some("sqlite")) => "its file gets its tables when a server opens it",
        (None, Some("memory")) => "it is gone with the process",
        _ => "it has no tables",
    };
    format!("nothing is to be applied to {}: {why}", target.shown())
}
