//! A turn's put and its confirm (rules R4 and R5).

use std::sync::Arc;

use super::hold::{Commit, Hold};
use super::route::moving;
use super::shards::{Locks, RETRY_FIRST, RETRY_MAX};
use crate::clock;
use crate::config::PUT_UNKNOWN_MAX;
use crate::error::{Error, Kind, Outcome};
use crate::model::{ObjectKey, Ordering, Put, Record, Rev, Seen};

impl Locks {
    /// Puts a turn's record and confirms (rules R4 and R5). The same bytes are sent again until the store says.
    pub async fn commit(
        self: &Arc<Self>,
        hold: &Hold,
        key: &ObjectKey,
        seen: Option<&Seen>,
        record: &Record,
    ) -> Commit {
        // Held until the answer may leave: a release waits for it.
        let Some(_in_use) = hold.enter() else { return Commit::Refused(moving().with_key(key)) };
        let rev = match self.settle(hold, key, seen, record).await {
            Ok(rev) => rev,
            Err(ended) => {
                if !matches!(ended, Commit::Refused(_)) {
                    self.cache.doubt(key);
                }
                return ended;
            }
        };
        match self.confirm(hold).await {
            Ok(()) => {
                self.cache.confirmed(key, record, &rev);
                Commit::Done(rev)
            }
            Err(error) => {
                hold.end();
                let (shard, epoch) = (hold.shard, hold.epoch);
                tracing::warn!(shard, epoch, ?error, "gave a shard up: what was put cannot be confirmed");
                Commit::Unknown(error.with_outcome(Outcome::Unknown))
            }
        }
    }

    async fn settle(
        &self,
        hold: &Hold,
        key: &ObjectKey,
        seen: Option<&Seen>,
        record: &Record,
    ) -> std::result::Result<Rev, Commit> {
        let give_up = clock::now() + PUT_UNKNOWN_MAX;
        let mut unknown = false;
        let mut doubt = None;
        let mut pause = RETRY_FIRST;
        let mut unsettled = Unsettled { hold, key, is: self.caps.ordering == Ordering::Ordered };
        self.cache.sending(key);
        loop {
            let put = tokio::time::timeout_at(give_up, self.cache.put(key, seen, record));
            let error = match put.await.unwrap_or_else(|_| Put::Unknown(Error::store("a put was not answered at all")))
            {
                Put::Stored(rev) => {
                    if std::mem::take(&mut unsettled.is) {
                        hold.settle(key);
                    }
                    self.cache.settled(hold.id, key, record.version);
                    return Ok(rev);
                }
                Put::Conflict(version) if version.epoch() > hold.epoch => {
                    hold.end();
                    tracing::warn!(object = %key, %version, epoch = hold.epoch, "fenced by a later owner");
                    let error = Error::new(Kind::StoreUnavailable, "another node took this object over").with_key(key);
                    // An earlier attempt may have landed before the later owner loaded.
                    return Err(if unknown { Commit::Unknown(error) } else { Commit::Refused(error) });
                }
                Put::Conflict(_) => return Err(Commit::Moved),
                Put::Refused(error) if !unknown => {
                    unsettled.is = false;
                    return Err(Commit::Refused(error));
                }
                Put::Refused(error) | Put::Unknown(error) => error,
            };
            unknown = true;
            doubt.get_or_insert_with(|| {
                hold.in_doubt(key, format!("the put of version {} ({})", record.version, error.message()))
            });
            if hold.is_over() || self.stopped.get().is_some() || clock::now() >= give_up {
                hold.end();
                let (shard, epoch) = (hold.shard, hold.epoch);
                tracing::warn!(shard, epoch, object = %key, ?error, "gave a shard up: the store does not say what became of a put");
                return Err(Commit::Unknown(error));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }
}

/// Remembers an object whose put was given up, in whatever way, before the store said that it is settled: on an ordered
/// store it may land at any time, so the next load seals the object.
struct Unsettled<'a> {
    hold: &'a Hold,
    key: &'a ObjectKey,
    is: bool,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if self.is {
            self.hold.unsettle(self.key);
        }
    }
}
