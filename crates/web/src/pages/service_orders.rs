//! What a person may order on the page of a service.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use types::{Secret, Serial, ServiceId};

use super::{
    go,
    secrets::{Made, shown_once},
    service, went,
};
use crate::{auth::Who, error::Fail, form::Form, state::Ctx, view::Status};

/// Back to the page with what came of it, or the dialog again with what was typed and what is wrong with it.
async fn ended(
    at: (&Ctx, &Who, &HeaderMap, i64),
    dialog: &'static str,
    mut form: Form,
    said: (&str, &str),
    result: Result<(), app::AppError>,
) -> Result<Response, Fail> {
    let (ctx, who, headers, id) = at;
    match result {
        Ok(()) => Ok(go(ctx, &format!("/services/{id}"), Status::Ok, said.0, said.1)),
        Err(error) => {
            form.take(error.into());
            form.forgets(&["password", "passphrase"]);
            service::refused(ctx, who, headers, id, dialog, form).await
        }
    }
}

/// Refuses a name that is not the one of the service.
async fn confirmed(ctx: &Ctx, id: i64, form: &mut Form) -> Result<bool, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    if form.val("confirm").trim() == row.code {
        return Ok(true);
    }
    form.wrong("confirm", format!("is not {}.", row.code));
    Ok(false)
}

/// Stops the router of this service, whichever it is by now.
pub(crate) async fn hold(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let Some(cpe) = row.cpe_id else {
        let text = "No router is tied to this service.";
        return Ok(go(&ctx, &format!("/services/{id}"), Status::Warn, "Not held", text));
    };
    let result = ctx.app().hold_cpe(&who.actor, types::CpeId(cpe), form.val("reason")).await;
    let said = ("Held", "Nothing is written to this router until somebody lets it go on.");
    ended((&ctx, &who, &headers, id), "hold", form, said, result).await
}

pub(crate) async fn suspend(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    if !confirmed(&ctx, id, &mut form).await? {
        return service::refused(&ctx, &who, &headers, id, "suspend", form).await;
    }
    let result = ctx.app().suspend_service(&who.actor, ServiceId(id), form.val("reason")).await;
    let said = ("Suspended", "It counts when the router reads back that its connection is off.");
    ended((&ctx, &who, &headers, id), "suspend", form, said, result).await
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

/// Ends the service for good.
pub(crate) async fn end(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    if !confirmed(&ctx, id, &mut form).await? {
        return service::refused(&ctx, &who, &headers, id, "end", form).await;
    }
    let version = form.optional_number("version");
    if form.has_errors() {
        return service::refused(&ctx, &who, &headers, id, "end", form).await;
    }
    let result = ctx.app().terminate_service(&who.actor, ServiceId(id), version).await;
    let said = ("Ended", "Its router is released. Its ONU stays on the OLT until somebody removes it.");
    ended((&ctx, &who, &headers, id), "end", form, said, result).await
}

/// Address and expected serial.
pub(crate) async fn correct(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let expected_serial = match form.opt("expected_serial").map(|text| text.parse::<Serial>()) {
        None => None,
        Some(Ok(serial)) => Some(serial),
        Some(Err(error)) => {
            form.wrong("expected_serial", format!("{error}."));
            return service::refused(&ctx, &who, &headers, id, "correct", form).await;
        }
    };
    let version = form.optional_number("version");
    if form.has_errors() {
        return service::refused(&ctx, &who, &headers, id, "correct", form).await;
    }
    let input = app::ServiceCorrection { address: form.val("address").to_owned(), expected_serial };
    let result = ctx.app().correct_service(&who.actor, ServiceId(id), input, version).await;
    let said = ("Service corrected", "Before and after are in the audit log.");
    ended((&ctx, &who, &headers, id), "correct", form, said, result).await
}

/// What the form began with. One that says nothing of it is not asked; one that cannot be read is refused.
fn seen(form: &Form) -> Option<app::Seen> {
    (!form.all("version").is_empty()).then(|| app::Seen::Words(form.val("version").to_owned()))
}

const UNCONFIRMED: &str = "Not confirmed by the router yet; the table says when it is.";

pub(crate) async fn wifi(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let wifi = app::WifiInput {
        ssid: form.val("ssid").to_owned(),
        passphrase: Some(form.val("passphrase")).filter(|text| !text.is_empty()).map(Secret::new),
        enabled: form.is_on("enabled"),
    };
    let result =
        ctx.app().set_access_as_seen(&who.actor, ServiceId(id), app::AccessInput { wifi }, seen(&form)).await;
    ended((&ctx, &who, &headers, id), "wifi", form, ("Wi-Fi change saved", UNCONFIRMED), result).await
}

/// A choice between on and off; nothing where the form does not have it.
fn switch(form: &Form, name: &str) -> Option<bool> {
    match form.val(name) {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Words between commas or blanks.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', ';']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub(crate) async fn internet(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let vlan = match form.val("vlan_kind") {
        "none" => Some(app::VlanInput::NONE),
        "tag" => Some(app::VlanInput::Tag(form.number("vlan"))),
        _ => None,
    };
    // A field that was emptied goes back to the router's own; one that is not in the form is not spoken of.
    let sent = |form: &Form, name: &str| !form.all(name).is_empty();
    let mtu = sent(&form, "mtu").then(|| form.optional_number("mtu").unwrap_or(0));
    if form.has_errors() {
        form.forgets(&["password"]);
        return service::refused(&ctx, &who, &headers, id, "internet", form).await;
    }
    let mode = form.val("mode").to_owned();
    let (is_pppoe, is_bridge) = (mode == "pppoe", mode == "bridge");
    let fixed = (mode == "static").then(|| app::FixedAddress {
        address: form.val("address").trim().to_owned(),
        mask: form.val("mask").trim().to_owned(),
        gateway: form.val("gateway").trim().to_owned(),
        dns: words(form.val("dns")),
    });
    let input = app::InternetInput {
        username: form.opt("username").filter(|_| is_pppoe),
        password: form.opt("password").filter(|_| is_pppoe).map(Secret::new),
        mode,
        vlan,
        fixed,
        nat: switch(&form, "nat").filter(|_| !is_bridge),
        ipv6: switch(&form, "ipv6"),
        mtu,
        bind: sent(&form, "bind").then(|| words(form.val("bind"))),
        policy_routes: switch(&form, "policy_routes"),
    };
    let result = ctx.app().set_internet_as_seen(&who.actor, ServiceId(id), input, seen(&form)).await;
    ended((&ctx, &who, &headers, id), "internet", form, ("Internet change saved", UNCONFIRMED), result).await
}

/// Address of the router at home, and what it hands out.
pub(crate) async fn lan(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let text = |name: &str| form.val(name).trim().to_owned();
    let input = (form.val("lan") == "ours").then(|| app::LanInput {
        address: text("address"),
        mask: text("mask"),
        dhcp: switch(&form, "dhcp").unwrap_or(true),
        dhcp_first: text("dhcp_first"),
        dhcp_last: text("dhcp_last"),
    });
    let result = ctx.app().set_lan_as_seen(&who.actor, ServiceId(id), input, seen(&form)).await;
    ended((&ctx, &who, &headers, id), "lan", form, ("LAN change saved", UNCONFIRMED), result).await
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
