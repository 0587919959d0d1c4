//! Words from node to node of one installation, heard at once or not at all: `NOTIFY` of PostgreSQL. Nothing that must not
//! be lost goes this way. A SQLite file has one process, which has nobody to tell.

use crate::{
    error::{StartError, StoreError},
    open::Store,
    start::PostgresServer,
};
use sea_orm::{ConnectionTrait, Statement, Value, sqlx::postgres::PgListener};

/// The longest word; PostgreSQL takes 7999 bytes.
pub const LONGEST_SIGNAL: usize = 7_900;

const CHANNEL: &str = "lightkeeper";

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Some node said this; it may have been this one.
    Said(String),
    /// The connection was lost and is there again: what was said meanwhile was not heard.
    Missed,
}

/// An open ear, on a connection of its own.
pub struct Signals(PgListener);

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals")
    }
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { why: error.to_string() }
}

impl Signals {
    pub(crate) async fn open(server: &PostgresServer) -> Result<Self, StoreError> {
        let pool = server.connect(1).await.map_err(|error: StartError| unavailable(error))?;
        let mut listener =
            PgListener::connect_with(pool.get_postgres_connection_pool()).await.map_err(unavailable)?;
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Signals(listener))
    }

    /// The next word.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection is lost and cannot be had again.
    pub async fn next(&mut self) -> Result<Signal, StoreError> {
        match self.0.try_recv().await {
            Ok(Some(heard)) => Ok(Signal::Said(heard.payload().to_owned())),
            Ok(None) => Ok(Signal::Missed),
            Err(error) => Err(unavailable(error)),
        }
    }
}

impl Store {
    /// Listens from now on; `None` where there are no other nodes (SQLite).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn signals(&self) -> Result<Option<Signals>, StoreError> {
        match self.server() {
            Some(server) => Signals::open(server).await.map(Some),
            None => Ok(None),
        }
    }

    /// Says something to every node that listens, this one too. Nothing happens on SQLite.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] beyond [`LONGEST_SIGNAL`], or when the database does not answer.
    pub async fn signal(&self, word: &str) -> Result<(), StoreError> {
        if word.len() > LONGEST_SIGNAL {
            return Err(StoreError::TooLarge { what: "a signal", size: word.len(), limit: LONGEST_SIGNAL });
        }
        if self.server().is_some() {
            let values: [Value; 2] = [CHANNEL.into(), word.into()];
            let backend = self.get_database_backend();
            self.query_one_raw(Statement::from_sql_and_values(backend, "SELECT pg_notify($1, $2)", values))
                .await?;
        }
        Ok(())
    }
}
