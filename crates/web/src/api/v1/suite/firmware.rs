//! Firmware files as a program handles them.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use bytes::Bytes;
use futures::stream;
use sha2::{Digest, Sha256};

use super::{Bed, Got, request};

const QUERY: &str = "name=new.bin&manufacturer=Huawei&product_class=EG8145V5&software_version=V5R020C10S125";

async fn upload(bed: &Bed, query: &str, kind: &str, body: Body) -> Got {
    let mut asked = request(&bed.key, Method::POST, &format!("/api/v1/firmware?{query}"), None);
    asked.headers_mut().insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
    *asked.body_mut() = body;
    bed.send(asked).await
}

#[tokio::test]
async fn a_file_is_sent_as_the_body_listed_and_deleted() {
    let bed = Bed::new().await;
    let bytes: Vec<u8> = (0..600_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let sum = hex::encode(Sha256::digest(&bytes));
    let kind = "application/octet-stream";
    let made = upload(&bed, &format!("{QUERY}&sha256={sum}"), kind, Body::from(bytes.clone())).await;
    assert_eq!(
        (made.status, made.header("location")),
        (StatusCode::CREATED, "/api/v1/firmware/1"),
        "{}",
        made.text
    );
    let made = made.json();
    assert_eq!((made["size"].as_i64(), made["sha256"].as_str()), (Some(600_000), Some(sum.as_str())));
    assert_eq!(bed.get("/api/v1/firmware/1").await.json(), made);
    upload(&bed, QUERY, kind, Body::from(bytes)).await.problem(StatusCode::CONFLICT);
    let other = upload(&bed, &QUERY.replace("new", "other"), kind, Body::from("other")).await.json();
    assert_eq!(other["name"], "other.bin");
    let names = |got: Got| -> Vec<String> {
        let list = got.json();
        let items = list["items"].as_array().expect("items").iter();
        items.map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(bed.get("/api/v1/firmware?sort=size").await), ["other.bin", "new.bin"]);
    assert_eq!(names(bed.get(&format!("/api/v1/firmware?q={}", &sum[..12])).await), ["new.bin"]);
    assert_eq!(bed.get("/api/v1/firmware?product_class=F660").await.json()["total"], 0);

    let delete =
        |id: i64| bed.send(request(&bed.key, Method::DELETE, &format!("/api/v1/firmware/{id}"), None));
    assert_eq!(delete(1).await.status, StatusCode::NO_CONTENT);
    delete(1).await.problem(StatusCode::NOT_FOUND);
    bed.get("/api/v1/firmware/1").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(names(bed.get("/api/v1/firmware").await), ["other.bin"]);
}

#[tokio::test]
async fn what_is_not_understood_or_not_whole_is_said_and_not_kept() {
    let bed = Bed::new().await;
    let kind = "application/octet-stream";
    upload(&bed, QUERY, "application/json", Body::from("{}"))
        .await
        .problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let got = upload(&bed, &format!("{QUERY}&colour=red"), kind, Body::from("x")).await;
    assert!(got.problem(StatusCode::BAD_REQUEST).contains("colour"));
    let got = upload(&bed, "name=x.bin", kind, Body::from("x")).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "product_class");
    let got = upload(&bed, &format!("{QUERY}&sha256={}", "0".repeat(64)), kind, Body::from("x")).await;
    assert!(got.problem(StatusCode::UNPROCESSABLE_ENTITY).contains("another one"));
    let torn = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    let got = upload(&bed, QUERY, kind, Body::from_stream(torn)).await;
    assert!(got.problem(StatusCode::BAD_REQUEST).contains("nothing of it was kept"));
    assert_eq!(bed.get("/api/v1/firmware").await.json()["total"], 0);
}
