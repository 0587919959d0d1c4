//! What is kept and for how long. Nothing grows without a bound: neither per device nor over time.

use crate::{db::Tx, error::StoreError};
use sea_orm::{ConnectionTrait, Statement, Value};
use std::time::Duration;
use types::{CpeId, CpeSessionId, UtcMs};

/// How much is kept.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Sessions per CPE.
    pub sessions_per_cpe: i64,
    /// Faults per CPE.
    pub faults_per_cpe: i64,
    /// Connection requests per CPE.
    pub connection_requests_per_cpe: i64,
    /// Device orders per CPE; more than may be open.
    pub orders_per_cpe: i64,
    /// Orders of one CPE up to which those stay that were not carried out and nobody has taken note of.
    pub standing_orders_per_cpe: i64,
    /// Lines of history per CPE.
    pub timeline_per_cpe: i64,
    /// Parameters per CPE; the longest unread go first.
    pub parameters_per_cpe: i64,
    /// History of everything.
    pub timeline: Duration,
    /// The audit log.
    pub audit: Duration,
    /// Jobs that ended, and events that were told.
    pub finished_work: Duration,
    /// Idempotency keys.
    pub idempotency: Duration,
    /// Recordings, after their time.
    pub recordings: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            sessions_per_cpe: 50,
            faults_per_cpe: 100,
            connection_requests_per_cpe: 50,
            orders_per_cpe: 100,
            standing_orders_per_cpe: 1000,
            timeline_per_cpe: 500,
            parameters_per_cpe: 20_000,
            timeline: 400 * DAY,
            audit: 730 * DAY,
            finished_work: 7 * DAY,
            idempotency: 2 * DAY,
            recordings: 30 * DAY,
        }
    }
}

/// Whether the end of a session in which nothing was said is the one of several at which [`trim_cpe`] is called: such a
/// session leaves a row and no more. By its number, stirred, so that no device is passed over for ever whose sessions
/// alternate with those of others.
pub fn is_due(session: CpeSessionId) -> bool {
    const ONE_IN: u64 = 8;
    // The finaliser of SplitMix64.
    let mut stirred = session.0.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    stirred = (stirred ^ (stirred >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    stirred = (stirred ^ (stirred >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (stirred ^ (stirred >> 31)).is_multiple_of(ONE_IN)
}

/// Trims what is kept about one CPE; cheap, meant for the end of a session. Returns how many rows went.
///
/// # Errors
/// When the database cannot be written.
pub async fn trim_cpe(tx: &Tx, cpe: CpeId, bounds: &Bounds) -> Result<u64, StoreError> {
    let mut gone = 0;
    for (table, keep, over) in [
        ("cpe_sessions", bounds.sessions_per_cpe, ""),
        ("cpe_faults", bounds.faults_per_cpe, ""),
        ("connection_requests", bounds.connection_requests_per_cpe, ""),
        // One that is open stays, however old it is; one that was not carried out and nobody has taken note of stays long.
        (
            "device_orders",
            bounds.orders_per_cpe,
            "AND ended_at IS NOT NULL AND (dismissed_at IS NOT NULL OR state NOT IN ('failed', 'expired'))",
        ),
        ("device_orders", bounds.standing_orders_per_cpe, "AND ended_at IS NOT NULL"),
        ("timeline", bounds.timeline_per_cpe, ""),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE cpe_id = $1 {over} AND id <= \
             (SELECT id FROM {table} WHERE cpe_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)"
        );
        gone += run(tx, &sql, [cpe.0, keep]).await?;
    }
    let sql = "DELETE FROM cpe_parameters WHERE cpe_id = $1 AND path IN \
               (SELECT path FROM cpe_parameters WHERE cpe_id = $1 ORDER BY read_at DESC, path LIMIT 100000 OFFSET $2)";
    gone += run(tx, sql, [cpe.0, bounds.parameters_per_cpe]).await?;
    Ok(gone)
}

/// Removes what is too old, at most `batch` rows of each kind, so that no unit of work is long; call it again while
/// it returns anything.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(tx: &Tx, bounds: &Bounds, batch: u32) -> Result<u64, StoreError> {
    let now = tx.now();
    let before =
        |age: Duration| UtcMs(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    let batch = i64::from(batch);
    let mut gone = 0;
    for (table, key, column, limit) in [
        ("timeline", "id", "at", before(bounds.timeline)),
        ("audit_log", "id", "at", before(bounds.audit)),
        ("jobs", "id", "finished_at", before(bounds.finished_work)),
        ("outbox", "id", "delivered_at", before(bounds.finished_work)),
        ("web_sessions", "token_hash", "expires_at", now),
        ("cpe_recordings", "id", "until_at", before(bounds.recordings)),
        ("node_leases", "name", "until", before(DAY)),
    ] {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE {column} < $1 ORDER BY {column} LIMIT $2)"
        );
        gone += run(tx, &sql, [limit.0, batch]).await?;
    }
    let sql = "DELETE FROM idempotency WHERE created_at < $1";
    gone += run(tx, sql, [before(bounds.idempotency).0]).await?;
    gone += crate::firmware_files::sweep(tx, now).await?;
    Ok(gone)
}

/// Numbered placeholders are read by both engines' drivers.
async fn run<const N: usize>(tx: &Tx, sql: &str, values: [i64; N]) -> Result<u64, StoreError> {
    let values = values.map(|value| Value::BigInt(Some(value)));
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    Ok(tx.db().run(statement).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_alternates_with_others_is_not_passed_over() {
        for devices in 1..=64 {
            for device in 0..devices {
                let sessions = (0..1000).map(|round| CpeSessionId(device + round * devices));
                let trimmed = sessions.filter(|session| is_due(*session)).count();
                assert!((60..200).contains(&trimmed), "{trimmed} of 1000, {device} of {devices} devices");
            }
        }
    }
}
