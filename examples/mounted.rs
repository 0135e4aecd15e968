//! Objects inside an axum app one already has, beside its own routes, state and layers. `cargo run --example mounted`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use remote_object::prelude::*;
use remote_object::{Host, Service};

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
        self.pieces += pieces;
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

/// A layer of the app, around the objects' routes too.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    app.requests.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let service = Service::builder().store("sqlite:./shop.db").build().await?;
    let app = App { requests: Arc::default(), objects: service.host().clone() };
    let router = axum::Router::new()
        .route("/window/{product}", get(shop_window))
        .route(
            "/requests",
            get(|State(app): State<App>| async move { app.requests.load(Ordering::Relaxed).to_string() }),
        )
        .merge(service.router())
        .layer(from_fn_with_state(app.clone(), count))
        .with_state(app);

    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await.expect("the address is free");
    println!(
        "try: curl -X POST http://{address}/objects/stock/tea/deliver -d '{{\"pieces\":3}}' -H 'content-type: application/json'"
    );
    println!("     curl http://{address}/window/tea");
    axum::serve(listener, router)
        .with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await })
        .await
        .expect("serves");
    service.stop().await;
    Ok(())
}
