//! Signing in and out, and one's own password.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use types::Secret;

use super::{go, html};
use crate::{
    auth::{Identity, PeerAddress, SESSION_COOKIE, Who, safe_next, set_cookie},
    error::Fail,
    form::Form,
    list::Query,
    state::Ctx,
    view::Status,
};

/// How long the browser keeps the cookie; the application ends sessions by itself, earlier when idle.
const COOKIE_S: u32 = 7 * 24 * 3600;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    operator: &'a str,
    next: &'a str,
    name: &'a str,
    problem: &'a str,
    first_run: bool,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    name: &'a str,
    csrf: &'a str,
    must_change: bool,
    problem: &'a str,
}

/// True until somebody has signed in once.
async fn is_first_run(ctx: &Ctx) -> Result<bool, Fail> {
    Ok(ctx.read().users().await?.iter().all(|user| user.last_login_at.is_none()))
}

pub(crate) async fn form(
    State(ctx): State<Ctx>,
    identity: axum::Extension<Identity>,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/login", uri.query());
    let next = safe_next(query.get("next"));
    if matches!(*identity, Identity::Person(_)) {
        return Ok(Redirect::to(next).into_response());
    }
    let first_run = is_first_run(&ctx).await?;
    html(&LoginPage { operator: &ctx.web.operator, next, name: "", problem: "", first_run })
}

pub(crate) async fn sign_in(
    State(ctx): State<Ctx>,
    PeerAddress(peer): PeerAddress,
    form: Form,
) -> Result<Response, Fail> {
    let next = safe_next(form.val("next"));
    let name: String = form.val("name").trim().chars().take(120).collect();
    if let Err(seconds) = ctx.attempts.begin(peer) {
        let fail = Fail::from(app::AppError::TooMany { retry_after_s: seconds });
        return Ok(fail.into_response());
    }
    let password = Secret::new(form.val("password"));
    match ctx.app().login(&name, password, peer.map(|ip| ip.to_string())).await {
        Ok(entered) => {
            ctx.attempts.succeeded(peer);
            let to = if entered.must_change { "/password" } else { next };
            let mut response = Redirect::to(to).into_response();
            enter(&ctx, &mut response, &entered.token)?;
            Ok(response)
        }
        Err(error) => {
            let fail = Fail::from(error);
            let status = fail.status;
            if status.is_server_error() {
                return Err(fail);
            }
            let first_run = is_first_run(&ctx).await?;
            let page = LoginPage {
                operator: &ctx.web.operator,
                next,
                name: &name,
                problem: &fail.detail,
                first_run,
            };
            let mut response = html(&page)?;
            *response.status_mut() = status;
            if let Some(seconds) = fail.retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
    }
}

fn enter(ctx: &Ctx, response: &mut Response, token: &Secret) -> Result<(), Fail> {
    let value =
        set_cookie(SESSION_COOKIE, token.expose(), COOKIE_S, ctx.web.secure_cookies).ok_or_else(|| {
            Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", "The session could not be kept.")
        })?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(())
}

pub(crate) async fn sign_out(State(ctx): State<Ctx>, who: Who) -> Result<Response, Fail> {
    ctx.app().logout(&who.actor, &who.token).await?;
    let mut response = Redirect::to("/login").into_response();
    if let Some(value) = set_cookie(SESSION_COOKIE, "", 0, ctx.web.secure_cookies) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

pub(crate) async fn password_form(who: Who) -> Result<Response, Fail> {
    html(&PasswordPage { name: &who.name, csrf: &who.csrf, must_change: who.must_change, problem: "" })
}

pub(crate) async fn change_password(
    State(ctx): State<Ctx>,
    PeerAddress(peer): PeerAddress,
    who: Who,
    form: Form,
) -> Result<Response, Fail> {
    let again = |problem: &str| -> Result<Response, Fail> {
        let page = PasswordPage { name: &who.name, csrf: &who.csrf, must_change: who.must_change, problem };
        let mut response = html(&page)?;
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(response)
    };
    if form.val("new") != form.val("repeat") {
        return again("The two new passwords are not the same.");
    }
    if form.val("new") == form.val("old") {
        return again("The new password is the old one.");
    }
    let new = Secret::new(form.val("new"));
    if let Err(error) = ctx.app().change_password(&who.actor, Secret::new(form.val("old")), new.clone()).await
    {
        let fail = Fail::from(error);
        return if fail.status.is_server_error() { Err(fail) } else { again(&fail.detail) };
    }
    // Every session of theirs has ended, this one too: begin a new one.
    let entered = ctx.app().login(&who.name, new, peer.map(|ip| ip.to_string())).await?;
    let mut response = go(&ctx, "/", Status::Ok, "Password changed", "Your other sessions have ended.");
    enter(&ctx, &mut response, &entered.token)?;
    Ok(response)
}
