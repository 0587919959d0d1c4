//! The page of firmware files: upload with checks, list, export, delete.

use app::{Role, ports::CpeFrontDoor};
use axum::http::{StatusCode, header};

use super::bed::{Answer, Bed, Browser, between};

const PATH: &str = "/settings/firmware";

/// The form as a browser sends it: fields, then the file.
async fn send(
    bed: &Bed,
    who: &Browser,
    fields: &[(&str, &str)],
    file: Option<(&str, &str)>,
    by_script: bool,
) -> Answer {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    if let Some((name, content)) = file {
        body.push_str(&format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--x--\r\n");
    let csrf = who.csrf.clone();
    who.forged(bed, PATH, &body, |builder| {
        let mut builder = builder.header("x-csrf-token", &csrf);
        if by_script {
            builder = builder.header("hx-request", "true");
        }
        let headers = builder.headers_mut().expect("headers");
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=x".parse().expect("a header"));
        headers.insert(header::ORIGIN, "http://lk.example".parse().expect("a header"));
        headers.insert("sec-fetch-site", "same-origin".parse().expect("a header"));
        builder
    })
    .await
}

const FIELDS: [(&str, &str); 4] = [
    ("manufacturer", "Huawei"),
    ("product_class", "EG8145V5"),
    ("software_version", "V5R020C10S125"),
    ("note", "from the maker's site"),
];

#[tokio::test]
async fn a_file_is_uploaded_found_and_deleted() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let large = "0123456789abcdef".repeat(40_000);
    let sent = send(&bed, &admin, &FIELDS, Some(("EG8145V5 new.bin", &large)), true).await;
    assert_eq!(
        (sent.status, sent.headers["hx-redirect"].to_str().ok()),
        (StatusCode::OK, Some(PATH)),
        "{}",
        sent.text
    );
    assert!(sent.header(header::SET_COOKIE).contains("flash"), "and what came of it is told there");
    let page = admin.get(&bed, PATH).await.text;
    for word in ["EG8145V5_new.bin", "625.0 KiB", "V5R020C10S125", "from the maker&#39;s site", "SHA-256"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(admin.get(&bed, &format!("{PATH}?q=nothing")).await.text.contains("Nothing fits this filter"));
    assert!(admin.get(&bed, &format!("{PATH}?q=eg8145&sort=-size")).await.text.contains("EG8145V5_new.bin"));
    let csv = admin.get(&bed, &format!("{PATH}.csv?q=EG8145")).await.text;
    assert!(csv.contains("640000") && csv.lines().count() == 2, "{csv}");

    let mut viewer = bed.person(Role::Viewer).await;
    let seen = viewer.get(&bed, PATH).await.text;
    assert!(seen.contains("EG8145V5_new.bin") && !seen.contains("Delete…") && !seen.contains("fw-new"));
    let refused = send(&bed, &viewer, &FIELDS, Some(("x.bin", "x")), true).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let gone = admin.post(&bed, &format!("{PATH}/1/delete"), &[]).await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    assert!(admin.get(&bed, PATH).await.text.contains("No firmware file yet"));
    let audit = admin.get(&bed, "/audit").await.text;
    assert!(audit.contains("firmware.upload") && audit.contains("firmware.delete"), "{audit}");
}

#[tokio::test]
async fn a_form_that_does_not_fit_comes_back_with_what_was_typed() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    for (fields, file, word) in [
        (&FIELDS[1..], Some(("x.bin", "x")), "Say who makes this model"),
        (&FIELDS[..1], Some(("x.bin", "x")), "is empty; it is needed"),
        (&FIELDS[..], Some(("", "")), "choose the firmware file"),
        (&FIELDS[..], None, "choose the firmware file"),
        (&FIELDS[..], Some(("x.bin", "")), "is empty; choose"),
    ] {
        let answer = send(&bed, &admin, fields, file, false).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{word}: {}", answer.text);
        let form = between(&answer.text, "id=\"fw-new\"", "</form>");
        assert!(form.contains(word), "{word}: {form}");
        assert!(form.contains("Choose the file again"));
        if fields.len() == FIELDS.len() {
            assert!(form.contains("value=\"V5R020C10S125\""), "{form}");
        }
        let part = send(&bed, &admin, fields, file, true).await;
        assert_eq!(part.status, StatusCode::OK, "the part is put in its place");
        assert!(part.text.contains(word));
    }
    // A field that comes twice could name other CPEs than those that were read.
    let twice = [&FIELDS[..], &[("product_class", "other")]].concat();
    let answer = send(&bed, &admin, &twice, Some(("x.bin", "x")), false).await;
    assert!(answer.text.contains("fields twice"), "{}", answer.text);
    let wrong = [FIELDS[0], FIELDS[1], FIELDS[2], ("sha256", &"0".repeat(64))];
    let answer = send(&bed, &admin, &wrong, Some(("x.bin", "x")), false).await;
    assert!(answer.text.contains("was damaged on its"), "{}", answer.text);
    let page = admin.get(&bed, PATH).await.text;
    assert!(page.contains("No firmware file yet"), "nothing was kept");
    assert!(!page.contains("fw-refused"));
    bed.app.no_file("10.9.9.9".parse().expect("an address"));
    let page = admin.get(&bed, PATH).await.text;
    let told = between(&page, "id=\"fw-refused\"", "</div>");
    assert!(told.contains("1 request for a file was refused") && told.contains("10.9.9.9"), "{told}");
}
