//! `POST /api/users`, `GET /api/users/{id}/coupons`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        Api, body,
        reply::{self, Refused},
    },
    db::{Class, DbError, class},
};

/// Most coupons that one answer lists, the newest first.
const COUPONS_MAX: u32 = 1_000;

/// The users' routes.
pub fn router() -> Router<Arc<Api>> {
    Router::new().route("/api/users", post(create)).route("/api/users/{id}/coupons", get(coupons))
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    email: String,
}

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    name: &'a str,
    email: &'a str,
}

async fn create(State(api): State<Arc<Api>>, body: Body) -> Result<Response, Refused> {
    let user: NewUser = body::read(body, api.body_limit, api.request_timeout).await?;
    body::length("name", &user.name, 100)?;
    body::length("email", &user.email, 255)?;
    let added = api
        .db
        .within(async {
            let mut conn = api.db.pool().get_conn().await?;
            conn.exec_drop("INSERT INTO users (name, email) VALUES (?, ?)", (&user.name, &user.email)).await?;
            Ok(conn.last_insert_id())
        })
        .await;
    match added {
        Ok(id) => {
            let id = id.unwrap_or_default();
            api.users.add(id);
            Ok(reply::json(StatusCode::CREATED, &User { id, name: &user.name, email: &user.email }))
        }
        Err(DbError::Failed { source, .. }) if class(&source) == Class::Duplicate => {
            Err(Refused(StatusCode::CONFLICT, format!("there is a user with the email {}", user.email)))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Serialize)]
struct Held {
    #[serde(rename = "couponId")]
    coupon_id: u64,
    #[serde(rename = "eventId")]
    event_id: String,
    #[serde(rename = "grantSeq")]
    grant_seq: u64,
    #[serde(rename = "issuedAt")]
    issued_at: String,
}

#[derive(Serialize)]
struct HeldList {
    coupons: Vec<Held>,
}

async fn coupons(State(api): State<Arc<Api>>, id: Result<Path<String>, PathRejection>) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|e| Refused::invalid(e.body_text()))?;
    let id = reply::id("user", &id)?;
    if !api.users.exists(id).await? {
        return Err(Refused::unknown("user", id));
    }
    let query = format!(
        "SELECT coupon_id, event_id, grant_seq, DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ') \
         FROM coupon_users WHERE user_id = ? ORDER BY id DESC LIMIT {COUPONS_MAX}"
    );
    let rows: Vec<(u64, String, u64, String)> = api
        .db
        .within(async {
            let mut conn = api.db.pool().get_conn().await?;
            conn.exec(query, (id,)).await
        })
        .await?;
    let held = |(coupon_id, event_id, grant_seq, issued_at)| Held { coupon_id, event_id, grant_seq, issued_at };
    Ok(reply::json(StatusCode::OK, &HeldList { coupons: rows.into_iter().map(held).collect() }))
}
