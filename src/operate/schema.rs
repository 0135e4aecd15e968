//! `schema`: the tables that a store needs, printed or applied; never at a start, and by one who asks first.

use super::Target;
use super::console::say;
use crate::error::Result;

pub(super) fn print(target: &Target) -> Result<i32> {
    say(format!("-- {}", nothing(target)));
    Ok(0)
}

#[allow(clippy::unused_async, reason = "to be filled")]
pub(super) async fn apply(target: &Target, _yes: bool) -> Result<i32> {
    say(nothing(target));
    Ok(0)
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
