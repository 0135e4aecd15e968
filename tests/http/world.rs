//! A service on a socket of its own, and a client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use remote_object::error::Kind;
use remote_object::{Config, Service};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// No case takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running service.
pub struct World {
    pub service: Service,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: tokio::task::JoinHandle<()>,
}

impl World {
    /// With the default settings, on a memory store.
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// With other settings.
    pub async fn with(config: Config) -> Self {
        let service = Service::builder().config(config).store("memory:").build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = service.clone();
        let running = tokio::spawn(async move {
            serving.run(listener, async { _ = stopped.await }).await.unwrap();
        });
        Self { service, address, stop: Some(stop), running }
    }

    /// The URL of the service.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to stop.
    pub fn stop(&mut self) {
        _ = self.stop.take().unwrap().send(());
    }

    /// Waits for the end of the server.
    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.running).await.expect("it ends").unwrap();
    }

    /// A connection of one's own.
    pub async fn wire(&self) -> Wire {
        Wire::to(self.address).await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut wire = self.wire().await;
        wire.ask(verb, path, headers, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// A POST of JSON.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body).await
    }

    /// It goes on as before.
    pub async fn assert_alive(&self) {
        let answer = self.post("/objects/probe/alive/hit", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// A connection.
pub struct Wire {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// One request on this connection.
    pub async fn ask(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{verb} {path} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            text += &format!("content-length: {}\r\n", body.len());
        }
        self.send(format!("{text}\r\n{body}")).await;
        self.answer(verb == "HEAD").await.unwrap_or_else(|| panic!("{verb} {path}: closed without an answer"))
    }

    /// The next answer; `None` when the connection is closed instead.
    pub async fn answer(&mut self, head_only: bool) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(head_only)).await.expect("an answer, or the end")
    }

    async fn read_answer(&mut self, head_only: bool) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.more().await == 0 {
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let bodyless = head_only || matches!(status, 100 | 204 | 304);
        let length = if bodyless { 0 } else { answer.header("content-length").map_or(0, |n| n.parse().unwrap()) };
        while self.read.len() < length {
            assert_ne!(self.more().await, 0, "cut off in the body");
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    async fn more(&mut self) -> usize {
        // A reset is an end too.
        self.stream.read_buf(&mut self.read).await.unwrap_or(0)
    }

    /// Waits until the other end closes.
    pub async fn closed(&mut self) {
        let end = async { while self.more().await > 0 {} };
        tokio::time::timeout(PATIENCE, end).await.expect("the connection is closed");
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn etag(&self) -> &str {
        let tag = self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}"));
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
        tag
    }

    /// A success with this body.
    #[track_caller]
    pub fn is(&self, status: u16, body: impl Into<Value>) -> &Self {
        assert_eq!(self.status, status, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.json(), body.into());
        self
    }

    /// A success without a body.
    #[track_caller]
    pub fn is_empty(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        assert!(self.body.is_empty());
        self
    }

    /// A problem document that says everything it must.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}: {}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{problem}");
        for name in ["type", "title", "detail", "instance", "outcome"] {
            assert!(problem[name].is_string(), "{name} in {problem}");
        }
        assert!(problem["retryable"].is_boolean(), "{problem}");
        assert_eq!(self.header("outcome"), problem["outcome"].as_str());
        let outcome = match Kind::from_code(code) {
            Some(kind) => kind.outcome().as_str(),
            None => "not-executed",
        };
        assert_eq!(problem["outcome"], outcome, "{problem}");
        if status == 429 || status == 503 {
            assert!(self.header("retry-after").is_some(), "{self:?}");
        }
        problem
    }
}
