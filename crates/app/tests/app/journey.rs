//! What people change on a service that runs, down to what its device is told.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, pass, until_state},
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_row, cpe_rows, service_row, told},
};
use app::{AccessInput, App, AppError, WifiInput, ports::CpeFrontDoor};
use sim::cpe::Quirks;
use store::ServiceState;
use types::{CpeId, Secret, Serial, ServiceId};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

struct Home {
    cpe: SimCpe,
    id: CpeId,
    service: ServiceId,
}

/// A customer who is online.
async fn at_home(bed: &Bed, app: &App, calls: &Calls) -> Home {
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let service = world::service(app, "user@isp", Some(serial())).await;
    let olt = world::quiet_olt(app, "olt-1").await;
    world::onu(app, olt, serial(), Some(service)).await;
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    until_state(bed, app, calls, &mut cpe, "ACTIVE").await;
    let id = cpe_rows(app).await[0].id;
    Home { cpe, id, service }
}

/// Paths that the device was told to set since the first `after` requests.
fn set_since(cpe: &SimCpe, after: usize) -> Vec<String> {
    let sets = cpe.asked[after..].iter().filter_map(|line| line.strip_prefix("set "));
    sets.flat_map(|paths| paths.split(' ').map(str::to_owned)).collect()
}

fn value(cpe: &SimCpe, ending: &str) -> Vec<String> {
    let tree = cpe.cell.device().tree();
    tree.below(tree.root())
        .filter(|(path, _)| path.ends_with(ending))
        .filter_map(|(path, _)| tree.value(path).map(str::to_owned))
        .collect()
}

async fn a_new_wifi_name_reaches_the_device_and_the_wan_is_not_touched(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let (asked, wans) = (home.cpe.asked.len(), home.cpe.record().wans);
    let wifi = WifiInput {
        ssid: "Kilimani 4".into(),
        passphrase: Some(Secret::new("new-phrase-4711")),
        enabled: true,
    };
    app.set_access(&admin(), home.service, AccessInput { wifi }).await.expect("changed");
    assert_ne!(cpe_row(&app, home.id).await.state, "ACTIVE", "not as wanted until it is read back");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    let set = set_since(&home.cpe, asked);
    assert!(!set.is_empty());
    assert!(set.iter().all(|path| path.contains("WLANConfiguration")), "{set:?}");
    assert!(home.cpe.asked[asked..].iter().all(|line| !line.starts_with("add")));
    assert_eq!(home.cpe.record().wans, wans);
    assert!(value(&home.cpe, ".SSID").contains(&"Kilimani 4".to_owned()));
    let evidence = store::cpes::evidence(app.store(), home.id).await.expect("readable");
    assert!(
        evidence.iter().any(|e| e.layer == "access" && e.observed == "Kilimani 4" && e.verified),
        "{evidence:?}"
    );
    bed.hides(&["new-phrase-4711", PPPOE_PASSWORD]).await;
}

async fn a_new_wifi_password_reaches_the_device(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let asked = home.cpe.asked.len();
    let made = app.renew_wifi_passphrase(&admin(), home.service).await.expect("a new one");
    let (_, passphrase) = made.wifi.expect("told");
    assert_ne!(cpe_row(&app, home.id).await.state, "ACTIVE", "not as wanted until it is read back");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    let set = set_since(&home.cpe, asked);
    assert!(!set.is_empty() && set.iter().all(|path| path.contains("WLANConfiguration")), "{set:?}");
    let kept = [value(&home.cpe, "KeyPassphrase"), value(&home.cpe, "PreSharedKey")].concat();
    assert!(kept.iter().any(|key| key == passphrase.expose()), "the device has it");
    bed.hides(&[passphrase.expose()]).await;
}

async fn a_service_that_has_ended_lets_its_device_go_and_leaves_its_onu(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let version = service_row(&app, home.service).await.version;
    let late = app.terminate_service(&admin(), home.service, Some(version - 1)).await.expect_err("overtaken");
    assert!(late.to_string().contains("changed by somebody else"), "{late}");
    app.terminate_service(&admin(), home.service, Some(version)).await.expect("ended");
    let row = service_row(&app, home.service).await;
    assert_eq!((row.state, row.access_state), (ServiceState::Terminated, store::AccessState::Blocked));
    assert_eq!(row.cpe_id, None, "released");
    assert_eq!(row.pppoe_login, None, "the login is free for the next service");
    let claim =
        app.claim_cpe(&admin(), home.id, home.service, None).await.expect_err("nobody's secrets any more");
    assert!(claim.to_string().contains("has ended"), "{claim}");
    let onu = store::onus::by_serial(app.store(), serial()).await.expect("readable").expect("it stays");
    assert_eq!((onu.removed_at, row.onu_id), (None, Some(onu.id)), "nothing is removed by itself");
    let told = world::timeline(&app).await;
    let line = told.iter().find(|line| line.code == "service_terminated").expect("told");
    assert!(line.next_text.as_deref().is_some_and(|next| next.contains("until somebody removes it")));
    // It comes again from the same ONU: that ONU speaks for nobody now.
    let asked = home.cpe.asked.len();
    home.cpe.power_on(app.now());
    let mut answered = calls.made().len();
    for _ in 0..20 {
        pass(bed, &app, &calls, &mut answered, &mut home.cpe).await;
    }
    assert_eq!(service_row(&app, home.service).await.cpe_id, None, "it is not taken back");
    let set = set_since(&home.cpe, asked);
    assert!(set.iter().all(|path| !path.contains("WAN") && !path.contains("WLAN")), "{set:?}");
    let again = app.terminate_service(&admin(), home.service, None).await.expect_err("ended already");
    assert!(again.to_string().contains("has ended already"), "{again}");
}

async fn a_suspended_service_is_switched_off_and_comes_back_by_one_write(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let (asked, wans) = (home.cpe.asked.len(), home.cpe.record().wans);
    app.suspend_service(&admin(), home.service, "unpaid").await.expect("suspended");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    let set = set_since(&home.cpe, asked);
    assert!(set.iter().any(|path| path.ends_with(".Enable")), "{set:?}");
    assert!(set.iter().all(|path| path.contains(".WAN") || path.contains("Layer3Forwarding")), "{set:?}");
    let row = service_row(&app, home.service).await;
    assert_eq!(row.state, ServiceState::Suspended, "a verified suspension is no activation");
    let asked = home.cpe.asked.len();
    app.resume_service(&admin(), home.service).await.expect("resumed");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    let set = set_since(&home.cpe, asked);
    assert_eq!(set.len(), 1, "{set:?}");
    assert!(set[0].ends_with(".Enable"), "{set:?}");
    assert_eq!(home.cpe.record().wans, wans, "nothing was deleted, nothing made");
    assert_eq!(service_row(&app, home.service).await.state, ServiceState::Active);
}

async fn a_held_device_is_not_written_to(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    app.hold_cpe(&admin(), home.id, " the street is\n dug up ").await.expect("held");
    let asked = home.cpe.asked.len();
    let wifi = WifiInput { ssid: "Not yet".into(), passphrase: None, enabled: true };
    app.set_access(&admin(), home.service, AccessInput { wifi }).await.expect("changed");
    let mut answered = calls.made().len();
    for _ in 0..40 {
        pass(bed, &app, &calls, &mut answered, &mut home.cpe).await;
    }
    assert_eq!(set_since(&home.cpe, asked), Vec::<String>::new());
    let row = cpe_row(&app, home.id).await;
    assert!(row.reason_text.contains("nino"), "who holds it is told: {}", row.reason_text);
    app.release_hold(&admin(), home.id).await.expect("released");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    assert!(value(&home.cpe, ".SSID").contains(&"Not yet".to_owned()));
    let texts: Vec<String> =
        told(&app, home.id, "cpe_hold").await.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, ["Provisioning held: the street is dug up"], "colleagues learn why");
    let error = app.hold_cpe(&admin(), home.id, &"why ".repeat(51)).await.expect_err("too long");
    assert!(matches!(error, AppError::Invalid { .. }), "{error}");
}

async fn a_wrong_password_at_the_bras_fails_softly_and_a_right_one_cures_it(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let internet = |password: &str| app::InternetInput {
        mode: "pppoe".into(),
        username: Some("user@isp".into()),
        password: Some(Secret::new(password)),
        vlan: None,
        ..app::InternetInput::default()
    };
    app.set_internet(&admin(), home.service, internet("mistyped-0815")).await.expect("changed");
    until_state(bed, &app, &calls, &mut home.cpe, "FAILED").await;
    let row = cpe_row(&app, home.id).await;
    assert!(row.next_attempt_at.is_some_and(|at| at > app.now()), "{row:?}");
    assert_eq!(home.cpe.record().wans.len(), 1, "nothing was deleted");
    app.set_internet(&admin(), home.service, internet(PPPOE_PASSWORD)).await.expect("changed");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    bed.hides(&["mistyped-0815", PPPOE_PASSWORD]).await;
}

async fn every_node_learns_of_a_new_policy(bed: &Bed) {
    let (one, two) = (bed.app("a", &Calls::default()).await, bed.app("b", &Calls::default()).await);
    let mut policy = world::policy();
    policy.first_contact_username = "contact".into();
    policy.quarantine_limit = 7;
    one.set_acs_policy(&admin(), policy, Some(Secret::new("shared-Heron-3"))).await.expect("acceptable");
    assert_eq!(one.credentials_for("contact").await.len(), 1);
    bed.advance_s(15);
    assert_eq!(two.credentials_for("contact").await.len(), 1, "the door of the other node knows it too");
    assert_eq!(two.policy().quarantine_limit, 7);
    let mut bad = world::policy();
    bad.provisioning.inform_interval_s = 1;
    bad.provisioning.ntp_servers.clear();
    let error = one.set_acs_policy(&admin(), bad, None).await.expect_err("it would hurt");
    assert!(matches!(&error, AppError::Invalid { fields } if fields.len() == 2), "{error}");
    let noc = world::person("vera", app::Role::Support);
    let error = one.set_acs_policy(&noc, world::policy(), None).await.expect_err("may not");
    assert!(matches!(error, AppError::Forbidden(_)), "{error}");
    // An empty one takes it away; an absent one keeps it.
    one.set_acs_policy(&admin(), world::policy(), None).await.expect("acceptable");
    assert_eq!(one.credentials_for("lightkeeper").await.len(), 1);
    one.set_acs_policy(&admin(), world::policy(), Some(Secret::new(""))).await.expect("acceptable");
    assert!(one.credentials_for("lightkeeper").await.is_empty());
    bed.hides(&["shared-Heron-3"]).await;
}

/// Evidence of the layers that belong to the service, as `layer setting observed`.
async fn proven(app: &App, cpe: CpeId) -> Vec<String> {
    let evidence = store::cpes::evidence(app.store(), cpe).await.expect("readable");
    let of_service = evidence.into_iter().filter(|item| item.layer != "core");
    of_service.map(|item| format!("{} {} {}", item.layer, item.setting, item.observed)).collect()
}

fn names(proven: &[String], what: &str) -> bool {
    proven.iter().any(|line| line.contains(what))
}

async fn nothing_that_was_proven_outlives_its_cause(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let online = proven(&app, home.id).await;
    assert!(names(&online, "internet External address") && names(&online, "access"), "{online:?}");

    // Switched off: what is read back then says nothing of an address.
    app.suspend_service(&admin(), home.service, "unpaid").await.expect("suspended");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    let off = proven(&app, home.id).await;
    assert!(names(&off, "internet WAN") && !names(&off, "External address"), "{off:?}");
    assert!(names(&off, "access"), "Wi-Fi was not touched: {off:?}");
    app.resume_service(&admin(), home.service).await.expect("resumed");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    assert!(names(&proven(&app, home.id).await, "External address"));

    // Written to and not read back as wanted.
    let internet = app::InternetInput {
        mode: "pppoe".into(),
        username: Some("user@isp".into()),
        password: Some(Secret::new("mistyped-0815")),
        vlan: None,
        ..app::InternetInput::default()
    };
    app.set_internet(&admin(), home.service, internet).await.expect("changed");
    until_state(bed, &app, &calls, &mut home.cpe, "FAILED").await;
    let failed = proven(&app, home.id).await;
    assert!(!names(&failed, "internet") && names(&failed, "access"), "{failed:?}");

    // Everything is gone from the device.
    home.cpe.factory_reset(app.now());
    while !home.cpe.wants_session(app.now()) {
        home.cpe.tick(app.now());
        bed.advance_s(1);
    }
    let (begun, _) = home.cpe.open(&app, app.now()).await;
    assert!(matches!(begun, app::ports::Begin::Accepted(_)), "{begun:?}");
    assert_eq!(proven(&app, home.id).await, ["identity management_address 127.20.3.9"], "who it is, anew");
    let all = store::cpes::evidence(app.store(), home.id).await.expect("readable");
    let now = app.now();
    assert!(
        all.iter().all(|item| item.layer == "identity" && item.at == now),
        "the management settings went with it, and by what it was let in now is new: {all:?}"
    );
}

async fn a_change_that_is_taken_back_half_way_is_checked_again(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut home = at_home(bed, &app, &calls).await;
    let wifi =
        |ssid: &str| AccessInput { wifi: WifiInput { ssid: ssid.into(), passphrase: None, enabled: true } };
    app.set_access(&admin(), home.service, wifi("Kilimani 4")).await.expect("changed");
    // The write arrives, its answer does not.
    let mut answered = calls.made().len();
    let (mut session, now) = loop {
        pass(bed, &app, &calls, &mut answered, &mut home.cpe).await;
        if home.cpe.wants_session(app.now()) {
            let (begun, _) = home.cpe.open(&app, app.now()).await;
            break (crate::support::cpe::accepted(begun), app.now());
        }
    };
    let mut next = session.ready().await;
    while let app::ports::Next::Request(request) = next {
        let writes = matches!(request, app::ports::DeviceRequest::SetValues { .. });
        let reply = home.cpe.answer(now, request).expect("it answers");
        if writes {
            break;
        }
        next = session.reply(reply).await;
    }
    session.end(app::ports::SessionEnd::Torn).await;
    home.cpe.cut(now);
    assert!(value(&home.cpe, ".SSID").contains(&"Kilimani 4".to_owned()));
    assert!(!names(&proven(&app, home.id).await, "access"), "nobody knows what it has now");
    app.set_access(&admin(), home.service, wifi("Zahra")).await.expect("taken back");
    until_state(bed, &app, &calls, &mut home.cpe, "ACTIVE").await;
    assert!(!value(&home.cpe, ".SSID").contains(&"Kilimani 4".to_owned()));
    assert!(names(&proven(&app, home.id).await, "Zahra"));
}

async fn the_next_customer_reads_nothing_of_the_one_before(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let home = at_home(bed, &app, &calls).await;
    assert!(names(&proven(&app, home.id).await, "Zahra"));
    app.release_cpe(&admin(), home.id).await.expect("released");
    assert_eq!(proven(&app, home.id).await, Vec::<String>::new());
    let other = world::service(&app, "other@isp", None).await;
    app.claim_cpe(&admin(), home.id, other, None).await.expect("claimed");
    assert_eq!(service_row(&app, other).await.cpe_id, Some(home.id));
    assert_eq!(proven(&app, home.id).await, Vec::<String>::new());
}

on_both!(
    nothing_that_was_proven_outlives_its_cause,
    a_change_that_is_taken_back_half_way_is_checked_again,
    the_next_customer_reads_nothing_of_the_one_before,
    a_new_wifi_name_reaches_the_device_and_the_wan_is_not_touched,
    a_new_wifi_password_reaches_the_device,
    a_service_that_has_ended_lets_its_device_go_and_leaves_its_onu,
    a_suspended_service_is_switched_off_and_comes_back_by_one_write,
    a_held_device_is_not_written_to,
    a_wrong_password_at_the_bras_fails_softly_and_a_right_one_cures_it,
    every_node_learns_of_a_new_policy,
);
