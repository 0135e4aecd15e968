//! The books of a scenario: a store, clients at work on it, and what befalls them told in rounds; a look at everything
//! that was seen, and what is kept when it cannot be.
//!
//! Who serves is none of its business: one node (`run.rs`), or a cluster (`tests/cluster`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remote_object::Config;
use remote_object::model::{ObjectKey, Ordering};
use remote_object::storage::{Datastore, open, schema_apply};
use tempfile::TempDir;
use test_history::{Counts, History};
use tokio::runtime::Runtime;

use super::clients::{Caller, Load};
use super::servers::Server;
use super::tally::Tally;

/// After so many looks the clients turn to new counters: a history is judged whole, so it must not grow for ever.
const LOOKS_OF_A_HISTORY: u32 = 10;
/// What is wrong once may show a thousand times.
const LINES_MAX: usize = 20;
/// So little room in L1 that most objects are loaded again and again.
const L1_BYTES: u64 = 20_000;
/// A call whose client has lost its answer may run until its deadline is over: so often, and after such pauses, what is in
/// the store is compared with what is read anew.
const COMPARED: u32 = 4;
const COMPARED_AFTER: Duration = Duration::from_millis(1_500);

/// The books of a scenario under way.
pub struct Book {
    pub load: Arc<Load>,
    /// The servers' files.
    pub dir: TempDir,
    name: String,
    seed: u64,
    clients: Vec<JoinHandle<()>>,
    /// The store, seen past objectd.
    store: Arc<dyn Datastore>,
    runtime: Runtime,
    began: Instant,
    rounds: u32,
    looks: u32,
    counts: Counts,
    tally: Tally,
    /// What explains a failure is kept already.
    kept: AtomicBool,
    _alone: Alone,
}

/// One scenario at a time: two would take each other's time.
pub type Alone = MutexGuard<'static, ()>;

pub fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run is told by its environment; see `cargo xtask faults`.
fn told(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it is a number")))
}

/// A store, with its tables if it has any.
async fn opened(config: &Config) -> remote_object::Result<Arc<dyn Datastore>> {
    if config.store.starts_with("cassandra:") {
        schema_apply(config).await?;
    }
    open(config).await
}

impl Book {
    /// Opens the store of a scenario, and sets its clients to work.
    pub fn open(name: &str, config: &Config, alone: Alone) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = runtime.block_on(async {
            // Nodes that have just begun may be slow to agree on tables, and any store is on a busy machine; to ask once more
            // is what is to be done then.
            let mut tries = 0;
            loop {
                match opened(config).await {
                    Ok(store) => return store,
                    Err(error) => assert!(tries < 5, "no store: {error:?}"),
                }
                tries += 1;
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        });
        let seed = told("FAULTS_SEED").unwrap_or_else(of_now);
        let load = Load::new(seed);
        load.begin(format!("{name}-{:x}", of_now()));
        println!("{name}: seed {seed}");
        let dir = tempfile::Builder::new().prefix("objectd-faults-").tempdir().unwrap();
        Self {
            clients: load.clients(),
            load,
            dir,
            name: name.to_owned(),
            seed,
            store,
            runtime,
            began: Instant::now(),
            rounds: 0,
            looks: 0,
            counts: Counts::default(),
            tally: Tally::default(),
            kept: AtomicBool::new(false),
            _alone: alone,
        }
    }

    /// Writes the settings of its servers: this store, and the caches of this URL.
    pub fn settings(&self, config: &Config, cache: &str) {
        let Config { store, allow_periodic, accept_weak_durability, .. } = config;
        let cache = if cache.is_empty() { String::new() } else { format!("cache = \"{cache}\"\n") };
        let text = format!(
            "store = \"{store}\"\n{cache}allow-periodic = {allow_periodic}\n\
             accept-weak-durability = {accept_weak_durability}\n[limits]\nl1-bytes = {L1_BYTES}\n"
        );
        fs::write(self.dir.path().join("objectd.toml"), text).unwrap();
    }

    /// Whether there is another round: `rounds` of them, unless the environment says how many or how long.
    pub fn goes_on(&mut self, rounds: u32) -> bool {
        self.rounds += 1;
        let of_time = told("FAULTS_SECONDS").map(|seconds| self.began.elapsed() < Duration::from_secs(seconds));
        match (told("FAULTS_ROUNDS"), of_time) {
            (None, None) => self.rounds <= rounds,
            (rounds, of_time) => rounds.is_none_or(|rounds| u64::from(self.rounds) <= rounds) && of_time != Some(false),
        }
    }

    /// Whether it is played for longer than tests have time for.
    pub fn is_long(&self) -> bool {
        told("FAULTS_ROUNDS").is_some() || told("FAULTS_SECONDS").is_some()
    }

    pub fn round(&self) -> u32 {
        self.rounds
    }

    /// Counts something that befalls the servers.
    pub fn fault(&self, what: &str) {
        self.tally.fault(what);
    }

    /// Some time between the two.
    pub fn between(&self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.load.below(to_ms - from_ms))
    }

    pub fn sleep(&self, from_ms: u64, to_ms: u64) {
        thread::sleep(self.between(from_ms, to_ms));
    }

    /// Waits until so many more calls have been answered.
    #[track_caller]
    pub fn answers(&self, more: u64, within: Duration, why: &str) {
        let (began, before) = (Instant::now(), self.load.answered());
        while self.load.answered() < before + more {
            if began.elapsed() > within {
                self.fail(vec![format!("{why}: {} answers within {within:?}", self.load.answered() - before)]);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the clients pause, reads every counter, compares it with the store, and judges everything that was seen so
    /// far. There must be a server that answers.
    #[track_caller]
    pub fn look(&mut self) {
        let load = Arc::clone(&self.load);
        let quiet = load.quiet();
        let mut caller = Caller::new(&self.load);
        let objects = self.load.objects();
        objects.iter().for_each(|id| caller.read(id, true));
        let mut wrong = self.load.wrong();
        match self.load.recorder().check() {
            Ok(counts) => {
                wrong.extend(self.differs_from_the_store(&objects));
                self.looks += 1;
                if self.looks.is_multiple_of(LOOKS_OF_A_HISTORY) {
                    self.counts.add(counts);
                    self.load.begin(format!("{}-{:x}", self.name, of_now()));
                }
            }
            Err(lines) => wrong.extend(lines),
        }
        drop(quiet);
        if !wrong.is_empty() {
            self.fail(wrong);
        }
    }

    /// What is in the store must be what was read last.
    ///
    /// On a store that takes a put iff it was made on what stands there, one of a former owner may still land after the next
    /// owner has read: nobody was told of it, and the next edit finds it. So there that edit is made.
    fn differs_from_the_store(&self, objects: &[String]) -> Vec<String> {
        let mut differ: Vec<(String, u64)> = Vec::new();
        for tried in 0..COMPARED {
            if tried > 0 {
                thread::sleep(COMPARED_AFTER);
                let mut caller = Caller::new(&self.load);
                let finds = self.store.caps().ordering == Ordering::Conditional;
                differ.iter().for_each(|(id, _)| match finds {
                    true => caller.add(id, Some(&format!("look-{}-{tried}", self.looks))),
                    false => caller.read(id, true),
                });
            }
            let again: Vec<String> = differ.iter().map(|(id, _)| id.clone()).collect();
            let histories = self.load.recorder().histories();
            let differs = |id: &String| {
                let (there, read) = (self.in_the_store(id)?, histories.get(id)?.greatest());
                (there != read).then(|| (id.clone(), there))
            };
            differ = if tried == 0 { objects } else { &again }.iter().filter_map(differs).collect();
            if differ.is_empty() {
                break;
            }
        }
        let histories = self.load.recorder().histories();
        let told = |(id, there): &(String, u64)| {
            format!("{id}: the store has {there}, and {} was read", histories.get(id).map_or(0, History::greatest))
        };
        differ.iter().map(told).collect()
    }

    /// What the store has of a counter, if it says so.
    fn in_the_store(&self, id: &str) -> Option<u64> {
        let key = ObjectKey::new("counter", id).unwrap();
        let loaded = self.runtime.block_on(self.store.load(&key)).ok()?;
        let state =
            loaded.map_or(serde_json::Value::Null, |loaded| serde_json::from_slice(&loaded.record.state).unwrap());
        Some(state["value"].as_u64().unwrap_or(0))
    }

    /// A last look, and the end.
    #[track_caller]
    pub fn end(mut self) {
        self.look();
        self.load.end();
        self.clients.drain(..).for_each(|client| client.join().unwrap());
        // What was answered since that look.
        match self.load.recorder().check() {
            Ok(counts) => self.counts.add(counts),
            Err(wrong) => self.fail(wrong),
        }
        let Counts { histories, adds, reads, unknown, unknown_found } = self.counts;
        println!(
            "{}: {} rounds in {:.0} s; {}; {adds} adds acknowledged, all found once; {unknown} left open, of which \
             {unknown_found} took effect; {reads} reads; {histories} histories; otherwise answered: {:?}",
            self.name,
            self.rounds.saturating_sub(1),
            self.began.elapsed().as_secs_f64(),
            self.tally.told(),
            self.load.codes()
        );
        self.tally.write(&self.load, self.counts);
        assert!(adds > 0 && reads > 0, "nothing happened, so nothing was shown");
    }

    /// Tells what is wrong, keeps what explains it, and ends the test.
    #[track_caller]
    pub fn fail(&self, wrong: Vec<String>) -> ! {
        let kept = self.keep(&wrong);
        self.tally.write(&self.load, self.counts);
        let lines = wrong.iter().take(LINES_MAX).map(String::as_str).collect::<Vec<_>>().join("\n  ");
        panic!(
            "{}, seed {}, round {}: {} things are wrong; the whole history is in {to}/histories, the shortest of each \
             counter that cannot be in {to}/shortest, the servers' logs beside them\n  {lines}",
            self.name,
            self.seed,
            self.rounds,
            wrong.len(),
            to = kept.display()
        );
    }

    /// The servers' logs, all histories, and of those that cannot be the fewest answers that show it.
    fn keep(&self, wrong: &[String]) -> PathBuf {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}-{}", self.name, self.seed));
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(self.dir.path()).unwrap().flatten().filter(|file| file.path().is_file()) {
            let _ = fs::copy(file.path(), to.join(file.file_name()));
        }
        self.kept.store(true, atomic::Ordering::SeqCst);
        let head = format!("{}, seed {}, round {}: {}\n", self.name, self.seed, self.rounds, self.tally.told());
        fs::write(to.join("wrong"), format!("{head}{}\n", wrong.join("\n"))).unwrap();
        let (mut all, mut shortest) = (head.clone(), head);
        for (object, mut history) in self.load.recorder().histories() {
            history.sort();
            history.0.iter().for_each(|op| all += &format!("{object}: {op}\n"));
            if let Some(short) = history.shortest() {
                shortest += &format!("{object}:\n{short}\n");
            }
        }
        fs::write(to.join("histories"), all).unwrap();
        fs::write(to.join("shortest"), shortest).unwrap();
        to
    }
}

/// Nobody calls any more, however it ended; and what explains a failure is kept, whoever found it.
impl Drop for Book {
    fn drop(&mut self) {
        self.load.end();
        if thread::panicking() && !self.kept.load(atomic::Ordering::SeqCst) {
            let kept = self.keep(&["the test ended in a panic of its own".to_owned()]);
            eprintln!("{}, seed {}: histories and logs are in {}", self.name, self.seed, kept.display());
        }
    }
}

/// The settings of a store in Cassandra of this test binary's own.
pub fn cassandra(hosts: &str) -> Config {
    let mut config = Config::default();
    config.store = format!("cassandra://{hosts}/{}", keyspace());
    config.allow_periodic = true;
    config
}

/// The settings of a store in Redis that nobody else uses.
pub fn redis(address: &str) -> Config {
    let mut config = Config::default();
    config.store = format!("redis://{address}/0?prefix=faults-{:x}:", of_now());
    config.accept_weak_durability = true;
    config
}

/// The URL of caches; none of none.
pub fn url_of(caches: &[Server]) -> String {
    let caches: Vec<String> = caches.iter().map(|cache| cache.address.to_string()).collect();
    if caches.is_empty() { String::new() } else { format!("memcached://{}", caches.join(",")) }
}

/// A keyspace that no other process of this machine uses: two servers of one name on one store would end each other.
/// They stay, since to make one takes seconds.
fn keyspace() -> &'static str {
    static KEYSPACE: OnceLock<(String, File)> = OnceLock::new();
    let (name, _) = KEYSPACE.get_or_init(|| {
        let lock = |number| {
            let name = format!("objectd_faults_{number}");
            let path = std::env::temp_dir().join(format!("remote-object-{name}.lock"));
            let file = File::options().create(true).truncate(false).write(true).open(path).unwrap();
            file.try_lock().is_ok().then_some((name, file))
        };
        (0..).find_map(lock).expect("one of them is free")
    });
    name
}

/// A number that was never before.
pub fn of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Says aloud that a scenario cannot be played here.
pub fn skipped<T>(name: &str, why: &str) -> Option<T> {
    let required = std::env::var("REQUIRE_BACKENDS").is_ok_and(|set| !set.is_empty() && set != "0");
    assert!(!required, "{name} cannot be played: {why}");
    // The harness captures what `eprintln!` writes, and shows it of failed tests alone.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {name}: {why}\n").as_bytes());
    None
}
