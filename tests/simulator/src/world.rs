//! What everything in a run shares: luck, time, weather, and what happened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use remote_object::clock::{self, Instant, Random};

use crate::net::Net;

/// After so long in good weather nothing is under way any more.
pub const CALM_AFTER: Duration = Duration::from_secs(60);

/// The latest that something lands that was late.
const LATE_MAX_MS: u64 = 30_000;

/// How bad it is, in chances out of a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weather {
    /// That a write reaches a replica late or never: drawn for each write, and for each replica of one that is hit.
    pub stray: u64,
    /// That a change of a register is told to one replica alone: a read learns of it or not, until somebody writes.
    pub untold: u64,
    /// That a request or an answer is lost.
    pub lost: u64,
    /// That the store refuses a put.
    pub refused: u64,
    /// That the driver panics in a put.
    pub panics: u64,
    /// That a shared cache answers with something else than was asked for.
    pub lies: u64,
}

/// A run.
#[derive(Debug)]
pub struct World {
    random: Random,
    began: Instant,
    weather: Mutex<Weather>,
    /// What happened, if anybody wants to know.
    told: Option<Mutex<Vec<String>>>,
    /// The wires.
    pub net: Net,
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, traced: bool) -> Arc<Self> {
        Arc::new(Self {
            random: Random::seeded(seed),
            began: clock::now(),
            weather: Mutex::new(weather),
            told: traced.then(Mutex::default),
            net: Net::default(),
        })
    }

    /// The time since the run began.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// 0..`limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    /// True in so many of a hundred cases.
    pub fn chance(&self, of_hundred: u64) -> bool {
        of_hundred > 0 && self.below(100) < of_hundred
    }

    /// Some time, in milliseconds, to the microsecond.
    pub fn ms(&self, from: u64, to: u64) -> Duration {
        Duration::from_micros(1000 * from + self.below(1000 * (to - from)))
    }

    /// When something lands that is late.
    pub(crate) fn late(&self) -> Duration {
        self.ms(10, LATE_MAX_MS)
    }

    /// How long a message is under way.
    pub(crate) fn way(&self) -> Duration {
        if self.weather().stray > 0 && self.chance(2) { self.ms(2, 400) } else { self.ms(0, 2) }
    }

    /// As it is now.
    #[must_use]
    pub fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on it is so. What is under way is.
    pub fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// Writes down what happened.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(told) = &self.told {
            let line = format!("{:>12.6} {}", self.time().as_secs_f64(), what());
            told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// What happened, in order; empty unless it was asked for.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.told.as_ref().map_or_else(Vec::new, |told| told.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
