//! What is sent twice is carried out once: orders of programs (header `Idempotency-Key`; `api` and `nbi` read it) and forms
//! of people (a key that every form carries).
//!
//! A request is remembered before it is carried out, and its answer after. While it is under way its process says so
//! from time to time; when nothing was heard for a while it was cut off, which is said once, and its key is free again.

use std::time::{Duration, Instant};

use app::{Actor, App};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{
    StoreError,
    settings::{self, Seen, UNDER_WAY_FOR},
};

use crate::{
    auth::{FLASH_COOKIE, Identity, is_form},
    body,
    error::Fail,
    list::form_pairs,
    pages::{NotDone, ShownOnce, go},
    state::Ctx,
    view::Status,
};

/// The hidden field with the key of a form.
pub(crate) const FIELD: &str = "_once";
/// Hexadecimal digits of a form's key.
const FIELD_DIGITS: usize = 32;
/// A form that is sent again waits so long for the answer to the first.
const WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where a remembered request is found, and what it was.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    scope: String,
    key: String,
    hash: String,
}

impl Remembered {
    /// A request of `actor` for `route`, which is at `path` in the concrete, with this key.
    pub(crate) fn of(app: &App, actor: &Actor, route: &str, path: &str, key: String, body: &[u8]) -> Self {
        // Keyed, because a body may hold a password and a plain hash of it could be guessed back.
        let secret = app.store().derived_secret("idempotent requests");
        let hash = Sha256::new()
            .chain_update(secret.expose())
            .chain_update([0])
            .chain_update(path)
            .chain_update([0])
            .chain_update(body)
            .chain_update([1])
            .chain_update(secret.expose());
        Remembered { scope: format!("{} {route}", who(actor)), key, hash: hex::encode(hash.finalize()) }
    }

    /// Whoever goes back, changes something and sends the form again means another thing.
    pub(crate) fn as_form(&mut self) {
        self.key = format!("{}.{}", self.key, self.hash.get(..16).unwrap_or(&self.hash));
    }

    /// What is known of it; a new one is remembered from now on.
    pub(crate) async fn seen(&self, app: &App) -> Result<Seen, Fail> {
        let this = self.clone();
        let seen = app.store().write(move |tx| {
            Box::pin(async move { settings::remember_request(tx, &this.scope, &this.key, &this.hash).await })
        });
        seen.await.map_err(|error: StoreError| Fail::from(error))
    }

    /// Waits for `act`, and says from time to time that it is under way.
    pub(crate) async fn under_way<T>(&self, app: &App, act: impl Future<Output = T>) -> T {
        let mut tick = tokio::time::interval(UNDER_WAY_FOR / 3);
        tick.tick().await;
        tokio::pin!(act);
        loop {
            tokio::select! {
                done = &mut act => return done,
                _ = tick.tick() => {
                    let (this, store) = (self.clone(), app.store().clone());
                    // Beside the work, not before it: a busy database must not hold it up.
                    tokio::spawn(async move {
                        let kept = store.write(move |tx| {
                            Box::pin(async move { settings::keep_request(tx, &this.scope, &this.key).await })
                        });
                        if let Err::<bool, StoreError>(error) = kept.await {
                            tracing::warn!(%error, "a request under way cannot say so");
                        }
                    });
                }
            }
        }
    }

    /// It is done whatever happens to the note of it, so a failure here is logged and not answered.
    pub(crate) async fn answer(&self, app: &App, kept: Value) {
        let this = self.clone();
        let noted = app.store().write(move |tx| {
            let kept = kept.clone();
            Box::pin(async move { settings::remember_answer(tx, &this.scope, &this.key, &kept).await })
        });
        if let Err::<bool, StoreError>(error) = noted.await {
            tracing::error!(%error, scope = %self.scope, "an answer cannot be kept for a replay");
        }
    }

    pub(crate) async fn forget(&self, app: &App) {
        let this = self.clone();
        let gone = app.store().write(move |tx| {
            Box::pin(async move { settings::forget_request(tx, &this.scope, &this.key).await })
        });
        if let Err::<bool, StoreError>(error) = gone.await {
            tracing::error!(%error, scope = %self.scope, "a failed request cannot be forgotten yet; its key stays used");
        }
    }
}

/// Names of keys need not be unique, and a login may be named like one.
pub(crate) fn who(actor: &Actor) -> String {
    match actor {
        Actor::User { id, .. } => format!("user:{id}"),
        Actor::ApiKey { id, .. } => format!("key:{id}"),
        Actor::System(part) => format!("system:{part}"),
    }
}

/// The first of the two has not been answered.
pub(crate) fn still_under_way() -> Fail {
    Fail {
        retry_after_s: Some(2),
        ..Fail::new(
            StatusCode::CONFLICT,
            "Under way",
            "The same request was sent before and is under way. Nothing was done twice; ask again in a moment.",
        )
    }
}

/// Nobody knows how far the first of the two came.
pub(crate) fn cut_off() -> Fail {
    Fail::new(
        StatusCode::CONFLICT,
        "Cut off",
        "The same request was sent before and was cut off before it was answered: the process that carried it out is \
         gone. It may be done or not; look first. Sending it once more does it anew.",
    )
}

/// An order stopped in the middle.
pub(crate) fn stopped() -> Fail {
    Fail::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Failed",
        "The order stopped in the middle. Look whether it was done before ordering again; the log names the cause.",
    )
}

/// A key for one form, as it is drawn. Empty without randomness: such a form is carried out as often as it is sent.
pub(crate) fn form_key() -> String {
    let mut bytes = [0_u8; FIELD_DIGITS / 2];
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    hex::encode(bytes)
}

fn is_key(text: &str) -> bool {
    text.len() == FIELD_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Stands before the handler of a form, behind the guard: the same form with the same content is carried out once, and
/// leads to the same page each time. It is carried out to its end even if the browser goes elsewhere.
pub(crate) async fn form(State(ctx): State<Ctx>, request: Request, next: Next) -> Response {
    carry_out(ctx, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn carry_out(ctx: Ctx, request: Request, next: Next) -> Result<Response, Fail> {
    let actor = match request.extensions().get::<Identity>() {
        Some(Identity::Person(who)) if is_form(request.headers()) => who.actor.clone(),
        _ => return Ok(next.run(request).await),
    };
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let bytes = body::whole(&parts.extensions, body).await?;
    let key = form_pairs(&String::from_utf8_lossy(&bytes))
        .find(|(name, value)| name == FIELD && is_key(value))
        .map(|(_, value)| value);
    let request = Request::from_parts(parts, Body::from(bytes.clone()));
    let Some(key) = key else { return Ok(next.run(request).await) };
    let mut remembered = Remembered::of(ctx.app(), &actor, "form", &path, key, &bytes);
    remembered.as_form();
    let until = Instant::now() + WAIT;
    loop {
        match remembered.seen(ctx.app()).await? {
            Seen::New => break,
            Seen::Answered(kept) => return Ok(replay(&ctx, &path, &kept)),
            Seen::CutOff => return Err(cut_off()),
            Seen::UnderWay | Seen::OtherRequest => {}
        }
        while settings::is_under_way(ctx.app().store(), &remembered.scope, &remembered.key).await? {
            if Instant::now() >= until {
                return Err(still_under_way());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    let whole = tokio::spawn(async move {
        let response = remembered.under_way(ctx.app(), next.run(request)).await;
        match kept(&response) {
            Some(kept) => remembered.answer(ctx.app(), kept).await,
            None => remembered.forget(ctx.app()).await,
        }
        response
    });
    whole.await.map_err(|error| {
        tracing::error!(%error, "a form stopped in the middle");
        stopped()
    })
}

/// What is kept of an answer: where it led, with its message. What was refused or failed was not carried out and is not
/// kept, so the same form may be sent again; of a page that was shown at once it is kept that it was shown, because what
/// it showed is shown once.
pub(crate) fn kept(response: &Response) -> Option<Value> {
    if response.extensions().get::<NotDone>().is_some() {
        return None;
    }
    if response.status().is_redirection() {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let to = response.headers().get(header::LOCATION).and_then(text)?;
        let flash = response.headers().get_all(header::SET_COOKIE).iter().filter_map(text);
        let flash = flash.into_iter().find(|cookie| cookie.starts_with(FLASH_COOKIE));
        return Some(json!({ "to": to, "flash": flash }));
    }
    let back = response.extensions().get::<ShownOnce>().map(|ShownOnce(back)| back.as_str());
    response.status().is_success().then(|| json!({ "shown": true, "back": back }))
}

fn replay(ctx: &Ctx, path: &str, kept: &Value) -> Response {
    let Some(to) = kept["to"].as_str() else {
        let text = "This form came twice and was carried out once. What it showed is shown once only; if you missed it, \
                    make a new one.";
        return go(ctx, kept["back"].as_str().unwrap_or(path), Status::Warn, "Done already", text);
    };
    let mut response = Redirect::to(to).into_response();
    if let Some(flash) = kept["flash"].as_str().and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, flash);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_named_like_a_key_shares_nothing_with_it() {
        let login =
            Actor::User { id: types::UserId(7), name: "key:7".into(), role: app::Role::Admin, address: None };
        let key =
            Actor::ApiKey { id: types::ApiKeyId(7), name: "7".into(), scopes: Vec::new(), address: None };
        assert_ne!(who(&login), who(&key));
    }

    #[test]
    fn only_a_key_of_ours_is_one() {
        assert!(is_key(&form_key()));
        assert_ne!(form_key(), form_key());
        for text in ["", "abc", &"x".repeat(32), &"0".repeat(33)] {
            assert!(!is_key(text), "{text:?}");
        }
    }
}
