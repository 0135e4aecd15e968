//! The suite: which store, which settings, and the running of one case or all.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::bench::{Bench, Checked, KvBench};
use super::erased::Erased;
use super::{Failure, IntoDatastore, Place};
use crate::model::Durability;
use crate::storage::{Datastore, KeyValue, OverKeyValue};

/// A case that takes longer has failed: a store that hangs is not one.
const CASE_MAX: Duration = Duration::from_secs(180);
/// What is done after a case is waited for so long.
const CLEANING_MAX: Duration = Duration::from_secs(20);

pub(super) type Opens<S> = Arc<dyn Fn(Place) -> BoxFuture<'static, S> + Send + Sync>;

/// A store to be tested, and what is known of it.
#[derive(Clone)]
pub struct Suite {
    opens: Opens<Arc<dyn Datastore>>,
    opens_kv: Option<Opens<Erased>>,
    cleans_up: Option<Opens<()>>,
    settings: Settings,
}

/// What is known of the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) reopens: bool,
    pub(super) lists_deleted_for: Duration,
    pub(super) record_bytes_max: Option<usize>,
    pub(super) unreliable: bool,
    needs: Option<fn() -> bool>,
}

enum Run {
    Datastore(fn(Bench) -> BoxFuture<'static, Checked>),
    KeyValue(fn(KvBench) -> BoxFuture<'static, Checked>),
}

struct Case {
    name: &'static str,
    run: Run,
}

macro_rules! cases_of_datastore {
    ($($room:ident { $($case:ident)* })*) => {
        const DATASTORE: &[Case] = &[$($(
            Case { name: stringify!($case), run: Run::Datastore(|bench| Box::pin(super::$room::$case(bench))) },
        )*)*];
    };
}
crate::__conformance_datastore_cases!(cases_of_datastore);

macro_rules! cases_of_key_value {
    ($($room:ident { $($case:ident)* })*) => {
        const KEY_VALUE: &[Case] = &[$($(
            Case { name: stringify!($case), run: Run::KeyValue(|bench| Box::pin(super::$room::$case(bench))) },
        )*)*];
    };
}
crate::__conformance_key_value_cases!(cases_of_key_value);

impl Suite {
    /// A suite for the stores that `open` opens.
    pub fn datastore<F, O, S>(open: F) -> Self
    where
        F: Fn(Place) -> O + Send + Sync + 'static,
        O: Future<Output = S> + Send + 'static,
        S: IntoDatastore + 'static,
    {
        let opens: Opens<Arc<dyn Datastore>> = Arc::new(move |place| open(place).map(S::into_datastore).boxed());
        let settings = Settings {
            reopens: false,
            lists_deleted_for: Duration::from_secs(60),
            record_bytes_max: None,
            unreliable: false,
            needs: None,
        };
        Self { opens, opens_kv: None, cleans_up: None, settings }
    }

    /// A suite for the key-value stores that `open` opens, and for the datastores over them.
    pub fn key_value<F, O, K>(open: F) -> Self
    where
        F: Fn(Place) -> O + Send + Sync + 'static,
        O: Future<Output = K> + Send + 'static,
        K: KeyValue,
    {
        let opens_kv: Opens<Erased> = Arc::new(move |place| open(place).map(Erased::new).boxed());
        let of_datastore = Arc::clone(&opens_kv);
        let mut suite = Self::datastore(move |place| {
            let opened = of_datastore(place);
            async move { OverKeyValue::new(opened.await, Durability::Weak) }
        });
        suite.opens_kv = Some(opens_kv);
        suite
    }

    /// The store keeps its content: opened again in the same place after it was dropped, all of it is there.
    #[must_use]
    pub fn reopens(mut self) -> Self {
        self.settings.reopens = true;
        self
    }

    /// How long a deleted object or a cleared hint may still be listed; a minute unless said otherwise.
    #[must_use]
    pub fn lists_deleted_for(mut self, at_most: Duration) -> Self {
        self.settings.lists_deleted_for = at_most;
        self
    }

    /// The largest record to try, state and meta together, in bytes; what the store says unless said otherwise.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.record_bytes_max = Some(bytes);
        self
    }

    /// The way to the store loses requests and answers, as a faulty network does. A read that fails is tried again, and so
    /// is a write whose answer is `Unknown`, as the contract has a caller do. What must hold is the same.
    #[must_use]
    pub fn unreliable(mut self) -> Self {
        self.settings.unreliable = true;
        self
    }

    /// What is done in a place when its case is over, well or not: to drop a table or a keyspace.
    #[must_use]
    pub fn cleans_up<F, O>(mut self, clean_up: F) -> Self
    where
        F: Fn(Place) -> O + Send + Sync + 'static,
        O: Future<Output = ()> + Send + 'static,
    {
        self.cleans_up = Some(Arc::new(move |place| clean_up(place).boxed()));
        self
    }

    /// What must be there for the store to be opened, such as a server. Where `is_there` answers `false`, having said what
    /// is missing, no case runs.
    #[must_use]
    pub fn needs(mut self, is_there: fn() -> bool) -> Self {
        self.settings.needs = Some(is_there);
        self
    }

    /// Runs every case, each on a store and a runtime of its own; blocks until all are done.
    ///
    /// # Errors
    /// What did not hold.
    pub fn check(&self) -> Result<(), Vec<Failure>> {
        let failures: Vec<Failure> = self.cases().filter_map(|case| self.run(case).err()).collect();
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// Runs one case, by name.
    ///
    /// # Panics
    /// When the case does not hold, with what was expected and what came; or when there is none of that name.
    pub fn test(&self, name: &str) {
        let Some(case) = self.cases().find(|case| case.name == name) else {
            panic!("there is no case {name}");
        };
        if let Err(failure) = self.run(case) {
            panic!("{failure}");
        }
    }

    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        let of_key_value = if self.opens_kv.is_some() { KEY_VALUE } else { &[] };
        of_key_value.iter().chain(DATASTORE)
    }

    fn run(&self, case: &'static Case) -> Result<(), Failure> {
        if self.settings.needs.is_some_and(|is_there| !is_there()) {
            return Ok(());
        }
        let fails = |message: String| Failure { case: case.name, message };
        let place = Place::fresh().map_err(fails)?;
        let cleaning = self.cleans_up.as_ref().map(|clean_up| clean_up(place.clone()));
        let future = match (&case.run, &self.opens_kv) {
            (Run::Datastore(run), _) => run(Bench::new(Arc::clone(&self.opens), place, self.settings)),
            (Run::KeyValue(run), Some(opens)) => run(KvBench::new(Arc::clone(opens), place, self.settings)),
            (Run::KeyValue(_), None) => return Ok(()),
        };
        // On a thread of its own, so that the caller may be on a runtime or not.
        let ended = std::thread::spawn(move || run_to_end(future, cleaning)).join();
        ended.unwrap_or_else(|panic| Err(told(&*panic))).map_err(fails)
    }
}

fn run_to_end(case: BoxFuture<'static, Checked>, cleaning: Option<BoxFuture<'static, ()>>) -> Checked {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .enable_io()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let ended = runtime.block_on(async { tokio::time::timeout(CASE_MAX, tokio::spawn(case)).await });
    if let Some(cleaning) = cleaning {
        // What does not come to an end, or panics, is left as it is: the case has said what it found.
        let _ = runtime.block_on(async { tokio::time::timeout(CLEANING_MAX, tokio::spawn(cleaning)).await });
    }
    // A store that hangs is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(Ok(checked)) => checked,
        Ok(Err(error)) if error.is_panic() => Err(told(&*error.into_panic())),
        Ok(Err(error)) => Err(format!("the case did not run: {error}")),
        Err(_) => Err(format!("the store did not come to an end within {} s", CASE_MAX.as_secs())),
    }
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the store panicked: {}", text.unwrap_or("(no text)"))
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("settings", &self.settings).finish_non_exhaustive()
    }
}
