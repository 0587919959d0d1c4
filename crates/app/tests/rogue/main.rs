//! What somebody on the management network, or with a key of small scope, cannot do.

mod claims;
mod network;

use app::{
    Actor, AppError, NewOlt, Permission, Role,
    ports::{AuthLevel, Begin, CpeFrontDoor, DeviceReply, DeviceRequest, InformFacts, Next, SessionEnd},
};
use network::*;
use provisioning::{Device, DeviceFault, Link, NameInfo, ParamValue, ParameterFault};
use std::collections::BTreeMap;
use store::{cpes, rows};
use types::{ApiKeyId, Secret, Serial, UserId, UtcMs};

#[tokio::test]
async fn a_guessed_serial_and_a_pretended_reset_get_nothing() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let cpe = network.owned(service).await;
    let before = network.cpe(cpe).await;
    for _ in 0..3 {
        let answer =
            network.spoken_to(inform("00259E", &serial().hex16(), "0 BOOTSTRAP"), stranger(ELSEWHERE)).await;
        assert_eq!(answer, (None, false));
    }
    let after = network.cpe(cpe).await;
    assert_eq!((before.machine, before.peer_address), (after.machine, after.peer_address));
    assert_eq!(network.lines(cpe, "identity_moved").await, 1, "told once, not with every try");
    // From where it has always spoken, a factory reset is a first contact again, after one question.
    let reset = || inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    assert_eq!(network.spoken_to(reset(), stranger(HOME)).await, (None, false), "asked for its secret first");
    assert!(network.spoken_to(reset(), stranger(HOME)).await.1);
    // An operator may say that a device that moved is the one: where somebody was heard, and nowhere else.
    let nowhere = network.claim(cpe, service, "127.20.0.67").await.expect_err("nobody was heard there");
    let said = nowhere.to_string();
    assert!([HOME, ELSEWHERE, "127.20.0.67"].iter().all(|one| said.contains(one)), "{said}");
    network.claim(cpe, service, ELSEWHERE).await.expect("claimed");
    for other in ["127.20.0.67", "198.51.100.9"] {
        for _ in 0..3 {
            assert_eq!(network.spoken_to(reset(), stranger(other)).await, (None, false), "{other}");
        }
    }
    assert!(network.spoken_to(reset(), stranger(ELSEWHERE)).await.1);
    // An answer may be lost: it says the same again, from where it is known now.
    assert!(network.spoken_to(reset(), stranger(ELSEWHERE)).await.1);
    // The word is used up.
    assert_eq!(network.spoken_to(reset(), stranger("127.20.0.68")).await, (None, false));
    network.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(network.spoken_to(reset(), stranger("127.20.0.67")).await, (None, false));
}

#[tokio::test]
async fn a_customers_own_address_does_not_speak_for_the_neighbour() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    network.owned(service).await;
    let neighbour: Serial = "HWTC-00000002".parse().expect("a serial number");
    let theirs = network.service("Bela", neighbour).await;
    network.online(theirs, neighbour, 2).await;
    let (row, asked) =
        network.spoken_to(inform("00259E", &neighbour.hex16(), "0 BOOTSTRAP"), stranger(HOME)).await;
    assert!(row.is_some() && !asked, "kept in quarantine");
    assert_eq!(network.cpe_of(theirs).await, None);
    let (row, asked) =
        network.spoken_to(inform("00259E", &neighbour.hex16(), "0 BOOTSTRAP"), stranger(ELSEWHERE)).await;
    assert!(asked && network.cpe_of(theirs).await == row, "the neighbour itself is not kept out by it");
}

#[tokio::test]
async fn a_guessed_serial_elsewhere_in_the_management_network_learns_nothing() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let announced = network.announced(service).await;
    network.has(serial(), &[HOME]).await;
    // First come, first told nothing: under the name of the real one, and under names of their own.
    for (oui, notation) in [
        ("00259E", serial().hex16()),
        ("BADBAD", serial().hex16()),
        ("BADBAE", "HWTC7D4733C3".to_owned()),
        ("", "hwtc-7d4733c3".to_owned()),
    ] {
        let mut lie = inform(oui, &notation, "0 BOOTSTRAP");
        lie.parameters.push(leaf("X_HW_SerialNumber", &serial().hex16()));
        let (row, asked) = network.spoken_to(lie, stranger(ELSEWHERE)).await;
        assert!(!asked, "{oui} {notation}");
        if let Some(row) = row {
            assert!(network.cpe(row).await.quarantine, "{oui} {notation}");
        }
        assert_eq!(network.cpe_of(service).await, Some(announced));
    }
    let reports = network.history(service, "identity_elsewhere").await;
    assert_eq!(reports.len(), 1, "told once, however many pretend: {reports:?}");
    assert!(
        reports[0].contains("ONU HWTC-7D4733C3 has 127.20.0.10 by olt-1")
            && reports[0].contains("from 127.20.0.66; nothing was told to it"),
        "{reports:?}"
    );
    // The shared credentials of the OLT's profile change nothing about it.
    let shared = || peer(ELSEWHERE, AuthLevel::Bootstrap, None);
    let lie = || inform("00259E", &serial().hex16(), "2 PERIODIC");
    assert!(!network.spoken_to(lie(), shared()).await.1);
    // The real one is served, under the very name that the first liar took.
    let (row, asked) =
        network.spoken_to(inform("00259E", &serial().hex16(), "0 BOOTSTRAP"), stranger(HOME)).await;
    assert!(asked && row.is_some() && network.cpe_of(service).await == row);
    let id = row.expect("accepted");
    assert_eq!(network.history(service, "identity_confirmed").await.len(), 1);
    // In the middle of its first contact nobody takes its place, moves it, or is told anything.
    let before = network.cpe(id).await;
    for _ in 0..3 {
        assert_eq!(network.spoken_to(lie(), shared()).await, (None, false));
        assert_eq!(network.spoken_to(lie(), stranger(ELSEWHERE)).await, (None, false));
    }
    let after = network.cpe(id).await;
    assert_eq!((before.machine, before.peer_address), (after.machine, after.peer_address));
    assert!(network.spoken_to(lie(), stranger(HOME)).await.1, "it goes on");
}

#[tokio::test]
async fn whoever_tries_every_serial_gets_none() {
    let network = Network::new().await;
    let customers: Vec<Serial> =
        (0..12u8).map(|n| Serial::from_bytes([0x48, 0x57, 0x54, 0x43, 0, 0, 7, n])).collect();
    let mut services = Vec::new();
    for (n, serial) in (1u8..).zip(&customers) {
        let service = network.service(&format!("customer {n}"), *serial).await;
        network.online(service, *serial, n.into()).await;
        network.has(*serial, &[&format!("127.20.1.{n}")]).await;
        services.push(service);
    }
    // A customer with a service and an address of its own tries the numbers of all others.
    for serial in &customers[1..] {
        let (_, asked) =
            network.spoken_to(inform("00259E", &serial.hex16(), "0 BOOTSTRAP"), stranger("127.20.1.1")).await;
        assert!(!asked, "{serial}");
    }
    for (n, (serial, service)) in (1u8..).zip(customers.iter().zip(&services)) {
        assert_eq!(network.cpe_of(*service).await, None);
        let own = stranger(&format!("127.20.1.{n}"));
        let (row, asked) = network.spoken_to(inform("00259E", &serial.hex16(), "0 BOOTSTRAP"), own).await;
        assert!(asked && network.cpe_of(*service).await == row, "{serial}: its own CPE is not kept out");
    }
}

#[tokio::test]
async fn being_early_does_not_help() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let facts = || inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    // Online, and the OLT has not said yet where; or it has no address yet: nobody is told anything, not even the real
    // one, and it is told to come back.
    for word in [serde_json::json!(null), serde_json::json!({ "read_at": network.app.now(), "hosts": [] })] {
        network.says(serial(), word).await;
        for address in [ELSEWHERE, HOME] {
            let begin = network.app.begin(facts(), stranger(address)).await;
            assert!(matches!(begin, Begin::Busy { retry_after_s: 1..=60 }), "{begin:?}");
        }
    }
    assert_eq!(network.app.store().count::<rows::Cpe>().await.expect("counts"), 0, "and leaves no trace");
    // Not for ever: then it is in quarantine, for people to see.
    network.clock.advance(std::time::Duration::from_secs(301));
    network.has(serial(), &[]).await;
    let (row, asked) = network.spoken_to(facts(), stranger(ELSEWHERE)).await;
    assert!(!asked && network.cpe(row.expect("taken in")).await.quarantine);
    let reports = network.history(service, "identity_without_address").await;
    assert!(reports.len() == 1 && reports[0].contains("no management address by olt-1"), "{reports:?}");
    // What it said long ago counts no more than what it has not said.
    network.clock.advance(std::time::Duration::from_secs(3600));
    let old = UtcMs(network.app.now().0 - 1000 * 901);
    let hosts = serde_json::json!([{ "address": ELSEWHERE, "vlan": 40, "mac": null }]);
    network.says(serial(), serde_json::json!({ "read_at": old, "hosts": hosts })).await;
    assert!(!network.spoken_to(facts(), stranger(ELSEWHERE)).await.1);
    network.has(serial(), &[HOME]).await;
    assert!(network.spoken_to(facts(), stranger(HOME)).await.1);
}

#[tokio::test]
async fn a_lease_that_changed_hands_is_no_way_in() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    network.has(serial(), &[HOME]).await;
    let cpe = network.owned(service).await;
    // The device was reset and has a new lease; somebody else got the old one, and says that it was reset.
    network.has(serial(), &["127.20.0.11"]).await;
    let reset = || inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    for address in [HOME, ELSEWHERE] {
        for _ in 0..3 {
            let told = network.spoken_to(reset(), stranger(address)).await;
            assert_eq!(told, (None, false), "{address}");
        }
    }
    let now = stranger("127.20.0.11");
    assert_eq!(network.spoken_to(reset(), now.clone()).await, (None, false), "asked for its secret first");
    assert_eq!(network.spoken_to(reset(), now).await, (Some(cpe), true), "where its OLT has it");
}

#[tokio::test]
async fn an_unconfirmed_serial_takes_no_place_and_stays_in_quarantine() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    let announced = network.announced(service).await;
    // No OLT sees it, and the outside of the management network is nowhere.
    for (oui, address) in [("AAAAAA", HOME), ("BBBBBB", "198.51.100.9"), ("", HOME)] {
        let (row, asked) =
            network.spoken_to(inform(oui, &serial().hex16(), "0 BOOTSTRAP"), stranger(address)).await;
        assert!(!asked);
        if let Some(row) = row {
            assert!(network.cpe(row).await.quarantine, "{oui:?}");
        }
        assert_eq!(network.cpe_of(service).await, Some(announced), "{oui:?}");
        assert!(cpes::is_placeholder(&network.cpe(announced).await), "{oui:?}");
    }
    network.online(service, serial(), 1).await;
    let (row, asked) =
        network.spoken_to(inform("00259E", &serial().hex16(), "0 BOOTSTRAP"), stranger(HOME)).await;
    assert!(asked && network.cpe_of(service).await == row, "the device itself takes the announced place");
}

#[tokio::test]
async fn whoever_must_prove_something_first_leaves_no_trace() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let announced = network.announced(service).await;
    network.policy(false).await;
    assert!(matches!(
        network.app.begin(inform("BADBAD", &serial().hex16(), "0 BOOTSTRAP"), stranger(HOME)).await,
        Begin::Challenge
    ));
    // The customer of another device with that device's own secret.
    let thief = peer(HOME, AuthLevel::Own, Some(announced));
    assert!(matches!(
        network.app.begin(inform("BADBAD", "4857544300000009", "0 BOOTSTRAP"), thief).await,
        Begin::Refused { .. }
    ));
    assert!(cpes::is_placeholder(&network.cpe(announced).await));
    assert_eq!(network.app.store().count::<rows::Cpe>().await.expect("counts"), 1);
}

#[tokio::test]
async fn a_vendor_leaf_does_not_move_an_owned_device_to_another_service() {
    let network = Network::new().await;
    let own: Serial = "HWTC-00000002".parse().expect("a serial number");
    let service = network.service("Bela", own).await;
    network.online(service, own, 2).await;
    let facts = |claimed: Serial| InformFacts {
        parameters: vec![
            leaf("SoftwareVersion", "V5R019C10S125"),
            leaf("X_HW_SerialNumber", &claimed.hex16()),
        ],
        ..inform("00259E", "E48D8C112233", "2 PERIODIC")
    };
    let (cpe, asked) = network.spoken_to(facts(own), stranger(HOME)).await;
    let cpe = cpe.expect("accepted");
    assert!(asked, "{}", network.cpe(cpe).await.reason_text);
    let victim = network.service("Amina", serial()).await;
    network.spoken_to(facts(serial()), peer(HOME, AuthLevel::Own, Some(cpe))).await;
    assert_eq!((network.cpe_of(service).await, network.cpe_of(victim).await), (Some(cpe), None));
    let device: Device = network.cpe(cpe).await.machine.read().expect("a machine");
    assert_eq!(device.link.as_ref().and_then(Link::service), Some(service));
}

#[tokio::test]
async fn a_key_for_managing_logins_is_no_way_to_become_administrator() {
    let network = Network::new().await;
    let key = Actor::ApiKey {
        id: ApiKeyId(1),
        name: "hr".into(),
        scopes: vec![Permission::ManageUsers, Permission::Read],
        address: None,
    };
    network.app.create_user(&key, "viewer", Role::Viewer).await.expect("as much as it may itself");
    let refused = network.app.create_user(&key, "mallory", Role::Admin).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    let (id, _) = network.app.create_user(&operator(), "nino", Role::Admin).await.expect("made");
    for (id, role, active) in
        [(id, Role::Viewer, true), (id, Role::Admin, false), (UserId(1), Role::Noc, true)]
    {
        let refused = network.app.change_user(&key, id, role, active).await;
        assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn guesses_at_the_same_time_are_counted_too() {
    let network = Network::new().await;
    network.app.create_user(&operator(), "nino", Role::Viewer).await.expect("made");
    let guesses = (0..12).map(|n| {
        let app = network.app.clone();
        async move { app.login("nino", Secret::new(format!("guess {n}")), Some("192.0.2.7".into())).await }
    });
    let answers = futures::future::join_all(guesses).await;
    let waited = answers.iter().filter(|answer| matches!(answer, Err(AppError::TooMany { .. }))).count();
    assert_eq!(waited, 7, "five are free");
}

#[tokio::test]
async fn stored_secrets_of_an_olt_are_not_sent_to_an_address_of_somebodys_choice() {
    let network = Network::new().await;
    let input = |address: &str, protocol: &str, password: Option<&str>| -> NewOlt {
        serde_json::from_value(serde_json::json!({
            "name": "olt-1", "address": address, "port": 22, "protocol": protocol, "username": "lk",
            "password": password,
        }))
        .expect("an OLT")
    };
    let actor = operator();
    let change = |input: NewOlt| network.app.update_olt(&actor, network.olt, input, true);
    change(input("192.0.2.1", "ssh", None)).await.expect("the password is kept where nothing moved");
    for moved in [input("192.0.2.66", "ssh", None), input("192.0.2.1", "telnet", None)] {
        let refused = change(moved).await;
        assert!(
            matches!(&refused, Err(AppError::Invalid { fields }) if fields[0].field == "password"),
            "{refused:?}"
        );
    }
    change(input("192.0.2.66", "ssh", Some("new"))).await.expect("given again");
}

#[tokio::test]
async fn a_customer_is_never_put_on_the_management_vlan() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    let request: app::AuthoriseRequest = serde_json::from_value(serde_json::json!({
        "olt_id": network.olt, "pon": "0/1/6", "serial": serial().hex16(), "internet_vlan": 40,
    }))
    .expect("a request");
    let input = network.input.clone();
    network.app.update_olt(&operator(), network.olt, input, true).await.expect("switched on");
    let refused = network.app.authorise_onu(&operator(), &request).await;
    assert!(
        matches!(&refused, Err(AppError::Invalid { fields }) if fields[0].field == "internet_vlan"),
        "{refused:?}"
    );
    network.online(service, serial(), 1).await;
    let input: app::InternetInput =
        serde_json::from_value(serde_json::json!({ "mode": "dhcp", "vlan": 40 })).expect("an input");
    let refused = network.app.set_internet(&operator(), service, input).await;
    assert!(
        matches!(&refused, Err(AppError::Invalid { fields }) if fields[0].field == "vlan"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_full_quarantine_keeps_nobody_out_who_belongs_here() {
    let network = Network::new().await;
    network.room(true, 3).await;
    let strangers = |from: u32| {
        let app = network.app.clone();
        async move {
            for n in from..from + 6 {
                let facts = inform("BADBAD", &format!("stranger {n}"), "0 BOOTSTRAP");
                if let Begin::Accepted(session) = app.begin(facts, stranger(ELSEWHERE)).await {
                    session.end(SessionEnd::Clean).await;
                }
            }
            app.store().count::<rows::Cpe>().await.expect("counts")
        }
    };
    assert_eq!(strangers(0).await, 3);
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let facts = inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    assert!(network.spoken_to(facts, stranger(HOME)).await.1, "the OLT confirms it");
    let rows = network.app.store().count::<rows::Cpe>().await.expect("counts");
    for n in 0..3 {
        let twin = inform(&format!("BAD{n:03}"), &serial().hex16(), "0 BOOTSTRAP");
        assert_eq!(network.spoken_to(twin, stranger(HOME)).await, (None, false), "there is one already");
    }
    assert_eq!(network.app.store().count::<rows::Cpe>().await.expect("counts"), rows);
    network.clock.advance(std::time::Duration::from_secs(2 * 3600));
    assert_eq!(strangers(100).await, 4, "the silent ones made room; the device stays");
    assert!(network.cpe_of(service).await.is_some());
}

#[tokio::test]
async fn what_was_not_asked_is_not_kept() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let facts = inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    let Begin::Accepted(mut session) = network.app.begin(facts, stranger(HOME)).await else {
        panic!("the OLT confirms it")
    };
    let value = |path: &str| ParamValue { path: path.into(), value: "1".into(), kind: Default::default() };
    let interval = "InternetGatewayDevice.ManagementServer.PeriodicInformInterval";
    let mut next = session.ready().await;
    loop {
        next = match next {
            Next::Request(DeviceRequest::GetNames { .. }) => {
                let name = NameInfo { path: interval.into(), writable: true };
                session.reply(DeviceReply::Names(vec![name])).await
            }
            Next::Request(DeviceRequest::GetValues { paths }) => {
                assert!(paths.contains(&interval.to_owned()), "{paths:?}");
                let others = (0..100).map(|n| value(&format!("InternetGatewayDevice.X_{n}")));
                session.reply(DeviceReply::Values(others.chain([value(interval)]).collect())).await
            }
            Next::Request(_) | Next::Done => break,
        };
    }
    let kept = cpes::parameters(network.app.store(), session.cpe()).await.expect("reads");
    assert_eq!(kept.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), [interval]);
    session.end(SessionEnd::Clean).await;
}

#[tokio::test]
async fn a_fault_that_repeats_the_password_is_kept_without_it() {
    let network = Network::new().await;
    let service = network.service("Amina", serial()).await;
    network.online(service, serial(), 1).await;
    let facts = inform("00259E", &serial().hex16(), "0 BOOTSTRAP");
    let Begin::Accepted(mut session) = network.app.begin(facts, stranger(HOME)).await else {
        panic!("the OLT confirms it")
    };
    let leaf = |name: &str| NameInfo {
        path: format!("InternetGatewayDevice.ManagementServer.{name}"),
        writable: true,
    };
    let mut told = None;
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    let mut next = session.ready().await;
    while let Next::Request(request) = next {
        next = match request {
            DeviceRequest::GetNames { .. } => {
                let names = [
                    "Username",
                    "Password",
                    "ConnectionRequestUsername",
                    "ConnectionRequestPassword",
                    "PeriodicInformEnable",
                    "PeriodicInformInterval",
                ];
                session.reply(DeviceReply::Names(names.map(leaf).to_vec())).await
            }
            DeviceRequest::GetValues { paths } => {
                let read = |path: String| {
                    let value = kept.get(&path).cloned().unwrap_or_else(|| "0".to_owned());
                    ParamValue { path, value, kind: Default::default() }
                };
                session.reply(DeviceReply::Values(paths.into_iter().map(read).collect())).await
            }
            DeviceRequest::SetValues { values, .. } => {
                match values.iter().find(|value| value.path.ends_with(".Password")) {
                    Some(password) => {
                        let text = format!("Invalid value {}", password.value.expose());
                        told = Some(password.value.expose().to_owned());
                        let path = password.path.clone();
                        let parameters = vec![ParameterFault { path, code: 9007, text: text.clone() }];
                        session.reply(DeviceReply::Fault(DeviceFault { code: 9003, text, parameters })).await
                    }
                    None => {
                        kept.extend(values.iter().map(|v| (v.path.clone(), v.value.expose().to_owned())));
                        session.reply(DeviceReply::Set { status: 0 }).await
                    }
                }
            }
            DeviceRequest::AddObject { .. } | DeviceRequest::Reboot { .. } | DeviceRequest::FactoryReset => {
                panic!("nothing is created or restarted before the device is ours")
            }
        };
    }
    let (cpe, secret) = (session.cpe(), told.expect("it was given its password"));
    session.end(SessionEnd::Clean).await;
    let faults = cpes::faults(network.app.store(), cpe, 10).await.expect("reads");
    assert!(faults.iter().any(|fault| fault.text.contains("Invalid value ••••")), "{faults:?}");
    let row = network.cpe(cpe).await;
    let page = store::read::Page::new(1, 500);
    let lines =
        network.app.store().read().timeline(store::read::TimelineSubject::Cpe(cpe.0), None, page).await;
    let all = format!("{faults:?} {row:?} {:?}", lines.expect("reads").rows);
    assert!(!all.contains(&secret), "the password lies open");
}
