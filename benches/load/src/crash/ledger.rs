//! The books: what each counter must hold, given what was acknowledged and what was left unanswered.
//!
//! Membership is decidable. A counter of a till has one writer, which waits for each answer, so at most one add is open
//! when the server dies, and amounts differ. A shared counter is added to by all; there connection `c` adds `2^c`, so
//! the binary digits of what is left over name the open adds that took effect.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use super::random::Random;

/// Counters a connection works on at a time.
const COUNTERS: usize = 12;
/// Counters that all connections add to.
const SHARED: usize = 2;

/// Everything that is known.
#[derive(Debug)]
pub(super) struct Books {
    /// One a connection.
    pub(super) tills: Vec<Till>,
    /// The counters of all.
    pub(super) shared: Vec<Shared>,
    /// How much was done.
    pub(super) counts: Counts,
}

/// How much was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Adds that were answered.
    pub(super) acknowledged: u64,
    /// Of these, those that are gone.
    pub(super) lost: u64,
    /// Adds that were not answered.
    pub(super) unknown: u64,
    /// Of these, those that took effect.
    pub(super) unknown_found: u64,
    /// Adds asked again by their key.
    pub(super) retried: u64,
    /// Reads under load.
    pub(super) reads: u64,
}

impl Counts {
    /// Adds another count.
    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.unknown += other.unknown;
        self.unknown_found += other.unknown_found;
        self.retried += other.retried;
        self.reads += other.reads;
    }
}

impl Books {
    /// For so many connections.
    pub(super) fn new(connections: usize, seed: u64) -> Self {
        let till = |number: usize| Till {
            number,
            random: Random::new(seed.wrapping_add(number as u64 + 1)),
            made: 0,
            counters: Vec::new(),
            retired: Vec::new(),
        };
        let shared = (0..SHARED).map(|number| Shared::new(format!("shared-{number}"))).collect();
        Self { tills: (0..connections).map(till).collect(), shared, counts: Counts::default() }
    }

    /// Retires a few counters and opens as many new ones: creation must survive a kill too.
    pub(super) fn begin_round(&mut self, random: &mut Random) {
        for till in &mut self.tills {
            if till.counters.len() == COUNTERS {
                let out = random.below(COUNTERS as u64) as usize;
                till.retired.push(till.counters.swap_remove(out));
            }
            while till.counters.len() < COUNTERS {
                till.made += 1;
                till.counters.push(Counter::new(format!("till-{}-{}", till.number, till.made)));
            }
            till.counters.iter_mut().for_each(|counter| counter.replies.clear());
        }
    }
}

/// What one connection owns.
#[derive(Debug)]
pub(super) struct Till {
    /// Which connection.
    pub(super) number: usize,
    /// Its choices.
    pub(super) random: Random,
    made: usize,
    /// In use.
    pub(super) counters: Vec<Counter>,
    /// No longer in use; looked at once more in the end.
    pub(super) retired: Vec<Counter>,
}

/// An add under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Add {
    /// How much.
    pub(super) amount: i64,
    /// Its `Idempotency-Key`.
    pub(super) key: Option<String>,
}

/// A counter with one writer.
#[derive(Debug)]
pub(super) struct Counter {
    /// Its id.
    pub(super) id: String,
    /// What it must hold, the open add aside.
    pub(super) value: i64,
    /// The tag under which that was last seen; `None` before the first.
    pub(super) etag: Option<String>,
    /// The add whose answer has not come.
    pub(super) open: Option<Add>,
    /// The last acknowledged add with a key, and its reply.
    pub(super) keyed: Option<(Add, i64)>,
    /// The replies of this round.
    pub(super) replies: Vec<i64>,
    adds: i64,
    tags: Tags,
}

impl Counter {
    pub(super) fn new(id: String) -> Self {
        let (etag, open, keyed) = (None, None, None);
        Self { id, value: 0, etag, open, keyed, replies: Vec::new(), adds: 0, tags: Tags::default() }
    }

    /// Begins an add of an amount this counter never had.
    pub(super) fn begin(&mut self, keyed: bool) -> Add {
        self.adds += 1;
        let key = keyed.then(|| format!("{}-{}", self.id, self.adds));
        let add = Add { amount: self.adds, key };
        self.open = Some(add.clone());
        add
    }

    /// The answer has come.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn acknowledged(&mut self, reply: i64, etag: Option<String>) -> Result<(), String> {
        let Some(add) = self.open.take() else { return Err(format!("{}: an answer to nothing", self.id)) };
        let expected = self.value + add.amount;
        if reply != expected {
            return Err(format!("{}: {} + {} was answered {reply}", self.id, self.value, add.amount));
        }
        self.value = expected;
        self.replies.push(reply);
        if add.key.is_some() {
            self.keyed = Some((add, reply));
        }
        self.seen(etag, expected)
    }

    /// A state was seen under a tag.
    ///
    /// # Errors
    /// When the tag named another state before, or is missing.
    pub(super) fn seen(&mut self, etag: Option<String>, value: i64) -> Result<(), String> {
        let Some(etag) = etag else { return Err(format!("{}: an answer without ETag", self.id)) };
        self.tags.seen(&self.id, &etag, value)?;
        self.etag = Some(etag);
        Ok(())
    }

    /// The counter as it is after a restart: `None` when it is not there. Tells whether the open add took effect.
    ///
    /// # Errors
    /// What is wrong with it, and how many acknowledged adds are gone.
    pub(super) fn found(&self, value: Option<i64>, etag: Option<&str>) -> Result<bool, (String, u64)> {
        let wrong = |text: String, lost| Err((format!("{}: {text}", self.id), lost));
        let now = value.unwrap_or(0);
        let open = self.open.as_ref().map(|add| add.amount);
        if open.is_some_and(|amount| now == self.value + amount) {
            return Ok(true);
        }
        if now != self.value {
            let lost = self.replies.iter().filter(|reply| **reply > now).count() as u64;
            let open = open.map_or(String::new(), |amount| format!(" (or {} with the open add)", self.value + amount));
            let kind = if now < self.value { "an acknowledged add is gone" } else { "an add took effect twice" };
            return wrong(format!("holds {now}, must hold {}{open}: {kind}", self.value), lost);
        }
        if value.is_some() && etag != self.etag.as_deref() {
            let text = format!("the state did not change, its ETag did: {:?} is now {etag:?}", self.etag);
            return wrong(text, 0);
        }
        Ok(false)
    }
}

/// A counter that all connections add to.
#[derive(Debug)]
pub(super) struct Shared {
    /// Its id.
    pub(super) id: String,
    state: Mutex<SharedState>,
}

#[derive(Debug, Default)]
struct SharedState {
    /// The acknowledged adds and those found after a kill.
    sum: i64,
    /// The greatest value anybody was told.
    greatest: i64,
    /// Bit `c`: connection `c` has an add open.
    open: i64,
    tags: Tags,
}

impl Shared {
    fn new(id: String) -> Self {
        Self { id, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SharedState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Begins the add of a connection: its amount, and the value that its reply must exceed.
    pub(super) fn begin(&self, connection: usize) -> (i64, i64) {
        let mut state = self.state();
        state.open |= 1 << connection;
        (1 << connection, state.greatest)
    }

    /// The value that a read asked for now must at least show.
    pub(super) fn least(&self) -> i64 {
        self.state().greatest
    }

    /// The answer has come.
    ///
    /// # Errors
    /// When another reply or state was seen under its tag, or it ignores what was answered before it was asked.
    pub(super) fn acknowledged(
        &self,
        connection: usize,
        above: i64,
        reply: i64,
        etag: Option<String>,
    ) -> Result<(), String> {
        let mut state = self.state();
        let amount = 1 << connection;
        state.open &= !amount;
        state.sum += amount;
        state.greatest = state.greatest.max(reply);
        if reply < above + amount {
            return Err(format!("{}: {above} had been answered, then {reply} to an add of {amount}", self.id));
        }
        let etag = etag.ok_or_else(|| format!("{}: an answer without ETag", self.id))?;
        state.tags.seen(&self.id, &etag, reply)
    }

    /// The counter as it is after a restart. Tells how many adds were open, and how many of these took effect.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn found(&self, value: Option<i64>, etag: Option<String>) -> Result<(u64, u64), String> {
        let mut state = self.state();
        let now = value.unwrap_or(0);
        let (open, left_over) = (state.open, now - state.sum);
        if left_over < 0 || left_over & !open != 0 {
            return Err(format!(
                "{}: holds {now}; {} was acknowledged, the adds open at the kill make at most {open}",
                self.id, state.sum
            ));
        }
        state.sum = now;
        state.open = 0;
        state.greatest = state.greatest.max(now);
        if let Some(etag) = etag {
            state.tags.seen(&self.id, &etag, now)?;
        }
        Ok((u64::from(open.count_ones()), u64::from(left_over.count_ones())))
    }

    /// What it must hold.
    pub(super) fn value(&self) -> i64 {
        self.state().sum
    }
}

/// Which state each tag of one counter named.
#[derive(Debug, Default)]
struct Tags(HashMap<u64, i64>);

impl Tags {
    fn seen(&mut self, id: &str, etag: &str, value: i64) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        etag.hash(&mut hasher);
        match self.0.insert(hasher.finish(), value) {
            Some(before) if before != value => Err(format!("{id}: ETag {etag} named {before}, then {value}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> Counter {
        let mut counter = Counter::new("a".into());
        counter.begin(false);
        counter.acknowledged(1, Some("\"1\"".into())).unwrap();
        counter.begin(false);
        counter.acknowledged(3, Some("\"2\"".into())).unwrap();
        counter
    }

    #[test]
    fn an_acknowledged_add_must_be_there_once() {
        let counter = counter();
        assert_eq!(counter.found(Some(3), Some("\"2\"")), Ok(false));
        assert!(matches!(counter.found(Some(1), Some("\"1\"")), Err((text, 1)) if text.contains("gone")));
        assert!(matches!(counter.found(None, None), Err((_, 2))));
        assert!(matches!(counter.found(Some(5), Some("\"3\"")), Err((text, 0)) if text.contains("twice")));
    }

    #[test]
    fn an_open_add_is_there_once_or_not_at_all() {
        let mut counter = counter();
        counter.begin(false);
        assert_eq!(counter.found(Some(3), Some("\"2\"")), Ok(false));
        assert_eq!(counter.found(Some(6), Some("\"3\"")), Ok(true));
        assert!(counter.found(Some(9), Some("\"4\"")).is_err());
        assert!(counter.found(Some(4), Some("\"4\"")).is_err());
    }

    #[test]
    fn a_tag_names_one_state_and_a_state_that_stays_keeps_its_tag() {
        let mut counter = counter();
        assert!(counter.found(Some(3), Some("\"9\"")).is_err());
        counter.begin(false);
        assert!(counter.acknowledged(6, Some("\"1\"".into())).is_err());
    }

    #[test]
    fn the_digits_of_a_shared_counter_name_the_adds() {
        let shared = Shared::new("a".into());
        for connection in [0, 3, 5] {
            shared.begin(connection);
        }
        shared.acknowledged(3, 0, 8, Some("\"1\"".into())).unwrap();
        assert!(shared.found(Some(7), None).is_err(), "8 was acknowledged");
        assert!(shared.found(Some(8 + 2), None).is_err(), "connection 1 added nothing");
        assert!(shared.found(Some(8 + 8), None).is_err(), "twice");
        assert_eq!(shared.found(Some(8 + 32), None), Ok((2, 1)));
        assert_eq!(shared.value(), 40);
    }

    #[test]
    fn a_reply_must_include_what_was_answered_before_it_was_asked() {
        let shared = Shared::new("a".into());
        let (_, above) = shared.begin(2);
        shared.acknowledged(2, above, 4, Some("\"1\"".into())).unwrap();
        let (_, above) = shared.begin(0);
        assert!(shared.acknowledged(0, above, 1, Some("\"2\"".into())).is_err());
    }
}
