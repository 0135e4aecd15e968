//! A cluster in one thread: nodes that run the code that is shipped, a store, a shared cache and the wires between them, in
//! time of its own, and whatever may befall them. A seed chooses everything: the same seed, the same run.
//!
//! - A **node** is a [`Service`](remote_object::Service) on a [`Machine`](remote_object::clock::Machine) of its own. While that
//!   stands still no task of it runs and no timer fires; when it goes on, its clock has jumped. What it had sent before
//!   goes on without it.
//! - The **store** is three replicas that order writes by their version ([`Replicas`]), or one table with compare-and-set
//!   ([`Table`]). Requests and answers are lost or late; a write reaches each replica at its own time or never; a change of
//!   a register may be known to one replica alone, or be made long after who asked for it gave up.
//! - The **wires** ([`Net`]) can be cut, one way too; nodes ask each other over them as they do over HTTP.
//! - The **cache** ([`Memcached`]) forgets, comes back with old entries, and mixes them up.
//! - [`Faults`] play all of that, and kill, freeze, restart and drain nodes, and set their wall clocks.
//!
//! The object types are those of the program, as for any service:
//!
//! ```
//! use remote_object::prelude::*;
//! use test_simulator::{Cluster, Faults, Setup, run};
//!
//! #[remote_object]
//! pub struct Visits { count: u64 }
//!
//! #[remote_object]
//! impl Visits {
//!     pub fn add(&mut self) -> u64 { self.count += 1; self.count }
//! }
//!
//! let seen = run(async {
//!     let cluster = Cluster::start(Setup::new(7)).await;
//!     let (faults, playing) = (Faults::all(), std::sync::Arc::clone(&cluster));
//!     let faults = tokio::spawn(async move { faults.play(&playing).await });
//!     let mut acknowledged = 0;
//!     for call in 0..20 {
//!         let node = cluster.any();
//!         let visit = Remote::<Visits>::new("home").add().idempotency_key(call.to_string());
//!         let answer = cluster.ask(node, async move |host| host.call(visit).await).await;
//!         acknowledged += u64::from(matches!(answer, Some(Ok(_))));
//!     }
//!     faults.abort();
//!     cluster.calm().await;
//!     let node = cluster.any();
//!     let last = cluster.ask(node, async |host| host.call(Remote::<Visits>::new("home").add()).await).await;
//!     assert!(last.expect("nothing is lost any more").expect("an answer") > acknowledged);
//!     acknowledged
//! });
//! assert!(seen <= 20);
//! ```

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cache;
mod cluster;
mod faults;
mod line;
mod net;
mod peers;
mod registers;
mod replicas;
mod table;
mod world;

pub use cache::Memcached;
pub use cluster::{Beside, Cluster, Process, Setup, Under};
pub use faults::{Fault, Faults};
pub use line::Line;
pub use net::{Net, Place};
pub use replicas::Replicas;
pub use table::Table;
pub use world::{CALM_AFTER, Weather, World};

/// Runs something in time of its own, in this thread.
///
/// # Panics
/// When no runtime can be made.
pub fn run<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(what)
}
