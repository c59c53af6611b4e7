//! The HTTP API: what the domains share. Each of them brings its state and its routes.

pub mod body;
pub mod reply;
pub mod router;
pub mod server;

use std::time::Duration;

use contract::settings;

/// Limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest time until an answer.
    pub request_timeout: Duration,
    /// Largest body, in bytes.
    pub body: usize,
}

impl From<&settings::Http> for Limits {
    fn from(http: &settings::Http) -> Self {
        Self { request_timeout: http.request_timeout.0, body: http.body_limit }
    }
}
