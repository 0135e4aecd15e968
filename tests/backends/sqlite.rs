//! What the embedded store promises beyond the contract: one process, one schema, text that any tool shows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use remote_object::Config;
use remote_object::error::Kind;
use remote_object::model::{Cas, ObjectKey, Put, Record, Register, Seen, Version};
use remote_object::storage::{Datastore, Sqlite, open};

/// A directory of its own for each test, gone with it.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("remote-object-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key(id: &str) -> ObjectKey {
    ObjectKey::new("counter", id).unwrap()
}

fn record(seq: u32, state: &str) -> Record {
    Record {
        version: Version::new(1, seq),
        state: Bytes::copy_from_slice(state.as_bytes()),
        meta: Bytes::from_static(b"\x80"),
    }
}

fn stored(put: Put) -> remote_object::model::Rev {
    match put {
        Put::Stored(rev) => rev,
        other => panic!("not stored: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_stored_is_there_after_a_restart() {
    let dir = Dir::new("restart");
    let seen = {
        let store = Sqlite::open(dir.file()).unwrap();
        let rev = stored(store.put(&key("a"), None, &record(1, "{\"value\":1}")).await);
        let seen = Seen { version: Version::new(1, 1), rev };
        stored(store.put(&key("a"), Some(&seen), &record(2, "{\"value\":2}")).await);
        assert!(matches!(store.cas(&Register::cluster(), None, b"{}").await, Cas::Applied(_)));
        store.load(&key("a")).await.unwrap().unwrap()
    };
    let store = Sqlite::open(dir.file()).unwrap();
    assert_eq!(store.load(&key("a")).await.unwrap().unwrap(), seen);
    assert!(store.get(&Register::cluster()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_second_opener_is_told_which_process_holds_the_file() {
    let dir = Dir::new("second");
    let first = Sqlite::open(dir.file()).unwrap();
    let by_another_name = dir.file().parent().unwrap().join(".").join("store.db");
    let error = Sqlite::open(&by_another_name).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains(&format!("is used by process {}", std::process::id())), "{error}");
    assert!(error.message().contains("stop it, or use another file"), "{error}");
    drop(first);
    Sqlite::open(dir.file()).unwrap();
}

#[test]
fn a_store_outlives_the_runtime_it_was_first_used_on() {
    let dir = Dir::new("runtimes");
    let store: Arc<dyn Datastore> = Arc::new(Sqlite::open(dir.file()).unwrap());
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (first, second) = (runtime(), runtime());
    first.block_on(async { stored(store.put(&key("a"), None, &record(1, "1")).await) });
    // The first runtime is there, but nobody drives it.
    second.block_on(async { stored(store.put(&key("b"), None, &record(2, "1")).await) });
    drop(first);
    second.block_on(async { stored(store.put(&key("c"), None, &record(3, "1")).await) });
    drop(second);
    // And none at all.
    let waiting = store.put(&key("d"), None, &record(4, "1")).await_here();
    stored(waiting);
    assert!(store.load(&key("d")).await_here().unwrap().is_some());
}

trait AwaitHere: Future + Sized {
    fn await_here(self) -> Self::Output {
        let mut future = Box::pin(self);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            std::thread::yield_now();
        }
    }
}

impl<F: Future> AwaitHere for F {}

#[tokio::test]
async fn any_tool_reads_the_state_as_json_text_while_the_store_is_in_use() {
    let dir = Dir::new("text");
    let store = Sqlite::open(dir.file()).unwrap();
    stored(store.put(&key("visits"), None, &record(1, "{\"value\":5}")).await);
    let tool = rusqlite::Connection::open(dir.file()).unwrap();
    let row: (String, String, String, i64, String) = tool
        .query_row("SELECT type, id, typeof(state), json_extract(state, '$.value'), state FROM object", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .unwrap();
    assert_eq!(row, ("counter".into(), "visits".into(), "text".into(), 5, "{\"value\":5}".into()));
}

#[tokio::test]
async fn while_another_program_writes_nothing_is_stored_and_afterwards_it_is() {
    let dir = Dir::new("busy");
    let store = Sqlite::open(dir.file()).unwrap();
    let rev = stored(store.put(&key("a"), None, &record(1, "1")).await);
    let tool = rusqlite::Connection::open(dir.file()).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let seen = Seen { version: Version::new(1, 1), rev };
    let put = store.put(&key("a"), Some(&seen), &record(2, "2")).await;
    assert!(matches!(&put, Put::Refused(error) if error.kind() == Kind::StoreUnavailable), "{put:?}");
    assert_eq!(store.load(&key("a")).await.unwrap().unwrap().record, record(1, "1"));
    tool.execute_batch("ROLLBACK").unwrap();
    stored(store.put(&key("a"), Some(&seen), &record(2, "2")).await);
}

#[tokio::test]
async fn puts_asked_for_and_never_awaited_are_kept_when_the_store_is_closed() {
    let dir = Dir::new("dropped");
    {
        let store = Sqlite::open(dir.file()).unwrap();
        for n in 0..3000 {
            drop(store.put(&key(&n.to_string()), None, &record(1, "1")));
        }
    }
    let store = Sqlite::open(dir.file()).unwrap();
    for n in [0, 1023, 1024, 2999] {
        assert!(store.load(&key(&n.to_string())).await.unwrap().is_some(), "put {n} was asked for, and is not there");
    }
}

#[tokio::test]
async fn a_row_that_has_moved_is_found_by_its_name() {
    let dir = Dir::new("moved");
    let store = Sqlite::open(dir.file()).unwrap();
    let rev = stored(store.put(&key("a"), None, &record(1, "1")).await);
    let tool = rusqlite::Connection::open(dir.file()).unwrap();
    tool.execute("UPDATE object SET row = row + 100", []).unwrap();
    let seen = Seen { version: Version::new(1, 1), rev };
    let rev = stored(store.put(&key("a"), Some(&seen), &record(2, "2")).await);
    assert_eq!(store.load(&key("a")).await.unwrap().unwrap().rev, rev);
}

#[tokio::test]
async fn a_caller_who_is_alone_is_answered_without_another_thread() {
    let dir = Dir::new("alone");
    let store = Sqlite::open(dir.file()).unwrap();
    let mut seen = None;
    let mut at_once = 0;
    // Not each of them on a slow disk.
    for n in 1..1000 {
        let (key, record) = (key("a"), record(n, &n.to_string()));
        let answer = {
            let mut put = store.put(&key, seen.as_ref(), &record);
            let first = (&mut put).now_or_never();
            at_once += u32::from(first.is_some());
            match first {
                Some(answer) => answer,
                None => put.await,
            }
        };
        seen = Some(Seen { version: record.version, rev: stored(answer) });
    }
    assert!(at_once > 0);
    drop(store);
    let store = Sqlite::open(dir.file()).unwrap();
    assert_eq!(store.load(&key("a")).await.unwrap().unwrap().record.state, "999");
}

fn refusal(path: &Path) -> String {
    let mut config = Config::default();
    config.store = format!("sqlite:{}", path.display());
    let error = open(&config).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(!error.message().contains('\n'), "more than one line: {error}");
    error.message().to_owned()
}

#[tokio::test]
async fn a_file_from_the_future_is_refused_and_left_alone() {
    let dir = Dir::new("future");
    drop(Sqlite::open(dir.file()).unwrap());
    rusqlite::Connection::open(dir.file()).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let before = std::fs::read(dir.file()).unwrap();
    let message = refusal(&dir.file());
    assert!(message.contains("its schema is version 7, this build knows up to 1"), "{message}");
    assert_eq!(std::fs::read(dir.file()).unwrap(), before);
}

#[test]
fn a_file_of_somebody_else_is_refused_and_left_alone() {
    let dir = Dir::new("foreign");
    rusqlite::Connection::open(dir.file()).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(dir.file()).unwrap();
    assert!(refusal(&dir.file()).contains("database of another program"));
    assert_eq!(std::fs::read(dir.file()).unwrap(), before);

    std::fs::write(
        dir.file(),
        "a letter to a friend, of more than the hundred bytes that SQLite's header has, and so on, and so on, and on",
    )
    .unwrap();
    assert!(refusal(&dir.file()).contains("is no SQLite database"), "{}", refusal(&dir.file()));
}

#[test]
fn a_path_that_cannot_be_a_store_is_told_what_is_wrong() {
    let dir = Dir::new("paths");
    let directory = dir.file().parent().unwrap().to_owned();
    assert!(refusal(&directory).contains("is a directory; name a file in it"));
    assert!(refusal(&directory.join("none/store.db")).contains("make it first"));
    std::fs::write(directory.join("plain"), "").unwrap();
    let below_a_file = refusal(&directory.join("plain/store.db"));
    assert!(below_a_file.contains("is no directory") || below_a_file.contains("cannot be used"), "{below_a_file}");
    if cfg!(target_os = "linux") {
        let nobody_may = refusal(Path::new("/proc/store.db"));
        assert!(nobody_may.contains("name a file where this process may write"), "{nobody_may}");
    }
}
