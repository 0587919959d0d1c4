//! Leave to write to an OLT. Among several nodes one writes to an OLT at a time; which one is decided elsewhere, and a node
//! that was paused may not know that it is not the one any more. So leave is asked for before every line that changes
//! something, and not an instant before the session stands where the line goes.

use std::time::Duration;
use tokio::time::Instant;

/// Gives leave.
#[async_trait::async_trait]
pub trait Leave: Send + Sync {
    /// Until when a line may be sent.
    ///
    /// # Errors
    /// Why none may be sent any more, as a sentence.
    async fn ask(&self) -> Result<Instant, String>;
}

/// Leave for those who are alone with their OLT.
#[derive(Debug, Clone, Copy, Default)]
pub struct Always;

#[async_trait::async_trait]
impl Leave for Always {
    async fn ask(&self) -> Result<Instant, String> {
        Ok(Instant::now() + Duration::from_secs(3600))
    }
}
