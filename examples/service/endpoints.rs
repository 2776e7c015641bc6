//! What the service answers.

use core::sync::atomic::Ordering::Relaxed;
use std::io::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::orders::{Order, Receipt};
use crate::server::Shared;
use crate::{figures, legacy};

type Shares = State<Arc<Shared>>;

/// A refusal: its status and why, as text.
type Refusal = (StatusCode, String);

const LONGEST_ID: usize = 64;

/// Malformed JSON is refused with 400 by the extractor, JSON of another shape with 422.
pub(crate) async fn order(Json(order): Json<Order>) -> Result<Json<Receipt>, Refusal> {
    order.price().map(Json).map_err(|why| (StatusCode::UNPROCESSABLE_ENTITY, why.to_string()))
}

pub(crate) async fn store_session(
    State(shared): Shares,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    if id.len() > LONGEST_ID {
        return Err((StatusCode::BAD_REQUEST, format!("a session's name has at most {LONGEST_ID} bytes")));
    }
    // A copy of its own: the body may be a part of a much larger receive buffer, which it would keep alive.
    shared.sessions.store(id, body.as_ref().into());
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn fetch_session(State(shared): Shares, Path(id): Path<String>) -> Result<Bytes, StatusCode> {
    shared.sessions.fetch(&id).map(Bytes::from_owner).ok_or(StatusCode::NOT_FOUND)
}

pub(crate) async fn count_words(State(shared): Shares, text: String) -> Result<Json<Value>, Refusal> {
    let counted = shared.counters.count(&text).await.map_err(internal)?;
    let total: u64 = counted.values().sum();
    let most = counted.iter().max_by_key(|(word, n)| (**n, *word)).map(|(word, n)| json!({ "word": word, "count": n }));
    Ok(Json(json!({ "words": total, "distinct": counted.len(), "most": most })))
}

pub(crate) async fn compress(body: Bytes) -> Result<impl IntoResponse, Refusal> {
    let packed = tokio::task::spawn_blocking(move || gzip(&body)).await.map_err(internal)?.map_err(internal)?;
    Ok(([(CONTENT_TYPE, "application/gzip")], packed))
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

pub(crate) async fn stats(State(shared): Shares) -> Json<Value> {
    let held = shared.sessions.held();
    Json(json!({
        "uptime_seconds": shared.started.elapsed().as_secs_f64(),
        "requests": shared.requests.load(Relaxed),
        "sessions": { "entries": held.entries, "bytes": held.bytes, "evicted": held.evicted },
        "memory": figures::memory(),
        "allocator": figures::allocator(&ravelin::stats()),
    }))
}

pub(crate) async fn stats_table() -> String {
    ravelin::stats().to_string()
}

/// The endpoint with the mistake. A build without the check would go on with a corrupted heap, so it refuses.
pub(crate) async fn close_twice() -> StatusCode {
    if !ravelin::MITIGATIONS.free_checks {
        return StatusCode::NOT_IMPLEMENTED;
    }
    legacy::close_twice();
    StatusCode::NO_CONTENT
}

fn internal(error: impl core::fmt::Display) -> Refusal {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
