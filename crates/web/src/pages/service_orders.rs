//! What a person may order on the page of a service.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use types::{Secret, ServiceId};

use super::{
    go,
    secrets::{Made, shown_once},
    went,
};
use crate::{auth::Who, error::Fail, form::Form, state::Ctx, view::Status};

/// Stops the router of this service, whichever it is by now.
pub(crate) async fn hold(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let back = format!("/services/{id}");
    let Some(cpe) = row.cpe_id else {
        return Ok(go(&ctx, &back, Status::Warn, "Not held", "No router is tied to this service."));
    };
    let result = ctx.app().hold_cpe(&who.actor, types::CpeId(cpe), form.val("reason")).await;
    Ok(went(&ctx, &back, "Held", "Nothing is written to this router until somebody lets it go on.", result))
}

pub(crate) async fn suspend(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let back = format!("/services/{id}");
    if form.val("confirm").trim() != row.code {
        return Ok(go(
            &ctx,
            &back,
            Status::Warn,
            "Not suspended",
            format!("The name typed was not {}.", row.code),
        ));
    }
    let result = ctx.app().suspend_service(&who.actor, ServiceId(id), form.val("reason")).await;
    Ok(went(
        &ctx,
        &back,
        "Suspended",
        "It counts when the router reads back that its connection is off.",
        result,
    ))
}

pub(crate) async fn resume(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let result = ctx.app().resume_service(&who.actor, ServiceId(id)).await;
    Ok(went(
        &ctx,
        &format!("/services/{id}"),
        "Resumed",
        "It counts when the router reads back that it is connected.",
        result,
    ))
}

pub(crate) async fn wifi(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let wifi = app::WifiInput {
        ssid: form.val("ssid").to_owned(),
        passphrase: Some(form.val("passphrase")).filter(|text| !text.is_empty()).map(Secret::new),
        enabled: form.is_on("enabled"),
    };
    let result = ctx.app().set_access(&who.actor, ServiceId(id), app::AccessInput { wifi }).await;
    Ok(went(
        &ctx,
        &format!("/services/{id}"),
        "Wi-Fi change saved",
        "Not confirmed by the router yet; the table says when it is.",
        result,
    ))
}

pub(crate) async fn internet(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let back = format!("/services/{id}");
    let vlan = match form.val("vlan_kind") {
        "none" => Some(app::VlanInput::NONE),
        "tag" => Some(app::VlanInput::Tag(form.number("vlan"))),
        _ => None,
    };
    if form.has_errors() {
        return Ok(go(
            &ctx,
            &back,
            Status::Bad,
            "Nothing was saved",
            "The VLAN is not a number from 1 to 4094.",
        ));
    }
    let mode = form.val("mode").to_owned();
    let is_pppoe = mode == "pppoe";
    let input = app::InternetInput {
        username: form.opt("username").filter(|_| is_pppoe),
        password: form.opt("password").filter(|_| is_pppoe).map(Secret::new),
        mode,
        vlan,
    };
    let result = ctx.app().set_internet(&who.actor, ServiceId(id), input).await;
    Ok(went(
        &ctx,
        &back,
        "Internet change saved",
        "Not confirmed by the router yet; the table says when it is.",
        result,
    ))
}

/// Shown once here; lost means another one.
pub(crate) async fn pppoe_password(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let made = Made {
        title: "New PPPoE password",
        service: id,
        next: "The router has not confirmed it yet; the table on the page of the service says when it does.",
        task: None,
    };
    let result = ctx.app().renew_pppoe_password(&who.actor, ServiceId(id)).await;
    renewed(&ctx, &who, &headers, made, result).await
}

/// As [`pppoe_password`].
pub(crate) async fn wifi_passphrase(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let made = Made {
        title: "New Wi-Fi password",
        service: id,
        next: "Devices at home join with it once the router has it; the page of the service says how far that is.",
        task: None,
    };
    let result = ctx.app().renew_wifi_passphrase(&who.actor, ServiceId(id)).await;
    renewed(&ctx, &who, &headers, made, result).await
}

async fn renewed(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    made: Made,
    result: Result<app::Generated, app::AppError>,
) -> Result<Response, Fail> {
    match result {
        Ok(generated) => shown_once(ctx, who, headers, made, generated).await,
        Err(error) => {
            let fail = Fail::from(error);
            Ok(go(ctx, &format!("/services/{}", made.service), Status::Bad, fail.title, fail.detail))
        }
    }
}
