//! From what a person asks to what the OLT is to hold: plan, service and OLT defaults become one wish. Pure.

use super::{AuthoriseRequest, OltDefaults};
use olt::plan::{AuthoriseSpec, ManagementAddress, ManagementSpec, ServicePortSpec, TagTransform};
use std::collections::BTreeSet;
use store::rows;

/// Everything an ONU gets on its OLT. `reserved_ids` are ONU ids promised to tasks that the OLT does not know of yet.
pub(crate) fn authorise_spec(
    request: &AuthoriseRequest,
    defaults: &OltDefaults,
    service: Option<(&rows::Service, &rows::Plan, &rows::Customer)>,
    reserved_ids: BTreeSet<u16>,
) -> AuthoriseSpec {
    let plan = service.map(|(_, plan, _)| plan);
    let internet_vlan = request
        .internet_vlan
        .or_else(|| plan.and_then(|plan| plan.vlan).and_then(|vlan| u16::try_from(vlan).ok()))
        .unwrap_or(defaults.internet_vlan);
    let traffic = plan
        .and_then(|plan| defaults.plan_traffic.iter().find(|traffic| traffic.plan_id == plan.id.0))
        .map(|traffic| (traffic.up_table, traffic.down_table))
        .or(defaults.default_traffic);
    let description = match (&request.description, service) {
        (Some(text), _) => text.clone(),
        (None, Some((service, _, customer))) => format!("{} {}", service.code, customer.name),
        (None, None) => String::new(),
    };
    let port = |vlan, gemport, traffic: Option<(u32, u32)>| ServicePortSpec {
        vlan,
        user_vlan: vlan,
        gemport,
        tag_transform: TagTransform::Translate,
        traffic_in: traffic.map(|(up, _)| up),
        traffic_out: traffic.map(|(_, down)| down),
    };
    let profile = |text: &str, default: u32| text.parse().unwrap_or(default);
    AuthoriseSpec {
        pon: request.pon,
        serial: request.serial,
        onu_id: None,
        reserved_ids,
        line_profile_id: plan
            .map_or(defaults.line_profile_id, |p| profile(&p.line_profile, defaults.line_profile_id)),
        service_profile_id: plan.map_or(defaults.service_profile_id, |p| {
            profile(&p.service_profile, defaults.service_profile_id)
        }),
        description,
        service_ports: vec![
            port(internet_vlan, defaults.internet_gemport, traffic),
            port(defaults.management_vlan, defaults.management_gemport, None),
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
    use types::{OltId, PlanId};

    fn request() -> AuthoriseRequest {
        AuthoriseRequest {
            olt_id: OltId(1),
            pon: "0/1/6".parse().expect("pon"),
            serial: "HWTC7D4733C3".parse().expect("serial"),
            service_id: None,
            description: None,
            internet_vlan: None,
        }
    }

    #[test]
    fn the_request_beats_the_plan_and_the_plan_beats_the_olt() {
        let defaults = OltDefaults {
            plan_traffic: vec![super::super::PlanTraffic { plan_id: 7, up_table: 62, down_table: 65 }],
            default_traffic: Some((6, 6)),
            ..OltDefaults::default()
        };
        let service = rows::Service { code: "S-10001".into(), ..Default::default() };
        let customer = rows::Customer { name: "Amina Otieno".into(), ..Default::default() };
        let plan =
            rows::Plan { id: PlanId(7), vlan: Some(203), line_profile: "12".into(), ..Default::default() };
        let of_plan =
            authorise_spec(&request(), &defaults, Some((&service, &plan, &customer)), BTreeSet::new());
        assert_eq!(of_plan.service_ports[0].vlan, 203);
        assert_eq!(
            (of_plan.service_ports[0].traffic_in, of_plan.service_ports[0].traffic_out),
            (Some(62), Some(65))
        );
        assert_eq!((of_plan.line_profile_id, of_plan.service_profile_id), (12, 10));
        assert_eq!(of_plan.description, "S-10001 Amina Otieno");

        let asked = AuthoriseRequest { internet_vlan: Some(300), ..request() };
        let by_hand = authorise_spec(&asked, &defaults, Some((&service, &plan, &customer)), BTreeSet::new());
        assert_eq!(by_hand.service_ports[0].vlan, 300);

        let bare = authorise_spec(&request(), &defaults, None, BTreeSet::new());
        assert_eq!((bare.service_ports[0].vlan, bare.service_ports[0].traffic_in), (100, Some(6)));
        assert_eq!(bare.service_ports[1].vlan, 40, "management always comes along");
        assert_eq!(bare.acs_profile_id, Some(1));
    }
}
