//! A small API that stands for a user's own: it counts what it gets.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};

/// What the API saw.
#[derive(Default)]
pub struct Seen {
    pub issues: AtomicU64,
    pub others: AtomicU64,
    /// User → times.
    pub users: Mutex<BTreeMap<u64, u64>>,
    /// Key of a charge → status that it was answered with.
    pub keys: Mutex<BTreeMap<String, u16>>,
}

impl Seen {
    pub fn all(&self) -> u64 {
        self.issues.load(Ordering::SeqCst) + self.others.load(Ordering::SeqCst)
    }
}

/// An API that gives away `stock` coupons; it lives until the test process ends.
pub fn shop(stock: u64) -> (SocketAddr, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let issue = move |State(seen): State<Arc<Seen>>, Json(body): Json<Value>| async move {
        let user = body["userId"].as_u64().unwrap();
        seen.issues.fetch_add(1, Ordering::SeqCst);
        let mut users = seen.users.lock().unwrap();
        let granted = users.len() as u64;
        let times = users.entry(user).or_default();
        *times += 1;
        let (status, result) = match *times {
            2.. => (StatusCode::CONFLICT, "DUPLICATE"),
            _ if granted < stock => (StatusCode::OK, "QUEUED"),
            _ => (StatusCode::GONE, "SOLD_OUT"),
        };
        (status, Json(json!({"result": result})))
    };
    let other = |status: StatusCode, pause: u64, headers: &'static [(&'static str, &'static str)]| {
        move |State(seen): State<Arc<Seen>>| async move {
            seen.others.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let mut answer = (status, "text").into_response();
            for (name, value) in headers {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            answer
        }
    };
    let charge = |State(seen): State<Arc<Seen>>, headers: HeaderMap, Json(body): Json<Value>| async move {
        let key = body["key"].as_str().unwrap().to_owned();
        assert_eq!(headers["idempotency-key"], key.as_str());
        let n = seen.others.fetch_add(1, Ordering::SeqCst);
        let status = [200, 422, 503][n as usize % 3];
        seen.keys.lock().unwrap().insert(key, status);
        StatusCode::from_u16(status).unwrap()
    };
    let app = Router::new()
        .route("/charge", post(charge))
        .route("/api/coupons/1/issue", post(issue))
        .route("/noop", get(other(StatusCode::OK, 0, &[])))
        .route("/hit", get(other(StatusCode::OK, 0, &[("x-cache", "MISS, TCP_HIT from edge")])))
        .route("/miss", get(other(StatusCode::NOT_FOUND, 20, &[("cache-status", "shop; fwd=uri-miss")])))
        .route("/slow", get(other(StatusCode::OK, 200, &[])))
        .route("/broken", get(other(StatusCode::SERVICE_UNAVAILABLE, 0, &[])))
        .route("/closes", get(other(StatusCode::OK, 0, &[("connection", "close")])))
        .with_state(Arc::clone(&seen));
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(4096).unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (address.recv().unwrap(), seen)
}

/// A server that handles each connection with `handle`, in a thread of its own.
pub fn raw(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(connection));
        }
    });
    address
}

/// Reads one request; false when the client is gone.
pub fn read_request(connection: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let mut byte = [0; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            _ => return false,
        }
    }
    true
}

/// Writes `pieces` with a pause behind each.
pub fn write_pieces(connection: &mut TcpStream, pieces: &[&str]) -> bool {
    connection.set_nodelay(true).unwrap();
    pieces.iter().all(|piece| {
        let written = connection.write_all(piece.as_bytes()).is_ok();
        std::thread::sleep(Duration::from_millis(5));
        written
    })
}
