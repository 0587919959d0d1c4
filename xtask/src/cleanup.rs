//! What must be undone however the program ends: by return, by an error, by Ctrl-C or by SIGTERM.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

type Action = Box<dyn FnOnce() + Send>;

static PENDING: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Undoes something when dropped, or when the program is asked to stop, whichever comes first; once.
#[must_use = "dropping it at once undoes the thing at once"]
pub(crate) struct Cleanup(u64);

impl Cleanup {
    /// Registers `action`. Later registrations are undone first.
    pub(crate) fn new(action: impl FnOnce() + Send + 'static) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        lock().push((id, Box::new(action)));
        Self(id)
    }

    /// There is nothing to undo any more.
    pub(crate) fn forget(self) {
        lock().retain(|(id, _)| *id != self.0);
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let action = {
            let mut pending = lock();
            pending.iter().position(|(id, _)| *id == self.0).map(|at| pending.remove(at).1)
        };
        if let Some(action) = action {
            action();
        }
    }
}

/// Makes Ctrl-C and SIGTERM undo everything registered before the program ends with code 130.
pub(crate) fn install_handler() -> Result<()> {
    ctrlc::set_handler(|| {
        loop {
            // One at a time, so that an action may take the lock itself.
            let Some((_, action)) = lock().pop() else { break };
            action();
        }
        std::process::exit(130);
    })
    .context("cannot listen for Ctrl-C")
}

fn lock() -> std::sync::MutexGuard<'static, Vec<(u64, Action)>> {
    PENDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn undoes_once_when_dropped() {
        let undone = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&undone);
        let guard = Cleanup::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(undone.load(Ordering::SeqCst), 0);
        drop(guard);
        assert_eq!(undone.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_forgotten_is_not_undone() {
        Cleanup::new(|| panic!("undone all the same")).forget();
    }
}
