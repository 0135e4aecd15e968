//! The object types of these tests.

use std::time::Duration;

use remote_object::prelude::*;
use remote_object::{Deserialize, JsonSchema, Serialize};
use serde::Serializer;

/// A sum.
#[remote_object(replace, delete)]
pub struct Tally {
    value: i64,
    #[serde(default)]
    text: String,
}

/// Why a tally does not add.
#[derive(RemoteError, Debug, PartialEq)]
pub enum TallyError {
    /// It was asked to refuse.
    #[status(402)]
    Refused {
        /// What it had come to.
        value: i64,
    },
    /// Another object said no.
    #[transparent]
    Failed(Error),
}

#[remote_object]
impl Tally {
    pub fn value(&self) -> i64 {
        self.value
    }

    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    /// Changes the working copy, and then refuses.
    pub fn refuse(&mut self, by: i64) -> Result<i64, TallyError> {
        self.value += by;
        Err(TallyError::Refused { value: self.value })
    }

    pub fn crash(&mut self) {
        self.value = -1;
        panic!("as the test asked");
    }

    /// Refuses as long as the sum is below `min`.
    pub fn add_from(&mut self, min: i64, by: i64) -> Result<i64, TallyError> {
        if self.value < min {
            return Err(TallyError::Refused { value: self.value });
        }
        self.value += by;
        Ok(self.value)
    }

    /// Answers with so many bytes.
    pub fn say(&mut self, bytes: u32) -> String {
        self.value += 1;
        "x".repeat(bytes as usize)
    }

    /// Makes the state so large.
    pub fn fill(&mut self, bytes: u32) {
        self.text = "x".repeat(bytes as usize);
    }

    /// Keeps its thread busy in between.
    pub fn add_busily(&mut self, by: i64, ms: u64) -> i64 {
        std::thread::sleep(Duration::from_millis(ms));
        self.value += by;
        self.value
    }

    /// Waits in between.
    pub async fn add_slowly(&mut self, by: i64, ms: u64) -> i64 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.value += by;
        self.value
    }

    /// Tells another what it has come to itself.
    pub async fn tell(&mut self, cx: &Context, to: Remote<Tally>, by: i64) -> Result<i64, TallyError> {
        self.value += by;
        let said = cx.call(to.add(self.value)).await;
        said.map_err(|error| TallyError::Failed(error.into()))
    }

    /// Tells another, and takes its time before it has come to anything itself.
    pub async fn tell_late(&mut self, cx: &Context, to: Remote<Tally>, ms: u64) -> Result<i64, TallyError> {
        cx.call(to.add(1)).await.map_err(|error| TallyError::Failed(error.into()))?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.value += 1;
        Ok(self.value)
    }

    /// Has another tell a third one.
    pub async fn tell_round(&mut self, cx: &Context, by: Remote<Tally>, to: Remote<Tally>) -> Result<i64, TallyError> {
        self.value += 1;
        cx.call(by.tell(to, 1)).await.map_err(|error| TallyError::Failed(error.into()))
    }

    /// Tells another, and then fails as it is told to.
    pub async fn tell_and(&mut self, cx: &Context, to: Remote<Tally>, then: String) -> Result<i64, TallyError> {
        let told = cx.call(to.add(1)).await.map_err(|error| TallyError::Failed(error.into()))?;
        match then.as_str() {
            "panic" => panic!("as the test asked"),
            "grow" => self.text = "x".repeat(2 << 20),
            "hang" => std::future::pending().await,
            _ => {}
        }
        self.value += 1;
        Ok(told)
    }

    /// Asks another for its sum.
    pub async fn ask(&self, cx: &ViewContext, of: Remote<Tally>) -> Result<i64, TallyError> {
        cx.call(of.value()).await.map_err(|error| TallyError::Failed(error.into()))
    }
}

/// A number that cannot be copied when it is 13, nor written when it is 17.
#[derive(Default, Deserialize, JsonSchema)]
pub struct Number(i64);

impl Clone for Number {
    fn clone(&self) -> Self {
        assert_ne!(self.0, 13, "as the test asked");
        Self(self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        assert_ne!(self.0, 17, "as the test asked");
        to.serialize_i64(self.0)
    }
}

/// A state with code of the user's own in it.
#[remote_object]
pub struct Touchy {
    value: Number,
}

#[remote_object]
impl Touchy {
    pub fn set(&mut self, to: i64) {
        self.value = Number(to);
    }

    pub async fn set_later(&mut self, to: i64) {
        tokio::task::yield_now().await;
        self.value = Number(to);
    }

    pub fn value(&self) -> i64 {
        self.value.0
    }
}

/// A sum that remembers three keyed calls, or forty bytes of what it replied to them.
#[remote_object(delete, keyed_calls = 3, keyed_bytes = 40)]
pub struct Few {
    value: i64,
}

#[remote_object]
impl Few {
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    pub fn say(&mut self, bytes: u32) -> String {
        self.value += 1;
        "x".repeat(bytes as usize)
    }

    pub fn value(&self) -> i64 {
        self.value
    }
}
