//! The ways to run, behind one face, and the record of what was answered.

use std::any::Any;
use std::fmt::Debug;

use futures_util::future::BoxFuture;
use remote_object::objects::CallKind;
use remote_object::{Call, CallError, Client, Config, Remote, RemoteError, Service};
use serde::de::DeserializeOwned;

use crate::objects::Probe;
use crate::stores::Ground;

/// One way to run, with a service of its own.
pub struct World {
    pub service: Service,
    client: Option<Client>,
    running: Option<Running>,
}

/// A server, until it is told to stop.
struct Running {
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    clean_up: Option<BoxFuture<'static, ()>>,
    _keep: Box<dyn Any + Send>,
}

impl World {
    /// In this process, on the memory store, without a socket.
    pub async fn zero(config: Config) -> Self {
        let service = Service::builder().config(config).store("memory:").build().await.unwrap();
        Self { service, client: None, running: None }
    }

    /// Over HTTP, on this store.
    pub async fn sync(ground: Ground) -> Self {
        let service = ground.builder.build().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let runs = service.clone();
        let served = tokio::spawn(async move {
            runs.run(listener, async { _ = stopped.await }).await.unwrap();
        });
        let running = Running { stop, served, clean_up: ground.clean_up, _keep: ground.keep };
        Self { service, client: Some(client), running: Some(running) }
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

    /// Calls a view of each, so that what follows does not wait until this node owns them: some cases look at the clock.
    pub async fn warm(&self, ids: &[&str]) {
        for id in ids {
            self.call(Remote::<Probe>::new(*id).value()).await.unwrap();
        }
    }

    /// Stops, and leaves nothing in the store.
    pub async fn end(mut self) {
        let Some(running) = self.running.take() else { return };
        drop(self.client.take());
        let _ = running.stop.send(());
        running.served.await.unwrap();
        if let Some(clean_up) = running.clean_up {
            clean_up.await;
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
