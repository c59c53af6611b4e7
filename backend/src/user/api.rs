//! `POST /api/users`.

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, http::StatusCode, response::Response, routing::post};
use contract::system::UserKey;
use mysql_async::{Params, Value, prelude::Queryable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Users;
use crate::{
    api::{
        body,
        reply::{self, Refused},
    },
    db::{Class, DbError, class},
};

/// The users' routes.
pub fn router(users: Arc<Users>) -> Router {
    Router::new().route("/api/users", post(create)).with_state(users)
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
    email: String,
}

#[derive(Serialize)]
struct User<'a> {
    id: u64,
    #[serde(rename = "publicId", skip_serializing_if = "Option::is_none")]
    public_id: Option<Uuid>,
    name: &'a str,
    email: &'a str,
}

async fn create(State(users): State<Arc<Users>>, body: Body) -> Result<Response, Refused> {
    let NewUser { name, email } = body::read(body, users.limits).await?;
    body::length("name", &name, 100)?;
    body::length("email", &email, 255)?;
    let public_id = (users.key == UserKey::PublicId).then(Uuid::new_v4);
    let mut values: Vec<Value> = vec![name.as_str().into(), email.as_str().into()];
    values.extend(public_id.map(|id| Value::from(id.to_string())));
    let insert = match public_id {
        None => "INSERT INTO users (name, email) VALUES (?, ?)",
        Some(_) => "INSERT INTO users (name, email, public_id) VALUES (?, ?, ?)",
    };
    let added = users
        .db
        .within(async {
            let mut conn = users.db.pool().get_conn().await?;
            conn.exec_drop(insert, Params::Positional(values)).await?;
            Ok(conn.last_insert_id())
        })
        .await;
    match added {
        Ok(id) => {
            let id = id.unwrap_or_default();
            users.ids.add(id, id);
            if let Some(public_id) = public_id {
                users.public_ids.add(public_id, id);
            }
            Ok(reply::json(StatusCode::CREATED, &User { id, public_id, name: &name, email: &email }))
        }
        Err(DbError::Failed { source, .. }) if class(&source) == Class::Duplicate => {
            Err(Refused(StatusCode::CONFLICT, format!("there is a user with the email {email}")))
        }
        Err(error) => Err(error.into()),
    }
}
