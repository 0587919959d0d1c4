//! The file server over real sockets: whole, in ranges, and for whoever may not have anything.

mod common;

use acs::AcsConfig;
use common::{Acs, Door, FILE_PART, SIGNED, Said, inform, loopback};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::io::AsyncReadExt;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from((n * 7 + n / FILE_PART) % 251).expect("small")).collect()
}

fn address(file: i64) -> String {
    address_of(1, file)
}

fn address_of(cpe: i64, file: i64) -> String {
    format!("/files/{file}-{cpe}-1795271400-{SIGNED}/new.bin")
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
    let part = device.fetch("HEAD", &address(7), &[("Range", "bytes=5-9")]).await;
    assert_eq!((part.answer.status, part.length), (200, content.len()), "ranges are of GET alone");
    assert_eq!(part.answer.header("accept-ranges"), Some("bytes"));
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
        "/files/7-1-1795271400-ab13/..%2f..%2fetc%2fpasswd".to_owned(),
        format!("{}?x=1", address(7)),
        format!("/files/7-1-1795271400-{SIGNED}/{}", "a".repeat(3000)),
    ] {
        let got = acs.device().await.fetch("GET", &target, &[]).await;
        let mut headers = got.answer.headers.clone();
        headers.retain(|(name, _)| name != "date");
        seen.push((got.answer.status, headers, got.answer.body));
    }
    assert_eq!(seen[0].0, 404);
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((acs.stats)().refused_files, 7);
    for _ in 0..6 {
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
async fn one_device_costs_others_nothing_also_behind_one_address() {
    let (door, _) = Door::new();
    // More than the buffers of two sockets.
    door.file(7, content(32 << 20));
    door.file(8, content(32 << 20));
    let config = AcsConfig {
        plain: Some(loopback()),
        max_downloads: 3,
        max_downloads_per_device: 1,
        files_per_s: 0.001,
        files_burst: 6.0,
        file_idle: Duration::from_millis(300),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let begin = async |cpe: i64, file: i64| {
        let mut device = acs.device().await;
        device.send(format!("GET {} HTTP/1.1\r\nHost: acs\r\n\r\n", address_of(cpe, file)).as_bytes()).await;
        let mut start = [0; 12];
        device.wire.read_exact(&mut start).await.expect("an answer");
        (device, String::from_utf8_lossy(&start[9..]).into_owned())
    };
    let (first, one) = begin(1, 7).await;
    assert_eq!(one, "200");
    assert_eq!(begin(1, 8).await.1, "503", "beyond what one device may fetch at a time");
    let (second, two) = begin(2, 7).await;
    assert_eq!(two, "200", "another one behind the same address is served");
    // Cut off without a word and back at once: its place is its own.
    let (third, three) = begin(1, 7).await;
    assert_eq!((three.as_str(), (acs.stats)().downloading), ("200", 2));
    // Whoever takes nothing is cut off, and the places are free again.
    let end = tokio::time::Instant::now() + common::PATIENCE;
    while (acs.stats)().downloading > 0 {
        assert!(tokio::time::Instant::now() < end, "who takes nothing keeps a place");
        tokio::task::yield_now().await;
    }
    drop((first, second, third));
    let head = async |cpe: i64| acs.device().await.fetch("HEAD", &address_of(cpe, 7), &[]).await.answer;
    for _ in 0..3 {
        assert_eq!(head(1).await.status, 200);
    }
    let answer = head(1).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("60")),
        "too many requests of one device"
    );
    assert_eq!(head(2).await.status, 200);
    // Of strangers the address counts, and what they do is none of the devices' business.
    let guess = address(7).replace(SIGNED, "ab13");
    let mut guessed = Vec::new();
    for _ in 0..8 {
        guessed.push(acs.device().await.fetch("GET", &guess, &[]).await.answer.status);
    }
    assert_eq!(guessed, [404, 404, 404, 404, 404, 404, 503, 503]);
    assert_eq!(head(3).await.status, 200);
    acs.stop().await;
}

#[tokio::test]
async fn a_download_that_is_asked_for_again_ends() {
    let (_, acs, content) = served(32 << 20).await;
    let mut first = acs.device().await;
    first.send(format!("GET {} HTTP/1.1\r\nHost: acs\r\n\r\n", address(7)).as_bytes()).await;
    let mut start = [0; 12];
    first.wire.read_exact(&mut start).await.expect("an answer");
    let again = acs.device().await.fetch("GET", &address(7), &[("Range", "bytes=-10")]).await;
    assert_eq!((again.answer.status, again.answer.body.len()), (206, 10));
    let mut rest = Vec::new();
    let ended =
        tokio::time::timeout(common::PATIENCE, first.wire.read_to_end(&mut rest)).await.expect("it ends");
    assert!(ended.is_err() || rest.len() < content.len(), "cut off, and not at its end");
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

#[tokio::test]
async fn an_old_address_of_a_file_costs_whoever_asks_and_not_the_device() {
    let (door, _) = Door::new();
    door.file(7, content(100));
    let config =
        AcsConfig { plain: Some(loopback()), files_per_s: 0.001, files_burst: 3.0, ..AcsConfig::default() };
    let acs = Acs::start(door.clone()).await;
    let old = address(7).replace("1795271400", "1600000000");
    let got = acs.device().await.fetch("GET", &old, &[]).await;
    assert_eq!((got.answer.status, (acs.stats)().refused_files), (404, 1));
    acs.stop().await;
    let acs = Acs::start_with(config, door).await;
    let stranger = Ipv4Addr::new(127, 0, 9, 9);
    // A good address of a file that is not given is no better.
    let (mut seen, refused) = (Vec::new(), address(8));
    for target in [&old, &old, &old, &old, &refused, &refused, &refused, &refused] {
        seen.push(acs.device_from(stranger).await.fetch("GET", target, &[]).await.answer.status);
    }
    assert_eq!(seen, [404, 404, 404, 503, 404, 404, 404, 503], "one address asks so often and no more");
    for _ in 0..3 {
        let got = acs.device().await.fetch("GET", &address(7), &[]).await;
        assert_eq!((got.answer.status, got.whole), (200, true), "the device has all of its requests");
    }
    acs.stop().await;
}

#[tokio::test]
async fn a_request_that_sends_nothing_of_the_file_ends_no_download() {
    let (_, acs, content) = served(32 << 20).await;
    let mut first = acs.device().await;
    first.send(format!("GET {} HTTP/1.0\r\nHost: acs\r\n\r\n", address(7)).as_bytes()).await;
    let mut start = [0; 12];
    first.wire.read_exact(&mut start).await.expect("an answer");
    let tag = acs
        .device()
        .await
        .fetch("HEAD", &address(7), &[])
        .await
        .answer
        .header("etag")
        .expect("a tag")
        .to_owned();
    let known = acs.device().await.fetch("GET", &address(7), &[("If-None-Match", &tag)]).await;
    let outside = acs.device().await.fetch("GET", &address(7), &[("Range", "bytes=99999999-")]).await;
    assert_eq!((known.answer.status, outside.answer.status), (304, 416));
    let mut rest = Vec::new();
    tokio::time::timeout(common::PATIENCE, first.wire.read_to_end(&mut rest))
        .await
        .expect("ends")
        .expect("whole");
    assert!(rest.ends_with(&content[content.len() - 1000..]) && rest.len() > content.len(), "to its end");
    acs.stop().await;
}

#[tokio::test]
async fn a_device_that_fetches_block_by_block_is_slowed_down_and_not_turned_away() {
    let (door, _) = Door::new();
    let content = content(FILE_PART * 12);
    door.file(7, content.clone());
    let config =
        AcsConfig { plain: Some(loopback()), files_per_s: 50.0, files_burst: 2.0, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let mut device = acs.device().await;
    let mut have: Vec<u8> = Vec::new();
    while have.len() < content.len() {
        let range = format!("bytes={}-{}", have.len(), have.len() + FILE_PART - 1);
        let got = device.fetch("GET", &address(7), &[("Range", &range)]).await;
        assert_eq!(got.answer.status, 206, "at {}", have.len());
        have.extend(got.answer.body);
    }
    assert!(have == content);
    acs.stop().await;
}
