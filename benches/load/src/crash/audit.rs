//! After a restart: what the server says, and what its file says, against the books.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::ledger::{Add, Books, Counter, Counts, Shared};
use super::worker::{add_request, value_of};
use crate::wire::{Answer, Client, get};

/// Compares.
#[derive(Debug)]
pub(super) struct Auditor {
    path: PathBuf,
}

/// What the server shows of one counter.
struct Shown {
    answer: Answer,
    /// `None` when there is no such counter.
    value: Option<i64>,
}

impl Auditor {
    /// For the store in this file.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Settles what the kill left open: looks at every counter in use, asks again what had a key, reads the file.
    pub(super) fn settle(&self, books: &mut Books, address: SocketAddr) -> Result<Vec<String>> {
        let mut client = Client::connect(address)?;
        let file = File::open(self)?;
        let mut violations = Vec::new();
        let Books { tills, shared, counts } = books;
        for till in tills {
            for counter in &mut till.counters {
                let often = till.random.one_in(4);
                match settle_counter(&mut client, counter, counts, often)? {
                    Ok(shown) => violations.extend(file.differs(&counter.id, &shown)?),
                    Err(text) => violations.push(text),
                }
            }
        }
        for counter in shared {
            let shown = show(&mut client, &counter.id)?;
            match shown.and_then(|shown| settle_shared(counter, counts, shown)) {
                Ok(shown) => violations.extend(file.differs(&counter.id, &shown)?),
                Err(text) => violations.push(text),
            }
        }
        Ok(violations)
    }

    /// Everything that ever was, once more.
    pub(super) fn all(&self, books: &Books, address: SocketAddr) -> Result<Vec<String>> {
        let mut client = Client::connect(address)?;
        let file = File::open(self)?;
        let mut violations = Vec::new();
        let mut there = 0;
        let owned = books.tills.iter().flat_map(|till| till.counters.iter().chain(&till.retired));
        let owned = owned.map(|counter| (&counter.id, counter.value));
        let shared = books.shared.iter().map(|counter| (&counter.id, counter.value()));
        for (id, value) in owned.chain(shared) {
            match show(&mut client, id)? {
                Ok(shown) if shown.value.unwrap_or(0) == value => {
                    there += u64::from(shown.value.is_some());
                    violations.extend(file.differs(id, &shown)?);
                }
                Ok(shown) => violations.push(format!("{id}: holds {:?} in the end, must hold {value}", shown.value)),
                Err(text) => violations.push(text),
            }
        }
        let rows = file.rows()?;
        if rows != there {
            violations.push(format!("the file has {rows} counters, {there} were made"));
        }
        Ok(violations)
    }
}

fn show(client: &mut Client, id: &str) -> Result<Result<Shown, String>> {
    let answer = client.ask(&get(&format!("/objects/counter/{id}"))).context("a GET after the restart")?;
    let value = value_of(&answer.body);
    Ok(match (answer.status, value) {
        (200, Some(_)) => Ok(Shown { answer, value }),
        (404, _) => Ok(Shown { answer, value: None }),
        _ => Err(format!("{id}: GET after the restart is {} {}", answer.status, answer.body)),
    })
}

fn settle_counter(
    client: &mut Client,
    counter: &mut Counter,
    counts: &mut Counts,
    often: bool,
) -> Result<Result<Shown, String>> {
    let shown = match show(client, &counter.id)? {
        Ok(shown) => shown,
        Err(text) => return Ok(Err(text)),
    };
    let took_effect = match counter.found(shown.value, shown.answer.etag.as_deref()) {
        Ok(took_effect) => took_effect,
        Err((text, lost)) => {
            counts.lost += lost;
            return Ok(Err(text));
        }
    };
    let open = counter.open.take();
    counts.unknown += u64::from(open.is_some());
    counts.unknown_found += u64::from(took_effect);
    let before = counter.value;
    if let Some(value) = shown.value {
        counter.value = value;
        if let Err(text) = counter.seen(shown.answer.etag.clone(), value) {
            return Ok(Err(text));
        }
    }
    match open {
        Some(add) if add.key.is_some() => {
            let expected = before + add.amount;
            counts.retried += 1;
            again(client, counter, &add, expected, took_effect)
        }
        _ => match counter.keyed.clone() {
            Some((add, reply)) if often => {
                counts.retried += 1;
                again(client, counter, &add, reply, true)
            }
            _ => Ok(Ok(shown)),
        },
    }
}

/// Asks an add again by its key; it must answer `reply`, and be there once.
fn again(
    client: &mut Client,
    counter: &mut Counter,
    add: &Add,
    reply: i64,
    took_effect: bool,
) -> Result<Result<Shown, String>> {
    let request = add_request(&counter.id, add.amount, add.key.as_deref());
    let answer = client.ask(&request).context("a retry after the restart")?;
    let told = answer.body.trim().parse().ok();
    if answer.status != 200 || told != Some(reply) || answer.replayed != took_effect {
        return Ok(Err(format!(
            "{}: add {} asked again by its key is {} {} (replayed: {}), must be {reply} (replayed: {took_effect})",
            counter.id, add.amount, answer.status, answer.body, answer.replayed
        )));
    }
    if !took_effect {
        counter.value = reply;
        counter.keyed = Some((add.clone(), reply));
    }
    let shown = match show(client, &counter.id)? {
        Ok(shown) => shown,
        Err(text) => return Ok(Err(text)),
    };
    if shown.value != Some(counter.value) {
        let Counter { id, value, .. } = counter;
        return Ok(Err(format!("{id}: holds {:?} after a retry by key, must hold {value}", shown.value)));
    }
    let seen = counter.seen(shown.answer.etag.clone(), counter.value);
    Ok(seen.map(|()| shown))
}

fn settle_shared(counter: &Shared, counts: &mut Counts, shown: Shown) -> Result<Shown, String> {
    let found = counter.found(shown.value, shown.answer.etag.clone());
    let (open, took_effect) = found.inspect_err(|_| counts.lost += 1)?;
    counts.unknown += open;
    counts.unknown_found += took_effect;
    Ok(shown)
}

/// The store's file, read beside the running server as anybody can.
struct File {
    connection: Connection,
    table: String,
}

impl File {
    fn open(auditor: &Auditor) -> Result<Self> {
        let path = &auditor.path;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection =
            Connection::open_with_flags(path, flags).with_context(|| format!("reading {}", path.display()))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        let table = Self::table(&connection).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { connection, table })
    }

    /// The table of the objects: the one with these columns.
    fn table(connection: &Connection) -> Result<String> {
        let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for name in &names {
            let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
            let columns: Vec<String> = columns.query_map([name], |row| row.get(0))?.collect::<Result<_, _>>()?;
            if ["type", "id", "state"].iter().all(|column| columns.iter().any(|other| other == column)) {
                return Ok(name.clone());
            }
        }
        bail!("none of the tables {names:?} has the columns type, id and state")
    }

    /// What is wrong when the file does not say what GET says.
    fn differs(&self, id: &str, shown: &Shown) -> Result<Option<String>> {
        let sql = format!("SELECT CAST(state AS TEXT) FROM \"{}\" WHERE type = 'counter' AND id = ?1", self.table);
        let state: Option<String> =
            self.connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?;
        let state = state.filter(|state| !state.is_empty());
        let same = match (&state, shown.value) {
            (None, None) => true,
            (Some(state), Some(value)) => value_of(state) == Some(value),
            _ => false,
        };
        Ok((!same).then(|| format!("{id}: the file says {state:?}, GET says {}", shown.answer.body)))
    }

    /// Counters that are there.
    fn rows(&self) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM \"{}\" WHERE type = 'counter' AND length(state) > 0", self.table);
        let rows: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(rows as u64)
    }
}
