//! The load: 32 clients, each on a thread of its own, that add and read and write down every question and answer.
//!
//! Each client has a counter of its own, a few are everybody's, and many are touched now and then, so that they have to be
//! loaded. A call with a key is asked again until it is known what became of it; one without is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use remote_object::clock::Random;
use test_history::Recorder;

use super::http::{Answer, Client, NoAnswer};

pub const CLIENTS: u64 = 32;
const HOT: u64 = 4;
const WARM: u64 = 30;
/// How long a call with a key is asked again.
const AGAIN_MAX: Duration = Duration::from_secs(90);
/// Between two calls of a client while something has to get on beside them.
const SLOWLY: Duration = Duration::from_millis(500);
/// The deadline of a call.
const TIMEOUT: &str = "request-timeout: 4\r\n";
/// Half of them give up soon after a deadline; the others wait for whatever may still come.
const IMPATIENT: Duration = Duration::from_secs(6);
const PATIENT: Duration = Duration::from_secs(120);

/// What the clients share.
#[derive(Debug)]
pub struct Load {
    random: Random,
    recorder: RwLock<Arc<Recorder>>,
    /// What the counters of now are called.
    prefix: RwLock<String>,
    /// Who can be asked.
    servers: RwLock<Vec<SocketAddr>>,
    /// Whether any of them is asked, or the same one until it fails.
    any: AtomicBool,
    /// What became of each call, while somebody wants to know.
    seen: Mutex<Option<Vec<Seen>>>,
    /// Held by a client while it calls.
    calling: RwLock<()>,
    /// Whether they take their time.
    slow: AtomicBool,
    over: AtomicBool,
    answered: AtomicU64,
    not_executed: AtomicU64,
    unknown: AtomicU64,
    codes: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
    asked: Mutex<BTreeSet<String>>,
}

impl Load {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            random: Random::seeded(seed),
            recorder: RwLock::default(),
            prefix: RwLock::default(),
            servers: RwLock::default(),
            any: AtomicBool::new(false),
            seen: Mutex::default(),
            calling: RwLock::default(),
            slow: AtomicBool::new(false),
            over: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            not_executed: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            codes: Mutex::default(),
            wrong: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// 0..`limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    /// From here on these are asked.
    pub fn ask_of(&self, servers: &[SocketAddr]) {
        *self.servers.write().unwrap() = servers.to_vec();
    }

    /// From here on each call goes to any one of them.
    pub fn ask_any_of(&self, servers: &[SocketAddr]) {
        self.any.store(true, Ordering::SeqCst);
        self.ask_of(servers);
    }

    /// From here on it is written down what becomes of each call.
    pub fn watch(&self) {
        *self.seen.lock().unwrap() = Some(Vec::new());
    }

    /// What has become of the calls since then.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone().unwrap_or_default()
    }

    /// The same, and no more from here on.
    pub fn watched(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().take().unwrap_or_default()
    }

    /// Other counters, and a history of their own.
    pub fn begin(&self, prefix: String) {
        *self.prefix.write().unwrap() = prefix;
        *self.recorder.write().unwrap() = Arc::new(Recorder::new());
        self.asked.lock().unwrap().clear();
    }

    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::clone(&self.recorder.read().unwrap())
    }

    /// The counters that somebody asked for.
    pub fn objects(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().cloned().collect()
    }

    /// How many calls have been answered with what was asked for.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// What became of all questions: answered with what was asked for, certainly without effect, and nobody knows.
    pub fn outcomes(&self) -> [u64; 3] {
        [&self.answered, &self.not_executed, &self.unknown].map(|count| count.load(Ordering::SeqCst))
    }

    /// What was wrong with answers.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// How often each problem was answered, and how often nothing.
    pub fn codes(&self) -> BTreeMap<String, u64> {
        self.codes.lock().unwrap().clone()
    }

    /// While this is held nobody calls.
    pub fn quiet(&self) -> std::sync::RwLockWriteGuard<'_, ()> {
        self.calling.write().unwrap()
    }

    /// Meanwhile the clients call seldom: what starts beside them would not get on on few processors.
    pub fn slowly<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.slow.store(true, Ordering::SeqCst);
        let done = meanwhile();
        self.slow.store(false, Ordering::SeqCst);
        done
    }

    /// Starts the clients.
    pub fn clients(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let client = |number| {
            let load = Arc::clone(self);
            let patience = if number % 2 == 0 { PATIENT } else { IMPATIENT };
            thread::spawn(move || Caller { load, client: Client::new(patience), server: 0 }.run(number))
        };
        (0..CLIENTS).map(client).collect()
    }

    /// Ends them, each after the call it is at.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn note(&self, id: &str, server: SocketAddr, asked: Instant, failed: Option<String>) {
        if let Some(seen) = self.seen.lock().unwrap().as_mut() {
            seen.push(Seen { id: id.to_owned(), server, asked, over: Instant::now(), failed });
        }
    }

    fn count(&self, code: String) {
        *self.codes.lock().unwrap().entry(code).or_default() += 1;
    }
}

/// What became of one question.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The counter.
    pub id: String,
    pub server: SocketAddr,
    pub asked: Instant,
    pub over: Instant,
    /// Why it was not answered with what was asked for: `NotSent`, `Lost`, or the status and code.
    pub failed: Option<String>,
}

/// One who calls and writes down.
pub struct Caller {
    load: Arc<Load>,
    client: Client,
    /// Which of the servers it asks.
    server: usize,
}

/// What came of one question.
enum Told {
    /// It was answered as it was meant.
    Answer(Answer),
    /// It certainly had no effect.
    NotExecuted,
    /// Nobody knows.
    Unknown,
}

impl Caller {
    pub fn new(load: &Arc<Load>) -> Self {
        Self { load: Arc::clone(load), client: Client::new(IMPATIENT), server: 0 }
    }

    fn run(mut self, number: u64) {
        let load = Arc::clone(&self.load);
        for call in 0_u64.. {
            if load.is_over() {
                return;
            }
            let calling = load.calling.read().unwrap();
            let what = load.below(100);
            let prefix = load.prefix.read().unwrap().clone();
            let id = match what {
                0..=39 => format!("{prefix}-own-{number}"),
                40..=79 => format!("{prefix}-hot-{}", load.below(HOT)),
                _ => format!("{prefix}-warm-{}", load.below(WARM)),
            };
            // An object remembers its last 256 keyed calls: of the hot ones, too few for keys to be the rule.
            let keyed = matches!(what, 0..=14 | 40 | 80..=84).then(|| format!("{prefix}-{number}-{call}"));
            match what {
                25..=39 | 62..=79 | 90.. => self.read(&id, false),
                _ => self.add(&id, keyed.as_deref()),
            }
            drop(calling);
            if load.slow.load(Ordering::SeqCst) {
                thread::sleep(SLOWLY);
            }
        }
    }

    /// Reads; until there is an answer, if one is needed.
    pub fn read(&mut self, id: &str, needed: bool) {
        let load = Arc::clone(&self.load);
        load.asked.lock().unwrap().insert(id.to_owned());
        let began = Instant::now();
        loop {
            let recorder = load.recorder();
            let from = recorder.asked();
            if let Told::Answer(answer) = self.ask("GET", id, "", "", "") {
                match value_of(&answer) {
                    Some(value) => recorder.read(id, from, value, answer.header("etag")),
                    None => load.wrong.lock().unwrap().push(format!("{id}: a read was answered {answer:?}")),
                }
                return;
            }
            if !needed {
                return self.pause();
            }
            if began.elapsed() > AGAIN_MAX {
                return load.wrong.lock().unwrap().push(format!("{id}: cannot be read for {AGAIN_MAX:?}"));
            }
            self.pause();
        }
    }

    /// Adds one; with a key it is asked again until it is known what became of it.
    pub fn add(&mut self, id: &str, key: Option<&str>) {
        let load = Arc::clone(&self.load);
        load.asked.lock().unwrap().insert(id.to_owned());
        let key = key.map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));
        let headers = format!("content-type: application/json\r\n{key}");
        let began = Instant::now();
        let recorder = load.recorder();
        let from = recorder.asked();
        let mut may_have_happened = false;
        loop {
            match self.ask("POST", id, "/add", &headers, "{\"by\":1}") {
                Told::Answer(answer) => {
                    return match answer.body.trim().parse() {
                        Ok(value) => recorder.added(id, from, value, answer.header("etag")),
                        Err(_) => load.wrong.lock().unwrap().push(format!("{id}: an add was answered {answer:?}")),
                    };
                }
                Told::NotExecuted => {}
                Told::Unknown => may_have_happened = true,
            }
            self.pause();
            // One that never had an effect need not be asked again when all is over.
            if key.is_empty() || began.elapsed() > AGAIN_MAX || (load.is_over() && !may_have_happened) {
                break;
            }
        }
        if may_have_happened {
            recorder.unknown(id, from);
        }
    }

    fn pause(&self) {
        thread::sleep(Duration::from_millis(10 + self.load.below(60)));
    }

    /// Asks a counter, or a method of it.
    fn ask(&mut self, verb: &str, id: &str, method: &str, headers: &str, body: &str) -> Told {
        let Some(server) = self.choose() else { return Told::NotExecuted };
        let told = self.ask_of(server, verb, id, method, headers, body);
        let count = match told {
            Told::Answer(_) => &self.load.answered,
            Told::NotExecuted => &self.load.not_executed,
            Told::Unknown => &self.load.unknown,
        };
        count.fetch_add(1, Ordering::SeqCst);
        told
    }

    fn ask_of(&mut self, server: SocketAddr, verb: &str, id: &str, method: &str, headers: &str, body: &str) -> Told {
        let (path, asked) = (format!("/objects/counter/{id}{method}"), Instant::now());
        let answer = self.client.ask(server, verb, &path, &format!("{TIMEOUT}{headers}"), body);
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                self.server += 1;
                self.load.count(format!("{why:?}"));
                self.load.note(id, server, asked, Some(format!("{why:?}")));
                return if matches!(why, NoAnswer::NotSent) { Told::NotExecuted } else { Told::Unknown };
            }
        };
        if answer.status == 200 || (answer.status == 404 && verb == "GET") {
            self.load.note(id, server, asked, None);
            return Told::Answer(answer);
        }
        let code = answer.code();
        self.load.count(code.clone());
        self.load.note(id, server, asked, Some(format!("{} {code}", answer.status)));
        match (answer.status, code.as_str()) {
            (421 | 503 | 504, _) => self.server += 1,
            (429, _) | (409, "idempotency-key-in-use") => {}
            _ => self.load.wrong.lock().unwrap().push(format!("{verb} {path} was answered {answer:?}")),
        }
        if answer.is_not_executed() { Told::NotExecuted } else { Told::Unknown }
    }

    /// The server to be asked.
    fn choose(&self) -> Option<SocketAddr> {
        let servers = self.load.servers.read().unwrap();
        let count = servers.len();
        let at = if self.load.any.load(Ordering::SeqCst) {
            self.load.below(count.max(1) as u64) as usize
        } else {
            self.server
        };
        servers.get(at % count.max(1)).copied()
    }
}

/// What a state shows; zero where there is none.
fn value_of(answer: &Answer) -> Option<u64> {
    if answer.status == 404 {
        return Some(0);
    }
    let state: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    state["value"].as_u64()
}
