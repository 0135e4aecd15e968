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
//! # Objects of one's own
//!
//! It knows no object type and no client: the types are those of the program, as for any service, and what clients ask, and
//! what they may be answered, is the test's. A test plays as many seeds as it likes; one that does not hold is played again
//! with [`Setup::traced`], and [`World::told`] has what happened, line by line.
//!
//! ```
//! use remote_object::prelude::*;
//! use test_simulator::{Cluster, Faults, Seeds, Setup, run};
//!
//! #[remote_object]
//! pub struct Visits { count: u64 }
//!
//! #[remote_object]
//! impl Visits {
//!     pub fn count(&self) -> u64 { self.count }
//!     pub fn add(&mut self) -> u64 { self.count += 1; self.count }
//! }
//!
//! /// Somebody visits, whichever node he comes to, while anything happens: each visit that was acknowledged counts.
//! async fn visits(setup: Setup) -> Result<u64, Vec<String>> {
//!     let cluster = Cluster::start(setup).await;
//!     let comes = async {
//!         let mut acknowledged = 0;
//!         for visit in 0..10 {
//!             let call = Remote::<Visits>::new("home").add().idempotency_key(visit.to_string());
//!             let answer = cluster.ask(cluster.any(), async move |host| host.call(call).await).await;
//!             acknowledged += u64::from(matches!(answer, Some(Ok(_))));
//!         }
//!         acknowledged
//!     };
//!     let faults = Faults::all();
//!     let acknowledged = tokio::select! {
//!         acknowledged = comes => acknowledged,
//!         () = faults.play(&cluster) => unreachable!("there is no end to faults"),
//!     };
//!     cluster.calm().await;
//!     let counted = cluster.ask(cluster.any(), async |host| host.call(Remote::<Visits>::new("home").count()).await).await;
//!     match counted {
//!         Some(Ok(counted)) if (acknowledged..=10).contains(&counted) => Ok(acknowledged),
//!         _ => Err(cluster.world.told()),
//!     }
//! }
//!
//! let mut acknowledged = 0;
//! let held = Seeds::new(5).play(|seed| run(visits(Setup::new(seed))), |of_run| acknowledged += of_run);
//! if let Err(failed) = held {
//!     let setup = Setup { traced: true, ..Setup::new(failed.seed) };
//!     panic!("seed {}: {:#?}", failed.seed, run(visits(setup)));
//! }
//! assert!(acknowledged > 5, "{acknowledged}");
//! ```
//!
//! Something of one's own can stand between a node and its store, or the other nodes ([`Setup::under`], [`Setup::beside`]):
//! it sees every request, and may break what it likes, to see that the test would notice.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cache;
mod cluster;
mod faults;
mod line;
mod net;
mod peers;
mod registers;
mod replicas;
mod seeds;
mod table;
mod world;

pub use cache::Memcached;
pub use cluster::{Beside, Cluster, Process, Setup, Under};
pub use faults::{Fault, Faults};
pub use line::Line;
pub use net::{Net, Place};
pub use replicas::Replicas;
pub use seeds::{Failed, Seeds};
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
