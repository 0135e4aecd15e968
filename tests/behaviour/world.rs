//! The ways to run, behind one face, and the record of what was answered.

use std::fmt::Debug;

use remote_object::objects::CallKind;
use remote_object::{Call, CallError, Client, Config, RemoteError, Service};
use serde::de::DeserializeOwned;

/// One way to run, with a service of its own.
pub struct World {
    pub service: Service,
    client: Option<Client>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    /// In this process, on the memory store, without a socket.
    pub async fn zero(config: Config) -> Self {
        let service = Service::builder().config(config).store("memory:").build().await.unwrap();
        Self { service, client: None, stop: None, _dir: None }
    }

    /// Over HTTP, on a SQLite file.
    pub async fn sync(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("objects.db").display());
        let service = Service::builder().config(config).store(url).build().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = service.clone();
        tokio::spawn(async move {
            running.run(listener, async { _ = stopped.await }).await.unwrap();
        });
        Self { service, client: Some(client), stop: Some(stop), _dir: Some(dir) }
    }

    pub async fn call<T, E, K>(&self, call: Call<T, E, K>) -> Result<T, CallError<E>>
    where
        T: DeserializeOwned,
        E: RemoteError,
        K: CallKind,
    {
        match &self.client {
            Some(client) => client.call(call).await,
            None => self.service.host().call(call).await,
        }
    }

    /// Nothing of the service is left at work.
    pub async fn assert_at_rest(&self) {
        let host = self.service.host();
        tokio::time::timeout(std::time::Duration::from_secs(5), host.idle()).await.expect("the maps empty themselves");
    }

    pub fn end(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// What was answered, in words that do not depend on the way it came.
#[derive(Default, Debug, PartialEq)]
pub struct Script(Vec<String>);

impl Script {
    pub fn note<T: Debug, E: RemoteError>(&mut self, answer: &Result<T, CallError<E>>) {
        self.0.push(match answer {
            Ok(value) => format!("{value:?}"),
            Err(CallError::Method(own)) => format!("own error {}", own.code()),
            Err(CallError::Failed(error)) => format!(
                "{:?} {} {:?} {} {:?} {:?}",
                error.kind(),
                error.code(),
                error.outcome(),
                error.message(),
                error.method(),
                error.fields()
            ),
        });
    }
}
