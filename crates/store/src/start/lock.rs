//! Two nodes that start at once migrate one after the other.

use super::Address;
use crate::error::{StartError, StoreError};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use std::time::{Duration, Instant};

/// How long a node waits for another that is starting.
const WAIT: Duration = Duration::from_secs(120);
/// Of the advisory lock; any constant will do as long as it stays.
const LOCK_KEY: i64 = 0x4c69_6768_746b_6565;

/// Held until released; both kinds vanish by themselves when the process dies.
pub(crate) enum StartLock {
    File(#[allow(dead_code, reason = "the lock lasts as long as the file is open")] std::fs::File),
    Advisory,
}

pub(crate) async fn take(
    address: &Address,
    connection: &DatabaseConnection,
) -> Result<StartLock, StartError> {
    match address {
        Address::Sqlite(file) => {
            let mut path = file.path.clone().into_os_string();
            path.push("-start.lock");
            let lock = match std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)
            {
                Ok(lock) => lock,
                Err(error) => {
                    let why = format!("{} cannot be written: {error}", std::path::Path::new(&path).display());
                    return Err(StartError::ReadOnly { place: address.to_string(), why });
                }
            };
            let began = Instant::now();
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(StartLock::File(lock)),
                    Err(std::fs::TryLockError::WouldBlock) if began.elapsed() < WAIT => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(std::fs::TryLockError::WouldBlock) => {
                        return Err(StartError::StartLocked { waited_s: WAIT.as_secs() });
                    }
                    Err(std::fs::TryLockError::Error(error)) => {
                        return Err(
                            StoreError::Unavailable { why: format!("locking the start: {error}") }.into()
                        );
                    }
                }
            }
        }
        Address::Postgres(_) => {
            let wait = format!("SET lock_timeout = '{}s'", WAIT.as_secs());
            connection.execute_unprepared(&wait).await.map_err(StoreError::from)?;
            let taken = connection.execute_unprepared(&format!("SELECT pg_advisory_lock({LOCK_KEY})")).await;
            match taken.map_err(StoreError::from) {
                Ok(_) => Ok(StartLock::Advisory),
                Err(StoreError::Conflict { .. }) => Err(StartError::StartLocked { waited_s: WAIT.as_secs() }),
                Err(other) => Err(other.into()),
            }
        }
    }
}

impl StartLock {
    pub(crate) async fn release(self, connection: &DatabaseConnection) {
        match self {
            // Dropping the file gives the lock back.
            StartLock::File(_) => {}
            StartLock::Advisory => {
                // Closing the session, which comes next, gives it back in any case.
                let _ =
                    connection.execute_unprepared(&format!("SELECT pg_advisory_unlock({LOCK_KEY})")).await;
            }
        }
    }
}
