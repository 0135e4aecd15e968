//! Time, randomness and tasks: the only file that asks the machine for them.
//!
//! A leaf. Monotonic time is tokio's, so a test that pauses it pauses everything here. Nothing that decides who may
//! write looks at wall-clock time. In a simulation there are many machines; see [`Machine`].

#![allow(clippy::disallowed_methods, reason = "what everyone else is sent here for")]

mod machine;

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use machine::{Machine, spawn};
pub use tokio::time::Instant;

/// Monotonic time.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall-clock time in milliseconds since the Unix epoch; zero on a clock set before it.
#[must_use]
pub fn unix_ms() -> u64 {
    if let Some(machine) = Machine::here() {
        return machine.unix_ms();
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// Milliseconds since the Unix epoch as UTC (the civil-from-days algorithm of Howard Hinnant).
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", ms % 1000)
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
        if let Some(machine) = Machine::here() {
            return Self::seeded(machine.next_seed());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_516_800_000), "2026-11-24T10:40:00.000Z");
    }
}
