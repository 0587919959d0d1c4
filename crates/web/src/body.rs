//! Bodies of requests: whole, small and in time, or refused with the reason.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{Extensions, StatusCode},
};

use crate::error::Fail;

/// Largest form or JSON body.
pub(crate) const MAX_BODY: usize = 512 * 1024;
/// A body that takes longer is given up, unless the server says otherwise.
const WITHIN: Duration = Duration::from_secs(30);

/// How long a body may take; the server puts it on every request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyWithin(pub(crate) Duration);

/// The whole body of a request with these extensions.
pub(crate) async fn whole(extensions: &Extensions, body: Body) -> Result<Bytes, Fail> {
    whole_up_to(MAX_BODY, extensions, body).await
}

/// The same with a limit of its own, in bytes.
pub(crate) async fn whole_up_to(limit: usize, extensions: &Extensions, body: Body) -> Result<Bytes, Fail> {
    let within = extensions.get::<BodyWithin>().map_or(WITHIN, |within| within.0);
    match tokio::time::timeout(within, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Fail::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too much",
            format!(
                "What was sent is larger than {} KiB or did not arrive whole; nothing was done.",
                limit / 1024
            ),
        )),
        Err(_) => Err(Fail::new(
            StatusCode::REQUEST_TIMEOUT,
            "Too slow",
            format!(
                "What was sent did not arrive within {} s; nothing was done. Send it again when the connection is better.",
                within.as_secs_f32()
            ),
        )),
    }
}
