//! The dialogs of the service page: what was typed stays when it is refused, and what is wanted comes back.

use axum::http::{StatusCode, header};

use super::bed::Bed;

/// A dialog, what is sent from it, and what has to be in it afterwards.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn a_dialog_that_was_refused_is_open_again_with_what_was_typed() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    assert!(!admin.get(&bed, &place).await.text.contains(" data-now"), "none is open by itself");
    let long = "x".repeat(40);
    let why = "why ".repeat(60);
    let cases: [Case<'_>; 7] = [
        (
            "wifi",
            &[("ssid", &long), ("passphrase", "another-Heron-1")],
            &["e-ssid", "e-passphrase", "type it again"],
        ),
        (
            "internet",
            &[("mode", "static"), ("address", "203.0.113.10"), ("mask", "here"), ("gateway", "203.0.113.9")],
            &["203.0.113.10", "e-mask", "&quot;here&quot;"],
        ),
        (
            "internet",
            &[("mode", "dhcp"), ("vlan_kind", "tag"), ("vlan", "five")],
            &["e-vlan", "value=\"five\""],
        ),
        (
            "lan",
            &[
                ("lan", "ours"),
                ("address", "192.168.7.1"),
                ("mask", "255.255.255.0"),
                ("dhcp_first", "192.168.9.2"),
                ("dhcp_last", "192.168.7.9"),
            ],
            &["192.168.9.2", "e-dhcp_first"],
        ),
        (
            "correct",
            &[("address", "Kilimani 4"), ("expected_serial", "nonsense")],
            &["Kilimani 4", "e-expected_serial"],
        ),
        (
            "suspend",
            &[("reason", "abuse"), ("confirm", "S-1")],
            &["value=\"abuse\" selected", "value=\"S-1\""],
        ),
        ("hold", &[("reason", &why)], &["why why", "Nothing was saved."]),
    ];
    for (dialog, fields, kept) in cases {
        let answer = admin.post(&bed, &format!("{place}/{dialog}"), fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{dialog}: {}", answer.text);
        let (_, open) = answer.text.split_once(&format!("id=\"{dialog}\"")).expect("the dialog is there");
        let open = open.split("</dialog>").next().unwrap_or_default();
        assert!(open.starts_with(" aria-labelledby") && open.contains(" data-now"), "{dialog}: {open}");
        for kept in kept {
            assert!(open.contains(kept), "{dialog} lost {kept}: {open}");
        }
        assert!(!answer.text.contains("another-Heron-1"), "a password is never sent back");
    }
}

#[tokio::test]
async fn what_was_wanted_is_in_the_dialog_the_next_time() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    let fixed = [
        ("mode", "static"),
        ("address", "203.0.113.10"),
        ("mask", "255.255.255.248"),
        ("gateway", "203.0.113.9"),
        ("dns", "9.9.9.9, 1.1.1.1"),
        ("nat", "off"),
        ("ipv6", "on"),
        ("mtu", "1492"),
        ("bind", "lan1 ssid1"),
        ("policy_routes", "on"),
    ];
    let answer = admin.post(&bed, &format!("{place}/internet"), &fixed).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = admin.get(&bed, &place).await.text;
    for part in [
        "<option value=\"static\" selected>",
        "value=\"203.0.113.10\"",
        "value=\"9.9.9.9, 1.1.1.1\"",
        "value=\"1492\"",
        "value=\"lan1, ssid1\"",
        "<option value=\"off\" selected>Off, the LAN has public addresses",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let lan = [
        ("lan", "ours"),
        ("address", "192.168.7.1"),
        ("mask", "255.255.255.0"),
        ("dhcp", "off"),
        ("dhcp_first", "192.168.7.10"),
        ("dhcp_last", "192.168.7.99"),
    ];
    let answer = admin.post(&bed, &format!("{place}/lan"), &lan).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("value=\"192.168.7.99\"") && page.contains("value=\"ours\" selected"), "{page}");
}

#[tokio::test]
async fn a_service_that_has_ended_says_what_is_left_and_offers_to_remove_its_onu() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    // Its router was let go of before; that ending does so is seen where there are real ones.
    let untied = bed.app.store().write::<_, _, store::StoreError>(move |tx| {
        Box::pin(async move { store::services::link_cpe(tx, service, None).await })
    });
    untied.await.expect("untied");
    let place = format!("/services/{service}");
    let wrong = admin.post(&bed, &format!("{place}/end"), &[("confirm", "S-1")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let late = admin.post(&bed, &format!("{place}/end"), &[("confirm", "S-10001"), ("version", "999")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.text);
    let ended = admin.post(&bed, &format!("{place}/end"), &[("confirm", "S-10001")]).await;
    assert_eq!((ended.status, ended.header(header::LOCATION)), (StatusCode::SEE_OTHER, place.as_str()));
    let page = admin.get(&bed, &place).await.text;
    for part in ["The service has ended", "Remove ONU…", "/change?do=remove"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for gone in ["Change Internet…", "New passwords…", "data-open=\"#suspend\""] {
        assert!(!page.contains(gone), "{gone} is still offered");
    }
}

#[tokio::test]
async fn a_wifi_password_without_a_name_is_not_dropped_in_silence() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let form = [("customer_id", "1"), ("plan_id", "1"), ("passphrase", "typed-Heron-2")];
    let refused = admin.post(&bed, "/services", &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("is missing beside its password."), "{}", refused.text);
    assert!(
        refused.text.contains("type it again") && !refused.text.contains("typed-Heron-2"),
        "{}",
        refused.text
    );
    assert!(bed.app.store().read().service(2).await.expect("readable").is_none(), "nothing was made");
}

/// What a dialog of this page says it began with.
fn version(page: &str, dialog: &str) -> String {
    let (_, open) = page
        .split_once(&format!("<dialog class=\"lk-dialog\" id=\"{dialog}\""))
        .expect("the dialog is there");
    let (_, value) = open.split_once("name=\"version\" value=\"").expect("it has a version");
    value.split('"').next().unwrap_or_default().replace("&#34;", "\"").replace("&#38;", "&")
}

#[tokio::test]
async fn a_dialog_that_somebody_has_overtaken_says_what_changed_and_keeps_what_was_typed() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    let page = admin.get(&bed, &place).await.text;
    let old = version(&page, "internet");

    // A colleague changes something of it.
    let change = [("mode", "pppoe"), ("username", "amina"), ("mtu", "1400"), ("version", old.as_str())];
    let saved = admin.post(&bed, &format!("{place}/internet"), &change).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);

    let mine = |version| {
        [("mode", "pppoe"), ("username", "amina"), ("mtu", ""), ("bind", "lan3"), ("version", version)]
    };
    let stale = admin.post(&bed, &format!("{place}/internet"), &mine(&old)).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    assert!(stale.text.contains("mtu was nothing and is 1400"), "{}", stale.text);
    assert!(stale.text.contains("value=\"lan3\""), "what was typed stays: {}", stale.text);
    // Told of it, whoever saves again has decided.
    let now = version(&stale.text, "internet");
    assert_ne!(now, old);
    let again = admin.post(&bed, &format!("{place}/internet"), &mine(&now)).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text);

    // What is not of that part disturbs nobody, though the row of the service is another one each time.
    let page = admin.get(&bed, &place).await.text;
    let (internet, wifi, lan) = (version(&page, "internet"), version(&page, "wifi"), version(&page, "lan"));
    let change = [("ssid", "Kilimani"), ("enabled", "1"), ("version", wifi.as_str())];
    let saved = admin.post(&bed, &format!("{place}/wifi"), &change).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let change = [
        ("lan", "ours"),
        ("address", "192.168.7.1"),
        ("mask", "255.255.255.0"),
        ("dhcp", "off"),
        ("version", lan.as_str()),
    ];
    let saved = admin.post(&bed, &format!("{place}/lan"), &change).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let who = app::Actor::System("test");
    bed.app.suspend_service(&who, service, "unpaid").await.expect("suspended");
    bed.app.resume_service(&who, service).await.expect("resumed");
    let saved = admin.post(&bed, &format!("{place}/internet"), &mine(&internet)).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);

    for (dialog, old, typed) in [("wifi", &wifi, ("ssid", "Other")), ("lan", &lan, ("lan", "own"))] {
        let stale = admin.post(&bed, &format!("{place}/{dialog}"), &[typed, ("version", old.as_str())]).await;
        assert_eq!(stale.status, StatusCode::CONFLICT, "{dialog}: {}", stale.text);
    }
}

/// A colleague made another password while a dialog was open: it is not overwritten without a word, it is in no page, and
/// what was typed beside the secret stays.
#[tokio::test]
async fn a_secret_that_a_colleague_changed_is_not_overwritten_in_silence() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    let page = admin.get(&bed, &place).await.text;
    let (wifi, internet) = (version(&page, "wifi"), version(&page, "internet"));
    let theirs =
        [("ssid", "Kilimani"), ("enabled", "1"), ("passphrase", "told-Heron-11"), ("version", &wifi)];
    let saved = admin.post(&bed, &format!("{place}/wifi"), &theirs).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let page = admin.get(&bed, &place).await.text;
    let wifi = version(&page, "wifi");
    let theirs =
        [("ssid", "Kilimani"), ("enabled", "1"), ("passphrase", "told-Heron-12"), ("version", &wifi)];
    let saved = admin.post(&bed, &format!("{place}/wifi"), &theirs).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let theirs =
        [("mode", "pppoe"), ("username", "amina"), ("password", "told-Heron-13"), ("version", &internet)];
    let saved = admin.post(&bed, &format!("{place}/internet"), &theirs).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);

    // Nothing but the secret is another one.
    let mine =
        [("ssid", "Kilimani 2"), ("enabled", "1"), ("passphrase", "mine-Heron-21"), ("version", &wifi)];
    let stale = admin.post(&bed, &format!("{place}/wifi"), &mine).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    let told = "the passphrase was changed by admin at 20";
    assert!(stale.text.contains(told) && stale.text.contains("value=\"Kilimani 2\""), "{}", stale.text);
    let mine =
        [("mode", "pppoe"), ("username", "amina2"), ("password", "mine-Heron-22"), ("version", &internet)];
    let stale = admin.post(&bed, &format!("{place}/internet"), &mine).await;
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    let told = "the password was changed by admin at 20";
    assert!(stale.text.contains(told) && stale.text.contains("value=\"amina2\""), "{}", stale.text);

    // Nothing secret is in the page, and what tells secrets apart is another one for every service.
    let page = admin.get(&bed, &place).await.text;
    for secret in ["told-Heron-11", "told-Heron-12", "told-Heron-13", "mine-Heron"] {
        assert!(!page.contains(secret) && !stale.text.contains(secret), "{secret} is in a page");
    }
    let access = bed.app.store();
    let access = store::services::intents(access, service).await.expect("readable").into_iter();
    let access = access.into_iter().find(|intent| intent.layer == store::Layer::Access).expect("there");
    let access = serde_json::from_str(access.body.expose()).expect("an intent");
    let here = bed.app.wifi_seen(service, Some(&access));
    assert_ne!(here, bed.app.wifi_seen(types::ServiceId(service.0 + 1), Some(&access)));

    // Told of it, whoever saves again has decided.
    let now = version(&stale.text, "internet");
    let mine = [("mode", "pppoe"), ("username", "amina"), ("password", "mine-Heron-22"), ("version", &now)];
    let again = admin.post(&bed, &format!("{place}/internet"), &mine).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text);
}

#[tokio::test]
async fn a_version_that_cannot_be_read_is_refused() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    for (dialog, field) in [
        ("internet", ("mode", "dhcp")),
        ("wifi", ("ssid", "Other")),
        ("lan", ("lan", "own")),
        ("correct", ("address", "Elsewhere")),
        ("end", ("confirm", "S-10001")),
    ] {
        let answer = admin.post(&bed, &format!("{place}/{dialog}"), &[field, ("version", "seven{")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{dialog}: {}", answer.text);
    }
    let row = bed.app.store().read().service(service.0).await.expect("readable").expect("there");
    assert!(row.state != "terminated" && row.address != "Elsewhere", "nothing of it was done");
}
