//! The ceiling: axum that reads JSON and answers JSON, keeps nothing and asks nobody.

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Add {
    by: i64,
}

#[derive(Serialize)]
struct Counter {
    value: i64,
}

async fn add(Path(_id): Path<String>, Json(add): Json<Add>) -> Json<i64> {
    Json(add.by)
}

async fn state(Path(id): Path<String>) -> Json<Counter> {
    Json(Counter { value: id.len() as i64 })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let app = Router::new().route("/objects/counter/{id}/add", post(add)).route("/objects/counter/{id}", get(state));
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
