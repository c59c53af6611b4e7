//! Products: their rows in MySQL, the copies that Redis keeps of them, and the routes in front of both.

pub mod api;
pub mod cache;
pub mod metrics;
pub mod migrations;

use mysql_async::prelude::Queryable;
use serde::{Deserialize, Serialize};

use self::cache::ProductCache;
use crate::{
    api::Limits,
    db::{Db, DbError},
};

/// The products of an API process.
pub struct Products {
    /// MySQL.
    pub db: Db,
    /// Redis; none where the profile turns it off.
    pub cache: Option<ProductCache>,
    /// Limits of a request.
    pub limits: Limits,
}

/// The columns of a product, in the order of [`Row`].
const COLUMNS: &str = "id, name, price, stock, description";

/// One product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Price in won.
    pub price: u64,
    /// Pieces in stock.
    pub stock: u32,
    /// Description.
    pub description: String,
}

type Row = (u64, String, u64, u32, String);

impl From<Row> for Product {
    fn from((id, name, price, stock, description): Row) -> Self {
        Self { id, name, price, stock, description }
    }
}

/// Product `id` as MySQL has it; `None` when there is none.
async fn read(db: &Db, id: u64) -> Result<Option<Product>, DbError> {
    let row: Option<Row> = db
        .within(async {
            let mut conn = db.pool().get_conn().await?;
            conn.exec_first(format!("SELECT {COLUMNS} FROM products WHERE id = ?"), (id,)).await
        })
        .await?;
    Ok(row.map(Product::from))
}
