//! `POST /api/coupons/{id}/issue`, or where users are known by their public id `POST
//! /api/coupons/{id}/issue-fcfs/{publicId}`; `GET /api/users/{id}/coupons`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::system::UserKey;
use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    cache::Coupon,
    issue::{Outcome, issue, now_ms},
    issuer::Issuer,
};
use crate::api::{
    body,
    reply::{self, Refused},
};

/// Most coupons that one answer lists, the newest first.
const COUPONS_MAX: u32 = 1_000;

/// The coupons' routes.
pub fn router(issuer: Arc<Issuer>) -> Router {
    let routes = match issuer.user_key {
        UserKey::Id => Router::new().route("/api/coupons/{id}/issue", post(by_id)),
        UserKey::PublicId => Router::new().route("/api/coupons/{id}/issue-fcfs/{publicId}", post(by_public_id)),
    };
    routes.route("/api/users/{id}/coupons", get(held)).with_state(issuer)
}

#[derive(Deserialize)]
struct IssueRequest {
    #[serde(rename = "userId")]
    user_id: u64,
}

async fn by_id(State(issuer): State<Arc<Issuer>>, coupon: Result<Path<String>, PathRejection>, body: Body) -> Response {
    let asked = async {
        let Path(coupon) = coupon.map_err(|e| Refused::invalid(e.body_text()))?;
        let coupon = reply::id("coupon", &coupon)?;
        let IssueRequest { user_id } = body::read(body, issuer.limits).await?;
        look_up(&issuer, coupon, async {
            let exists = issuer.users.exists(user_id).await?;
            if exists { Ok(user_id) } else { Err(Refused::unknown("user", user_id)) }
        })
        .await
    };
    let asked = asked.await;
    decide(issuer, asked, StatusCode::OK).await
}

async fn by_public_id(
    State(issuer): State<Arc<Issuer>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let asked = async {
        let Path((coupon, user)) = path.map_err(|e| Refused::invalid(e.body_text()))?;
        let (coupon, user) = (reply::id("coupon", &coupon)?, public_id(&user)?);
        look_up(&issuer, coupon, async {
            issuer.users.by_public_id(user).await?.ok_or_else(|| Refused::unknown("user", user))
        })
        .await
    };
    let asked = asked.await;
    decide(issuer, asked, StatusCode::ACCEPTED).await
}

/// Reads a public id out of a path, in the one form in which it is written everywhere else.
fn public_id(text: &str) -> Result<Uuid, Refused> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH);
    id.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Refused::invalid(format!("the user's public id `{shown}` is not a UUID"))
    })
}

/// Everything that can be said about a request without asking the gate: the coupon, if it can be issued now, and the
/// user whom `user` looks up.
async fn look_up(
    issuer: &Issuer,
    id: u64,
    user: impl Future<Output = Result<u64, Refused>>,
) -> Result<(Arc<Coupon>, u64), Refused> {
    let both = async {
        let coupon = issuer.coupons.get(id).await?.ok_or_else(|| Refused::unknown("coupon", id))?;
        Ok::<_, Refused>((coupon, user.await?))
    };
    let in_time = tokio::time::timeout(issuer.limits.request_timeout, both).await;
    let (coupon, user) = in_time.map_err(|_| Refused::unavailable("the database does not answer in time"))??;
    if !coupon.valid_at(now_ms()) {
        return Err(Refused::invalid(format!("coupon {id} is not valid at this time")));
    }
    Ok((coupon, user))
}

/// Asks for what a request is for, and answers; `queued` is the status of a grant.
async fn decide(issuer: Arc<Issuer>, asked: Result<(Arc<Coupon>, u64), Refused>, queued: StatusCode) -> Response {
    let results = &issuer.metrics.issue;
    let (coupon, user_id) = match asked {
        Ok(asked) => asked,
        Err(refused) => {
            let counter = match refused.0 {
                StatusCode::NOT_FOUND => &results.unknown,
                StatusCode::SERVICE_UNAVAILABLE => &results.unavailable,
                _ => &results.invalid,
            };
            counter.inc();
            return refused.into_response();
        }
    };
    match issue(issuer.clone(), coupon, user_id).await {
        Outcome::Queued { grant_seq, event_id } => {
            results.queued.inc();
            let body = format!(r#"{{"result":"QUEUED","grantSeq":{grant_seq},"eventId":"{event_id}"}}"#);
            reply::raw(queued, body)
        }
        Outcome::Duplicate => {
            results.duplicate.inc();
            reply::raw(StatusCode::CONFLICT, r#"{"result":"DUPLICATE"}"#)
        }
        Outcome::SoldOut => {
            results.sold_out.inc();
            reply::raw(StatusCode::GONE, r#"{"result":"SOLD_OUT"}"#)
        }
        Outcome::Unavailable(why) => {
            results.unavailable.inc();
            reply::error(StatusCode::SERVICE_UNAVAILABLE, why)
        }
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

async fn held(State(issuer): State<Arc<Issuer>>, id: Result<Path<String>, PathRejection>) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|e| Refused::invalid(e.body_text()))?;
    let id = reply::id("user", &id)?;
    if !issuer.users.exists(id).await? {
        return Err(Refused::unknown("user", id));
    }
    let query = format!(
        "SELECT coupon_id, event_id, grant_seq, DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ') \
         FROM coupon_users WHERE user_id = ? ORDER BY id DESC LIMIT {COUPONS_MAX}"
    );
    let rows: Vec<(u64, String, u64, String)> = issuer
        .db
        .within(async {
            let mut conn = issuer.db.pool().get_conn().await?;
            conn.exec(query, (id,)).await
        })
        .await?;
    let held = |(coupon_id, event_id, grant_seq, issued_at)| Held { coupon_id, event_id, grant_seq, issued_at };
    Ok(reply::json(StatusCode::OK, &HeldList { coupons: rows.into_iter().map(held).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parser knows forms that no other system has for the same user.
    #[test]
    fn a_public_id_has_one_form() {
        let id = "6f1c9a02-b7de-4b1e-8a55-0c9b3e7d1f42";
        assert_eq!(public_id(id).unwrap().to_string(), id);
        assert_eq!(public_id(&id.to_uppercase()).unwrap().to_string(), id);
        let braced = format!("{{{id}}}");
        for text in
            ["", "7", "6f1c9a02b7de4b1e8a550c9b3e7d1f42", &braced, &format!("urn:uuid:{id}"), &id.replace('6', "g")]
        {
            assert!(public_id(text).is_err(), "{text}");
        }
    }
}
