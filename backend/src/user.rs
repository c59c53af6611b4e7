//! Users: who exists.

pub mod api;
pub mod directory;
pub mod migrations;

use contract::system::UserKey;
use uuid::Uuid;

use self::directory::Directory;
use crate::{
    api::Limits,
    db::{Db, DbError},
};

/// The users of an API process.
pub struct Users {
    db: Db,
    limits: Limits,
    key: UserKey,
    ids: Directory<u64>,
    public_ids: Directory<Uuid>,
}

impl Users {
    /// The users of `db`, of whom requests speak by `key`.
    pub fn new(db: Db, limits: Limits, key: UserKey) -> Self {
        Self { ids: Directory::new(db.clone()), public_ids: Directory::new(db.clone()), db, limits, key }
    }

    /// Reads who is there already, so that the first rush does not meet MySQL.
    pub async fn warm(&self) -> Result<usize, DbError> {
        match self.key {
            UserKey::Id => self.ids.warm().await,
            UserKey::PublicId => self.public_ids.warm().await,
        }
    }

    /// Whether there is a user `id`.
    pub async fn exists(&self, id: u64) -> Result<bool, DbError> {
        Ok(self.ids.find(id).await?.is_some())
    }

    /// The id of the user with `public_id`. There must be such a column.
    pub async fn by_public_id(&self, public_id: Uuid) -> Result<Option<u64>, DbError> {
        self.public_ids.find(public_id).await
    }
}
