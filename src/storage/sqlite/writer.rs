//! One writer: a thread commits whatever is waiting as one transaction, and never waits to collect more.
//!
//! What comes while it commits waits together for the next. The answers of a batch go as one to a task that lives on
//! the callers' runtime and wakes them from within: to wake each from here costs more than the whole hand-off.
//!
//! Where calls come one at a time there is nothing to commit together, and to wake a thread and to be woken by it takes
//! as long as the sync: then whoever asks commits on his own thread, which stands still for that long.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, ready};
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::runtime::{Handle, Id};
use tokio::sync::{mpsc, oneshot};

use super::apply::apply;
use super::fate::Fate;
use super::file::{BUSY_TIMEOUT, Lock};
use crate::clock;
use crate::error::{Error, Result};
use crate::model::{ObjectKey, Put, Record, Rev, Seen, Version};

/// Jobs of one transaction, at most.
const BATCH_MAX: usize = 1024;
/// The WAL is folded into the database when it holds so many bytes of pages that are not. Fewer would stop the writer more
/// often for the same pages; more would take longer to read after a crash (this many took 30 to 50 ms).
const WAL_BYTES: i64 = 16 << 20;
/// After so many jobs that came alone the next one that does is committed by whoever asks.
const ALONE: u32 = 8;
/// A disk that takes longer to commit is too slow to let a caller's thread wait for it.
const QUICK: Duration = Duration::from_millis(1);

/// What the writer can be asked for.
#[derive(Debug)]
pub(super) enum Ask {
    Put {
        key: ObjectKey,
        seen: Option<Seen>,
        record: Record,
    },
    Cas {
        name: String,
        seen: Option<Rev>,
        new: Bytes,
    },
    Hint {
        shard: u32,
        key: ObjectKey,
        due: Option<u64>,
        version: Version,
    },
    /// Answered by `Stored` with the number of records that went.
    Purge,
}

struct Job {
    ask: Ask,
    answer: oneshot::Sender<Put>,
    /// Asked from elsewhere than the completer's runtime, which might not run now: answered from the writer's thread.
    direct: bool,
}

/// Answers that are sent when this is dropped, wherever that is: none is lost when the completer's runtime ends.
#[derive(Default)]
struct Answers(Vec<(oneshot::Sender<Put>, Put)>);

impl Drop for Answers {
    fn drop(&mut self) {
        for (answer, put) in self.0.drain(..) {
            // Whoever asked may have gone: that changes nothing.
            let _ = answer.send(put);
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The thread waits to be woken.
    idle: bool,
    /// Batches of one job since the last larger one, or since a put that others came with.
    alone: u32,
    /// Of the put that came last.
    last: Option<Version>,
    /// No more jobs come: the thread ends when it has done those there are.
    closed: bool,
    /// Why every job is refused.
    refusal: Option<Error>,
    completer: Option<(Id, mpsc::UnboundedSender<Answers>)>,
}

impl Queue {
    /// Versions are given one a call: a put that is not the next after the last one brings the calls of many, or others
    /// were begun meanwhile. Their callers' threads have more to do than to wait for a disk.
    fn note(&mut self, ask: &Ask) {
        let Ask::Put { record, .. } = ask else { return };
        let last = self.last.replace(record.version);
        if last.is_none_or(|last| last.as_u64() + 1 != record.version.as_u64()) {
            self.alone = 0;
        }
    }
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Gone when the store is closed. Whoever writes has it locked; the queue is never locked under it for longer than to
    /// look.
    file: Mutex<Option<File>>,
    fate: Arc<Fate>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while it was locked can have lost one job at most, whose caller is told so by its dropped answer.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch, waiting for one if there is none; `None` when the store is closed and all is done.
    fn take(&self) -> Option<(Vec<Job>, Option<mpsc::UnboundedSender<Answers>>)> {
        let mut queue = self.queue();
        while queue.jobs.is_empty() {
            if queue.closed {
                return None;
            }
            queue.idle = true;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        let count = queue.jobs.len().min(BATCH_MAX);
        queue.alone = if count == 1 { queue.alone.saturating_add(1) } else { 0 };
        let completer = queue.completer.as_ref().map(|(_, completer)| completer.clone());
        Some((queue.jobs.drain(..count).collect(), completer))
    }

    /// Ends the store: jobs that have not begun, and all later ones, certainly have no effect.
    fn fail(&self, error: &Error) {
        let waiting = {
            let mut queue = self.queue();
            queue.refusal = Some(error.clone());
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.wake.notify_one();
        self.fate.fail(error.clone());
        drop(Answers(waiting.into_iter().map(|job| (job.answer, Put::Refused(error.clone()))).collect()));
    }
}

/// The door to the thread. When it is dropped the thread does what is waiting, closes the file and ends.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(conn: Connection, lock: Lock, fate: Arc<Fate>) -> Result<Self> {
        let cannot = |error: &dyn std::fmt::Display| Error::config(format!("the store cannot be started: {error}"));
        let file = Mutex::new(Some(File::new(conn).map_err(|error| cannot(&error))?));
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), file, fate });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write(&of_thread, lock))
            .map_err(|error| cannot(&error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Commits a job now or puts it in the queue; the future is its answer.
    pub(super) fn enqueue(&self, ask: Ask) -> impl Future<Output = Put> + Send + 'static {
        match self.commit_here(&ask) {
            Some(put) => Either::Left(ready(put)),
            None => Either::Right(self.hand_over(ask)),
        }
    }

    /// Commits a job on the caller's thread if nobody else has any, nor had lately.
    fn commit_here(&self, ask: &Ask) -> Option<Put> {
        let alone = {
            let mut queue = self.shared.queue();
            queue.note(ask);
            queue.idle && queue.alone >= ALONE && queue.refusal.is_none()
        };
        if !alone {
            return None;
        }
        let mut file = self.shared.file.try_lock().ok()?;
        let file = file.as_mut().filter(|file| file.quick && !file.is_to_be_folded())?;
        // The thread waits for other programs; a caller does not.
        file.conn.busy_timeout(Duration::ZERO).ok()?;
        let committed = file.commit([ask]);
        // Sets a number; without it the thread would not wait, which refuses, and loses nothing.
        let _ = file.conn.busy_timeout(BUSY_TIMEOUT);
        match committed {
            Ok(mut puts) => puts.pop(),
            Err(Failed::Busy(_)) => None,
            Err(Failed::Broken(error)) => {
                self.shared.fail(&error);
                Some(Put::Unknown(error))
            }
        }
    }

    fn hand_over(&self, ask: Ask) -> impl Future<Output = Put> + Send + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let runtime = Handle::try_current().ok();
        let wake = {
            let mut queue = self.shared.queue();
            match &queue.refusal {
                Some(error) => {
                    let _ = answer.send(Put::Refused(error.clone()));
                    false
                }
                None => {
                    let direct = !completes(&mut queue.completer, runtime);
                    queue.jobs.push_back(Job { ask, answer, direct });
                    std::mem::replace(&mut queue.idle, false)
                }
            }
        };
        if wake {
            self.shared.wake.notify_one();
        }
        async move { answered.await.unwrap_or_else(|_| Put::Unknown(Error::store("the store's thread has ended"))) }
    }
}

/// Whether the completer runs on this runtime; it is started here when there is none that still runs.
fn completes(completer: &mut Option<(Id, mpsc::UnboundedSender<Answers>)>, runtime: Option<Handle>) -> bool {
    let Some(runtime) = runtime else { return false };
    match completer {
        Some((id, answers)) if !answers.is_closed() => *id == runtime.id(),
        _ => {
            let (answers, mut batches) = mpsc::unbounded_channel::<Answers>();
            runtime.spawn(async move { while batches.recv().await.is_some() {} });
            *completer = Some((runtime.id(), answers));
            true
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // The last handle may fall with an answer that the thread itself delivers; it cannot wait for its own end.
        if thread.thread().id() != thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// The thread's life. The lock goes last, when the file is closed.
fn write(shared: &Shared, lock: Lock) {
    if catch_unwind(AssertUnwindSafe(|| write_batches(shared))).is_err() {
        shared.fail(&Error::internal("the store's thread panicked"));
    }
    drop(shared.file.lock().unwrap_or_else(PoisonError::into_inner).take());
    drop(lock);
}

/// Commits batch after batch until the store is closed, or the disk has failed.
fn write_batches(shared: &Shared) {
    while let Some((jobs, completer)) = shared.take() {
        let mut file = shared.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else { break };
        match file.commit(jobs.iter().map(|job| &job.ask)) {
            Ok(puts) => deliver(jobs.into_iter().zip(puts), completer),
            Err(Failed::Busy(error)) => {
                deliver(jobs.into_iter().map(|job| (job, Put::Refused(error.clone()))), completer)
            }
            Err(Failed::Broken(error)) => {
                // First the store is over, then its callers are told: none may find it still open.
                shared.fail(&error);
                deliver(jobs.into_iter().map(|job| (job, Put::Unknown(error.clone()))), completer);
            }
        }
        if let Err(error) = file.fold() {
            shared.fail(&error);
        }
    }
}

enum Failed {
    /// Another program holds the file: nothing has been done.
    Busy(Error),
    /// It may have been done, or half of it; the disk is not to be trusted any more.
    Broken(Error),
}

/// The connection that writes.
struct File {
    conn: Connection,
    /// Pages in the WAL after the last commit, folded ones too.
    wal_pages: Arc<AtomicI32>,
    /// Of a page of this file.
    page_bytes: i64,
    /// The last commit was, and went well.
    quick: bool,
    broken: bool,
}

impl File {
    fn new(mut conn: Connection) -> rusqlite::Result<Self> {
        let page_bytes = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let wal_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&wal_pages);
        conn.wal_hook(Some(move |_: &mut Wal, pages| {
            counted.store(pages, Relaxed);
            Ok(())
        }))?;
        Ok(Self { conn, wal_pages, page_bytes, quick: false, broken: false })
    }

    /// Does all of it as one transaction.
    fn commit<'a>(&mut self, asks: impl IntoIterator<Item = &'a Ask>) -> Result<Vec<Put>, Failed> {
        self.quick = false;
        let began = clock::now();
        let panicked = |_| Err(Failed::Broken(Error::internal("the store panicked")));
        let committed = catch_unwind(AssertUnwindSafe(|| transact(&mut self.conn, asks))).unwrap_or_else(panicked);
        self.quick = committed.is_ok() && began.elapsed() < QUICK;
        if let Err(Failed::Broken(_)) = committed {
            self.give_up();
        }
        committed
    }

    fn is_to_be_folded(&self) -> bool {
        i64::from(self.wal_pages.load(Relaxed)) * self.page_bytes >= WAL_BYTES
    }

    /// Folds the WAL into the database when it has grown, after the answers have left. It waits for no reader.
    fn fold(&mut self) -> Result<()> {
        if self.broken || !self.is_to_be_folded() {
            return Ok(());
        }
        match self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
                self.give_up();
                Err(disk("folding the WAL", &error))
            }
            _ => Ok(()),
        }
    }

    /// Closing would fold the WAL: nothing more is to be done to this disk.
    fn give_up(&mut self) {
        self.broken = true;
        let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}

fn transact<'a>(conn: &mut Connection, asks: impl IntoIterator<Item = &'a Ask>) -> Result<Vec<Put>, Failed> {
    let broken = |error: rusqlite::Error| Failed::Broken(disk("writing", &error));
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Failed::Busy(Error::store(format!("another program keeps the database locked: {error}")))
            }
            _ => broken(error),
        }
    })?;
    let puts = asks.into_iter().map(|ask| apply(&tx, ask)).collect::<rusqlite::Result<Vec<Put>>>().map_err(broken)?;
    tx.commit().map_err(broken)?;
    Ok(puts)
}

fn deliver(answered: impl Iterator<Item = (Job, Put)>, completer: Option<mpsc::UnboundedSender<Answers>>) {
    let (mut here, mut there) = (Answers::default(), Answers::default());
    for (job, put) in answered {
        let to = if job.direct { &mut here } else { &mut there };
        to.0.push((job.answer, put));
    }
    if let Some(completer) = completer {
        // Comes back and is dropped, which sends the answers, when the completer's runtime has ended.
        let _ = completer.send(there);
    }
}

fn disk(doing: &str, error: &rusqlite::Error) -> Error {
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    Error::store(format!(
        "{doing} failed: {error} (SQLite code {extended}); the store is stopped, a restart serves what is durable"
    ))
}
