//! What the tests stand on.

#[macro_use]
pub(crate) mod bed;
pub(crate) mod cpe;
pub(crate) mod olt;
pub(crate) mod world;

use std::{future::Future, time::Duration};

/// Far above anything that works, far below the patience of a person.
const LIMIT: Duration = Duration::from_secs(120);

/// Looks until there is something to see. What is waited for here happens behind real sockets or in a worker of the
/// application, and shows itself only in the database; a change on the bus comes before or after the commit of
/// somebody else, so the database is asked again until it says so. The interval is how often is looked, never how
/// long something is given: a slow machine only looks more often.
pub(crate) async fn eventually<T, F, Fut>(what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let seen = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            // tidy: allow(sleep) the pause between two looks at a condition, bounded by the timeout around it
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("within {LIMIT:?} it did not happen that {what}"))
}
