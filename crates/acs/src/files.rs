//! The file server: `GET` and `HEAD` of `/files/<file>/<name>?d=<device>&e=<until>&s=<signature>`, in ranges, so that a
//! device goes on where it was cut off.
//!
//! A device that asks for what it may not have gets 404, whatever the reason: an address that was tampered with, is too
//! old, is of another device or never was, look all the same from outside. Why is said to operators by `app`.

use crate::{
    AcsConfig,
    handler::Edge,
    rate::{Budget, RateLimiter, Share},
    sessions::Origin,
};
use app::ports::{CpeFrontDoor, FileAddress, OfferedFile};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
        IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
    },
};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use types::{CpeId, FirmwareFileId, UtcMs};

/// Where files are.
pub(crate) const PREFIX: &str = "/files/";
/// Longest path and query that is looked at.
const MAX_TARGET: usize = 1024;
/// A part that the database does not give within this ends the download; the device goes on later.
const PART_WITHIN: Duration = Duration::from_secs(20);

/// An answer of the server: a message of CWMP, or a file.
pub(crate) type AnyAnswer = Response<Either<Full<Bytes>, FileBody>>;

/// What file requests share.
pub(crate) struct Files {
    downloads: Arc<Budget>,
    asks: RateLimiter,
    slowest: u64,
}

impl Files {
    pub(crate) fn new(config: &AcsConfig) -> Self {
        Files {
            downloads: Budget::new(config.max_downloads, config.max_downloads_per_address),
            asks: RateLimiter::new(config.files_per_s, config.files_burst),
            slowest: config.file_bytes_per_s.max(1),
        }
    }

    /// Downloads going on now.
    pub(crate) fn downloading(&self) -> usize {
        self.downloads.held()
    }
}

/// Reads `/files/7/name.bin?d=3&e=1795271400&s=ab…`. Nothing but that is an address of a file.
fn parse(uri: &Uri) -> Option<FileAddress> {
    let rest = uri.path().strip_prefix(PREFIX)?;
    let query = uri.query()?;
    if uri.path().len() + query.len() > MAX_TARGET {
        return None;
    }
    let (id, name) = rest.split_once('/')?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let number = |text: &str| -> Option<i64> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let (mut device, mut until, mut signature) = (None, None, None);
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=')?;
        let twice = match key {
            "d" => device.replace(number(value)?).is_some(),
            "e" => until.replace(number(value)?).is_some(),
            "s" => signature.replace(value.to_owned()).is_some(),
            _ => true,
        };
        if twice {
            return None;
        }
    }
    Some(FileAddress {
        file: FirmwareFileId(number(id)?),
        cpe: CpeId(device?),
        until: UtcMs(until?.checked_mul(1000)?),
        signature: signature?,
    })
}

/// Which bytes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// From the first up to and without the second.
    Part(u64, u64),
    /// None of the file.
    Outside,
}

/// One range, as RFC 9110 has it. What is no such thing, and more than one, is as if nothing was said (14.2).
fn wanted(range: Option<&HeaderValue>, size: u64) -> Wanted {
    let Some(text) = range.and_then(|value| value.to_str().ok()) else { return Wanted::All };
    let Some((unit, spec)) = text.split_once('=') else { return Wanted::All };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::All };
    let (first, last) = (first.trim(), last.trim());
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !unit.trim().eq_ignore_ascii_case("bytes") || !plain(first) || !plain(last) {
        return Wanted::All;
    }
    // A number that is larger than any file is one.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Wanted::All,
        (true, false) => match number(last) {
            0 => Wanted::Outside,
            _ if size == 0 => Wanted::Outside,
            tail => Wanted::Part(size.saturating_sub(tail), size),
        },
        (false, open) => {
            let from = number(first);
            let to = if open { size } else { number(last).saturating_add(1).min(size) };
            if !open && number(last) < from {
                Wanted::All
            } else if from >= size {
                Wanted::Outside
            } else {
                Wanted::Part(from, to)
            }
        }
    }
}

fn bare(status: StatusCode) -> AnyAnswer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

impl Edge {
    /// Answers a request for a file.
    pub(crate) async fn file(self: Arc<Self>, origin: Origin, request: Request<()>) -> AnyAnswer {
        if !self.files.asks.allow(origin.address, Instant::now()) {
            return self.busy();
        }
        let offered = match parse(request.uri()) {
            Some(address) => self.door.file(address, origin.address).await,
            None => {
                self.door.no_file(origin.address);
                Ok(None)
            }
        };
        let file = match offered {
            Ok(Some(file)) => file,
            Ok(None) => {
                self.counters.refused_files.add();
                return bare(StatusCode::NOT_FOUND);
            }
            Err(error) => {
                tracing::error!(%error, "a file cannot be served");
                return self.busy();
            }
        };
        let mut share = self.files.downloads.share(origin.address);
        if *request.method() == Method::GET && !share.grow_to(1) {
            return self.busy();
        }
        self.offer(file, request.method(), request.headers(), share)
    }

    fn busy(&self) -> AnyAnswer {
        self.counters.overload.add();
        let mut answer = bare(StatusCode::SERVICE_UNAVAILABLE);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(self.config.retry_after_s));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }

    fn offer(&self, file: OfferedFile, method: &Method, asked: &HeaderMap, share: Share) -> AnyAnswer {
        let tag = format!("\"{}\"", file.sha256);
        let same = |value: &HeaderValue| value.as_bytes() == tag.as_bytes();
        let known = asked.get(IF_NONE_MATCH).is_some_and(same);
        // What a device has is the beginning of another file: it gets this one whole.
        let goes_on = asked.get(IF_RANGE).is_none_or(same);
        let range = asked.get(RANGE).filter(|_| goes_on && asked.get_all(RANGE).iter().count() == 1);
        let (status, from, to) = match wanted(range, file.size) {
            _ if known => (StatusCode::NOT_MODIFIED, 0, 0),
            Wanted::All => (StatusCode::OK, 0, file.size),
            Wanted::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
            Wanted::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
        };
        let body = if *method == Method::GET && to > from {
            self.counters.downloads.add();
            let slowest = Duration::from_secs((to - from) / self.files.slowest);
            Either::Right(FileBody {
                door: self.door.clone(),
                file: file.id,
                part_bytes: file.part_bytes.max(1),
                at: from,
                end: to,
                reading: None,
                until: Instant::now() + self.config.file_grace + slowest,
                _share: share,
            })
        } else {
            Either::Left(Full::default())
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        let of = match status {
            StatusCode::PARTIAL_CONTENT => Some(format!("bytes {from}-{}/{}", to - 1, file.size)),
            StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{}", file.size)),
            _ => None,
        };
        if let Some(of) = of.and_then(|of| HeaderValue::from_str(&of).ok()) {
            headers.insert(CONTENT_RANGE, of);
        }
        if status.is_success() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
        }
        answer
    }
}

type Reading = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// The bytes of a file from one place to another, read part by part as they are taken.
pub(crate) struct FileBody {
    door: Arc<dyn CpeFrontDoor>,
    file: FirmwareFileId,
    part_bytes: u64,
    at: u64,
    end: u64,
    reading: Option<Reading>,
    /// Whoever has not taken it by then takes it too slowly.
    until: Instant,
    _share: Share,
}

/// Why a download ended before its end; the connection ends with it, and the device sees that something is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the file cannot be read to its end")]
    Unreadable,
    #[error("the device takes the file too slowly")]
    TooSlow,
}

impl FileBody {
    /// What is wanted of the part in which the next byte lies.
    fn read(&self) -> Reading {
        let (door, file, part_bytes) = (self.door.clone(), self.file, self.part_bytes);
        let (at, end) = (self.at, self.end);
        Box::pin(async move {
            let number = i64::try_from(at / part_bytes).ok()?;
            let read = tokio::time::timeout(PART_WITHIN, door.file_part(file, number)).await;
            let part = match read {
                Ok(Ok(part)) => Bytes::from(part?),
                Ok(Err(error)) => {
                    tracing::error!(%file, %error, "a part of a file cannot be read");
                    return None;
                }
                Err(_) => {
                    tracing::error!(%file, "a part of a file is not read in time");
                    return None;
                }
            };
            let from = usize::try_from(at % part_bytes).ok()?;
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let to = part.len().min(from.saturating_add(wanted));
            (from < to).then(|| part.slice(from..to))
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        if Instant::now() > self.until {
            self.at = self.end;
            return Poll::Ready(Some(Err(Cut::TooSlow)));
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.read());
        match reading.as_mut().poll(cx) {
            Poll::Pending => {
                self.reading = Some(reading);
                Poll::Pending
            }
            Poll::Ready(Some(bytes)) => {
                self.at += bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(None) => {
                self.at = self.end;
                Poll::Ready(Some(Err(Cut::Unreadable)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(text: &str, size: u64) -> Wanted {
        wanted(HeaderValue::from_str(text).ok().as_ref(), size)
    }

    #[test]
    fn a_range_is_what_rfc_9110_says() {
        for (text, is) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=5-", Wanted::Part(5, 10)),
            ("Bytes = 5-7", Wanted::Part(5, 8)),
            ("bytes=5-99", Wanted::Part(5, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=99999999999999999999999-", Wanted::Outside),
            ("bytes=0-99999999999999999999999", Wanted::Part(0, 10)),
            ("bytes=7-5", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(range(text, 10), is, "{text}");
        }
        assert_eq!(range("bytes=-1", 0), Wanted::Outside);
        assert_eq!(wanted(None, 10), Wanted::All);
    }

    #[test]
    fn only_an_address_that_we_write_is_one() {
        let read = |text: &str| text.parse::<Uri>().ok().and_then(|uri| parse(&uri));
        let good = read("http://acs/files/7/a.bin?d=3&e=1795271400&s=ab").expect("an address");
        assert_eq!(
            (good.file, good.cpe, good.until),
            (FirmwareFileId(7), CpeId(3), UtcMs(1_795_271_400_000))
        );
        for bad in [
            "/files/7?d=3&e=1&s=ab",
            "/files/7/?d=3&e=1&s=ab",
            "/files/7/a/b?d=3&e=1&s=ab",
            "/files/../7/a?d=3&e=1&s=ab",
            "/files/-7/a?d=3&e=1&s=ab",
            "/files/7/a?d=3&e=1",
            "/files/7/a",
            "/files/7/a?d=3&d=3&e=1&s=ab",
            "/files/7/a?d=3&e=1&s=ab&x=1",
            "/files/7/a?d=+3&e=1&s=ab",
            "/files/7/a?d=3&e=9223372036854775807&s=ab",
            "/files/99999999999999999999/a?d=3&e=1&s=ab",
            "/other/7/a?d=3&e=1&s=ab",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("/files/7/{}?d=3&e=1&s=ab", "a".repeat(2000))), None);
    }

    proptest! {
        #[test]
        fn no_range_leads_outside_of_the_file(text in "(bytes=)?[-0-9 ,=a-z]{0,40}", size in 0_u64..1_000) {
            match range(&text, size) {
                Wanted::All | Wanted::Outside => {}
                Wanted::Part(from, to) => prop_assert!(from < to && to <= size, "{from} {to} of {size}"),
            }
        }
    }
}
