//! The clock gate: whose time server a device is given, and models that pass without a right clock.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, until_state},
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_rows, person},
};
use app::{App, AppError, NtpNetwork, Role};
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
    app.waive_clock(&admin(), "Somebody else", model, "another maker").await.expect("kept");
    assert_eq!(app.clock_waiver(maker, model), None, "it is another model");
    app.waive_clock(&admin(), maker, model, "stands still").await.expect("kept");
    let twice = app.waive_clock(&admin(), "", model, "all of them").await;
    twice.expect("a wider one is another one");
    let twice =
        app.waive_clock(&admin(), maker, &model.to_lowercase(), "again").await.expect_err("kept already");
    assert!(matches!(twice, AppError::Conflict(_)), "{twice}");

    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let told = world::timeline(&app).await;
    assert!(told.iter().any(|line| line.text.contains("pass without a right clock")), "it is told");
    let other = bed.app("node-2", &Calls::default()).await;
    assert!(other.clock_waiver(maker, model).is_some(), "every node knows");

    app.withdraw_clock_waiver(&admin(), maker, model).await.expect("withdrawn");
    app.withdraw_clock_waiver(&admin(), "", model).await.expect("withdrawn");
    assert_eq!(app.clock_waiver(maker, model), None);
    let gone = app.withdraw_clock_waiver(&admin(), maker, model).await.expect_err("it is gone");
    assert!(matches!(gone, AppError::NotFound(_)), "{gone}");
    let audited =
        "SELECT COUNT(*) FROM audit_log WHERE subject = 'setting:acs.clock_waivers' AND before IS NOT NULL";
    assert_eq!(bed.number(audited).await, 5, "three kept, two withdrawn, each with what was before");
}

on_both!(
    a_device_is_given_the_time_server_of_where_it_speaks_from,
    a_model_passes_without_a_clock_while_somebody_answers_for_it,
);
