//! Questions to an OLT for somebody who waits: a test of its settings, a dry run. They go through the OLT's queue like
//! everything else, change nothing, and are answered in bounded time: with what keeps the OLT busy, if need be.

use crate::{App, AppError};
use olt::{driver::OltError, queue::OltHandle};
use std::time::Duration;
use store::{OltTaskState, rows, tasks};

/// So long somebody waits for an OLT that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(45);
/// Unfinished tasks looked at.
const TASKS: u64 = 500;

impl App {
    /// The outer error is ours, or that the OLT is busy; the inner one is the OLT's.
    pub(super) async fn ask_now<T>(
        &self,
        olt: &rows::Olt,
        handle: &OltHandle,
        question: impl Future<Output = Result<T, OltError>>,
    ) -> Result<Result<T, OltError>, AppError> {
        let _turn = self.olts().turns.take(olt.id);
        let asked = in_time(handle, &olt.name, PATIENCE, question);
        // Whoever reads takes the lease from nobody; who has it keeps it meanwhile.
        if self.lease_on(olt.id).is_some() {
            return self.leased(olt.id, asked).await;
        }
        // Another node may work on it. Reading does no harm, but what is read in the middle of a task is half of it.
        let open = tasks::unfinished(self.store(), TASKS).await?;
        if let Some(task) = open.into_iter().find(|task| task.olt_id == olt.id && is_at_work(task.state)) {
            return Err(AppError::Unavailable(format!(
                "{} is busy with {} (task {}: {}). Nothing was asked of it; try again in a moment.",
                olt.name, task.serial, task.id, task.reason
            )));
        }
        asked.await
    }
}

fn is_at_work(state: OltTaskState) -> bool {
    matches!(state, OltTaskState::Applying | OltTaskState::Verifying | OltTaskState::Compensating)
}

async fn in_time<T>(
    handle: &OltHandle,
    name: &str,
    patience: Duration,
    question: impl Future<Output = Result<T, OltError>>,
) -> Result<Result<T, OltError>, AppError> {
    let before = handle.status().running;
    let Ok(answer) = tokio::time::timeout(patience, question).await else {
        let doing = before.or_else(|| handle.status().running).unwrap_or_else(|| "something else".to_owned());
        let waiting = match handle.waiting() {
            0 | 1 => String::new(),
            more => format!(" and {} more wait for it", more - 1),
        };
        return Err(AppError::Unavailable(format!(
            "{name} is busy with «{doing}»{waiting}; there was no answer within {} s. Nothing was written to it; try \
             again later.",
            patience.as_secs()
        )));
    };
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use olt::{
        dialect::Dialect,
        queue::{OltConfig, Protocol},
    };
    use types::Secret;

    /// An OLT that takes the call and never says a word.
    #[tokio::test]
    async fn who_asks_a_busy_olt_is_told_what_it_is_busy_with() {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = nobody.local_addr().expect("an address").to_string();
        let dialect = Dialect::huawei_smartax().expect("the dialect");
        let config = OltConfig::new(address, Protocol::Telnet, "root", Secret::new("hunter2"), dialect);
        let handle = OltHandle::spawn(config).expect("a queue");
        let reading = tokio::spawn({
            let handle = handle.clone();
            async move { handle.discover().await }
        });
        let mut status = handle.watch();
        status.wait_for(|status| status.running.is_some()).await.expect("it is at work");
        let asked = in_time(&handle, "olt-1", Duration::ZERO, handle.probe()).await;
        let Err(AppError::Unavailable(text)) = asked else { panic!("{asked:?}") };
        assert!(text.starts_with("olt-1 is busy with «list detected ONUs»"), "{text}");
        assert!(text.contains("Nothing was written"), "{text}");
        reading.abort();
    }
}
