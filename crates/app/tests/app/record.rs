//! The audit log: who changed what, from what to what, and never a secret.

use crate::support::{
    bed::Bed,
    world::{self, Calls, admin, pppoe_plan},
};
use app::{AccessInput, App, AppError, InternetInput, NewPlan, VlanInput, WifiInput};
use serde_json::{Value, json};
use types::{PlanId, Secret};

/// What the newest line about this action says.
async fn audited(app: &App, action: &str) -> (Value, Value) {
    let log = store::users::audit_page(app.store(), None, 100).await.expect("readable");
    let line = log.into_iter().find(|line| line.action == action).unwrap_or_else(|| panic!("no {action}"));
    (line.before.unwrap_or_default(), line.after.unwrap_or_default())
}

async fn a_changed_plan_is_recorded_with_what_it_was(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id: PlanId = world::plan(&app, "Home 100").await;
    let wanted = NewPlan { down_kbps: 200_000, price_minor: 2_900, ..pppoe_plan("Home 200") };
    app.update_plan(&admin(), id, wanted, false).await.expect("changed");
    let (before, after) = audited(&app, "plan.change").await;
    assert_eq!(
        (&before["name"], &before["down_kbps"], &before["price_minor"], &before["active"]),
        (&json!("Home 100"), &json!(100_000), &json!(2_500), &json!(true))
    );
    assert_eq!(
        (&after["name"], &after["down_kbps"], &after["price_minor"], &after["active"]),
        (&json!("Home 200"), &json!(200_000), &json!(2_900), &json!(false))
    );
}

async fn a_changed_wish_is_recorded_with_what_it_was_and_without_its_secrets(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let id = world::service(&app, "amina@isp", None).await;
    let internet = |username: &str, password: Option<&str>| InternetInput {
        mode: "pppoe".into(),
        username: Some(username.into()),
        password: password.map(Secret::new),
        vlan: Some(VlanInput::Tag(101)),
        ..InternetInput::default()
    };
    app.set_internet(&admin(), id, internet("zahra@isp", None)).await.expect("changed");
    let (before, after) = audited(&app, "service.internet").await;
    assert_eq!(before, json!({ "mode": "pppoe", "username": "amina@isp", "vlan": 100 }));
    assert_eq!(after, json!({ "mode": "pppoe", "username": "zahra@isp", "vlan": 101 }));
    app.set_internet(&admin(), id, internet("zahra@isp", Some("new-Heron-77"))).await.expect("changed");
    let (before, after) = audited(&app, "service.internet").await;
    assert_eq!((&before["password"], &after["password"]), (&Value::Null, &json!("changed")));

    let wifi =
        WifiInput { ssid: "Heron".into(), passphrase: Some(Secret::new("wifi-Heron-77")), enabled: false };
    app.set_access(&admin(), id, AccessInput { wifi }).await.expect("changed");
    let (before, after) = audited(&app, "service.access").await;
    assert_eq!(before, json!({ "ssid": "Zahra", "enabled": true }));
    assert_eq!(after, json!({ "ssid": "Heron", "enabled": false, "passphrase": "changed" }));

    app.suspend_service(&admin(), id, "unpaid").await.expect("suspended");
    let (before, after) = audited(&app, "service_suspended").await;
    assert_eq!(before, json!({ "state": "reserved", "access": "allowed", "reason": null }));
    assert_eq!(after, json!({ "state": "suspended", "access": "blocked", "reason": "unpaid" }));
    bed.hides(&["new-Heron-77", "wifi-Heron-77", world::PPPOE_PASSWORD, world::PASSPHRASE]).await;
}

async fn a_first_contact_password_is_recorded_as_set_changed_and_removed(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    assert_eq!(app.first_contact_set().await.expect("readable"), None);
    let words = |(before, after): (Value, Value)| {
        [before, after].map(|v| v["first_contact_password"].as_str().map(str::to_owned))
    };
    let text = |word: &str| Some(word.to_owned());
    for (password, [before, after]) in [
        (Some("first-Heron-77"), [text("not set"), text("set")]),
        (Some("other-Heron-78"), [text("set"), text("changed")]),
        (None, [None, None]),
        (Some(""), [text("set"), text("not set")]),
    ] {
        bed.advance_s(60);
        app.set_acs_policy(&admin(), world::policy(), password.map(Secret::new)).await.expect("acceptable");
        assert_eq!(words(audited(&app, "settings.acs").await), [before, after], "{password:?}");
        let set = app.first_contact_set().await.expect("readable");
        match password {
            Some("") => assert_eq!(set, None),
            Some(_) => {
                let set = set.expect("it is set");
                assert_eq!((set.since, set.by.as_str()), (app.now(), "nino"));
            }
            None => assert!(set.expect("it stays").since < app.now(), "kept, not set again"),
        }
    }
    let bad = app.set_acs_policy(&admin(), world::policy(), Some(Secret::new("a b"))).await;
    assert!(matches!(bad, Err(AppError::Invalid { .. })), "{bad:?}");
    bed.hides(&["first-Heron-77", "other-Heron-78"]).await;
}

on_both!(
    a_changed_plan_is_recorded_with_what_it_was,
    a_changed_wish_is_recorded_with_what_it_was_and_without_its_secrets,
    a_first_contact_password_is_recorded_as_set_changed_and_removed,
);
