//! One VLAN between OLT and router: what the service port takes is what the router sends.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, until_state},
    olt::{Node, authorise, detected, ends_as, known_olt, olt_input, read, request},
    world::{self, Calls, PPPOE_PASSWORD, admin},
};
use app::{
    App, AppError, AuthoriseFor, InternetInput, NewPlan, NewService, PlannedCustomer, PlannedService,
    VlanInput,
};
use provisioning::InternetIntent;
use sim::{
    cpe::Quirks,
    flow::Flow,
    olt::{Onu, SimOlt},
};
use store::{Layer, OltTaskState, services};
use types::{OltId, Secret, Serial, ServiceId};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// A service of a plan with or without a VLAN of its own.
async fn ordered(app: &App, vlan: Option<u16>) -> ServiceId {
    world::with_policy(app).await;
    let customer = world::customer(app, "Zahra").await;
    let plan = NewPlan { vlan, ..world::pppoe_plan("Home") };
    let plan = app.create_plan(&admin(), plan).await.expect("a plan");
    let input = NewService {
        customer_id: customer,
        plan_id: plan,
        pppoe_login: Some("user@isp".into()),
        pppoe_password: Some(Secret::new(PPPOE_PASSWORD)),
        wifi: None,
        expected_serial: Some(serial()),
        address: String::new(),
    };
    app.create_service(&admin(), input).await.expect("a service")
}

async fn internet(app: &App, service: ServiceId) -> InternetIntent {
    let found = services::intents(app.store(), service).await.expect("readable");
    let found = found.into_iter().find(|intent| intent.layer == Layer::Internet).expect("an intent");
    serde_json::from_str(found.body.expose()).expect("an intent")
}

/// What the box carries of the ONU besides management.
fn carried(sim: &SimOlt) -> Vec<Flow> {
    let flows = sim.handle().managed().into_iter().find(|onu| onu.serial == serial()).map(|onu| onu.flows);
    flows.unwrap_or_default().into_iter().filter(|flow| flow.vlan != 200).collect()
}

fn vlan(sim: &SimOlt, id: u16) {
    sim.handle().configure(|config| {
        let like = config.vlans[&100].clone();
        config.vlans.insert(id, like);
    });
}

async fn set_vlan(app: &App, service: ServiceId, vlan: Option<u16>) -> Result<(), AppError> {
    wish_vlan(app, service, vlan.map(VlanInput::Tag)).await
}

async fn wish_vlan(app: &App, service: ServiceId, vlan: Option<VlanInput>) -> Result<(), AppError> {
    let input = InternetInput {
        mode: "pppoe".into(),
        username: Some("user@isp".into()),
        password: None,
        vlan,
        ..InternetInput::default()
    };
    app.set_internet(&admin(), service, input).await
}

async fn a_plan_without_a_vlan_gives_olt_and_router_the_same_one(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node.run(|app| async move { ordered(&app, None).await }).await;
    assert_eq!(internet(&node.app, service).await.vlan, None, "nobody knows yet which OLT it will be");
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    sim.handle().tick();
    assert_eq!(carried(&sim), [Flow { user_vlan: Some(100), vlan: 100 }]);
    assert_eq!(internet(&node.app, service).await.vlan, Some(100), "the OLT's own default");
    let told = world::timeline(&node.app).await;
    assert!(told.iter().any(|e| e.code == "intent_changed" && e.text.contains("VLAN 100")), "it is told");

    // And in earnest: a router that is carried by exactly this OLT gets online.
    let flows = sim.handle().managed()[0].flows.clone();
    node.kill();
    let calls = Calls::default();
    let app = bed.app("node-2", &calls).await;
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let onu = store::onus::by_serial(app.store(), serial()).await.expect("readable").expect("an ONU");
    world::olt_says(&app, onu.id, store::Presence::InService).await;
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.carried(flows);
    cpe.power_on(app.now());
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
}

async fn the_vlan_of_a_person_reaches_both_or_is_refused(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node.run(|app| async move { ordered(&app, Some(100)).await }).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    [300, 301].into_iter().for_each(|id| vlan(&sim, id));
    detected(&node, &sim, serial()).await;
    // Before there is an ONU the wish is free, and the authorisation follows it.
    set_vlan(&node.app, service, Some(301)).await.expect("nothing speaks against it");
    let mut order = request(olt, serial());
    let dry = {
        let order = order.clone();
        node.run(move |app| async move { app.dry_run_authorise(&admin(), &order).await }).await
    };
    let lines = dry.expect("the OLT answers").lines;
    assert!(lines.iter().any(|l| l.text.contains("service-port vlan 301 ")), "{lines:?}");
    // The field of the form beats everything.
    order.internet_vlan = Some(300);
    let task = authorise(&node, order).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    sim.handle().tick();
    assert_eq!(carried(&sim), [Flow { user_vlan: Some(300), vlan: 300 }]);
    assert_eq!(internet(&node.app, service).await.vlan, Some(300));
    // From here on the two are changed together or not at all.
    let refused = set_vlan(&node.app, service, Some(301)).await.expect_err("the OLT would be deaf for it");
    for part in ["vlan:", "301", "olt-1", "0/1/3 ONU 0", "VLAN 300"] {
        assert!(refused.to_string().contains(part), "{part} is not in {refused}");
    }
    assert_eq!(internet(&node.app, service).await.vlan, Some(300));
    let refused = wish_vlan(&node.app, service, Some(VlanInput::NONE)).await.expect_err("as deaf for no tag");
    for part in ["vlan:", "No VLAN contradicts", "VLAN 300", "an untagged customer side"] {
        assert!(refused.to_string().contains(part), "{part} is not in {refused}");
    }
    set_vlan(&node.app, service, None).await.expect("nothing said, nothing changed");
    set_vlan(&node.app, service, Some(300)).await.expect("the same");
    assert_eq!(internet(&node.app, service).await.vlan, Some(300));
}

/// An ONU of a model that cannot tag.
async fn plain_box(node: &Node, sim: &SimOlt, olt: OltId) {
    let mut input = olt_input("olt-1", sim);
    input.defaults.untagged_models = vec!["GENERIC098".into()];
    node.run(move |app| async move { app.update_olt(&admin(), olt, input, true).await })
        .await
        .expect("acceptable");
    sim.handle().plug(Onu::new(serial(), "GENERIC098"), crate::support::olt::PON);
    read(node).await;
}

async fn the_olt_tags_for_a_box_that_cannot(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node.run(|app| async move { ordered(&app, Some(100)).await }).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    plain_box(&node, &sim, olt).await;
    let order = request(olt, serial());
    let dry = node.run(move |app| async move { app.dry_run_authorise(&admin(), &order).await }).await;
    let dry = dry.expect("the OLT answers");
    assert!(dry.checks.iter().any(|check| check.text.contains("GENERIC098 has no VLAN setting")), "{dry:?}");
    assert!(dry.lines.iter().any(|line| line.text.contains("user-vlan untagged")), "{dry:?}");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    sim.handle().tick();
    assert_eq!(carried(&sim), [Flow { user_vlan: None, vlan: 100 }]);
    assert_eq!(
        internet(&node.app, service).await.vlan,
        None,
        "the router is not asked for what it cannot do"
    );
    let refused = set_vlan(&node.app, service, Some(100)).await.expect_err("it would send tagged frames");
    assert!(refused.to_string().contains("untagged frames (the OLT puts them into VLAN 100)"), "{refused}");
    wish_vlan(&node.app, service, Some(VlanInput::NONE)).await.expect("what the service port takes");

    let flows = sim.handle().managed()[0].flows.clone();
    node.kill();
    let calls = Calls::default();
    let app = bed.app("node-2", &calls).await;
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let onu = store::onus::by_serial(app.store(), serial()).await.expect("readable").expect("an ONU");
    world::olt_says(&app, onu.id, store::Presence::InService).await;
    let plain = Quirks::default();
    let mut cpe = SimCpe::of_model("generic_tr098", serial(), INSIDE, "user@isp", PPPOE_PASSWORD, plain);
    cpe.carried(flows);
    cpe.power_on(app.now());
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
}

/// Authorised in one of the ways there are: what the dry run shows is what is sent.
async fn shown_and_sent(
    node: &Node,
    sim: &SimOlt,
    dry: &app::AuthoriseRequest,
    order: app::AuthoriseRequest,
) -> Vec<String> {
    let question = dry.clone();
    let dry = node.run(move |app| async move { app.dry_run_authorise(&admin(), &question).await }).await;
    let dry = dry.expect("the OLT answers");
    assert!(dry.allowed() && !dry.lines.is_empty(), "{dry:?}");
    let order = app::AuthoriseRequest { seen: Some(dry.fingerprint.clone()), ..order };
    let task = authorise(node, order).await.expect("ordered");
    node.work();
    ends_as(node, task, OltTaskState::Done).await;
    let lines = node.run(move |app| async move { store::tasks::lines(app.store(), task).await }).await;
    let sent: Vec<String> = lines.expect("readable").into_iter().map(|line| line.line).collect();
    let shown: Vec<String> =
        dry.lines.into_iter().filter(|line| line.kind != "read").map(|line| line.text).collect();
    assert_eq!(sent.get(..shown.len()), Some(&shown[..]), "shown and sent, line by line");
    sim.handle().tick();
    shown
}

async fn what_is_shown_is_sent_whoever_it_is_for(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let existing = node.run(|app| async move { ordered(&app, Some(300)).await }).await;
    let plan = world::service_row(&node.app, existing).await.plan_id;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    vlan(&sim, 300);
    sim.handle().configure(|config| {
        let like = config.srv_profiles[&10].clone();
        config.srv_profiles.insert(30, like);
    });
    let mut input = olt_input("olt-1", &sim);
    let tables: Vec<u32> = sim.handle().state().config.traffic_tables.keys().copied().take(2).collect();
    input.defaults.plan_traffic = vec![app::PlanTraffic {
        plan_id: plan.0,
        up_table: Some(tables[0]),
        down_table: Some(tables[1]),
        line_profile_id: Some(10),
        service_profile_id: Some(30),
    }];
    node.run(move |app| async move { app.update_olt(&admin(), olt, input, true).await }).await.expect("fits");
    let (second, third) = (world::serial("HWTC00000042"), world::serial("HWTC00000043"));
    for serial in [serial(), second, third] {
        detected(&node, &sim, serial).await;
    }
    let of_plan = |lines: &[String]| {
        assert!(lines.iter().any(|line| line.contains("ont-srvprofile-id 30 ")), "{lines:?}");
        let port = format!("inbound traffic-table index {}", tables[0]);
        lines.iter().any(|line| line.contains("service-port vlan 300 ") && line.contains(&port))
    };

    // A service that exists.
    let order = app::AuthoriseRequest { service: AuthoriseFor::Service(existing), ..request(olt, serial()) };
    let lines = shown_and_sent(&node, &sim, &order, order.clone()).await;
    assert!(of_plan(&lines) && lines.iter().any(|l| l.contains("desc \"S-10001 Zahra\"")), "{lines:?}");

    // One that is made between looking and ordering.
    let planned = PlannedService { plan_id: plan, customer: PlannedCustomer::New(" Noor van Dijk ".into()) };
    let look = app::AuthoriseRequest { service: AuthoriseFor::Planned(planned), ..request(olt, second) };
    let refused = authorise(&node, look.clone()).await.expect_err("there is no such service yet");
    assert!(refused.to_string().contains("has to be made before"), "{refused}");
    let customer = world::customer(&node.app, "Noor van Dijk").await;
    // The number of the service is what the dry run says, if nobody is quicker.
    let question = look.clone();
    let dry = node.run(move |app| async move { app.dry_run_authorise(&admin(), &question).await }).await;
    let dry = dry.expect("the OLT answers");
    assert!(
        dry.checks.iter().any(|c| c.text.contains("a new service S-10002 (Noor van Dijk, Home)")),
        "{dry:?}"
    );
    let of_the_plan = format!(
        "plan Home: traffic tables {} up and {} down, line profile 10, service profile 30",
        tables[0], tables[1]
    );
    assert!(dry.checks.iter().any(|c| c.status == "ok" && c.text == of_the_plan), "{dry:?}");
    let new = |serial| NewService {
        customer_id: customer,
        plan_id: plan,
        pppoe_login: None,
        pppoe_password: None,
        wifi: None,
        expected_serial: Some(serial),
        address: String::new(),
    };
    let made = node.app.create_service(&admin(), new(second)).await.expect("a service");
    let order = app::AuthoriseRequest { service: AuthoriseFor::Service(made), ..look.clone() };
    // Somebody else's number in the description is not what was looked at.
    let other = app::AuthoriseRequest { seen: Some("0".repeat(32)), ..order.clone() };
    let refused = authorise(&node, other).await.expect_err("something else was looked at");
    assert!(refused.to_string().contains("not be sent what the dry run showed"), "{refused}");
    let order = app::AuthoriseRequest { seen: Some(dry.fingerprint), ..order };
    let task = authorise(&node, order).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let lines = node.run(move |app| async move { store::tasks::lines(app.store(), task).await }).await;
    let sent: Vec<String> = lines.expect("readable").into_iter().map(|line| line.line).collect();
    let shown: Vec<String> =
        dry.lines.into_iter().filter(|line| line.kind != "read").map(|line| line.text).collect();
    assert_eq!(sent.get(..shown.len()), Some(&shown[..]), "shown and sent, line by line");
    assert!(of_plan(&sent) && sent.iter().any(|l| l.contains("desc \"S-10002 Noor van Dijk\"")), "{sent:?}");

    // Nobody, though a service waits for exactly this one.
    let waits = node.app.create_service(&admin(), new(third)).await.expect("a service");
    let planned = PlannedService { plan_id: plan, customer: PlannedCustomer::Known(customer) };
    let taken = app::AuthoriseRequest { service: AuthoriseFor::Planned(planned), ..request(olt, third) };
    let refused = node.run(move |app| async move { app.dry_run_authorise(&admin(), &taken).await }).await;
    assert!(
        matches!(&refused, Err(AppError::Conflict(text)) if text.contains("belongs to service S-10003")),
        "{refused:?}"
    );
    let order = app::AuthoriseRequest { service: AuthoriseFor::Nobody, ..request(olt, third) };
    let question = order.clone();
    let dry = node.run(move |app| async move { app.dry_run_authorise(&admin(), &question).await }).await;
    let checks = dry.expect("the OLT answers").checks;
    let said = checks.iter().find(|check| check.text.contains("S-10003")).expect("it is said");
    assert!(said.status == "warn" && said.text.contains("does not get this ONU"), "{said:?}");
    let lines = shown_and_sent(&node, &sim, &order, order.clone()).await;
    assert!(!lines.iter().any(|l| l.contains("S-10003") || l.contains("vlan 300")), "{lines:?}");
    assert_eq!(world::service_row(&node.app, waits).await.onu_id, None);
    let onu = store::onus::by_serial(node.app.store(), third).await.expect("readable").expect("an ONU");
    assert_eq!(onu.service_id, None);
}

on_both!(
    what_is_shown_is_sent_whoever_it_is_for,
    a_plan_without_a_vlan_gives_olt_and_router_the_same_one,
    the_vlan_of_a_person_reaches_both_or_is_refused,
    the_olt_tags_for_a_box_that_cannot,
);
