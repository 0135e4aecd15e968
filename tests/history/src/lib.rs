//! Histories of counters as their clients saw them, and whether one counter at a time explains them.
//!
//! A counter begins at zero and has `add(1)`, which answers what it has come to, and a read. So the answer of an add is
//! its place in the order of all adds, and a history can be judged exactly, in the time it takes to sort it. What
//! [`check`](History::check) says of a history that it accepts:
//!
//! - calls are **linearizable**: each can be given one moment between its question and its answer, such that a counter
//!   which does one thing after the other gives the same answers;
//! - every acknowledged add is there **once**, every unanswered one **at most once**, and nothing else is;
//! - no value was given twice;
//! - an entity tag stands for one state, a state has one tag, and later states have later tags.
//!
//! ```
//! let recorder = test_history::Recorder::new();
//! let asked = recorder.asked();
//! // … POST /objects/counter/a/add {"by":1} … 200, "1-1", 1
//! recorder.added("a", asked, 1, Some("\"1-1\""));
//! assert_eq!(recorder.check().unwrap().adds, 1);
//! ```

#![allow(clippy::disallowed_methods, reason = "a history is told with the times at which things really happened")]

mod check;
mod record;
mod shortest;

pub use check::Counts;
pub use record::{History, Moment, Op, Recorder, Tag};
pub use shortest::Shortest;
