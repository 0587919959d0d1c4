//! The family of a CPE: what is remembered per firmware, and what an operator's word does where the device does not bear
//! it out.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, pass, until_state},
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_rows, person},
};
use app::{App, AppError, Role};
use sim::cpe::Quirks;
use store::read::{ModelFilter, Page, Sort};
use types::CpeFirmwareId;

/// The router is switched off and on, and everything that comes of it happens.
async fn restarted(bed: &Bed, app: &App, calls: &Calls, cpe: &mut SimCpe) {
    let now = app.now();
    cpe.cell.act(|device| device.restart(now)).expect("in memory");
    let mut answered = calls.made().len();
    for _ in 0..40 {
        pass(bed, app, calls, &mut answered, cpe).await;
    }
}

async fn an_override_that_the_device_does_not_bear_out_changes_nothing_and_is_said(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    world::with_policy(&app).await;
    let serial = world::serial("HWTC7D4733C3");
    let service = world::service(&app, "user@isp", Some(serial)).await;
    let olt = world::quiet_olt(&app, "olt-1").await;
    world::onu(&app, olt, serial, Some(service)).await;
    let mut cpe = SimCpe::new(serial, INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;

    // What was found is remembered with the firmware.
    let models = async |filter: ModelFilter| {
        app.store().read().models(&filter, &Sort::default(), Page::default()).await.expect("readable")
    };
    let found = models(ModelFilter { q: "huawei".into(), ..ModelFilter::default() }).await;
    assert_eq!(found.total, 1);
    let model = &found.rows[0];
    assert_eq!((model.devices, model.proved, model.firmwares, model.overrides), (1, 1, 1, 0));
    assert_eq!(model.family_first.as_deref(), Some("huawei_x_hw"));
    assert!(model.proved_at.is_some());
    let row = cpe_rows(&app).await.remove(0);
    assert_eq!(row.profile_known, "probed");
    let counts = app.store().read().family_counts(&row.oui, &row.product_class).await.expect("readable");
    assert_eq!((counts.len(), counts[0].devices, counts[0].profile_known.as_str()), (1, 1, "probed"));
    let lessons = app.store().read().lessons(&row.oui, &row.product_class).await.expect("readable");
    assert!(lessons.iter().any(|lesson| lesson.fact == "huawei_x_hw" && lesson.units == 1), "{lessons:?}");

    // Who may, and what.
    let firmware = CpeFirmwareId(model.id);
    let technician = person("tariq", Role::Technician);
    let refused = app.override_family(&technician, firmware, "nokia_x_alu", "a trial").await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))));
    for (family, reason, field) in [
        ("nokia_x_alu", " ", "reason"),
        ("nothing", "a trial", "family"),
        ("tplink_tr181", "another data model", "family"),
    ] {
        let refused = app.override_family(&admin(), firmware, family, reason).await;
        let Err(AppError::Invalid { fields }) = refused else { panic!("{family}: {refused:?}") };
        assert_eq!(fields[0].field, field);
    }
    let nobody = app.override_family(&admin(), CpeFirmwareId(99), "nokia_x_alu", "a trial").await;
    assert!(matches!(nobody, Err(AppError::NotFound(_))));

    // It is set; the device does not bear it out.
    app.override_family(&admin(), firmware, "nokia_x_alu", "a trial").await.expect("set");
    let again = app.override_family(&admin(), firmware, "nokia_x_alu", "again").await;
    assert!(matches!(again, Err(AppError::Conflict(_))));
    let writes = |cpe: &SimCpe| {
        cpe.asked.iter().filter(|asked| asked.starts_with("Set") || asked.starts_with("Add")).count()
    };
    let before = writes(&cpe);
    restarted(bed, &app, &calls, &mut cpe).await;
    let row = cpe_rows(&app).await.remove(0);
    assert_eq!((row.state.as_str(), row.profile_id.as_deref()), ("ACTIVE", Some("huawei_x_hw")));
    let why = row.family_refused.expect("a refusal");
    assert!(why.starts_with("it has none of the nodes that Nokia"), "{why}");
    assert_eq!(writes(&cpe), before, "and nothing is written for it: {:?}", cpe.asked);
    let told = world::timeline(&app).await;
    let said =
        told.iter().filter(|line| line.text.starts_with("Override refused by the device: set to Nokia"));
    assert_eq!(said.count(), 1);
    let found = models(ModelFilter { refused: true, overridden: Some(true), ..ModelFilter::default() }).await;
    assert_eq!((found.total, found.rows[0].refused), (1, 1));
    let refusals = app.store().read().refusals(&row.oui, &row.product_class).await.expect("readable");
    assert_eq!((refusals[0].family_refused.as_str(), refusals[0].devices), (why.as_str(), 1));

    // Every node knows, and it can be taken back.
    let other = bed.app("node-2", &Calls::default()).await;
    let set = other.family_override(&row.oui, &row.product_class, &row.software_version).expect("known");
    assert_eq!((set.by.as_str(), set.reason.as_str()), ("nino", "a trial"));
    app.withdraw_family(&admin(), firmware).await.expect("taken back");
    let gone = app.withdraw_family(&admin(), firmware).await;
    assert!(matches!(gone, Err(AppError::NotFound(_))));
    restarted(bed, &app, &calls, &mut cpe).await;
    let row = cpe_rows(&app).await.remove(0);
    assert_eq!((row.state.as_str(), row.family_refused), ("ACTIVE", None));
    let audited = "SELECT COUNT(*) FROM audit_log WHERE subject LIKE 'cpe_firmware:%' AND before IS NOT NULL AND after IS NOT NULL";
    assert_eq!(bed.number(audited).await, 2, "set and taken back, each with what was before");
}

on_both!(an_override_that_the_device_does_not_bear_out_changes_nothing_and_is_said);
