//! Live pages: one reader of the bus for the whole process, a short memory for pages that reconnect, and a bounded
//! stream per page that names what changed. A page re-reads the row by its usual, permission-checked route.

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::Change;
use axum::response::sse::Event;
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

/// Changes kept for pages that reconnect.
const REMEMBERED: usize = 4096;
/// Streams open at once in this process.
const STREAMS: usize = 1000;
/// Topics one page may watch.
pub(crate) const WATCHED: usize = 300;
/// Changes are gathered this long, so that a burst swaps a row once.
const GATHER: Duration = Duration::from_millis(400);
/// A stream ends after this long; the page connects again and is authenticated again.
const LIFETIME: Duration = Duration::from_secs(900);

#[derive(Default)]
struct Memory {
    next: u64,
    changes: VecDeque<(u64, Change)>,
}

/// The process's one reader of the bus.
#[derive(Clone)]
pub(crate) struct Live {
    memory: Arc<Mutex<Memory>>,
    wake: broadcast::Sender<()>,
    streams: Arc<Semaphore>,
}

/// The topics of a change: the thing itself, and its list.
pub(crate) fn topics(change: &Change) -> [String; 2] {
    let (list, id) = match change {
        Change::Cpe(id) => ("cpe", id.0),
        Change::Service(id) => ("service", id.0),
        Change::Onu(id) => ("onu", id.0),
        Change::Olt(id) => ("olt", id.0),
        Change::Detected(id) => ("detected", id.0),
        Change::Task(id) => ("task", id.0),
        Change::Customers => ("customer", 0),
    };
    [format!("{list}-{id}"), format!("{list}s")]
}

impl Live {
    pub(crate) fn start(mut bus: broadcast::Receiver<Change>) -> Self {
        let live = Live {
            memory: Arc::default(),
            wake: broadcast::Sender::new(16),
            streams: Arc::new(Semaphore::new(STREAMS)),
        };
        let reader = live.clone();
        tokio::spawn(async move {
            loop {
                match bus.recv().await {
                    Ok(change) => reader.remember(change),
                    // Missed some: forget all, so that every page re-reads what it shows.
                    Err(broadcast::error::RecvError::Lagged(missed)) => reader.forget(missed),
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        live
    }

    fn remember(&self, change: Change) {
        {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let number = memory.next;
            memory.next += 1;
            memory.changes.push_back((number, change));
            if memory.changes.len() > REMEMBERED {
                memory.changes.pop_front();
            }
        }
        // Nobody listening is normal.
        let _ = self.wake.send(());
    }

    fn forget(&self, missed: u64) {
        {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.next += missed.max(1);
            memory.changes.clear();
        }
        let _ = self.wake.send(());
    }

    /// The number the next change will have: a page drawn now misses nothing from here on.
    pub(crate) fn position(&self) -> u64 {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// The watched topics that changed at or after `since`, and the new position; `None` if the memory does not reach
    /// back so far.
    fn changed(&self, since: u64, watched: &BTreeSet<String>) -> (Option<BTreeSet<String>>, u64) {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = memory.changes.front().map_or(memory.next, |(number, _)| *number);
        if since < oldest || since > memory.next {
            return (None, memory.next);
        }
        let mut found = BTreeSet::new();
        for (number, change) in memory.changes.iter().rev() {
            if *number < since || found.len() == watched.len() {
                break;
            }
            found.extend(topics(change).into_iter().filter(|topic| watched.contains(topic)));
        }
        (Some(found), memory.next)
    }

    /// A stream of what changed since `since` among `watched`; `None` when too many streams are open.
    pub(crate) fn stream(
        &self,
        since: u64,
        watched: BTreeSet<String>,
    ) -> Option<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().ok()?;
        let listener = Listener {
            live: self.clone(),
            wake: self.wake.subscribe(),
            since,
            watched,
            queue: VecDeque::from([Event::default().comment("open").retry(Duration::from_secs(2))]),
            until: tokio::time::Instant::now() + LIFETIME,
            _permit: permit,
        };
        Some(futures::stream::unfold(listener, Listener::next))
    }
}

struct Listener {
    live: Live,
    wake: broadcast::Receiver<()>,
    since: u64,
    watched: BTreeSet<String>,
    queue: VecDeque<Event>,
    until: tokio::time::Instant,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    // A browser drops an event without data, so each carries one byte.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((Ok(event), self));
            }
            let (found, position) = self.live.changed(self.since, &self.watched);
            self.since = position;
            match found {
                None => {
                    self.queue.push_back(Event::default().event("sync").id(position.to_string()).data("1"))
                }
                Some(topics) => {
                    let named = topics
                        .into_iter()
                        .map(|topic| Event::default().event(topic).id(position.to_string()).data("1"));
                    self.queue.extend(named);
                }
            }
            if self.queue.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep_until(self.until) => return None,
                    woken = self.wake.recv() => {
                        if matches!(woken, Err(broadcast::error::RecvError::Closed)) {
                            return None;
                        }
                        // Not a synchronisation: it gathers a burst into one swap.
                        tokio::time::sleep(GATHER).await;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{CpeId, OnuRowId};

    fn watched(topics: &[&str]) -> BTreeSet<String> {
        topics.iter().map(|t| (*t).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_page_hears_of_what_it_watches_and_of_nothing_else() {
        let (_bus, receiver) = broadcast::channel(8);
        let live = Live::start(receiver);
        let drawn = live.position();
        live.remember(Change::Cpe(CpeId(7)));
        live.remember(Change::Cpe(CpeId(7)));
        live.remember(Change::Onu(OnuRowId(9)));
        let (found, next) = live.changed(drawn, &watched(&["cpe-7", "cpe-8"]));
        assert_eq!(found, Some(watched(&["cpe-7"])), "once, however often it changed");
        assert_eq!(live.changed(next, &watched(&["cpe-7", "onus"])).0, Some(BTreeSet::new()));
        assert_eq!(live.changed(drawn, &watched(&["onus"])).0, Some(watched(&["onus"])));
    }

    #[tokio::test]
    async fn a_page_that_missed_too_much_is_told_to_read_again() {
        let (_bus, receiver) = broadcast::channel(8);
        let live = Live::start(receiver);
        for _ in 0..=REMEMBERED {
            live.remember(Change::Customers);
        }
        assert_eq!(live.changed(0, &watched(&["customers"])).0, None);
        live.forget(3);
        assert_eq!(live.changed(5, &watched(&["customers"])).0, None);
        // A page of another life of the process: its position lies in the future.
        assert_eq!(live.changed(1 << 40, &watched(&["customers"])).0, None);
    }
}
