//! Registers on three replicas: what was decided, in its order, and what each replica has heard of that.
//!
//! Changes are linearizable, as those of Paxos are: each is decided at one moment, on what was decided before it. What is
//! decided is then told to the replicas, each at its own time, and a change was applied once two of them know. A read asks
//! two replicas. So it sees what was applied before it; and what was decided and never applied it sees, or does not,
//! and then does again.

use bytes::Bytes;
use remote_object::model::{Entry, Rev};

/// One register.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Every value it ever had, and none where it was removed; the place of a value, from 1 on, is its rev.
    decided: Vec<Option<Bytes>>,
    /// How far each replica knows it.
    known: [usize; 3],
}

/// What became of a change.
pub(crate) enum Decided {
    /// It is the value of this place.
    At(usize),
    /// Another value stands there.
    Mismatch,
}

impl Chain {
    /// Decides a change, or with `None` a removal, on two replicas, which are told first what was decided before. Where `hides`
    /// they are not told when it comes to nothing.
    pub(crate) fn decide(&mut self, on: [usize; 2], seen: Option<&Rev>, new: Option<Bytes>, hides: bool) -> Decided {
        let last = self.decided.len();
        let is_there = self.decided.last().is_some_and(Option::is_some);
        let is_seen = match seen {
            None => !is_there,
            Some(Rev::Number(rev)) => is_there && *rev == last as u64,
            Some(Rev::Text(_)) => false,
        };
        if is_seen || !hides {
            on.into_iter().for_each(|replica| self.learn(replica, last));
        }
        if !is_seen {
            return Decided::Mismatch;
        }
        self.decided.push(new);
        Decided::At(last + 1)
    }

    /// A replica hears what was decided up to this place.
    pub(crate) fn learn(&mut self, replica: usize, place: usize) {
        self.known[replica] = self.known[replica].max(place);
    }

    /// The newest place that one of these replicas knows.
    pub(crate) fn newest(&self, of: [usize; 2]) -> usize {
        of.into_iter().map(|replica| self.known[replica]).max().unwrap_or(0)
    }

    /// What stands at a place.
    pub(crate) fn entry(&self, place: usize) -> Option<Entry> {
        let value = self.decided.get(place.checked_sub(1)?)?.clone()?;
        Some(Entry { value, rev: Rev::Number(place as u64) })
    }

    /// The rev of what was decided last, if that is such a value.
    pub(crate) fn last(&self, is_it: impl Fn(&[u8]) -> bool) -> Option<Rev> {
        let value = self.decided.last()?.as_ref()?;
        is_it(value).then_some(Rev::Number(self.decided.len() as u64))
    }
}
