//! Orders that may be sent twice and are carried out once (header `Idempotency-Key`).
//!
//! The key counts for one caller and one route, for two days. The same request again gets the first answer again; the
//! same key with another request is refused. A request that failed is forgotten, so it can be made again with its key.
//! An order runs to its end even if the caller hangs up. One whose process died is told as cut off, once, a minute later
//! at most; then its key is free again.

use app::Actor;
use axum::{
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::settings::Seen;

use super::{
    input::{parse, read},
    output::Reply,
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    once::{Remembered, cut_off, still_under_way, stopped},
    state::Ctx,
};

/// Header of a request that must not be carried out twice.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Header of an answer that was given before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const LONGEST: usize = 200;

/// A request that creates or orders something.
pub(super) struct Order<T> {
    ctx: Ctx,
    actor: Actor,
    input: T,
    remembered: Option<Remembered>,
}

impl<T: DeserializeOwned> FromRequest<Ctx> for Order<T> {
    type Rejection = ApiFail;
    async fn from_request(request: Request, ctx: &Ctx) -> Result<Self, ApiFail> {
        let (mut parts, body) = request.into_parts();
        let Caller(actor) = Caller::from_request_parts(&mut parts, ctx).await?;
        let key = parts.headers.get(&KEY).map(key_of).transpose()?;
        let bytes = read(&parts, body).await?;
        let input = parse(&bytes)?;
        let remembered = key.map(|key| {
            let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
            let route = format!("{} {route}", parts.method);
            Remembered::of(ctx.app(), &actor, &route, parts.uri.path(), key, &bytes)
        });
        Ok(Order { ctx: ctx.clone(), actor, input, remembered })
    }
}

pub(crate) fn key_of(value: &HeaderValue) -> Result<String, Fail> {
    let text = value.to_str().unwrap_or_default();
    let ok = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| (0x21..0x7f).contains(&b));
    if !ok {
        return Err(Fail::bad_request(format!(
            "Idempotency-Key: must be 1 to {LONGEST} printable ASCII characters without blanks, e.g. a UUID."
        )));
    }
    Ok(text.to_owned())
}

impl<T: Send + 'static> Order<T> {
    /// Carries the order out, or answers as it was answered before.
    pub(super) async fn once<F, Fut>(self, act: F) -> Result<Response, ApiFail>
    where
        F: FnOnce(Ctx, Actor, T) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Reply, Fail>> + Send,
    {
        let whole = tokio::spawn(async move { self.carry_out(act).await });
        match whole.await {
            Ok(answer) => Ok(answer?),
            Err(error) => {
                tracing::error!(%error, "an order stopped in the middle");
                Err(ApiFail(stopped()))
            }
        }
    }

    async fn carry_out<F, Fut>(self, act: F) -> Result<Response, Fail>
    where
        F: FnOnce(Ctx, Actor, T) -> Fut,
        Fut: Future<Output = Result<Reply, Fail>>,
    {
        let Order { ctx, actor, input, remembered } = self;
        let Some(remembered) = remembered else { return Ok(act(ctx, actor, input).await?.into_response()) };
        match remembered.seen(ctx.app()).await? {
            Seen::New => {}
            Seen::Answered(kept) => {
                let mut response = replay(&kept).into_response();
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                return Ok(response);
            }
            Seen::UnderWay => return Err(still_under_way()),
            Seen::CutOff => return Err(cut_off()),
            Seen::OtherRequest => return Err(another_request()),
        }
        match remembered.under_way(ctx.app(), act(ctx.clone(), actor, input)).await {
            Ok(reply) => {
                let kept = json!({
                    "status": reply.status.as_u16(),
                    "location": reply.location,
                    "body": reply.kept.as_ref().unwrap_or(&reply.body),
                });
                remembered.answer(ctx.app(), kept).await;
                Ok(reply.into_response())
            }
            Err(fail) => {
                remembered.forget(ctx.app()).await;
                Err(fail)
            }
        }
    }
}

/// The key is taken.
pub(crate) fn another_request() -> Fail {
    Fail::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Not the same request",
        "This Idempotency-Key was used for another request here. Nothing was done; use a new key for a new request.",
    )
}

fn replay(kept: &Value) -> Reply {
    let status = kept["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    Reply {
        status: status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK),
        location: kept["location"].as_str().map(str::to_owned),
        body: kept["body"].clone(),
        kept: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_short_word() {
        let key = |text: &str| key_of(&HeaderValue::from_str(text).expect("a header"));
        assert_eq!(key("6f1e-7").ok().as_deref(), Some("6f1e-7"));
        for bad in ["", "a b", &"x".repeat(LONGEST + 1)] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }
}
