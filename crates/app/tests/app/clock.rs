//! The clock gate: whose time server a device is given, and models that pass without a right clock.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, until_state},
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_rows, person},
};
use app::{App, AppError, ModelOf, NtpNetwork, Role};
use sim::cpe::Quirks;
use types::Serial;

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// A customer whose router never shows a right clock, told which time server to ask.
async fn standing_clock(bed: &Bed, app: &App, calls: &Calls, networks: &[(&str, &str)]) -> SimCpe {
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    policy.ntp_networks = networks
        .iter()
        .map(|(network, server)| NtpNetwork {
            network: network.parse().expect("a network"),
            servers: vec![(*server).to_owned()],
        })
        .collect();
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let service = world::service(app, "user@isp", Some(serial())).await;
    let olt = world::quiet_olt(app, "olt-1").await;
    world::onu(app, olt, serial(), Some(service)).await;
    let quirks = Quirks { clock_never: true, ..Quirks::default() };
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, quirks);
    cpe.power_on(app.now());
    until_state(bed, app, calls, &mut cpe, "OWNED").await;
    for _ in 0..40 {
        if time_server(&cpe).is_some_and(|server| !server.is_empty()) {
            break;
        }
        let mut answered = calls.made().len();
        crate::support::cpe::pass(bed, app, calls, &mut answered, &mut cpe).await;
    }
    cpe
}

fn time_server(cpe: &SimCpe) -> Option<String> {
    let tree = cpe.cell.device().tree();
    tree.value("InternetGatewayDevice.Time.NTPServer1").map(str::to_owned)
}

async fn a_device_is_given_the_time_server_of_where_it_speaks_from(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let networks = [
        ("127.20.0.0/16", "wide.example"),
        ("127.20.3.0/24", "near.example"),
        ("127.20.4.0/24", "no.example"),
    ];
    let cpe = standing_clock(bed, &app, &calls, &networks).await;
    assert_eq!(time_server(&cpe).as_deref(), Some("near.example"));
    assert_eq!(cpe_rows(&app).await[0].state, "OWNED", "and waits for its clock");
}

async fn a_model_passes_without_a_clock_while_somebody_answers_for_it(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut cpe = standing_clock(bed, &app, &calls, &[]).await;
    assert_eq!(time_server(&cpe).as_deref(), Some("pool.ntp.org"), "where no network is named");
    let row = cpe_rows(&app).await.remove(0);
    let (maker, model) = (row.manufacturer.as_str(), row.product_class.as_str());

    let technician = person("tariq", Role::Technician);
    let refused = app.waive_clock(&technician, maker, model, "stands still").await.expect_err("may not");
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused}");
    let refused = app.waive_clock(&admin(), maker, model, " ").await.expect_err("without a reason");
    assert!(refused.to_string().contains("reason"), "{refused}");
    let refused =
        app.waive_clock(&admin(), " ", model, "whoever made it").await.expect_err("without a maker");
    assert!(refused.to_string().contains("other makers use the same model names"), "{refused}");
    let known = ModelOf { manufacturer: maker, oui: &row.oui, product_class: model };
    app.waive_clock(&admin(), "Somebody else", model, "another maker").await.expect("kept");
    assert_eq!(app.clock_waiver(known), None, "it is another model");
    app.waive_clock(&admin(), maker, model, "stands still").await.expect("kept");
    app.waive_clock(&admin(), &row.oui, model, "by its OUI")
        .await
        .expect("another spelling is another entry");
    let twice =
        app.waive_clock(&admin(), maker, &model.to_lowercase(), "again").await.expect_err("kept already");
    assert!(matches!(twice, AppError::Conflict(_)), "{twice}");

    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let told = world::timeline(&app).await;
    assert!(told.iter().any(|line| line.text.contains("pass without a right clock")), "it is told");
    let other = bed.app("node-2", &Calls::default()).await;
    assert!(other.clock_waiver(known).is_some(), "every node knows");

    app.withdraw_clock_waiver(&admin(), maker, model).await.expect("withdrawn");
    app.withdraw_clock_waiver(&admin(), &row.oui, model).await.expect("withdrawn");
    assert_eq!(app.clock_waiver(known), None);
    let gone = app.withdraw_clock_waiver(&admin(), maker, model).await.expect_err("it is gone");
    assert!(matches!(gone, AppError::NotFound(_)), "{gone}");
    let audited =
        "SELECT COUNT(*) FROM audit_log WHERE subject = 'setting:acs.clock_waivers' AND before IS NOT NULL";
    assert_eq!(bed.number(audited).await, 5, "three kept, two withdrawn, each with what was before");
}

async fn waivers_without_a_maker_become_those_of_the_makers_that_are_known(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let _cpe = standing_clock(bed, &app, &calls, &[]).await;
    let row = cpe_rows(&app).await.remove(0);
    let (maker, model) = (row.manufacturer.as_str(), row.product_class.as_str());
    app.waive_clock(&admin(), "Somebody else", model, "another maker").await.expect("kept");
    // As an earlier version kept them.
    let old = |model: &str| {
        serde_json::json!({ "manufacturer": "", "product_class": model, "reason": "all of them",
        "by": "ana", "since": app.now().0 })
    };
    let stored = store::settings::get(app.store(), "acs.clock_waivers").await.expect("read").expect("there");
    let mut value = stored.value.clone();
    let list = value.as_array_mut().expect("a list");
    list.push(old(&model.to_lowercase()));
    list.push(old("NOBODY-HAS-IT"));
    let put = app.store().write(move |tx| {
        Box::pin(async move {
            store::settings::put(tx, "acs.clock_waivers", value, stored.version, "a test")
                .await?
                .or_overtaken("it")?;
            Ok::<_, store::StoreError>(())
        })
    });
    put.await.expect("written");

    let next = bed.app("node-2", &Calls::default()).await;
    let told = ModelOf { manufacturer: maker, oui: &row.oui, product_class: model };
    let waiver = next.clock_waiver(told).expect("its CPEs still pass");
    assert_eq!(
        (waiver.manufacturer.as_str(), waiver.by.as_str(), waiver.reason.as_str()),
        (maker, "ana", "all of them")
    );
    let other = ModelOf { manufacturer: "A third maker", oui: "AABBCC", product_class: model };
    assert_eq!(next.clock_waiver(other), None, "who makes another one is not meant");
    let makers: Vec<String> = next.clock_waivers().iter().map(|one| one.manufacturer.clone()).collect();
    assert_eq!(makers, ["Somebody else", maker], "one that no known CPE is of goes");
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'settings.name_clock_waiver_makers' AND actor = 'system:settings'";
    assert_eq!(bed.number(audited).await, 1);
    // Once: there is nothing to name any more.
    drop(bed.app("node-3", &Calls::default()).await);
    assert_eq!(bed.number(audited).await, 1);
}

async fn one_device_passes_until_that_is_withdrawn(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let mut cpe = standing_clock(bed, &app, &calls, &[]).await;
    let id = cpe_rows(&app).await[0].id;
    let nothing = app.restore_clock_gate(&admin(), id).await.expect_err("nobody lets it pass");
    assert!(matches!(nothing, AppError::Conflict(_)), "{nothing}");
    app.override_clock_gate(&admin(), id).await.expect("passes");
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let refused = app.restore_clock_gate(&person("ro", Role::Viewer), id).await.expect_err("may not");
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused}");
    app.restore_clock_gate(&admin(), id).await.expect("withdrawn");
    let row = cpe_rows(&app).await.remove(0);
    assert_eq!(
        (row.state.as_str(), &row.machine.value()["clock"]["overridden_by"]),
        ("ACTIVE", &serde_json::Value::Null)
    );
    let told = world::timeline(&app).await;
    assert!(
        told.iter().any(|line| line.text.starts_with("No longer allowed to pass without a clock.")),
        "it is told"
    );
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action IN ('cpe.override_clock', 'cpe.restore_clock') \
                   AND before IS NOT NULL AND after IS NOT NULL";
    assert_eq!(bed.number(audited).await, 2, "each with what was before and after");
}

async fn an_interval_of_its_own_is_accepted_of_a_model_and_of_nobody_else(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    for (maker, interval_s, wrong) in
        [("", 3600, "manufacturer"), ("Huawei", 9, "interval_s"), ("Huawei", 604_801, "interval_s")]
    {
        let refused =
            app.accept_interval(&admin(), maker, "HG8546M", interval_s, "it clamps").await.expect_err(wrong);
        let AppError::Invalid { fields } = &refused else { panic!("{refused}") };
        assert_eq!(fields.iter().map(|field| field.field.as_str()).collect::<Vec<_>>(), [wrong]);
    }
    let technician = person("tariq", Role::Technician);
    let refused =
        app.accept_interval(&technician, "Huawei", "HG8546M", 3600, "it clamps").await.expect_err("may not");
    assert!(matches!(refused, AppError::Forbidden(_)), "{refused}");
    app.accept_interval(&admin(), "Huawei", "HG8546M", 3600, "it clamps").await.expect("accepted");
    let twice =
        app.accept_interval(&admin(), "huawei", "hg8546m", 7200, "again").await.expect_err("one per model");
    assert!(matches!(twice, AppError::Conflict(_)), "{twice}");
    let other = bed.app("node-2", &Calls::default()).await;
    let kept =
        |maker| other.kept_interval(ModelOf { manufacturer: maker, oui: "", product_class: "HG8546M" });
    assert_eq!(kept("Huawei").map(|kept| kept.interval_s), Some(3600), "every node knows");
    assert_eq!(kept("Somebody else"), None);
    app.withdraw_interval(&admin(), "Huawei", "HG8546M").await.expect("withdrawn");
    assert!(app.kept_intervals().is_empty());
    let audited = "SELECT COUNT(*) FROM audit_log WHERE subject = 'setting:acs.kept_intervals' AND before IS NOT NULL AND after IS NOT NULL";
    assert_eq!(bed.number(audited).await, 2);
}

on_both!(
    waivers_without_a_maker_become_those_of_the_makers_that_are_known,
    one_device_passes_until_that_is_withdrawn,
    an_interval_of_its_own_is_accepted_of_a_model_and_of_nobody_else,
    a_device_is_given_the_time_server_of_where_it_speaks_from,
    a_model_passes_without_a_clock_while_somebody_answers_for_it,
);
