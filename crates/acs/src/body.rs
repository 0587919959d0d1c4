//! Request bodies: limited in bytes and time while they arrive, and again while they are unpacked.

use crate::rate::Share;
use bytes::Bytes;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::{io::Read as _, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Why a body was not taken. The connection is closed after it, because the rest of the body is still coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("too many bytes are on their way already")]
    Overload,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the connection broke inside the body")]
    Broken,
    #[error("the body is packed in a way that is not known")]
    Encoding,
    #[error("the body could not be unpacked")]
    Unpack,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) max_bytes: usize,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

/// Bytes of each body that count against no budget: every Inform fits, so small messages pass however many large
/// ones are on their way.
const FREE_BYTES: usize = 16 << 10;

/// Reads a body to its end.
pub(crate) async fn read(
    mut body: Incoming,
    limits: BodyLimits,
    share: &mut Share,
) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit: limits.max_bytes };
    // An announced length is refused before a byte of it is read.
    let announced = body.size_hint();
    if announced.lower() > limits.max_bytes as u64 {
        return Err(too_large);
    }
    let deadline = Instant::now() + limits.total;
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let by = deadline.min(Instant::now() + limits.idle);
        let frame = match timeout_at(by, body.frame()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => return Ok(whole.into()),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            let length = whole.len() + data.len();
            if length > limits.max_bytes {
                return Err(too_large);
            }
            if length > FREE_BYTES && !share.grow_to(length) {
                return Err(BodyError::Overload);
            }
            whole.extend_from_slice(&data);
        }
    }
}

/// The body has to be unpacked, or refused for how it is packed.
pub(crate) fn is_packed(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_ENCODING)
}

/// Undoes `Content-Encoding`. The limit and the budget count what comes out.
pub(crate) async fn unpack(
    bytes: Bytes,
    headers: &HeaderMap,
    max_bytes: usize,
    share: &mut Share,
) -> Result<Bytes, BodyError> {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = encoding.trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => return Ok(bytes),
        "gzip" | "x-gzip" | "deflate" => {}
        _ => return Err(BodyError::Encoding),
    }
    // Room for the worst case first: afterwards it is too late.
    if !share.grow_to(max_bytes) {
        return Err(BodyError::Overload);
    }
    // Eight megabytes take a while: not on the threads that serve everyone.
    tokio::task::spawn_blocking(move || unpack_now(&bytes, &encoding, max_bytes))
        .await
        .map_err(|_| BodyError::Unpack)?
}

fn unpack_now(bytes: &[u8], encoding: &str, max_bytes: usize) -> Result<Bytes, BodyError> {
    let limit = max_bytes as u64 + 1;
    let mut out = Vec::new();
    let read = match encoding {
        "deflate" => {
            // The name means zlib; half the world sends raw deflate.
            let zlib = ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out);
            if zlib.is_ok() {
                zlib
            } else {
                out.clear();
                DeflateDecoder::new(bytes).take(limit).read_to_end(&mut out)
            }
        }
        _ => GzDecoder::new(bytes).take(limit).read_to_end(&mut out),
    };
    if out.len() > max_bytes {
        return Err(BodyError::TooLarge { limit: max_bytes });
    }
    read.map_err(|_| BodyError::Unpack)?;
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use std::io::Write as _;

    fn packed(encoding: &str, text: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match encoding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(text).and_then(|()| encoder.finish()).expect("packed")
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(text).and_then(|()| encoder.finish()).expect("packed")
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(text).and_then(|()| encoder.finish()).expect("packed")
            }
        }
    }

    #[test]
    fn every_packing_comes_out_and_no_bomb_does() {
        for (name, encoding) in [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")] {
            let small = packed(name, b"<Envelope/>");
            assert_eq!(unpack_now(&small, encoding, 100).expect("unpacked"), "<Envelope/>", "{name}");
            let bomb = packed(name, &vec![b' '; 10 << 20]);
            assert!(bomb.len() < 20_000, "it is a bomb");
            assert_eq!(
                unpack_now(&bomb, encoding, 1 << 20),
                Err(BodyError::TooLarge { limit: 1 << 20 }),
                "{name}"
            );
            assert!(unpack_now(&small[..small.len() - 3], encoding, 100).is_err(), "{name} cut");
        }
        assert_eq!(unpack_now(b"not packed", "gzip", 100), Err(BodyError::Unpack));
    }
}
