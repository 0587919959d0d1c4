//! The page of one CPE, and the list of its parameters.

use app::Role;
use store::{StoreError, rows};
use types::UtcMs;

use super::bed::{Bed, HOSTILE, NOW, between};

#[tokio::test]
async fn every_closed_gate_every_layer_and_what_a_session_did_are_on_the_page() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let session = rows::CpeSession {
        cpe_id: cpe,
        began_at: NOW,
        ended_at: Some(NOW.plus_s(2)),
        events: "2 PERIODIC".into(),
        requests: 3,
        outcome: Some("clean".into()),
        detail: serde_json::json!([
            "GetParameterValues",
            "GetParameterValues",
            "SetParameterValues \u{2192} fault 9007"
        ]),
        ..rows::CpeSession::default()
    };
    let fresh = serde_json::to_value(provisioning::Device::new(NOW)).expect("json");
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let (session, fresh) = (session.clone(), fresh.clone());
            Box::pin(async move {
                tx.insert(&session).await?;
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.machine = fresh.into();
                row.service_id = Some(service);
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    let gates = between(&page, "id=\"cp-gates\"", "</details>");
    for closed in ["Its clock is right", "It is who it says", "Its family is known"] {
        let said = between(gates, closed, "</li>");
        assert!(said.contains(": closed") && said.contains("dim small"), "{closed}: {gates}");
    }
    assert!(between(gates, "Nobody holds it", "</li>").contains(": open"), "{gates}");
    for layer in ["core", "internet", "access"] {
        assert!(page.contains(&format!("id=\"cp-l-{layer}\"")), "{layer} is on the strip");
    }
    assert!(page.contains("read values twice, wrote settings: refused, 9007"), "what the session did");
}

#[tokio::test]
async fn parameters_are_sorted_and_the_file_is_what_is_shown() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let parameter = |path: &str, value: &str, at: UtcMs| rows::CpeParameter {
        cpe_id: cpe,
        path: path.into(),
        value: value.into(),
        kind: "string".into(),
        writable: None,
        read_at: at,
        source: String::new(),
    };
    let rows = [parameter("Device.A", "zulu", NOW), parameter("Device.B", "alpha", UtcMs(NOW.0 - 5_000))];
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let rows = rows.clone();
            Box::pin(async move { store::cpes::put_parameters(tx, cpe, &rows).await })
        })
        .await
        .expect("written");
    let order = |page: &str| page.find("zulu").expect("there") < page.find("alpha").expect("there");
    for (sort, zulu_first) in
        [("", true), ("path", true), ("-path", false), ("value", false), ("read", false)]
    {
        let page = admin.get(&bed, &format!("/cpes/{cpe}/parameters?q=Device.&sort={sort}")).await.text;
        assert_eq!(order(&page), zulu_first, "{sort}");
    }
    let page = admin.get(&bed, &format!("/cpes/{cpe}?q=alpha&sort=-value")).await.text;
    let href = between(between(&page, "id=\"pm-csv\"", ">"), "href=\"", "\"").replace("&#38;", "&");
    assert_eq!(href, format!("/cpes/{cpe}/parameters.csv?q=alpha&sort=-value"));
    let file = admin.get(&bed, &href).await.text;
    assert!(file.contains("Device.B") && !file.contains("Device.A"), "{file}");
}

#[tokio::test]
async fn histories_are_filtered_sorted_and_exported() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let call = |outcome: &str, s: u64| rows::ConnectionRequest {
        cpe_id: cpe,
        at: NOW.plus_s(s),
        outcome: outcome.into(),
        ..rows::ConnectionRequest::default()
    };
    let calls = [call("accepted", 1), call("timeout", 2), call("unauthorized", 3)];
    let line = |text: &str, severity: store::Severity, s: u64| rows::TimelineEntry {
        at: NOW.plus_s(s),
        kind: "provisioning".into(),
        cpe_id: Some(cpe),
        severity,
        code: "x".into(),
        text: text.into(),
        actor: "nino".into(),
        facts: serde_json::json!({}),
        ..rows::TimelineEntry::default()
    };
    let lines =
        [line("the older one", store::Severity::Bad, 1), line("the newer one", store::Severity::Ok, 2)];
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let (calls, lines) = (calls.clone(), lines.clone());
            Box::pin(async move {
                for call in &calls {
                    tx.insert(call).await?;
                }
                for line in &lines {
                    tx.insert(line).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &format!("/cpes/{cpe}/calls")).await.text;
    let rows = between(&page, "<tbody>", "</tbody>");
    assert!(rows.find("Refused (401)").expect("there") < rows.find("Accepted").expect("there"), "{rows}");
    let page = admin.get(&bed, &format!("/cpes/{cpe}/calls?outcome=timeout")).await.text;
    let rows = between(&page, "<tbody>", "</tbody>");
    assert!(rows.contains("No answer in time") && !rows.contains("Accepted"), "{rows}");
    assert!(page.contains(&format!("href=\"/cpes/{cpe}/calls.csv?outcome=timeout\"")));
    let file = admin.get(&bed, &format!("/cpes/{cpe}/calls.csv?outcome=timeout")).await.text;
    assert_eq!(file.lines().count(), 2, "{file}");

    let place = format!("/cpes/{cpe}/timeline");
    let page = admin.get(&bed, &format!("{place}?sort=time")).await.text;
    assert!(page.find("the older one").expect("there") < page.find("the newer one").expect("there"));
    let page = admin.get(&bed, &format!("{place}?severity=bad&q=older")).await.text;
    assert!(page.contains("the older one") && !page.contains("the newer one"));
    let file = admin.get(&bed, &format!("{place}.csv?severity=bad")).await.text;
    assert!(file.contains("the older one") && !file.contains("the newer one"), "{file}");
    assert_eq!(admin.get(&bed, "/onus/1/timeline").await.status, axum::http::StatusCode::OK);
    assert_eq!(admin.get(&bed, "/cpes/99/timeline").await.status, axum::http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_last_ten_calls_are_on_the_page_in_words_and_all_of_them_a_step_away() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    assert!(between(&page, "Our call to the router", "</section>").contains("Never called"));
    let outcomes = ["http", "accepted", "timeout", "unreachable"];
    let calls: Vec<rows::ConnectionRequest> = (0..12)
        .map(|n: u64| rows::ConnectionRequest {
            cpe_id: cpe,
            at: NOW.plus_s(n),
            outcome: outcomes.get(n as usize).copied().unwrap_or("unauthorized").into(),
            detail: format!("the call number {n}."),
            ..rows::ConnectionRequest::default()
        })
        .collect();
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let calls = calls.clone();
            Box::pin(async move {
                for call in &calls {
                    tx.insert(call).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    let calls = between(&page, "Our call to the router", "</section>");
    assert_eq!(calls.matches("<li>").count(), 10, "{calls}");
    assert_eq!(calls.matches("</span><span>Refused (401)").count(), 8, "{calls}");
    assert_eq!(calls.matches("the call number").count(), 3, "what comes again is said once: {calls}");
    let order = ["Refused (401)", "Unreachable", "No answer in time"].map(|said| calls.find(said));
    assert!(order.is_sorted() && order[0].is_some(), "newest first: {order:?}");
    assert!(calls.contains(&format!("href=\"/cpes/{cpe}/calls\"")), "{calls}");
}

#[tokio::test]
async fn users_and_keys_are_filtered_sorted_and_exported() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.person(Role::Viewer).await;
    bed.person(Role::Noc).await;
    let names = |page: &str| -> Vec<String> {
        let rows = between(page, "<tbody>", "</tbody>");
        let each = rows.split("<tr>").skip(1).map(|row| between(row, "<bdi>", "</bdi>").to_owned());
        each.collect()
    };
    let page = admin.get(&bed, "/settings/users?sort=-name").await.text;
    assert_eq!(names(&page), ["viewer", "noc", "admin"]);
    let page = admin.get(&bed, "/settings/users?q=view").await.text;
    assert_eq!(names(&page), ["viewer"]);
    assert!(page.contains("href=\"/settings/users.csv?q=view\""), "the file is what is shown");
    let file = admin.get(&bed, "/settings/users.csv?q=view").await.text;
    assert!(file.contains("viewer") && !file.contains("noc"), "{file}");
    let actor = app::Actor::System("test");
    for name in ["billing", "map"] {
        bed.app.create_api_key(&actor, name, &[app::Permission::Read], None).await.expect("a key");
    }
    let page = admin.get(&bed, "/settings/api-keys?sort=-name").await.text;
    assert_eq!(names(&page), ["map", "billing"]);
    let page = admin.get(&bed, "/settings/api-keys?q=bill").await.text;
    assert_eq!(names(&page), ["billing"]);
    let file = admin.get(&bed, "/settings/api-keys.csv?q=bill").await.text;
    assert!(file.contains("billing,Valid,read,") && !file.contains("map"), "{file}");
}

#[tokio::test]
async fn who_may_not_authorise_is_led_to_where_an_onu_waits() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let hit = |page: &str| page.contains("href=\"/authorise?detected=");
    assert!(hit(&admin.get(&bed, "/search?q=9A41B2C7").await.text));
    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, "/search?q=9A41B2C7").await.text;
    assert!(!hit(&page) && page.contains("href=\"/detected?q="), "{page}");
    let href = format!("/detected?q={}", between(&page, "href=\"/detected?q=", "\""));
    assert!(viewer.get(&bed, &href).await.text.contains("HWTC-9A41B2C7"), "and sees it there");
}

#[tokio::test]
async fn a_tag_is_put_on_shown_and_taken_off() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let place = format!("/cpes/{cpe}");
    for tag in ["north", HOSTILE] {
        admin.post(&bed, &format!("{place}/tag"), &[("tag", tag)]).await;
    }
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("href=\"/cpes?tag=north\"><bdi>north</bdi>"), "{page}");
    let listed = admin.get(&bed, "/cpes?tag=north").await.text;
    assert!(
        listed.contains(&format!("href=\"/cpes/{cpe}\"")) && listed.contains("Tagged <bdi>north</bdi>"),
        "{listed}"
    );
    assert!(admin.get(&bed, "/cpes?tag=south").await.text.contains("No CPE here"));
    admin.post(&bed, &format!("{place}/untag"), &[("tag", "north")]).await;
    assert!(!admin.get(&bed, &place).await.text.contains("<bdi>north</bdi>"));
    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, &place).await.text;
    assert!(!page.contains(&format!("{place}/untag")) && !page.contains("id=\"a-tag\""), "{page}");
}

#[tokio::test]
async fn the_wans_that_could_be_the_one_are_listed_and_one_is_chosen() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let wan = |n: u32| provisioning::WanCandidate {
        path: format!("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{n}.WANPPPConnection.1."),
        name: if n == 2 { "<b>2_INTERNET".to_owned() } else { String::new() },
        vlan: Some(200),
        kind: "IP_Routed".to_owned(),
        enabled: n == 2,
        status: "Connected".to_owned(),
    };
    let mut device = provisioning::Device::new(NOW);
    device.wan_question = Some(provisioning::WanQuestion { read_at: NOW, candidates: vec![wan(2), wan(3)] });
    let asked = serde_json::to_value(device).expect("json");
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.machine = asked.into();
                row.service_id = Some(service);
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
    let place = format!("/cpes/{cpe}");
    let page = admin.get(&bed, &place).await.text;
    let section = between(&page, "id=\"cp-wans\"", "</section>");
    for shown in
        ["read ", "VLAN 200", "IP_Routed, on, Connected", "IP_Routed, off", &wan(2).path, &wan(3).path]
    {
        assert!(section.contains(shown), "{shown}: {section}");
    }
    assert!(!section.contains("<b>2_INTERNET"), "a name is text: {section}");
    assert_eq!(section.matches("Use this WAN</button>").count(), 2);
    // Whoever may only look has no button.
    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, &place).await.text;
    assert!(!between(&page, "id=\"cp-wans\"", "</section>").contains("<button"));
    // One that was not found is refused, in words.
    let answer = admin.post(&bed, &format!("{place}/wan"), &[("path", "InternetGatewayDevice.X.")]).await;
    assert_eq!(answer.status, http::StatusCode::SEE_OTHER, "{}", answer.text);
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("none of the 2 WANs"), "{page}");
    admin.post(&bed, &format!("{place}/wan"), &[("path", &wan(3).path)]).await;
    let page = admin.get(&bed, &place).await.text;
    let section = between(&page, "id=\"cp-wans\"", "</section>");
    assert!(section.contains("the next session reads the router again and uses it"), "{section}");
    assert!(page.contains("chose InternetGatewayDevice"), "who chose what is on the timeline: {page}");
}

#[tokio::test]
async fn a_claim_says_which_address_it_is_about_and_a_form_of_before_is_refused() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let place = format!("/cpes/{cpe}");
    let (code, known) = bed
        .app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                store::services::link_cpe(tx, service, None).await?;
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.machine = serde_json::to_value(provisioning::Device::new(NOW)).expect("json").into();
                row.service_id = None;
                row.peer_address = "10.20.3.9".to_owned();
                tx.update(&row).await?.or_overtaken("the CPE")?;
                Ok((tx.require::<rows::Service>(service).await?.code, row.peer_address))
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &place).await.text;
    let dialog = between(&page, "id=\"claim\"", "</dialog>").to_owned();
    assert!(dialog.contains(&format!("name=\"address\" value=\"{known}\"")), "{dialog}");
    assert!(between(&dialog, "id=\"c-at\"", "</p>").contains(&known), "it is shown too: {dialog}");

    // Another one speaks with its name, and it is moved: both are to choose from, neither is chosen for anybody.
    let claimant = rows::CpeClaimant {
        cpe_id: cpe,
        address: "10.20.3.77".into(),
        why: HOSTILE.into(),
        first_at: NOW,
        last_at: NOW,
        ..rows::CpeClaimant::default()
    };
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                store::claimants::heard(tx, &claimant).await?;
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.peer_address = "10.20.3.10".to_owned();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &place).await.text;
    let choice = between(&page, "id=\"c-a\"", "</select>").to_owned();
    for address in ["10.20.3.10", "10.20.3.77"] {
        assert!(choice.contains(&format!("value=\"{address}\"")), "{choice}");
    }
    assert!(!choice.contains("selected") && choice.contains("<option value=\"\">"), "{choice}");
    assert!(between(&page, "id=\"cp-claimants\"", "</dd>").contains("10.20.3.77"), "said on the page too");
    assert!(!page.contains("<script>alert(1)"));

    let post = |address: &'static str| [("service", code.clone()), ("address", address.to_owned())];
    for (address, sentence) in
        [("10.20.3.9", "10.20.3.10"), ("10.20.3.9", "10.20.3.77"), ("::x", "no address"), ("", "10.20.3.10")]
    {
        let fields = post(address);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = admin.post(&bed, &format!("{place}/claim"), &fields).await;
        assert!(answer.status.is_redirection(), "{}", answer.text);
        let shown = admin.get(&bed, &place).await.text;
        assert!(shown.contains("Not claimed") || shown.contains("You were shown"), "{address}");
        assert!(shown.contains(sentence), "{address} {sentence}");
    }
    let row: rows::Cpe = bed.app.store().require(cpe).await.expect("there");
    assert_eq!(row.service_id, None);
    let fields = post("10.20.3.77");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    admin.post(&bed, &format!("{place}/claim"), &fields).await;
    let row: rows::Cpe = bed.app.store().require(cpe).await.expect("there");
    assert_eq!(row.service_id, Some(service));
    let word =
        store::claimants::word_on(bed.app.store(), cpe).await.expect("reads").expect("an operator's word");
    assert_eq!((word.address.as_str(), word.vouched_until), ("10.20.3.77", Some(bed.app.now().plus_s(900))));
}
