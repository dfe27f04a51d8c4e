//! The shop's API: reads from Redis, falls back to PostgreSQL, writes orders to PostgreSQL.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use redis::AsyncCommands;
use serde_json::json;
use tokio::sync::Mutex;

/// Seconds an item stays in Redis, short enough that PostgreSQL sees reads all the time.
const CACHE_SECONDS: u64 = 2;
/// Every so many orders the payment fails, so that there are server errors to see.
const PAYMENT_FAILS_EVERY: u64 = 40;

struct Shop {
    redis: redis::aio::MultiplexedConnection,
    postgres: tokio_postgres::Client,
    orders: Mutex<u64>,
}

/// Serves the API until it is killed.
///
/// # Errors
/// Redis or PostgreSQL cannot be reached, or the address is in use.
pub async fn serve(listen: SocketAddr, redis_url: &str, postgres: &str) -> Result<()> {
    let redis = redis::Client::open(redis_url)?
        .get_multiplexed_async_connection()
        .await
        .with_context(|| format!("cannot reach Redis at {redis_url}"))?;
    let (client, connection) = tokio_postgres::connect(postgres, tokio_postgres::NoTls)
        .await
        .with_context(|| format!("cannot reach PostgreSQL with {postgres:?}"))?;
    let driver = tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS items (id int PRIMARY KEY, name text NOT NULL);
             CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item int NOT NULL, at timestamptz DEFAULT now());
             INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 50) i ON CONFLICT DO NOTHING",
        )
        .await?;
    let shop = Arc::new(Shop { redis, postgres: client, orders: Mutex::new(0) });
    let router = Router::new()
        .route("/api/items/{id}", get(item))
        .route("/api/orders", post(order))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(shop);
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        ended = driver => ended?.context("lost PostgreSQL")?,
    }
    Ok(())
}

/// Answers every request with the number of bytes of its body, until it is killed: an API without anything behind it.
///
/// # Errors
/// The address is in use.
pub async fn serve_count(listen: SocketAddr) -> Result<()> {
    let router = Router::new().fallback(async |body: axum::body::Bytes| format!("{}\n", body.len()));
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    Ok(axum::serve(listener, router).await?)
}

async fn item(State(shop): State<Arc<Shop>>, Path(id): Path<i32>) -> Result<impl IntoResponse, StatusCode> {
    let mut redis = shop.redis.clone();
    let key = format!("item:{id}");
    let cached: Option<String> = redis.get(&key).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let name = match cached {
        Some(name) => name,
        None => {
            let row = shop
                .postgres
                .query_opt("SELECT name FROM items WHERE id = $1", &[&id])
                .await
                .map_err(|_| StatusCode::BAD_GATEWAY)?
                .ok_or(StatusCode::NOT_FOUND)?;
            let name: String = row.get(0);
            let kept: Result<(), _> = redis.set_ex(&key, &name, CACHE_SECONDS).await;
            kept.map_err(|_| StatusCode::BAD_GATEWAY)?;
            name
        }
    };
    Ok(Json(json!({ "id": id, "name": name })))
}

async fn order(State(shop): State<Arc<Shop>>) -> Result<impl IntoResponse, StatusCode> {
    let number = {
        let mut orders = shop.orders.lock().await;
        *orders += 1;
        *orders
    };
    if number.is_multiple_of(PAYMENT_FAILS_EVERY) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let item = i32::try_from(number % 50).unwrap_or(0) + 1;
    shop.postgres
        .execute("INSERT INTO orders (item) VALUES ($1)", &[&item])
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok((StatusCode::CREATED, Json(json!({ "order": number }))))
}
