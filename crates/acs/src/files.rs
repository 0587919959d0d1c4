//! The file server: `GET` and `HEAD` of `/files/<file>-<device>-<until>-<signature>/<name>`, in ranges, so that a device
//! goes on where it was cut off. There is no query: old clients cut it off, or escape it.
//!
//! A device that asks for what it may not have gets 404, whatever the reason: an address that was tampered with, is too
//! old, is of another device or never was, look all the same from outside. Why is said to operators by `app`.

use crate::{
    AcsConfig,
    handler::Edge,
    patience::Carries,
    rate::{RateLimiter, lock},
    sessions::Origin,
};
use app::ports::{AddressWorth, CpeFrontDoor, FileAddress, OfferedFile};
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
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use types::{CpeId, FirmwareFileId, UtcMs};

/// Where files are.
pub(crate) const PREFIX: &str = "/files/";
/// Longest path that is looked at.
const MAX_TARGET: usize = 256;
/// So often a device that asks more quickly than it may is made to wait before it is turned away: some fetch a file block
/// by block, and take every refusal for the end of it.
const WAITS: u32 = 8;
/// And so long each time, at most.
const WAIT: Duration = Duration::from_millis(250);
/// A part that the database does not give within this ends the download; the device goes on later.
const PART_WITHIN: Duration = Duration::from_secs(20);

/// An answer of the server: a message of CWMP, or a file.
pub(crate) type AnyAnswer = Response<Either<Full<Bytes>, FileBody>>;

/// What file requests share. Devices are counted by themselves, once they showed a right signature: many have one
/// address, and one may have many.
pub(crate) struct Files {
    places: Arc<Places>,
    strangers: RateLimiter,
    /// Addresses that are good and refused all the same. Apart from the strangers, so that whoever guesses takes nothing from
    /// the devices behind the same address.
    misused: RateLimiter,
    devices: RateLimiter<CpeId>,
    wait: Duration,
    slowest: u64,
}

impl Files {
    pub(crate) fn new(config: &AcsConfig) -> Self {
        Files {
            places: Arc::new(Places {
                total: config.max_downloads,
                per_device: config.max_downloads_per_device,
                held: Mutex::default(),
            }),
            strangers: RateLimiter::new(config.files_per_s, config.files_burst),
            misused: RateLimiter::new(config.files_per_s, config.files_burst),
            devices: RateLimiter::new(config.files_per_s, config.files_burst),
            wait: Duration::try_from_secs_f64(1.0 / config.files_per_s).unwrap_or(WAIT).min(WAIT),
            slowest: config.file_bytes_per_s.max(1),
        }
    }

    /// Takes the turn of a device; false: it asks too often for too long.
    async fn turn_of(&self, cpe: CpeId) -> bool {
        for _ in 0..WAITS {
            if self.devices.take(cpe, Instant::now()).unwrap_or(false) {
                return true;
            }
            tokio::time::sleep(self.wait).await;
        }
        false
    }

    /// Downloads going on now.
    pub(crate) fn downloading(&self) -> usize {
        lock(&self.places.held).by_what.len()
    }
}

type What = (CpeId, FirmwareFileId);

/// The downloads going on: some at all, few by one device, one of a file by it.
#[derive(Debug)]
struct Places {
    total: usize,
    per_device: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    by_what: HashMap<What, u64>,
}

/// The place of a download; given back when dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    what: What,
    number: u64,
}

impl Places {
    /// A device that asks for the same file again was cut off, often without a word: the newer download has the place of
    /// the older one, which ends. None: there is no room.
    fn take(self: &Arc<Self>, what: What) -> Option<Place> {
        let mut held = lock(&self.held);
        if !held.by_what.contains_key(&what) {
            let own = held.by_what.keys().filter(|(cpe, _)| *cpe == what.0).count();
            if held.by_what.len() >= self.total || own >= self.per_device {
                return None;
            }
        }
        held.last += 1;
        let number = held.last;
        held.by_what.insert(what, number);
        Some(Place { places: self.clone(), what, number })
    }
}

impl Place {
    fn is_held(&self) -> bool {
        lock(&self.places.held).by_what.get(&self.what) == Some(&self.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.places.held);
        if held.by_what.get(&self.what) == Some(&self.number) {
            held.by_what.remove(&self.what);
        }
    }
}

/// Reads `/files/7-3-1795271400-ab…/name.bin`. Nothing but that is an address of a file.
fn parse(uri: &Uri) -> Option<FileAddress> {
    let rest = uri.path().strip_prefix(PREFIX)?;
    // Some clients write the mark of a query and none behind it.
    if uri.path().len() > MAX_TARGET || uri.query().is_some_and(|query| !query.is_empty()) {
        return None;
    }
    let (signed, name) = rest.split_once('/')?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let mut parts = signed.split('-');
    let (id, device, until, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || signature.is_empty() {
        return None;
    }
    let number = |text: &str| -> Option<i64> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    Some(FileAddress {
        file: FirmwareFileId(number(id)?),
        cpe: CpeId(number(device)?),
        until: UtcMs(number(until)?.checked_mul(1000)?),
        signature: signature.to_owned(),
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

fn tag_of(file: &OfferedFile) -> String {
    format!("\"{}\"", file.sha256)
}

/// What is answered, and with which bytes: from the first up to and without the second.
#[derive(Debug, Clone, Copy)]
struct Answered {
    status: StatusCode,
    from: u64,
    to: u64,
}

impl Answered {
    fn to(asked: &HeaderMap, head: bool, file: &OfferedFile) -> Answered {
        let tag = tag_of(file);
        let same = |value: &HeaderValue| value.as_bytes() == tag.as_bytes();
        let known = asked.get(IF_NONE_MATCH).is_some_and(same);
        // What a device has is the beginning of another file: it gets this one whole.
        let goes_on = asked.get(IF_RANGE).is_none_or(same);
        // Ranges are of GET alone (RFC 9110, 14.2).
        let ranges = !head && goes_on && asked.get_all(RANGE).iter().count() == 1;
        let range = asked.get(RANGE).filter(|_| ranges);
        let (status, from, to) = match wanted(range, file.size) {
            _ if known => (StatusCode::NOT_MODIFIED, 0, 0),
            Wanted::All => (StatusCode::OK, 0, file.size),
            Wanted::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
            Wanted::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
        };
        Answered { status, from, to }
    }

    /// Nothing of the file is sent, so nothing that is on its way ends for it.
    fn is_empty(self) -> bool {
        self.from >= self.to
    }
}

fn bare(status: StatusCode) -> AnyAnswer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

impl Edge {
    /// Answers a request for a file.
    pub(crate) async fn file(
        self: Arc<Self>,
        origin: Origin,
        carries: &Carries,
        request: Request<()>,
    ) -> AnyAnswer {
        let (now, from) = (Instant::now(), origin.address);
        let ours = match parse(request.uri()) {
            Some(address) => match self.door.worth(&address, from) {
                AddressWorth::NotOurs => None,
                worth => Some((address, worth)),
            },
            None => {
                self.door.no_file(from);
                None
            }
        };
        // Whatever is refused is at the cost of the address that asks. An old address of a file may be anybody's by now, and
        // a good one that somebody uses elsewhere is not the device's doing either: neither takes anything from it.
        let good = matches!(ours, Some((_, AddressWorth::Good)));
        let allowed = if good {
            self.files.misused.would_allow(from, now)
        } else {
            self.files.strangers.allow(from, now)
        };
        if !allowed {
            return self.busy();
        }
        let Some((address, _)) = ours else {
            self.counters.refused_files.add();
            return bare(StatusCode::NOT_FOUND);
        };
        let what = (address.cpe, address.file);
        let file = match self.door.file(address, from).await {
            Ok(Some(file)) => file,
            Ok(None) => {
                if good {
                    self.files.misused.allow(from, now);
                }
                self.counters.refused_files.add();
                return bare(StatusCode::NOT_FOUND);
            }
            Err(error) => {
                tracing::error!(%error, "a file cannot be served");
                return self.busy();
            }
        };
        if !self.files.turn_of(what.0).await {
            return self.busy();
        }
        let head = *request.method() == Method::HEAD;
        let part = Answered::to(request.headers(), head, &file);
        if head || part.is_empty() {
            return self.offer(file, part, None);
        }
        match self.files.places.take(what) {
            Some(place) => self.offer(file, part, Some((place, carries))),
            None => self.busy(),
        }
    }

    fn busy(&self) -> AnyAnswer {
        self.counters.overload.add();
        let mut answer = bare(StatusCode::SERVICE_UNAVAILABLE);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(self.config.retry_after_s));
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }

    /// Without a place nothing but the head is sent.
    fn offer(&self, file: OfferedFile, part: Answered, place: Option<(Place, &Carries)>) -> AnyAnswer {
        let Answered { status, from, to } = part;
        let tag = tag_of(&file);
        let body = if let Some((place, carries)) = place {
            self.counters.downloads.add();
            let slowest = Duration::from_secs((to - from) / self.files.slowest);
            let until = Instant::now() + (self.config.file_grace + slowest).min(self.config.file_total);
            carries.a_file_now(until);
            Either::Right(FileBody {
                door: self.door.clone(),
                file: file.id,
                part_bytes: file.part_bytes.max(1),
                at: from,
                end: to,
                reading: None,
                until,
                place,
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
    place: Place,
}

/// Why a download ended before its end; the connection ends with it, and the device sees that something is missing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the file cannot be read to its end")]
    Unreadable,
    #[error("the device takes the file too slowly")]
    TooSlow,
    #[error("the device asked for the file again")]
    Overtaken,
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
        let cut = if Instant::now() > self.until {
            Some(Cut::TooSlow)
        } else {
            (!self.place.is_held()).then_some(Cut::Overtaken)
        };
        if let Some(cut) = cut {
            self.at = self.end;
            return Poll::Ready(Some(Err(cut)));
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
        let good = read("http://acs/files/7-3-1795271400-ab/a.bin").expect("an address");
        assert_eq!(
            (good.file, good.cpe, good.until, good.signature.as_str()),
            (FirmwareFileId(7), CpeId(3), UtcMs(1_795_271_400_000), "ab")
        );
        assert_eq!(read("/files/7-3-1795271400-ab/a.bin?"), Some(good), "the mark of a query, and none");
        for bad in [
            "/files/7-3-1-ab",
            "/files/7-3-1-ab/",
            "/files/7-3-1-ab/a/b",
            "/files/../7-3-1-ab/a",
            "/files/-7-3-1-ab/a",
            "/files/7-3-1/a",
            "/files/7-3-1-/a",
            "/files/7-3-1-ab-cd/a",
            "/files/7/a",
            "/files/7-3-1-ab/a?x=1",
            "/files/7-3-1-ab/?",
            "/files/7-+3-1-ab/a",
            "/files/7-3-9223372036854775807-ab/a",
            "/files/99999999999999999999-3-1-ab/a",
            "/other/7-3-1-ab/a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("/files/7-3-1-ab/{}", "a".repeat(2000))), None);
    }

    #[test]
    fn a_device_has_few_places_and_one_of_a_file() {
        let places = Arc::new(Places { total: 3, per_device: 2, held: Mutex::default() });
        let what = |cpe, file| (CpeId(cpe), FirmwareFileId(file));
        let first = places.take(what(1, 1)).expect("the first");
        let other = places.take(what(1, 2)).expect("another file");
        assert!(places.take(what(1, 3)).is_none(), "too many of one device");
        let again = places.take(what(1, 1)).expect("the same file again");
        assert!(!first.is_held() && again.is_held() && other.is_held());
        drop(first);
        assert!(again.is_held(), "the older one gives back nothing that is not its own");
        let stranger = places.take(what(2, 1)).expect("others have room");
        assert!(places.take(what(3, 1)).is_none(), "too many at all");
        drop((again, other, stranger));
        assert!(lock(&places.held).by_what.is_empty());
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
