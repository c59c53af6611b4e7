//! Reads JSON bodies within limits of size and time.

use std::pin::Pin;

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::{Limits, reply::Refused};

/// What is read and thrown away of a body that is too large: without it the connection would be reset under a client
/// that is still writing, and it would never see the 413.
const DISCARD: usize = 32 * 1024 * 1024;

/// Reads `body` as `T`.
///
/// # Errors
/// 413 when it is too large, 408 when it does not arrive in time, 422 when it is no such JSON.
pub async fn read<T: DeserializeOwned>(body: Body, limits: Limits) -> Result<T, Refused> {
    let bytes = tokio::time::timeout(limits.request_timeout, bytes(body, limits.body)).await;
    let bytes = bytes.map_err(|_| Refused(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".into()))??;
    if bytes.is_empty() {
        return Err(Refused::invalid("the body is empty; it must be a JSON object"));
    }
    serde_json::from_slice(&bytes).map_err(|e| Refused::invalid(format!("the body is not what it must be: {e}")))
}

/// 422 unless `text` has 1 to `most` characters.
pub fn length(what: &str, text: &str, most: usize) -> Result<(), Refused> {
    match text.chars().count() {
        0 => Err(Refused::invalid(format!("{what} is empty"))),
        n if n > most => Err(Refused::invalid(format!("{what} has {n} characters; at most {most} are allowed"))),
        _ => Ok(()),
    }
}

async fn bytes(body: Body, limit: usize) -> Result<Bytes, Refused> {
    // Most bodies are one small frame of known length; this is the short way for them.
    if body.size_hint().upper().is_some_and(|size| size <= limit as u64) {
        return axum::body::to_bytes(body, limit).await.map_err(|e| broken(&e));
    }
    let mut body = body;
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|e| broken(&e))?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(&data);
        } else if seen > DISCARD {
            break;
        }
    }
    if seen > limit {
        return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes")));
    }
    Ok(kept.into())
}

fn broken(error: &axum::Error) -> Refused {
    Refused(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
}
