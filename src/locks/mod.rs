//! # locks: who may run an object now
//!
//! Adds: that an object has one writer at a time, and that no answer leaves after that ended. Shards, their registers and
//! epochs, incarnations, and the confirm; `docs/guarantees.md` has the rules.
//! Never knows: what a call or a state is. It hands out a [`Hold`] and versions under it.
//! Door: [`Locks`].

mod commit;
mod confirm;
mod desired;
mod formats;
#[cfg(feature = "http")]
mod having;
mod hold;
mod incarnation;
mod life;
#[cfg(feature = "http")]
mod look;
mod members;
mod moves;
#[cfg(feature = "cli")]
mod raise;
mod registers;
mod relay;
mod remnants;
mod route;
mod shards;

pub use crate::cache::{CacheCounts, PoolCounts, Published, Tier};
#[cfg(feature = "http")]
pub use crate::cache::{Copy, Held};
pub use hold::{Commit, Hold};
pub use incarnation::NodeId;
#[cfg(feature = "http")]
pub use look::{Incarnation, Look, Ownership};
#[cfg(feature = "cli")]
pub use raise::raise_epochs;
pub use route::{ClusterCounts, Peer, Place};
pub use shards::Locks;
