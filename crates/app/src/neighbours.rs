//! What changes on one node is shown on the pages of the others. Several nodes work on one PostgreSQL database; each says
//! what it changed, gathered for a moment, and hands on to its own pages what the others say.

use crate::{App, Change, work::wait};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};
use store::Signal;
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};
use tokio_util::sync::CancellationToken;

/// Changes are gathered this long, so that a burst is a few words and not thousands.
const GATHER: Duration = Duration::from_millis(200);
/// More changes than this at once are one word: read everything again.
const MOST: usize = 1_000;
/// Changes in one word; each takes at most 41 bytes of [`store::LONGEST_SIGNAL`].
const IN_ONE_WORD: usize = 150;
/// How soon to listen again after the database was lost.
const AGAIN: Duration = Duration::from_secs(5);

/// What a node says.
#[derive(Debug, Serialize, Deserialize)]
struct Word {
    /// The process that says it.
    from: String,
    changes: Vec<Change>,
}

impl App {
    /// Tells the other nodes what changes here, and the pages of this one what changes there, until told to stop. Ends at
    /// once where there are no others (SQLite).
    pub async fn run_neighbours(&self, stop: CancellationToken) {
        let own = self.bus().own();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen(&stop) => {}
            () = self.tell(own) => {}
        }
    }

    async fn listen(&self, stop: &CancellationToken) {
        let mut lost = false;
        loop {
            match self.store().signals().await {
                Ok(None) => return,
                Ok(Some(mut signals)) => {
                    if std::mem::take(&mut lost) {
                        self.bus().heard(Change::Missed);
                    }
                    loop {
                        match signals.next().await {
                            Ok(Signal::Said(word)) => self.hear(&word),
                            Ok(Signal::Missed) => self.bus().heard(Change::Missed),
                            Err(error) => {
                                tracing::warn!(%error, "other nodes are not heard; pages show their changes later");
                                break;
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "other nodes cannot be heard; pages show their changes later")
                }
            }
            lost = true;
            wait(stop, AGAIN).await;
        }
    }

    fn hear(&self, word: &str) {
        match serde_json::from_str::<Word>(word) {
            Ok(word) if word.from == self.process() => {}
            Ok(word) => word.changes.into_iter().for_each(|change| self.bus().heard(change)),
            // A node of another release says something that this one has no word for.
            Err(_) => self.bus().heard(Change::Missed),
        }
    }

    async fn tell(&self, mut own: Receiver<Change>) {
        // What could not be told is told as missed a little later.
        let mut missed = false;
        loop {
            let mut changes = HashSet::new();
            // What could not be told must not wait for the next change here, which may be hours away.
            let limit = if missed { AGAIN } else { Duration::MAX };
            match tokio::time::timeout(limit, own.recv()).await {
                Ok(Ok(change)) => drop(changes.insert(change)),
                Ok(Err(RecvError::Lagged(_))) => missed = true,
                Ok(Err(RecvError::Closed)) => return,
                Err(_) => {}
            }
            tokio::time::sleep(GATHER).await;
            loop {
                match own.try_recv() {
                    Ok(change) => drop(changes.insert(change)),
                    Err(TryRecvError::Lagged(_)) => missed = true,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let mut changes: Vec<Change> = changes.into_iter().collect();
            if missed || changes.len() > MOST {
                changes = vec![Change::Missed];
            }
            missed = false;
            for part in changes.chunks(IN_ONE_WORD) {
                if let Err(error) = self.say_to_others(part).await {
                    tracing::debug!(%error, "other nodes were not told what changed here");
                    missed = true;
                }
            }
        }
    }

    async fn say_to_others(&self, changes: &[Change]) -> Result<(), store::StoreError> {
        let word = Word { from: self.process().to_owned(), changes: changes.to_vec() };
        // A struct of texts and numbers always serialises.
        self.store().signal(&serde_json::to_string(&word).unwrap_or_default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::CpeId;

    #[test]
    fn a_full_word_is_not_too_long() {
        let word = Word {
            from: "a-rather-long-name-of-a-node.example.net-4194304/ABCDEFGH".into(),
            changes: (0..IN_ONE_WORD).map(|_| Change::Service(types::ServiceId(i64::MIN))).collect(),
        };
        let text = serde_json::to_string(&word).expect("json");
        assert!(text.len() <= store::LONGEST_SIGNAL, "{}", text.len());
        let back: Word = serde_json::from_str(&text).expect("its own words");
        assert_eq!(back.changes, word.changes);
        let other = serde_json::to_string(&Change::Cpe(CpeId(7))).expect("json");
        assert_eq!(serde_json::from_str::<Change>(&other).expect("its own words"), Change::Cpe(CpeId(7)));
    }
}
