//! OLTs and the ONUs on them, as long as everything goes well.

use crate::support::{
    bed::Bed,
    eventually,
    olt::{
        COMMUNITY, Node, OLT_PASSWORD, PON, authorise, changes, detected, ends_as, known_olt, olt_input,
        read, request, sim_olt,
    },
    world::{self, admin, person},
};
use app::{AppError, NewOlt, OltReading, OltTest, Role};
use sim::olt::{Fault, FaultKind, SimOlt};
use store::{
    DetectedState, OltObservedState, OltProtocol, OltTaskState, Presence, ServiceState, onus, rows, tasks,
};
use types::{OltId, Secret, Serial};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

async fn olt_row(node: &Node, id: OltId) -> rows::Olt {
    node.run(move |app| async move { app.store().require(id).await }).await.expect("the OLT is there")
}

async fn tried(node: &Node, id: OltId) -> OltTest {
    node.run(move |app| async move { app.test_olt(&admin(), id).await }).await.expect("an answer")
}

async fn changed(node: &Node, id: OltId, input: NewOlt) -> Result<(), AppError> {
    node.run(move |app| async move { app.update_olt(&admin(), id, input, true).await }).await
}

async fn one_olt_is_read_now_and_what_came_of_it_is_true(bed: &Bed) {
    let (one, two) = (Node::start(bed, "node-1").await, Node::start(bed, "node-2").await);
    let (_sim, id) = known_olt(bed, &one, "olt-1").await;
    bed.advance_s(5);
    let now = |app: app::App| async move { app.read_olt_now(&admin(), id).await };
    assert_eq!(one.run(now).await.expect("an answer"), OltReading::Read);
    let elsewhere = two.run(now).await.expect("an answer");
    assert_eq!(elsewhere, OltReading::Elsewhere { node: "node-1".into() }, "the other node has it");
    let viewer = person("tariq", Role::Viewer);
    let refused = one.run(move |app| async move { app.read_olt_now(&viewer, id).await }).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
}

async fn waiting(node: &Node) -> Vec<(Serial, DetectedState)> {
    let rows: Vec<rows::DetectedOnu> =
        node.run(|app| async move { app.store().page(0, 100).await }).await.expect("readable");
    rows.into_iter().map(|row| (row.serial, row.state)).collect()
}

async fn an_olt_is_added_tried_and_changed(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let sim = sim_olt(bed, OltProtocol::Telnet, None).await;
    let good = olt_input("olt-1", &sim);
    let bad = NewOlt {
        name: String::new(),
        address: "10.0.0.1; reboot".into(),
        port: 0,
        password: None,
        vendor_profile: "acme".into(),
        ..good.clone()
    };
    let Err(AppError::Invalid { fields }) = node.app.add_olt(&admin(), bad).await else {
        panic!("much is wrong")
    };
    let names: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    for field in ["name", "vendor_profile", "address", "port", "password"] {
        assert!(names.contains(&field), "{field} is not in {names:?}");
    }
    let refused = node.app.add_olt(&person("sami", Role::Support), good.clone()).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    let id = node.app.add_olt(&admin(), good.clone()).await.expect("an OLT");
    let again = node.app.add_olt(&admin(), good.clone()).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");

    let test = tried(&node, id).await;
    assert!(test.ok && test.text.contains("MA5800-X7"), "{test:?}");
    assert!(
        test.text.contains("TR-069 profile 1") && test.text.contains("http://127.0.0.1:7547/"),
        "{test:?}"
    );
    assert!(changes(&sim).is_empty(), "trying writes nothing");

    // A wrong password is an answer, without the password in it.
    let wrong = NewOlt { password: Some(Secret::new("wrong-Osprey-1")), ..good.clone() };
    changed(&node, id, wrong).await.expect("changed");
    let test = tried(&node, id).await;
    assert!(!test.ok && test.text.starts_with("olt-1 cannot be used"), "{test:?}");
    assert!(!test.text.contains("Osprey") && !test.text.contains("Kestrel"), "{test:?}");
    changed(&node, id, good.clone()).await.expect("changed");
    assert!(tried(&node, id).await.ok);

    // What is not given is kept.
    let silent = NewOlt { name: "olt-one".into(), password: None, snmp_community: None, ..good.clone() };
    changed(&node, id, silent).await.expect("changed");
    assert!(tried(&node, id).await.ok, "the password is still there");
    assert_eq!(olt_row(&node, id).await.name, "olt-one");
    for shown in [format!("{good:?}"), serde_json::to_string(&good).expect("json")] {
        assert!(!shown.contains("Kestrel"), "{shown}");
    }
    bed.hides(&[OLT_PASSWORD, COMMUNITY, "wrong-Osprey-1"]).await;
}

async fn the_host_key_of_an_olt_is_pinned(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let sim = sim_olt(bed, OltProtocol::Ssh, None).await;
    let (input, place) = (olt_input("olt-1", &sim), sim.ssh_addr().expect("it listens"));
    let id = node.app.add_olt(&admin(), input).await.expect("an OLT");
    assert!(tried(&node, id).await.ok);
    let pin = eventually("the key is pinned", || async { olt_row(&node, id).await.host_key_pin }).await;
    sim.stop().await;
    node.kill();
    // Another box answers there: a new key, and nobody logs in to it.
    let other = sim_olt(bed, OltProtocol::Ssh, Some(place)).await;
    let node = Node::start(bed, "node-2").await;
    let test = tried(&node, id).await;
    assert!(!test.ok && test.text.contains("host key"), "{test:?}");
    assert_eq!(other.handle().record().tally().lines, 0, "it learned nothing");
    assert_eq!(olt_row(&node, id).await.host_key_pin.as_ref(), Some(&pin));
    let log = store::users::audit_page(node.app.store(), None, 50).await.expect("readable");
    let trusted: Vec<_> = log.iter().filter(|line| line.action == "olt.trust_host_key").collect();
    assert_eq!(trusted.len(), 1, "trusted once, and recorded in the same commit");
    assert_eq!((trusted[0].actor.as_str(), trusted[0].subject.clone()), ("system:oms", format!("olt:{id}")));
    assert_eq!(trusted[0].after.as_ref().map(|after| &after["host_key"]), Some(&serde_json::json!(pin)));
    let refused = node.app.forget_host_key(&person("sami", Role::Support), id).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    // Somebody made sure why.
    node.run(move |app| async move { app.forget_host_key(&admin(), id).await }).await.expect("forgotten");
    assert!(tried(&node, id).await.ok);
    let new = eventually("the new key is pinned", || async { olt_row(&node, id).await.host_key_pin }).await;
    assert_ne!(new, pin);
}

/// A customer's service that waits for this ONU.
async fn customer(node: &Node, serial: Serial) -> types::ServiceId {
    node.run(move |app| async move {
        world::with_policy(&app).await;
        world::service(&app, "user@isp", Some(serial)).await
    })
    .await
}

async fn a_dry_run_shows_what_is_sent_and_sends_nothing(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = customer(&node, serial()).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let order = request(olt, serial());
    let dry = node
        .run(move |app| async move { app.dry_run_authorise(&admin(), &order).await })
        .await
        .expect("the OLT answers");
    assert!(dry.allowed(), "{:?}", dry.checks);
    assert!(changes(&sim).is_empty(), "{:?}", changes(&sim));
    assert!(dry.checks.iter().any(|check| check.text.contains("S-10001")), "{:?}", dry.checks);
    let lines: Vec<&str> = dry.lines.iter().filter(|l| l.kind == "add").map(|l| l.text.as_str()).collect();
    assert!(lines.iter().any(|line| line.starts_with("ont add")), "{lines:?}");
    let shown: Vec<&str> = dry.lines.iter().filter(|l| l.kind != "read").map(|l| l.text.as_str()).collect();
    assert_eq!(shown.first(), Some(&"interface gpon 0/1"), "{:?}", dry.lines);
    // The database has not moved either.
    assert_eq!(waiting(&node).await, [(serial(), DetectedState::Waiting)]);
    let tasks = node.run(move |app| async move { tasks::for_serial(app.store(), serial(), 5).await }).await;
    assert_eq!(tasks.expect("readable"), []);
    let technician = person("vera", Role::Viewer);
    let order = request(olt, serial());
    let refused = node.run(move |app| async move { app.dry_run_authorise(&technician, &order).await }).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");

    // And now in earnest: exactly these lines.
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let told =
        node.run(move |app| async move { tasks::lines(app.store(), task).await }).await.expect("lines");
    let sent: Vec<&str> = told.iter().map(|line| line.line.as_str()).collect();
    assert_eq!(sent.get(..shown.len()), Some(&shown[..]), "shown and sent, line by line: {sent:?}");
    assert!(world::service_row(&node.app, service).await.onu_id.is_some());
}

async fn an_onu_is_authorised_from_light_to_an_expected_cpe(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = customer(&node, serial()).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let row = olt_row(&node, olt).await;
    assert_eq!(row.observed_state, OltObservedState::Answering);
    assert_eq!(row.observed["product"], "MA5800-X7");
    let mut bus = node.app.bus().subscribe();
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    assert_eq!(waiting(&node).await, [(serial(), DetectedState::Authorising)]);
    node.work();
    let row = ends_as(&node, task, OltTaskState::Done).await;
    assert!(row.reason.contains("read back"), "{}", row.reason);
    // OLT and database agree.
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("readable").expect("an ONU");
    let state = sim.handle().state();
    let onts = &state.config.onts[&PON];
    let (place, ont) = onts.iter().find(|(_, ont)| ont.serial == serial()).expect("registered on the box");
    assert_eq!(i64::from(*place), onu.onu_id);
    assert_eq!((onu.pon, onu.service_id), (PON, Some(service)));
    assert_eq!((ont.line_profile, ont.tr069_profile, ont.internet_by_omci), (10, Some(1), false));
    assert_eq!(onu.description, "S-10001 user@isp");
    assert_eq!(world::service_row(&node.app, service).await.onu_id, Some(onu.id));
    assert_eq!(waiting(&node).await, [(serial(), DetectedState::Authorised)]);
    let tally = sim.handle().record().tally().clone();
    assert_eq!((tally.ont_added.get(&serial()), tally.service_ports_added), (Some(&1), 2));
    // Its CPE is awaited, and no stranger in quarantine.
    let id = world::cpe_rows(&node.app).await[0].id;
    eventually("its machine is told", || async {
        (!world::told(&node.app, id, "onu_known").await.is_empty()).then_some(())
    })
    .await;
    let cpe = world::cpe_row(&node.app, id).await;
    assert_eq!(
        (cpe.state.as_str(), cpe.service_id, cpe.pon_serial),
        ("DISCOVERED", Some(service), Some(serial()))
    );
    assert!(!cpe.quarantine, "it is announced, not strange");
    assert_eq!(world::service_row(&node.app, service).await.state, ServiceState::Reserved);
    let mut said: Vec<_> = std::iter::from_fn(|| bus.try_recv().ok()).collect();
    assert!(said.contains(&app::Change::Task(task)));
    // It is there once.
    let again = authorise(&node, request(olt, serial())).await;
    assert!(
        matches!(&again, Err(AppError::Conflict(text)) if text.contains("authorised already")),
        "{again:?}"
    );
    read(&node).await;
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("readable").expect("an ONU");
    assert_eq!(onu.presence, Presence::InService);
    said.extend(std::iter::from_fn(|| bus.try_recv().ok()));
    assert!(said.contains(&app::Change::Onu(onu.id)), "pages hear that it came up: {said:?}");
    bed.hides(&[OLT_PASSWORD, COMMUNITY]).await;
}

async fn two_people_who_authorise_one_onu_at_once_make_one_task(bed: &Bed) {
    let (one, two) = (Node::start(bed, "node-1").await, Node::start(bed, "node-2").await);
    let (sim, olt) = known_olt(bed, &one, "olt-1").await;
    detected(&one, &sim, serial()).await;
    let orders = (0..6).map(|n| authorise(if n % 2 == 0 { &one } else { &two }, request(olt, serial())));
    let orders = futures::future::join_all(orders).await;
    let (won, lost): (Vec<_>, Vec<_>) = orders.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{won:?} {lost:?}");
    for order in lost {
        assert!(matches!(&order, Err(AppError::Conflict(text)) if text.contains("right now")), "{order:?}");
    }
    one.work();
    two.work();
    ends_as(&one, won.into_iter().next().expect("one").expect("ordered"), OltTaskState::Done).await;
    assert_eq!(sim.handle().record().tally().ont_added.get(&serial()), Some(&1));
}

async fn two_olts_do_not_authorise_one_onu(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (here, olt) = known_olt(bed, &node, "olt-1").await;
    let (_there, other) = known_olt(bed, &node, "olt-2").await;
    detected(&node, &here, serial()).await;
    authorise(&node, request(olt, serial())).await.expect("ordered");
    let refused = authorise(&node, request(other, serial())).await;
    assert!(matches!(&refused, Err(AppError::Conflict(text)) if text.contains("right now")), "{refused:?}");
}

async fn a_service_gets_one_onu_at_a_time(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = customer(&node, serial()).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let other = world::serial("HWTC00000042");
    detected(&node, &sim, serial()).await;
    detected(&node, &sim, other).await;
    let order = |serial| {
        let mut order = request(olt, serial);
        order.service = app::AuthoriseFor::Service(service);
        order
    };
    let task = authorise(&node, order(other)).await.expect("picked by hand");
    let refused = authorise(&node, order(serial())).await.expect_err("the service is being connected");
    assert!(refused.to_string().contains("00000042"), "{refused}");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let refused = authorise(&node, order(serial())).await.expect_err("the service is connected");
    assert!(refused.to_string().contains("is on ONU HWTC-00000042 already"), "{refused}");
    assert_eq!(sim.handle().record().tally().ont_added.len(), 1);
}

async fn what_is_refused_is_refused_before_anything_is_sent(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let mut input = olt_input("olt-1", &sim);
    input.defaults.line_profile_id = 99;
    changed(&node, olt, input).await.expect("changed");
    let order = request(olt, serial());
    let dry = node.run(move |app| async move { app.dry_run_authorise(&admin(), &order).await }).await;
    let dry = dry.expect("the OLT answers");
    assert!(!dry.allowed() && dry.lines.is_empty(), "{dry:?}");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    let row = ends_as(&node, task, OltTaskState::Refused).await;
    assert!(row.reason.starts_with("Nothing was sent") && row.reason.contains("99"), "{}", row.reason);
    assert!(changes(&sim).is_empty(), "{:?}", changes(&sim));
    assert_eq!(waiting(&node).await, [(serial(), DetectedState::Waiting)]);
    assert_eq!(onus::by_serial(node.app.store(), serial()).await.expect("readable"), None);
    // With the profile put right it goes.
    changed(&node, olt, olt_input("olt-1", &sim)).await.expect("changed");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
}

/// Everything about an ONU that people decide.
fn desired(onu: &rows::Onu) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        onu.description.clone(),
        onu.admin_state,
        onu.service_id,
        onu.desired.clone(),
        onu.line_profile_id,
        onu.version,
    )
}

async fn what_the_olt_sees_reaches_the_cpe_and_changes_no_wish(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    customer(&node, serial()).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    read(&node).await;
    let onu = async || onus::by_serial(node.app.store(), serial()).await.expect("readable").expect("an ONU");
    let (before, row) = (onu().await, olt_row(&node, olt).await);
    assert_eq!(before.presence, Presence::InService);
    let cpe = world::cpe_rows(&node.app).await[0].id;
    let told = async |code| world::told(&node.app, cpe, code).await.len();
    assert_eq!((told("onu_flapped").await, told("onu_offline").await), (0, 0), "first light is no flap");
    bed.advance_s(30);
    sim.handle().power(serial(), false);
    read(&node).await;
    assert_eq!(onu().await.presence, Presence::NotPresent);
    assert_eq!(world::told(&node.app, cpe, "onu_offline").await.len(), 1);
    read(&node).await;
    assert_eq!(world::told(&node.app, cpe, "onu_offline").await.len(), 1, "told once");
    bed.advance_s(30);
    sim.handle().power(serial(), true);
    sim.handle().tick();
    read(&node).await;
    let after = onu().await;
    assert_eq!(after.presence, Presence::InService);
    assert_eq!(world::told(&node.app, cpe, "onu_flapped").await.len(), 1);
    // While the OLT restarts everybody leaves and comes back, and that is nothing about the line.
    bed.advance_s(600);
    read(&node).await;
    bed.advance_s(5);
    sim.handle().power(serial(), false);
    sim.handle().restart(true);
    bed.advance_s(600);
    read(&node).await;
    assert_eq!(onu().await.presence, Presence::NotPresent);
    sim.handle().power(serial(), true);
    sim.handle().tick();
    bed.advance_s(30);
    read(&node).await;
    assert_eq!(onu().await.presence, Presence::InService);
    assert_eq!((told("onu_flapped").await, told("onu_offline").await), (1, 2));
    let restarts = world::timeline(&node.app).await;
    assert_eq!(
        restarts.iter().filter(|entry| entry.code == "olt_restarted").count(),
        1,
        "and it is said once"
    );
    assert!(after.observed_at > before.observed_at);
    assert_eq!(desired(&after), desired(&before));
    let now = olt_row(&node, olt).await;
    assert_eq!((now.version, now.defaults, now.admin_state), (row.version, row.defaults, row.admin_state));
    // Light without power is not lost for ever: somebody else's unit is gone from the list when it is gone.
    let stranger = world::serial("HWTC00000042");
    sim.handle().plug(sim::olt::Onu::new(stranger, "EG8145V5"), PON);
    read(&node).await;
    assert!(waiting(&node).await.contains(&(stranger, DetectedState::Waiting)));
    sim.handle().unplug(stranger);
    bed.advance_s(30);
    read(&node).await;
    assert!(waiting(&node).await.contains(&(stranger, DetectedState::Gone)), "{:?}", waiting(&node).await);
}

async fn an_onu_that_somebody_took_off_the_olt_is_authorised_again_in_its_row(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = customer(&node, serial()).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let onu = async || onus::by_serial(node.app.store(), serial()).await.expect("readable").expect("an ONU");
    let before = onu().await;
    let refused = authorise(&node, request(olt, serial())).await.expect_err("it is there");
    assert!(refused.to_string().contains("authorised already"), "{refused}");
    sim.handle().configure(|config| {
        config.service_ports.clear();
        config.onts.values_mut().for_each(|onts| onts.clear());
    });
    sim.handle().tick();
    bed.advance_s(30);
    read(&node).await;
    assert!(onu().await.is_off_its_olt(), "{:?}", onu().await);
    assert!(waiting(&node).await.contains(&(serial(), DetectedState::Waiting)), "{:?}", waiting(&node).await);
    let page = store::read::Page::first(10);
    let filter = store::read::DetectedFilter::default();
    let store = node.app.store();
    let seen = store.read().detected_onus(&filter, &Default::default(), page).await.expect("readable");
    assert_eq!(seen.rows.iter().map(|row| row.onu_is_off).collect::<Vec<_>>(), [true]);
    let task = authorise(&node, request(olt, serial())).await.expect("ordered again");
    ends_as(&node, task, OltTaskState::Done).await;
    let after = onu().await;
    assert_eq!((after.id, after.service_id), (before.id, Some(service)), "no second row");
    assert!(!after.is_off_its_olt());
    assert!(sim.handle().state().config.onts[&PON].values().any(|ont| ont.serial == serial()));
    assert_eq!(bed.number("SELECT COUNT(*) FROM onus").await, 1);
}

/// Where somebody takes ONUs off by hand a port would be full one day, of ids that nobody has.
async fn the_id_of_an_onu_that_is_off_its_olt_is_free_for_another(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let onu = async |serial| onus::by_serial(node.app.store(), serial).await.expect("readable");
    let gone = onu(serial()).await.expect("an ONU");
    sim.handle().configure(|config| {
        config.service_ports.clear();
        config.onts.values_mut().for_each(|onts| onts.clear());
    });
    sim.handle().unplug(serial());
    bed.advance_s(30);
    read(&node).await;
    assert!(onu(serial()).await.expect("known still").is_off_its_olt());
    let other = world::serial("HWTC00000042");
    detected(&node, &sim, other).await;
    let task = authorise(&node, request(olt, other)).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    let came = onu(other).await.expect("an ONU");
    assert_eq!((came.pon, came.onu_id), (gone.pon, gone.onu_id));
    assert!(onu(serial()).await.is_none(), "its place is another's");
}

async fn the_light_is_read_with_its_own_time(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    read(&node).await;
    let onu = async || onus::by_serial(node.app.store(), serial()).await.expect("readable").expect("an ONU");
    let look =
        async || node.run(|app| async move { app.read_light().await }).await.expect("the database works");
    let asked = || {
        let record = sim.handle().record();
        record.entries().filter(|entry| entry.line.starts_with("display ont optical-info")).count()
    };
    let light = eventually("it is read by itself or now", || async {
        look().await;
        let light = onu().await.observed["light"].clone();
        light["read_at"].is_i64().then_some(light)
    })
    .await;
    let real = sim.handle().state().plant.onus[&serial()].optics;
    assert_eq!(onu().await.rx_olt_cdbm, Some(i64::from(real.olt_rx_power_cdbm)));
    assert_eq!(light["rx_olt_cdbm"], real.olt_rx_power_cdbm);
    assert_eq!(
        (&light["tx_onu_cdbm"], &light["temperature_c"]),
        (&real.tx_power_cdbm.into(), &real.temperature_c.into())
    );
    let (before, first) = (light["read_at"].as_i64(), asked());
    look().await;
    assert_eq!(asked(), first, "not again at once");
    // A reading of the states keeps it, and a table that cannot be read says why and keeps it too.
    let refusal = FaultKind::Refuse { text: "Failure: The system resources are insufficient".into() };
    sim.handle().inject(Fault::times("^display ont optical-info", 0, refusal)).expect("a pattern");
    bed.advance_s(601);
    read(&node).await;
    eventually("it is told why", || async {
        look().await;
        onu().await.observed["light"]["unread"]
            .as_str()
            .is_some_and(|why| why.contains("insufficient"))
            .then_some(())
    })
    .await;
    assert_eq!(onu().await.observed["light"]["read_at"].as_i64(), before, "what was read keeps its age");
    sim.handle().clear_faults();
    bed.advance_s(601);
    eventually("it is young again", || async {
        look().await;
        let light = onu().await.observed["light"].clone();
        let young = light["read_at"].as_i64() > before && light["unread"].is_null();
        // And how often it is read can be told.
        (young && light["before_at"].as_i64() == before).then_some(())
    })
    .await;
}

async fn the_configuration_is_saved_when_it_has_been_quiet(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(saves(&sim), 0, "not at every line");
    // The process dies before it could save; what is to be saved is known all the same.
    node.kill();
    bed.advance_s(180);
    let node = Node::start(bed, "node-2").await;
    node.work();
    eventually("the configuration is saved", || async { (saves(&sim) > 0).then_some(()) }).await;
    eventually("it is noted", || async {
        let notes = store::settings::all(node.app.store()).await.expect("readable");
        notes.iter().any(|note| note.key.ends_with(".unsaved_since") && note.value.is_null()).then_some(())
    })
    .await;
    sim.handle().restart(false);
    let state = sim.handle().state();
    let onts = &state.config.onts[&PON];
    assert!(onts.values().any(|ont| ont.serial == serial()), "it survives a restart of the OLT");
}

fn saves(sim: &SimOlt) -> u64 {
    sim.handle().tick();
    sim.handle().record().tally().saves
}

on_both!(
    an_olt_is_added_tried_and_changed,
    the_host_key_of_an_olt_is_pinned,
    one_olt_is_read_now_and_what_came_of_it_is_true,
    a_dry_run_shows_what_is_sent_and_sends_nothing,
    an_onu_is_authorised_from_light_to_an_expected_cpe,
    two_people_who_authorise_one_onu_at_once_make_one_task,
    two_olts_do_not_authorise_one_onu,
    a_service_gets_one_onu_at_a_time,
    what_is_refused_is_refused_before_anything_is_sent,
    what_the_olt_sees_reaches_the_cpe_and_changes_no_wish,
    an_onu_that_somebody_took_off_the_olt_is_authorised_again_in_its_row,
    the_id_of_an_onu_that_is_off_its_olt_is_free_for_another,
    the_light_is_read_with_its_own_time,
    the_configuration_is_saved_when_it_has_been_quiet,
);
