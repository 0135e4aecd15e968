//! Gets from one memcached, 64 in flight, by the client of this project and by the crate `memcache`. Asked on stdin; see
//! the library.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_peers::{IN_FLIGHT, KEYS, Measured, Worker, asked, measure, seconds};
use memcache::exp::{AsyncMetaClient, Ttl};
use remote_object::__memcached::Client;

/// As much as a counter's record has.
const VALUE: [u8; 100] = [b'7'; 100];
/// What is left behind by a run that was killed goes by itself.
const KEPT_SECONDS: u32 = 3600;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: memcached-clients HOST:PORT")?;
    // Where a connection is kept for each request in flight, none has to be opened again.
    let other = AsyncMetaClient::builder().max_idle(IN_FLIGHT).connect_async(&*address).await?;
    let ours = Arc::new(Client::open(address.parse()?).await?);
    for key in 0..KEYS as u128 {
        other.set(Client::key(key), VALUE).ttl(Ttl::secs(KEPT_SECONDS)).send().await?;
    }
    println!("ready memcached at {address}");
    while let Some((client, time)) = asked()? {
        let time = seconds(&time)?;
        let measured = match &*client {
            "ours" => run(|| Ours(Arc::clone(&ours)), time).await?,
            "crate" => run(|| Other(other.clone()), time).await?,
            _ => bail!("there is no client {client:?}"),
        };
        println!("{measured}");
    }
    for key in 0..KEYS as u128 {
        other.delete(Client::key(key)).send().await?;
    }
    Ok(())
}

async fn run<W: Worker>(worker: impl Fn() -> W, time: Duration) -> Result<Measured> {
    measure((0..IN_FLIGHT).map(|_| worker()).collect(), time).await
}

fn any() -> u128 {
    fastrand::u128(..KEYS as u128)
}

fn check(value: Option<&[u8]>) -> Result<()> {
    match value {
        Some(value) if *value == VALUE => Ok(()),
        other => bail!("a value that was set is {other:?}"),
    }
}

struct Ours(Arc<Client>);

impl Worker for Ours {
    async fn once(&mut self) -> Result<()> {
        check(self.0.get(any()).await?.as_deref())
    }
}

struct Other(AsyncMetaClient);

impl Worker for Other {
    async fn once(&mut self) -> Result<()> {
        check(self.0.get(Client::key(any())).send().await?.value.as_deref())
    }
}
