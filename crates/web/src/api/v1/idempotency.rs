//! Orders that may be sent twice and are carried out once (header `Idempotency-Key`).
//!
//! The key counts for one caller and one route, for two days. The same request again gets the first answer again; the
//! same key with another request is refused. A request that failed is forgotten, so it can be made again with its key.
//! An order runs to its end even if the caller hangs up.

use app::Actor;
use axum::{
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{
    StoreError,
    settings::{self, Seen},
};

use super::{
    input::{parse, read},
    output::Reply,
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

/// Header of a request that must not be carried out twice.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Header of an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const LONGEST: usize = 200;

/// Where a remembered request is found, and what it was.
#[derive(Debug, Clone)]
struct Remembered {
    scope: String,
    key: String,
    hash: String,
}

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
            // Keyed, because a body may hold a password and a plain hash of it could be guessed back.
            let secret = ctx.app().store().derived_secret("idempotent requests");
            let hash = Sha256::new()
                .chain_update(secret.expose())
                .chain_update([0])
                .chain_update(parts.uri.path())
                .chain_update([0])
                .chain_update(&bytes)
                .chain_update([1])
                .chain_update(secret.expose());
            Remembered {
                scope: format!("{} {} {route}", who(&actor), parts.method),
                key,
                hash: hex::encode(hash.finalize()),
            }
        });
        Ok(Order { ctx: ctx.clone(), actor, input, remembered })
    }
}

/// Names of keys need not be unique, and a login may be named like one.
fn who(actor: &Actor) -> String {
    match actor {
        Actor::User { id, .. } => format!("user:{id}"),
        Actor::ApiKey { id, .. } => format!("key:{id}"),
        Actor::System(part) => format!("system:{part}"),
    }
}

fn key_of(value: &HeaderValue) -> Result<String, Fail> {
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
                Err(ApiFail(Fail::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Failed",
                    "The order stopped in the middle. Look whether it was done before ordering again; the log names \
                     the cause.",
                )))
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
        if let Some(before) = remembered.seen(&ctx).await? {
            return Ok(before);
        }
        match act(ctx.clone(), actor, input).await {
            Ok(reply) => {
                remembered.answer(&ctx, &reply).await;
                Ok(reply.into_response())
            }
            Err(fail) => {
                remembered.forget(&ctx).await;
                Err(fail)
            }
        }
    }
}

impl Remembered {
    /// The answer if there was one; nothing if the request is new, and remembered from now on.
    async fn seen(&self, ctx: &Ctx) -> Result<Option<Response>, Fail> {
        let this = self.clone();
        let seen = ctx
            .app()
            .store()
            .write(move |tx| {
                Box::pin(
                    async move { settings::remember_request(tx, &this.scope, &this.key, &this.hash).await },
                )
            })
            .await
            .map_err(|error: StoreError| Fail::from(error))?;
        match seen {
            Seen::New => Ok(None),
            Seen::Answered(kept) => {
                let mut response = replay(&kept).into_response();
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(Some(response))
            }
            Seen::UnderWay => Err(Fail {
                retry_after_s: Some(2),
                ..Fail::new(
                    StatusCode::CONFLICT,
                    "Under way",
                    "A request with this Idempotency-Key is under way, or was cut off before it was answered. Ask \
                     again in a moment; if this stays, look whether it was done.",
                )
            }),
            Seen::OtherRequest => Err(Fail::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Not the same request",
                "This Idempotency-Key was used for another request here. Nothing was done; use a new key for a new \
                 request.",
            )),
        }
    }

    /// It is done whatever happens to the note of it, so a failure here is logged and not answered.
    async fn answer(&self, ctx: &Ctx, reply: &Reply) {
        let kept = json!({
            "status": reply.status.as_u16(),
            "location": reply.location,
            "body": reply.kept.as_ref().unwrap_or(&reply.body),
        });
        let this = self.clone();
        let noted = ctx
            .app()
            .store()
            .write(move |tx| {
                Box::pin(async move { settings::remember_answer(tx, &this.scope, &this.key, &kept).await })
            })
            .await;
        if let Err::<bool, StoreError>(error) = noted {
            tracing::error!(%error, scope = %self.scope, "an answer cannot be kept for a replay");
        }
    }

    async fn forget(&self, ctx: &Ctx) {
        let this = self.clone();
        let gone = ctx
            .app()
            .store()
            .write(move |tx| {
                Box::pin(async move { settings::forget_request(tx, &this.scope, &this.key).await })
            })
            .await;
        if let Err::<bool, StoreError>(error) = gone {
            tracing::error!(%error, scope = %self.scope, "a failed request cannot be forgotten; its key stays used");
        }
    }
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

    #[test]
    fn a_login_named_like_a_key_shares_nothing_with_it() {
        let login =
            Actor::User { id: types::UserId(7), name: "key:7".into(), role: app::Role::Admin, address: None };
        let key =
            Actor::ApiKey { id: types::ApiKeyId(7), name: "7".into(), scopes: Vec::new(), address: None };
        assert_ne!(who(&login), who(&key));
    }
}
