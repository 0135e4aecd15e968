//! What one would write without this crate: a counter as a number in Redis, one multiplexed connection that heals itself.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Add {
    by: i64,
}

#[derive(Serialize)]
struct Counter {
    value: i64,
}

fn failed(error: redis::RedisError) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn add(
    State(mut redis): State<ConnectionManager>,
    Path(id): Path<String>,
    Json(add): Json<Add>,
) -> Result<Json<i64>, (StatusCode, String)> {
    let value = redis.incr(format!("counter:{id}"), add.by).await.map_err(failed)?;
    Ok(Json(value))
}

async fn state(
    State(mut redis): State<ConnectionManager>,
    Path(id): Path<String>,
) -> Result<Json<Counter>, (StatusCode, String)> {
    let value: Option<i64> = redis.get(format!("counter:{id}")).await.map_err(failed)?;
    match value {
        Some(value) => Ok(Json(Counter { value })),
        None => Err((StatusCode::NOT_FOUND, format!("there is no counter {id:?}"))),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().unwrap_or_else(|| "127.0.0.1:8082".to_owned());
    let url = args.next().unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let redis = ConnectionManager::new(redis::Client::open(url)?).await?;
    let app = Router::new()
        .route("/objects/counter/{id}/add", post(add))
        .route("/objects/counter/{id}", get(state))
        .with_state(redis);
    let listener = tokio::net::TcpListener::bind(&listen).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
