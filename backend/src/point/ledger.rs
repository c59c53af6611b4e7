//! The ledger of points: one transaction an entry, and one entry a key.
//!
//! The balance's row is locked first, so the entries of a user are written one after the other, and whoever asks again
//! with a key finds the entry that the first one wrote.

use mysql_async::{Conn, IsolationLevel, Pool, Result, TxOpts, prelude::Queryable};

/// What is done to a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Points are added.
    Charge,
    /// Points are taken away.
    Use,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Whose points.
    pub user_id: u64,
    /// What is done.
    pub kind: Kind,
    /// How many points; more than 0.
    pub amount: i64,
    /// The client's key, at most [`KEY_MAX`] characters.
    pub key: &'a str,
}

/// Longest key.
pub const KEY_MAX: usize = 200;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is an entry for it, written now or before.
    Entered {
        /// The entry.
        entry_id: u64,
        /// The balance after it.
        balance: i64,
    },
    /// The key belongs to another request.
    KeyReused,
    /// The balance is smaller than what was to be taken away.
    Insufficient {
        /// What there is.
        balance: i64,
    },
    /// The balance would be larger than a number can be.
    TooLarge,
    /// There is no such user.
    NoUser,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Use => "use",
        }
    }
}

impl Change<'_> {
    fn delta(&self) -> i64 {
        match self.kind {
            Kind::Charge => self.amount,
            Kind::Use => -self.amount,
        }
    }

    /// What the key stands for: the same in every repetition of the request, and different in any other.
    fn payload(&self) -> String {
        format!("{}:{}", self.kind.name(), self.amount)
    }
}

/// Enters `change`, unless its key has an entry already.
///
/// # Errors
/// When MySQL says no. After a lost COMMIT it is unknown whether there is an entry: the same request again tells.
pub async fn enter(pool: &Pool, change: &Change<'_>) -> Result<Outcome> {
    let mut conn = pool.get_conn().await?;
    if let Some(outcome) = transaction(&mut conn, change).await? {
        return Ok(outcome);
    }
    // A user who never had points has no row to lock. It is made outside the transaction: two that both looked for it in
    // vain would wait for each other.
    let open = "INSERT INTO points (user_id, balance) SELECT id, 0 FROM users WHERE id = ? \
        ON DUPLICATE KEY UPDATE balance = balance";
    conn.exec_drop(open, (change.user_id,)).await?;
    Ok(transaction(&mut conn, change).await?.unwrap_or(Outcome::NoUser))
}

/// One transaction; none where there is no balance.
async fn transaction(conn: &mut Conn, change: &Change<'_>) -> Result<Option<Outcome>> {
    let mut options = TxOpts::default();
    // What is read behind the lock must be what the holder before us committed.
    options.with_isolation_level(Some(IsolationLevel::ReadCommitted));
    let mut tx = conn.start_transaction(options).await?;
    let lock = "SELECT balance FROM points WHERE user_id = ? FOR UPDATE";
    let Some(balance) = tx.exec_first::<i64, _, _>(lock, (change.user_id,)).await? else {
        tx.rollback().await?;
        return Ok(None);
    };
    let known = "SELECT id, balance_after, request_hash = SHA2(?, 256) FROM point_entries \
        WHERE user_id = ? AND idempotency_key = ?";
    let known: Option<(u64, i64, bool)> = tx.exec_first(known, (change.payload(), change.user_id, change.key)).await?;
    let after = balance.checked_add(change.delta());
    let refused = match (known, after) {
        (Some((entry_id, balance, true)), _) => Some(Outcome::Entered { entry_id, balance }),
        (Some(_), _) => Some(Outcome::KeyReused),
        (None, None) => Some(Outcome::TooLarge),
        (None, Some(after)) if after < 0 => Some(Outcome::Insufficient { balance }),
        (None, Some(_)) => None,
    };
    if let Some(outcome) = refused {
        tx.rollback().await?;
        return Ok(Some(outcome));
    }
    let after = after.unwrap_or(balance);
    let insert = "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) \
        VALUES (?, ?, ?, ?, ?, SHA2(?, 256))";
    let values = (change.user_id, change.kind.name(), change.delta(), after, change.key, change.payload());
    tx.exec_drop(insert, values).await?;
    let entry_id = tx.last_insert_id().unwrap_or_default();
    tx.exec_drop("UPDATE points SET balance = ? WHERE user_id = ?", (after, change.user_id)).await?;
    tx.commit().await?;
    Ok(Some(Outcome::Entered { entry_id, balance: after }))
}
