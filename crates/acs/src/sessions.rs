//! The sessions that are going on: by cookie, by device, and by name for the CPEs that never send a cookie.

use crate::{cookie::Token, rate::lock};
use app::ports::{CpeSession, SessionEnd};
use cwmp::{EncodeOptions, SessionMachine};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Mutex as AsyncMutex, task::JoinHandle};
use types::CpeId;

/// How long an ended session is remembered, for CPEs that close with more empty messages.
const REMEMBER_ENDED: Duration = Duration::from_secs(10);

/// Both halves of a session: what CWMP allows next, and what the application wants.
pub(crate) struct Live {
    pub(crate) machine: SessionMachine,
    pub(crate) app: Box<dyn CpeSession>,
}

/// A session. Bound to a device and to where it came from, not to a connection.
pub(crate) struct Entry {
    token: Token,
    pub(crate) cpe: CpeId,
    pub(crate) address: IpAddr,
    tls: bool,
    username: Option<String>,
    idle: Duration,
    /// How this device is written to.
    pub(crate) encode: EncodeOptions,
    begun: Instant,
    last_seen: Mutex<Instant>,
    /// Messages that were no answer to ours.
    unasked: AtomicU32,
    /// `None` once it is over. Held while a message is worked on.
    pub(crate) live: Arc<AsyncMutex<Option<Live>>>,
}

impl Entry {
    pub(crate) fn touch(&self) {
        *lock(&self.last_seen) = Instant::now();
    }

    /// One more message that nobody asked for; gives how many there were.
    pub(crate) fn count_unasked(&self) -> u32 {
        self.unasked.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*lock(&self.last_seen))
    }
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    pub(crate) tls: bool,
}

/// What a cookie leads to.
pub(crate) enum Found {
    Session(Arc<Entry>),
    /// It was a session a moment ago.
    Ended,
    Nothing,
}

#[derive(Default)]
struct Tables {
    by_token: HashMap<Token, Arc<Entry>>,
    by_cpe: HashMap<CpeId, Token>,
    /// A name that several devices share (first contact) may lead from one address to several sessions.
    by_name: HashMap<(IpAddr, String), HashSet<Token>>,
    ended: HashMap<Token, Instant>,
}

impl Tables {
    fn forget_name(&mut self, entry: &Entry) {
        let Some(username) = &entry.username else { return };
        let key = (entry.address, username.clone());
        if let Some(tokens) = self.by_name.get_mut(&key) {
            tokens.remove(&entry.token);
            if tokens.is_empty() {
                self.by_name.remove(&key);
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<Tables>);

/// What a new session is made of.
pub(crate) struct NewSession {
    pub(crate) token: Token,
    pub(crate) origin: Origin,
    pub(crate) username: Option<String>,
    pub(crate) idle: Duration,
    pub(crate) encode: EncodeOptions,
    pub(crate) live: Live,
}

impl Sessions {
    pub(crate) fn count(&self) -> usize {
        lock(&self.0).by_token.len()
    }

    /// The session of one of these cookies, if it came from where the session is. A cookie that somebody else
    /// presents finds nothing and harms nothing.
    pub(crate) fn find(&self, tokens: &[Token], origin: Origin, username: Option<&str>) -> Found {
        let tables = lock(&self.0);
        for token in tokens {
            if let Some(entry) = tables.by_token.get(token) {
                let same_name = match (&entry.username, username) {
                    (Some(own), Some(presented)) => own == presented,
                    (None, _) | (_, None) => true,
                };
                if entry.address == origin.address && entry.tls == origin.tls && same_name {
                    return Found::Session(entry.clone());
                }
            }
        }
        if tokens.iter().any(|token| tables.ended.contains_key(token)) {
            Found::Ended
        } else {
            Found::Nothing
        }
    }

    /// The session of a device that proved its name on this very request and sends no cookies. Where the name leads to
    /// more than one session nobody can tell whose message it is, and it is nobody's.
    pub(crate) fn find_by_name(&self, origin: Origin, username: &str) -> Option<Arc<Entry>> {
        let tables = lock(&self.0);
        let tokens = tables.by_name.get(&(origin.address, username.to_owned()))?;
        let mut entries = tokens.iter().filter_map(|token| tables.by_token.get(token));
        let only = entries.next().filter(|_| entries.next().is_none())?;
        Some(only).filter(|entry| entry.tls == origin.tls).cloned()
    }

    /// Starts a session. The one that the same device had before is over.
    pub(crate) fn insert(&self, new: NewSession) {
        let entry = Arc::new(Entry {
            token: new.token.clone(),
            cpe: new.live.app.cpe(),
            address: new.origin.address,
            tls: new.origin.tls,
            username: new.username,
            idle: new.idle,
            encode: new.encode,
            begun: Instant::now(),
            last_seen: Mutex::new(Instant::now()),
            unasked: AtomicU32::new(0),
            live: Arc::new(AsyncMutex::new(Some(new.live))),
        });
        let before = {
            let mut tables = lock(&self.0);
            let before = tables.by_cpe.insert(entry.cpe, new.token.clone());
            let before = before.and_then(|token| tables.by_token.remove(&token));
            if let Some(before) = &before {
                tables.forget_name(before);
            }
            if let Some(username) = &entry.username {
                let key = (entry.address, username.clone());
                tables.by_name.entry(key).or_default().insert(new.token.clone());
            }
            tables.by_token.insert(new.token, entry);
            before
        };
        if let Some(before) = before {
            end(&before, SessionEnd::Torn);
        }
    }

    /// Takes a session out of the tables and tells the application, once the message at work is done. The caller
    /// may wait for it, or not: it happens anyway.
    pub(crate) fn close(&self, entry: &Arc<Entry>, how: SessionEnd) -> JoinHandle<()> {
        self.forget(entry);
        end(entry, how)
    }

    fn forget(&self, entry: &Arc<Entry>) {
        let mut tables = lock(&self.0);
        if tables.by_token.remove(&entry.token).is_none() {
            return;
        }
        if tables.by_cpe.get(&entry.cpe) == Some(&entry.token) {
            tables.by_cpe.remove(&entry.cpe);
        }
        tables.forget_name(entry);
        tables.ended.insert(entry.token.clone(), Instant::now());
    }

    /// Ends the sessions that have been silent for too long, and those that go on for longer than `max_age`. A session at
    /// work is not silent, and is not ended before the message at work is answered.
    pub(crate) fn reap(&self, now: Instant, max_age: Duration) {
        let is_old = |entry: &Entry| now.saturating_duration_since(entry.begun) > max_age;
        let over: Vec<Arc<Entry>> = {
            let mut tables = lock(&self.0);
            tables.ended.retain(|_, at| now.saturating_duration_since(*at) < REMEMBER_ENDED);
            let over = |entry: &&Arc<Entry>| {
                (entry.idle_for(now) > entry.idle || is_old(entry)) && entry.live.try_lock().is_ok()
            };
            tables.by_token.values().filter(over).cloned().collect()
        };
        for entry in over {
            if is_old(&entry) {
                tracing::info!(
                    cpe = %entry.cpe, peer = %entry.address, after_s = max_age.as_secs(),
                    "a session has gone on for too long and is ended; its work goes on at the next Inform"
                );
            } else {
                tracing::debug!(cpe = %entry.cpe, "session timed out");
            }
            self.close(&entry, SessionEnd::TimedOut);
        }
    }

    /// Ends everything, and waits for it.
    pub(crate) async fn close_all(&self) {
        let all: Vec<Arc<Entry>> = lock(&self.0).by_token.values().cloned().collect();
        let ends: Vec<JoinHandle<()>> = all.iter().map(|entry| self.close(entry, SessionEnd::Torn)).collect();
        for one in ends {
            // A panic of one session's end is that session's.
            let _ = one.await;
        }
    }
}

fn end(entry: &Arc<Entry>, how: SessionEnd) -> JoinHandle<()> {
    let live = entry.live.clone();
    tokio::spawn(async move {
        let taken = live.lock().await.take();
        if let Some(live) = taken {
            live.app.end(how).await;
        }
    })
}
