//! The tables: the numbered files in `schemas/cassandra`, filled in, shown or applied. Never at start, and never unasked.

use scylla::client::session::Session;

use super::facts::{self, Facts, Product};
use super::fault::Fault;
use super::session::change_schema;
use super::settings::Settings;
use super::{connected, unreachable};
use crate::config::Config;
use crate::error::{Error, Result};

/// The steps, in order. The last statement of each says its number in the comment of the table `register`.
const STEPS: [&str; 1] = [include_str!("../../../schemas/cassandra/0001.cql")];
/// What that comment begins with.
const COMMENT: &str = "remote-object schema ";
/// What Scylla must be told while its transactions do not work on tablets.
const NO_TABLETS: &str = " AND tablets = {'enabled': false}";

/// How many steps this build knows.
pub(super) const NEWEST: usize = STEPS.len();

/// The statements that make the tables of the store that `config.store` names, as CQL for `cqlsh`. Asks no server.
///
/// # Errors
/// `config` when the URL is wrong.
pub fn schema_print(config: &Config) -> Result<String> {
    let settings = Settings::read(config)?;
    let mut text = String::new();
    for step in STEPS {
        text.push_str(&filled(step, &settings, ""));
        text.push('\n');
    }
    let note = format!("-- Scylla from 2024.2 or 6.0 to before 2025.4: the keyspace must be made with{NO_TABLETS}\n\n");
    Ok(note + &text)
}

/// Makes the tables, or what of them is missing, one statement after the other, each known to every server before the next.
/// Gives the statements it applied: none, when all was there. To be run by one process at a time; safe to run again.
///
/// # Errors
/// `config` when the cluster cannot be used or refuses a statement, with the statement.
pub async fn schema_apply(config: &Config) -> Result<Vec<String>> {
    let settings = Settings::read(config)?;
    let session = connected(&settings).await?;
    let facts = facts::read(&session, &settings.tables).await.map_err(|fault| unreachable(&settings, &fault))?;
    let taken = match taken(&facts) {
        Some(taken) if taken > NEWEST => {
            return Err(Error::config(format!("{:?}: {}", settings.shown, newer(taken))));
        }
        taken => taken.unwrap_or(0),
    };
    let tablets = if needs_no_tablets(&facts) { NO_TABLETS } else { "" };
    let mut applied = Vec::new();
    for step in &STEPS[taken..] {
        for statement in statements(&filled(step, &settings, tablets)) {
            // It may be there because somebody else may make keyspaces, and we may not.
            if statement.starts_with("CREATE KEYSPACE") && facts.keyspace.is_some() {
                continue;
            }
            apply(&session, &settings, &statement).await?;
            applied.push(statement);
        }
    }
    Ok(applied)
}

async fn apply(session: &Session, settings: &Settings, statement: &str) -> Result<()> {
    tracing::info!(statement, "changing the schema");
    change_schema(session, statement).await.map_err(|fault: Fault| {
        let fault = super::fault::one_line(&fault.to_string());
        let statement = super::fault::one_line(statement);
        Error::config(format!(
            "{:?}: {statement:?} was not applied: {fault}; see to it and run this again, what was applied stays",
            settings.shown
        ))
    })
}

/// The step that a keyspace's tables are at, if they are there.
pub(super) fn taken(facts: &Facts) -> Option<usize> {
    facts.tables.get("register")?.comment.strip_prefix(COMMENT)?.parse().ok()
}

/// What an older build says to tables of a newer one.
pub(super) fn newer(taken: usize) -> String {
    format!(
        "the tables were made by a newer release (step {taken}, this build knows up to {NEWEST}); use the newer release, \
         or another keyspace or prefix"
    )
}

/// Scylla has tablets from 6.0 and 2024.2, and transactions on them from 2025.4.
fn needs_no_tablets(facts: &Facts) -> bool {
    let told = facts.servers.iter().filter_map(|server| server.told.as_ref());
    told.filter(|told| told.product == Product::Scylla).any(|told| {
        let (major, minor, _) = told.version.numbers;
        (6..100).contains(&major) || ((2024, 2)..(2025, 4)).contains(&(major, minor))
    })
}

fn filled(step: &str, settings: &Settings, tablets: &str) -> String {
    // The first line tells of the placeholders.
    let step = step.split_once('\n').map_or(step, |(_, rest)| rest);
    step.replace("{keyspace}", &settings.tables.keyspace)
        .replace("{prefix}", &settings.tables.prefix)
        .replace("{replication}", &settings.replication.to_string())
        .replace("{tablets}", tablets)
}

/// The statements of a file: without comments, each without its semicolon.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code).trim_end());
    let code = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    code.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config { store: url.into(), ..Config::default() }
    }

    #[test]
    fn the_files_are_filled_in_and_every_step_says_its_number_last() {
        let text = schema_print(&config("cassandra://c1/ks?prefix=shop_&replication=dc1:3")).unwrap();
        assert!(!text.contains("{keyspace}") && !text.contains("{prefix}") && !text.contains("{tablets}"), "{text}");
        assert!(text.contains("CREATE TABLE IF NOT EXISTS ks.shop_object ("), "{text}");
        assert!(text.contains("{'class': 'NetworkTopologyStrategy', 'dc1': 3}"), "{text}");
        for (at, step) in STEPS.iter().enumerate() {
            let last = statements(step).pop().unwrap();
            assert!(last.ends_with(&format!("comment = '{COMMENT}{}'", at + 1)), "{last}");
        }
    }

    #[test]
    fn a_file_is_taken_apart_into_statements() {
        let all = statements(STEPS[0]);
        assert_eq!(all.len(), 5, "{all:#?}");
        assert!(all.iter().all(|statement| statement.starts_with("CREATE ") && !statement.contains("--")), "{all:#?}");
    }
}
