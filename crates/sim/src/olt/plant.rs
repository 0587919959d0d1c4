//! The world behind the box: light, ranging, autofind, management WANs, restarts; and the events other parts of the
//! simulation follow.

use super::{machine::Olt, record::Effect, session::Noise, state::*, text::alarm};
use crate::flow::Flow;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::Ipv4Addr};
use types::{PonPath, Serial, UtcMs};

/// What happened to an ONU. The CPE simulator starts and stops CPEs by these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum OltEvent {
    /// It shows in autofind.
    OnuDetected {
        /// Serial.
        serial: Serial,
        /// Port.
        pon: PonPath,
    },
    /// Registered.
    OnuRegistered {
        /// Serial.
        serial: Serial,
        /// Port.
        pon: PonPath,
        /// ONT id.
        ont: u8,
    },
    /// Its registration is gone.
    OnuUnregistered {
        /// Serial.
        serial: Serial,
    },
    /// Up.
    OnuOnline {
        /// Serial.
        serial: Serial,
    },
    /// Down.
    OnuOffline {
        /// Serial.
        serial: Serial,
        /// Cause as the box shows it.
        cause: String,
    },
    /// It restarts: by command or by power.
    OnuReset {
        /// Serial.
        serial: Serial,
    },
    /// Online with a management address and a bound TR-069 profile whose line profile and service port let it out:
    /// its CPE can reach the ACS from now on. Sent again, with the new values, when any of them changes.
    OnuManaged(Managed),
    /// What the box carries of a managed ONU is another now; everything else about it is as before.
    OnuFlows {
        /// Serial.
        serial: Serial,
        /// All of it.
        flows: Vec<Flow>,
    },
    /// Not any more.
    OnuUnmanaged {
        /// Serial.
        serial: Serial,
    },
    /// The box restarted: all sessions are gone.
    Restarted,
}

/// Where a serial is registered, and what settling it needs to know.
#[derive(Debug, Clone, Copy)]
struct Place {
    pon: PonPath,
    id: u8,
    active: bool,
    tr069_profile: Option<u32>,
}

/// Service ports by the ONT they belong to.
type Flows = BTreeMap<(PonPath, u8), Vec<u32>>;

const LOS: &str = "LOSi/LOBi";
const DYING_GASP: &str = "dying-gasp";

impl Olt {
    /// Lets time pass: everything that is due by `now` happens.
    pub fn tick(&mut self, now: UtcMs) {
        if self.state.down_until.is_some_and(|until| until <= now) {
            self.state.down_until = None;
            self.generation += 1;
        }
        if self.state.saving_until.is_some_and(|until| until <= now) {
            self.state.saving_until = None;
            let session = self.state.saving_for.take();
            self.state.startup = self.state.config.clone();
            self.note_own("(saved)", vec![Effect::Saved], now);
            self.noise.push(Noise {
                session,
                lines: vec![
                    String::new(),
                    "  Configuration file had been saved successfully".to_owned(),
                    "  Note: The configuration file will take effect after being activated".to_owned(),
                    String::new(),
                    "  The data of 0 slot's main control board is saved completely".to_owned(),
                ],
            });
        }
        if self.settled != Some(self.generation) || self.next_due.is_some_and(|due| due <= now) {
            self.settle(now);
        }
    }

    /// Connects an ONU to a port (a new one, or one that exists and moves there) and powers it.
    pub fn plug(&mut self, onu: Onu, pon: PonPath, now: UtcMs) {
        self.plug_quietly(onu, pon);
        self.settle(now);
    }

    /// Connects an ONU without looking yet what that brings about: for many at once, before a [`Olt::tick`].
    pub fn plug_quietly(&mut self, mut onu: Onu, pon: PonPath) {
        onu.pon = Some(pon);
        onu.powered = true;
        onu.booting_until = None;
        self.state.plant.onus.insert(onu.serial, onu);
        self.generation += 1;
    }

    /// Takes the fibre out of an ONU. It keeps existing.
    pub fn unplug(&mut self, serial: Serial, now: UtcMs) {
        if let Some(onu) = self.state.plant.onus.get_mut(&serial) {
            onu.pon = None;
            self.generation += 1;
            self.settle(now);
        }
    }

    /// Switches the power of an ONU. Coming back it starts first.
    pub fn power(&mut self, serial: Serial, on: bool, now: UtcMs) {
        let boot = self.spec.timing.boot_ms;
        let Some(onu) = self.state.plant.onus.get_mut(&serial) else { return };
        if onu.powered == on {
            return;
        }
        onu.powered = on;
        onu.booting_until = on.then(|| later(now, boot));
        self.generation += 1;
        if on {
            self.events.push(OltEvent::OnuReset { serial });
        } else if let Some(link) = self.state.plant.links.get_mut(&serial) {
            link.pending_cause = Some(DYING_GASP.to_owned());
        }
        self.settle(now);
    }

    /// Power off and on again at once: the shortest outage.
    pub fn flap_power(&mut self, serial: Serial, now: UtcMs) {
        self.power(serial, false, now);
        self.power(serial, true, now);
    }

    /// Cuts or mends the feeder of a port.
    pub fn cut_fibre(&mut self, pon: PonPath, cut: bool, now: UtcMs) {
        if cut {
            self.state.plant.cut.insert(pon);
        } else {
            self.state.plant.cut.remove(&pon);
        }
        self.generation += 1;
        self.settle(now);
    }

    /// Changes the optical readings of an ONU.
    pub fn set_optics(&mut self, serial: Serial, optics: Optics) {
        if let Some(onu) = self.state.plant.onus.get_mut(&serial) {
            onu.optics = optics;
            self.generation += 1;
        }
    }

    /// Restarts an ONU as `ont reset` does.
    pub(crate) fn reset_onu(&mut self, serial: Serial, cause: &str, now: UtcMs) {
        let boot = self.spec.timing.boot_ms;
        if let Some(link) = self.state.plant.links.get_mut(&serial) {
            link.pending_cause = Some(cause.to_owned());
        }
        if let Some(onu) = self.state.plant.onus.get_mut(&serial) {
            onu.booting_until = Some(later(now, boot));
            self.generation += 1;
        }
        // A start of no duration is still a start: the link drops and comes back.
        self.drop_link(serial, now);
        self.events.push(OltEvent::OnuReset { serial });
    }

    /// Restarts the box. What was not saved survives only if told so.
    pub fn restart(&mut self, keep_unsaved: bool, now: UtcMs) {
        let lost = !keep_unsaved && !self.state.is_saved();
        if keep_unsaved {
            self.state.startup = self.state.config.clone();
        } else {
            self.state.config = self.state.startup.clone();
        }
        self.state.saving_until = None;
        self.state.saving_for = None;
        self.state.booted_at = later(now, self.spec.timing.olt_boot_ms);
        self.state.down_until =
            (self.spec.timing.olt_boot_ms > 0).then(|| later(now, self.spec.timing.olt_boot_ms));
        self.restarts += 1;
        self.events.push(OltEvent::Restarted);
        self.note_own("(restarted)", vec![Effect::Restarted { unsaved_lost: lost }], now);
        let serials: Vec<Serial> = self.state.plant.links.keys().copied().collect();
        for serial in serials {
            if let Some(link) = self.state.plant.links.get_mut(&serial) {
                link.pending_cause = Some(LOS.to_owned());
            }
            self.drop_link(serial, now);
        }
        self.settle(now);
    }

    /// Somebody else changes the running configuration.
    pub fn configure(&mut self, change: impl FnOnce(&mut Config), now: UtcMs) {
        change(&mut self.state.config);
        self.generation += 1;
        self.note_own("(by another hand)", Vec::new(), now);
        self.settle(now);
    }

    /// Somebody else registers an ONT on a port, on the lowest free id.
    pub fn take_next_ont_id(&mut self, pon: PonPath, now: UtcMs) -> Option<u8> {
        let id = self.state.config.free_ont_id(pon)?;
        let n = self.generation + u64::from(id);
        let salt = super::fault::draw(self.spec.seed, n, u64::from(pon.port)) as u32;
        let mut bytes = *b"SIMX\0\0\0\0";
        bytes[4..].copy_from_slice(&salt.to_be_bytes());
        let (line_profile, srv_profile) =
            (*self.state.config.line_profiles.keys().last()?, *self.state.config.srv_profiles.keys().last()?);
        let serial = Serial::from_bytes(bytes);
        self.state.config.onts.entry(pon).or_default().insert(
            id,
            Ont {
                serial,
                line_profile,
                srv_profile,
                description: "by another hand".to_owned(),
                active: true,
                ip_hosts: Default::default(),
                tr069_profile: None,
                native_vlans: Default::default(),
                internet_by_omci: false,
            },
        );
        self.note_own("(by another hand) ont add", Vec::new(), now);
        self.settle(now);
        Some(id)
    }

    /// The port an ONU's light reaches now.
    fn lit(&self, onu: &Onu, now: UtcMs) -> Option<PonPath> {
        let pon = onu.pon?;
        let booting = onu.booting_until.is_some_and(|until| until > now);
        let shut = self.state.config.ports.get(&pon).is_some_and(|port| port.shutdown);
        (onu.powered
            && !booting
            && !shut
            && self.state.down_until.is_none()
            && self.state.has_port(pon)
            && !self.state.plant.cut.contains(&pon))
        .then_some(pon)
    }

    /// Brings links, autofind and management WANs into agreement with light and configuration.
    pub(crate) fn settle(&mut self, now: UtcMs) {
        let places: BTreeMap<Serial, Place> = self
            .state
            .config
            .onts
            .iter()
            .flat_map(|(pon, onts)| onts.iter().map(|(id, ont)| (*pon, *id, ont)))
            .map(|(pon, id, ont)| {
                (ont.serial, Place { pon, id, active: ont.active, tr069_profile: ont.tr069_profile })
            })
            .collect();
        self.forget_unregistered(&places, now);
        let mut flows: Flows = BTreeMap::new();
        for (index, sp) in &self.state.config.service_ports {
            flows.entry((sp.pon, sp.ont)).or_default().push(*index);
        }
        let serials: Vec<Serial> = self.state.plant.onus.keys().copied().collect();
        for serial in serials {
            let Some(onu) = self.state.plant.onus.get_mut(&serial) else { continue };
            if onu.booting_until.is_some_and(|until| until <= now) {
                onu.booting_until = None;
                self.generation += 1;
            }
            let Some(onu) = self.state.plant.onus.get(&serial) else { continue };
            let lit = self.lit(onu, now);
            let place = places.get(&serial).copied();
            self.settle_link(serial, lit, place, now);
            self.settle_autofind(serial, lit, place.map(|place| place.pon), now);
            self.settle_management(serial, place, &flows, now);
        }
        self.settled = Some(self.generation);
        self.next_due = self.next_due(now);
    }

    /// When something happens by itself next.
    fn next_due(&self, now: UtcMs) -> Option<UtcMs> {
        let plant = &self.state.plant;
        let boots = plant.onus.values().filter_map(|onu| onu.booting_until);
        let links = plant.links.values().filter_map(|record| match record.link {
            Link::Registering { until } => Some(until),
            Link::Offline | Link::Online { .. } => None,
        });
        let found = plant.autofind.values().filter(|found| !found.announced).map(|found| found.at);
        let managing = plant.managing.values().map(|managing| managing.at);
        boots.chain(links).chain(found).chain(managing).filter(|at| *at > now).min()
    }

    fn forget_unregistered(&mut self, places: &BTreeMap<Serial, Place>, now: UtcMs) {
        let gone: Vec<Serial> =
            self.state.plant.links.keys().copied().filter(|serial| !places.contains_key(serial)).collect();
        for serial in gone {
            self.drop_link(serial, now);
            self.unmanage(serial);
            self.state.plant.links.remove(&serial);
            self.events.push(OltEvent::OnuUnregistered { serial });
            self.generation += 1;
        }
        for (serial, place) in places {
            if !self.state.plant.links.contains_key(serial) {
                self.state.plant.links.insert(*serial, LinkRecord::default());
                self.events.push(OltEvent::OnuRegistered { serial: *serial, pon: place.pon, ont: place.id });
                self.generation += 1;
            }
        }
    }

    fn settle_link(&mut self, serial: Serial, lit: Option<PonPath>, place: Option<Place>, now: UtcMs) {
        let Some(Place { pon, id, active, tr069_profile: profile }) = place else { return };
        let wanted = active && lit == Some(pon);
        let register_ms = self.spec.timing.register_ms;
        let needs_reset = self.spec.quirks.tr069_needs_reset;
        let Some(record) = self.state.plant.links.get_mut(&serial) else { return };
        if !needs_reset {
            record.tr069_in_force = profile;
        }
        if !wanted {
            self.drop_link(serial, now);
            return;
        }
        if record.link == Link::Offline {
            record.link = Link::Registering { until: later(now, register_ms) };
            self.generation += 1;
        }
        if let Link::Registering { until } = record.link
            && until <= now
        {
            record.link = Link::Online { since: until.max(UtcMs(0)) };
            record.last_up_at = Some(until);
            record.pending_cause = None;
            record.tr069_in_force = profile;
            self.generation += 1;
            self.events.push(OltEvent::OnuOnline { serial });
            self.noise.push(Noise {
                session: None,
                lines: alarm(
                    "RECOVERY",
                    "MAJOR",
                    "The distribute fiber is broken or the OLT can not receive expected optical signals \
                     from the ONT(LOSi/LOBi)",
                    &format!(
                        "FrameID: {}, SlotID: {}, PortID: {}, ONT ID: {id}",
                        pon.frame, pon.slot, pon.port
                    ),
                    now,
                ),
            });
        }
    }

    /// Takes a link down, if it is up or coming up.
    fn drop_link(&mut self, serial: Serial, now: UtcMs) {
        let powered = self.state.plant.onus.get(&serial).is_some_and(|onu| onu.powered);
        let Some(record) = self.state.plant.links.get_mut(&serial) else { return };
        match record.link {
            Link::Offline => {}
            Link::Registering { .. } => {
                record.link = Link::Offline;
                self.generation += 1;
            }
            Link::Online { .. } => {
                record.link = Link::Offline;
                let cause = record
                    .pending_cause
                    .take()
                    .unwrap_or_else(|| if powered { LOS.to_owned() } else { DYING_GASP.to_owned() });
                record.last_down_at = Some(now);
                if cause == DYING_GASP {
                    record.last_dying_gasp_at = Some(now);
                }
                record.last_down_cause = Some(cause.clone());
                self.generation += 1;
                self.events.push(OltEvent::OnuOffline { serial, cause });
                self.unmanage(serial);
            }
        }
    }

    fn settle_autofind(
        &mut self,
        serial: Serial,
        lit: Option<PonPath>,
        registered_at: Option<PonPath>,
        now: UtcMs,
    ) {
        let wanted = lit.is_some_and(|pon| {
            registered_at != Some(pon) && self.state.config.ports.get(&pon).is_some_and(|port| port.autofind)
        });
        match (wanted, self.state.plant.autofind.get(&serial).copied()) {
            (true, found) => {
                let found = found.unwrap_or_else(|| {
                    self.generation += 1;
                    Found { at: later(now, self.spec.timing.autofind_ms), announced: false }
                });
                let due = !found.announced && found.at <= now;
                self.state
                    .plant
                    .autofind
                    .insert(serial, Found { announced: found.announced || due, ..found });
                if due && let Some(pon) = lit {
                    self.announce(serial, pon, now);
                }
            }
            (false, Some(_)) => {
                self.state.plant.autofind.remove(&serial);
                self.generation += 1;
            }
            (false, None) => {}
        }
    }

    fn announce(&mut self, serial: Serial, pon: PonPath, now: UtcMs) {
        self.generation += 1;
        self.events.push(OltEvent::OnuDetected { serial, pon });
        self.noise.push(Noise {
            session: None,
            lines: alarm(
                "EVENT",
                "MAJOR",
                "The ONT is automatically discovered",
                &format!(
                    "FrameID: {}, SlotID: {}, PortID: {}, SN: {}",
                    pon.frame,
                    pon.slot,
                    pon.port,
                    serial.hex16()
                ),
                now,
            ),
        });
    }

    fn settle_management(&mut self, serial: Serial, place: Option<Place>, flows: &Flows, now: UtcMs) {
        let wanted = place.and_then(|place| self.management_of(serial, place, flows));
        let plant = &mut self.state.plant;
        let Some(wanted) = wanted else {
            self.unmanage(serial);
            return;
        };
        if let Some(managed) = plant.managed.get_mut(&serial) {
            if *managed == wanted {
                return;
            }
            if (Managed { flows: wanted.flows.clone(), ..managed.clone() }) == wanted {
                // Traffic changes at once and without the ONU noticing.
                managed.flows.clone_from(&wanted.flows);
                self.generation += 1;
                self.events.push(OltEvent::OnuFlows { serial, flows: wanted.flows });
                return;
            }
        }
        let due = match plant.managing.get(&serial) {
            Some(managing) if managing.managed == wanted => managing.at,
            _ => {
                let at = later(now, self.spec.timing.manage_ms);
                plant.managing.insert(serial, Managing { at, managed: wanted.clone() });
                self.generation += 1;
                at
            }
        };
        if due <= now {
            self.state.plant.managing.remove(&serial);
            self.state.plant.managed.insert(serial, wanted.clone());
            self.generation += 1;
            self.events.push(OltEvent::OnuManaged(wanted));
        }
    }

    fn unmanage(&mut self, serial: Serial) {
        let coming = self.state.plant.managing.remove(&serial).is_some();
        let up = self.state.plant.managed.remove(&serial).is_some();
        if coming || up {
            self.generation += 1;
        }
        if up {
            self.events.push(OltEvent::OnuUnmanaged { serial });
        }
    }

    /// The management WAN an ONU has by its configuration, if everything is there for it.
    fn management_of(&mut self, serial: Serial, place: Place, flows: &Flows) -> Option<Managed> {
        if !self.state.is_online(serial) {
            return None;
        }
        let config = &self.state.config;
        let (pon, ont_id) = (place.pon, place.id);
        let ont = config.ont(pon, ont_id)?;
        let line = config.line_profiles.get(&ont.line_profile)?;
        if !line.tr069 {
            return None;
        }
        let profile_id = self.state.plant.links.get(&serial)?.tr069_in_force?;
        let profile = config.tr069_profiles.get(&profile_id)?.clone();
        let host = ont.ip_hosts.get(&line.tr069_ip_index)?.clone();
        // Without a service port for its VLAN nothing of it leaves the PON.
        let mut carried: Vec<Flow> = flows
            .get(&(pon, ont_id))
            .into_iter()
            .flatten()
            .filter_map(|index| config.service_ports.get(index))
            .filter(|sp| line.gems.contains_key(&sp.gem) && config.vlans.contains_key(&sp.vlan))
            .map(ServicePort::flow)
            .collect();
        carried.sort_unstable();
        crate::flow::carrying(&carried, Some(host.vlan))?;
        let onu = self.state.plant.onus.get(&serial)?;
        let (equipment_id, mac, broken) = (onu.equipment_id.clone(), onu.mac, onu.dhcp_broken);
        let (ip, mask, gateway) = match host.config {
            IpConfig::Dhcp if broken => return None,
            IpConfig::Dhcp => (self.lease(serial)?, self.spec.pool.mask, Some(self.spec.pool.gateway)),
            IpConfig::Static { ip, mask, gateway } => (ip, mask, gateway),
            IpConfig::Pppoe { .. } => return None,
        };
        Some(Managed {
            serial,
            equipment_id,
            mac,
            pon,
            ont_id,
            acs_url: profile.url,
            acs_user: profile.user,
            acs_password: profile.password,
            mgmt_vlan: host.vlan,
            ip,
            mask,
            gateway,
            flows: carried,
        })
    }

    /// The DHCP lease of an ONU: the same one for as long as the box lives.
    fn lease(&mut self, serial: Serial) -> Option<Ipv4Addr> {
        if let Some(ip) = self.state.plant.leases.get(&serial) {
            return Some(*ip);
        }
        let first = u32::from(self.spec.pool.first);
        let taken: std::collections::BTreeSet<u32> =
            self.state.plant.leases.values().map(|ip| u32::from(*ip)).collect();
        let ip = (0..self.spec.pool.size)
            .map(|n| first.saturating_add(n))
            .find(|ip| !taken.contains(ip))
            .map(Ipv4Addr::from)?;
        self.state.plant.leases.insert(serial, ip);
        self.generation += 1;
        Some(ip)
    }
}

pub(crate) fn later(now: UtcMs, ms: u64) -> UtcMs {
    UtcMs(now.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
}
