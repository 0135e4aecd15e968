//! The wires between nodes, store and cache: which are cut, and which way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Where a wire ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// A node, by its number.
    Node(usize),
    /// The store, through any replica.
    Store,
    /// The shared cache.
    Cache,
}

/// All wires. Those between clients and nodes are never cut: their messages are lost by the weather alone.
#[derive(Debug, Default)]
pub struct Net(Mutex<BTreeMap<(Place, Place), u32>>);

impl Net {
    /// Nothing that is sent from `from` arrives at `to` until it is [mended](Self::mend); as often as it was cut.
    pub fn cut(&self, from: Place, to: Place) {
        *self.cuts().entry((from, to)).or_default() += 1;
    }

    /// Takes one cut back.
    pub fn mend(&self, from: Place, to: Place) {
        let mut cuts = self.cuts();
        if let Some(count) = cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                cuts.remove(&(from, to));
            }
        }
    }

    /// Takes all cuts back.
    pub fn mend_all(&self) {
        self.cuts().clear();
    }

    /// Whether nothing arrives.
    #[must_use]
    pub fn is_cut(&self, from: Place, to: Place) -> bool {
        self.cuts().contains_key(&(from, to))
    }

    fn cuts(&self) -> MutexGuard<'_, BTreeMap<(Place, Place), u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That somebody waits for an answer. The other end hears of it when this is dropped, where it `hears` at all.
pub(crate) struct Waits(#[allow(dead_code, reason = "what matters is when it is dropped")] Option<oneshot::Sender<()>>);

impl Waits {
    /// With what resolves at the other end when nobody waits any more.
    pub(crate) fn new(hears: bool) -> (Self, impl Future<Output = ()> + Send) {
        let (here, there) = oneshot::channel();
        let here = if hears { Some(here) } else { here.send(()).err().and(None) };
        let left = async move {
            if there.await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        (Self(here), left)
    }
}
