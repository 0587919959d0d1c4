//! Recordings: switched on and off on the page of a CPE, and taken as a file.

use app::Role;
use axum::http::{StatusCode, header};
use store::rows;
use types::CpeRecordingId;

use super::bed::{Bed, between};

#[tokio::test]
async fn a_recording_is_switched_on_stopped_and_taken() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let path = format!("/cpes/{cpe}/recordings");
    // The bed has one that runs.
    let page = admin.get(&bed, &path).await;
    assert!(!page.text.contains("id=\"re-start\""), "one at a time");
    assert_eq!(admin.post(&bed, "/recordings/1/stop", &[]).await.status, StatusCode::SEE_OTHER);
    let page = admin.get(&bed, &path).await;
    assert!(page.text.contains("it was stopped") && page.text.contains("id=\"re-start\""), "{}", page.text);
    let wrong = admin.post(&bed, &path, &[("sessions", "51"), ("hours", "x")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("is not a whole number"), "{}", between(&wrong.text, "<form", "</form>"));
    let wrong = admin.post(&bed, &path, &[("sessions", "51"), ("hours", "1")]).await;
    assert!(wrong.text.contains("is not from 1 to 50"), "{}", between(&wrong.text, "id=\"re-s\"", "</div>"));
    let begun = admin.post(&bed, &path, &[("sessions", "2"), ("hours", "1")]).await;
    assert_eq!(begun.header(header::LOCATION), path);
    let row: rows::CpeRecording = bed.app.store().require(CpeRecordingId(2)).await.expect("a recording");
    assert_eq!((row.sessions_left, row.lines), (2, 1));
    let page = admin.get(&bed, &path).await;
    assert!(
        page.text.contains("2 sessions to go"),
        "{}",
        between(&page.text, "id=\"recordings\"", "</section>")
    );
    let file = admin.get(&bed, "/recordings/2/file").await;
    assert!(file.header(header::CONTENT_DISPOSITION).contains("-recording-2.jsonl"));
    assert!(
        file.text.starts_with('{') && file.text.contains("\"recording\":\"lightkeeper\""),
        "{}",
        file.text
    );
    let mut viewer = bed.person(Role::Viewer).await;
    assert_eq!(viewer.get(&bed, &path).await.status, StatusCode::OK);
    assert_eq!(viewer.get(&bed, "/recordings/2/file").await.status, StatusCode::FORBIDDEN);
    assert_eq!(viewer.post(&bed, "/recordings/2/stop", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.get(&bed, "/recordings/99/file").await.status, StatusCode::NOT_FOUND);
}
