//! # The conformance kit: whether a store keeps the contract
//!
//! Adds: every sentence of the contract of [`Datastore`] and [`KeyValue`] as a test case, for any store anywhere.
//! Never knows: what the store is. It asks for an empty one again and again.
//! Door: [`datastore!`] and [`key_value!`] make one test a case; [`check_datastore`] and [`check_key_value`] run all
//! and tell which failed; [`Suite`] has the settings.
//!
//! ```no_run
//! use remote_object::conformance;
//! use remote_object::storage::{Memory, Sqlite};
//!
//! conformance::datastore!(sqlite, |place| async move { Sqlite::open(place.dir().join("store.db")).unwrap() }, reopens);
//! conformance::key_value!(memory, |_| async { Memory::new() });
//! # fn main() {}
//! ```
//!
//! The closure opens a store in a [`Place`] of the kit: a directory and a name that no other test has. The first store
//! opened in a place must be empty. A store that keeps its content over a restart says `reopens`, and is then opened in
//! one place more than once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Datastore, KeyValue};
use crate::clock;

mod atomicity;
mod attempts;
mod bench;
mod erased;
mod hints;
mod key_values;
mod listings;
mod macros;
mod purging;
mod random;
mod records;
mod registers;
mod reopening;
mod shapes;
mod suite;

pub use self::suite::Suite;
#[doc(inline)]
pub use crate::{__conformance_datastore as datastore, __conformance_key_value as key_value};

/// Runs every case against stores that `open` makes, on a runtime of its own; blocks until it is done.
///
/// # Errors
/// What did not hold, by the names of the cases.
pub fn check_datastore<F, O, S>(open: F) -> Result<(), Vec<Failure>>
where
    F: Fn(Place) -> O + Send + Sync + 'static,
    O: Future<Output = S> + Send + 'static,
    S: IntoDatastore + 'static,
{
    Suite::datastore(open).check()
}

/// As [`check_datastore`], for a [`KeyValue`]: its own cases, and those of a datastore over it.
///
/// # Errors
/// What did not hold, by the names of the cases.
pub fn check_key_value<F, O, K>(open: F) -> Result<(), Vec<Failure>>
where
    F: Fn(Place) -> O + Send + Sync + 'static,
    O: Future<Output = K> + Send + 'static,
    K: KeyValue,
{
    Suite::key_value(open).check()
}

/// A case that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The case's name: the promise that was broken.
    pub case: &'static str,
    /// What was expected and what came.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.message)
    }
}

/// Where one case has its store. Removed when nothing holds it any more.
#[derive(Clone, Debug)]
pub struct Place(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    dir: PathBuf,
}

impl Place {
    fn fresh() -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kit_{}_{}_{count}", std::process::id(), clock::unix_ms());
        let dir = std::env::temp_dir().join(format!("remote-object-{name}"));
        std::fs::create_dir_all(&dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        Ok(Self(Arc::new(Inner { name, dir })))
    }

    /// An empty directory that is there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// A name no other place has, of letters, digits and `_`: for a keyspace, a bucket, a prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What a test's closure may return: a [`Datastore`], or one in an `Arc`.
pub trait IntoDatastore {
    /// The store as the rooms above use it.
    fn into_datastore(self) -> Arc<dyn Datastore>;
}

impl<D: Datastore> IntoDatastore for D {
    fn into_datastore(self) -> Arc<dyn Datastore> {
        Arc::new(self)
    }
}

impl IntoDatastore for Arc<dyn Datastore> {
    fn into_datastore(self) -> Arc<dyn Datastore> {
        self
    }
}
