//! Customers, plans, services and their wishes.

use crate::support::{
    bed::Bed,
    world::{self, Calls, PASSPHRASE, PPPOE_PASSWORD, admin, person, pppoe_plan, service_row, timeline},
};
use app::{
    AccessInput, App, AppError, InternetInput, NewCustomer, NewPlan, NewService, Role, ServiceCorrection,
    VlanInput, WifiInput,
};
use provisioning::{AccessIntent, InternetIntent, InternetMode};
use store::{AccessState, Layer, ServiceState, services::OpenIntent};
use types::{Secret, ServiceId};

fn fields(error: AppError) -> Vec<String> {
    match error {
        AppError::Invalid { fields } => {
            assert!(fields.iter().all(|field| field.message.len() > 5), "{fields:?}");
            fields.into_iter().map(|field| field.field).collect()
        }
        other => panic!("the fields should be told: {other:?}"),
    }
}

async fn intents(app: &App, id: ServiceId) -> Vec<OpenIntent> {
    store::services::intents(app.store(), id).await.expect("readable")
}

async fn internet(app: &App, id: ServiceId) -> (i64, InternetIntent) {
    let all = intents(app, id).await;
    let found = all.into_iter().find(|intent| intent.layer == Layer::Internet).expect("an internet layer");
    (found.intent_version, serde_json::from_str(found.body.expose()).expect("an intent"))
}

async fn access(app: &App, id: ServiceId) -> (i64, AccessIntent) {
    let all = intents(app, id).await;
    let found = all.into_iter().find(|intent| intent.layer == Layer::Access).expect("an access layer");
    (found.intent_version, serde_json::from_str(found.body.expose()).expect("an intent"))
}

fn pppoe_of(intent: &InternetIntent) -> (String, String) {
    match &intent.mode {
        InternetMode::Pppoe { username, password } => (username.clone(), password.expose().to_owned()),
        other => panic!("no PPPoE: {other:?}"),
    }
}

async fn everything_wrong_with_an_input_is_said_at_once(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let bad = NewCustomer {
        name: " ".into(),
        phone: "1".repeat(41),
        email: "nowhere".into(),
        address: "a\u{7}".into(),
        note: String::new(),
    };
    let error = app.create_customer(&admin(), bad).await.expect_err("much is wrong");
    assert_eq!(fields(error), ["name", "phone", "email", "address"]);
    let bad = NewPlan { down_kbps: 1, vlan: Some(4095), internet_mode: "ppp".into(), ..pppoe_plan("") };
    let error = app.create_plan(&admin(), bad).await.expect_err("much is wrong");
    assert_eq!(fields(error), ["name", "down_kbps", "internet_mode", "vlan"]);
    let (customer_id, plan_id) = (world::customer(&app, "Amina").await, world::plan(&app, "P").await);
    let bad = NewService {
        customer_id,
        plan_id,
        pppoe_login: Some("amina otieno".into()),
        pppoe_password: None,
        wifi: Some(WifiInput { ssid: "x".repeat(33), passphrase: Some("short".into()), enabled: true }),
        expected_serial: None,
        address: "x".repeat(501),
    };
    let found = fields(app.create_service(&admin(), bad).await.expect_err("much is wrong"));
    for field in ["pppoe_login", "ssid", "passphrase", "address"] {
        assert!(found.iter().any(|name| name == field), "{field} is not in {found:?}");
    }
    assert_eq!(app.store().count::<store::rows::Service>().await.expect("readable"), 0);
}

async fn a_service_comes_with_every_layer_and_unique_names(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let serial = world::serial("HWTC7D4733C3");
    let id = world::service(&app, "amina", Some(serial)).await;
    let row = service_row(&app, id).await;
    assert_eq!((row.code.as_str(), row.state), ("S-10001", ServiceState::Reserved));
    let (version, intent) = internet(&app, id).await;
    assert_eq!((version, pppoe_of(&intent)), (1, ("amina".into(), PPPOE_PASSWORD.into())));
    assert_eq!((intent.vlan, intent.suspended), (Some(100), false));
    let (version, intent) = access(&app, id).await;
    assert_eq!(version, 1);
    assert!(intent.wifi.iter().all(|wifi| wifi.ssid == "Zahra" && wifi.passphrase.expose() == PASSPHRASE));
    let input = NewService {
        customer_id: row.customer_id,
        plan_id: row.plan_id,
        pppoe_login: Some("amina".into()),
        pppoe_password: None,
        wifi: None,
        expected_serial: None,
        address: String::new(),
    };
    let error = app.create_service(&admin(), input.clone()).await.expect_err("the login is taken");
    assert!(matches!(&error, AppError::Conflict(text) if text.contains("amina")), "{error}");
    let same_onu = NewService { pppoe_login: None, expected_serial: Some(serial), ..input.clone() };
    let error = app.create_service(&admin(), same_onu).await.expect_err("the ONU is taken");
    assert!(error.to_string().contains("S-10001"), "{error}");
    let free = NewService { pppoe_login: None, ..input };
    let second = app.create_service(&admin(), free).await.expect("a login of its own");
    let row = service_row(&app, second).await;
    assert_eq!((row.code.as_str(), row.pppoe_login.as_deref()), ("S-10002", Some("s10002")));
    let (_, own) = pppoe_of(&internet(&app, second).await.1);
    assert!(own.len() >= 12 && own != PPPOE_PASSWORD, "a random password");
    bed.hides(&[PPPOE_PASSWORD, PASSPHRASE, &own]).await;
}

async fn services_made_at_once_by_two_nodes_all_come_to_be(bed: &Bed) {
    let (one, two) = (bed.app("a", &Calls::default()).await, bed.app("b", &Calls::default()).await);
    let (customer_id, plan_id) = (world::customer(&one, "Amina").await, world::plan(&one, "P").await);
    let input = NewService {
        customer_id,
        plan_id,
        pppoe_login: None,
        pppoe_password: None,
        wifi: None,
        expected_serial: None,
        address: String::new(),
    };
    let orders = (0..12).map(|n| {
        let (app, input) = (if n % 2 == 0 { one.clone() } else { two.clone() }, input.clone());
        async move { app.create_service(&admin(), input).await }
    });
    for made in futures::future::join_all(orders).await {
        made.expect("nobody is told to try again");
    }
    assert_eq!(bed.number("SELECT COUNT(DISTINCT code) FROM services").await, 12);
    assert_eq!(bed.number("SELECT COUNT(DISTINCT pppoe_login) FROM services").await, 12);
}

async fn suspending_and_resuming_change_the_internet_layer_only(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina", None).await;
    let before = (internet(&app, id).await, access(&app, id).await);
    let error = app.suspend_service(&admin(), id, "bored").await.expect_err("no such reason");
    assert_eq!(fields(error), ["reason"]);
    let error = app.resume_service(&admin(), id).await.expect_err("it runs");
    assert!(matches!(error, AppError::Conflict(_)), "{error}");
    app.suspend_service(&admin(), id, "unpaid").await.expect("suspended");
    let row = service_row(&app, id).await;
    assert_eq!((row.state, row.access_state), (ServiceState::Suspended, AccessState::Blocked));
    assert_eq!(row.deny_reason.as_deref(), Some("unpaid"));
    let (version, intent) = internet(&app, id).await;
    assert_eq!(version, before.0.0 + 1);
    assert_eq!(intent, InternetIntent { suspended: true, ..before.0.1.clone() });
    assert_eq!(access(&app, id).await, before.1, "Wi-Fi is not touched");
    let error = app.suspend_service(&admin(), id, "unpaid").await.expect_err("it is");
    assert!(error.to_string().contains("suspended already"), "{error}");
    // Changed while suspended, it stays suspended.
    let change = InternetInput {
        mode: "pppoe".into(),
        username: Some("amina2".into()),
        password: None,
        vlan: None,
        ..InternetInput::default()
    };
    app.set_internet(&admin(), id, change).await.expect("changed");
    assert!(internet(&app, id).await.1.suspended);
    app.resume_service(&admin(), id).await.expect("resumed");
    let row = service_row(&app, id).await;
    assert_eq!((row.state, row.access_state), (ServiceState::Reserved, AccessState::Allowed));
    assert_eq!(row.deny_reason, None);
    assert!(!internet(&app, id).await.1.suspended);
    assert_eq!(access(&app, id).await, before.1);
    let codes: Vec<_> = timeline(&app).await.into_iter().map(|entry| entry.code).collect();
    assert!(codes.iter().any(|code| code == "service_suspended"), "{codes:?}");
    assert!(codes.iter().any(|code| code == "service_resumed"), "{codes:?}");
}

async fn changing_wifi_touches_the_access_layer_only_and_keeps_what_is_not_given(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina", None).await;
    let before = internet(&app, id).await;
    let wifi = |ssid: &str, passphrase: Option<&str>| AccessInput {
        wifi: WifiInput { ssid: ssid.into(), passphrase: passphrase.map(Secret::new), enabled: true },
    };
    app.set_access(&admin(), id, wifi("New name", None)).await.expect("changed");
    let (version, intent) = access(&app, id).await;
    assert_eq!(version, 2);
    assert!(intent.wifi.iter().all(|w| w.ssid == "New name" && w.passphrase.expose() == PASSPHRASE));
    app.set_access(&admin(), id, wifi("New name", Some("another-phrase-3"))).await.expect("changed");
    let (version, intent) = access(&app, id).await;
    assert_eq!(version, 3);
    assert!(intent.wifi.iter().all(|w| w.passphrase.expose() == "another-phrase-3"));
    app.set_access(&admin(), id, wifi("New name", None)).await.expect("the same again");
    assert_eq!(access(&app, id).await.0, 3, "the same wish is no new one");
    assert_eq!(internet(&app, id).await, before);
    bed.hides(&[PASSPHRASE, "another-phrase-3"]).await;
}

async fn changing_internet_keeps_the_password_and_the_login_stays_unique(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (id, other) = (world::service(&app, "amina", None).await, world::service(&app, "bashir", None).await);
    let wifi = access(&app, id).await;
    let pppoe = |username: &str, password: Option<&str>| InternetInput {
        mode: "pppoe".into(),
        username: Some(username.into()),
        password: password.map(Secret::new),
        vlan: None,
        ..InternetInput::default()
    };
    app.set_internet(&admin(), id, pppoe("amina-2", None)).await.expect("changed");
    assert_eq!(pppoe_of(&internet(&app, id).await.1), ("amina-2".into(), PPPOE_PASSWORD.into()));
    assert_eq!(service_row(&app, id).await.pppoe_login.as_deref(), Some("amina-2"));
    let error = app.set_internet(&admin(), id, pppoe("bashir", None)).await.expect_err("taken");
    assert!(error.to_string().contains("bashir is taken"), "{error}");
    assert_eq!(pppoe_of(&internet(&app, id).await.1).0, "amina-2", "nothing of it happened");
    for bad in ["", "has blank", "naïve"] {
        let error =
            app.set_internet(&admin(), id, pppoe(bad, None)).await.expect_err("routers carry no such");
        assert_eq!(fields(error), ["username"], "{bad:?}");
    }
    let dhcp = InternetInput {
        mode: "dhcp".into(),
        username: None,
        password: None,
        vlan: Some(VlanInput::Tag(300)),
        ..InternetInput::default()
    };
    app.set_internet(&admin(), id, dhcp.clone()).await.expect("changed");
    let (_, intent) = internet(&app, id).await;
    assert_eq!((intent.mode, intent.vlan), (InternetMode::Dhcp, Some(300)));
    let silent = InternetInput { vlan: None, ..dhcp.clone() };
    app.set_internet(&admin(), id, silent).await.expect("changed");
    assert_eq!(internet(&app, id).await.1.vlan, Some(300), "what is not named stays");
    let untagged = InternetInput { vlan: Some(VlanInput::NONE), ..dhcp };
    app.set_internet(&admin(), id, untagged).await.expect("changed");
    assert_eq!(internet(&app, id).await.1.vlan, None, "explicitly none takes it away");
    assert_eq!(service_row(&app, id).await.pppoe_login, None);
    let error = app.set_internet(&admin(), id, pppoe("amina", None)).await.expect_err("no password to keep");
    assert_eq!(fields(error), ["password"]);
    app.set_internet(&admin(), id, pppoe("amina", Some("brand-new-4711"))).await.expect("changed");
    assert_eq!(access(&app, id).await, wifi, "Wi-Fi is not touched");
    assert_eq!(pppoe_of(&internet(&app, other).await.1).0, "bashir");
    bed.hides(&[PPPOE_PASSWORD, "brand-new-4711"]).await;
}

async fn a_terminated_service_refuses_every_change(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina", None).await;
    bed.sql(&format!("UPDATE services SET state = 'terminated' WHERE id = {id}")).await;
    let before = (internet(&app, id).await, access(&app, id).await, service_row(&app, id).await);
    let wifi = AccessInput { wifi: WifiInput { ssid: "x".into(), passphrase: None, enabled: true } };
    let dhcp = InternetInput {
        mode: "dhcp".into(),
        username: None,
        password: None,
        vlan: None,
        ..InternetInput::default()
    };
    for refused in [
        app.set_access(&admin(), id, wifi).await,
        app.set_internet(&admin(), id, dhcp).await,
        app.suspend_service(&admin(), id, "unpaid").await,
        app.resume_service(&admin(), id).await,
    ] {
        let error = refused.expect_err("terminated");
        assert!(error.to_string().contains("S-10001 is terminated"), "{error}");
    }
    assert_eq!((internet(&app, id).await, access(&app, id).await, service_row(&app, id).await), before);
}

async fn roles_may_what_they_may_and_missing_things_are_not_there(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina", None).await;
    let viewer = person("vera", Role::Viewer);
    let technician = person("tariq", Role::Technician);
    for actor in [&viewer, &technician] {
        for refused in [
            app.suspend_service(actor, id, "unpaid").await,
            app.create_customer(actor, NewCustomer { name: "x".into(), ..Default::default() })
                .await
                .map(drop),
            app.create_plan(actor, pppoe_plan("x")).await.map(drop),
        ] {
            let error = refused.expect_err("may not");
            assert!(matches!(&error, AppError::Forbidden(text) if text.contains(&actor.label())), "{error}");
        }
    }
    let error = app.suspend_service(&admin(), ServiceId(4711), "unpaid").await.expect_err("no such service");
    assert!(matches!(error, AppError::NotFound(_)), "{error}");
    assert_eq!(service_row(&app, id).await.state, ServiceState::Reserved);
}

async fn secrets_are_in_no_history_and_in_no_debug_output(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina", None).await;
    let input = InternetInput {
        mode: "pppoe".into(),
        username: Some("amina".into()),
        password: Some("changed-once-88".into()),
        vlan: None,
        ..InternetInput::default()
    };
    assert!(!format!("{input:?}").contains("changed-once-88"));
    app.set_internet(&admin(), id, input).await.expect("changed");
    let wifi = WifiInput { ssid: "S".into(), passphrase: Some("wifi-once-8888".into()), enabled: false };
    assert!(!format!("{wifi:?}").contains("wifi-once-8888"));
    app.set_access(&admin(), id, AccessInput { wifi }).await.expect("changed");
    let debug =
        format!("{:?} {:?} {:?}", intents(&app, id).await, internet(&app, id).await, access(&app, id).await);
    let secrets = [PPPOE_PASSWORD, PASSPHRASE, "changed-once-88", "wifi-once-8888"];
    for secret in secrets {
        assert!(!debug.contains(secret), "{debug}");
    }
    // The audit log does say who did what.
    let audit = store::users::audit_page(app.store(), None, 50).await.expect("readable");
    let actions: Vec<_> = audit.iter().map(|entry| entry.action.as_str()).collect();
    for action in ["service.create", "service.internet", "service.access", "customer.create", "plan.create"] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    assert!(audit.iter().all(|entry| entry.actor == "nino" && entry.address == "192.0.2.10"));
    bed.hides(&secrets).await;
}

async fn what_is_generated_is_told_once_and_made_anew_when_it_is_lost(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (customer_id, plan_id) = (world::customer(&app, "Amina").await, world::plan(&app, "P").await);
    let input = NewService {
        customer_id,
        plan_id,
        pppoe_login: None,
        pppoe_password: None,
        wifi: None,
        expected_serial: None,
        address: String::new(),
    };
    let (id, made) = app.reserve_service(&admin(), input.clone()).await.expect("a service");
    let (login, password) = made.pppoe.clone().expect("a password was generated");
    let (ssid, passphrase) = made.wifi.clone().expect("a passphrase was generated");
    assert_eq!(pppoe_of(&internet(&app, id).await.1), (login.clone(), password.expose().to_owned()));
    assert_eq!((login.as_str(), ssid.as_str()), ("s10001", "Home-S-10001"));
    assert!(access(&app, id).await.1.wifi.iter().all(|wifi| wifi.passphrase == passphrase));
    // Who typed them knows them.
    let typed = NewService {
        pppoe_password: Some(Secret::new(PPPOE_PASSWORD)),
        wifi: Some(WifiInput {
            ssid: "Own".into(),
            passphrase: Some(Secret::new(PASSPHRASE)),
            enabled: true,
        }),
        ..input
    };
    let (_, nothing) = app.reserve_service(&admin(), typed).await.expect("a service");
    assert!(nothing.is_empty(), "{nothing:?}");

    let viewer = person("vera", Role::Technician);
    for refused in [app.renew_pppoe_password(&viewer, id).await, app.renew_wifi_passphrase(&viewer, id).await]
    {
        let text = refused.expect_err("may not").to_string();
        assert!(text.contains("services:secrets"), "{text}");
    }
    let before = access(&app, id).await;
    let new = app.renew_pppoe_password(&admin(), id).await.expect("a new one");
    let (same_login, new_password) = new.pppoe.clone().expect("told");
    assert!(same_login == login && new_password != password && new.wifi.is_none());
    let (version, intent) = internet(&app, id).await;
    assert_eq!((version, pppoe_of(&intent)), (2, (login, new_password.expose().to_owned())));
    assert_eq!(access(&app, id).await, before, "Wi-Fi is not touched");
    let new = app.renew_wifi_passphrase(&admin(), id).await.expect("a new one");
    let (same_ssid, new_passphrase) = new.wifi.clone().expect("told");
    assert!(same_ssid == ssid && new_passphrase != passphrase && new.pppoe.is_none());
    assert!(access(&app, id).await.1.wifi.iter().all(|wifi| wifi.passphrase == new_passphrase));

    let log = store::users::audit_page(app.store(), None, 50).await.expect("readable");
    for action in ["service.new_pppoe_password", "service.new_wifi_passphrase"] {
        let line = log.iter().find(|line| line.action == action).expect("it is recorded");
        assert_eq!((line.actor.as_str(), &line.subject), ("nino", &format!("service:{id}")));
    }
    let secrets = [&password, &passphrase, &new_password, &new_passphrase].map(Secret::expose);
    for text in [format!("{made:?}"), format!("{new:?}")] {
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
    bed.hides(&secrets).await;
    // A service without either has none to make.
    let dhcp = InternetInput {
        mode: "dhcp".into(),
        username: None,
        password: None,
        vlan: None,
        ..InternetInput::default()
    };
    app.set_internet(&admin(), id, dhcp).await.expect("changed");
    let refused = app.renew_pppoe_password(&admin(), id).await.expect_err("no login");
    assert!(matches!(&refused, AppError::Conflict(text) if text.contains("no PPPoE login")), "{refused}");
}

async fn a_service_is_corrected_by_who_has_looked_at_it(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (one, two) = (world::serial("HWTC7D4733C3"), world::serial("HWTC00000042"));
    let id = world::service(&app, "amina", Some(one)).await;
    world::service(&app, "bashir", Some(two)).await;
    let version = service_row(&app, id).await.version;
    let right = |serial| ServiceCorrection { address: " Kilimani 4 ".into(), expected_serial: serial };
    let taken = app.correct_service(&admin(), id, right(Some(two)), None).await.expect_err("taken");
    assert!(taken.to_string().contains("belongs to service S-10002"), "{taken}");
    let free = world::serial("HWTC00000043");
    app.correct_service(&admin(), id, right(Some(free)), Some(version)).await.expect("corrected");
    let row = service_row(&app, id).await;
    assert_eq!((row.address.as_str(), row.expected_serial), ("Kilimani 4", Some(free)));
    let late = app.correct_service(&admin(), id, right(None), Some(version)).await.expect_err("overtaken");
    assert!(late.to_string().contains("changed by somebody else"), "{late}");
    let log = store::users::audit_page(app.store(), None, 50).await.expect("readable");
    let line = log.iter().find(|line| line.action == "service.correct").expect("recorded");
    let said = |side: &Option<serde_json::Value>| side.as_ref().expect("words")["expected_serial"].clone();
    assert_eq!((said(&line.before), said(&line.after)), (one.hex16().into(), free.hex16().into()));
    let refused = app
        .correct_service(&person("vera", Role::Technician), id, right(None), None)
        .await
        .expect_err("may not");
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused}");
    // The ONU that carries it is replaced, not renamed.
    let olt = world::quiet_olt(&app, "olt-1").await;
    world::onu(&app, olt, free, Some(id)).await;
    let refused = app.correct_service(&admin(), id, right(Some(one)), None).await.expect_err("it is on one");
    assert!(refused.to_string().contains("by replacing that one"), "{refused}");
    app.correct_service(&admin(), id, right(None), None).await.expect("none is no contradiction");
}

async fn an_end_and_an_order_for_one_service_never_both_happen(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let olt = world::quiet_olt(&app, "olt-1").await;
    bed.sql("UPDATE olts SET admin_state = 'enabled'").await;
    let mut both = 0;
    for number in 1..=12u32 {
        let serial = world::serial(&format!("HWTC{number:08X}"));
        let service = world::service(&app, &format!("user{number}@isp"), Some(serial)).await;
        let request = app::AuthoriseRequest {
            olt_id: olt,
            pon: "0/1/0".parse().expect("a port"),
            serial,
            service: app::AuthoriseFor::Service(service),
            description: None,
            internet_vlan: None,
            untagged: None,
            seen: None,
        };
        let who = admin();
        let (ordered, ended) =
            tokio::join!(app.authorise_onu(&who, &request), app.terminate_service(&who, service, None));
        assert!(ordered.is_ok() || ended.is_ok(), "one of the two comes first: {ordered:?} {ended:?}");
        both += u32::from(ordered.is_ok() && ended.is_ok());
    }
    assert_eq!(both, 0, "no line is built for a service that has ended");
}

async fn a_new_service_with_its_order_is_made_whole_or_not_at_all(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let olt = world::quiet_olt(&app, "olt-1").await;
    bed.sql("UPDATE olts SET admin_state = 'enabled'").await;
    let serial = world::serial("HWTC00000077");
    let other = world::service(&app, "taken@isp", None).await;
    let plan = service_row(&app, other).await.plan_id;
    let customers = async || {
        let filter = store::read::CustomerFilter::default();
        let (sort, page) = (store::read::Sort::default(), store::read::Page::default());
        app.store().read().customers(&filter, &sort, page).await.expect("readable").total
    };
    let request = app::AuthoriseRequest {
        olt_id: olt,
        pon: "0/1/0".parse().expect("a port"),
        serial,
        service: app::AuthoriseFor::Planned(app::PlannedService {
            plan_id: plan,
            customer: app::PlannedCustomer::New(" Noor ".into()),
        }),
        description: None,
        internet_vlan: None,
        untagged: None,
        seen: None,
    };
    let line = app::NewLine { customer_phone: "0612".into(), address: "Quay 1".into(), ..Default::default() };
    let before = customers().await;
    // Found out in the unit itself, after the customer was written.
    let taken = app::NewLine { pppoe_login: Some("taken@isp".into()), ..line.clone() };
    let refused = app.authorise_new(&admin(), &request, taken).await.expect_err("the login is taken");
    assert!(refused.to_string().contains("taken@isp is taken (service S-10001)"), "{refused}");
    assert_eq!(customers().await, before);
    for role in [Role::Technician, Role::Viewer] {
        let refused = app.authorise_new(&person("kim", role), &request, line.clone()).await;
        assert!(matches!(refused, Err(AppError::Forbidden(_))), "{role:?}: {refused:?}");
    }
    assert_eq!(customers().await, before);

    let made = app.authorise_new(&admin(), &request, line.clone()).await.expect("ordered");
    assert_eq!(customers().await, before + 1);
    let service = service_row(&app, made.service).await;
    let customer: store::rows::Customer = app.store().require(service.customer_id).await.expect("made");
    assert_eq!((customer.name.as_str(), customer.phone.as_str()), ("Noor", "0612"));
    assert_eq!((service.expected_serial, service.address.as_str()), (Some(serial), "Quay 1"));
    let task: store::rows::OltTask = app.store().require(made.task).await.expect("the order");
    assert_eq!((task.service_id, task.serial), (Some(made.service), serial));
    assert_eq!(task.plan["description"], format!("{} Noor", service.code));
    let (login, password) = made.generated.pppoe.expect("generated");
    assert_eq!(pppoe_of(&internet(&app, made.service).await.1), (login, password.expose().to_owned()));

    // The serial number has an order now: what is asked for again makes no second customer.
    app.authorise_new(&admin(), &request, line).await.expect_err("it belongs to the first");
    assert_eq!(customers().await, before + 1);
}

async fn a_service_without_wifi_gets_one_with_a_password_that_somebody_knows(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let customer = world::customer(&app, "Zahra").await;
    let plan = NewPlan { internet_mode: "bridge".into(), ..pppoe_plan("Bridge") };
    let plan = app.create_plan(&admin(), plan).await.expect("a plan");
    let input = NewService {
        customer_id: customer,
        plan_id: plan,
        pppoe_login: None,
        pppoe_password: None,
        wifi: None,
        expected_serial: None,
        address: String::new(),
    };
    let id = app.create_service(&admin(), input).await.expect("a service");
    let wifi = |passphrase: Option<&str>| AccessInput {
        wifi: WifiInput { ssid: "Own".into(), passphrase: passphrase.map(Secret::new), enabled: true },
    };
    let refused = app.set_access(&admin(), id, wifi(None)).await.expect_err("nobody would know it");
    assert_eq!(fields(refused), ["passphrase"]);
    app.set_access(&admin(), id, wifi(Some("typed-Heron-2"))).await.expect("typed");
    app.set_access(&admin(), id, wifi(None)).await.expect("kept from now on");
    assert_eq!(access(&app, id).await.1.wifi[0].passphrase.expose(), "typed-Heron-2");
}

/// Two people on two nodes give one serial number to two services at the same moment: one of them has it.
async fn one_serial_is_expected_by_one_service_whoever_asks(bed: &Bed) {
    let (one, two) = (bed.app("node-1", &Calls::default()).await, bed.app("node-2", &Calls::default()).await);
    let (a, b) = (world::service(&one, "amina", None).await, world::service(&one, "bashir", None).await);
    for round in 0..20 {
        let serial = world::serial(&format!("HWTC0000{round:04}"));
        let right =
            || ServiceCorrection { address: format!("Kilimani {round}"), expected_serial: Some(serial) };
        let (who, other) = (admin(), admin());
        let (first, second) = tokio::join!(
            one.correct_service(&who, a, right(), None),
            two.correct_service(&other, b, right(), None),
        );
        let late = match (first, second) {
            (Ok(()), Err(late)) | (Err(late), Ok(())) => late,
            both => panic!("round {round}: {both:?}"),
        };
        assert!(late.to_string().contains("belongs to service S-1000"), "{late}");
        let found = store::services::for_serial(one.store(), serial).await.expect("readable");
        assert_eq!(found.len(), 1, "round {round}");
    }
}

on_both!(
    one_serial_is_expected_by_one_service_whoever_asks,
    a_service_without_wifi_gets_one_with_a_password_that_somebody_knows,
    an_end_and_an_order_for_one_service_never_both_happen,
    a_new_service_with_its_order_is_made_whole_or_not_at_all,
    a_service_is_corrected_by_who_has_looked_at_it,
    what_is_generated_is_told_once_and_made_anew_when_it_is_lost,
    everything_wrong_with_an_input_is_said_at_once,
    a_service_comes_with_every_layer_and_unique_names,
    services_made_at_once_by_two_nodes_all_come_to_be,
    suspending_and_resuming_change_the_internet_layer_only,
    changing_wifi_touches_the_access_layer_only_and_keeps_what_is_not_given,
    changing_internet_keeps_the_password_and_the_login_stays_unique,
    a_terminated_service_refuses_every_change,
    roles_may_what_they_may_and_missing_things_are_not_there,
    secrets_are_in_no_history_and_in_no_debug_output,
);
