//! The object type the model knows.

use std::time::Duration;

use remote_object::prelude::*;

/// A sum.
#[remote_object(replace, delete)]
pub struct Sum {
    value: i64,
}

/// Why a sum does not add.
#[derive(RemoteError, Debug)]
pub enum SumError {
    /// It has not come so far.
    #[status(402)]
    TooLow {
        /// What it has come to.
        value: i64,
    },
    /// Another said no.
    #[transparent]
    Failed(Error),
}

#[remote_object]
impl Sum {
    pub fn value(&self) -> i64 {
        self.value
    }

    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    pub fn add_from(&mut self, min: i64, by: i64) -> Result<i64, SumError> {
        self.value += by;
        if self.value - by < min {
            return Err(SumError::TooLow { value: self.value - by });
        }
        Ok(self.value)
    }

    pub fn crash(&mut self) {
        self.value = 1_000_000;
        panic!("as the model asked");
    }

    pub async fn add_slowly(&mut self, by: i64) -> i64 {
        self.value += by;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.value
    }

    /// Adds here, and what it comes to there.
    pub async fn tell(&mut self, cx: &Context, to: Remote<Sum>, by: i64) -> Result<i64, SumError> {
        self.value += by;
        cx.call(to.add(self.value)).await.map_err(|error| SumError::Failed(error.into()))
    }
}
