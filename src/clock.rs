//! Time and randomness: the only file that asks the machine for either.
//!
//! A leaf. Monotonic time is tokio's, so a test that pauses it pauses everything here. Nothing that decides who may
//! write looks at wall-clock time.

#![allow(clippy::disallowed_methods, reason = "what everyone else is sent here for")]

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// Monotonic time.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time in milliseconds since the Unix epoch; zero on a clock set before it.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// A seeded source of random numbers (SplitMix64, Steele et al. 2014). For ids and jitter, not for secrets.
#[derive(Debug)]
pub struct Random(Mutex<u64>);

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// Seeded by the operating system.
    #[must_use]
    pub fn from_os() -> Self {
        let seed = getrandom::u64().unwrap_or_else(|_| unix_ms() ^ u64::from(std::process::id()) << 40);
        Self::seeded(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next 16 bytes.
    pub fn next_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes
    }
}
