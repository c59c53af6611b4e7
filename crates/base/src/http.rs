//! A small HTTP client for health checks, metrics and seeding by the API. Load has a client of its own.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// Largest answer that is read.
const MOST_BYTES: usize = 4 << 20;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {why}")]
pub struct HttpError {
    method: Method,
    url: String,
    why: String,
}

/// The client; connections are kept and shared.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Http {
    /// A client whose requests take at most `timeout`.
    pub fn new(timeout: Duration) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), timeout }
    }

    /// `GET url` → status and body; a body that is no JSON is a JSON string.
    pub async fn get(&self, url: &str) -> Result<(StatusCode, Value), HttpError> {
        self.send(Method::GET, url, None).await
    }

    /// `POST url` with a JSON body.
    pub async fn post(&self, url: &str, body: &Value) -> Result<(StatusCode, Value), HttpError> {
        self.send(Method::POST, url, Some(body)).await
    }

    async fn send(&self, method: Method, url: &str, body: Option<&Value>) -> Result<(StatusCode, Value), HttpError> {
        let fail = |why: String| HttpError { method: method.clone(), url: url.to_owned(), why };
        let bytes = body.map_or_else(Bytes::new, |b| Bytes::from(b.to_string()));
        let mut request = Request::builder().method(method.clone()).uri(url);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(bytes)).map_err(|e| fail(e.to_string()))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| root_cause(&e))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|e| e.to_string())?;
            let bytes = body.to_bytes();
            let value = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            Ok((status, value))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(result) => result.map_err(fail),
            Err(_) => Err(fail(format!("no answer within {} s", self.timeout.as_secs_f64()))),
        }
    }
}

/// hyper's own message is «client error (Connect)»; what helps is at the end of the chain.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_names_the_address_and_the_cause() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Http::new(Duration::from_secs(1)).get(&format!("http://127.0.0.1:{port}/x")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}/x")) && text.contains("refused"), "{text}");
    }
}
