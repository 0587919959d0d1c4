//! Removing, moving and replacing ONUs as people do it: OLT, database, service and CPE agree at the end.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, asked, inform, until_state},
    eventually,
    olt::{
        Node, PON, address_of, authorise, authorised, change, changes, detected, dry_run, ends_as, known_olt,
        olt_input, onu_of, read, request,
    },
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_row, person, service_row, told, with_policy},
};
use app::{App, AppError, OnuChange, Role};
use provisioning::InternetIntent;
use sim::{
    cpe::Quirks,
    olt::{Onu, SimOlt},
};
use store::{
    DetectedState, Layer, OltTaskState, Presence, ServiceState, cpes, detected as seen, onus, rows, services,
};
use types::{CpeId, PonPath, Serial, ServiceId};

const OTHER: PonPath = PonPath { port: 5, ..PON };

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

fn new_box() -> Serial {
    world::serial("HWTC00000077")
}

/// A service that waits for the first box.
async fn ordered(node: &Node) -> ServiceId {
    node.run(|app| async move {
        with_policy(&app).await;
        world::service(&app, "user@isp", Some(serial())).await
    })
    .await
}

async fn internet(app: &App, service: ServiceId) -> InternetIntent {
    let found = services::intents(app.store(), service).await.expect("readable");
    let found = found.into_iter().find(|intent| intent.layer == Layer::Internet).expect("an intent");
    serde_json::from_str(found.body.expose()).expect("an intent")
}

/// The CPE of a service says its first Inform, once its machine knows of the ONU: both want the announced row.
async fn informs(node: &Node, sim: &SimOlt, service: ServiceId) -> (CpeId, bool) {
    let announced = service_row(&node.app, service).await.cpe_id.expect("announced");
    eventually("its machine is told of the ONU", || async {
        (!told(&node.app, announced, "onu_known").await.is_empty()).then_some(())
    })
    .await;
    let at = address_of(sim, serial());
    let facts = inform(serial(), &["0 BOOTSTRAP"], &at);
    node.run(move |app| async move { asked(&app, facts, &at).await }).await
}

/// Serial numbers by place, as the box has them.
fn registered(sim: &SimOlt) -> Vec<(PonPath, i64, Serial)> {
    let state = sim.handle().state();
    let onts = state.config.onts.iter();
    onts.flat_map(|(pon, onts)| onts.iter().map(|(id, ont)| (*pon, i64::from(*id), ont.serial))).collect()
}

async fn an_onu_is_removed_and_its_service_is_free_again(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = ordered(&node).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let (cpe, spoken) = informs(&node, &sim, service).await;
    assert!(spoken && service_row(&node.app, service).await.cpe_id == Some(cpe));
    let onu = onu_of(&node, serial()).await;

    // Shown beforehand, word for word; nothing is sent by it.
    let before = changes(&sim).len();
    let dry = dry_run(&node, onu.id, OnuChange::Remove).await.expect("the OLT answers");
    assert!(dry.allowed(), "{:?}", dry.checks);
    let taken: Vec<&str> =
        dry.lines.iter().filter(|line| line.kind == "remove").map(|line| line.text.as_str()).collect();
    assert!(
        taken.len() == 3 && taken[0].starts_with("undo service-port") && taken[2].starts_with("ont delete"),
        "{taken:?}"
    );
    assert!(
        dry.checks.iter().any(|c| c.status == "warn" && c.text.contains("online now")),
        "{:?}",
        dry.checks
    );
    assert_eq!(changes(&sim).len(), before);
    let vera = person("vera", Role::Viewer);
    let id = onu.id;
    let refused =
        node.run(move |app| async move { app.change_onu(&vera, id, &OnuChange::Remove).await }).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");

    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    let twice = change(&node, onu.id, OnuChange::Remove).await;
    assert!(twice.is_err() || twice.as_ref().ok() != Some(&task), "one order at a time: {twice:?}");
    let row = ends_as(&node, task, OltTaskState::Done).await;
    assert!(row.reason.contains("read back without them"), "{}", row.reason);
    let sent = changes(&sim);
    assert_eq!(sent[before..].iter().map(String::as_str).collect::<Vec<_>>(), taken, "exactly these lines");
    assert_eq!(registered(&sim), []);
    assert!(sim.handle().state().config.service_ports.is_empty());

    // The database follows, the history stays.
    assert_eq!(onus::by_serial(node.app.store(), serial()).await.expect("readable"), None);
    let gone: rows::Onu = node.app.store().require(onu.id).await.expect("kept");
    assert!(gone.removed_at.is_some() && gone.service_id.is_none());
    let row = service_row(&node.app, service).await;
    assert_eq!((row.onu_id, row.cpe_id, row.state), (None, None, ServiceState::Reserved));
    let device = cpe_row(&node.app, cpe).await;
    assert!(device.service_id.is_none() && device.quarantine, "{device:?}");
    let released = told(&node.app, cpe, "released").await;
    assert!(released[0].text.contains("HWTC-7D4733C3 was taken off the OLT"), "{released:?}");
    let audit: Vec<rows::AuditEntry> = node.app.store().page(0, 200).await.expect("readable");
    let audit = audit.iter().find(|entry| entry.action == "onu.remove").expect("audited");
    let before = audit.before.as_ref().expect("before");
    assert_eq!((before["cpe"].as_i64(), before["pon"].as_str()), (Some(cpe.0), Some("0/1/3")));
    assert!(audit.after.is_some());
    let again = change(&node, onu.id, OnuChange::Remove).await;
    assert!(matches!(&again, Err(AppError::Conflict(text)) if text.contains("already")), "{again:?}");

    // It still has light: it is detected, and waits for the same service; authorised again, its CPE comes back.
    bed.advance_s(30);
    read(&node).await;
    let found = seen::by_serial(node.app.store(), olt, serial()).await.expect("readable").expect("seen");
    assert_eq!(found.state, DetectedState::Waiting);
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    bed.advance_s(130);
    read(&node).await;
    let at = address_of(&sim, serial());
    let facts = inform(serial(), &["1 BOOT"], &at);
    let (again, _) = node.run(move |app| async move { asked(&app, facts, &at).await }).await;
    assert_eq!((again, service_row(&node.app, service).await.cpe_id), (cpe, Some(cpe)));
}

/// Its ONU was taken off long ago: the service waits for the one that it gets, and not for the old one any more.
async fn a_service_whose_onu_is_gone_waits_for_the_one_it_gets(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = ordered(&node).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(service_row(&node.app, service).await.expected_serial, Some(serial()));
    sim.handle().unplug(serial());
    detected(&node, &sim, new_box()).await;
    let mut order = request(olt, new_box());
    order.service = app::AuthoriseFor::Service(service);
    let task = authorise(&node, order).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    let row = service_row(&node.app, service).await;
    assert_eq!(row.expected_serial, Some(new_box()));
    assert_eq!(row.onu_id, Some(onu_of(&node, new_box()).await.id));
}

async fn what_was_not_authorised_by_us_is_not_ours_to_change(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (_sim, olt) = known_olt(bed, &node, "olt-1").await;
    let onu = node.run(move |app| async move { world::onu(&app, olt, serial(), None).await }).await;
    for order in [OnuChange::Remove, OnuChange::Move { pon: OTHER }] {
        let refused = change(&node, onu, order).await.expect_err("not ours");
        assert!(refused.to_string().contains("not authorised by Lightkeeper"), "{refused}");
    }
}

/// From light to ACTIVE and on, through a new box, to ACTIVE again.
async fn a_new_box_takes_over_and_nothing_of_the_old_one_counts(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = ordered(&node).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let flows = sim.handle().managed()[0].flows.clone();
    node.kill();
    let calls = Calls::default();
    let app = bed.app("node-2", &calls).await;
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let row = onus::by_serial(app.store(), serial()).await.expect("readable").expect("an ONU");
    world::olt_says(&app, row.id, Presence::InService).await;
    let mut old = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    old.carried(flows);
    old.power_on(app.now());
    until_state(bed, &app, &calls, &mut old, "ACTIVE").await;
    let before = service_row(&app, service).await;
    assert_eq!(before.state, ServiceState::Active);
    let old_cpe = before.cpe_id.expect("linked");
    assert!(!cpes::evidence(app.store(), old_cpe).await.expect("readable").is_empty());
    drop(app);

    // The technician swaps the boxes on the same fibre.
    bed.advance_s(200);
    let node = Node::start(bed, "node-3").await;
    sim.handle().unplug(serial());
    detected(&node, &sim, new_box()).await;
    let order = OnuChange::Replace { serial: new_box(), untagged: None };
    let dry = dry_run(&node, row.id, order.clone()).await.expect("the OLT answers");
    assert!(dry.allowed() && i64::from(dry.onu_id) == row.onu_id, "{dry:?}");
    assert!(dry.checks.iter().any(|c| c.text.contains("begins anew")), "{:?}", dry.checks);
    let task = change(&node, row.id, order.clone()).await.expect("ordered");
    let also = authorise(&node, request(olt, new_box())).await.expect_err("it is being worked on");
    assert!(also.to_string().contains("right now"), "{also}");
    node.work();
    let ended = ends_as(&node, task, OltTaskState::Done).await;
    assert!(ended.reason.contains("Has the place of HWTC-7D4733C3"), "{}", ended.reason);
    assert_eq!(registered(&sim), [(PON, row.onu_id, new_box())]);
    assert_eq!(sim.handle().state().config.service_ports.len(), 2);

    let now = onu_of(&node, new_box()).await;
    assert_eq!((now.pon, now.onu_id, now.service_id), (PON, row.onu_id, Some(service)));
    assert!(now.id != row.id, "a row of its own");
    let after = service_row(&node.app, service).await;
    assert_eq!((after.onu_id, after.expected_serial), (Some(now.id), Some(new_box())));
    assert_eq!(after.state, ServiceState::Inactive, "built, and not in use before the new one is verified");
    let new_cpe = after.cpe_id.expect("expected");
    assert!(new_cpe != old_cpe);
    assert_eq!(cpe_row(&node.app, new_cpe).await.state, "DISCOVERED");
    assert_eq!(cpes::evidence(node.app.store(), new_cpe).await.expect("readable"), []);
    let released = cpe_row(&node.app, old_cpe).await;
    assert!(
        released.service_id.is_none() && released.quarantine && released.state == "INFORMED",
        "{released:?}"
    );
    let kept = cpes::evidence(node.app.store(), old_cpe).await.expect("readable");
    assert!(kept.iter().all(|item| item.layer == "core"), "nothing of this service: {kept:?}");
    // Suspended and resumed meanwhile: that the old one was in use counts no more.
    node.run(move |app| async move {
        app.suspend_service(&admin(), service, "unpaid").await.expect("suspended");
        app.resume_service(&admin(), service).await.expect("resumed");
    })
    .await;
    assert_eq!(service_row(&node.app, service).await.state, ServiceState::Inactive);
    let sent = changes(&sim).len();
    let again = change(&node, row.id, order).await;
    assert!(matches!(&again, Err(AppError::Conflict(text)) if text.contains("already")), "{again:?}");
    assert_eq!(changes(&sim).len(), sent);
    let flows =
        sim.handle().managed().into_iter().find(|onu| onu.serial == new_box()).expect("managed").flows;
    node.kill();

    // The old one calls from wherever it is now: it is nobody's. The new one is provisioned from the beginning.
    let app = bed.app("node-4", &calls).await;
    world::olt_says(&app, now.id, Presence::InService).await;
    let asked_before = old.asked.len();
    old.tick(app.now());
    old.visit(&app, app.now()).await;
    assert_eq!(cpe_row(&app, old_cpe).await.service_id, None);
    let told_now = &old.asked[asked_before..];
    assert!(told_now.iter().all(|asked| !asked.contains("WAN") && !asked.contains("WLAN")), "{told_now:?}");
    let mut new = SimCpe::new(new_box(), "127.20.3.10", "user@isp", PPPOE_PASSWORD, Quirks::default());
    new.carried(flows);
    new.power_on(app.now());
    until_state(bed, &app, &calls, &mut new, "ACTIVE").await;
    let end = service_row(&app, service).await;
    assert_eq!((end.state, end.cpe_id), (ServiceState::Active, Some(new_cpe)));
    let (old_row, new_row) = (cpe_row(&app, old_cpe).await, cpe_row(&app, new_cpe).await);
    assert!(new_row.auth_username.is_some() && new_row.auth_username != old_row.auth_username);
    assert!(!cpes::evidence(app.store(), new_cpe).await.expect("readable").is_empty());
}

async fn a_box_that_is_taken_or_elsewhere_is_no_replacement(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let replace = |serial| OnuChange::Replace { serial, untagged: None };
    assert!(matches!(change(&node, onu.id, replace(serial())).await, Err(AppError::Invalid { .. })));
    // On another port.
    sim.handle().plug(Onu::new(new_box(), "EG8145V5"), OTHER);
    read(&node).await;
    let refused = change(&node, onu.id, replace(new_box())).await.expect_err("it is elsewhere");
    assert!(refused.to_string().contains("announces itself on olt-1 0/1/5"), "{refused}");
    // Somebody else's.
    let other = world::serial("HWTC00000042");
    node.run(move |app| async move { world::service(&app, "other@isp", Some(other)).await }).await;
    let refused = change(&node, onu.id, replace(other)).await.expect_err("it is promised");
    assert!(refused.to_string().contains("expected by service"), "{refused}");
    // Nobody has seen it: it is registered ahead of its arrival.
    let ahead = world::serial("HWTC00000099");
    let dry = dry_run(&node, onu.id, replace(ahead)).await.expect("the OLT answers");
    assert!(dry.allowed() && dry.checks.iter().any(|c| c.text.contains("ahead of its arrival")), "{dry:?}");
    let task = change(&node, onu.id, replace(ahead)).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(registered(&sim), [(PON, onu.onu_id, ahead)]);
}

async fn an_onu_on_another_port_is_moved_with_everything(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = ordered(&node).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let (cpe, _) = informs(&node, &sim, service).await;
    let onu = onu_of(&node, serial()).await;
    let to = || OnuChange::Move { pon: OTHER };
    assert!(matches!(
        change(&node, onu.id, OnuChange::Move { pon: PON }).await,
        Err(AppError::Invalid { .. })
    ));
    // Not seen there: nothing is sent.
    let dry = dry_run(&node, onu.id, to()).await.expect("the OLT answers");
    assert!(!dry.allowed(), "{dry:?}");
    // A technician plugs it elsewhere: the OLT lists it there.
    bed.advance_s(30);
    sim.handle().unplug(serial());
    sim.handle().plug(Onu::new(serial(), "EG8145V5"), OTHER);
    read(&node).await;
    let found = seen::by_serial(node.app.store(), olt, serial()).await.expect("readable").expect("seen");
    assert_eq!((found.state, found.pon), (DetectedState::Waiting, OTHER));
    let refused = authorise(&node, request(olt, serial())).await.expect_err("it is authorised");
    assert!(refused.to_string().contains("authorised already"), "{refused}");
    let dry = dry_run(&node, onu.id, to()).await.expect("the OLT answers");
    assert!(dry.allowed() && dry.checks.iter().any(|c| c.text.contains("keeps this ONU")), "{dry:?}");
    let before = changes(&sim).len();
    let task = change(&node, onu.id, to()).await.expect("ordered");
    let row = ends_as(&node, task, OltTaskState::Done).await;
    assert!(row.reason.contains("Moved from 0/1/3 ONU 0 to 0/1/5 ONU 0"), "{}", row.reason);
    let shown: Vec<&str> = dry
        .lines
        .iter()
        .filter(|line| matches!(line.kind.as_str(), "add" | "remove"))
        .map(|line| line.text.as_str())
        .collect();
    let sent = changes(&sim);
    assert_eq!(sent[before..].iter().map(String::as_str).collect::<Vec<_>>(), shown);
    let now = onu_of(&node, serial()).await;
    assert_eq!((now.id, now.pon, now.service_id), (onu.id, OTHER, Some(service)));
    assert_eq!(registered(&sim), [(OTHER, now.onu_id, serial())]);
    let row = service_row(&node.app, service).await;
    assert_eq!((row.onu_id, row.cpe_id), (Some(now.id), Some(cpe)), "nothing else has changed");
    assert!(told(&node.app, cpe, "released").await.is_empty());
    let found = seen::by_serial(node.app.store(), olt, serial()).await.expect("readable").expect("seen");
    assert_eq!(found.state, DetectedState::Authorised);
    // And what was moved can be removed: what it was given is known at its new place.
    let task = change(&node, now.id, OnuChange::Remove).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(registered(&sim), []);
}

/// The default of an OLT stays with that OLT; a choice goes with the service.
async fn the_default_vlan_of_an_olt_does_not_follow_a_service_to_another(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            let customer = world::customer(&app, "Zahra").await;
            let plan = app::NewPlan { vlan: None, ..world::pppoe_plan("Home") };
            let plan = app.create_plan(&admin(), plan).await.expect("a plan");
            let input = app::NewService {
                customer_id: customer,
                plan_id: plan,
                pppoe_login: Some("user@isp".into()),
                pppoe_password: None,
                wifi: None,
                expected_serial: Some(serial()),
                address: String::new(),
            };
            app.create_service(&admin(), input).await.expect("a service")
        })
        .await;
    let (one, first) = known_olt(bed, &node, "olt-1").await;
    let (two, second) = known_olt(bed, &node, "olt-2").await;
    for sim in [&one, &two] {
        sim.handle().configure(|config| {
            let like = config.vlans[&100].clone();
            config.vlans.insert(300, like.clone());
            config.vlans.insert(301, like);
        });
    }
    let mut input = olt_input("olt-2", &two);
    input.defaults.internet_vlan = 300;
    node.run(move |app| async move { app.update_olt(&admin(), second, input, true).await })
        .await
        .expect("changed");
    authorised(&node, &one, first, serial()).await;
    assert_eq!(internet(&node.app, service).await.vlan, Some(100), "the first OLT's default");
    let take_off = async |sim: &SimOlt| {
        let onu = onu_of(&node, serial()).await;
        let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
        ends_as(&node, task, OltTaskState::Done).await;
        sim.handle().unplug(serial());
    };
    take_off(&one).await;
    assert_eq!(internet(&node.app, service).await.vlan, None, "no OLT, no default of one");
    bed.advance_s(30);
    detected(&node, &two, serial()).await;
    let task = authorise(&node, request(second, serial())).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(internet(&node.app, service).await.vlan, Some(300), "the second OLT's default");
    take_off(&two).await;

    // What a person chose goes with the service, even where the OLT tagged for the box.
    bed.advance_s(30);
    detected(&node, &one, serial()).await;
    let mut order = request(first, serial());
    (order.internet_vlan, order.untagged) = (Some(301), Some(true));
    let task = authorise(&node, order).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(internet(&node.app, service).await.vlan, None, "the OLT tags");
    take_off(&one).await;
    assert_eq!(internet(&node.app, service).await.vlan, Some(301));
    bed.advance_s(30);
    detected(&node, &two, serial()).await;
    let task = authorise(&node, request(second, serial())).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(internet(&node.app, service).await.vlan, Some(301));
}

on_both!(
    a_service_whose_onu_is_gone_waits_for_the_one_it_gets,
    an_onu_is_removed_and_its_service_is_free_again,
    what_was_not_authorised_by_us_is_not_ours_to_change,
    a_new_box_takes_over_and_nothing_of_the_old_one_counts,
    a_box_that_is_taken_or_elsewhere_is_no_replacement,
    an_onu_on_another_port_is_moved_with_everything,
    the_default_vlan_of_an_olt_does_not_follow_a_service_to_another,
);
