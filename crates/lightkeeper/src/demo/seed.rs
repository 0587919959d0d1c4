//! What the demo's ISP knows before the first ONU shows light: policy, plans, OLTs, customers and their services.
//! Every piece is made only if it is not there, so that a start that was killed half-way goes on.

use super::network::{FIRST_CONTACT_USER, Places};
use anyhow::Context;
use app::{AcsPolicy, Actor, App, NewCustomer, NewOlt, NewPlan, NewService, OltDefaults, WifiInput};
use sim::scenario::{Internet, OnuService, Scenario};
use std::collections::HashMap;
use store::{OltProtocol, customers, olts, rows, services};
use types::{CustomerId, PlanId, Secret, Serial};

/// The actor of everything the demo does by itself.
pub(crate) const DEMO: Actor = Actor::System("demo");

/// Times for a visitor: what takes minutes on a real network takes seconds here. The rules are the same.
fn policy(scenario: &Scenario) -> anyhow::Result<AcsPolicy> {
    let mut policy = AcsPolicy {
        management_networks: vec![scenario.network.management_subnet.parse().map_err(anyhow::Error::msg)?],
        first_contact_username: FIRST_CONTACT_USER.to_owned(),
        autofind_interval_s: 3,
        ..AcsPolicy::default()
    };
    let p = &mut policy.provisioning;
    p.cool_down_s = 5;
    p.back_off_s = vec![120, 240, 480];
    p.park_s = 600;
    p.watchdog_s = 5;
    p.connection_request_gap_s = 2;
    p.credentials_rewrite_s = 24 * 3600;
    p.verify_delay_s = 2;
    p.verify_grace_s = 25;
    p.verify_checks = 3;
    p.inform_interval_s = 15;
    p.inform_spread_s = 5;
    p.inform_grace_s = 10;
    p.clock_check_s = 5;
    p.drift_check_s = 300;
    p.ntp_servers = scenario
        .network
        .ntp_servers
        .first()
        .map_or_else(|| vec!["127.0.0.1".to_owned()], |s| vec![s.clone()]);
    Ok(policy)
}

pub(crate) async fn seed(app: &App, scenario: &Scenario, places: &Places) -> anyhow::Result<()> {
    let wanted = policy(scenario)?;
    if *app.policy() != wanted && *app.policy() == AcsPolicy::default() {
        let password = Secret::new(places.first_contact_password.clone());
        app.set_acs_policy(&DEMO, wanted, Some(password)).await?;
    }
    let mut plans = HashMap::new();
    for plan in &scenario.plans {
        let id = match customers::plan_by_name(app.store(), &plan.name).await? {
            Some(row) => row.id,
            None => {
                let input = NewPlan {
                    name: plan.name.clone(),
                    down_kbps: plan.down_kbps.into(),
                    up_kbps: plan.up_kbps.into(),
                    price_minor: plan.price_minor,
                    currency: plan.currency.parse().context("a plan of the scenario")?,
                    internet_mode: match plan.internet {
                        Internet::Pppoe => "pppoe",
                        Internet::Dhcp => "dhcp",
                        Internet::Bridge => "bridge",
                    }
                    .to_owned(),
                    vlan: plan.vlan,
                };
                app.create_plan(&DEMO, input).await?
            }
        };
        plans.insert(plan.name.clone(), id);
    }
    for spec in &scenario.olts {
        if olts::by_name(app.store(), &spec.name).await?.is_some() {
            continue;
        }
        let [ssh, _, snmp] = places.olts.get(&spec.name).context("an OLT without an address")?;
        let user = spec.users.first().context("an OLT without a CLI user")?;
        let olt = NewOlt {
            name: spec.name.clone(),
            vendor_profile: "huawei_smartax".to_owned(),
            address: ssh.ip().to_string(),
            port: ssh.port(),
            protocol: OltProtocol::Ssh,
            username: user.name.clone(),
            password: Some(user.password.clone()),
            legacy_algorithms: false,
            snmp_community: Some(spec.listen.community.clone()),
            snmp_port: snmp.port(),
            defaults: OltDefaults {
                internet_vlan: spec.preset.internet_vlan,
                management_vlan: spec.preset.management_vlan,
                untagged_models: scenario.network.untagged_models.clone(),
                ..OltDefaults::default()
            },
        };
        app.add_olt(&DEMO, olt).await?;
    }
    seed_services(app, scenario, &plans).await
}

async fn seed_services(
    app: &App,
    scenario: &Scenario,
    plans: &HashMap<String, PlanId>,
) -> anyhow::Result<()> {
    let mut known: HashMap<(String, String), CustomerId> = HashMap::new();
    let mut after = 0;
    loop {
        let page = app.store().page::<rows::Customer>(after, 500).await?;
        let Some(last) = page.last() else { break };
        after = last.id.0;
        known.extend(page.into_iter().map(|row| ((row.name, row.phone), row.id)));
    }
    for onu in scenario.onus()? {
        let Some(service) = &onu.service else { continue };
        let key = (service.customer.clone(), service.phone.clone());
        let customer = match known.get(&key) {
            Some(id) => *id,
            None => {
                let input = NewCustomer {
                    name: service.customer.clone(),
                    phone: service.phone.clone(),
                    address: service.address.clone(),
                    ..NewCustomer::default()
                };
                let id = app.create_customer(&DEMO, input).await?;
                known.insert(key, id);
                id
            }
        };
        if has_service(app, customer, service, onu.serial).await? {
            continue;
        }
        let input = NewService {
            customer_id: customer,
            plan_id: *plans.get(&service.plan).context("a service without a plan")?,
            pppoe_login: service.pppoe_login.clone(),
            pppoe_password: service.pppoe_login.as_ref().map(|_| service.pppoe_password.clone()),
            wifi: (service.internet != Internet::Bridge).then(|| WifiInput {
                ssid: service.ssid.clone(),
                passphrase: Some(service.passphrase.clone()),
                enabled: true,
            }),
            expected_serial: service.expects_serial.then_some(onu.serial),
            address: service.address.clone(),
        };
        app.create_service(&DEMO, input)
            .await
            .with_context(|| format!("the service of {} ({})", service.customer, onu.serial))?;
    }
    Ok(())
}

async fn has_service(
    app: &App,
    customer: CustomerId,
    wanted: &OnuService,
    serial: Serial,
) -> anyhow::Result<bool> {
    let theirs = services::of_customer(app.store(), customer).await?;
    Ok(theirs.iter().any(|row| {
        row.expected_serial == Some(serial)
            || (row.pppoe_login.is_some() && row.pppoe_login == wanted.pppoe_login)
    }))
}
