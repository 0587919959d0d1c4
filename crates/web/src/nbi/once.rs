//! Orders that a program sends again because it did not hear the answer (header `Idempotency-Key`, as the API takes it).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use app::Actor;
use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use store::settings::Seen;

use super::{MOST_TASK_BYTES, Nbi, Refusal, nobody};
use crate::{
    api::v1::idempotency::{KEY, REPLAYED, another_request, key_of},
    once::{Remembered, cut_off, still_under_way, stopped},
};

/// The device was called and did not say yes: an answer like any other.
const CALLED_IN_VAIN: StatusCode = StatusCode::GATEWAY_TIMEOUT;
/// Longest answer that is kept, bytes: a task, which is not much longer than what was sent.
const MOST_KEPT_BYTES: usize = 8 * MOST_TASK_BYTES;

/// Whether a request came so far that something of it may be done: what goes wrong after that is no reason to do it anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    /// From here on something may be done.
    pub(super) fn begins(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Nothing was done after all.
    pub(super) fn was_not(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Something was done, or may have been, going by the answer. What was refused with 4xx was not.
    fn may_be_done(&self, status: StatusCode) -> bool {
        status.is_success() || status.is_server_error() && self.0.load(Ordering::Relaxed)
    }
}

/// Stands before what orders something: with a key the same request is carried out once, and answered the same each time.
/// What was refused was not carried out, and is tried anew; what failed when it may have been carried out is not. It is
/// carried out to its end even if the program hangs up.
pub(super) async fn once(State(nbi): State<Nbi>, mut request: Request, next: Next) -> Response {
    let begun = Begun::default();
    request.extensions_mut().insert(begun.clone());
    carry_out(nbi, begun, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn carry_out(nbi: Nbi, begun: Begun, request: Request, next: Next) -> Result<Response, Refusal> {
    let Some(key) = request.headers().get(&KEY).map(key_of).transpose()? else {
        return Ok(next.run(request).await);
    };
    let Some(actor) = request.extensions().get::<Actor>().cloned() else { return Ok(nobody("")) };
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MOST_TASK_BYTES).await.map_err(|_| {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("A task takes {MOST_TASK_BYTES} bytes at most. Nothing was queued."),
        )
    })?;
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let route = format!("{} {route}", parts.method);
    // What was asked to be waited for is a part of what was asked.
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
    let remembered = Remembered::of(&nbi.app, &actor, &route, &path, key, &bytes);
    match remembered.seen(&nbi.app).await? {
        Seen::New => {}
        Seen::Answered(kept) => return Ok(replay(&kept)),
        Seen::UnderWay => return Err(still_under_way().into()),
        Seen::CutOff => return Err(cut_off().into()),
        Seen::OtherRequest => return Err(another_request().into()),
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    let whole = tokio::spawn(async move {
        let response = remembered.under_way(&nbi.app, next.run(request)).await;
        let status = response.status();
        if !begun.may_be_done(status) {
            remembered.forget(&nbi.app).await;
            return Ok(response);
        }
        let response = match status.is_success() || status == CALLED_IN_VAIN {
            true => response,
            false => unknown(response).await,
        };
        let (parts, body) = response.into_parts();
        // It is done, so it is remembered as done, even where its answer cannot be kept.
        let body = to_bytes(body, MOST_KEPT_BYTES).await.unwrap_or_default();
        let phrase =
            parts.extensions.get::<ReasonPhrase>().map(|phrase| String::from_utf8_lossy(phrase.as_bytes()));
        let kept = json!({
            "status": parts.status.as_u16(),
            "phrase": phrase,
            "type": parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()),
            "body": String::from_utf8_lossy(&body),
        });
        remembered.answer(&nbi.app, kept).await;
        Ok(Response::from_parts(parts, Body::from(body)))
    });
    whole.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an order stopped in the middle");
        Err(stopped().into())
    })
}

/// Failed when it may have been carried out. That waiting helps is not said any more: with this key it is not tried again.
async fn unknown(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MOST_KEPT_BYTES).await.unwrap_or_default();
    let text = format!(
        "{} It may have been carried out: look at the tasks and at the page of the device. Sent again with this \
         Idempotency-Key it is answered like this and not carried out; with another key it is carried out anew.",
        String::from_utf8_lossy(&body).trim_end()
    );
    Refusal::new(parts.status, text).into_response()
}

fn replay(kept: &Value) -> Response {
    let status = kept["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let body = kept["body"].as_str().unwrap_or_default().to_owned();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
    if let Some(kind) = kept["type"].as_str().and_then(|kind| HeaderValue::from_str(kind).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    super::tasks::phrase(&mut response, kept["phrase"].as_str().unwrap_or_default());
    response
}
