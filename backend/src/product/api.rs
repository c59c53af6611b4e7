//! `GET /api/products`, `GET /api/products/{id}`, `POST /api/products`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State, rejection::PathRejection, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};

use super::{COLUMNS, Product, Products, Row, cache::Found};
use crate::api::{
    body,
    reply::{self, Refused},
};

/// Products of one page, unless the client asks for another number.
const PAGE: u32 = 20;
/// Most products of one page.
const PAGE_MAX: u32 = 100;
/// Says whether an answer came from the cache.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// The products' routes.
pub fn router(products: Arc<Products>) -> Router {
    let routes = Router::new().route("/api/products", get(list).post(create));
    routes.route("/api/products/{id}", get(one)).with_state(products)
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
    after: Option<u64>,
}

#[derive(Serialize)]
struct Listing {
    products: Vec<Product>,
    /// What to give as `after` for the next page; none on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

async fn list(
    State(products): State<Arc<Products>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(page) = page.map_err(|e| Refused::invalid(e.body_text()))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Refused::invalid(format!("limit is {limit}; it must be 1 to {PAGE_MAX}")));
    }
    let query = format!("SELECT {COLUMNS} FROM products WHERE id > ? ORDER BY id LIMIT {limit}");
    let rows: Vec<Row> = products
        .db
        .within(async {
            let mut conn = products.db.pool().get_conn().await?;
            conn.exec(query, (page.after.unwrap_or(0),)).await
        })
        .await?;
    let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.0);
    Ok(reply::json(StatusCode::OK, &Listing { products: rows.into_iter().map(Product::from).collect(), next }))
}

async fn one(
    State(products): State<Arc<Products>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let Path(id) = id.map_err(|e| Refused::invalid(e.body_text()))?;
    let id = reply::id("product", &id)?;
    let Some(cache) = &products.cache else {
        return Ok(reply::json(StatusCode::OK, &existing(&products, id).await?));
    };
    let found = cache.get(id).await;
    if let Found::Hit(product) = &found {
        return Ok(marked(reply::json(StatusCode::OK, product), "HIT"));
    }
    let answer = match existing(&products, id).await {
        Ok(product) => {
            if found == Found::Miss {
                cache.put(&product).await;
            }
            reply::json(StatusCode::OK, &product)
        }
        Err(refused) => refused.into_response(),
    };
    Ok(marked(answer, "MISS"))
}

/// The product as MySQL has it.
async fn existing(products: &Products, id: u64) -> Result<Product, Refused> {
    super::read(&products.db, id).await?.ok_or_else(|| Refused::unknown("product", id))
}

fn marked(mut answer: Response, cache: &'static str) -> Response {
    answer.headers_mut().insert(X_CACHE, HeaderValue::from_static(cache));
    answer
}

#[derive(Deserialize)]
struct NewProduct {
    name: String,
    price: u64,
    stock: u32,
    #[serde(default)]
    description: String,
}

async fn create(State(products): State<Arc<Products>>, body: Body) -> Result<Response, Refused> {
    let NewProduct { name, price, stock, description } = body::read(body, products.limits).await?;
    body::length("name", &name, 200)?;
    let id = products
        .db
        .within(async {
            let mut conn = products.db.pool().get_conn().await?;
            let insert = "INSERT INTO products (name, price, stock, description) VALUES (?, ?, ?, ?)";
            conn.exec_drop(insert, (&name, price, stock, &description)).await?;
            Ok(conn.last_insert_id())
        })
        .await?;
    let id = id.unwrap_or_default();
    Ok(reply::json(StatusCode::CREATED, &Product { id, name, price, stock, description }))
}
