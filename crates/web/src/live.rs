//! Live pages: one reader of the bus for the whole process, a short memory for pages that reconnect, and a bounded
//! stream per page that names what changed. A page re-reads the row by its usual, permission-checked route.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::Change;
use axum::response::sse::Event;
use futures::Stream;
use tokio::sync::broadcast;

use crate::server::Stopping;

/// Changes kept for pages that reconnect.
const REMEMBERED: usize = 4096;
/// Streams open at once in this process: fewer than there may be connections, so that pages still open.
const STREAMS: usize = 400;
/// Streams one person or program may have open: one per window they look at.
const STREAMS_PER_PERSON: usize = 20;
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
    streams: Arc<Streams>,
}

/// The open streams of each person.
#[derive(Default)]
struct Streams(Mutex<HashMap<String, usize>>);

/// One open stream; gives its place back when dropped.
struct Place {
    streams: Arc<Streams>,
    person: String,
}

impl Streams {
    fn take(self: &Arc<Self>, person: &str) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(person).copied().unwrap_or_default();
        if own >= STREAMS_PER_PERSON || open.values().sum::<usize>() >= STREAMS {
            return None;
        }
        open.insert(person.to_owned(), own + 1);
        Some(Place { streams: Arc::clone(self), person: person.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.person) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.person);
            }
        }
    }
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
        // Nobody watches it: it makes every page read again.
        Change::Missed => ("missed", 0),
    };
    [format!("{list}-{id}"), format!("{list}s")]
}

impl Live {
    pub(crate) fn start(mut bus: broadcast::Receiver<Change>) -> Self {
        let live = Live { memory: Arc::default(), wake: broadcast::Sender::new(16), streams: Arc::default() };
        let reader = live.clone();
        tokio::spawn(async move {
            loop {
                match bus.recv().await {
                    Ok(Change::Missed) => reader.forget(1),
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

    /// A stream of what changed since `since` among `watched`, until the server stops; `None` when too many streams are
    /// open, in all or of this person.
    pub(crate) fn stream(
        &self,
        since: u64,
        watched: BTreeSet<String>,
        person: &str,
        stopping: Option<Stopping>,
    ) -> Option<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let place = self.streams.take(person)?;
        let listener = Listener {
            live: self.clone(),
            wake: self.wake.subscribe(),
            since,
            watched,
            queue: VecDeque::from([Event::default().comment("open").retry(Duration::from_secs(2))]),
            until: tokio::time::Instant::now() + LIFETIME,
            stopping,
            _place: place,
        };
        Some(futures::stream::unfold(listener, Listener::next))
    }
}

/// Comes when the server is about to stop; never where nobody says so.
pub(crate) async fn stopped(stopping: Option<&mut Stopping>) {
    match stopping {
        // An error means that the server is gone.
        Some(Stopping(stopping)) => drop(stopping.wait_for(|stopping| *stopping).await),
        None => std::future::pending().await,
    }
}

struct Listener {
    live: Live,
    wake: broadcast::Receiver<()>,
    since: u64,
    watched: BTreeSet<String>,
    queue: VecDeque<Event>,
    until: tokio::time::Instant,
    stopping: Option<Stopping>,
    _place: Place,
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
                    () = stopped(self.stopping.as_mut()) => return None,
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
    async fn what_was_missed_of_other_nodes_makes_every_page_read_again() {
        let (bus, receiver) = broadcast::channel(8);
        let live = Live::start(receiver);
        let drawn = live.position();
        let mut wake = live.wake.subscribe();
        bus.send(Change::Missed).expect("somebody listens");
        wake.recv().await.expect("it is told");
        let (found, next) = live.changed(drawn, &watched(&["cpe-7"]));
        assert_eq!(found, None, "read everything again");
        assert_eq!(live.changed(next, &watched(&["cpe-7"])).0, Some(BTreeSet::new()), "once");
    }

    #[tokio::test]
    async fn nobody_takes_the_streams_of_others() {
        let (_bus, receiver) = broadcast::channel(8);
        let live = Live::start(receiver);
        let open = |person: &str| live.stream(0, watched(&["cpes"]), person, None);
        let mut of_one: Vec<_> = (0..STREAMS_PER_PERSON).map(|_| open("nino")).collect();
        assert!(of_one.iter().all(Option::is_some));
        assert!(open("nino").is_none(), "one more than a person may have");
        assert!(open("vera").is_some(), "that is nobody else's trouble");
        of_one.pop();
        assert!(open("nino").is_some(), "a closed page gives its place back");
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
