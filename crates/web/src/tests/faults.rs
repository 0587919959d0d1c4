//! Faults in groups, and the diagnosis of somebody else's.

use app::Role;
use axum::http::{StatusCode, header};
use store::{StoreError, rows};
use types::CpeId;

use super::bed::{Bed, NOW, between};

const FILE: &str = "Device,Channel,Code,Message,Detail,Retries,Timestamp\n\
    00259E-HG8546M-1,a,connection_request,Incorrect connection request credentials (401),,1,2026-11-20T10:00:00Z\n\
    00259E-HG8546M-2,a,connection_request,Incorrect connection request credentials (401),,1,2026-11-20T10:00:00Z\n\
    00259E-HG8546M-3,a,cwmp.9005,Invalid parameter name,<b>,1,2026-11-20T10:00:00Z\n";

async fn faults(bed: &Bed, cpe: CpeId, number: i64, model: &str, path: &str) {
    let fault = rows::CpeFault {
        cpe_id: cpe,
        at: NOW,
        class: "provisioning_logic".into(),
        code: 9005,
        text: "Invalid parameter name".into(),
        path: path.into(),
        parameter: "InternetGatewayDevice.X.?.Y".into(),
        rpc: "SetParameterValues".into(),
        model: model.into(),
        software_version: "V1".into(),
        reason_code: "write_rejected".into(),
        ..rows::CpeFault::default()
    };
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                for _ in 0..number {
                    tx.insert(&fault).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("faults");
}

#[tokio::test]
async fn a_group_says_its_share_and_leads_to_its_faults() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    // One is of the bed itself.
    faults(&bed, cpe, 12, "EG8145V5", "InternetGatewayDevice.X.1.Y").await;
    faults(&bed, cpe, 6, "EG8145V5", "InternetGatewayDevice.X.2.Y").await;
    faults(&bed, cpe, 1, "", "InternetGatewayDevice.X.2.Y").await;
    let page = admin.get(&bed, "/faults/groups").await;
    assert_eq!(page.status, StatusCode::OK);
    let row = between(&page.text, "id=\"g-1\"", "</tr>");
    assert!(row.contains("InternetGatewayDevice.X.?.Y"), "one parameter, whatever its instance: {row}");
    assert!(row.contains("18 <span class=\"two nw\">90 %</span>"), "{row}");
    let link = between(row, "href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let list = admin.get(&bed, &link).await;
    assert!(list.text.contains("1–18 of 18"), "{link}: {}", between(&list.text, "<h2>Latest", "</header>"));
    // Without a model is a model too.
    let nameless = admin.get(&bed, "/faults?model=-&class=provisioning_logic").await;
    assert!(nameless.text.contains("1–1 of 1"), "{}", between(&nameless.text, "<h2>Latest", "</header>"));
    let by_model = admin.get(&bed, "/faults/groups?by=model&sort=faults").await;
    assert!(between(&by_model.text, "id=\"g-3\"", "</tr>").contains("EG8145V5"), "smallest first");
    assert!(by_model.text.contains("Model not known"));
    let file = admin.get(&bed, "/faults/groups.csv?by=parameter").await;
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(lines[0].ends_with("faults,percent,cpes,open_cpes,first_at,last_at,meaning"), "{}", lines[0]);
    // All text of a line is quoted that holds a separator of other countries, as the meaning of this one does.
    let quoted = ",\"InternetGatewayDevice.X.?.Y\",\"\",\"\",19,95.0,1,";
    assert!(lines[1].contains(quoted) && lines[1].contains("; "), "{}", lines[1]);
}

#[tokio::test]
async fn a_file_is_diagnosed_pasted_or_sent_and_not_kept() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let before = bed.app.store().count::<rows::CpeFault>().await.expect("counts");
    let pasted = admin.post(&bed, "/faults/import", &[("text", FILE)]).await;
    assert_eq!(pasted.status, StatusCode::OK);
    let told = "67 % session triggering: 401 on connection request; devices cannot be called; 33 % are provisioning logic";
    assert!(pasted.text.contains(told), "{}", between(&pasted.text, "id=\"answer\"", "</main>"));
    let csrf = admin.csrf.clone();
    let sent = |file: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n{file}\r\n--x\r\n\
             Content-Disposition: form-data; name=\"text\"\r\n\r\n\r\n--x--\r\n"
        )
    };
    let as_part = |builder: http::request::Builder| {
        let mut builder = builder.header("x-csrf-token", &csrf).header("hx-request", "true");
        let headers = builder.headers_mut().expect("headers");
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=x".parse().expect("a header"));
        headers.insert(header::ORIGIN, "http://lk.example".parse().expect("a header"));
        headers.insert("sec-fetch-site", "same-origin".parse().expect("a header"));
        builder
    };
    let large = format!("{FILE}{}", "00259E-HG8546M-9,a,cwmp.9005,x,,1,\n".repeat(20_000));
    let whole = admin.forged(&bed, "/faults/import", &sent(&large), as_part).await;
    assert!(whole.text.contains("20,003 faults"), "{}", between(&whole.text, "id=\"answer\"", "</section>"));
    let wrong = admin.forged(&bed, "/faults/import", &sent("Name\nx\n"), as_part).await;
    assert_eq!(wrong.status, StatusCode::OK, "the part is put in its place");
    assert!(wrong.text.contains("neither a column Code nor a column Message"));
    let theirs =
        admin.post(&bed, "/faults/import", &[("text", "Code,Message\ncwmp.8003,Invalid arguments\n")]).await;
    assert!(
        theirs.text.contains("The ACS</span>") && !theirs.text.contains("Ours"),
        "whose ACS it was is not us"
    );
    let wrong = admin.post(&bed, "/faults/import", &[("text", "")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("The file is empty"));
    assert_eq!(bed.app.store().count::<rows::CpeFault>().await.expect("counts"), before, "nothing is kept");
    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, "/faults").await;
    assert!(!page.text.contains("/faults/import"), "no way to what one may not do");
}
