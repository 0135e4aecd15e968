//! Rows of lives that are over: whoever has seen one dead and unchanged for a day removes it, where no shard names it (rule
//! R10). Else each start would leave one for ever, and all of them are listed once a second.
//!
//! # Why that is safe
//!
//! A row that is gone says what `dead` says: who confirms, beats or drains by it finds that his life is over, and who takes a shard
//! of that life writes `dead` anew. It must not come back as `up` for a process that stood still all the while and goes on.
//!
//! - What was sent to change the row quotes a rev that does not come back, and is refused whenever it lands. So does the
//!   removal, which takes away nothing but that very `dead`.
//! - What was sent to create it quotes nothing. So it is sent once, and a life begins only where that was answered `Applied`
//!   (`incarnation::join`): what nobody answered may land, and is a row of a life that never was. To the others it is one more that
//!   stands still. And it says that the life has not beaten yet: who ever answered anything has (`incarnation::lives`).
//!
//! Neither the day nor the shards are in that argument: they keep a row as long as people may ask for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::members::each_register;
use super::registers::{NodeRow, NodeState};
use super::shards::Locks;
use crate::clock::{self, Instant};
use crate::config::DEAD_ROW_KEPT;
use crate::error::Result;
use crate::model::{Register, Rev};

/// Rows removed at one look: what many years have left goes bit by bit.
const AT_A_LOOK: usize = 16;

/// Rows of lives that are over, each with its rev and since when it has been seen so, by this process's own monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Remnants(Mutex<HashMap<String, (Rev, Instant)>>);

impl Remnants {
    /// Takes note of all that there are now; answers those that have been so for long enough.
    fn see(&self, dead: Vec<(String, Rev)>, now: Instant) -> Vec<(String, Rev)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        let mut old = Vec::new();
        for (id, rev) in dead {
            let since = before.remove(&id).filter(|(seen, _)| *seen == rev).map_or(now, |(_, since)| since);
            if now.saturating_duration_since(since) >= DEAD_ROW_KEPT {
                old.push((id.clone(), rev.clone()));
            }
            known.insert(id, (rev, since));
        }
        old
    }

    /// It is there still, and stays for another day.
    fn keep(&self, id: &str, now: Instant) {
        if let Some((_, since)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(id) {
            *since = now;
        }
    }
}

impl Locks {
    /// Removes what lives have left that are over. The owners of all shards have been read just now.
    pub(super) async fn remove_remnants(&self) -> Result<()> {
        let mut dead = Vec::new();
        each_register(&self.cache, "node/", |id, entry| {
            if serde_json::from_slice::<NodeRow>(&entry.value).is_ok_and(|row| row.state == NodeState::Dead) {
                dead.push((id.to_owned(), entry.rev.clone()));
            }
        })
        .await?;
        let old = self.remnants.see(dead, clock::now());
        let unnamed = old.into_iter().filter(|(id, _)| !self.map.names(id));
        for (id, rev) in unnamed.take(AT_A_LOOK) {
            if self.cache.remove(&Register::node(&id), &rev).await? {
                tracing::info!(incarnation = id, "removed the row of a life that has been over for a day");
            } else {
                self.remnants.keep(&id, clock::now());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_row_is_old_a_day_after_it_was_first_seen_as_it_is() {
        let (remnants, now) = (Remnants::default(), clock::now());
        let see = |rev: u64, at| remnants.see(vec![("a".to_owned(), Rev::Number(rev))], at).len();
        let second = Duration::from_secs(1);
        assert_eq!(see(1, now), 0);
        assert_eq!(see(1, now + DEAD_ROW_KEPT - second), 0);
        assert_eq!(see(2, now + DEAD_ROW_KEPT), 0, "it was written since");
        assert_eq!(see(2, now + DEAD_ROW_KEPT * 2 - second), 0);
        assert_eq!(see(2, now + DEAD_ROW_KEPT * 2), 1);
        remnants.keep("a", now + DEAD_ROW_KEPT * 2);
        assert_eq!(see(2, now + DEAD_ROW_KEPT * 2 + second), 0, "the store keeps it");
        remnants.see(Vec::new(), now + DEAD_ROW_KEPT * 3);
        assert_eq!(see(2, now + DEAD_ROW_KEPT * 4), 0, "it was not there meanwhile");
    }
}
