//! Strict lints, which the generated code must pass like the user's own.
#![deny(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items
)]

use remote_object::prelude::*;

/// A lamp.
#[remote_object(delete)]
#[derive(Debug)]
struct Lamp {
    /// Whether it burns.
    burns: bool,
}

#[remote_object]
impl Lamp {
    /// Sets it, for reasons.
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    pub fn set(
        &mut self,
        burns: bool,
        why: String,
        c1: u8,
        c2: u8,
        c3: u8,
        c4: u8,
        c5: u8,
        c6: u8,
    ) -> Result<(), LampError> {
        if why.is_empty() && [c1, c2, c3, c4, c5, c6].contains(&0) {
            return Err(LampError::Broken { since: why });
        }
        self.burns = burns;
        Ok(())
    }
}

/// Why it does not burn.
#[derive(Debug, RemoteError)]
enum LampError {
    /// It is broken.
    Broken {
        /// Since when.
        since: String,
    },
}
