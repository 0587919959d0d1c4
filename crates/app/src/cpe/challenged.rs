//! What the door remembers of who came, for as long as this node runs. Nothing here is a proof: losing it with the
//! process costs a device one more question.

use crate::lately::Lately;
use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};
use types::{CpeId, OnuRowId, Serial, UtcMs};

/// A device that was asked for its secret and came back without one has none.
pub(super) const CHALLENGE_REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// The same thing is reported of a device, or of an ONU, once in this time.
const REPORTED_AGAIN: Duration = Duration::from_secs(3600);
/// That somebody claims to be a device from one address is written down once in this time.
const NOTED_AGAIN: Duration = Duration::from_secs(300);
/// Addresses of one IPv6 /64 that are asked, and remembered so, as one device within that time: whoever has a /64 has more
/// addresses than there is memory. Beyond it they are asked with every Inform.
const MOST_ASKED_OF_64: u32 = 16;
/// Addresses of one IPv6 /64 that are written down as one device within that time: fewer than are kept of a device.
const MOST_NOTED_OF_64: u32 = 4;
/// Who informs as an ONU is told to come back for the OLT's word for so long; then it is taken in without it.
const AWAITED: Duration = Duration::from_secs(300);

/// What the door remembers of who came, for as long as this node runs.
#[derive(Debug, Default)]
pub(crate) struct Challenged {
    /// By address too: that a stranger was asked says nothing about the device.
    asked: Lately<(CpeId, IpAddr)>,
    asked_of_64: Lately<(CpeId, IpAddr), Several>,
    noted: Lately<(CpeId, IpAddr)>,
    noted_of_64: Lately<(CpeId, IpAddr), Several>,
    reported: Lately<(CpeId, &'static str)>,
    reported_onus: Lately<(OnuRowId, &'static str)>,
    homes: Lately<IpAddr, CpeId>,
    /// Where each was last.
    last_homes: Lately<CpeId, IpAddr>,
    /// Since when the OLT's word is missing on who informs as an ONU from this address. By address too: a stranger's
    /// waiting uses up nothing of the real one's.
    awaited: Lately<(Serial, IpAddr), UtcMs>,
}

/// How many addresses of a network, since the first of them.
#[derive(Debug, Clone, Copy)]
struct Several {
    since: UtcMs,
    count: u32,
}

/// Whether a new address of its /64 may be remembered, which is counted. An address of IPv4 is one by itself.
fn is_one_of_few(
    seen: &Lately<(CpeId, IpAddr), Several>,
    (cpe, address): (CpeId, IpAddr),
    now: UtcMs,
    (within, most): (Duration, u32),
) -> bool {
    let IpAddr::V6(v6) = address.to_canonical() else { return true };
    let network = IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)));
    let several = seen.get(&(cpe, network), now, within).filter(|several| now.since(several.since) <= within);
    let Several { since, count } = several.unwrap_or(Several { since: now, count: 0 });
    count < most && seen.put((cpe, network), Several { since, count: count + 1 }, now, within)
}

impl Challenged {
    pub(super) fn recently(&self, cpe: CpeId, address: IpAddr, now: UtcMs, within: Duration) -> bool {
        self.asked.get(&(cpe, address), now, within).is_some()
    }

    pub(super) fn remember(&self, cpe: CpeId, address: IpAddr, now: UtcMs) {
        let known = self.recently(cpe, address, now, CHALLENGE_REMEMBERED);
        let few = (CHALLENGE_REMEMBERED, MOST_ASKED_OF_64);
        if known || is_one_of_few(&self.asked_of_64, (cpe, address), now, few) {
            self.asked.put((cpe, address), (), now, CHALLENGE_REMEMBERED);
        }
    }

    pub(super) fn forget(&self, cpe: CpeId, address: IpAddr) {
        self.asked.map().remove(&(cpe, address));
    }

    /// That this address claims to be the device was not written down lately.
    pub(super) fn may_note(&self, cpe: CpeId, address: IpAddr, now: UtcMs) -> bool {
        let who = (cpe, address.to_canonical());
        let new = self.noted.get(&who, now, NOTED_AGAIN).is_none();
        // Whoever cannot be remembered would be written down with every Inform.
        new && is_one_of_few(&self.noted_of_64, who, now, (NOTED_AGAIN, MOST_NOTED_OF_64))
            && self.noted.put(who, (), now, NOTED_AGAIN)
    }

    pub(super) fn may_report(&self, cpe: CpeId, code: &'static str, now: UtcMs) -> bool {
        let new = self.reported.get(&(cpe, code), now, REPORTED_AGAIN).is_none();
        // What cannot be remembered would be reported with every Inform.
        new && self.reported.put((cpe, code), (), now, REPORTED_AGAIN)
    }

    /// The same for an ONU, whoever pretends to be it.
    pub(super) fn may_report_onu(&self, onu: OnuRowId, code: &'static str, now: UtcMs) -> bool {
        let new = self.reported_onus.get(&(onu, code), now, REPORTED_AGAIN).is_none();
        new && self.reported_onus.put((onu, code), (), now, REPORTED_AGAIN)
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

    fn v6(network: u16, host: u16) -> IpAddr {
        IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host])
    }

    #[test]
    fn an_address_for_every_inform_takes_no_more_than_a_few_places() {
        let (memory, now) = (Challenged::default(), UtcMs(1_795_271_400_000));
        let (cpe, another) = (CpeId(1), CpeId(2));
        for host in 0..1000 {
            memory.remember(cpe, v6(7, host), now);
        }
        assert_eq!(memory.asked.map().len(), MOST_ASKED_OF_64 as usize);
        // Whoever was asked stays asked, also when it is asked again.
        memory.remember(cpe, v6(7, 3), now.plus_s(60));
        assert!(memory.recently(cpe, v6(7, 3), now.plus_s(60 + 890), CHALLENGE_REMEMBERED));
        let noted = (0..1000).filter(|host| memory.may_note(cpe, v6(7, *host), now)).count();
        assert_eq!(noted, MOST_NOTED_OF_64 as usize);
        // Neither another network, nor another device, nor a later time pays for it; and of IPv4 an address is one.
        let others = [(cpe, v6(8, 1), now), (another, v6(7, 1), now), (cpe, v6(7, 999), now.plus_s(901))];
        for (cpe, address, at) in others {
            memory.remember(cpe, address, at);
            assert!(memory.recently(cpe, address, at, CHALLENGE_REMEMBERED), "{address}");
            assert!(memory.may_note(cpe, address, at), "{address}");
        }
        for host in 0..100 {
            let address = IpAddr::from([10, 20, 3, host]);
            memory.remember(cpe, address, now);
            assert!(memory.recently(cpe, address, now, CHALLENGE_REMEMBERED), "{address}");
            assert!(memory.may_note(cpe, address, now), "{address}");
        }
    }

    #[test]
    fn what_there_is_no_room_to_remember_is_not_reported_every_time() {
        let (memory, now) = (Challenged::default(), UtcMs(1_795_271_400_000));
        for id in 0..100_000 {
            assert!(memory.may_report(CpeId(id), "refused", now));
            assert!(memory.may_report_onu(OnuRowId(id), "refused", now));
        }
        for _ in 0..2 {
            assert!(!memory.may_report(CpeId(100_000), "refused", now));
            assert!(!memory.may_report_onu(OnuRowId(100_000), "refused", now));
        }
        let later = now.plus_s(3601);
        assert!(memory.may_report(CpeId(100_000), "refused", later));
        assert!(memory.may_report_onu(OnuRowId(100_000), "refused", later));
    }

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
