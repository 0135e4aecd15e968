//! The object types of the simulation: counters, since their answers tell everything.

use remote_object::model::Version;
use remote_object::prelude::*;

/// Counts adds.
#[remote_object]
pub struct Tally {
    value: u64,
    /// Whether `value` is even. Of one member alone nobody could see in which order members are written.
    even: bool,
}

#[remote_object]
impl Tally {
    pub fn value(&self) -> u64 {
        self.value
    }

    pub fn add(&mut self) -> u64 {
        self.value += 1;
        self.even = self.value.is_multiple_of(2);
        self.value
    }
}

/// Counts adds too, remembers three keyed calls, and knows of each ticket whether it came twice.
#[remote_object(keyed_calls = 3)]
pub struct Few {
    value: u64,
    tickets: Vec<u64>,
    twice: Vec<u64>,
}

#[remote_object]
impl Few {
    pub fn value(&self) -> u64 {
        self.value
    }

    pub fn twice(&self) -> Vec<u64> {
        self.twice.clone()
    }

    pub fn add(&mut self, ticket: u64) -> u64 {
        if self.tickets.contains(&ticket) {
            self.twice.push(ticket);
        }
        self.tickets.push(ticket);
        self.value += 1;
        self.value
    }
}

/// Counts what it has told tallies.
#[remote_object]
pub struct Teller {
    told: u64,
}

/// What it is told back: what it has told by now, what the tally came to, and the entity tag of that.
#[remote_value]
pub struct Told {
    pub told: u64,
    pub value: u64,
    pub tag: String,
}

/// Why a teller did not tell.
#[derive(RemoteError, Debug)]
pub enum TellerError {
    /// The tally said no.
    #[transparent]
    Failed(Error),
}

#[remote_object]
impl Teller {
    pub fn told(&self) -> u64 {
        self.told
    }

    pub async fn tell(&mut self, cx: &Context, to: Remote<Tally>) -> Result<Told, TellerError> {
        let (value, tag) = cx.call_tagged(to.add()).await.map_err(|error| TellerError::Failed(error.into()))?;
        self.told += 1;
        Ok(Told { told: self.told, value, tag: tag.as_ref().map_or_else(String::new, Version::to_string) })
    }
}
