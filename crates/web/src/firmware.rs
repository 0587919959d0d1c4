//! Firmware files on their way in, from a page or a program: piece by piece, so that none of them sits in memory.

use std::time::Duration;

use app::{FIRMWARE_WITHIN_S, FirmwareUpload};
use axum::{
    body::Bytes,
    http::{Extensions, StatusCode},
};
use futures::{Stream, StreamExt as _};
use store::rows;

use crate::{body::BodyWithin, error::Fail};

/// Nothing came for so long: the upload is given up. The server says otherwise on every request.
const PIECE_WITHIN: Duration = Duration::from_secs(30);

/// How long the next piece of a request with these extensions may take.
pub(crate) fn piece_within(extensions: &Extensions) -> Duration {
    extensions.get::<BodyWithin>().map_or(PIECE_WITHIN, |within| within.0)
}

/// The next piece; `None` at the end.
async fn next<E>(
    pieces: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    within: Duration,
) -> Result<Option<Bytes>, Fail> {
    match tokio::time::timeout(within, pieces.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(_))) => {
            Err(Fail::bad_request("The file did not arrive whole; nothing of it was kept. Upload it again."))
        }
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Fail {
    Fail::new(
        StatusCode::REQUEST_TIMEOUT,
        "Too slow",
        "The file did not arrive in time; nothing of it was kept. Upload it again when the connection is better.",
    )
}

/// Takes the whole file in. Whatever goes wrong, nothing of it is kept.
pub(crate) async fn receive<E>(
    mut upload: FirmwareUpload,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    within: Duration,
) -> Result<rows::FirmwareFile, Fail> {
    let whole = async move {
        while let Some(bytes) = next(&mut pieces, within).await? {
            upload.put(&bytes).await?;
        }
        Ok(upload.finish().await?)
    };
    match tokio::time::timeout(Duration::from_secs(FIRMWARE_WITHIN_S), whole).await {
        Ok(done) => done,
        Err(_) => Err(too_slow()),
    }
}

/// Bytes for people, as in `43.5 MiB`.
pub(crate) fn size(bytes: i64) -> String {
    let tenths = |unit: i64| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_told_in_units_that_people_read() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (45_613_056, "43.5 MiB"),
            (268_435_456, "256.0 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
