//! The management address of an ONU by its OLT: read politely, asked for at the door, and what it decides.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, OUTSIDE, accepted, anonymous, asked, first_request, inform, peer, told_nothing},
    olt::{Node, PON, address_of, authorised, known_olt, read},
    world::{self, announced, cpe_row, customer_with_onu, olt_has, olt_says, service_row, told, with_policy},
};
use app::{
    AcsPolicy, App,
    ports::{AuthLevel, Begin, CpeFrontDoor, Identity, InformFacts, SessionEnd},
};
use sim::olt::{Fault, FaultKind, Onu, SimOlt};
use std::collections::BTreeSet;
use store::{Presence, cpes, onus, rows, services, tasks};
use types::{CpeId, Serial, ServiceId};

const ELSEWHERE: &str = "127.20.9.9";

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// A box whose serial number is none of a PON.
fn odm(serial_number: &str, address: &str) -> InformFacts {
    InformFacts {
        manufacturer: "TP-Link".into(),
        oui: "5091E3".into(),
        product_class: "XZ000-G7".into(),
        serial_number: serial_number.into(),
        ..inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], address)
    }
}

async fn identity(app: &App, cpe: CpeId) -> Option<rows::EvidenceItem> {
    let all = cpes::evidence(app.store(), cpe).await.expect("readable");
    all.into_iter().find(|item| item.layer == "identity")
}

async fn what_let_a_device_in_is_told_and_kept(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    olt_has(&app, onu, &[INSIDE]).await;
    bed.advance_s(4);
    let (id, spoken) = asked(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), INSIDE).await;
    assert!(spoken && service_row(&app, service).await.cpe_id == Some(id));
    let lines = told(&app, id, "identity_confirmed").await;
    let [line] = &lines[..] else { panic!("once: {lines:?}") };
    assert_eq!(
        line.text,
        "olt-user@isp has ONU HWTC-7D4733C3 online at 127.20.3.9 (read 4 s ago), and from there its CPE informs."
    );
    assert_eq!((line.service_id, line.onu_row_id), (Some(service), Some(onu)));
    let kept = identity(&app, id).await.expect("evidence");
    assert_eq!((kept.observed.as_str(), kept.source.as_str(), kept.verified), (INSIDE, "olt_address", true));
    // The next session of the same first contact says nothing new.
    bed.advance_s(60);
    olt_has(&app, onu, &[INSIDE]).await;
    asked(&app, inform(serial(), &["2 PERIODIC"], INSIDE), INSIDE).await;
    assert_eq!(told(&app, id, "identity_confirmed").await.len(), 1);
}

async fn where_the_olt_cannot_tell_the_old_rule_holds_and_is_said(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    // An OLT that cannot say, and one that knows the ONU by an address behind a translation.
    for (login, number, translated) in [("one@isp", 1u8, false), ("two@isp", 2, true)] {
        let serial = Serial::from_bytes([0x48, 0x57, 0x54, 0x43, 0, 0, 0, number]);
        let (service, onu) = customer_with_onu(&app, login, serial).await;
        if translated {
            olt_has(&app, onu, &["10.9.8.7"]).await;
        }
        let address = format!("127.20.3.{number}");
        let (id, spoken) = asked(&app, inform(serial, &["0 BOOTSTRAP"], &address), &address).await;
        assert!(spoken && service_row(&app, service).await.cpe_id == Some(id), "{login}");
        let lines = told(&app, id, "identity_confirmed").await;
        let words = if translated { "10.9.8.7, which is in no management network" } else { "an old one" };
        assert!(
            lines.len() == 1 && lines[0].text.contains("was not checked") && lines[0].text.contains(words),
            "{lines:?}"
        );
        let kept = identity(&app, id).await.expect("evidence");
        assert_eq!((kept.source.as_str(), kept.verified), ("olt_presence", false), "never called checked");
        assert!(kept.wanted.contains(words), "{kept:?}");
    }
}

async fn a_box_without_a_pon_serial_is_known_by_its_address(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    // No OLT has said anything of its address: quarantine, as ever.
    let id = told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.reason_code.as_str(), row.pon_serial), ("not_linked", None));
    assert!(row.reason_text.contains("no OLT has an ONU at its address"), "{}", row.reason_text);
    bed.advance_s(60);
    olt_has(&app, onu, &[INSIDE]).await;
    // Another box elsewhere in the network is still nobody's.
    let other = told_nothing(&app, odm("2227A8000999", ELSEWHERE), anonymous(ELSEWHERE)).await;
    assert!(cpe_row(&app, other).await.quarantine);
    let (again, spoken) = asked(&app, odm("2227A8000123", INSIDE), INSIDE).await;
    assert!(spoken && again == id);
    let row = cpe_row(&app, id).await;
    assert_eq!((row.service_id, row.pon_serial, row.quarantine), (Some(service), Some(serial()), false));
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    assert_eq!(identity(&app, id).await.map(|kept| kept.verified), Some(true));
    assert!(
        app.store().get::<rows::Cpe>(placeholder).await.expect("reads").is_none(),
        "nobody else is awaited"
    );
    // From here on it is this ONU, wherever its lease moves; with its own secret it needs nobody's word.
    bed.advance_s(60);
    let own = Identity { level: AuthLevel::Own, username: Some("its own".into()), cpe: Some(id) };
    accepted(app.begin(odm("2227A8000123", ELSEWHERE), peer(ELSEWHERE, own)).await)
        .end(SessionEnd::Clean)
        .await;
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    // And no second box becomes it by the same address.
    let second = told_nothing(&app, odm("2227A8000777", INSIDE), anonymous(INSIDE)).await;
    assert_eq!(cpe_row(&app, second).await.service_id, None);
}

async fn an_address_counts_for_one_onu_and_only_while_it_is_certain(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    let (_, neighbour) = customer_with_onu(&app, "other@isp", world::serial("HWTC00000042")).await;
    for onu in [onu, neighbour] {
        olt_has(&app, onu, &[INSIDE]).await;
    }
    let id = told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert!(row.reason_text.contains("2 ONUs have its address 127.20.3.9"), "{}", row.reason_text);
    assert_eq!((row.service_id, row.pon_serial), (None, None));
    // One of the two went away; the word on the other is not of this moment, and the OLT cannot be asked.
    bed.advance_s(60);
    olt_says(&app, neighbour, Presence::NotPresent).await;
    told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert!(row.reason_text.contains("is not certain now"), "{}", row.reason_text);
    bed.advance_s(6);
    olt_has(&app, onu, &[INSIDE]).await;
    assert_eq!(asked(&app, odm("2227A8000123", INSIDE), INSIDE).await, (id, true));
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
}

/// How often the OLT was asked for an address since its line `after`, and how many lines there are.
fn questions(sim: &SimOlt, after: usize) -> (usize, usize) {
    let record = sim.handle().record();
    let lines: Vec<&str> = record.entries().map(|entry| entry.line.as_str()).collect();
    let asked = lines[after..].iter().filter(|line| line.starts_with("display ont ipconfig")).count();
    (asked, lines.len())
}

/// How often the OLT was asked for the state of an ONU since its line `after`, and how many lines there are.
fn lines_about_onts(sim: &SimOlt, after: usize) -> (usize, usize) {
    let record = sim.handle().record();
    let lines: Vec<&str> = record.entries().map(|entry| entry.line.as_str()).collect();
    let asked = lines[after..].iter().filter(|line| line.starts_with("display ont info")).count();
    (asked, lines.len())
}

/// A customer's ONU, authorised on a real box, of which nobody has read the address yet; and a node that reads nothing
/// by itself.
async fn fresh_onu(bed: &Bed) -> (Node, SimOlt, ServiceId) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            world::service(&app, "user@isp", Some(serial())).await
        })
        .await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    node.kill();
    let node = Node::start(bed, "node-1").await;
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("reads").expect("an ONU");
    let seen = onus::OnuObservation {
        presence: Presence::InService,
        observed: Some(serde_json::json!({})),
        at: node.app.now(),
        ..Default::default()
    };
    node.app
        .store()
        .write(move |tx| Box::pin(async move { onus::observe(tx, onu.id, seen).await }))
        .await
        .expect("written");
    (node, sim, service)
}

async fn the_door_asks_the_olt_when_it_has_not_said(bed: &Bed) {
    let (node, sim, service) = fresh_onu(bed).await;
    let (_, before) = questions(&sim, 0);
    // Nobody has read its address yet. A rogue is the first to inform, and asks in vain.
    let begin = |address: String, facts: InformFacts| {
        node.run(move |app| async move {
            let begin = app.begin(facts, anonymous(&address)).await;
            match begin {
                Begin::Accepted(mut session) => {
                    let asked = first_request(&mut session).await.is_some();
                    session.end(SessionEnd::Clean).await;
                    Some(asked)
                }
                Begin::Challenge | Begin::Refused { .. } | Begin::Busy { .. } => None,
            }
        })
    };
    let at = address_of(&sim, serial());
    assert_ne!(at, ELSEWHERE);
    let rogue = InformFacts { oui: "BADBAD".into(), ..inform(serial(), &["0 BOOTSTRAP"], ELSEWHERE) };
    for _ in 0..5 {
        assert_ne!(begin(ELSEWHERE.into(), rogue.clone()).await, Some(true));
    }
    let (asked, _) = questions(&sim, before);
    assert!((1..=2).contains(&asked), "asked for {asked} times: not by everyone who comes along");
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("reads").expect("an ONU");
    assert_eq!(onu.observed["management"]["hosts"][0]["address"], at, "kept as evidence");
    assert_eq!(onu.observed["management"]["read_at"], node.app.now().0);
    let reports: Vec<_> = world::timeline(&node.app)
        .await
        .into_iter()
        .filter(|line| line.code == "identity_elsewhere")
        .collect();
    assert!(reports.len() == 1 && reports[0].service_id == Some(service), "{reports:?}");
    assert!(reports[0].text.contains(&format!("has {at} by olt-1")), "{}", reports[0].text);
    // The CPE itself.
    assert_eq!(begin(at.clone(), inform(serial(), &["0 BOOTSTRAP"], &at)).await, Some(true));
    assert!(service_row(&node.app, service).await.cpe_id.is_some());
    assert!(sim.handle().record().tally().internet_by_omci.is_empty(), "it was asked, and told nothing");
}

async fn a_device_of_ours_leaves_the_olt_alone(bed: &Bed) {
    let (node, sim, service) = fresh_onu(bed).await;
    let at = address_of(&sim, serial());
    let (facts, place) = (inform(serial(), &["0 BOOTSTRAP"], &at), at.clone());
    let (id, spoken) = node.run(move |app| async move { asked(&app, facts, &place).await }).await;
    assert!(spoken && service_row(&node.app, service).await.cpe_id == Some(id));
    let mut row = cpe_row(&node.app, id).await;
    let mut device: provisioning::Device = row.machine.read().expect("a machine");
    device.ownership.written_at = Some(node.app.now());
    row.machine = serde_json::to_value(&device).expect("json").into();
    node.app
        .store()
        .write(move |tx| Box::pin(async move { tx.update(&row).await?.or_overtaken("the CPE") }))
        .await
        .expect("written");
    // What the OLT said is long void when it informs again, at first without its secret as every digest client.
    bed.advance_s(node.app.policy().olt_word_valid_s + 1);
    let (_, before) = questions(&sim, 0);
    let (facts, place) = (inform(serial(), &["2 PERIODIC"], &at), at.clone());
    let begin = node.run(move |app| async move { app.begin(facts, anonymous(&place)).await }).await;
    assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    let own = Identity { level: AuthLevel::Own, username: Some("its own".into()), cpe: Some(id) };
    let (facts, own) = (inform(serial(), &["2 PERIODIC"], &at), peer(&at, own));
    node.run(move |app| async move { accepted(app.begin(facts, own).await).end(SessionEnd::Clean).await })
        .await;
    assert_eq!(questions(&sim, before).0, 0, "its answers are for first contacts");
}

async fn an_old_word_lets_nobody_in(bed: &Bed) {
    let (node, sim, _) = fresh_onu(bed).await;
    let at = address_of(&sim, serial());
    let begin = |facts: InformFacts, address: &str| {
        let address = address.to_owned();
        node.run(move |app| async move { app.begin(facts, anonymous(&address)).await })
    };
    // Somebody else makes the OLT say where it is.
    let rogue = InformFacts { oui: "BADBAD".into(), ..inform(serial(), &["0 BOOTSTRAP"], ELSEWHERE) };
    begin(rogue, ELSEWHERE).await;
    bed.advance_s(31);
    let wrong = FaultKind::WrongReply { text: "  ONT-ID : garbled".into() };
    sim.handle().inject(Fault::times("^display ont", 0, wrong)).expect("pattern");
    let facts = || inform(serial(), &["0 BOOTSTRAP"], &at);
    let first = begin(facts(), &at).await;
    assert!(matches!(first, Begin::Busy { retry_after_s: 10 }), "leases change hands: {first:?}");
}

async fn a_cpe_that_speaks_before_its_onu_was_seen_online_need_not_wait(bed: &Bed) {
    let (node, sim, service) = fresh_onu(bed).await;
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("reads").expect("an ONU");
    olt_says(&node.app, onu.id, Presence::NotPresent).await;
    bed.advance_s(5);
    let at = address_of(&sim, serial());
    let facts = inform(serial(), &["0 BOOTSTRAP"], &at);
    let place = at.clone();
    let (id, spoken) = node.run(move |app| async move { asked(&app, facts, &place).await }).await;
    assert!(spoken, "the OLT has it online now, and says so when asked");
    assert_eq!(service_row(&node.app, service).await.cpe_id, Some(id));
    // That it came back is seen by the next reading, and what was asked in between is not lost by it.
    read(&node).await;
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("reads").expect("an ONU");
    assert_eq!(
        (onu.presence, &onu.observed["management"]["hosts"][0]["address"]),
        (Presence::InService, &at.into())
    );
    // In the dark it is nobody, whoever says so.
    sim.handle().power(serial(), false);
    read(&node).await;
    bed.advance_s(60);
    let rogue = || InformFacts { oui: "BADBAD".into(), ..inform(serial(), &["0 BOOTSTRAP"], ELSEWHERE) };
    let facts = rogue();
    let begin = node.run(move |app| async move { app.begin(facts, anonymous(ELSEWHERE)).await }).await;
    assert!(matches!(begin, Begin::Busy { retry_after_s: 10 }), "the list of the OLT may lag: {begin:?}");
    bed.advance_s(300);
    let facts = rogue();
    let told =
        node.run(move |app| async move { told_nothing(&app, facts, anonymous(ELSEWHERE)).await }).await;
    assert!(cpe_row(&node.app, told).await.quarantine);
}

async fn a_word_that_comes_later_lets_the_cpe_in(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    // Nobody has seen the ONU yet, and nobody can be asked: the CPE is in quarantine, and says why.
    olt_says(&app, onu, Presence::NotPresent).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.state.as_str(), row.quarantine), ("INFORMED", true));
    assert_eq!(
        row.reason_text,
        "Provision blocked: first contact from 127.20.3.9, and olt-user@isp was last heard to have ONU \
         HWTC-7D4733C3 offline, or was not heard for long"
    );
    // The OLT has it elsewhere: nothing changes, whoever looks and however often.
    bed.advance_s(30);
    olt_has(&app, onu, &[ELSEWHERE]).await;
    for _ in 0..2 {
        app.reconsider().await.expect("looked");
    }
    assert_eq!(cpe_row(&app, id).await, row);
    // There it is.
    bed.advance_s(30);
    olt_has(&app, onu, &[INSIDE]).await;
    for _ in 0..2 {
        app.reconsider().await.expect("looked");
    }
    let row = cpe_row(&app, id).await;
    assert_eq!((row.service_id, row.quarantine, row.reason_code.as_str()), (Some(service), false, "linked"));
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    assert!(app.store().get::<rows::Cpe>(placeholder).await.expect("reads").is_none(), "it is this one");
    assert_eq!(told(&app, id, "identity_confirmed").await.len(), 1);
    assert_eq!(identity(&app, id).await.map(|kept| kept.verified), Some(true));
    // What was let in is not trusted with anything from elsewhere.
    let rogue = inform(serial(), &["2 PERIODIC"], ELSEWHERE);
    let begin = app.begin(rogue, anonymous(ELSEWHERE)).await;
    assert!(matches!(begin, Begin::Challenge), "{begin:?}");
    assert_eq!(asked(&app, inform(serial(), &["2 PERIODIC"], INSIDE), INSIDE).await, (id, true));
}

async fn a_box_without_a_pon_serial_that_spoke_too_early_is_let_in_by_itself(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    let id = told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    // A number that only looks like one of a PON says as little.
    let other = told_nothing(&app, odm("TPLG00000007", "127.20.3.10"), anonymous("127.20.3.10")).await;
    assert_eq!(cpe_row(&app, other).await.claimed_serial, Some(world::serial("TPLG00000007")));
    bed.advance_s(30);
    olt_has(&app, onu, &[ELSEWHERE]).await;
    app.reconsider().await.expect("looked");
    assert!(cpe_row(&app, id).await.quarantine, "the ONU is at another address");
    // Two who spoke from there one after the other: the latter has the address now.
    let before = told_nothing(&app, odm("2227A8000999", INSIDE), anonymous(INSIDE)).await;
    bed.advance_s(1);
    told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    bed.advance_s(30);
    olt_has(&app, onu, &[INSIDE]).await;
    for _ in 0..2 {
        app.reconsider().await.expect("looked");
    }
    let row = cpe_row(&app, id).await;
    assert_eq!(
        (row.service_id, row.pon_serial, row.quarantine, row.reason_code.as_str()),
        (Some(service), Some(serial()), false, "linked")
    );
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    assert!(app.store().get::<rows::Cpe>(placeholder).await.expect("reads").is_none(), "it is this one");
    assert_eq!(told(&app, id, "identity_confirmed").await.len(), 1);
    for stranger in [before, other] {
        assert!(cpe_row(&app, stranger).await.quarantine);
    }
    assert_eq!(asked(&app, odm("2227A8000123", INSIDE), INSIDE).await, (id, true));
    // The same for a number that only looks like one.
    let (service, onu) = customer_with_onu(&app, "other@isp", world::serial("HWTC00000042")).await;
    bed.advance_s(6);
    olt_has(&app, onu, &["127.20.3.10"]).await;
    app.reconsider().await.expect("looked");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(other));
}

async fn an_old_word_vouches_for_nobody_who_spoke_before(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::NotPresent).await;
    let named = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    bed.advance_s(1);
    let nameless = told_nothing(&app, odm("2227A8000123", INSIDE), anonymous(INSIDE)).await;
    let quarantined = || async {
        for id in [named, nameless] {
            assert!(cpe_row(&app, id).await.quarantine);
        }
        assert_eq!(service_row(&app, service).await.cpe_id, None);
    };
    // It was there; that nobody looked at once is no reason to believe it later.
    olt_has(&app, onu, &[INSIDE]).await;
    bed.advance_s(31);
    app.reconsider().await.expect("looked");
    quarantined().await;
    // An OLT that cannot tell: what counts for it is as fresh.
    olt_says(&app, onu, Presence::InService).await;
    bed.advance_s(31);
    app.reconsider().await.expect("looked");
    quarantined().await;
    olt_says(&app, onu, Presence::InService).await;
    bed.advance_s(30);
    app.reconsider().await.expect("looked");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(named));
}

async fn the_reading_that_says_it_counts_however_long_it_took(bed: &Bed) {
    let (node, sim, service) = fresh_onu(bed).await;
    let at = address_of(&sim, serial());
    let onu = onus::by_serial(node.app.store(), serial()).await.expect("reads").expect("an ONU");
    olt_says(&node.app, onu.id, Presence::NotPresent).await;
    // Whoever looks for addresses now finds none, and remembers that for a moment.
    let (facts, place) = (odm("2227A8000123", &at), at.clone());
    let id = node.run(move |app| async move { told_nothing(&app, facts, anonymous(&place)).await }).await;
    read(&node).await;
    // The node that read it looks by itself, and late: there was much to read.
    bed.advance_s(45);
    node.run(|app| async move { app.reconsider().await }).await.expect("looked");
    assert_eq!(service_row(&node.app, service).await.cpe_id, Some(id));
    assert_eq!(cpe_row(&node.app, id).await.pon_serial, Some(serial()));
}

async fn a_name_that_a_rogue_gave_binds_nobody(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (victim, neighbour) = (world::serial("HWTC00000042"), serial());
    let (theirs, onu_of_theirs) = customer_with_onu(&app, "victim@isp", victim).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", neighbour).await;
    olt_has(&app, onu_of_theirs, &["127.20.3.42"]).await;
    olt_has(&app, onu, &[INSIDE]).await;
    // Somebody who knows the name of a box informs in its name, and as the ONU of somebody else.
    let names = |claimed: Option<Serial>, address: &str| {
        let mut facts = odm("2227A8000123", address);
        facts.parameters.extend(claimed.map(|serial| provisioning::ParamValue {
            path: "InternetGatewayDevice.DeviceInfo.X_CT-COM_GponSN".into(),
            value: serial.hex16(),
            kind: Default::default(),
        }));
        facts
    };
    let id = told_nothing(&app, names(Some(victim), ELSEWHERE), anonymous(ELSEWHERE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.pon_serial, row.claimed_serial), (None, Some(victim)));
    // The box itself is not held to it, whether it names its ONU or none.
    for claimed in [None, Some(neighbour)] {
        let (again, spoken) = asked(&app, names(claimed, INSIDE), INSIDE).await;
        assert!(spoken && again == id, "{claimed:?}");
        let row = cpe_row(&app, id).await;
        assert_eq!(
            (row.service_id, row.pon_serial, row.claimed_serial),
            (Some(service), Some(neighbour), None)
        );
    }
    // Nor is the victim: its place is free, and what its OLT sees is told to nobody else.
    assert_eq!(service_row(&app, theirs).await.cpe_id, None);
    let (own, spoken) = asked(&app, inform(victim, &["0 BOOTSTRAP"], "127.20.3.42"), "127.20.3.42").await;
    assert!(spoken && service_row(&app, theirs).await.cpe_id == Some(own));
    assert_eq!(cpe_row(&app, own).await.pon_serial, Some(victim), "borne out");
}

async fn a_crowd_of_namesakes_is_no_reason_not_to_expect_the_cpe(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    node.run(|app| async move { with_policy(&app).await }).await;
    // Before anybody authorised the ONU.
    node.run(|app| async move {
        for n in 0..12 {
            let rogue =
                InformFacts { oui: format!("BAD{n:03}"), ..inform(serial(), &["0 BOOTSTRAP"], ELSEWHERE) };
            told_nothing(&app, rogue, anonymous(ELSEWHERE)).await;
        }
    })
    .await;
    let service = node.run(|app| async move { world::service(&app, "user@isp", Some(serial())).await }).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let expected = service_row(&node.app, service).await.cpe_id.expect("one is expected");
    assert!(cpes::is_placeholder(&cpe_row(&node.app, expected).await));
    let at = address_of(&sim, serial());
    let (facts, place) = (inform(serial(), &["0 BOOTSTRAP"], &at), at.clone());
    let (id, spoken) = node.run(move |app| async move { asked(&app, facts, &place).await }).await;
    assert!(spoken && service_row(&node.app, service).await.cpe_id == Some(id));
}

async fn whoever_names_one_serial_after_the_other_leaves_the_olt_to_the_others(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    node.run(|app| async move { with_policy(&app).await }).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let mut serials = Vec::new();
    for n in 0..20u8 {
        let serial = Serial::from_bytes([0x48, 0x57, 0x54, 0x43, 0, 0, 9, n]);
        let service = node
            .run(move |app| async move { world::service(&app, &format!("user{n}@isp"), Some(serial)).await })
            .await;
        let onu =
            node.run(move |app| async move { world::onu(&app, olt, serial, Some(service)).await }).await;
        node.app
            .store()
            .write(move |tx| Box::pin(async move { onus::keep_observed(tx, onu, "management", None).await }))
            .await
            .expect("written");
        serials.push(serial);
    }
    let (_, before) = questions(&sim, 0);
    // Under one name from one address, then under many names from one.
    let claiming = |serial: Serial| {
        let mut facts = odm("2227A8000123", INSIDE);
        facts.parameters.push(provisioning::ParamValue {
            path: "InternetGatewayDevice.DeviceInfo.X_CT-COM_GponSN".into(),
            value: serial.hex16(),
            kind: Default::default(),
        });
        facts
    };
    for serial in serials.iter().take(9) {
        let facts = claiming(*serial);
        node.run(move |app| async move { drop(app.begin(facts, anonymous("127.20.5.1")).await) }).await;
    }
    let (asked, lines) = lines_about_onts(&sim, before);
    assert!((1..=6).contains(&asked), "one name: {asked} questions");
    // Who bears that name, and speaks from elsewhere, has not used up anything.
    let facts = claiming(serials[9]);
    node.run(move |app| async move { drop(app.begin(facts, anonymous("127.20.5.2")).await) }).await;
    let (asked, lines) = lines_about_onts(&sim, lines);
    assert_eq!(asked, 1, "the name of another");
    for serial in serials.iter().skip(10) {
        let facts = inform(*serial, &["0 BOOTSTRAP"], ELSEWHERE);
        node.run(move |app| async move { drop(app.begin(facts, anonymous(ELSEWHERE)).await) }).await;
    }
    let (asked, lines) = lines_about_onts(&sim, lines);
    assert!((1..=6).contains(&asked), "one address: {asked} questions");
    // Another one is heard in the same minute.
    let facts = inform(serials[19], &["0 BOOTSTRAP"], INSIDE);
    node.run(move |app| async move { drop(app.begin(facts, anonymous(INSIDE)).await) }).await;
    assert_eq!(lines_about_onts(&sim, lines).0, 1);
}

async fn a_word_that_comes_too_late_says_nothing_of_who_spoke_then(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu) = customer_with_onu(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::NotPresent).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    bed.advance_s(app.policy().olt_word_valid_s + 1);
    olt_has(&app, onu, &[INSIDE]).await;
    app.reconsider().await.expect("looked");
    assert!(cpe_row(&app, id).await.quarantine, "the address may have been another's then");
    assert_eq!(service_row(&app, service).await.cpe_id, None);
    // And nobody is let in beside a CPE that is there.
    let now = inform(serial(), &["2 PERIODIC"], INSIDE);
    assert_eq!(asked(&app, now, INSIDE).await, (id, true));
    let twin = InformFacts { oui: "BADBAD".into(), ..inform(serial(), &["0 BOOTSTRAP"], INSIDE) };
    let twin = told_nothing(&app, twin, anonymous(INSIDE)).await;
    app.reconsider().await.expect("looked");
    assert!(cpe_row(&app, twin).await.quarantine);
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
}

async fn a_cpe_that_is_quicker_than_its_authorisation_comes_back(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    with_policy(&app).await;
    let service = world::service(&app, "user@isp", Some(serial())).await;
    let olt = world::quiet_olt(&app, "olt-1").await;
    let now = app.now();
    let task = tasks::NewTask {
        kind: "authorise_onu".into(),
        olt_id: olt,
        service_id: Some(service),
        serial: serial(),
        pon: PON,
        plan: serde_json::json!({}),
        actor: "test".into(),
        idempotency_key: None,
    };
    app.store()
        .write(move |tx| Box::pin(async move { tasks::begin(tx, task, now).await }))
        .await
        .expect("a task");
    // The OLT knows it already, the database does not yet.
    let facts = || inform(serial(), &["0 BOOTSTRAP"], INSIDE);
    let begin = app.begin(facts(), anonymous(INSIDE)).await;
    assert!(matches!(begin, Begin::Busy { retry_after_s: 10 }), "{begin:?}");
    assert_eq!(world::cpe_rows(&app).await, [], "and leaves no trace");
    // Who is in no management network does not wait for anything, and nobody waits for ever.
    let outside = told_nothing(&app, facts(), anonymous(OUTSIDE)).await;
    assert!(cpe_row(&app, outside).await.quarantine);
    bed.advance_s(300);
    let id = told_nothing(&app, facts(), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert!(
        row.quarantine && row.reason_text.contains("no OLT of ours has an ONU HWTC-7D4733C3 yet"),
        "{row:?}"
    );
    // When it is done, the CPE is let in.
    let onu = world::onu(&app, olt, serial(), Some(service)).await;
    olt_has(&app, onu, &[INSIDE]).await;
    app.reconsider().await.expect("looked");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
}

async fn the_policy_says_whether_an_olt_that_cannot_tell_is_enough(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, _) = customer_with_onu(&app, "user@isp", serial()).await;
    let strict = AcsPolicy { first_contact_needs_address: true, ..world::policy() };
    app.set_acs_policy(&world::admin(), strict, None).await.expect("a policy");
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    let row = cpe_row(&app, id).await;
    assert_eq!(
        row.reason_text,
        "Provision blocked: first contact from 127.20.3.9, and olt-user@isp cannot tell at which address it has ONU \
         HWTC-7D4733C3 (it is an old one), which the ACS policy asks for"
    );
    assert_eq!(told(&app, id, "identity_unlocated").await.len(), 1);
    assert_eq!(service_row(&app, service).await.cpe_id, None);
    with_policy(&app).await;
    app.reconsider().await.expect("looked");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id), "the old rule holds");
}

async fn an_olt_that_gives_no_answer_makes_nobody_wait_long(bed: &Bed) {
    let (node, sim, _) = fresh_onu(bed).await;
    let fault = FaultKind::CutBefore;
    sim.handle().inject(Fault::times("^display ont", 0, fault)).expect("pattern");
    let at = address_of(&sim, serial());
    for _ in 0..3 {
        let (facts, at) = (inform(serial(), &["0 BOOTSTRAP"], &at), at.clone());
        let begin = node.run(move |app| async move { app.begin(facts, anonymous(&at)).await }).await;
        assert!(matches!(begin, Begin::Busy { .. }), "it comes back when the OLT has spoken: {begin:?}");
    }
    sim.handle().clear_faults();
    bed.advance_s(31);
    let begin = node
        .run({
            let at = at.clone();
            move |app| async move { app.begin(inform(serial(), &["0 BOOTSTRAP"], &at), anonymous(&at)).await }
        })
        .await;
    let mut session = accepted(begin);
    assert!(first_request(&mut session).await.is_some());
}

async fn addresses_are_read_a_few_at_a_time_and_only_of_who_needs_it(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    node.run(|app| async move { with_policy(&app).await }).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    // Forty customers, all by another hand, and one ONU without a customer.
    let mut rows = Vec::new();
    for number in 0..41 {
        let id = sim.handle().take_next_ont_id(PON).expect("a free id");
        let serial = sim.handle().state().config.ont(PON, id).expect("registered").serial;
        sim.handle().plug(Onu::new(serial, "HG8310M"), PON);
        rows.push((i64::from(id), serial, number));
    }
    let now = node.app.now();
    let last = rows[40].1;
    let planned = rows.clone();
    node.app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let customer = rows::Customer { name: "Many".into(), created_at: now, ..Default::default() };
                let customer = tx.insert(&customer).await?;
                let plan = tx.insert(&rows::Plan { name: "Home".into(), ..Default::default() }).await?;
                for (id, serial, number) in planned {
                    let onu = tx.insert(&rows::Onu::planned(olt, PON, id, serial, now)).await?;
                    if number == 40 {
                        continue;
                    }
                    let service = rows::Service {
                        code: format!("S-{number}"),
                        customer_id: customer,
                        plan_id: plan,
                        created_at: now,
                        ..Default::default()
                    };
                    let service = tx.insert(&service).await?;
                    services::link_onu(tx, service, Some(onu)).await?;
                }
                Ok::<_, store::StoreError>(())
            })
        })
        .await
        .expect("written");
    let known = || async {
        let all = onus::of_olt(node.app.store(), olt, None).await.expect("reads");
        let known = all.into_iter().filter(|onu| !onu.observed["management"].is_null());
        known.map(|onu| onu.serial).collect::<BTreeSet<_>>()
    };
    let mut before = 0;
    for (round, want) in [(1, 16), (2, 32), (3, 40)] {
        read(&node).await;
        let (asked, lines) = questions(&sim, before);
        assert!(asked <= 16, "round {round}: {asked} questions");
        before = lines;
        assert_eq!(known().await.len(), want, "round {round}");
    }
    assert!(!known().await.contains(&last), "nobody has a service on it");
    // All of them are fresh: nothing more is asked for a while, and nothing that was known is lost by the readings.
    read(&node).await;
    assert_eq!(questions(&sim, before).0, 0);
    assert_eq!(known().await.len(), 40);
    let (_, before) = questions(&sim, 0);
    bed.advance_s(61);
    read(&node).await;
    assert_eq!(questions(&sim, before).0, 16, "no CPE of theirs is ours yet");
    // One that goes away has no address any more.
    let away = rows[0].1;
    sim.handle().power(away, false);
    read(&node).await;
    assert!(!known().await.contains(&away));
}

on_both!(
    what_let_a_device_in_is_told_and_kept,
    where_the_olt_cannot_tell_the_old_rule_holds_and_is_said,
    a_box_without_a_pon_serial_is_known_by_its_address,
    an_address_counts_for_one_onu_and_only_while_it_is_certain,
    the_door_asks_the_olt_when_it_has_not_said,
    a_device_of_ours_leaves_the_olt_alone,
    an_old_word_lets_nobody_in,
    a_cpe_that_speaks_before_its_onu_was_seen_online_need_not_wait,
    a_word_that_comes_later_lets_the_cpe_in,
    a_box_without_a_pon_serial_that_spoke_too_early_is_let_in_by_itself,
    an_old_word_vouches_for_nobody_who_spoke_before,
    the_reading_that_says_it_counts_however_long_it_took,
    a_name_that_a_rogue_gave_binds_nobody,
    a_crowd_of_namesakes_is_no_reason_not_to_expect_the_cpe,
    whoever_names_one_serial_after_the_other_leaves_the_olt_to_the_others,
    a_word_that_comes_too_late_says_nothing_of_who_spoke_then,
    a_cpe_that_is_quicker_than_its_authorisation_comes_back,
    the_policy_says_whether_an_olt_that_cannot_tell_is_enough,
    an_olt_that_gives_no_answer_makes_nobody_wait_long,
    addresses_are_read_a_few_at_a_time_and_only_of_who_needs_it,
);
