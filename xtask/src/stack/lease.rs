//! The stack for as long as the tests need it.

use std::env;

use anyhow::Result;

use super::launch::Lifetime;
use super::server::{self, Kind, Server};
use super::{Only, Source, Up, down, probe, up};

/// Servers that are ended when this is dropped. What was up before is left up.
#[derive(Default)]
pub(crate) struct Lease {
    started: Vec<Server>,
}

impl Lease {
    /// Brings the stack up.
    ///
    /// # Errors
    /// When it cannot be brought up and servers are [`required`]; else the tests will say which of them they skip.
    pub(crate) fn take() -> Result<Self> {
        // Tests that kill and freeze servers need processes of this machine; where none may be skipped, those there are.
        let from = required().then_some(Source::Packages);
        match up(&Up { from, ..Up::default() }, Lifetime::OfTheTask) {
            Ok(started) => Ok(Self { started }),
            Err(error) if required() => Err(error),
            Err(error) => {
                println!("SKIPPED: the tests with real servers; the stack cannot be brought up: {error:#}");
                Ok(Self::default())
            }
        }
    }

    /// Brings those up of these servers that are not up already, however those run.
    ///
    /// # Errors
    /// When they cannot be brought up.
    pub(crate) fn need(kinds: impl Iterator<Item = Kind>) -> Result<Self> {
        let missing = kinds.filter(|kind| !server::all(&[*kind]).iter().all(probe::answers));
        let only = Only { only: missing.collect() };
        // An empty choice would be all there are.
        if only.only.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { started: up(&Up { only, ..Up::default() }, Lifetime::OfTheTask)? })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = down(&self.started) {
            println!("stack: {error:#}");
        }
    }
}

/// Whether a missing server is a failure, as it is on CI.
pub(crate) fn required() -> bool {
    let set = |name| env::var(name).is_ok_and(|value| !value.is_empty() && value != "0" && value != "false");
    set("CI") || set("REQUIRE_BACKENDS")
}
