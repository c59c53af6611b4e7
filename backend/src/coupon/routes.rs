//! `POST /api/coupons/{id}/issue`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;

use super::{
    cache::Coupon,
    issue::{Outcome, issue, now_ms},
};
use crate::api::{
    Api, body,
    reply::{self, Refused},
};

/// The coupon's routes.
pub fn router() -> Router<Arc<Api>> {
    Router::new().route("/api/coupons/{id}/issue", post(handle))
}

#[derive(Deserialize)]
struct IssueRequest {
    #[serde(rename = "userId")]
    user_id: u64,
}

async fn handle(State(api): State<Arc<Api>>, id: Result<Path<String>, PathRejection>, body: Body) -> Response {
    match request(&api, id, body).await {
        Ok((coupon, user_id)) => answer(&api, &issue(api.clone(), coupon, user_id).await),
        Err(refused) => {
            let counter = match refused.0 {
                StatusCode::NOT_FOUND => &api.metrics.issue.unknown,
                StatusCode::SERVICE_UNAVAILABLE => &api.metrics.issue.unavailable,
                _ => &api.metrics.issue.invalid,
            };
            counter.inc();
            refused.into_response()
        }
    }
}

/// Everything that can be said about a request without asking the gate.
async fn request(
    api: &Api,
    id: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<(Arc<Coupon>, u64), Refused> {
    let Path(id) = id.map_err(|e| Refused::invalid(e.body_text()))?;
    let id = reply::id("coupon", &id)?;
    let IssueRequest { user_id } = body::read(body, api.body_limit, api.request_timeout).await?;
    let look_up = async {
        let coupon = api.coupons.get(id).await?.ok_or_else(|| Refused::unknown("coupon", id))?;
        if !api.users.exists(user_id).await? {
            return Err(Refused::unknown("user", user_id));
        }
        Ok(coupon)
    };
    let in_time = tokio::time::timeout(api.request_timeout, look_up).await;
    let coupon = in_time.map_err(|_| Refused::unavailable("the database does not answer in time"))??;
    if !coupon.valid_at(now_ms()) {
        return Err(Refused::invalid(format!("coupon {id} is not valid at this time")));
    }
    Ok((coupon, user_id))
}

fn answer(api: &Api, outcome: &Outcome) -> Response {
    let results = &api.metrics.issue;
    match outcome {
        Outcome::Queued { grant_seq, event_id } => {
            results.queued.inc();
            let body = format!(r#"{{"result":"QUEUED","grantSeq":{grant_seq},"eventId":"{event_id}"}}"#);
            reply::raw(StatusCode::OK, body)
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
