//! What the door remembers of who came, for as long as this node runs. Nothing here is a proof: losing it with the
//! process costs a device one more question.

use crate::lately::Lately;
use std::{net::IpAddr, time::Duration};
use types::{CpeId, OnuRowId, Serial, UtcMs};

/// A device that was asked for its secret and came back without one has none.
pub(super) const CHALLENGE_REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// The same thing is reported of a device, or of an ONU, once in this time.
const REPORTED_AGAIN: Duration = Duration::from_secs(3600);
/// That somebody claims to be a device from one address is written down once in this time.
const NOTED_AGAIN: Duration = Duration::from_secs(300);
/// Who informs as an ONU is told to come back for the OLT's word for so long; then it is taken in without it.
const AWAITED: Duration = Duration::from_secs(300);

/// What the door remembers of who came, for as long as this node runs.
#[derive(Debug, Default)]
pub(crate) struct Challenged {
    /// By address too: that a stranger was asked says nothing about the device.
    asked: Lately<(CpeId, IpAddr)>,
    noted: Lately<(CpeId, IpAddr)>,
    reported: Lately<(CpeId, &'static str)>,
    reported_onus: Lately<(OnuRowId, &'static str)>,
    homes: Lately<IpAddr, CpeId>,
    /// Where each was last.
    last_homes: Lately<CpeId, IpAddr>,
    /// Since when the OLT's word is missing on who informs as an ONU from this address. By address too: a stranger's
    /// waiting uses up nothing of the real one's.
    awaited: Lately<(Serial, IpAddr), UtcMs>,
}

impl Challenged {
    pub(super) fn recently(&self, cpe: CpeId, address: IpAddr, now: UtcMs, within: Duration) -> bool {
        self.asked.get(&(cpe, address), now, within).is_some()
    }

    pub(super) fn remember(&self, cpe: CpeId, address: IpAddr, now: UtcMs) {
        self.asked.put((cpe, address), (), now, CHALLENGE_REMEMBERED);
    }

    pub(super) fn forget(&self, cpe: CpeId, address: IpAddr) {
        self.asked.map().remove(&(cpe, address));
    }

    /// That this address claims to be the device was not written down lately.
    pub(super) fn may_note(&self, cpe: CpeId, address: IpAddr, now: UtcMs) -> bool {
        let who = (cpe, address.to_canonical());
        let new = self.noted.get(&who, now, NOTED_AGAIN).is_none();
        // Whoever cannot be remembered would be written down with every Inform.
        new && self.noted.put(who, (), now, NOTED_AGAIN)
    }

    pub(super) fn may_report(&self, cpe: CpeId, code: &'static str, now: UtcMs) -> bool {
        let new = self.reported.get(&(cpe, code), now, REPORTED_AGAIN).is_none();
        if new {
            self.reported.put((cpe, code), (), now, REPORTED_AGAIN);
        }
        new
    }

    /// The same for an ONU, whoever pretends to be it.
    pub(super) fn may_report_onu(&self, onu: OnuRowId, code: &'static str, now: UtcMs) -> bool {
        let new = self.reported_onus.get(&(onu, code), now, REPORTED_AGAIN).is_none();
        if new {
            self.reported_onus.put((onu, code), (), now, REPORTED_AGAIN);
        }
        new
    }

    /// The OLT has not said what is needed of this ONU: whether it is worth coming back soon.
    pub(super) fn may_wait(&self, serial: Serial, address: IpAddr, now: UtcMs) -> bool {
        const REMEMBERED: Duration = Duration::from_secs(3600);
        let who = (serial, address.to_canonical());
        match self.awaited.get(&who, now, REMEMBERED) {
            Some(since) => now.since(since) < AWAITED,
            // Whoever cannot be remembered would wait for ever.
            None => self.awaited.put(who, now, now, REMEMBERED),
        }
    }

    /// The OLT has said it.
    pub(super) fn waits_no_longer(&self, serial: Serial, address: IpAddr) {
        self.awaited.map().remove(&(serial, address.to_canonical()));
    }

    /// A device showed its own secret from this address. Where it did so before is free for others.
    pub(super) fn lives_at(&self, address: IpAddr, cpe: CpeId, now: UtcMs) {
        const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
        if let Some(old) = self.last_homes.get(&cpe, now, REMEMBERED).filter(|old| *old != address) {
            let mut homes = self.homes.map();
            if homes.get(&old).is_some_and(|(_, who)| *who == cpe) {
                homes.remove(&old);
            }
        }
        self.last_homes.put(cpe, address, now, REMEMBERED);
        self.homes.put(address, cpe, now, REMEMBERED);
    }

    /// Who showed it there last, and when.
    pub(super) fn who_lives_at(
        &self,
        address: IpAddr,
        now: UtcMs,
        within: Duration,
    ) -> Option<(CpeId, UtcMs)> {
        self.homes.entry(&address, now, within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_moved_leaves_its_address_to_others() {
        let (memory, now) = (Challenged::default(), UtcMs(1_795_271_400_000));
        let (old, new) = (IpAddr::from([10, 20, 3, 9]), IpAddr::from([10, 20, 3, 10]));
        let home = |address| memory.who_lives_at(address, now, CHALLENGE_REMEMBERED).map(|(who, _)| who);
        memory.lives_at(old, CpeId(1), now);
        memory.lives_at(new, CpeId(1), now);
        assert_eq!((home(old), home(new)), (None, Some(CpeId(1))));
        // Another has it since: it stays that other's, wherever the first goes.
        memory.lives_at(new, CpeId(2), now);
        memory.lives_at(old, CpeId(1), now);
        assert_eq!((home(old), home(new)), (Some(CpeId(1)), Some(CpeId(2))));
    }
}
