//! What a case does when an answer does not come: what the contract has a caller do, and no more.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::suite::Settings;
use crate::error::{Kind, Result};
use crate::model::{Cas, Entry, Rev};

/// How often a write is asked again when its answer is `Unknown`, as the rooms above do.
const ATTEMPTS: u32 = 20;
/// The same on an unreliable way to the store; there reads are tried again as often.
const ATTEMPTS_UNRELIABLE: u32 = 100;
/// Between two attempts; longer from one to the next.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(16);

/// Counts attempts.
pub(super) struct Attempts {
    left: u32,
    pause: Duration,
}

impl Attempts {
    pub(super) fn of_write(settings: &Settings) -> Self {
        let left = if settings.unreliable { ATTEMPTS_UNRELIABLE } else { ATTEMPTS };
        Self { left, pause: PAUSE }
    }

    fn of_read(settings: &Settings) -> Self {
        Self { left: if settings.unreliable { ATTEMPTS_UNRELIABLE } else { 1 }, pause: PAUSE }
    }

    /// Whether there may be one more, after a pause.
    pub(super) async fn again(&mut self) -> bool {
        self.left -= 1;
        if self.left == 0 {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

/// A read, tried again where the way to the store is unreliable.
pub(super) async fn read<'a, T>(settings: &Settings, ask: impl Fn() -> BoxFuture<'a, Result<T>>) -> Result<T> {
    let mut attempts = Attempts::of_read(settings);
    loop {
        match ask().await {
            Err(error) if error.kind() == Kind::StoreUnavailable && attempts.again().await => {}
            answer => return answer,
        }
    }
}

/// One register, or one key.
pub(super) trait Cell: Sync {
    fn cas<'a>(&'a self, seen: Option<&'a Rev>, new: &'a [u8]) -> BoxFuture<'a, Cas>;
    fn read(&self) -> BoxFuture<'_, Result<Option<Entry>>>;
}

/// A compare-and-set; after `Unknown`, what a caller has to do: read, and if its own value is there, write that over
/// itself until an answer says `Applied`. Nobody else may write the same value over what was `seen`.
pub(super) async fn settled(
    cell: &dyn Cell,
    settings: &Settings,
    seen: Option<&Rev>,
    new: &[u8],
) -> Result<Cas, String> {
    let mut attempts = Attempts::of_write(settings);
    let mut quoted = seen.cloned();
    let mut is_first = true;
    loop {
        match cell.cas(quoted.as_ref(), new).await {
            Cas::Unknown(error) if !attempts.again().await => {
                return Err(format!("a compare-and-set over {seen:?} stays Unknown: {error:?}"));
            }
            Cas::Mismatch if !is_first && !attempts.again().await => {
                return Err(format!("a compare-and-set over {seen:?} of what is there stays a Mismatch"));
            }
            Cas::Unknown(_) => {}
            Cas::Mismatch if !is_first => {}
            answer => return Ok(answer),
        }
        is_first = false;
        let there = read(settings, || cell.read()).await;
        let there = there.map_err(|error| format!("after an Unknown, a read fails: {error:?}"))?;
        quoted = match there {
            Some(there) if there.value == new && Some(&there.rev) != seen => Some(there.rev),
            there if there.as_ref().map(|there| &there.rev) == seen => seen.cloned(),
            _ => return Ok(Cas::Mismatch),
        };
    }
}
