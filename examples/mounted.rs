//! Objects inside an axum app one already has, beside its own routes, state and layers. `cargo run --example mounted`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use remote_object::{Host, Remote, Service, remote_object};
use tokio::net::TcpListener;

/// The stock of one product.
#[remote_object]
pub struct Stock {
    pieces: u32,
}

#[remote_object]
impl Stock {
    /// How many there are.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Some more.
    pub fn deliver(&mut self, pieces: u32) -> u32 {
        self.pieces = self.pieces.saturating_add(pieces);
        self.pieces
    }
}

/// What the app has of its own.
#[derive(Clone)]
struct App {
    requests: Arc<AtomicU64>,
    objects: Host,
}

/// A route of the app that asks an object.
async fn shop_window(State(app): State<App>, Path(product): Path<String>) -> Response {
    let Ok(stock) = Remote::<Stock>::try_new(&product) else {
        return (StatusCode::BAD_REQUEST, "no such product").into_response();
    };
    match app.objects.call(stock.pieces()).await {
        Ok(0) => "sold out".into_response(),
        Ok(pieces) => format!("{pieces} left").into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// A route that knows nothing of objects.
async fn requests(State(app): State<App>) -> String {
    app.requests.load(Ordering::Relaxed).to_string()
}

/// A layer of the app, around the objects' routes too.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    app.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::builder().store("sqlite:./shop.db").build().await?;
    let app = App { requests: Arc::default(), objects: service.host().clone() };
    let router = axum::Router::new()
        .route("/window/{product}", get(shop_window))
        .route("/requests", get(requests))
        .merge(service.router())
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app);

    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("try:");
    println!(
        "  curl -X POST {url}/objects/stock/tea/deliver -H 'content-type: application/json' -d '{{\"pieces\":3}}'"
    );
    println!("  curl {url}/window/tea");
    println!("  curl {url}/requests");
    // First the app answers what it has begun, then the objects come to rest.
    axum::serve(listener, router).with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await }).await?;
    service.stop().await;
    Ok(())
}
