//! Fragments as a browser gets them, kept as files: what people see does not change unnoticed.

use super::bed::Bed;

fn check(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}.html", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let first = golden.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        golden == text,
        "{name} has changed at line {:?}; look at it and run again with UPDATE_GOLDEN=1:\n{text}",
        first.map(|line| line + 1)
    );
}

/// Every form has a key of its own, another one each time.
fn without_keys(text: &str) -> String {
    let mut parts = text.split("name=\"_once\" value=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("name=\"_once\" value=\"KEY");
        out.push_str(part.split_at_checked(32).expect("a whole key").1);
    }
    out
}

#[tokio::test]
async fn fragments_with_hostile_names() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let csrf = admin.csrf.clone();
    for (name, path) in [
        ("service_live", format!("/services/{service}/live")),
        ("service_row", format!("/services/{service}/row")),
        ("onu_row", "/onus/1/row".to_owned()),
        ("cpe_row", format!("/cpes/{cpe}/row")),
        ("cpe_parameters", format!("/cpes/{cpe}/parameters")),
    ] {
        let answer = admin.get(&bed, &path).await;
        check(name, &without_keys(&answer.text.replace(&csrf, "TOKEN")));
    }
}
