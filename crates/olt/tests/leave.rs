//! Leave to write that is lost in the middle of a task: nothing more is sent, and whoever has it goes on.

mod common;

use common::{FakeOlt, MemoryJournal, authorise, facts};
use olt::{
    driver::OltError,
    leave::{Always, Leave},
    saga::{Outcome, SagaError, execute, resume},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

const WHY: &str = "the lease on olt:1 was lost: node-b has taken it over";

/// Gives leave so many times.
#[derive(Debug)]
struct Until {
    left: AtomicUsize,
    /// What the last one gets: a refusal, or a leave that has run out by the time it is used.
    late: bool,
}

#[async_trait::async_trait]
impl Leave for Until {
    async fn ask(&self) -> Result<Instant, String> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match left {
            Ok(_) => Ok(Instant::now() + Duration::from_secs(60)),
            Err(_) if self.late => Ok(Instant::now()),
            Err(_) => Err(WHY.to_owned()),
        }
    }
}

#[tokio::test]
async fn a_node_that_lost_its_leave_at_any_line_sends_nothing_more_and_another_goes_on() {
    let mut ended = false;
    for allowed in 0..40 {
        for late in [false, true] {
            let (olt, journal) = (FakeOlt::new(), MemoryJournal::default());
            let mut driver = olt.driver();
            driver.set_leave(Arc::new(Until { left: AtomicUsize::new(allowed), late }));
            let result = execute(&mut driver, &authorise(), &facts(), &mut journal.clone()).await;
            if let Ok(outcome) = result {
                assert!(matches!(outcome, Outcome::Done(_)), "{allowed}: {outcome:?}");
                ended = true;
                continue;
            }
            let Err(SagaError::Interrupted(error @ OltError::Fenced(_))) = result else {
                panic!("{allowed}: {result:?}")
            };
            let words = if late { "paused for too long" } else { WHY };
            let text = error.to_string();
            assert!(text.contains("was not sent") && text.contains(words), "{text}");
            assert_eq!(olt.world().log.len(), allowed, "{allowed} lines were allowed: {:?}", olt.world().log);
            // Asked again, it is refused again.
            let again = resume(&mut driver, &mut journal.clone()).await;
            assert!(
                matches!(again, Err(SagaError::Interrupted(OltError::Fenced(_)))),
                "{allowed}: {again:?}"
            );
            assert_eq!(olt.world().log.len(), allowed);
            let mut other = olt.driver();
            other.set_leave(Arc::new(Always));
            let outcome = resume(&mut other, &mut journal.clone()).await.expect("it goes on");
            assert!(matches!(outcome, Some(Outcome::Done(_))), "{allowed}: {outcome:?}");
            assert!(olt.is_complete(), "{allowed}");
        }
        if ended {
            return;
        }
    }
    panic!("an authorisation has fewer lines than that");
}
