//! The frame of every page: navigation with counters, search, theme, live connection, one message.

use app::Permission;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use store::read::Overview;

use crate::{
    assets,
    auth::{FLASH_COOKIE, Who, cookie, set_cookie},
    error::Fail,
    state::Ctx,
    view::{Html, Status, View, count},
    words,
};

/// One entry of the navigation.
pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) key: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) label: &'static str,
    pub(crate) note: String,
    pub(crate) s: &'static str,
    pub(crate) current: bool,
}

/// A group of entries.
pub(crate) struct NavGroup {
    pub(crate) heading: &'static str,
    pub(crate) items: Vec<NavItem>,
}

/// One step of the way back.
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) href: String,
}

/// A message about what the reader just did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    pub(crate) s: Status,
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Flash {
    /// As a cookie that lives for one redirect.
    pub(crate) fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        let text = format!(
            "{}\n{}\n{}",
            self.s,
            self.title.replace('\n', " "),
            crate::view::limited(&self.text, 600)
        );
        set_cookie(FLASH_COOKIE, &base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text), 30, secure)
    }

    /// From the request after the redirect. The cookie only says what to show; it is escaped like any text.
    pub(crate) fn take(headers: &HeaderMap) -> Option<Flash> {
        let bytes =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cookie(headers, FLASH_COOKIE)?).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(3, '\n');
        let s = Status::from_severity(parts.next()?);
        Some(Flash { s, title: parts.next()?.to_owned(), text: parts.next().unwrap_or_default().to_owned() })
    }
}

/// The frame. `v` formats, `live` names what a part of the page listens to.
pub(crate) struct Shell {
    pub(crate) v: View,
    pub(crate) title: String,
    pub(crate) crumbs: Vec<Crumb>,
    pub(crate) nav: Vec<NavGroup>,
    pub(crate) user: String,
    pub(crate) role: &'static str,
    pub(crate) operator: String,
    pub(crate) csrf: String,
    pub(crate) flash: Option<Flash>,
    pub(crate) detected: u64,
    active: String,
    who: Who,
    since: u64,
    watched: Vec<String>,
}

impl Shell {
    pub(crate) async fn new(
        ctx: &Ctx,
        who: &Who,
        headers: &HeaderMap,
        active: &str,
        title: &str,
    ) -> Result<Shell, Fail> {
        // Before anything is read: what changes while the page is drawn must reach it.
        let since = ctx.live.position();
        let numbers = ctx.numbers().await?;
        Ok(Shell {
            v: ctx.view(),
            title: title.to_owned(),
            crumbs: Vec::new(),
            nav: navigation(&numbers, active, who),
            user: who.name.clone(),
            role: words::role(who.role.as_str()),
            operator: ctx.web.operator.clone(),
            csrf: who.csrf.clone(),
            flash: Flash::take(headers),
            detected: numbers.detected,
            active: active.to_owned(),
            who: who.clone(),
            since,
            watched: Vec::new(),
        })
    }

    pub(crate) fn crumb(mut self, label: impl Into<String>, href: impl Into<String>) -> Self {
        self.crumbs.push(Crumb { label: label.into(), href: href.into() });
        self
    }

    /// The page listens to these topics; at most as many as one stream may watch.
    pub(crate) fn watch(mut self, topics: impl IntoIterator<Item = String>) -> Self {
        self.watched.extend(topics);
        self.watched.truncate(crate::live::WATCHED);
        self
    }

    pub(crate) fn may(&self, permission: &str) -> bool {
        Permission::parse(permission).is_some_and(|permission| self.who.may(permission))
    }

    /// True on the pages of this entry of the navigation.
    pub(crate) fn at(&self, entry: &str) -> bool {
        self.active == entry
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.watched.is_empty()
    }

    pub(crate) fn events_href(&self) -> String {
        format!("/events?since={}&watch={}", self.since, self.watched.join(","))
    }

    pub(crate) fn asset(&self, path: &str) -> String {
        assets::href(path)
    }

    /// The hidden fields every form carries.
    pub(crate) fn token(&self) -> Html {
        self.who.token_field()
    }

    pub(crate) fn icon(&self, name: &str) -> Html {
        crate::view::icon(name)
    }
}

fn navigation(n: &Overview, active: &str, who: &Who) -> Vec<NavGroup> {
    let some = |n: u64, unit: &str| match (n, unit) {
        (0, _) => String::new(),
        (n, "") => count(n),
        (n, unit) => format!("{} {unit}", count(n)),
    };
    let item = |href, key, icon, label, note: String, s| NavItem {
        href,
        key,
        icon,
        label,
        note,
        s,
        current: href.trim_start_matches('/') == active || (href == "/" && active == "overview"),
    };
    let failed = n.cpes_in("FAILED");
    let cpes = if failed > 0 {
        (some(failed, "failed"), "bad")
    } else {
        (some(n.cpes_not_active(), "not active"), "")
    };
    let trouble = n.tasks_in(&["needs_operator"]);
    let running = n.tasks_in(&["pending", "applying", "verifying", "compensating"]);
    let tasks = if trouble > 0 { (some(trouble, "stuck"), "bad") } else { (some(running, ""), "") };
    let mut system = vec![item("/tasks", "k", "list-check", "Tasks", tasks.0, tasks.1)];
    if who.may(Permission::ReadAudit) {
        system.push(item("/audit", "a", "clipboard-list", "Audit log", String::new(), ""));
    }
    system.push(item("/settings", "e", "settings", "Settings", String::new(), ""));
    vec![
        NavGroup {
            heading: "",
            items: vec![
                item("/", "o", "layout-dashboard", "Overview", String::new(), ""),
                item("/detected", "d", "radar-2", "Detected", some(n.detected, ""), ""),
                item("/onus", "n", "router", "ONUs", some(n.onus_down, "down"), "bad"),
                item("/faults", "f", "alert-triangle", "Faults", some(n.faults, ""), ""),
            ],
        },
        NavGroup {
            heading: "Network",
            items: vec![
                item("/olts", "l", "server-2", "OLTs", some(n.olts_silent, "silent"), "bad"),
                item("/cpes", "r", "wifi", "CPEs", cpes.0, cpes.1),
            ],
        },
        NavGroup {
            heading: "Business",
            items: vec![
                item("/customers", "c", "users", "Customers", String::new(), ""),
                item("/services", "s", "plug-connected", "Services", String::new(), ""),
                item("/plans", "p", "tags", "Plans", String::new(), ""),
            ],
        },
        NavGroup { heading: "System", items: system },
    ]
}

/// `hx-trigger` for a part that shows these topics.
pub(crate) fn triggers(topics: &[String]) -> String {
    let mut out = String::from("sse:sync");
    for topic in topics {
        out.push_str(", sse:");
        out.push_str(topic);
    }
    out
}

/// Drops the message cookie once it was shown.
pub(crate) fn forget_flash(headers: &mut HeaderMap, secure: bool) {
    if let Some(value) = set_cookie(FLASH_COOKIE, "", 0, secure) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_one_redirect() {
        let flash = Flash { s: Status::Ok, title: "Saved".into(), text: "Ελένη <b>".into() };
        let set = flash.cookie(false).expect("a header");
        let value = set.to_str().expect("text").split(';').next().expect("pair").to_owned();
        let headers: HeaderMap =
            [(header::COOKIE, HeaderValue::from_str(&value).expect("value"))].into_iter().collect();
        assert_eq!(Flash::take(&headers), Some(flash));
        let garbage: HeaderMap =
            [(header::COOKIE, HeaderValue::from_static("lk_flash=%%%"))].into_iter().collect();
        assert_eq!(Flash::take(&garbage), None);
    }
}
