//! A number that counts.

use remote_object::prelude::*;

/// A number that counts. It begins at zero.
#[remote_object(replace, delete)]
pub(crate) struct Counter {
    /// How far it has counted.
    value: i64,
}

#[remote_object]
impl Counter {
    /// Answers how far it has counted.
    pub fn value(&self) -> i64 {
        self.value
    }

    /// Adds `by`, which may be negative, and answers the new value.
    pub fn add(&mut self, by: i64) -> Result<i64, CounterError> {
        self.value = self.value.checked_add(by).ok_or(CounterError::Overflow)?;
        Ok(self.value)
    }

    /// Begins at zero again.
    pub fn reset(&mut self) {
        self.value = 0;
    }
}

/// Why a counter does not count.
#[derive(Debug, PartialEq, Eq, RemoteError)]
pub(crate) enum CounterError {
    /// The sum does not fit a 64-bit number.
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_does_not_fit_leaves_the_counter_as_it_was() {
        let mut counter = Counter { value: i64::MAX - 1 };
        assert_eq!(counter.add(1), Ok(i64::MAX));
        assert_eq!(counter.add(1), Err(CounterError::Overflow));
        assert_eq!(counter.value(), i64::MAX);
        counter.reset();
        assert_eq!(counter.add(-5), Ok(-5));
    }
}
