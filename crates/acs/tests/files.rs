//! The file server over real sockets: whole, in ranges, and for whoever may not have anything.

mod common;

use acs::AcsConfig;
use common::{Acs, Device, Door, FILE_PART, SIGNED, Said, inform, loopback};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::io::AsyncReadExt;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from((n * 7 + n / FILE_PART) % 251).expect("small")).collect()
}

fn address(file: i64) -> String {
    format!("/files/{file}/new.bin?d=1&e=1795271400&s={SIGNED}")
}

async fn served(bytes: usize) -> (Arc<Door>, Acs, Vec<u8>) {
    let (door, _) = Door::new();
    let content = content(bytes);
    door.file(7, content.clone());
    let acs = Acs::start(door.clone()).await;
    (door, acs, content)
}

#[tokio::test]
async fn a_file_is_fetched_whole_and_a_head_says_what_it_is() {
    let (_, acs, content) = served(FILE_PART * 3 + 17).await;
    let mut device = acs.device().await;
    let got = device.fetch("GET", &address(7), &[]).await;
    assert_eq!((got.answer.status, got.whole), (200, true));
    assert!(got.answer.body == content, "byte for byte");
    let tag = got.answer.header("etag").expect("a tag").to_owned();
    assert!(tag.len() == 66 && tag.starts_with('"'), "the checksum: {tag}");
    assert_eq!(got.answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(got.answer.header("content-type"), Some("application/octet-stream"));
    // On the same connection, as small stacks do it.
    let head = device.fetch("HEAD", &address(7), &[]).await;
    assert_eq!((head.answer.status, head.length), (200, content.len()));
    assert_eq!(head.answer.header("etag"), Some(tag.as_str()));
    let known = device.fetch("GET", &address(7), &[("If-None-Match", &tag)]).await;
    assert_eq!((known.answer.status, known.length), (304, 0));
    // And messages of CWMP go on as ever.
    assert_eq!(device.post(&[], &inform("S1")).await.status, 200);
    assert_eq!((acs.stats)().downloads, 1);
    acs.stop().await;
}

#[tokio::test]
async fn a_device_that_was_cut_off_goes_on_where_it_was() {
    let (_, acs, content) = served(FILE_PART * 5).await;
    let head = acs.device().await.fetch("HEAD", &address(7), &[]).await;
    let tag = head.answer.header("etag").expect("a tag").to_owned();
    let mut have: Vec<u8> = Vec::new();
    // Cut off in the middle of a part, time and again.
    while have.len() < content.len() {
        let from = format!("bytes={}-", have.len());
        let asked = [("Range", from.as_str()), ("If-Range", tag.as_str())];
        let got = acs.device().await.fetch("GET", &address(7), &asked).await;
        assert_eq!(got.answer.status, 206);
        let said = got.answer.header("content-range").expect("a range").to_owned();
        assert_eq!(said, format!("bytes {}-{}/{}", have.len(), content.len() - 1, content.len()));
        have.extend(got.answer.body.iter().take(777));
    }
    assert!(have == content, "put together it is the file");

    let mut device = acs.device().await;
    for (range, status, from, to) in [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=999-1000", 206, 999, 1001),
        ("bytes=-10", 206, content.len() - 10, content.len()),
        ("bytes=4000-99999999", 206, 4000, content.len()),
        ("bytes=-99999999", 206, 0, content.len()),
        // What is no single range is as if nothing was said.
        ("bytes=0-1,5-6", 200, 0, content.len()),
        ("bytes=5-2", 200, 0, content.len()),
        ("items=0-1", 200, 0, content.len()),
        ("bytes=99999999999999999999-", 416, 0, 0),
        ("bytes=5000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ] {
        let got = device.fetch("GET", &address(7), &[("Range", range)]).await;
        assert_eq!(got.answer.status, status, "{range}");
        assert!(got.whole && got.answer.body == content[from..to], "{range}");
        if status == 416 {
            assert_eq!(got.answer.header("content-range"), Some("bytes */5000"), "{range}");
        }
    }
    // The beginning of another file is not gone on with.
    let other = format!("\"{}\"", "0".repeat(64));
    let got = device.fetch("GET", &address(7), &[("Range", "bytes=100-"), ("If-Range", &other)]).await;
    assert_eq!((got.answer.status, got.answer.body.len()), (200, content.len()));
    acs.stop().await;
}

#[tokio::test]
async fn what_may_not_be_had_looks_all_the_same() {
    let (door, mut heard) = Door::new();
    door.file(7, content(100));
    let acs = Acs::start(door).await;
    let mut seen = Vec::new();
    for target in [
        address(8),
        address(7).replace(SIGNED, "ab13"),
        "/files/7/new.bin".to_owned(),
        "/files/../etc/passwd".to_owned(),
        "/files/7/..%2f..%2fetc%2fpasswd?d=1".to_owned(),
        format!("/files/7/{}", "a".repeat(3000)),
    ] {
        let got = acs.device().await.fetch("GET", &target, &[]).await;
        let mut headers = got.answer.headers.clone();
        headers.retain(|(name, _)| name != "date");
        seen.push((got.answer.status, headers, got.answer.body));
    }
    assert_eq!(seen[0].0, 404);
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((acs.stats)().refused_files, 6);
    for _ in 0..4 {
        assert_eq!(heard.next().await, Said::NoFile(Ipv4Addr::LOCALHOST.into()));
    }
    assert!(heard.nothing_more());
    // Nothing but reading.
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let mut device = acs.device().await;
        assert_eq!(device.fetch(method, &address(7), &[]).await.answer.status, 405, "{method}");
    }
    acs.stop().await;
}

#[tokio::test]
async fn a_part_that_cannot_be_read_ends_the_download_and_does_not_pretend() {
    // Longer than what is gathered before anything is sent.
    let (door, acs, content) = served(FILE_PART * 3000).await;
    door.part_is_unreadable(2500);
    let got = acs.device().await.fetch("GET", &address(7), &[]).await;
    assert_eq!((got.answer.status, got.length, got.whole), (200, content.len(), false));
    assert!(
        content.starts_with(&got.answer.body) && got.answer.body.len() <= 2500 * FILE_PART,
        "what came is right"
    );
    // At its very beginning: nothing is answered, and so nothing is taken for the file.
    door.part_is_unreadable(0);
    let mut device = acs.device().await;
    device.send(format!("GET {} HTTP/1.1\r\nHost: acs\r\n\r\n", address(7)).as_bytes()).await;
    assert!(device.answer().await.is_none());
    acs.stop().await;
}

#[tokio::test]
async fn one_address_costs_others_nothing() {
    let (door, _) = Door::new();
    // More than the buffers of two sockets.
    door.file(7, content(32 << 20));
    let config = AcsConfig {
        plain: Some(loopback()),
        max_downloads: 3,
        max_downloads_per_address: 2,
        files_per_s: 0.001,
        files_burst: 6.0,
        write_within: Duration::from_millis(300),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let begin = async |from: Ipv4Addr| {
        let mut device = acs.device_from(from).await;
        device.send(format!("GET {} HTTP/1.1\r\nHost: acs\r\n\r\n", address(7)).as_bytes()).await;
        let mut start = [0; 12];
        device.wire.read_exact(&mut start).await.expect("an answer");
        (device, String::from_utf8_lossy(&start[9..]).into_owned())
    };
    let (greedy, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let (first, one) = begin(greedy).await;
    let (second, two) = begin(greedy).await;
    assert_eq!((one.as_str(), two.as_str()), ("200", "200"));
    assert_eq!(begin(greedy).await.1, "503", "beyond what one address may fetch at a time");
    assert_eq!(begin(other).await.1, "200", "others are served");
    // Whoever takes nothing is cut off, and the places are free again.
    let end = tokio::time::Instant::now() + common::PATIENCE;
    while (acs.stats)().downloading > 0 {
        assert!(tokio::time::Instant::now() < end, "who takes nothing keeps a place");
        tokio::task::yield_now().await;
    }
    drop((first, second));
    let asks = async |from: Ipv4Addr| {
        let mut device: Device = acs.device_from(from).await;
        device.fetch("HEAD", &address(7), &[]).await.answer
    };
    for _ in 0..3 {
        assert_eq!(asks(greedy).await.status, 200);
    }
    let answer = asks(greedy).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")), "too many requests");
    assert_eq!(asks(other).await.status, 200);
    acs.stop().await;
}

#[tokio::test]
async fn the_management_networks_count_for_files_too() {
    let (door, mut heard) = Door::new();
    door.file(7, content(100));
    let mut plain = loopback();
    plain.allowed_from = vec!["127.0.0.0/24".parse().expect("a network")].into();
    let acs = Acs::start_with(AcsConfig { plain: Some(plain), ..AcsConfig::default() }, door).await;
    let outside = Ipv4Addr::new(127, 0, 9, 9);
    let mut device = acs.device_from(outside).await;
    let mut nothing = [0; 1];
    let _ = tokio::io::AsyncWriteExt::write_all(
        &mut device.wire,
        format!("GET {} HTTP/1.1\r\nHost: acs\r\n\r\n", address(7)).as_bytes(),
    )
    .await;
    assert_eq!(device.wire.read(&mut nothing).await.unwrap_or(0), 0, "closed without an answer");
    assert_eq!(heard.next().await, Said::Refused(outside.into()));
    assert_eq!(acs.device().await.fetch("GET", &address(7), &[]).await.answer.status, 200);
    acs.stop().await;
}
