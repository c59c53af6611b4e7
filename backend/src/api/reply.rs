//! Answers: JSON, and errors as `{"error":"…"}`.

use std::fmt::Display;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::db::DbError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `body` with `status`, as JSON.
pub fn raw(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// `value` as JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => raw(status, body),
        Err(e) => error(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
    }
}

/// `{"error":"…"}`. A 503 says when to come again.
pub fn error(status: StatusCode, message: &str) -> Response {
    #[derive(Serialize)]
    struct Error<'a> {
        error: &'a str,
    }
    let mut response = raw(status, serde_json::to_vec(&Error { error: message }).unwrap_or_default());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A request that is refused, with what to tell its sender.
#[derive(Debug)]
pub struct Refused(pub StatusCode, pub String);

impl Refused {
    /// 422: the request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, message.into())
    }
    /// 404.
    pub fn unknown(what: &str, id: impl Display) -> Self {
        Self(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
    }
    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, message.into())
    }
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        // The reason names hosts and statements: it goes to the log, not to the client.
        tracing::warn!(%error, "answered 503");
        Self::unavailable("the database does not answer at the moment")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        error(self.0, &self.1)
    }
}

/// Reads an id out of a path.
pub fn id(what: &str, text: &str) -> Result<u64, Refused> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Refused::invalid(format!("the {what} id `{shown}` is not a number"))
    })
}
