//! The object types of the cases, beside the samples of the server.

use std::time::Duration;

use remote_object::prelude::*;
use remote_object::{Deserialize, JsonSchema, Serialize};

/// Does whatever a case needs.
#[remote_object]
pub struct Probe {
    hits: u32,
    text: String,
}

/// A pair of numbers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    x: i32,
    y: i32,
}

/// What a probe can answer instead.
#[derive(Debug, PartialEq, Eq, RemoteError)]
pub enum ProbeError {
    /// It had to be so
    #[status(409)]
    Refused {
        /// How often it was hit.
        hits: u32,
        /// What it was told.
        why: String,
    },
    /// Too many
    #[status(503)]
    Swamped,
}

#[remote_object]
impl Probe {
    /// Counts.
    pub fn hit(&mut self) -> u32 {
        self.hits += 1;
        self.hits
    }

    /// Says what it was told.
    pub fn echo(&self, text: String, times: Option<u8>) -> String {
        text.repeat(times.unwrap_or(1).into())
    }

    /// Adds the numbers.
    pub fn sum(&self, point: Point, scale: f64, negative: bool) -> f64 {
        let sum = f64::from(point.x + point.y) * scale;
        if negative { -sum } else { sum }
    }

    /// Takes its time.
    pub async fn slow(&mut self, ms: u64) -> u32 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.hits += 1;
        self.hits
    }

    /// Takes its time to look.
    pub async fn slow_view(&self, ms: u64) -> u32 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.hits
    }

    /// Looks at another.
    pub async fn look_at(&self, cx: &ViewContext, other: Remote<Probe>) -> Result<String> {
        Ok(cx.call(other.echo("seen".into(), None)).await?)
    }

    /// Calls another, which may call it back.
    pub async fn pass(&mut self, cx: &Context, to: Remote<Probe>, back: Option<Remote<Probe>>) -> Result<u32> {
        self.hits += 1;
        if let Some(back) = back {
            cx.call(to.pass(back, None)).await?;
        } else {
            cx.call(to.hit()).await?;
        }
        Ok(self.hits)
    }

    /// Panics.
    pub fn boom(&mut self) {
        panic!("the secret of the panic");
    }

    /// Refuses.
    pub fn refuse(&mut self, why: String) -> Result<(), ProbeError> {
        Err(ProbeError::Refused { hits: self.hits, why })
    }

    /// Cannot any more.
    pub fn swamp(&mut self) -> Result<(), ProbeError> {
        Err(ProbeError::Swamped)
    }

    /// A reply of so many bytes.
    pub fn big(&mut self, bytes: u32) -> String {
        self.hits += 1;
        "x".repeat(bytes as usize)
    }

    /// A state of so many bytes.
    pub fn grow(&mut self, bytes: u32) {
        self.text = "x".repeat(bytes as usize);
    }
}

/// Changes only for who says what he has seen.
#[remote_object(replace, delete, require_match)]
pub struct Careful {
    value: i64,
}

#[remote_object]
impl Careful {
    /// How much.
    pub fn value(&self) -> i64 {
        self.value
    }

    /// More.
    pub fn add(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }
}
