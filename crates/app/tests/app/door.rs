//! Who may come in, as whom, and what is told to them.

use crate::support::{
    bed::Bed,
    cpe::{
        INSIDE, OUTSIDE, SimCpe, Visit, accepted, anonymous, first_request, inform, peer, told_nothing,
        until_state,
    },
    world::{
        self, Calls, PASSPHRASE, PPPOE_PASSWORD, admin, cpe_row, cpe_rows, customer_with_onu, olt_says,
        service_row, told, with_policy,
    },
};
use app::{
    App, AppError,
    ports::{AuthLevel, Begin, CpeFrontDoor, Identity, Next, SessionEnd},
};
use provisioning::{Device, Link};
use sim::cpe::Quirks;
use store::{Presence, ServiceState, Slot, StoreError, rows, services};
use types::{OnuRowId, Serial, ServiceId};

const SERIAL: &str = "HWTC7D4733C3";

fn serial() -> Serial {
    world::serial(SERIAL)
}

fn machine(row: &rows::Cpe) -> Device {
    row.machine.read().expect("a device")
}

fn proven(cpe: types::CpeId) -> Identity {
    Identity { level: AuthLevel::Own, username: Some("its own".to_owned()), cpe: Some(cpe) }
}

/// A simulated device on its way, ACTIVE when this returns.
async fn active(bed: &Bed, app: &App, calls: &Calls) -> (SimCpe, types::CpeId, ServiceId, OnuRowId) {
    let (service, onu) = customer_with_onu(app, "user@isp", serial()).await;
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    until_state(bed, app, calls, &mut cpe, "ACTIVE").await;
    let id = cpe_rows(app).await.first().expect("a row").id;
    olt_says(app, onu, Presence::InService).await;
    (cpe, id, service, onu)
}

async fn an_unknown_device_gets_a_row_in_quarantine_and_nothing_else(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    with_policy(&app).await;
    let id =
        told_nothing(&app, inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.state.as_str(), row.quarantine, row.service_id), ("INFORMED", true, None));
    assert_eq!(row.reason_code, "not_linked");
    assert!(row.reason_text.contains("no ONU and no service has the serial number"), "{}", row.reason_text);
    assert_eq!((row.pon_serial, row.claimed_serial), (None, Some(serial())), "its own word only");
    assert_eq!(app.store().secret(Slot::CpeCredentials(id)).await.expect("readable"), None);
    // It comes again: still one row, still nothing.
    bed.advance_s(60);
    assert_eq!(told_nothing(&app, inform(serial(), &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await, id);
    assert_eq!(cpe_rows(&app).await.len(), 1);
}

async fn the_first_contact_that_the_olt_confirms_becomes_ours(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id, service, _) = active(bed, &app, &calls).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.quarantine, row.service_id), (false, Some(service)));
    let device = machine(&row);
    assert!(device.ownership.confirmed_at.is_some() && device.ownership.proven_at.is_some());
    assert!(row.auth_username.as_deref().is_some_and(|name| name.starts_with(&format!("lk{id}-"))));
    let row = service_row(&app, service).await;
    assert_eq!((row.state, row.cpe_id), (ServiceState::Active, Some(id)));
    // The device itself says what it holds.
    let record = cpe.record();
    assert_eq!(record.duplicate_wans(), Vec::<String>::new());
    assert_eq!(record.wans.len(), 1, "{:?}", record.wans);
    // Nothing more is written to a device that is as it should be.
    let asked = cpe.asked.len();
    let mut answered = calls.made().len();
    for _ in 0..25 {
        crate::support::cpe::pass(bed, &app, &calls, &mut answered, &mut cpe).await;
    }
    let later = &cpe.asked[asked..];
    assert!(later.iter().all(|line| !line.starts_with("set") && !line.starts_with("add")), "{later:?}");
    assert!(cpe.record().tally.sessions > record.tally.sessions, "it came back in the meantime");
}

async fn without_the_word_of_the_olt_nothing_is_told(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::NotPresent).await;
    let id =
        told_nothing(&app, inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.state.as_str(), row.reason_code.as_str()), ("INFORMED", "identity_unconfirmed"));
    assert_eq!((row.service_id, row.quarantine), (None, true), "a serial number alone is nobody's customer");
    assert_eq!(service_row(&app, service).await.cpe_id, None);
    // From the management network, but the OLT's word is old.
    olt_says(&app, onu, Presence::InService).await;
    bed.advance_s(app.policy().olt_word_valid_s + 1);
    told_nothing(&app, inform(serial(), &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await;
    // The OLT speaks again: now it is asked.
    olt_says(&app, onu, Presence::InService).await;
    let mut session = accepted(app.begin(inform(serial(), &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await);
    assert!(first_request(&mut session).await.is_some());
}

async fn a_guessed_serial_from_outside_changes_nothing_about_a_first_contact(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::NotPresent).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    let before = cpe_row(&app, id).await;
    olt_says(&app, onu, Presence::InService).await;
    for events in [&["0 BOOTSTRAP", "1 BOOT"][..], &["2 PERIODIC"], &["2 PERIODIC"]] {
        let mut lie = inform(serial(), events, OUTSIDE);
        lie.manufacturer = "Liar".to_owned();
        match app.begin(lie, anonymous(OUTSIDE)).await {
            Begin::Refused { .. } | Begin::Challenge => {}
            other => panic!("it should have been turned away: {other:?}"),
        }
        bed.advance_s(5);
    }
    assert_eq!(cpe_row(&app, id).await, before, "not a letter of the real one has changed");
    assert_eq!(service_row(&app, service).await.cpe_id, None);
    let reports = told(&app, id, "identity_unproven").await;
    assert_eq!(reports.len(), 1, "told once, not at every try: {reports:?}");
    assert!(reports[0].text.contains(OUTSIDE), "{}", reports[0].text);
    // The real one is served.
    let mut session = accepted(app.begin(inform(serial(), &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await);
    assert!(first_request(&mut session).await.is_some());
}

async fn a_guessed_serial_that_comes_first_does_not_keep_the_real_one_out(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], OUTSIDE), anonymous(OUTSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.state.as_str(), row.reason_code.as_str()), ("INFORMED", "identity_unconfirmed"));
    let mut session =
        accepted(app.begin(inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await);
    assert_eq!(session.cpe(), id);
    assert!(first_request(&mut session).await.is_some());
    let row = cpe_row(&app, id).await;
    assert_eq!((row.peer_address.as_str(), row.service_id), (INSIDE, Some(service)));
}

async fn a_guessed_serial_between_writing_the_secret_and_its_proof_changes_nothing(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    customer_with_onu(&app, "user@isp", serial()).await;
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    bed.advance_s(10);
    cpe.tick(app.now());
    // Our management settings go out; that it has them it shows at its next Inform.
    assert!(matches!(cpe.visit(&app, app.now()).await, Visit::Spoke(1..)));
    let id = cpe_rows(&app).await.first().expect("a row").id;
    let before = cpe_row(&app, id).await;
    assert!(
        machine(&before).ownership.written_at.is_some() && machine(&before).ownership.proven_at.is_none()
    );
    for _ in 0..3 {
        match app.begin(inform(serial(), &["0 BOOTSTRAP"], OUTSIDE), anonymous(OUTSIDE)).await {
            Begin::Refused { .. } | Begin::Challenge => {}
            other => panic!("it should have been turned away: {other:?}"),
        }
    }
    assert_eq!(cpe_row(&app, id).await, before);
    // The real one shows what it was given and goes on.
    bed.advance_s(90);
    cpe.tick(app.now());
    assert!(cpe.wants_session(app.now()));
    assert!(matches!(cpe.visit(&app, app.now()).await, Visit::Spoke(_)));
    assert!(machine(&cpe_row(&app, id).await).ownership.proven_at.is_some());
}

async fn an_owned_device_must_show_its_own_secret(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id, _, _) = active(bed, &app, &calls).await;
    let before = cpe_row(&app, id).await;
    let spoken = |address| inform_as(&before, &["2 PERIODIC"], address);
    // Without anything, again and again, from inside and outside: challenged, and nothing changes.
    for address in [INSIDE, OUTSIDE, INSIDE, OUTSIDE] {
        let begin = app.begin(spoken(address), anonymous(address)).await;
        assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    }
    // With a name and no proof: reported.
    let wrong = Identity { level: AuthLevel::Anonymous, username: before.auth_username.clone(), cpe: None };
    let begin = app.begin(spoken(OUTSIDE), peer(OUTSIDE, wrong)).await;
    assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    assert_eq!(cpe_row(&app, id).await, before);
    let reports = told(&app, id, "identity_unproven").await;
    assert!(reports.iter().any(|entry| entry.text.contains(OUTSIDE)), "{reports:?}");
    // The shared credentials of the OLT's profile prove nothing about this device.
    let shared =
        Identity { level: AuthLevel::Bootstrap, username: Some("lightkeeper".to_owned()), cpe: None };
    let begin = app.begin(spoken(INSIDE), peer(INSIDE, shared)).await;
    assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    let mut session = accepted(app.begin(spoken(INSIDE), peer(INSIDE, proven(id))).await);
    assert!(first_request(&mut session).await.is_none(), "it is as it should be");
}

/// An Inform that carries the identity of this row.
fn inform_as(row: &rows::Cpe, events: &[&str], address: &str) -> app::ports::InformFacts {
    let mut facts = inform(serial(), events, address);
    facts.oui = row.oui.clone();
    facts.product_class = row.product_class.clone();
    facts.serial_number = row.serial_number.clone();
    facts
}

async fn credentials_are_found_by_name_and_only_there(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (cpe, id, _, _) = active(bed, &app, &calls).await;
    let (name, password) = cpe.cell.device().acs_login().expect("it was given a login");
    let found = app.credentials_for(&name).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].level, found[0].cpe), (AuthLevel::Own, Some(id)));
    assert_eq!(found[0].secret.expose(), password);
    for nobody in ["", "lightkeeper", "LK1-", "' OR 1=1 --", &name[..name.len() - 1]] {
        assert!(app.credentials_for(nobody).await.is_empty(), "{nobody:?}");
    }
    let shared = types::Secret::new("first-contact-0815");
    app.set_acs_policy(&admin(), world::policy(), Some(shared)).await.expect("acceptable");
    let found = app.credentials_for("lightkeeper").await;
    assert_eq!((found.len(), found[0].level, found[0].cpe), (1, AuthLevel::Bootstrap, None));
    bed.hides(&[&password, "first-contact-0815", PPPOE_PASSWORD, PASSPHRASE]).await;
}

async fn the_credentials_of_another_device_are_refused_and_reported(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let victim = told_nothing(&app, inform(serial(), &["2 PERIODIC"], OUTSIDE), anonymous(OUTSIDE)).await;
    let other = world::serial("HWTC11112222");
    let thief = told_nothing(&app, inform(other, &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await;
    let before = (cpe_row(&app, victim).await, service_row(&app, service).await);
    let begin = app.begin(inform(serial(), &["0 BOOTSTRAP"], INSIDE), peer(INSIDE, proven(thief))).await;
    let Begin::Refused { reason } = begin else { panic!("it should be refused: {begin:?}") };
    assert!(reason.contains(&format!("CPE {thief}")), "{reason}");
    assert_eq!((cpe_row(&app, victim).await, service_row(&app, service).await), before);
    let reports = told(&app, victim, "identity_conflict").await;
    assert_eq!((reports.len(), reports[0].severity), (1, store::Severity::Bad));
}

async fn a_factory_reset_that_the_olt_vouches_for_is_a_first_contact(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id, _, onu) = active(bed, &app, &calls).await;
    let before = cpe_row(&app, id).await;
    // The OLT does not see it: whoever says so is a stranger.
    olt_says(&app, onu, Presence::NotPresent).await;
    for _ in 0..3 {
        let begin = app.begin(inform_as(&before, &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
        assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    }
    // It does, but the word comes from elsewhere.
    olt_says(&app, onu, Presence::InService).await;
    for _ in 0..3 {
        let begin = app.begin(inform_as(&before, &["0 BOOTSTRAP"], OUTSIDE), anonymous(OUTSIDE)).await;
        assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    }
    assert_eq!(cpe_row(&app, id).await, before);
    cpe.factory_reset(app.now());
    bed.advance_s(20);
    olt_says(&app, onu, Presence::InService).await;
    let asked = cpe.asked.len();
    let mut answered = calls.made().len();
    let mut seen_informed = false;
    for _ in 0..600 {
        olt_says(&app, onu, Presence::InService).await;
        crate::support::cpe::pass(bed, &app, &calls, &mut answered, &mut cpe).await;
        let row = cpe_row(&app, id).await;
        seen_informed |= row.state != "ACTIVE";
        if seen_informed && row.state == "ACTIVE" {
            break;
        }
    }
    let row = cpe_row(&app, id).await;
    assert!(seen_informed && row.state == "ACTIVE", "{} {}", row.state, row.reason_text);
    assert!(cpe.asked[asked..].iter().any(|line| line.starts_with("set")), "everything was written again");
    assert_eq!(cpe.record().duplicate_wans(), Vec::<String>::new());
    assert_eq!(cpe_rows(&app).await.len(), 1);
}

async fn a_full_quarantine_says_busy_to_strangers_only(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (_, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let mut policy = world::policy();
    policy.quarantine_limit = 2;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    for number in 0..2 {
        let stranger = world::serial(&format!("HWTC0000000{number}"));
        told_nothing(&app, inform(stranger, &["1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    }
    let third = world::serial("HWTC00000009");
    let begin = app.begin(inform(third, &["1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    assert!(matches!(begin, Begin::Busy { retry_after_s: 1.. }), "{begin:?}");
    assert_eq!(cpe_rows(&app).await.len(), 2);
    // Who is known is heard as ever.
    told_nothing(&app, inform(world::serial("HWTC00000000"), &["2 PERIODIC"], INSIDE), anonymous(INSIDE))
        .await;
    // A device of a customer is no stranger.
    accepted(app.begin(inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await);
}

async fn ids_that_no_device_has_are_refused(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    with_policy(&app).await;
    let good = inform(serial(), &["1 BOOT"], INSIDE);
    let mut bad = vec![good.clone(); 5];
    bad[0].serial_number = "A".repeat(65);
    bad[1].oui = "A".repeat(65);
    bad[2].product_class = "a\u{0}b".to_owned();
    bad[3].serial_number = "HWTC\n7D4733C3".to_owned();
    bad[4].serial_number = "  ".to_owned();
    for facts in bad {
        let begin = app.begin(facts.clone(), anonymous(INSIDE)).await;
        let Begin::Refused { reason } = begin else { panic!("{:?} came in: {begin:?}", facts.serial_number) };
        assert!(reason.starts_with("DeviceId."), "{reason}");
    }
    assert_eq!(cpe_rows(&app).await.len(), 0);
    let mut long = good;
    long.serial_number = "A".repeat(64);
    told_nothing(&app, long, anonymous(INSIDE)).await;
}

/// The row that an authorisation makes for a CPE that has not spoken yet.
async fn placeholder(app: &App, service: ServiceId, serial: Serial) -> types::CpeId {
    let row = rows::Cpe {
        serial_number: serial.hex16(),
        pon_serial: Some(serial),
        state: "DISCOVERED".to_owned(),
        created_at: app.now(),
        ..Default::default()
    };
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                let id = tx.insert(&row).await?;
                services::link_cpe(tx, service, Some(id)).await?;
                Ok::<_, StoreError>(id)
            })
        })
        .await
        .expect("a row")
}

async fn the_announced_device_takes_its_place(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let expected = placeholder(&app, service, serial()).await;
    // A stranger who guesses the serial number does not become it.
    let stranger = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], OUTSIDE), anonymous(OUTSIDE)).await;
    assert_ne!(stranger, expected);
    assert_eq!(service_row(&app, service).await.cpe_id, Some(expected), "the place is kept");
    assert_eq!(cpe_row(&app, stranger).await.service_id, None);
    let mut other = inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE);
    other.product_class = "HG8546M".to_owned();
    let mut session = accepted(app.begin(other, anonymous(INSIDE)).await);
    assert_eq!(session.cpe(), expected);
    assert!(first_request(&mut session).await.is_some());
    let row = cpe_row(&app, expected).await;
    assert_eq!((row.product_class.as_str(), row.oui.as_str()), ("HG8546M", "00259E"));
    assert_eq!((row.service_id, row.quarantine), (Some(service), false));
}

async fn a_device_that_was_known_before_replaces_the_announced_one(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, _) = customer_with_onu(&app, "user@isp", world::serial("HWTC00000001")).await;
    // It spoke before anybody planned it.
    let known = told_nothing(&app, inform(serial(), &["1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    let later = world::service(&app, "later@isp", Some(serial())).await;
    let olt = world::quiet_olt(&app, "olt-later").await;
    world::onu(&app, olt, serial(), Some(later)).await;
    let expected = placeholder(&app, later, serial()).await;
    let mut session = accepted(app.begin(inform(serial(), &["2 PERIODIC"], INSIDE), anonymous(INSIDE)).await);
    assert_eq!(session.cpe(), known);
    assert!(first_request(&mut session).await.is_some());
    assert_eq!(app.store().get::<rows::Cpe>(expected).await.expect("readable"), None, "nobody is announced");
    assert_eq!(service_row(&app, later).await.cpe_id, Some(known));
    assert_eq!(service_row(&app, service).await.cpe_id, None);
}

async fn a_second_device_for_one_service_is_reported_and_changes_nothing(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, first, service, _) = active(bed, &app, &calls).await;
    let before = (cpe_row(&app, first).await, service_row(&app, service).await);
    let mut twin = inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE);
    twin.product_class = "HG8245Q2".to_owned();
    let second = told_nothing(&app, twin, anonymous(INSIDE)).await;
    assert_ne!(first, second);
    let row = cpe_row(&app, second).await;
    assert_eq!((row.reason_code.as_str(), row.quarantine, row.service_id), ("identity_conflict", true, None));
    assert!(row.reason_text.contains(&before.0.serial_number), "{}", row.reason_text);
    assert!(!told(&app, second, "identity_conflict").await.is_empty());
    assert_eq!((cpe_row(&app, first).await, service_row(&app, service).await), before);
    // The one who looks at the service reads of it there: which device, from where.
    let lines = told(&app, first, "second_device").await;
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    assert_eq!((line.service_id, line.severity), (Some(service), store::Severity::Warn));
    for fact in ["HG8245Q2", &serial().hex16(), INSIDE, &format!("CPE {second}")] {
        assert!(line.text.contains(fact), "{fact}: {}", line.text);
    }
    // Once a day, however often it comes.
    let comes = |class: &str| {
        let mut twin = inform(serial(), &["2 PERIODIC"], INSIDE);
        twin.product_class = class.to_owned();
        told_nothing(&app, twin, anonymous(INSIDE))
    };
    for _ in 0..5 {
        bed.advance_s(3600);
        assert_eq!(comes("HG8245Q2").await, second);
    }
    assert_eq!(told(&app, first, "second_device").await.len(), 1);
    bed.advance_s(24 * 3600);
    comes("HG8245Q2").await;
    assert_eq!(told(&app, first, "second_device").await.len(), 2);
    // Nor do made up names fill anything.
    for n in 0..8 {
        comes(&format!("MADE-UP-{n}")).await;
    }
    assert_eq!(told(&app, first, "second_device").await.len(), 6, "five a day");
}

async fn an_operator_chooses_one_of_the_wans_that_were_found(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id, _, _) = active(bed, &app, &calls).await;
    let nobody_asks = app.choose_wan(&admin(), id, "InternetGatewayDevice.WANDevice.1.").await;
    assert!(
        matches!(&nobody_asks, Err(AppError::Conflict(why)) if why.contains("no question open")),
        "{nobody_asks:?}"
    );
    let mut row = cpe_row(&app, id).await;
    let mut device = machine(&row);
    let wan = |n: u32| provisioning::WanCandidate {
        path: format!("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{n}.WANPPPConnection.1."),
        name: format!("{n}_INTERNET_R_VID_200"),
        vlan: Some(200),
        kind: "IP_Routed".to_owned(),
        enabled: true,
        status: "Connected".to_owned(),
    };
    device.wan_question =
        Some(provisioning::WanQuestion { read_at: app.now(), candidates: vec![wan(2), wan(3)] });
    row.machine = serde_json::to_value(&device).expect("json").into();
    let stored: Result<_, StoreError> =
        app.store().write(move |tx| Box::pin(async move { tx.update(&row).await })).await;
    assert!(stored.expect("stored").is_changed(), "the row is as it was read");
    // Only somebody who may operate CPEs, and only one of those that were found.
    let viewer = world::person("vera", app::Role::Viewer);
    assert!(matches!(app.choose_wan(&viewer, id, &wan(3).path).await, Err(AppError::Forbidden(_))));
    let other = app.choose_wan(&admin(), id, &wan(1).path).await;
    assert!(
        matches!(&other, Err(AppError::Conflict(why)) if why.contains("none of the 2 WANs")),
        "{other:?}"
    );
    app.choose_wan(&admin(), id, &wan(3).path).await.expect("chosen");
    let device = machine(&cpe_row(&app, id).await);
    let chosen = device.chosen_wan.expect("remembered");
    assert_eq!((chosen.path, chosen.by), (wan(3).path, admin().label()));
    let lines = told(&app, id, "wan_chosen").await;
    assert!(lines[0].text.contains(&format!("{} chose 3_INTERNET_R_VID_200", admin().label())), "{lines:?}");
    let orders = told(&app, id, "cpe_choose_wan").await;
    assert_eq!((orders.len(), orders[0].actor.as_str()), (1, admin().label().as_str()));
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'cpe.choose_wan'";
    assert_eq!(bed.number(audited).await, 1);
}

async fn two_services_with_one_serial_are_a_question_not_a_guess(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    customer_with_onu(&app, "user@isp", serial()).await;
    let other = world::service(&app, "other@isp", None).await;
    let serial_text = serial().hex16();
    bed.sql(&format!("UPDATE services SET expected_serial = '{serial_text}' WHERE id = {other}")).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.reason_code.as_str(), row.quarantine), ("several_services", true));
}

async fn an_operators_claim_counts_like_the_olts_word(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    with_policy(&app).await;
    let service = world::service(&app, "user@isp", None).await;
    let odd = "ZTEGQ-2019-0007";
    let mut facts = inform(serial(), &["1 BOOT"], INSIDE);
    facts.serial_number = odd.to_owned();
    let id = told_nothing(&app, facts.clone(), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert!(row.reason_text.contains("no PON serial number"), "{}", row.reason_text);
    app.claim_cpe(&admin(), id, service, None).await.expect("both are free");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    let link = machine(&cpe_row(&app, id).await).link;
    assert!(matches!(link, Some(Link::One { claimed_by: Some(by), .. }) if by == "nino"));
    // The claim is about the device the operator saw, not about whoever says the same name elsewhere, at once or later.
    let before = cpe_row(&app, id).await;
    for _ in 0..3 {
        match app.begin(facts.clone(), anonymous(OUTSIDE)).await {
            Begin::Refused { .. } | Begin::Challenge => {}
            other => panic!("it should have been turned away: {other:?}"),
        }
    }
    assert_eq!(cpe_row(&app, id).await, before);
    bed.advance_s(20 * 60);
    let before = cpe_row(&app, id).await;
    for events in [&["0 BOOTSTRAP"][..], &["2 PERIODIC"], &["0 BOOTSTRAP"]] {
        let mut lie = facts.clone();
        lie.events = inform(serial(), events, OUTSIDE).events;
        match app.begin(lie, anonymous(OUTSIDE)).await {
            Begin::Refused { .. } | Begin::Challenge => {}
            other => panic!("it should have been turned away: {other:?}"),
        }
    }
    assert_eq!(cpe_row(&app, id).await, before);
    let mut session = accepted(app.begin(facts, anonymous(INSIDE)).await);
    assert_eq!(session.cpe(), id);
    assert!(first_request(&mut session).await.is_some());
    // Neither is free any more.
    let elsewhere = world::service(&app, "other@isp", None).await;
    let error = app.claim_cpe(&admin(), id, elsewhere, None).await.expect_err("it belongs to a service");
    assert!(matches!(error, AppError::Conflict(_)), "{error}");
    let stranger =
        told_nothing(&app, inform(world::serial("HWTC00000009"), &["1 BOOT"], INSIDE), anonymous(INSIDE))
            .await;
    let error = app.claim_cpe(&admin(), stranger, service, None).await.expect_err("the service has a CPE");
    assert!(error.to_string().contains(odd), "{error}");
    let viewer = world::person("vera", app::Role::Viewer);
    let error = app.claim_cpe(&viewer, stranger, elsewhere, None).await.expect_err("may only look");
    assert!(matches!(error, AppError::Forbidden(_)), "{error}");
}

async fn an_operators_word_is_known_to_every_node_counts_once_and_not_for_long(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    with_policy(&app).await;
    let service = world::service(&app, "user@isp", None).await;
    let mut facts = inform(serial(), &["2 PERIODIC"], INSIDE);
    facts.serial_number = "ZTEGQ-2019-0007".to_owned();
    let id = told_nothing(&app, facts.clone(), anonymous(INSIDE)).await;
    let turned_away = async |app: &App| match app.begin(facts.clone(), anonymous(OUTSIDE)).await {
        Begin::Refused { .. } | Begin::Challenge => {}
        other => panic!("it should have been turned away: {other:?}"),
    };
    app.claim_cpe(&admin(), id, service, Some(INSIDE.parse().expect("an address")))
        .await
        .expect("both are free");
    turned_away(&app).await;
    // Every node knows what the first one told, a restarted one too; and what an operator says there counts here.
    let other = bed.app("node-2", &Calls::default()).await;
    let told = other.claimants_of(id).await.expect("reads");
    assert!(told.iter().any(|one| one.address == OUTSIDE), "{told:?}");
    let outside = Some(OUTSIDE.parse().expect("an address"));
    other.claim_cpe(&admin(), id, service, outside).await.expect("claimed again");
    bed.advance_s(15 * 60 + 1);
    turned_away(&app).await;
    other.claim_cpe(&admin(), id, service, outside).await.expect("claimed again");
    bed.advance_s(15 * 60 - 1);
    drop((app, other));
    let app = bed.app("node-3", &Calls::default()).await;
    let session = accepted(app.begin(facts.clone(), anonymous(OUTSIDE)).await);
    assert_eq!(session.cpe(), id);
    session.end(app::ports::SessionEnd::Clean).await;
    assert_eq!(cpe_row(&app, id).await.peer_address, OUTSIDE);
    // It is used up: where it was claimed first nobody is let in by it.
    match app.begin(facts.clone(), anonymous(INSIDE)).await {
        Begin::Refused { .. } | Begin::Challenge => {}
        other => panic!("it should have been turned away: {other:?}"),
    }
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'cpe.claim' AND after LIKE '%198.51.100%'";
    assert_eq!(bed.number(audited).await, 2);
}

async fn a_claim_ends_the_announcement_and_a_release_frees_the_service(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    let announced = placeholder(&app, service, serial()).await;
    let odd = |number: u32| {
        let mut facts = inform(serial(), &["1 BOOT"], INSIDE);
        facts.serial_number = format!("ZTEGQ-2019-{number:04}");
        facts
    };
    let first = told_nothing(&app, odd(1), anonymous(INSIDE)).await;
    let second = told_nothing(&app, odd(2), anonymous(INSIDE)).await;
    // Two operators at once: one of them is told who was quicker.
    let actor = admin();
    let (a, b) = tokio::join!(
        app.claim_cpe(&actor, first, service, None),
        app.claim_cpe(&actor, second, service, None)
    );
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1, "{a:?} {b:?}");
    let (has, has_not) = if a.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(service_row(&app, service).await.cpe_id, Some(has));
    assert_eq!(cpe_row(&app, has_not).await.service_id, None);
    assert_eq!(
        app.store().get::<rows::Cpe>(announced).await.expect("readable"),
        None,
        "nobody is awaited any more"
    );
    assert_eq!(bed.number("SELECT COUNT(*) FROM audit_log WHERE action = 'cpe.claim'").await, 1);
    let error = app.release_cpe(&admin(), has_not).await.expect_err("it has none");
    assert!(matches!(error, AppError::Conflict(_)), "{error}");
    app.release_cpe(&admin(), has).await.expect("released");
    assert_eq!(service_row(&app, service).await.cpe_id, None);
    let row = cpe_row(&app, has).await;
    assert_eq!((row.service_id, row.quarantine, row.state.as_str()), (None, true, "INFORMED"));
    told_nothing(&app, odd(if has == first { 1 } else { 2 }), anonymous(INSIDE)).await;
    app.claim_cpe(&admin(), has_not, service, None).await.expect("free now");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(has_not));
    assert_eq!(service_row(&app, service).await.onu_id, Some(onu), "the ONU is where it was");
}

async fn a_new_inform_makes_the_old_session_void(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    customer_with_onu(&app, "user@isp", serial()).await;
    let facts = inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE);
    let mut old = accepted(app.begin(facts.clone(), anonymous(INSIDE)).await);
    assert!(first_request(&mut old).await.is_some());
    let mut new = accepted(app.begin(facts, anonymous(INSIDE)).await);
    let id = new.cpe();
    let before = cpe_row(&app, id).await;
    // The old one says this and that: nothing of it counts.
    assert!(matches!(old.ready().await, Next::Done));
    let names = provisioning::DeviceReply::Names(Vec::new());
    assert!(matches!(old.reply(names).await, Next::Done));
    assert_eq!(cpe_row(&app, id).await, before);
    assert!(first_request(&mut new).await.is_some());
    // It ends late, after the new one began: the new one goes on.
    old.end(SessionEnd::Torn).await;
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(device.state().as_str(), "INFORMED");
    let names = provisioning::DeviceReply::Names(vec![provisioning::NameInfo {
        path: "InternetGatewayDevice.ManagementServer.Username".to_owned(),
        writable: true,
    }]);
    assert!(matches!(new.reply(names).await, Next::Request(_)), "the new session is alive");
    new.end(SessionEnd::Clean).await;
    let sessions = store::cpes::sessions(app.store(), id, 10).await.expect("readable");
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session.ended_at.is_some()), "{sessions:?}");
}

async fn the_end_of_a_transfer_is_stored_before_it_is_acknowledged(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (_, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let facts = inform(serial(), &["1 BOOT"], INSIDE);
    let mut session = accepted(app.begin(facts, anonymous(INSIDE)).await);
    let notice = app::ports::CpeNotice::TransferComplete {
        command_key: "fw-4711".into(),
        fault_code: 0,
        fault_text: String::new(),
    };
    session.notice(notice).await.expect("stored");
    let stored = "SELECT COUNT(*) FROM cpe_sessions WHERE ended_at IS NULL AND detail LIKE '%TransferComplete fw-4711 0%'";
    assert_eq!(bed.number(stored).await, 1, "whatever becomes of the process now");
    session.end(SessionEnd::Clean).await;
    let kept = "SELECT COUNT(*) FROM cpe_sessions WHERE outcome = 'clean' AND detail LIKE '%TransferComplete fw-4711 0%'";
    assert_eq!(bed.number(kept).await, 1);
}

on_both!(
    the_end_of_a_transfer_is_stored_before_it_is_acknowledged,
    an_unknown_device_gets_a_row_in_quarantine_and_nothing_else,
    the_first_contact_that_the_olt_confirms_becomes_ours,
    without_the_word_of_the_olt_nothing_is_told,
    a_guessed_serial_from_outside_changes_nothing_about_a_first_contact,
    a_guessed_serial_that_comes_first_does_not_keep_the_real_one_out,
    a_guessed_serial_between_writing_the_secret_and_its_proof_changes_nothing,
    an_owned_device_must_show_its_own_secret,
    credentials_are_found_by_name_and_only_there,
    the_credentials_of_another_device_are_refused_and_reported,
    a_factory_reset_that_the_olt_vouches_for_is_a_first_contact,
    a_full_quarantine_says_busy_to_strangers_only,
    ids_that_no_device_has_are_refused,
    the_announced_device_takes_its_place,
    a_device_that_was_known_before_replaces_the_announced_one,
    a_second_device_for_one_service_is_reported_and_changes_nothing,
    an_operator_chooses_one_of_the_wans_that_were_found,
    two_services_with_one_serial_are_a_question_not_a_guess,
    an_operators_claim_counts_like_the_olts_word,
    an_operators_word_is_known_to_every_node_counts_once_and_not_for_long,
    a_claim_ends_the_announcement_and_a_release_frees_the_service,
    a_new_inform_makes_the_old_session_void,
);
