//! Which ONU, and so which service, a CPE is: by the PON serial number in any notation, then by its management
//! address as the OLT reports it, then by an operator's claim. An Inform proves nothing by itself; what it claims counts
//! with the OLT's word only.

use super::confirm::{Ask, Word};
use crate::{
    App, AppError,
    oms::Asked,
    ports::{AuthLevel, Peer},
};
use provisioning::{Device, InformFacts, Link};
use std::collections::{BTreeMap, BTreeSet};
use store::{ServiceState, cpes, onus, rows, services};
use types::{Serial, ServiceId};

/// Vendor leaves that hold the PON serial number, by their last segments. Standard CWMP has none: the number is
/// either DeviceId.SerialNumber itself or one of these.
const SERIAL_LEAVES: [&str; 6] = [
    "DeviceInfo.X_HW_SerialNumber",
    "DeviceInfo.X_ZTE-COM_GponSN",
    "DeviceInfo.X_CT-COM_GponSN",
    "DeviceInfo.X_FH_GponSN",
    "X_ALU-COM_ONTSerialNumber",
    "DeviceInfo.SerialNumber",
];

/// Every PON serial number this Inform could mean, the surest first. Some ODM devices inform with a serial number
/// that is no PON serial at all; then there is none.
pub(crate) fn claimed_serials(inform: &InformFacts) -> Vec<Serial> {
    let mut found: Vec<Serial> = Vec::new();
    let leaves = SERIAL_LEAVES.iter().filter_map(|leaf| inform.parameter(leaf));
    for text in std::iter::once(inform.serial_number.as_str()).chain(leaves) {
        if let Ok(serial) = text.parse::<Serial>()
            && !found.contains(&serial)
        {
            found.push(serial);
        }
    }
    found
}

/// What somebody says of itself.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    /// DeviceId.SerialNumber.
    pub(super) serial_number: &'a str,
    /// PON serial numbers it could mean, the surest first.
    pub(super) serials: Vec<Serial>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(inform: &'a InformFacts) -> Self {
        Claims { serial_number: &inform.serial_number, serials: claimed_serials(inform) }
    }

    /// As it was said when this device spoke last.
    pub(super) fn kept(row: &'a rows::Cpe) -> Self {
        let own = row.serial_number.parse::<Serial>().ok().filter(|own| Some(*own) != row.claimed_serial);
        Claims {
            serial_number: &row.serial_number,
            serials: own.into_iter().chain(row.claimed_serial).collect(),
        }
    }
}

/// Which service a device belongs to, and what speaks for it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) link: Link,
    /// The ONU it informs as, with the OLT's word on it.
    pub(super) onu: Option<(rows::Onu, Word)>,
    /// The PON serial number that only the OLT knew, by the address.
    pub(super) pin: Option<Serial>,
    /// The service whose CPE has this identity already.
    pub(super) second_for: Option<ServiceId>,
}

impl Resolved {
    /// The OLT has the ONU at the very address that informs.
    pub(super) fn is_here(&self) -> bool {
        matches!(&self.onu, Some((_, Word::Here { .. })))
    }
}

impl From<Link> for Resolved {
    fn from(link: Link) -> Self {
        Resolved { link, onu: None, pin: None, second_for: None }
    }
}

/// Who has a PON serial number.
struct Named {
    onu: Option<rows::Onu>,
    services: Vec<rows::Service>,
}

impl Named {
    fn is_known(&self) -> bool {
        self.onu.is_some() || !self.services.is_empty()
    }
}

/// What was found by an address alone.
enum ByAddress {
    Onu(Box<rows::Onu>, ServiceId, Word),
    /// Nothing that counts, and why, if there is something to say.
    Not(Option<String>),
}

impl App {
    /// Which service a device belongs to: by PON serial, then by its address as an OLT reports it, or by an operator's
    /// claim.
    pub(super) async fn resolve(
        &self,
        row: &rows::Cpe,
        device: &Device,
        claims: Claims<'_>,
        peer: &Peer,
        ask: Ask<'_>,
    ) -> Result<Resolved, AppError> {
        if let Some(Link::One { service_id, claimed_by: Some(by), .. }) = &device.link
            && self.not_ended(Some(*service_id)).await?.is_some()
        {
            let (service_id, claimed_by) = (*service_id, Some(by.clone()));
            return Ok(Link::One { service_id, olt_confirms: false, claimed_by, doubt: None }.into());
        }
        // A device has one PON serial number for life: once that was confirmed, no vendor leaf can make it another's. What
        // was only said before binds nobody: somebody else may have said it.
        let pinned = match row.pon_serial {
            Some(serial) => {
                Some((serial, self.named_by(serial).await?)).filter(|(_, named)| named.is_known())
            }
            None => None,
        };
        let Claims { serial_number, serials } = claims;
        let (serials, mut pinned_names) = match pinned {
            Some((serial, named)) => (vec![serial], Some(named)),
            None => (serials, None),
        };
        let pinned = pinned_names.is_some();
        let mut found: BTreeMap<ServiceId, Option<(rows::Onu, Word)>> = BTreeMap::new();
        let mut read: BTreeMap<ServiceId, rows::Service> = BTreeMap::new();
        let mut known_onu = None;
        for serial in &serials {
            let Named { onu, services } = match pinned_names.take() {
                Some(named) => named,
                None => self.named_by(*serial).await?,
            };
            let mut named: Vec<ServiceId> = services.iter().map(|service| service.id).collect();
            read.extend(services.into_iter().map(|service| (service.id, service)));
            let Some(onu) = onu else {
                for service in named {
                    found.entry(service).or_default();
                }
                continue;
            };
            let carried = onu.service_id.filter(|service| !named.contains(service));
            named.extend(self.not_ended(carried).await?);
            // Who has shown its own secret for its own service needs nobody's word.
            let at_home = peer.identity.level == AuthLevel::Own
                && row.service_id.is_some_and(|own| named.contains(&own));
            let word = if named.is_empty() {
                Word::Away { asked: false }
            } else {
                self.olts_word(&onu, row.id, peer, if at_home { Ask::Nothing } else { ask }).await?
            };
            for service in named {
                found.insert(service, Some((onu.clone(), word.clone())));
            }
            known_onu = Some(onu);
        }
        if let Some(own) =
            row.service_id.filter(|own| !pinned && !found.is_empty() && !found.contains_key(own))
        {
            let own: rows::Service = self.store().require(own).await?;
            let why =
                format!("it belongs to service {} and names the serial number of another now", own.code);
            return Ok(Link::Conflict { why }.into());
        }
        let (mut pin, mut no_address) = (None, None);
        if found.is_empty() && known_onu.is_none() && row.service_id.is_none() {
            match self.by_address(row, peer, ask).await? {
                ByAddress::Onu(onu, service, word) => {
                    pin = Some(onu.serial);
                    found.insert(service, Some((*onu, word)));
                }
                ByAddress::Not(why) => no_address = why,
            }
        }
        let label = || serials.first().map_or_else(|| serial_number.to_owned(), ToString::to_string);
        let Some((service_id, word)) = found.pop_first() else {
            let mut why = match (known_onu, serials.is_empty()) {
                (Some(onu), _) => format!("ONU {} on {} carries no service yet", label(), onu.pon),
                (None, false) => format!("no ONU and no service has the serial number {}", label()),
                (None, true) => format!("{serial_number} is no PON serial number"),
            };
            if let Some(no_address) = no_address {
                why = format!("{why}, and {no_address}");
            }
            return Ok(Link::None { why }.into());
        };
        if !found.is_empty() {
            let count = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
            let why = format!("{count} services name the serial number {}", label());
            return Ok(Link::Several { count, why }.into());
        }
        let service = match read.remove(&service_id) {
            Some(service) => service,
            None => self.store().require(service_id).await?,
        };
        if let Some(other) = service.cpe_id.filter(|other| *other != row.id) {
            let other: rows::Cpe = self.store().require(other).await?;
            if !cpes::is_placeholder(&other) {
                let why = format!(
                    "service {} already has the CPE {}-{}-{}",
                    service.code, other.oui, other.product_class, other.serial_number
                );
                let second_for = Some(service_id);
                return Ok(Resolved { second_for, ..Link::Conflict { why }.into() });
            }
        }
        let olt_confirms = word.as_ref().is_some_and(|(_, word)| word.confirms());
        let doubt = match &word {
            Some((onu, word)) => self.doubt(onu, word).await?,
            None => Some(format!("no OLT of ours has an ONU {} yet", label())),
        };
        let link = Link::One { service_id, olt_confirms, claimed_by: None, doubt };
        Ok(Resolved { link, onu: word, pin, second_for: None })
    }

    /// The one ONU that an OLT has at the address of a peer whose serial number says nothing. A MAC address is no key:
    /// what a CPE says of its own is as easily guessed as a serial number, and OLTs show that of the management host,
    /// which need not be the one on the label.
    async fn by_address(&self, row: &rows::Cpe, peer: &Peer, ask: Ask<'_>) -> Result<ByAddress, AppError> {
        if !self.is_inside(peer.address) {
            return Ok(ByAddress::Not(None));
        }
        let address = peer.address.to_canonical();
        let mut there = self.onus_at(address).await?;
        let (Some(mut onu), true) = (there.pop(), there.is_empty()) else {
            let why = match there.len() {
                0 => "no OLT has an ONU at its address".to_owned(),
                more => format!("{} ONUs have its address {address} by their OLTs", more + 1),
            };
            return Ok(ByAddress::Not(Some(why)));
        };
        let mut word = self.olts_word(&onu, row.id, peer, Ask::Nothing).await?;
        let read_now = match ask {
            Ask::Late(read_now) => read_now,
            Ask::Nothing | Ask::Certain(_) => &BTreeSet::new(),
        };
        let is_old = |onu: &rows::Onu, word: &Word| {
            !matches!(word, Word::Here { .. }) || !self.is_certain(onu, read_now)
        };
        if let Ask::Certain(asker) = ask
            && is_old(&onu, &word)
            && let Asked::Answered(asked) = self.ask_address(&onu, asker).await?
        {
            onu = *asked;
            word = self.olts_word(&onu, row.id, peer, Ask::Nothing).await?;
        }
        if is_old(&onu, &word) {
            let why = format!("that ONU {} has its address {address} is not certain now", onu.serial);
            return Ok(ByAddress::Not(Some(why)));
        }
        Ok(match self.not_ended(onu.service_id).await? {
            Some(service) => ByAddress::Onu(Box::new(onu), service, word),
            None => ByAddress::Not(Some(format!("ONU {} at its address carries no service yet", onu.serial))),
        })
    }

    /// Which PON serial number somebody claims: one that is known here, if any is. Some serial numbers only look like one.
    pub(super) async fn claim_among(&self, serials: &[Serial]) -> Result<Option<Serial>, AppError> {
        for serial in serials {
            if self.is_known(*serial).await? {
                return Ok(Some(*serial));
            }
        }
        Ok(serials.first().copied())
    }

    /// An ONU or a service has this serial number.
    pub(super) async fn is_known(&self, serial: Serial) -> Result<bool, AppError> {
        Ok(self.named_by(serial).await?.is_known())
    }

    /// Who has this serial number.
    async fn named_by(&self, serial: Serial) -> Result<Named, AppError> {
        let (onu, services) = futures::future::try_join(
            onus::by_serial(self.store(), serial),
            services::for_serial(self.store(), serial),
        )
        .await?;
        Ok(Named { onu, services })
    }

    /// The OLT confirms that whoever informs with one of these serial numbers, or from this address, is an ONU of ours
    /// whose service has no CPE yet: nobody knows yet which row it will be. Whoever has one already can fill quarantine
    /// with as many names as anybody else.
    pub(super) async fn is_expected(
        &self,
        serials: &[Serial],
        peer: &Peer,
        ask: Ask<'_>,
    ) -> Result<bool, AppError> {
        for serial in serials {
            // No device has this number: nobody's address is taken for another's by it.
            if let Some(onu) = onus::by_serial(self.store(), *serial).await?
                && self.awaits_cpe(onu.service_id).await?
                && self.olts_word(&onu, types::CpeId(0), peer, ask).await?.confirms()
            {
                return Ok(true);
            }
        }
        match self.by_address(&rows::Cpe::default(), peer, ask).await? {
            ByAddress::Onu(_, service, _) => self.awaits_cpe(Some(service)).await,
            ByAddress::Not(_) => Ok(false),
        }
    }

    /// An ONU may still be on its OLT when its service has ended: it speaks for nobody then.
    async fn not_ended(&self, service: Option<ServiceId>) -> Result<Option<ServiceId>, AppError> {
        let Some(id) = service else { return Ok(None) };
        let row: Option<rows::Service> = self.store().get(id).await?;
        Ok(row.filter(|row| row.state != ServiceState::Terminated).map(|_| id))
    }

    /// There is such a service, and no CPE has spoken for it yet.
    async fn awaits_cpe(&self, service: Option<ServiceId>) -> Result<bool, AppError> {
        let Some(service) = self.not_ended(service).await? else { return Ok(false) };
        let Some(service) = self.store().get::<rows::Service>(service).await? else { return Ok(false) };
        let Some(cpe) = service.cpe_id else { return Ok(true) };
        let cpe: Option<rows::Cpe> = self.store().get(cpe).await?;
        Ok(cpe.as_ref().is_none_or(cpes::is_placeholder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::ParamValue;

    fn inform(serial_number: &str, leaf: Option<(&str, &str)>) -> InformFacts {
        InformFacts {
            serial_number: serial_number.into(),
            parameters: leaf
                .map(|(path, value)| ParamValue {
                    path: path.into(),
                    value: value.into(),
                    kind: Default::default(),
                })
                .into_iter()
                .collect(),
            ..InformFacts::default()
        }
    }

    #[test]
    fn huawei_says_it_twice_and_it_is_one() {
        let leaf = ("InternetGatewayDevice.DeviceInfo.X_HW_SerialNumber", "HWTC7D4733C3");
        let found = claimed_serials(&inform("485754437D4733C3", Some(leaf)));
        assert_eq!(found, ["HWTC-7D4733C3".parse().expect("serial")]);
    }

    #[test]
    fn a_serial_that_is_none_is_not_guessed() {
        assert_eq!(claimed_serials(&inform("E48D8C112233", None)), []);
        assert_eq!(claimed_serials(&inform("", None)), []);
    }
}
