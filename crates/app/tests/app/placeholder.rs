//! The CPE that an authorisation announces, and the one that comes: whatever the order, they end as one.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, anonymous, asked, inform, told_nothing},
    olt::{Node, address_of, authorised, known_olt},
    world::{self, admin, announced, cpe_row, cpe_rows, olt_says, service_row, told, with_policy},
};
use app::App;
use store::{Presence, rows};
use types::{CpeId, Serial, ServiceId};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// The history of the row that an authorisation made, as the device that came has it.
async fn merged(app: &App, service: ServiceId, id: CpeId, placeholder: CpeId) {
    assert_eq!(service_row(app, service).await.cpe_id, Some(id));
    let row = cpe_row(app, id).await;
    assert_eq!((row.service_id, row.quarantine), (Some(service), false));
    assert!(app.store().get::<rows::Cpe>(placeholder).await.expect("reads").is_none());
    assert_eq!(told(app, id, "onu_known").await.len(), 1, "its history is the device's now");
    let lines = told(app, id, "placeholder_merged").await;
    assert!(lines.len() == 1 && lines[0].facts["announced_as"] == placeholder.0, "{lines:?}");
    assert_eq!(lines[0].service_id, Some(service));
}

async fn a_cpe_that_spoke_before_its_olt_did_takes_the_announced_place(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    // The OLT has not seen the ONU online yet: the CPE is a stranger, with a row of its own.
    olt_says(&app, onu, Presence::NotPresent).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    assert_ne!(id, placeholder);
    assert!(cpe_row(&app, id).await.quarantine);
    assert_eq!(service_row(&app, service).await.cpe_id, Some(placeholder));
    bed.advance_s(60);
    olt_says(&app, onu, Presence::InService).await;
    let (again, spoken) = asked(&app, inform(serial(), &["2 PERIODIC"], INSIDE), INSIDE).await;
    assert!(spoken && again == id);
    merged(&app, service, id, placeholder).await;
    assert_eq!(cpe_rows(&app).await.len(), 1);
}

async fn a_cpe_that_comes_after_its_olt_becomes_the_announced_one(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::InService).await;
    let (id, spoken) = asked(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), INSIDE).await;
    assert!(spoken && id == placeholder, "the announced row is its row");
    assert_eq!(service_row(&app, service).await.cpe_id, Some(id));
    assert_eq!(told(&app, id, "onu_known").await.len(), 1);
    assert_eq!(cpe_rows(&app).await.len(), 1);
}

async fn a_cpe_that_spoke_before_its_onu_was_authorised_is_linked_too(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            world::service(&app, "user@isp", Some(serial())).await
        })
        .await;
    let id = told_nothing(&node.app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    // That somebody says that it is the one is no reason not to expect it.
    let placeholder = service_row(&node.app, service).await.cpe_id.expect("one is expected");
    assert_ne!(placeholder, id);
    let at = address_of(&sim, serial());
    let facts = inform(serial(), &["2 PERIODIC"], &at);
    let (again, spoken) = node.run(move |app| async move { asked(&app, facts, &at).await }).await;
    assert!(spoken && again == id);
    merged(&node.app, service, id, placeholder).await;
    assert_eq!(cpe_rows(&node.app).await.len(), 1);
}

async fn a_placeholder_goes_in_one_piece_with_the_link(bed: &Bed) {
    let app = bed.app("node-1", &Default::default()).await;
    let (service, onu, placeholder) = announced(&app, "user@isp", serial()).await;
    olt_says(&app, onu, Presence::NotPresent).await;
    let id = told_nothing(&app, inform(serial(), &["0 BOOTSTRAP"], INSIDE), anonymous(INSIDE)).await;
    // An operator may be quicker than the OLT.
    app.claim_cpe(&admin(), id, service, None).await.expect("claimed");
    merged(&app, service, id, placeholder).await;
}

on_both!(
    a_cpe_that_spoke_before_its_olt_did_takes_the_announced_place,
    a_cpe_that_comes_after_its_olt_becomes_the_announced_one,
    a_cpe_that_spoke_before_its_onu_was_authorised_is_linked_too,
    a_placeholder_goes_in_one_piece_with_the_link,
);
