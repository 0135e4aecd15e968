//! The object types of the suite.

use std::time::Duration;

use remote_object::prelude::*;

/// Does whatever a case needs.
#[remote_object(replace, delete)]
pub struct Probe {
    value: i64,
    notes: Vec<String>,
}

/// What a probe can answer instead.
#[derive(RemoteError, Debug, PartialEq)]
pub enum ProbeError {
    /// It was told to
    #[status(409)]
    Told { value: i64, why: String },
    /// Nothing more to say
    Plain,
    #[transparent]
    Failed(remote_object::Error),
}

#[remote_object]
impl Probe {
    pub fn value(&self) -> i64 {
        self.value
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    pub fn add_if_even(&mut self, by: i64) -> Result<i64, ProbeError> {
        self.value += by;
        if by % 2 == 0 { Ok(self.value) } else { Err(ProbeError::Told { value: self.value, why: "odd".into() }) }
    }

    pub fn fail_plainly(&mut self) -> Result<(), ProbeError> {
        self.value = -1;
        Err(ProbeError::Plain)
    }

    pub fn panic(&mut self) -> i64 {
        self.value = -2;
        panic!("as the case asked")
    }

    pub fn grow(&mut self, bytes: u32) {
        self.notes.push("x".repeat(bytes as usize));
    }

    /// Waits inside its turn.
    pub async fn add_slowly(&mut self, by: i64, ms: u64) -> i64 {
        self.value += by;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.value
    }

    pub async fn panic_later(&mut self) -> i64 {
        self.value = -3;
        tokio::task::yield_now().await;
        panic!("as the case asked")
    }

    /// Asks another for its value.
    pub async fn peek(&self, cx: &ViewContext, at: Remote<Probe>) -> remote_object::Result<i64> {
        Ok(cx.call(at.value()).await?)
    }

    /// Adds here what the other has after it added too.
    pub async fn add_both(&mut self, cx: &Context, other: Remote<Probe>, by: i64) -> Result<i64, ProbeError> {
        self.value += cx.call(other.add_if_even(by)).await?;
        Ok(self.value)
    }

    /// Calls along the way and back.
    pub async fn along(&mut self, cx: &Context, way: Vec<Remote<Probe>>) -> remote_object::Result<i64> {
        self.value += 1;
        match way.split_first() {
            None => Ok(self.value),
            Some((next, rest)) => Ok(cx.call(next.along(rest.to_vec())).await?),
        }
    }

    /// Waits, then calls the other.
    pub async fn meet(&mut self, cx: &Context, other: Remote<Probe>, ms: u64) -> remote_object::Result<i64> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(cx.call(other.add(1)).await?)
    }

    /// Who it is, by its context, before and after it waited for another.
    pub async fn who(&mut self, cx: &Context, tag: String, other: Remote<Probe>) -> remote_object::Result<Vec<String>> {
        let before = format!("{} {tag}", cx.id());
        cx.call(other.add(1)).await?;
        tokio::task::yield_now().await;
        Ok(vec![before, format!("{} {tag}", cx.id())])
    }
}
