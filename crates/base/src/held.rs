//! A connection that is kept from one look to the next.

/// A connection, or none yet. While it is used it is not in here: a use that fails or is given up (a time-out drops its
/// future) leaves none, and the next one connects anew.
#[derive(Debug)]
pub struct Held<C>(Option<C>);

impl<C> Default for Held<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C> Held<C> {
    /// Takes the connection out; where there is none, the one that `connect` makes.
    pub async fn take_or<E>(&mut self, connect: impl Future<Output = Result<C, E>>) -> Result<C, E> {
        match self.0.take() {
            Some(connection) => Ok(connection),
            None => connect.await,
        }
    }

    /// Keeps the connection for the next look.
    pub fn give_back(&mut self, connection: C) {
        self.0 = Some(connection);
    }

    /// The next look connects anew.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
