//! The form that authorises an ONU: whom it is for, and that nothing else is ordered than what was looked at.

use app::Role;
use axum::http::{StatusCode, header};
use store::{
    StoreError,
    read::{CustomerFilter, Page, ServiceFilter, Sort},
    rows, tasks,
};
use types::{OltId, OltTaskId};

use super::bed::Bed;

async fn counts(bed: &Bed) -> (u64, u64) {
    let read = bed.app.store().read();
    let customers = read.customers(&CustomerFilter::default(), &Sort::default(), Page::default()).await;
    let services = read.services(&ServiceFilter::default(), &Sort::default(), Page::default()).await;
    (customers.expect("readable").total, services.expect("readable").total)
}

/// The OLT of the bed as one that somebody may be sent to.
async fn enabled(bed: &Bed, olt: OltId) {
    let done = bed.app.store().write::<_, _, StoreError>(move |tx| {
        Box::pin(async move {
            let row: rows::Olt = tx.require(olt).await?;
            let row = rows::Olt { name: "olt-1".into(), admin_state: store::AdminState::Enabled, ..row };
            tx.update(&row).await?.or_overtaken("the OLT")
        })
    });
    done.await.expect("changed");
}

async fn plan(bed: &Bed) -> String {
    let plan = app::NewPlan {
        name: "Home".into(),
        down_kbps: 100_000,
        up_kbps: 50_000,
        price_minor: 1,
        currency: "EUR".parse().expect("a currency"),
        internet_mode: "pppoe".into(),
        vlan: Some(300),
    };
    bed.app.create_plan(&app::Actor::System("test"), plan).await.expect("a plan").0.to_string()
}

#[tokio::test]
async fn a_new_service_is_made_only_when_what_was_looked_at_is_what_is_ordered() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, _, olt) = bed.seeded().await;
    enabled(&bed, olt).await;
    let plan = plan(&bed).await;
    let before = counts(&bed).await;
    let form = |seen| {
        [
            ("detected", "1"),
            ("for", "new"),
            ("plan_id", plan.as_str()),
            ("customer_name", "Noor"),
            ("seen", seen),
            ("pppoe_password", "typed-Heron-1"),
            ("ssid", "Own"),
            ("passphrase", "typed-Heron-2"),
        ]
    };
    let refused = admin.post(&bed, "/authorise", &form("00000000000000000000000000000000")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("would not be sent what the dry run showed"), "{}", refused.text);
    assert!(refused.text.contains("value=\"Noor\""), "what was typed stays");
    assert_eq!(counts(&bed).await, before, "nothing was made for it");

    let ordered = admin.post(&bed, "/authorise", &form("")).await;
    assert_eq!(ordered.status, StatusCode::SEE_OTHER, "{}", ordered.text);
    assert_eq!(counts(&bed).await, (before.0 + 1, before.1 + 1));
    let task: OltTaskId = ordered
        .header(header::LOCATION)
        .strip_prefix("/tasks/")
        .and_then(|id| id.parse().ok().map(OltTaskId))
        .expect("it leads to the task");
    let task: rows::OltTask = bed.app.store().require(task).await.expect("the task");
    assert_eq!(task.plan["description"], "S-10002 Noor");
    assert_eq!(task.plan["service_ports"][0]["vlan"], 300);
}

#[tokio::test]
async fn what_is_refused_leaves_no_customer_and_says_so() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, _, olt) = bed.seeded().await;
    enabled(&bed, olt).await;
    let plan = plan(&bed).await;
    let before = counts(&bed).await;
    // The login of the service that is there already.
    let taken = bed.app.store().require::<rows::Service>(types::ServiceId(1)).await.expect("a service");
    let taken = taken.pppoe_login.expect("it has one");
    let long = "x".repeat(501);
    for (field, value, said) in [
        ("passphrase", "1234567", "must be 8 to 63 characters"),
        ("pppoe_login", "a b", "must be printable ASCII without blanks"),
        ("pppoe_login", taken.as_str(), "is taken (service S-10001)"),
        ("pppoe_password", "пароль", "routers carry no others"),
        ("address", long.as_str(), "500 is the most"),
        ("customer_phone", &long[..41], "40 is the most"),
        ("customer_name", "", "is empty; it is needed"),
        ("internet_vlan", "40", "is the management VLAN"),
    ] {
        let mut form = vec![("detected", "1"), ("for", "new"), ("plan_id", plan.as_str()), ("ssid", "Own")];
        form.extend((field != "customer_name").then_some(("customer_name", "Noor")));
        form.push((field, value));
        let refused = admin.post(&bed, "/authorise", &form).await;
        assert!(refused.status.is_client_error(), "{field}: {} {}", refused.status, refused.text);
        assert!(refused.text.contains(said), "{field}: {}", refused.text);
        assert!(refused.text.contains("Nothing was saved."), "{field}: {}", refused.text);
        assert_eq!(counts(&bed).await, before, "{field}: nothing was made");
        let serial = "HWTC-9A41B2C7".parse().expect("a serial");
        assert!(tasks::for_serial(bed.app.store(), serial, 5).await.expect("readable").is_empty(), "{field}");
    }
}

#[tokio::test]
async fn the_line_only_is_for_nobody_even_if_a_service_waits() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, _, olt) = bed.seeded().await;
    enabled(&bed, olt).await;
    let input = app::NewService {
        customer_id: types::CustomerId(1),
        plan_id: types::PlanId(1),
        pppoe_login: None,
        pppoe_password: None,
        wifi: None,
        expected_serial: Some("HWTC-9A41B2C7".parse().expect("a serial")),
        address: String::new(),
    };
    bed.app.create_service(&app::Actor::System("test"), input).await.expect("a service");
    let page = admin.get(&bed, "/authorise?detected=1").await.text;
    assert!(page.contains("S-10002 waits for this serial; it stays without an ONU then."), "{page}");
    let ordered = admin.post(&bed, "/authorise", &[("detected", "1"), ("for", "none")]).await;
    assert_eq!(ordered.status, StatusCode::SEE_OTHER, "{}", ordered.text);
    let serial = "HWTC-9A41B2C7".parse().expect("a serial");
    let task = tasks::for_serial(bed.app.store(), serial, 5).await.expect("readable").remove(0);
    assert_eq!((task.service_id, &task.plan["description"]), (None, &serde_json::json!("")));
}

#[tokio::test]
async fn who_may_not_make_services_is_not_offered_a_new_one() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let offer = "<option value=\"new\"";
    assert!(admin.get(&bed, "/authorise?detected=1").await.text.contains(offer));
    let mut technician = bed.person(Role::Technician).await;
    let page = technician.get(&bed, "/authorise?detected=1").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains(offer), "{}", page.text);
}
