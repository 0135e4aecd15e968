//! What was asked and answered, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::check::{Counts, check};

/// A moment of a run. No two are the same: their order is that in which they were taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    order: u64,
    at: Duration,
}

impl Moment {
    /// One by its place in the order, for histories written by hand.
    #[must_use]
    pub fn numbered(order: u64) -> Self {
        Self { order, at: Duration::from_millis(order) }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({:.6} s)", self.order, self.at.as_secs_f64())
    }
}

/// An entity tag: a version, `epoch-seq`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(u64, u64);

/// With its quotes or without.
impl FromStr for Tag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, seq) = text.trim_matches('"').split_once('-').ok_or(())?;
        Ok(Self(epoch.parse().map_err(|_| ())?, seq.parse().map_err(|_| ())?))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// What one client saw of one call. A call that certainly had no effect is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// An `add(1)` that was answered, asked again by its key perhaps.
    Added {
        /// When it was first asked.
        from: Moment,
        /// When it was answered.
        to: Moment,
        /// Its answer: what the counter came to.
        value: u64,
        /// The tag of that state.
        tag: Option<Tag>,
    },
    /// An `add(1)` of which nobody knows what became.
    Unknown {
        /// When it was first asked. It may take effect at any later time, or never.
        from: Moment,
    },
    /// A read that was answered; zero where there was nothing.
    Read {
        /// When it was asked.
        from: Moment,
        /// When it was answered.
        to: Moment,
        /// What it showed.
        value: u64,
        /// The tag of that state; `None` where there was nothing.
        tag: Option<Tag>,
    },
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tagged = |tag: &Option<Tag>| tag.map_or(String::new(), |tag| format!(" under \"{tag}\""));
        match self {
            Self::Added { from, to, value, tag } => {
                write!(f, "an add asked at {from} and answered {value}{} at {to}", tagged(tag))
            }
            Self::Unknown { from } => write!(f, "an add asked at {from} and never answered"),
            Self::Read { from, to, value, tag } => {
                write!(f, "a read asked at {from} and answered {value}{} at {to}", tagged(tag))
            }
        }
    }
}

/// What all clients saw of one counter, in any order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History(pub Vec<Op>);

impl History {
    /// Judges it.
    ///
    /// # Errors
    /// What no counter could have answered, a line each.
    pub fn check(&self) -> Result<Counts, Vec<String>> {
        check(&self.0)
    }

    /// Puts it in the order in which things were asked.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|op| match op {
            Op::Added { from, .. } | Op::Read { from, .. } | Op::Unknown { from } => *from,
        });
    }

    /// The greatest value anybody was told.
    #[must_use]
    pub fn greatest(&self) -> u64 {
        let values = self.0.iter().map(|op| match op {
            Op::Added { value, .. } | Op::Read { value, .. } => *value,
            Op::Unknown { .. } => 0,
        });
        values.max().unwrap_or(0)
    }
}

/// Writes down what clients see, from any number of threads.
pub struct Recorder {
    /// The time since it began.
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    next: AtomicU64,
    histories: Mutex<BTreeMap<String, History>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("histories", &self.histories).finish_non_exhaustive()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        let began = Instant::now();
        Self { clock: Box::new(move || began.elapsed()), next: AtomicU64::new(1), histories: Mutex::default() }
    }
}

impl Recorder {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With nothing in it, and a clock of one's own: in a simulation time is another.
    #[must_use]
    pub fn timed_by(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), ..Self::default() }
    }

    /// Now, before a question is sent.
    #[must_use]
    pub fn asked(&self) -> Moment {
        Moment { order: self.next.fetch_add(1, Ordering::SeqCst), at: (self.clock)() }
    }

    /// An add was answered just now.
    pub fn added(&self, object: &str, from: Moment, value: u64, tag: Option<&str>) {
        let (to, tag) = (self.asked(), tag.and_then(|tag| tag.parse().ok()));
        self.note(object, Op::Added { from, to, value, tag });
    }

    /// Nobody knows what became of an add.
    pub fn unknown(&self, object: &str, from: Moment) {
        self.note(object, Op::Unknown { from });
    }

    /// A read was answered just now; `value` is zero and `tag` none where there was nothing.
    pub fn read(&self, object: &str, from: Moment, value: u64, tag: Option<&str>) {
        let (to, tag) = (self.asked(), tag.and_then(|tag| tag.parse().ok()));
        self.note(object, Op::Read { from, to, value, tag });
    }

    fn note(&self, object: &str, op: Op) {
        let mut histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        histories.entry(object.to_owned()).or_default().0.push(op);
    }

    /// What was seen so far, by object.
    #[must_use]
    pub fn histories(&self) -> BTreeMap<String, History> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Judges every object's history.
    ///
    /// # Errors
    /// What no counter could have answered, a line each, with the object's name before it.
    pub fn check(&self) -> Result<Counts, Vec<String>> {
        let mut all = Counts::default();
        let mut wrong = Vec::new();
        for (object, history) in self.histories() {
            match history.check() {
                Ok(counts) => all.add(counts),
                Err(lines) => wrong.extend(lines.into_iter().map(|line| format!("{object}: {line}"))),
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }
}
