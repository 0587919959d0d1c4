//! Settings: ACS policy, users, API keys. OLTs have pages of their own.

use app::{AcsPolicy, Permission, Role, ports::Cidr};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use store::read::{ApiKeyRow, UserRow};
use types::{ApiKeyId, Secret, UserId};

use super::{again, go, no_store, page, went};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    shell::Shell,
    state::Ctx,
    view::{Status, View, Word},
    words,
};

type Tab = (&'static str, &'static str, bool);

fn tabs(who: &Who, current: &str) -> Vec<Tab> {
    let all = [
        ("/settings/policy", "ACS policy", Permission::Read),
        ("/olts", "OLTs", Permission::Read),
        ("/plans", "Plans", Permission::Read),
        ("/settings/users", "Users and roles", Permission::ManageUsers),
        ("/settings/api-keys", "API keys", Permission::ManageKeys),
    ];
    all.into_iter()
        .filter(|(_, _, need)| who.may(*need))
        .map(|(href, label, _)| (href, label, href == current))
        .collect()
}

pub(crate) async fn index() -> Response {
    Redirect::to("/settings/policy").into_response()
}

#[derive(Template)]
#[template(path = "settings_policy.html")]
struct PolicyPage {
    shell: Shell,
    tabs: Vec<Tab>,
    form: Form,
    numbers: [(&'static str, &'static str, &'static str); 9],
    changed: Option<String>,
}

const NUMBERS: [(&str, &str, &str); 9] = [
    ("cool_down_s", "Cool-down, s", "between two attempts at one device; 300 to 600 on a real network"),
    ("watchdog_s", "Watchdog, s", "how long we wait for the Inform after a call"),
    ("connection_request_gap_s", "Gap between calls, s", "to one device"),
    ("inform_interval_s", "Inform interval, s", "written to devices"),
    ("verify_grace_s", "Grace for PPPoE, s", "until a connection counts as failed"),
    ("verify_checks", "Checks, at least", "that must fail; PPPoE needs more than one look"),
    ("ntp_pushes", "Time server set, times", "before a wrong clock is reported"),
    ("autofind_interval_s", "Read OLTs every, s", "a CLI is slow"),
    ("quarantine_limit", "Strangers remembered", "more are answered “busy”"),
];

fn fill(policy: &AcsPolicy) -> Form {
    let p = &policy.provisioning;
    let lines = |networks: &[Cidr]| networks.iter().map(Cidr::to_string).collect::<Vec<_>>().join("\n");
    let mut form = Form::default();
    form.set("management_networks", lines(&policy.management_networks))
        .set("nat_networks", lines(&policy.nat_networks))
        .set("ntp_servers", p.ntp_servers.join("\n"))
        .set("anonymous_first_contact", if policy.anonymous_first_contact { "1" } else { "" })
        .set("first_contact_username", &policy.first_contact_username)
        .set("cool_down_s", p.cool_down_s)
        .set("watchdog_s", p.watchdog_s)
        .set("connection_request_gap_s", p.connection_request_gap_s)
        .set("inform_interval_s", p.inform_interval_s)
        .set("verify_grace_s", p.verify_grace_s)
        .set("verify_checks", p.verify_checks)
        .set("ntp_pushes", p.ntp_pushes)
        .set("autofind_interval_s", policy.autofind_interval_s)
        .set("quarantine_limit", policy.quarantine_limit);
    form
}

async fn draw_policy(ctx: &Ctx, who: &Who, headers: &HeaderMap, form: Form) -> Result<PolicyPage, Fail> {
    let shell = Shell::new(ctx, who, headers, "settings", "ACS policy").await?.crumb("Settings", "/settings");
    let v = ctx.view();
    let changed = ctx.read().setting("acs.policy").await?;
    let changed = changed
        .map(|setting| format!("last changed {} by {}", v.time(setting.updated_at), setting.updated_by));
    Ok(PolicyPage { shell, tabs: tabs(who, "/settings/policy"), form, numbers: NUMBERS, changed })
}

pub(crate) async fn policy(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    let form = fill(&ctx.app().policy());
    page(&ctx, &headers, &draw_policy(&ctx, &who, &headers, form).await?)
}

pub(crate) async fn change_policy(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let mut policy = (*ctx.app().policy()).clone();
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    let mut networks = |field: &str| {
        let mut found: Vec<Cidr> = Vec::new();
        for line in lines(form.val(field)) {
            match line.parse() {
                Ok(network) => found.push(network),
                Err(error) => form.wrong(field, error),
            }
        }
        found
    };
    policy.management_networks = networks("management_networks");
    policy.nat_networks = networks("nat_networks");
    let p = &mut policy.provisioning;
    p.ntp_servers = lines(form.val("ntp_servers"));
    p.cool_down_s = form.number("cool_down_s");
    p.watchdog_s = form.number("watchdog_s");
    p.connection_request_gap_s = form.number("connection_request_gap_s");
    p.inform_interval_s = form.number("inform_interval_s");
    p.verify_grace_s = form.number("verify_grace_s");
    p.verify_checks = form.number("verify_checks");
    p.ntp_pushes = form.number("ntp_pushes");
    policy.autofind_interval_s = form.number("autofind_interval_s");
    policy.quarantine_limit = form.number("quarantine_limit");
    policy.anonymous_first_contact = form.is_on("anonymous_first_contact");
    policy.first_contact_username = form.val("first_contact_username").trim().to_owned();
    let password = form.opt("first_contact_password").map(Secret::new);
    if !form.has_errors() {
        match ctx.app().set_acs_policy(&who.actor, policy, password).await {
            Ok(()) => {
                return Ok(go(
                    &ctx,
                    "/settings/policy",
                    Status::Ok,
                    "Policy saved",
                    "It counts from each device's next contact.",
                ));
            }
            Err(error) => form.take(error.into()),
        }
    }
    form.set("first_contact_password", "");
    again(&draw_policy(&ctx, &who, &headers, form).await?)
}

#[derive(Template)]
#[template(path = "settings_users.html")]
struct UsersPage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    form: Form,
    users: Vec<UserRow>,
    roles: Vec<Role>,
    matrix: Vec<(&'static str, Vec<bool>)>,
    secret: String,
    secret_for: String,
}

async fn draw_users(ctx: &Ctx, who: &Who, headers: &HeaderMap, form: Form) -> Result<UsersPage, Fail> {
    let shell =
        Shell::new(ctx, who, headers, "settings", "Users and roles").await?.crumb("Settings", "/settings");
    let roles = Role::ALL.to_vec();
    let matrix = Permission::ALL
        .into_iter()
        .map(|permission| {
            (permission.verb(), roles.iter().map(|role| permission.granted_to(*role)).collect())
        })
        .collect();
    Ok(UsersPage {
        shell,
        v: ctx.view(),
        tabs: tabs(who, "/settings/users"),
        form,
        users: ctx.read().users().await?,
        roles,
        matrix,
        secret: String::new(),
        secret_for: String::new(),
    })
}

pub(crate) async fn users(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    page(&ctx, &headers, &draw_users(&ctx, &who, &headers, Form::default()).await?)
}

pub(crate) async fn create_user(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let name = form.val("name").trim().to_owned();
    let Ok(role) = form.val("role").parse::<Role>() else {
        form.wrong("role", "is not chosen.");
        return again(&draw_users(&ctx, &who, &headers, form).await?);
    };
    match ctx.app().create_user(&who.actor, &name, role).await {
        Ok((_, password)) => {
            let mut shown = draw_users(&ctx, &who, &headers, Form::default()).await?;
            // The one place where it is shown, once; the page is not kept by the browser.
            shown.secret = password.expose().to_owned();
            shown.secret_for = name;
            Ok(no_store(page(&ctx, &headers, &shown)?))
        }
        Err(error) => {
            form.take(error.into());
            again(&draw_users(&ctx, &who, &headers, form).await?)
        }
    }
}

pub(crate) async fn change_user(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let Ok(role) = form.val("role").parse::<Role>() else {
        return Ok(go(&ctx, "/settings/users", Status::Bad, "Nothing was saved", "No role was chosen."));
    };
    let result = ctx.app().change_user(&who.actor, UserId(id), role, form.is_on("active")).await;
    Ok(went(&ctx, "/settings/users", "User saved", "", result))
}

struct Key {
    row: ApiKeyRow,
    word: Word,
    scopes: String,
}

#[derive(Template)]
#[template(path = "settings_keys.html")]
struct KeysPage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    form: Form,
    keys: Vec<Key>,
    scopes: Vec<Permission>,
    secret: String,
    secret_for: String,
}

/// What a key may do, from a stored JSON list.
pub(crate) fn scope_words(stored: &str) -> Vec<String> {
    serde_json::from_str(stored).unwrap_or_default()
}

async fn draw_keys(ctx: &Ctx, who: &Who, headers: &HeaderMap, form: Form) -> Result<KeysPage, Fail> {
    let shell = Shell::new(ctx, who, headers, "settings", "API keys").await?.crumb("Settings", "/settings");
    let v = ctx.view();
    let key = |row: ApiKeyRow| {
        let word = if row.revoked_at.is_some() {
            Word::new(Status::Off, "Revoked")
        } else if row.expires_at.is_some_and(|at| at <= v.now.0) {
            Word::new(Status::Off, "Ended")
        } else {
            Word::new(Status::Ok, "Valid")
        };
        Key { word, scopes: scope_words(&row.scopes).join(" "), row }
    };
    let keys = ctx.read().api_keys().await?.into_iter().map(key).collect();
    Ok(KeysPage {
        shell,
        tabs: tabs(who, "/settings/api-keys"),
        form,
        keys,
        scopes: Permission::ALL.into_iter().filter(|scope| who.may(*scope)).collect(),
        secret: String::new(),
        secret_for: String::new(),
        v,
    })
}

pub(crate) async fn api_keys(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    page(&ctx, &headers, &draw_keys(&ctx, &who, &headers, Form::default()).await?)
}

pub(crate) async fn create_key(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let name = form.val("name").trim().to_owned();
    let scopes: Vec<Permission> = form.all("scope").into_iter().filter_map(Permission::parse).collect();
    let days = form.optional_number("days");
    if !form.has_errors() {
        match ctx.app().create_api_key(&who.actor, &name, &scopes, days).await {
            Ok((_, key)) => {
                let mut shown = draw_keys(&ctx, &who, &headers, Form::default()).await?;
                // The one place where it is shown, once.
                shown.secret = key.expose().to_owned();
                shown.secret_for = name;
                return Ok(no_store(page(&ctx, &headers, &shown)?));
            }
            Err(error) => form.take(error.into()),
        }
    }
    again(&draw_keys(&ctx, &who, &headers, form).await?)
}

pub(crate) async fn revoke_key(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let result = ctx.app().revoke_api_key(&who.actor, ApiKeyId(id)).await;
    Ok(went(&ctx, "/settings/api-keys", "Key revoked", "It is refused from now on.", result))
}
