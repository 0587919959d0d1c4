//! What a step writes of the row of its device.

use crate::{
    acs::{find_or_insert, new_cpe, save},
    bed::Bed,
};
use serde_json::json;
use store::{
    Guarded,
    cpes::CpeStep,
    rows::{Cpe, TimelineEntry},
};
use types::CpeId;

on_both! {
    of_a_row_is_written_what_a_step_changed,
}

async fn of_a_row_is_written_what_a_step_changed(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let next = Cpe {
        pon_serial: None,
        claimed_serial: cpe.pon_serial,
        quarantine: false,
        machine: json!({"state": "OWNED"}).into(),
        last_inform_at: Some(store.now()),
        reason_text: "Ó".to_owned(),
        ..cpe.clone()
    };
    let step = CpeStep { cpe: next.clone(), was: Some(Box::new(cpe.clone())), ..CpeStep::default() };
    assert!(save(&store, step.clone()).await.is_changed());
    let stored = store.require::<Cpe>(cpe.id).await.expect("reads");
    assert_eq!(stored, Cpe { version: cpe.version + 1, ..next });
    let late = CpeStep { timeline: vec![TimelineEntry::default()], ..step };
    let late = save(&store, late).await;
    assert_eq!(late, Guarded::NotAsExpected { found: format!("version {}", stored.version) });
    assert_eq!(store.count::<TimelineEntry>().await.expect("counts"), 0);
    // A step that leaves the row as it is counts all the same: others looked at what it decided by.
    let same = CpeStep { cpe: stored.clone(), was: Some(Box::new(stored.clone())), ..CpeStep::default() };
    assert!(save(&store, same).await.is_changed());
    let again = store.require::<Cpe>(stored.id).await.expect("reads");
    assert_eq!(again, Cpe { version: stored.version + 1, ..stored });
    let nobody = Cpe { id: CpeId(4711), ..again.clone() };
    let gone = CpeStep { cpe: nobody, was: Some(Box::new(again)), ..CpeStep::default() };
    assert_eq!(save(&store, gone).await, Guarded::NotFound);
}
