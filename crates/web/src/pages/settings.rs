//! Settings: ACS policy, users, API keys. OLTs have pages of their own.

use app::{
    AcsPolicy, ClockWaiver, KeptInterval, NtpNetwork, Permission, PolicyBound, PublicNetworks, Refusals,
    Role, ports::Cidr,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Redirect, Response},
};
use std::sync::Arc;
use store::read::{ApiKeyRow, UserRow};
use types::{ApiKeyId, Secret, UserId};

use super::{again, filled, go, no_store, page, went};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::Form,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View, Word},
    words,
};

filled!(PolicyPage, UsersPage, KeysPage);

pub(super) type Tab = (&'static str, &'static str, bool);

pub(super) fn tabs(who: &Who, current: &str) -> Vec<Tab> {
    let all = [
        ("/settings/policy", "ACS policy", Permission::Read),
        ("/settings/models", "CPE models", Permission::Read),
        ("/settings/firmware", "Firmware files", Permission::Read),
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
    groups: Vec<(&'static str, Vec<PolicyField>)>,
    back_off: String,
    changed: Option<String>,
    /// Since when there is a first-contact password, and by whom.
    first_contact: Option<String>,
    v: View,
    waivers: Arc<[ClockWaiver]>,
    waiver: Form,
    intervals: Arc<[KeptInterval]>,
    interval: Form,
    /// Who was refused because they are in no management network.
    refusals: Refusals,
    /// The form names a network of the internet that is not in force: whether it is meant is asked.
    asks_public: bool,
}

/// The forms below the policy, about single models.
#[derive(Default)]
struct ModelForms {
    waiver: Form,
    interval: Form,
}

/// One number of the policy.
struct PolicyField {
    name: &'static str,
    label: &'static str,
    about: &'static str,
    bounds: String,
}

fn groups(ctx: &Ctx) -> Vec<(&'static str, Vec<PolicyField>)> {
    let (limits, now) = (ctx.app().policy_limits(), ctx.app().now());
    let mut groups: Vec<(&'static str, Vec<PolicyField>)> = Vec::new();
    for bound in PolicyBound::all() {
        let field = PolicyField {
            name: bound.name(),
            label: bound.label,
            about: bound.about,
            bounds: bound.words(limits, now),
        };
        match groups.last_mut().filter(|(group, _)| *group == bound.group) {
            Some((_, fields)) => fields.push(field),
            None => groups.push((bound.group, vec![field])),
        }
    }
    groups
}

/// `10.20.3.0/24 10.20.3.1 10.20.3.2`, one line per network.
fn ntp_lines(networks: &[NtpNetwork]) -> String {
    let line = |named: &NtpNetwork| format!("{} {}", named.network, named.servers.join(" "));
    networks.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The inverse of [`ntp_lines`].
fn read_ntp_lines(form: &mut Form) -> Vec<NtpNetwork> {
    let mut found = Vec::new();
    for line in form.val("ntp_networks").lines().map(str::to_owned).collect::<Vec<_>>() {
        let mut words = line.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        let Some(network) = words.next() else { continue };
        match network.parse() {
            Ok(network) => {
                found.push(NtpNetwork { network, servers: words.map(str::to_owned).collect() });
            }
            Err(error) => form.wrong("ntp_networks", error),
        }
    }
    found
}

fn fill(policy: &AcsPolicy) -> Form {
    let p = &policy.provisioning;
    let lines = |networks: &[Cidr]| networks.iter().map(Cidr::to_string).collect::<Vec<_>>().join("\n");
    let mut form = Form::default();
    form.set("management_networks", lines(&policy.management_networks))
        .set("nat_networks", lines(&policy.nat_networks))
        .set("ntp_servers", p.ntp_servers.join("\n"))
        .set("ntp_networks", ntp_lines(&policy.ntp_networks))
        .set("time_zone", &p.time_zone)
        .set("time_zone_posix", &p.time_zone_posix)
        .set("wan_label", &p.wan_label)
        .set("back_off_s", p.back_off_s.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
        .set("anonymous_first_contact", if policy.anonymous_first_contact { "1" } else { "" })
        .set("first_contact_needs_address", if policy.first_contact_needs_address { "1" } else { "" })
        .set("first_contact_username", &policy.first_contact_username);
    for bound in PolicyBound::all() {
        form.set(bound.name(), bound.get(policy));
    }
    form
}

async fn draw_policy(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    models: ModelForms,
) -> Result<PolicyPage, Fail> {
    let shell = Shell::new(ctx, who, headers, "settings", "ACS policy").await?.crumb("Settings", "/settings");
    let v = ctx.view();
    let changed = ctx.read().setting("acs.policy").await?;
    let changed = changed
        .map(|setting| format!("last changed {} by {}", v.time(setting.updated_at), setting.updated_by));
    let (low, high) = app::back_off_range(ctx.app().policy_limits());
    let asks_public = form.val("management_networks").lines().any(|line| {
        let in_force = &ctx.app().policy().management_networks;
        line.trim().parse::<Cidr>().is_ok_and(|network| network.is_public() && !in_force.contains(&network))
    });
    let first_contact = ctx.app().first_contact_set().await?;
    let first_contact = first_contact.map(|set| format!("set since {} by {}", v.time(set.since.0), set.by));
    Ok(PolicyPage {
        shell,
        tabs: tabs(who, "/settings/policy"),
        form,
        groups: groups(ctx),
        back_off: format!("{low} to {high}"),
        changed,
        first_contact,
        v,
        waivers: ctx.app().clock_waivers(),
        waiver: models.waiver,
        intervals: ctx.app().kept_intervals(),
        interval: models.interval,
        refusals: ctx.app().refusals().await?,
        asks_public,
    })
}

pub(crate) async fn policy(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let mut form = fill(&ctx.app().policy());
    // A router's page asks for its model.
    let asked = Form::parse(uri.query().unwrap_or_default());
    // A refused address proposes its network: written into the field, saved by a person. The internet is never proposed.
    if let Some(network) = asked.opt("add_network").and_then(|text| text.parse::<Cidr>().ok())
        && !network.is_public()
    {
        let lines = format!("{}\n{network}", form.val("management_networks"));
        form.set("management_networks", lines.trim());
    }
    let models = match asked.opt("interval_s") {
        Some(_) => ModelForms { interval: asked, ..ModelForms::default() },
        None => ModelForms { waiver: asked, ..ModelForms::default() },
    };
    page(&ctx, &headers, &draw_policy(&ctx, &who, &headers, form, models).await?)
}

/// Where models that pass without a right clock are listed.
const WAIVERS: &str = "/settings/policy#clock-waivers";

pub(crate) async fn waive_clock(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let (maker, model) = (form.val("manufacturer").to_owned(), form.val("product_class").to_owned());
    match ctx.app().waive_clock(&who.actor, &maker, &model, form.val("reason")).await {
        Ok(waiver) => Ok(go(
            &ctx,
            WAIVERS,
            Status::Ok,
            format!("Every {} passes without a right clock", view::limited(&waiver.product_class, 64)),
            "From each device's next contact on. Kept in the audit log.",
        )),
        Err(error) => {
            form.take(error.into());
            let policy = fill(&ctx.app().policy());
            let models = ModelForms { waiver: form, ..ModelForms::default() };
            again(&draw_policy(&ctx, &who, &headers, policy, models).await?)
        }
    }
}

pub(crate) async fn withdraw_clock_waiver(
    State(ctx): State<Ctx>,
    who: Who,
    form: Form,
) -> Result<Response, Fail> {
    let (maker, model) = (form.val("manufacturer"), form.val("product_class"));
    let result = ctx.app().withdraw_clock_waiver(&who.actor, maker, model).await;
    let done = "Nothing new is written to the model before it shows a right clock. What is in force stays.";
    Ok(went(&ctx, WAIVERS, "Withdrawn", done, result))
}

/// Where models with an inform interval of their own are listed.
const INTERVALS: &str = "/settings/policy#kept-intervals";

pub(crate) async fn accept_interval(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let (maker, model) = (form.val("manufacturer").to_owned(), form.val("product_class").to_owned());
    let interval_s: u32 = form.number("interval_s");
    let accepted = if form.has_errors() {
        None
    } else {
        Some(ctx.app().accept_interval(&who.actor, &maker, &model, interval_s, form.val("reason")).await)
    };
    match accepted {
        Some(Ok(kept)) => {
            return Ok(go(
                &ctx,
                INTERVALS,
                Status::Ok,
                format!("Every {} may keep {} s", view::limited(&kept.product_class, 64), kept.interval_s),
                "From each device's next contact on. Kept in the audit log.",
            ));
        }
        Some(Err(error)) => form.take(error.into()),
        None => {}
    }
    let policy = fill(&ctx.app().policy());
    let models = ModelForms { interval: form, ..ModelForms::default() };
    again(&draw_policy(&ctx, &who, &headers, policy, models).await?)
}

pub(crate) async fn withdraw_interval(
    State(ctx): State<Ctx>,
    who: Who,
    form: Form,
) -> Result<Response, Fail> {
    let (maker, model) = (form.val("manufacturer"), form.val("product_class"));
    let result = ctx.app().withdraw_interval(&who.actor, maker, model).await;
    let done = "Devices of the model that are not ours yet wait until they keep what they are told. The others stay as they \
                are.";
    Ok(went(&ctx, INTERVALS, "Withdrawn", done, result))
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
    policy.ntp_networks = read_ntp_lines(&mut form);
    for bound in PolicyBound::all() {
        let value = form.number(bound.name());
        bound.set(&mut policy, value);
    }
    let mut back_off_s = Vec::new();
    for word in form.val("back_off_s").split([' ', ',', '\n']).map(str::to_owned).collect::<Vec<_>>() {
        match word.trim() {
            "" => {}
            word => match word.parse() {
                Ok(wait) => back_off_s.push(wait),
                Err(_) => form.wrong("back_off_s", format!("{word:?} is not a whole number that fits here.")),
            },
        }
    }
    let p = &mut policy.provisioning;
    p.back_off_s = back_off_s;
    p.ntp_servers = lines(form.val("ntp_servers"));
    p.time_zone = form.val("time_zone").trim().to_owned();
    p.time_zone_posix = form.val("time_zone_posix").trim().to_owned();
    p.wan_label = form.val("wan_label").trim().to_owned();
    policy.anonymous_first_contact = form.is_on("anonymous_first_contact");
    policy.first_contact_needs_address = form.is_on("first_contact_needs_address");
    policy.first_contact_username = form.val("first_contact_username").trim().to_owned();
    // As typed: a blank at its end is a mistake to be told of, not to be mended in silence.
    let typed = Some(form.val("first_contact_password")).filter(|typed| !typed.is_empty()).map(Secret::new);
    let password = match (typed, form.is_on("first_contact_remove")) {
        (Some(_), true) => {
            form.wrong("first_contact_password", "is to be removed and is given at once; choose one.");
            None
        }
        (None, true) => Some(Secret::default()),
        (typed, false) => typed,
    };
    if !form.has_errors() {
        let public =
            if form.is_on("public_networks") { PublicNetworks::Meant } else { PublicNetworks::Refused };
        match ctx.app().set_acs_policy_with(&who.actor, policy, password, public).await {
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
    again(&draw_policy(&ctx, &who, &headers, form, ModelForms::default()).await?)
}

#[derive(Template)]
#[template(path = "settings_users.html")]
struct UsersPage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    form: Form,
    list: ListView,
    users: Vec<UserRow>,
    roles: Vec<Role>,
    matrix: Vec<(&'static str, Vec<bool>)>,
    secret: String,
    secret_for: String,
}

async fn draw_users(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    query: Query,
) -> Result<UsersPage, Fail> {
    let found = ctx.read().user_list(query.get("q"), &query.sort(), query.page()).await?;
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
        list: ListView::new(query, found.total),
        users: found.rows,
        roles,
        matrix,
        secret: String::new(),
        secret_for: String::new(),
    })
}

/// Where logins are listed.
const USERS: &str = "/settings/users";

pub(crate) async fn users(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse(USERS, uri.query());
    page(&ctx, &headers, &draw_users(&ctx, &who, &headers, Form::default(), query).await?)
}

pub(crate) async fn users_csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse(USERS, uri.query());
    let heading = export::line(&[
        "name",
        "role",
        "may_sign_in",
        "must_change_password",
        "created_at",
        "last_login_at",
    ])?;
    Ok(export::file("users.csv", heading, move |number| {
        let (ctx, query) = (ctx.clone(), query.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().user_list(query.get("q"), &query.sort(), part).await?.rows;
            let v = ctx.view();
            let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.name,
                    row.role,
                    yes(row.active),
                    yes(row.must_change),
                    v.exact(row.created_at),
                    v.exact(row.last_login_at),
                ]
            }))
        }
    }))
}

/// The one place where a password is shown, once; the page is not kept by the browser. What was done is done: a page that
/// cannot be drawn after it says so, and the form is not sent again.
async fn told_once(ctx: &Ctx, who: &Who, headers: &HeaderMap, name: String, password: &Secret) -> Response {
    let drawn = async {
        let mut shown = draw_users(ctx, who, headers, Form::default(), Query::parse(USERS, None)).await?;
        shown.secret = password.expose().to_owned();
        shown.secret_for.clone_from(&name);
        Ok::<_, Fail>(no_store(page(ctx, headers, &shown)?))
    };
    drawn.await.unwrap_or_else(|fail| {
        tracing::warn!(%name, why = %fail.detail, "a new password could not be shown");
        let text = format!("The password of {name} was made and could not be shown. Make another one.");
        go(ctx, "/settings/users", Status::Warn, "Made, and not shown", text)
    })
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
        return again(&draw_users(&ctx, &who, &headers, form, Query::parse(USERS, None)).await?);
    };
    match ctx.app().create_user(&who.actor, &name, role).await {
        Ok((_, password)) => Ok(told_once(&ctx, &who, &headers, name, &password).await),
        Err(error) => {
            form.take(error.into());
            again(&draw_users(&ctx, &who, &headers, form, Query::parse(USERS, None)).await?)
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

pub(crate) async fn reset_password(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Fail> {
    match ctx.app().reset_password_of(&who.actor, UserId(id), form.is_on("keys")).await {
        Ok((name, password)) => Ok(told_once(&ctx, &who, &headers, name, &password).await),
        Err(error) => Ok(went(&ctx, "/settings/users", "", "", Err(error))),
    }
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
    list: ListView,
    keys: Vec<Key>,
    scopes: Vec<Permission>,
    secret: String,
    secret_for: String,
}

/// What a key may do, from a stored JSON list.
pub(crate) fn scope_words(stored: &str) -> Vec<String> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// What a key is good for.
fn key_word(row: &ApiKeyRow, now: i64) -> Word {
    if row.revoked_at.is_some() {
        Word::new(Status::Off, "Revoked")
    } else if row.expires_at.is_some_and(|at| at <= now) {
        Word::new(Status::Off, "Ended")
    } else {
        Word::new(Status::Ok, "Valid")
    }
}

async fn draw_keys(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    query: Query,
) -> Result<KeysPage, Fail> {
    let shell = Shell::new(ctx, who, headers, "settings", "API keys").await?.crumb("Settings", "/settings");
    let v = ctx.view();
    let found = ctx.read().api_key_list(query.get("q"), &query.sort(), query.page()).await?;
    let key = |row: ApiKeyRow| Key {
        word: key_word(&row, v.now.0),
        scopes: scope_words(&row.scopes).join(" "),
        row,
    };
    let keys = found.rows.into_iter().map(key).collect();
    Ok(KeysPage {
        shell,
        tabs: tabs(who, "/settings/api-keys"),
        form,
        list: ListView::new(query, found.total),
        keys,
        scopes: Permission::ALL.into_iter().filter(|scope| who.may(*scope)).collect(),
        secret: String::new(),
        secret_for: String::new(),
        v,
    })
}

/// Where keys are listed.
const KEYS: &str = "/settings/api-keys";

pub(crate) async fn api_keys(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse(KEYS, uri.query());
    page(&ctx, &headers, &draw_keys(&ctx, &who, &headers, Form::default(), query).await?)
}

pub(crate) async fn api_keys_csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse(KEYS, uri.query());
    let heading = export::line(&[
        "name",
        "state",
        "may",
        "created_at",
        "created_by",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ])?;
    Ok(export::file("api-keys.csv", heading, move |number| {
        let (ctx, query) = (ctx.clone(), query.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().api_key_list(query.get("q"), &query.sort(), part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                let word = key_word(&row, v.now.0).text;
                vec![
                    row.name,
                    word,
                    scope_words(&row.scopes).join(" "),
                    v.exact(row.created_at),
                    row.created_by,
                    v.exact(row.expires_at),
                    v.exact(row.last_used_at),
                    v.exact(row.revoked_at),
                ]
            }))
        }
    }))
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
                let mut shown =
                    draw_keys(&ctx, &who, &headers, Form::default(), Query::parse(KEYS, None)).await?;
                // The one place where it is shown, once.
                shown.secret = key.expose().to_owned();
                shown.secret_for = name;
                return Ok(no_store(page(&ctx, &headers, &shown)?));
            }
            Err(error) => form.take(error.into()),
        }
    }
    again(&draw_keys(&ctx, &who, &headers, form, Query::parse(KEYS, None)).await?)
}

pub(crate) async fn revoke_key(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let result = ctx.app().revoke_api_key(&who.actor, ApiKeyId(id)).await;
    Ok(went(&ctx, "/settings/api-keys", "Key revoked", "It is refused from now on.", result))
}
