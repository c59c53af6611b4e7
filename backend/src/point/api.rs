//! `POST /api/users/{id}/points/charge`, `POST /api/users/{id}/points/use`, `GET /api/users/{id}/points`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Points,
    ledger::{self, Change, KEY_MAX, Kind, Outcome},
};
use crate::api::{
    body,
    reply::{self, Refused},
};

/// Header with the client's key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

type UserPath = Result<Path<String>, PathRejection>;

/// The points' routes.
pub fn router(points: Arc<Points>) -> Router {
    Router::new()
        .route("/api/users/{id}/points", get(balance))
        .route("/api/users/{id}/points/charge", post(charge))
        .route("/api/users/{id}/points/use", post(spend))
        .with_state(points)
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

#[derive(Serialize)]
struct Entered {
    #[serde(rename = "entryId")]
    entry_id: u64,
    balance: i64,
}

async fn charge(points: State<Arc<Points>>, user: UserPath, headers: HeaderMap, body: Body) -> Response {
    change(&points, Kind::Charge, user, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn spend(points: State<Arc<Points>>, user: UserPath, headers: HeaderMap, body: Body) -> Response {
    change(&points, Kind::Use, user, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn change(
    points: &Points,
    kind: Kind,
    user: UserPath,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let user_id = user_of(user)?;
    let key = key(headers)?;
    let Amount { amount } = body::read(body, points.limits).await?;
    if amount < 1 {
        return Err(Refused::invalid(format!("amount is {amount}; it must be at least 1")));
    }
    if !points.users.exists(user_id).await? {
        return Err(Refused::unknown("user", user_id));
    }
    let change = Change { user_id, kind, amount, key };
    Ok(match points.db.within(ledger::enter(points.db.pool(), &change)).await? {
        Outcome::Entered { entry_id, balance } => reply::json(StatusCode::OK, &Entered { entry_id, balance }),
        Outcome::KeyReused => {
            let error = "this Idempotency-Key belongs to another request; draw a new one";
            reply::json(StatusCode::CONFLICT, &json!({"result": "KEY_REUSED", "error": error}))
        }
        Outcome::Insufficient { balance } => {
            let error = format!("the balance is {balance}, less than {amount}");
            reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({"result": "INSUFFICIENT", "error": error}))
        }
        Outcome::TooLarge => return Err(Refused::invalid("no balance can be that large")),
        Outcome::NoUser => return Err(Refused::unknown("user", user_id)),
    })
}

#[derive(Serialize)]
struct Balance {
    #[serde(rename = "userId")]
    user_id: u64,
    balance: i64,
}

async fn balance(State(points): State<Arc<Points>>, user: UserPath) -> Result<Response, Refused> {
    let user_id = user_of(user)?;
    if !points.users.exists(user_id).await? {
        return Err(Refused::unknown("user", user_id));
    }
    let balance: Option<i64> = points
        .db
        .within(async {
            let mut conn = points.db.pool().get_conn().await?;
            conn.exec_first("SELECT balance FROM points WHERE user_id = ?", (user_id,)).await
        })
        .await?;
    // Who never had points has no row.
    Ok(reply::json(StatusCode::OK, &Balance { user_id, balance: balance.unwrap_or(0) }))
}

fn user_of(path: UserPath) -> Result<u64, Refused> {
    let Path(id) = path.map_err(|e| Refused::invalid(e.body_text()))?;
    reply::id("user", &id)
}

/// The client's key, as it was sent.
fn key(headers: &HeaderMap) -> Result<&str, Refused> {
    let refused = |why: &str| Refused(StatusCode::BAD_REQUEST, format!("the header Idempotency-Key {why}"));
    let mut all = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (all.next(), all.next()) {
        (None, _) => return Err(refused("is missing")),
        (Some(_), Some(_)) => return Err(refused("is there twice")),
        (Some(key), None) => key.to_str().map_err(|_| refused("may have visible ASCII characters only"))?,
    };
    match key.len() {
        0 => Err(refused("is empty")),
        n if n > KEY_MAX => Err(refused(&format!("has {n} characters; at most {KEY_MAX} are allowed"))),
        _ => Ok(key),
    }
}
