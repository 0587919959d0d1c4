//! The page on which a router is read, changed and restarted.

use app::Role;
use http::StatusCode;
use store::{StoreError, rows};
use types::CpeId;

use super::bed::{Bed, NOW, between};

/// A device of the seeded network with a fresh machine and a few parameters.
async fn device(bed: &Bed) -> CpeId {
    let (service, cpe, _) = bed.seeded().await;
    let fresh = serde_json::to_value(provisioning::Device::new(NOW)).expect("json");
    let parameter = |path: &str, value: &str, writable: bool| rows::CpeParameter {
        cpe_id: cpe,
        path: path.into(),
        value: value.into(),
        kind: "unsignedInt".into(),
        writable: Some(writable),
        read_at: NOW,
        source: String::new(),
    };
    let mut found = vec![
        parameter("Device.Hosts.Limit", "12", true),
        parameter("Device.Hosts.Count", "7", false),
        parameter("Device.Hosts.KeyPassphrase", "", true),
    ];
    found.extend((1..=60).map(|n| parameter(&format!("Device.Hosts.Host.{n}.Age"), "1", false)));
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let (fresh, found) = (fresh.clone(), found.clone());
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.machine = fresh.into();
                row.service_id = Some(service);
                tx.update(&row).await?.or_overtaken("the CPE")?;
                store::cpes::put_parameters(tx, cpe, &found).await
            })
        })
        .await
        .expect("written");
    cpe
}

#[tokio::test]
async fn the_data_model_is_walked_step_by_step() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let root = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    assert!(root.contains("63 parameters"), "one object, with how much is below it");
    let hosts = admin.get(&bed, &format!("/cpes/{cpe}/care?path=Device.Hosts.")).await.text;
    assert!(hosts.contains("60 parameters") && hosts.contains(">secret<"), "{hosts}");
    let table = admin.get(&bed, &format!("/cpes/{cpe}/care?path=Device.Hosts.Host.")).await.text;
    let body = between(&table, "<tbody>", "</tbody>");
    let place = |n: u32| body.find(&format!(">{n}</a>"));
    assert!(place(2).expect("there") < place(10).expect("there"), "by number, not by letter: {body}");
    assert_eq!(place(60), None, "the rest is on the next page");
    let nothing = admin.get(&bed, &format!("/cpes/{cpe}/care?path=Device.Nothing.")).await.text;
    assert!(nothing.contains("Nothing was read here yet"));
}

#[tokio::test]
async fn a_change_is_ordered_with_its_type_checked_and_can_be_withdrawn() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let form = admin.get(&bed, &format!("/cpes/{cpe}/care?path=Device.Hosts.Limit")).await.text;
    assert!(between(&form, "id=\"edit\"", "</section>").contains("value=\"12\""));
    let set = format!("/cpes/{cpe}/care/set");
    let orders = async || bed.app.device_orders(cpe, 10).await.expect("readable");
    for (path, value) in [("Device.Hosts.Limit", "many"), ("Device.Hosts.Count", "8")] {
        let answer = admin.post(&bed, &set, &[("path", path), ("value", value)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(orders().await.len(), 0, "{path}: neither no number nor what is read-only");
    }
    admin.post(&bed, &set, &[("path", "Device.Hosts.KeyPassphrase"), ("value", "12345678")]).await;
    let page = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    assert!(!page.contains("12345678"), "a secret is never shown");
    let order = orders().await.pop().expect("ordered");
    assert_eq!(order.state, "waiting");
    assert!(between(&page, "id=\"orders\"", "</section>").contains("Waiting for the next session"));
    let id = order.id.to_string();
    admin.post(&bed, &format!("/cpes/{cpe}/care/cancel"), &[("order", &id)]).await;
    assert_eq!(orders().await[0].state, "cancelled");
}

/// Writes into the machine of a device, as a session of it would have.
async fn machine(bed: &Bed, cpe: CpeId, change: impl Fn(&mut rows::Cpe) + Send + Sync + Clone + 'static) {
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let change = change.clone();
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(cpe).await?;
                change(&mut row);
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
}

#[tokio::test]
async fn a_write_that_may_have_left_is_not_said_to_be_untold() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    admin
        .post(&bed, &format!("/cpes/{cpe}/care/set"), &[("path", "Device.Hosts.Limit"), ("value", "8")])
        .await;
    machine(&bed, cpe, |row| {
        let mut machine = row.machine.value();
        machine["orders"][0]["tries"] = 1.into();
        row.machine = machine.into();
    })
    .await;
    let order = bed.app.device_orders(cpe, 1).await.expect("readable").remove(0);
    admin.post(&bed, &format!("/cpes/{cpe}/care/cancel"), &[("order", &order.id.to_string())]).await;
    let page = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    assert_eq!(bed.app.device_order(order.id).await.expect("is there").state, "failed");
    assert!(page.matches("may have been told").count() > 1, "in its line and in what is said at once");
    assert!(!page.contains("not told of it"), "nobody knows that");
}

#[tokio::test]
async fn what_may_not_be_ordered_is_not_offered_and_says_why() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let place = format!("/cpes/{cpe}/care");
    machine(&bed, cpe, |row| row.service_id = None).await;
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("belongs to no service") && !page.contains("id=\"dc-reboot\""));
    let page = admin.get(&bed, &format!("{place}?path=Device.Hosts.Limit")).await.text;
    assert!(!page.contains("id=\"edit\"") && page.contains("id=\"dc-refresh\""), "it can be read");
}

#[tokio::test]
async fn a_restart_needs_a_tick_and_a_right_of_its_own() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let reboot = format!("/cpes/{cpe}/care/reboot");
    let orders = async || bed.app.device_orders(cpe, 10).await.expect("readable").len();
    admin.post(&bed, &reboot, &[]).await;
    assert_eq!(orders().await, 0, "not confirmed");
    admin.post(&bed, &reboot, &[("confirmed", "1")]).await;
    assert_eq!(orders().await, 1);
    let mut technician = bed.person(Role::Technician).await;
    let page = technician.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    assert!(!page.contains("id=\"dc-reboot\"") && page.contains("id=\"tree\""), "seen, not offered");
    let answer = technician.post(&bed, &reboot, &[("confirmed", "1")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_test_is_ordered_from_the_page_and_its_hops_are_shown() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let test = format!("/cpes/{cpe}/care/test");
    let orders = async || bed.app.device_orders(cpe, 10).await.expect("readable");
    let mut viewer = bed.person(Role::Viewer).await;
    assert!(!viewer.get(&bed, &format!("/cpes/{cpe}/care")).await.text.contains("id=\"dc-test-go\""));
    let answer = viewer.post(&bed, &test, &[("test", "ping"), ("host", "10.0.0.1")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    admin.post(&bed, &test, &[("test", "ping"), ("host", "a;reboot")]).await;
    assert_eq!(orders().await.len(), 0, "no name and no address");
    admin.post(&bed, &test, &[("test", "traceroute"), ("host", "www.example.net")]).await;
    let order = orders().await.pop().expect("ordered");
    assert_eq!((order.kind.as_str(), order.state.as_str()), ("traceroute", "waiting"));
    let page = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    assert!(page.contains(&format!("begun within {} min", app::TEST_EXPIRES_S / 60)), "how long it waits");
    let findings = serde_json::json!({
        "test": "traceroute", "host": "www.example.net", "cut": false, "doubtful": false,
        "interface": null, "not_taken": [{ "what": "hops at most", "asked": "30", "has": null }],
        "hops": [
            { "name": "<b>gw</b>", "address": "192.0.2.1", "times_ms": [1, 2], "error": null },
            { "name": "", "address": "", "times_ms": [], "error": 3 },
        ],
    });
    let news = store::orders::News {
        key: order.key.clone(),
        state: "sent".into(),
        text: "2 hops".into(),
        findings: Some(findings),
        ..Default::default()
    };
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let news = news.clone();
            Box::pin(async move { store::orders::note(tx, &news).await })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
    let shown = between(&page, "id=\"orders\"", "</section>");
    assert!(shown.contains("&#60;b&#62;gw") && shown.contains("1, 2 ms"), "{shown}");
    assert!(shown.contains("no answer") && shown.contains("ICMP 3"), "{shown}");
    assert!(shown.contains("/care/cancel"), "what goes on can be given up");
}

#[tokio::test]
async fn what_was_found_is_shown_in_tables() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = device(&bed).await;
    let test = format!("/cpes/{cpe}/care/test");
    for (word, findings, shown) in [
        (
            "hosts",
            serde_json::json!({ "test": "hosts", "cut": false, "hosts": [
                { "mac": "02:00:5E:00:01:02", "ip": "192.168.1.3", "name": "<i>phone", "interface": "802.11", "active": true,
                  "wifi": true, "band": "5GHz", "signal_dbm": -54, "down_kbps": 144_400, "up_kbps": null },
            ] }),
            ["&#60;i&#62;phone", "Wi-Fi 5GHz", "-54 dBm", "144 Mbit/s"],
        ),
        (
            "neighbours",
            serde_json::json!({ "test": "neighbours", "cut": false, "doubtful": false, "networks": [
                { "ssid": "Bakery", "bssid": "02:00:5E:00:00:11", "channel": 6, "band": "2.4GHz", "signal_dbm": -71,
                  "width": "20MHz", "security": "WPA2", "standards": "n" },
            ] }),
            ["Bakery", "2.4GHz", "-71 dBm", "WPA2"],
        ),
        (
            "lookup",
            serde_json::json!({ "test": "lookup", "host": "a.example", "successes": 1, "doubtful": false, "cut": false, "interface": null,
              "not_taken": [], "answers": [
                { "status": "Success", "name": "a.example", "addresses": ["203.0.113.7"], "server": "100.64.0.53", "time_ms": 12 },
            ] }),
            ["203.0.113.7", "100.64.0.53", "12 ms", "Success"],
        ),
    ] {
        admin.post(&bed, &test, &[("test", word), ("host", "a.example")]).await;
        let order = bed.app.device_orders(cpe, 1).await.expect("readable").pop().expect("ordered");
        assert_eq!(order.kind, word);
        let news = store::orders::News {
            key: order.key.clone(),
            state: "done".into(),
            text: "Success".into(),
            findings: Some(findings),
            ended_at: Some(NOW),
            ..Default::default()
        };
        bed.app
            .store()
            .write::<_, _, StoreError>(move |tx| {
                let news = news.clone();
                Box::pin(async move { store::orders::note(tx, &news).await })
            })
            .await
            .expect("written");
        let page = admin.get(&bed, &format!("/cpes/{cpe}/care")).await.text;
        let orders = between(&page, "id=\"orders\"", "</section>");
        for one in shown {
            assert!(orders.contains(one), "{one} is not in {orders}");
        }
    }
}
