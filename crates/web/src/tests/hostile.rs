//! What devices, OLTs and customers call themselves is text, on every page and in every file.

use axum::http::header;

use super::bed::{Bed, HOSTILE, MOMENT};

#[tokio::test]
async fn a_hostile_name_is_text_on_every_page() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, olt) = bed.seeded().await;
    let pages = [
        "/".to_owned(),
        "/overview/live".into(),
        "/detected".into(),
        "/authorise?detected=1".into(),
        "/authorise?detected=1&description=%22%3E%3Cscript%3E&for=new".into(),
        "/onus".into(),
        "/onus/1".into(),
        "/onus/1/row".into(),
        "/onus/1/change?do=remove".into(),
        "/onus/1/change?do=move&pon=%22%3E%3Cscript%3E".into(),
        "/onus/1/change?do=replace&serial=%22%3E%3Cscript%3E".into(),
        "/onus/1/change/dry-run?do=move&pon=%22%3E%3Cscript%3E".into(),
        "/services".into(),
        format!("/services/{service}"),
        format!("/services/{service}/live"),
        "/services/new".into(),
        "/cpes".into(),
        format!("/cpes/{cpe}"),
        format!("/cpes/{cpe}/live"),
        format!("/cpes/{cpe}/parameters"),
        format!("/cpes/{cpe}/care"),
        format!("/cpes/{cpe}/care?path=%22%3E%3Cscript%3Ealert(1)%3C/script%3E."),
        "/faults".into(),
        "/customers".into(),
        "/customers/1".into(),
        "/customers/1/edit".into(),
        "/plans".into(),
        "/plans/1/edit".into(),
        "/olts".into(),
        format!("/olts/{olt}"),
        format!("/olts/{olt}/edit"),
        "/audit".into(),
        "/search?q=script".into(),
        "/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".into(),
        "/onus?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&pon=%3Cimg%20src%3Dx%3E&sort=%22%3E%3Cscript%3E"
            .into(),
        "/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".into(),
    ];
    for path in pages {
        let text = admin.get(&bed, &path).await.text;
        for tag in ["<script>alert", "<img src=x", "<script>\""] {
            assert!(!text.contains(tag), "{path} holds {tag}");
        }
        assert!(!text.contains("href=\"javascript:"), "{path}");
        assert!(!text.contains(MOMENT) && !text.contains("T14:20:00Z"), "{path} shows a moment in no zone");
    }
    let page = admin.get(&bed, &format!("/services/{service}")).await.text;
    assert!(
        page.contains("&#60;script&#62;alert(1)") || page.contains("&lt;script&gt;alert(1)"),
        "it is shown, as text"
    );
    assert!(!page.contains("hunter2"), "and no secret is");
}

#[tokio::test]
async fn a_file_for_a_spreadsheet_runs_nothing() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let evil = app::NewCustomer {
        name: "=HYPERLINK(\"http://evil.example\")".into(),
        ..app::NewCustomer::default()
    };
    bed.app.create_customer(&app::Actor::System("test"), evil).await.expect("a customer");
    for path in [
        "/onus.csv",
        "/services.csv",
        "/cpes.csv",
        "/faults.csv",
        "/customers.csv",
        "/tasks.csv",
        "/audit.csv",
    ] {
        let answer = admin.get(&bed, path).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        assert!(answer.header(header::CONTENT_TYPE).starts_with("text/csv"), "{path}");
        assert!(answer.header(header::CONTENT_DISPOSITION).starts_with("attachment"), "{path}");
        assert!(answer.text.starts_with('\u{feff}'), "{path} says that it is UTF-8");
        let mut reader =
            csv::ReaderBuilder::new().from_reader(answer.text.trim_start_matches('\u{feff}').as_bytes());
        for record in reader.records() {
            for cell in &record.expect("a record") {
                let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
                assert!(!runs, "{path}: {cell:?} would run");
            }
        }
    }
    let customers = admin.get(&bed, "/customers.csv").await.text;
    assert!(customers.contains("'=HYPERLINK"), "{customers}");
    assert!(
        admin.get(&bed, "/customers.csv?q=hyperlink").await.text.lines().count() == 2,
        "the filter counts"
    );
    assert!(customers.contains(&HOSTILE.replace('"', "\"\"")), "a file holds the text as it is");
}
