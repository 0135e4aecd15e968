//! A TCP proxy that does to a server's wire what networks do: requests come late or never, connections end in the middle of
//! a request or an answer, an answer is lost after its request took effect, a request comes twice.
//!
//! ```no_run
//! use test_faulty::{Faults, Protocol, Proxy};
//!
//! let proxy = Proxy::start("127.0.0.1:6379", Protocol::Resp, Faults::usual(7));
//! let url = format!("redis://{}", proxy.address());
//! // ... and afterwards it says what it did.
//! assert!(proxy.counts().answers_lost > 0);
//! ```
//!
//! It knows where a request ends, so that it can let one take effect and lose its answer; of what a request says it knows
//! nothing. A stream that lost bytes in its middle is no fault that TCP lets through, so that what is lost ends the
//! connection. All chances come from the seed; which request meets which, from the order in which they come.

mod connection;
mod frames;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use frames::Protocol;

/// How often what happens: of 10,000 requests, so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Where the chances come from.
    pub seed: u64,
    /// The request waits for up to 10 ms, and all behind it.
    pub delays: u32,
    /// The connection ends before the request goes on.
    pub requests_lost: u32,
    /// The connection ends in the middle of the request.
    pub requests_cut: u32,
    /// The request takes effect; its answer comes, and the connection ends instead.
    pub answers_lost: u32,
    /// The request takes effect; the connection ends in the middle of its answer.
    pub answers_cut: u32,
    /// The request comes once more, up to eight requests later. Only for [`Protocol::Resp`]: what goes twice over a
    /// connection of PostgreSQL or Cassandra is answered out of turn, or as another request.
    pub repeated: u32,
    /// The request takes effect; neither its answer nor anything else comes any more, and the connection stays.
    pub silences: u32,
}

impl Faults {
    /// Some of each, but silences few: a client waits long for each.
    #[must_use]
    pub fn usual(seed: u64) -> Self {
        Self {
            seed,
            delays: 150,
            requests_lost: 30,
            requests_cut: 20,
            answers_lost: 60,
            answers_cut: 20,
            repeated: 200,
            silences: 2,
        }
    }
}

/// What has been done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// Requests that came.
    pub requests: u64,
    /// As [`Faults::delays`].
    pub delays: u64,
    /// As [`Faults::requests_lost`].
    pub requests_lost: u64,
    /// As [`Faults::requests_cut`].
    pub requests_cut: u64,
    /// As [`Faults::answers_lost`].
    pub answers_lost: u64,
    /// As [`Faults::answers_cut`].
    pub answers_cut: u64,
    /// As [`Faults::repeated`].
    pub repeated: u64,
    /// As [`Faults::silences`].
    pub silences: u64,
}

/// What all connections of a proxy share.
#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    faults: Mutex<Faults>,
    counts: Mutex<Counts>,
    /// The state of SplitMix64.
    random: AtomicU64,
    /// Whether connections are taken; when it turns to `false`, all end.
    open: watch::Sender<bool>,
}

impl Shared {
    fn random(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn count(&self, one_more: impl FnOnce(&mut Counts) -> &mut u64) {
        *one_more(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner)) += 1;
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy, on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy before `server`, on a port of its own.
    ///
    /// # Panics
    /// When this machine gives no port or no thread.
    #[must_use]
    pub fn start(server: &str, protocol: Protocol, faults: Faults) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let shared = Arc::new(Shared {
            protocol,
            faults: Mutex::new(faults),
            counts: Mutex::default(),
            random: AtomicU64::new(faults.seed),
            open: watch::Sender::new(true),
        });
        let (stop, stopped) = watch::channel(false);
        let (server, of_thread) = (server.to_owned(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            // What fails here ends the proxy, and every test that uses it says that nothing answers.
            let _: io::Result<()> = runtime.block_on(serve(listener, server, of_thread, stopped));
            runtime.shutdown_background();
        });
        Self { address, shared, stop, thread: Some(thread) }
    }

    /// Where it listens, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on, other faults. The seed counts at the start alone.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Cuts the server off: every connection ends, and new ones end at once.
    pub fn cut_off(&self) {
        self.shared.open.send_replace(false);
    }

    /// Lets it be reached again.
    pub fn reconnect(&self) {
        self.shared.open.send_replace(true);
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    server: String,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
        };
        shared.count(|counts| &mut counts.connections);
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let mut open = shared.open.subscribe();
            let relayed = async {
                client.set_nodelay(true)?;
                let server = TcpStream::connect(&server).await?;
                server.set_nodelay(true)?;
                connection::relay(client, server, &shared).await
            };
            tokio::select! {
                _ = relayed => {}
                _ = open.wait_for(|open| !*open) => {}
            }
        });
    }
}
