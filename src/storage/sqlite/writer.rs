//! The one thread that writes: it commits whatever is waiting as one transaction, and never waits to collect more.
//!
//! What comes while it commits waits together for the next. The answers of a batch go as one to a task that lives on
//! the callers' runtime and wakes them from within: to wake each from here costs more than the whole hand-off.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::runtime::{Handle, Id};
use tokio::sync::{mpsc, oneshot};

use super::apply::apply;
use super::fate::Fate;
use super::file::Lock;
use crate::error::{Error, Result};
use crate::model::{ObjectKey, Put, Record, Rev, Seen, Version};

/// Jobs of one transaction, at most.
const BATCH_MAX: usize = 1024;
/// The WAL is folded into the database when it holds so many pages that are not: some 16 MiB. Fewer would stop the
/// writer more often for the same pages; more would take longer to read after a crash (this many took 30 to 50 ms).
const WAL_PAGES: i64 = 4000;

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
    /// No more jobs come: the thread ends when it has done those there are.
    closed: bool,
    /// Why every job is refused.
    refusal: Option<Error>,
    completer: Option<(Id, mpsc::UnboundedSender<Answers>)>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
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
        let completer = queue.completer.as_ref().map(|(_, completer)| completer.clone());
        Some((queue.jobs.drain(..count).collect(), completer))
    }

    /// Ends the store: jobs that have not begun, and all later ones, certainly have no effect.
    fn fail(&self, error: &Error) {
        let waiting = {
            let mut queue = self.queue();
            queue.refusal = Some(error.clone());
            std::mem::take(&mut queue.jobs)
        };
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
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new(), fate });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write(&of_thread, conn, lock))
            .map_err(|error| Error::config(format!("the store's thread cannot be started: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Puts a job in the queue now; the future is its answer.
    pub(super) fn enqueue(&self, ask: Ask) -> impl Future<Output = Put> + Send + 'static {
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
fn write(shared: &Shared, mut conn: Connection, lock: Lock) {
    let ended = catch_unwind(AssertUnwindSafe(|| write_batches(shared, &mut conn)));
    let failed = match ended {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(Error::internal("the store's thread panicked")),
    };
    if let Some(error) = failed {
        shared.fail(&error);
        // Closing would fold the WAL: nothing more is to be done to this disk.
        let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
    drop(conn);
    drop(lock);
}

/// Commits batch after batch until the store is closed, or the disk fails.
fn write_batches(shared: &Shared, conn: &mut Connection) -> Result<()> {
    while let Some((jobs, completer)) = shared.take() {
        match commit(conn, &jobs) {
            Ok(puts) => deliver(jobs.into_iter().zip(puts), completer),
            Err(Failed::Busy(error)) => {
                deliver(jobs.into_iter().map(|job| (job, Put::Refused(error.clone()))), completer)
            }
            Err(Failed::Broken(error)) => {
                // First the store is over, then its callers are told: none may find it still open.
                shared.fail(&error);
                deliver(jobs.into_iter().map(|job| (job, Put::Unknown(error.clone()))), completer);
                return Err(error);
            }
        }
        fold(conn)?;
    }
    Ok(())
}

enum Failed {
    /// Another program holds the file: nothing has been done.
    Busy(Error),
    /// It may have been done, or half of it; the disk is not to be trusted any more.
    Broken(Error),
}

fn commit(conn: &mut Connection, jobs: &[Job]) -> Result<Vec<Put>, Failed> {
    let broken = |error: rusqlite::Error| Failed::Broken(disk("writing", &error));
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Failed::Busy(Error::store(format!("another program keeps the database locked: {error}")))
            }
            _ => broken(error),
        }
    })?;
    let puts = jobs.iter().map(|job| apply(&tx, &job.ask)).collect::<rusqlite::Result<Vec<Put>>>().map_err(broken)?;
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

/// Folds the WAL into the database when it has grown, after the answers have left. It waits for no reader.
fn fold(conn: &Connection) -> Result<()> {
    let pages = |mode: &str| -> rusqlite::Result<i64> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        conn.prepare_cached(&sql)?.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
    };
    let folded = pages("NOOP").and_then(|waiting| if waiting < WAL_PAGES { Ok(waiting) } else { pages("PASSIVE") });
    match folded {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        Err(error) => Err(disk("folding the WAL", &error)),
    }
}

fn disk(doing: &str, error: &rusqlite::Error) -> Error {
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    Error::store(format!(
        "{doing} failed: {error} (SQLite code {extended}); the store is stopped, a restart serves what is durable"
    ))
}
