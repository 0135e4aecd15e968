//! Faults on the wire: a proxy that delays, and a server that answers for other keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Stands before a server and hands everything on, later.
pub struct Proxy {
    pub address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let delay_ms = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_ms);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                hand_on(from_client, to_server, Arc::clone(&delay));
                hand_on(from_server, to_client, Arc::clone(&delay));
            }
        });
        Self { address, delay_ms, task }
    }

    /// So late is everything from now on, each way half of it.
    pub fn delay(&self, by: Duration) {
        self.delay_ms.store(by.as_millis() as u64 / 2, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn hand_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay_ms: Arc<AtomicU64>) {
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let at = Instant::now() + Duration::from_millis(delay_ms.load(SeqCst));
            if late.send((at, bytes[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}

/// A memcached that keeps everything, and answers a get with what was put under another key.
pub struct Liar {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Liar {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let kept = Kept::default();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lie(client, Arc::clone(&kept)));
            }
        });
        Self { address, task }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Kept = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

async fn lie(client: TcpStream, kept: Kept) {
    let (from, mut to) = client.into_split();
    let mut from = BufReader::new(from);
    loop {
        let mut line = String::new();
        if !matches!(from.read_line(&mut line).await, Ok(1..)) {
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["mn"] => b"MN\r\n".to_vec(),
            ["ms", key, size, ..] => {
                let mut value = vec![0; size.parse::<usize>().unwrap() + 2];
                from.read_exact(&mut value).await.unwrap();
                value.truncate(value.len() - 2);
                kept.lock().unwrap().insert((*key).to_owned(), value);
                b"HD\r\n".to_vec()
            }
            ["mg", key, "v"] => match kept.lock().unwrap().iter().find(|(other, _)| other != key) {
                Some((_, value)) => [format!("VA {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
                None => b"EN\r\n".to_vec(),
            },
            _ => b"HD\r\n".to_vec(),
        };
        if to.write_all(&answer).await.is_err() {
            return;
        }
    }
}
