//! An object in 20 lines. `cargo run --example object`, then the curl lines it prints.

use remote_object::prelude::*;

/// Counts the visits of one page.
#[remote_object]
pub struct Visits {
    count: u64,
}

#[remote_object]
impl Visits {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// One more.
    pub fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    remote_object::serve().await
}
