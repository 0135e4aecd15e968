//! A counter server that breaks one promise, so that the crash test is seen to notice.
//!
//! Started as `objectd` is; the promise to break is named by the environment variable `BREAK`: `nothing`,
//! `durability` (answers before it commits), `keys` (forgets idempotency keys when it dies), `tags` (numbers its ETags
//! from one at every start), `once` (a kept journal is applied again at the start), `half` (some states are written
//! in part).

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

/// Which promise is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Break {
    Nothing,
    Durability,
    Keys,
    Tags,
    Once,
    Half,
}

fn broken() -> Break {
    match std::env::var("BREAK").as_deref() {
        Ok("durability") => Break::Durability,
        Ok("keys") => Break::Keys,
        Ok("tags") => Break::Tags,
        Ok("once") => Break::Once,
        Ok("half") => Break::Half,
        _ => Break::Nothing,
    }
}

#[derive(Default, Clone)]
struct Counter {
    value: i64,
    version: i64,
    last: i64,
    keys: HashMap<String, (i64, i64)>,
}

struct Server {
    broken: Break,
    version: i64,
    counters: HashMap<String, Counter>,
    waiting: Vec<String>,
    store: Connection,
}

impl Server {
    fn open(path: &str) -> rusqlite::Result<Self> {
        let store = Connection::open(path)?;
        store.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS object
                 (type TEXT, id TEXT, version INTEGER, last INTEGER, state TEXT, keys TEXT, PRIMARY KEY (type, id));",
        )?;
        let broken = broken();
        let mut counters = HashMap::new();
        let mut version = 0;
        let mut rows = store.prepare("SELECT id, version, state, last, keys FROM object")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let state: String = row.get(2)?;
            let keys: String = row.get(4)?;
            let value = state.trim_start_matches("{\"value\":").trim_end_matches('}').parse().unwrap_or(0);
            let (last, keys) = (row.get(3)?, serde_json::from_str(&keys).unwrap_or_default());
            let mut counter = Counter { value, version: row.get(1)?, last, keys };
            version = version.max(counter.version);
            match broken {
                Break::Keys => counter.keys.clear(),
                Break::Once => counter.value += counter.last,
                _ => {}
            }
            counters.insert(row.get(0)?, counter);
        }
        if broken == Break::Tags {
            version = 0;
        }
        Ok(Self { broken, version, counters, waiting: Vec::new(), store: Connection::open(path)? })
    }

    fn add(&mut self, id: &str, by: i64, key: Option<&str>) -> (i64, i64, bool) {
        self.version += 1;
        let counter = self.counters.entry(id.to_owned()).or_default();
        if let Some((reply, version)) = key.and_then(|key| counter.keys.get(key)) {
            return (*reply, *version, true);
        }
        counter.value += by;
        counter.version = self.version;
        counter.last = by;
        if let Some(key) = key {
            counter.keys.insert(key.to_owned(), (counter.value, counter.version));
        }
        let (value, version) = (counter.value, counter.version);
        if self.broken == Break::Durability {
            self.waiting.push(id.to_owned());
        } else {
            self.commit(&[id.to_owned()]);
        }
        (value, version, false)
    }

    fn commit(&mut self, ids: &[String]) {
        self.store.execute_batch("BEGIN").expect("the store takes it");
        for id in ids {
            let counter = &self.counters[id];
            let half = self.broken == Break::Half && counter.version % 500 == 0;
            let state = format!("{{\"value\":{}{}", counter.value, if half { "" } else { "}" });
            let keys = serde_json::to_string(&counter.keys).expect("plain data");
            let sql = "INSERT OR REPLACE INTO object (type, id, version, last, state, keys) VALUES ('counter', ?1, ?2, ?3, ?4, ?5)";
            let row = rusqlite::params![id, counter.version, counter.last, state, keys];
            self.store.prepare_cached(sql).and_then(|mut sql| sql.execute(row)).expect("the store takes it");
        }
        self.store.execute_batch("COMMIT").expect("the store takes it");
    }
}

fn serve(stream: TcpStream, server: &Mutex<Server>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let (mut first, mut key, mut length) = (String::new(), None, 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim().split_once(": ") {
                Some(("idempotency-key", value)) => key = Some(value.to_owned()),
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let mut parts = path.trim_start_matches("/objects/counter/").split('/');
        let id = parts.next().unwrap_or_default();
        let mut server = server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (status, etag, replayed, body) = if first.starts_with("POST") {
            let by: serde_json::Value = serde_json::from_slice(&body)?;
            let (value, version, replayed) = server.add(id, by["by"].as_i64().unwrap_or(0), key.as_deref());
            (200, version, replayed, value.to_string())
        } else {
            match server.counters.get(id) {
                Some(counter) => (200, counter.version, false, format!("{{\"value\":{}}}", counter.value)),
                None => (404, 0, false, String::new()),
            }
        };
        drop(server);
        let length = body.len();
        write!(
            writer,
            "HTTP/1.1 {status} A\r\netag: \"{etag}\"\r\nidempotency-replayed: {replayed}\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).cloned().unwrap_or_default();
    let server = Arc::new(Mutex::new(Server::open(after("--store").trim_start_matches("sqlite:"))?));
    let late = Arc::clone(&server);
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(20));
            let mut server = late.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let waiting = std::mem::take(&mut server.waiting);
            server.commit(&waiting);
        }
    });
    for stream in TcpListener::bind(after("--listen"))?.incoming() {
        let (stream, server) = (stream?, Arc::clone(&server));
        thread::spawn(move || serve(stream, &server));
    }
    Ok(())
}
