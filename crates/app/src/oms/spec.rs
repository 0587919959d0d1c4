//! From what a person asks to what the OLT is to hold: plan, service and OLT defaults become one wish. Pure.
//!
//! The user side of the Internet service port is the one thing that OLT and router must agree about. It is decided
//! here, and goes into the service's Internet intent when the authorisation is done.

use super::{AuthoriseRequest, OltDefaults};
use crate::AppError;
use olt::plan::{AuthoriseSpec, ManagementAddress, ManagementSpec, ServicePortSpec, TagTransform};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use store::rows;

/// The service an ONU is for.
pub(crate) struct ForService<'a> {
    pub(crate) service: &'a rows::Service,
    pub(crate) plan: &'a rows::Plan,
    pub(crate) customer: &'a rows::Customer,
    /// VLAN of its Internet intent.
    pub(crate) vlan: Option<u16>,
}

/// Where the Internet VLAN of an authorisation came from. It decides what becomes of it when the ONU goes: a choice of
/// somebody stays with the service, the default of an OLT stays with that OLT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VlanFrom {
    /// Named in the order.
    Order,
    /// The service's own.
    Service,
    /// The plan's.
    Plan,
    /// The default of the OLT.
    Olt,
}

/// The key under which [`VlanFrom`] stands beside what an ONU was given.
const VLAN_FROM: &str = "internet_vlan_from";

/// Stands for what is asked of the OLT: two wishes with the same one send the same lines to an OLT in the same state.
pub(crate) fn fingerprint(spec: &AuthoriseSpec) -> Result<String, AppError> {
    let text = serde_json::to_vec(spec).map_err(|error| AppError::Internal(error.to_string()))?;
    Ok(hex::encode(&Sha256::digest(text)[..16]))
}

/// What an ONU is given, as it is kept with the task and with the ONU.
pub(crate) fn given(spec: &AuthoriseSpec, from: VlanFrom) -> Result<serde_json::Value, AppError> {
    let internal = |error: serde_json::Error| AppError::Internal(error.to_string());
    let mut value = serde_json::to_value(spec).map_err(internal)?;
    value[VLAN_FROM] = serde_json::to_value(from).map_err(internal)?;
    Ok(value)
}

/// The same for an ONU that takes over what another one, or itself at another place, had.
pub(crate) fn given_like(
    spec: &AuthoriseSpec,
    before: &serde_json::Value,
) -> Result<serde_json::Value, AppError> {
    let mut value = serde_json::to_value(spec).map_err(|error| AppError::Internal(error.to_string()))?;
    if let Some(from) = before.get(VLAN_FROM) {
        value[VLAN_FROM] = from.clone();
    }
    Ok(value)
}

/// What an ONU of ours was given; none for one that we did not authorise.
pub(crate) fn given_to(onu: &rows::Onu) -> Option<AuthoriseSpec> {
    serde_json::from_value(onu.desired.clone()).ok()
}

/// The VLAN that stays with a service when this ONU of it goes: `Some(None)` = whichever the next OLT has. `None` =
/// nobody wrote down where it came from, so it is left as it is.
pub(crate) fn vlan_that_stays(onu: &rows::Onu) -> Option<Option<u16>> {
    let from: VlanFrom = serde_json::from_value(onu.desired.get(VLAN_FROM)?.clone()).ok()?;
    let port = internet_port_of(onu)?;
    Some(match from {
        VlanFrom::Olt => None,
        VlanFrom::Order | VlanFrom::Service | VlanFrom::Plan => Some(port.vlan),
    })
}

/// The VLAN of the Internet on the network side, and whose word it is.
pub(crate) fn internet_vlan(
    request: &AuthoriseRequest,
    defaults: &OltDefaults,
    service: Option<&ForService<'_>>,
) -> (u16, VlanFrom) {
    let of_plan = || service.and_then(|of| crate::crm::vlan_of(of.plan));
    if let Some(vlan) = request.internet_vlan {
        (vlan, VlanFrom::Order)
    } else if let Some(vlan) = service.and_then(|of| of.vlan) {
        (vlan, VlanFrom::Service)
    } else if let Some(vlan) = of_plan() {
        (vlan, VlanFrom::Plan)
    } else {
        (defaults.internet_vlan, VlanFrom::Olt)
    }
}

/// Lets the router behind the Internet service port tag, or the OLT for it.
pub(crate) fn set_side(spec: &mut AuthoriseSpec, untagged: bool) {
    let management = spec.management.as_ref().map(|management| management.vlan);
    if let Some(port) = spec.service_ports.iter_mut().find(|port| Some(port.vlan) != management)
        && port.user_vlan.is_none() != untagged
    {
        port.user_vlan = (!untagged).then_some(port.vlan);
        port.tag_transform = if untagged { TagTransform::Default } else { TagTransform::Translate };
    }
}

/// The service port that carries the customer's Internet.
pub(crate) fn internet_port(spec: &AuthoriseSpec) -> Option<&ServicePortSpec> {
    let management = spec.management.as_ref().map(|management| management.vlan);
    spec.service_ports.iter().find(|port| Some(port.vlan) != management)
}

/// The same of an ONU that was authorised; none of one that we did not authorise.
pub(crate) fn internet_port_of(onu: &rows::Onu) -> Option<ServicePortSpec> {
    internet_port(&given_to(onu)?).cloned()
}

/// Everything an ONU gets on its OLT. `equipment_id` is what the ONU announced itself as; `reserved_ids` are ONU ids
/// promised to tasks that the OLT does not know of yet.
pub(crate) fn authorise_spec(
    request: &AuthoriseRequest,
    defaults: &OltDefaults,
    service: Option<ForService<'_>>,
    equipment_id: &str,
    reserved_ids: BTreeSet<u16>,
) -> AuthoriseSpec {
    let plan = service.as_ref().map(|service| service.plan);
    let (internet_vlan, _) = internet_vlan(request, defaults, service.as_ref());
    let of_plan =
        plan.and_then(|plan| defaults.plan_traffic.iter().find(|traffic| traffic.plan_id == plan.id.0));
    let traffic = of_plan.and_then(|of| of.up_table.zip(of.down_table)).or(defaults.default_traffic);
    let untagged = request.untagged.unwrap_or_else(|| defaults.cannot_tag(equipment_id));
    let description = match (&request.description, &service) {
        (Some(text), _) => text.clone(),
        (None, Some(of)) => format!("{} {}", of.service.code, of.customer.name),
        (None, None) => String::new(),
    };
    let port = |vlan, untagged: bool, gemport, traffic: Option<(u32, u32)>| ServicePortSpec {
        vlan,
        user_vlan: (!untagged).then_some(vlan),
        gemport,
        tag_transform: if untagged { TagTransform::Default } else { TagTransform::Translate },
        traffic_in: traffic.map(|(up, _)| up),
        traffic_out: traffic.map(|(_, down)| down),
    };
    AuthoriseSpec {
        pon: request.pon,
        serial: request.serial,
        onu_id: None,
        reserved_ids,
        line_profile_id: of_plan.and_then(|of| of.line_profile_id).unwrap_or(defaults.line_profile_id),
        service_profile_id: of_plan
            .and_then(|of| of.service_profile_id)
            .unwrap_or(defaults.service_profile_id),
        description,
        service_ports: vec![
            port(internet_vlan, untagged, defaults.internet_gemport, traffic),
            port(defaults.management_vlan, false, defaults.management_gemport, None),
        ],
        management: Some(ManagementSpec {
            ip_index: 0,
            vlan: defaults.management_vlan,
            priority: defaults.management_priority,
            address: ManagementAddress::Dhcp,
        }),
        acs_profile_id: Some(defaults.tr069_profile_id),
        preprovision: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{OltId, PlanId, UtcMs};

    fn request() -> AuthoriseRequest {
        AuthoriseRequest {
            olt_id: OltId(1),
            pon: "0/1/6".parse().expect("pon"),
            serial: "HWTC7D4733C3".parse().expect("serial"),
            service: super::super::AuthoriseFor::Expected,
            description: None,
            internet_vlan: None,
            untagged: None,
            seen: None,
        }
    }

    #[test]
    fn the_request_beats_the_plan_and_the_plan_beats_the_olt() {
        let defaults = OltDefaults {
            plan_traffic: vec![super::super::PlanTraffic {
                plan_id: 7,
                up_table: Some(62),
                down_table: Some(65),
                line_profile_id: Some(12),
                service_profile_id: None,
            }],
            default_traffic: Some((6, 6)),
            ..OltDefaults::default()
        };
        let service = rows::Service { code: "S-10001".into(), ..Default::default() };
        let customer = rows::Customer { name: "Amina Otieno".into(), ..Default::default() };
        let plan = rows::Plan { id: PlanId(7), vlan: Some(203), ..Default::default() };
        let of = |vlan| Some(ForService { service: &service, plan: &plan, customer: &customer, vlan });
        let made = |request: &AuthoriseRequest, of| {
            authorise_spec(request, &defaults, of, "EG8145V5", BTreeSet::new())
        };
        let of_plan = made(&request(), of(None));
        assert_eq!(of_plan.service_ports[0].vlan, 203);
        assert_eq!(
            (of_plan.service_ports[0].traffic_in, of_plan.service_ports[0].traffic_out),
            (Some(62), Some(65))
        );
        assert_eq!((of_plan.line_profile_id, of_plan.service_profile_id), (12, 10));
        assert_eq!(of_plan.description, "S-10001 Amina Otieno");

        let from = |request: &AuthoriseRequest, of: Option<ForService<'_>>| {
            internet_vlan(request, &defaults, of.as_ref()).1
        };
        let asked = AuthoriseRequest { internet_vlan: Some(300), ..request() };
        assert_eq!(from(&asked, of(Some(250))), VlanFrom::Order);
        assert_eq!(from(&request(), of(Some(250))), VlanFrom::Service);
        assert_eq!((from(&request(), of(None)), from(&request(), None)), (VlanFrom::Plan, VlanFrom::Olt));
        assert_eq!(made(&asked, of(Some(250))).service_ports[0].vlan, 300);
        // What somebody set on the service beats the plan it once came from.
        assert_eq!(made(&request(), of(Some(250))).service_ports[0].vlan, 250);

        let bare = made(&request(), None);
        assert_eq!((bare.service_ports[0].vlan, bare.service_ports[0].traffic_in), (100, Some(6)));
        assert_eq!(bare.service_ports[1].vlan, 40, "management always comes along");
        assert_eq!(bare.acs_profile_id, Some(1));
    }

    #[test]
    fn a_router_that_cannot_tag_is_tagged_for_and_a_person_may_say_otherwise() {
        let defaults = OltDefaults { untagged_models: vec!["GENERIC098".into()], ..OltDefaults::default() };
        let made = |untagged, model: &str| {
            let asked = AuthoriseRequest { untagged, ..request() };
            authorise_spec(&asked, &defaults, None, model, BTreeSet::new())
        };
        let sides = |spec: &AuthoriseSpec| spec.service_ports.iter().map(|p| p.user_vlan).collect::<Vec<_>>();
        assert_eq!(sides(&made(None, "EG8145V5")), [Some(100), Some(40)]);
        let plain = made(None, "generic098");
        assert_eq!(sides(&plain), [None, Some(40)], "management stays tagged: the OLT gives it by OMCI");
        assert_eq!(plain.service_ports[0].tag_transform, TagTransform::Default);
        assert_eq!(internet_port(&plain).map(|port| (port.vlan, port.user_vlan)), Some((100, None)));
        assert_eq!(sides(&made(Some(false), "GENERIC098")), [Some(100), Some(40)]);
        assert_eq!(sides(&made(Some(true), "EG8145V5")), [None, Some(40)]);
        // A box that takes over what another one had.
        let mut spec = made(None, "EG8145V5");
        set_side(&mut spec, true);
        assert_eq!(spec.service_ports, plain.service_ports);
        set_side(&mut spec, false);
        assert_eq!(spec.service_ports, made(None, "EG8145V5").service_ports);
    }

    #[test]
    fn what_somebody_chose_stays_with_the_service_and_the_default_of_an_olt_with_the_olt() {
        let spec = authorise_spec(&request(), &OltDefaults::default(), None, "GENERIC098", BTreeSet::new());
        let mut onu = rows::Onu::planned(OltId(1), spec.pon, 0, spec.serial, UtcMs(0));
        onu.desired = given(&spec, VlanFrom::Olt).expect("JSON");
        assert_eq!(given_to(&onu), Some(spec.clone()));
        assert_eq!(vlan_that_stays(&onu), Some(None));
        for from in [VlanFrom::Order, VlanFrom::Service, VlanFrom::Plan] {
            onu.desired = given(&spec, from).expect("JSON");
            assert_eq!(vlan_that_stays(&onu), Some(Some(100)), "{from:?}");
        }
        onu.desired = given_like(&spec, &onu.desired).expect("JSON");
        assert_eq!(vlan_that_stays(&onu), Some(Some(100)), "a replacement keeps whose word it was");
        onu.desired = serde_json::to_value(&spec).expect("JSON");
        assert_eq!(vlan_that_stays(&onu), None, "written before anybody noted it");
    }
}
