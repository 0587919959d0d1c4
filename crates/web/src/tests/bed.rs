//! A Lightkeeper to browse in.

use std::sync::Arc;

use app::{
    Actor, App, AppParts, Role,
    ports::{CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use store::{KeySource, Store, StoreConfig, StoreError, rows};
use tempfile::TempDir;
use tower::ServiceExt;
use types::{CpeId, ManualClock, OltId, Secret, ServiceId, UtcMs};

use crate::WebState;

/// Saturday 21 November 2026, 14:30 UTC.
pub(crate) const NOW: UtcMs = UtcMs(1_795_271_400_000);
/// What a device, an OLT or a customer may call itself.
pub(crate) const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&";
/// A moment as a machine writes it into a sentence.
pub(crate) const MOMENT: &str = "2026-11-21T14:35:00Z";
pub(crate) const PASSWORD: &str = "a long sentence to test with";

struct Nobody;

#[async_trait::async_trait]
impl ConnectionRequester for Nobody {
    async fn request(&self, _: ConnectionRequestTarget) -> CallReport {
        ConnectionRequestOutcome::Unreachable.into()
    }
}

pub(crate) struct Bed {
    _folder: TempDir,
    pub(crate) app: Arc<App>,
    pub(crate) clock: ManualClock,
    router: Router,
    first_password: Secret,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A browser: it keeps cookies and sends forms with the token of the page.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) csrf: String,
}

impl Bed {
    pub(crate) async fn new() -> Bed {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("web.db").display());
        let clock = ManualClock::new(NOW);
        let mut config = StoreConfig::new(url, KeySource::File(folder.path().join("key")));
        config.clock = Arc::new(clock.clone());
        let store = Store::open(config).await.expect("the store opens");
        let parts = AppParts {
            store,
            clock: Arc::new(clock.clone()),
            connection: Arc::new(Nobody),
            node: "test".into(),
            limits: app::PolicyLimits::Network,
        };
        let app = Arc::new(App::new(parts).await.expect("the app starts"));
        let first_password = app.first_run().await.expect("first run").expect("a password");
        let state = WebState { zone: jiff::tz::TimeZone::UTC, ..WebState::new(app.clone()) };
        Bed { _folder: folder, app, clock, router: crate::router(state), first_password }
    }

    pub(crate) fn first_password(&self) -> &str {
        self.first_password.expose()
    }

    /// The answer with its body still to be read.
    pub(crate) async fn begin(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.expect("the router answers")
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.begin(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Signed in as the administrator, with a password of their own.
    pub(crate) async fn admin(&self) -> Browser {
        let entered =
            self.app.login("admin", self.first_password.clone(), None).await.expect("the first login");
        let new = Secret::new(PASSWORD);
        self.app
            .change_password(&entered.actor, self.first_password.clone(), new)
            .await
            .expect("a new password");
        self.browser("admin", PASSWORD).await
    }

    /// A person of this role, signed in; needs the administrator's password changed already.
    pub(crate) async fn person(&self, role: Role) -> Browser {
        let admin = Actor::System("test");
        let (_, first) = self.app.create_user(&admin, role.as_str(), role).await.expect("a login");
        let entered = self.app.login(role.as_str(), first.clone(), None).await.expect("the first login");
        self.app.change_password(&entered.actor, first, Secret::new(PASSWORD)).await.expect("a new password");
        self.browser(role.as_str(), PASSWORD).await
    }

    async fn browser(&self, name: &str, password: &str) -> Browser {
        let mut browser = Browser::default();
        let answer = browser.post(self, "/login", &[("name", name), ("password", password)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let page = browser.get(self, "/plans").await;
        browser.csrf = between(&page.text, "name=\"_csrf\" value=\"", "\"").to_owned();
        browser
    }

    /// A customer, a plan, a service, an OLT and a router whose every text is hostile.
    pub(crate) async fn seeded(&self) -> (ServiceId, CpeId, OltId) {
        let actor = Actor::System("test");
        let customer = app::NewCustomer {
            name: HOSTILE.into(),
            phone: "+357 99 000 142".into(),
            note: HOSTILE.into(),
            address: HOSTILE.into(),
            ..app::NewCustomer::default()
        };
        let customer_id = self.app.create_customer(&actor, customer).await.expect("a customer");
        let plan = app::NewPlan {
            name: HOSTILE.into(),
            down_kbps: 500_000,
            up_kbps: 250_000,
            price_minor: 3200,
            currency: "EUR".parse().expect("a currency"),
            internet_mode: "pppoe".into(),
            vlan: None,
        };
        let plan_id = self.app.create_plan(&actor, plan).await.expect("a plan");
        let service = app::NewService {
            customer_id,
            plan_id,
            pppoe_login: Some("amina".into()),
            pppoe_password: Some(Secret::new("hunter2-pppoe")),
            wifi: None,
            expected_serial: None,
            address: String::new(),
        };
        let service_id = self.app.create_service(&actor, service).await.expect("a service");
        let (olt, cpe) = self
            .app
            .store()
            .write::<_, _, StoreError>(move |tx| Box::pin(async move { devices(tx, service_id).await }))
            .await
            .expect("devices");
        (service_id, cpe, olt)
    }
}

/// Rows as edges write them, past the checks of the commands: devices say what they like.
async fn devices(tx: &store::Tx, service_id: ServiceId) -> Result<(OltId, CpeId), StoreError> {
    let olt = rows::Olt {
        name: HOSTILE.into(),
        vendor_profile: HOSTILE.into(),
        address: "10.10.0.11".into(),
        port: 22,
        snmp_port: 161,
        observed_state: store::OltObservedState::Silent,
        observed_reason: Some(HOSTILE.into()),
        observed_at: Some(NOW),
        defaults: serde_json::to_value(app::OltDefaults::default()).unwrap_or_default(),
        observed: serde_json::json!({ "product": HOSTILE }),
        version: 1,
        ..rows::Olt::default()
    };
    let olt = tx.insert(&olt).await?;
    let pon = "0/1/6".parse().expect("a PON");
    let serial = "HWTC-7D4733C3".parse().expect("a serial");
    let mut onu = rows::Onu::planned(olt, pon, 12, serial, NOW);
    onu.description = HOSTILE.into();
    onu.presence = store::Presence::InService;
    onu.rx_onu_cdbm = Some(-2140);
    onu.observed_at = Some(NOW);
    let onu = tx.insert(&onu).await?;
    let seen = store::detected::Sighting {
        olt_id: olt,
        pon,
        serial: "HWTC-9A41B2C7".parse().expect("a serial"),
        vendor: HOSTILE.into(),
        equipment_id: HOSTILE.into(),
        software_version: HOSTILE.into(),
        hardware_version: String::new(),
        at: NOW,
    };
    store::detected::saw(tx, seen).await?;
    let cpe = rows::Cpe {
        oui: "00259E".into(),
        product_class: HOSTILE.into(),
        serial_number: HOSTILE.into(),
        pon_serial: Some(serial),
        manufacturer: HOSTILE.into(),
        model: HOSTILE.into(),
        software_version: HOSTILE.into(),
        state: "WAITING_INFORM".into(),
        state_since: NOW,
        reason_code: "connection_request_unreachable".into(),
        reason_text: format!("ConnectionRequestURL {HOSTILE} unreachable since 2026-11-21T14:20:00Z"),
        reason_next: Some(format!("waiting for {HOSTILE}, expected by {MOMENT}")),
        machine: serde_json::json!({}).into(),
        last_inform_at: Some(NOW),
        next_inform_by: Some(NOW.plus_s(300)),
        inform_interval_s: Some(300),
        peer_address: "10.20.3.9".into(),
        connection_request_url: Some(format!("javascript:{HOSTILE}")),
        version: 1,
        ..rows::Cpe::default()
    };
    let firmware = rows::CpeFirmware {
        oui: "00259E".into(),
        product_class: HOSTILE.into(),
        software_version: HOSTILE.into(),
        manufacturer: HOSTILE.into(),
        model: HOSTILE.into(),
        data_model: "tr098".into(),
        first_seen_at: NOW,
        version: 1,
        ..rows::CpeFirmware::default()
    };
    tx.insert(&firmware).await?;
    let cpe = tx.insert(&cpe).await?;
    let parameter = rows::CpeParameter {
        cpe_id: cpe,
        path: format!("InternetGatewayDevice.{HOSTILE}"),
        value: HOSTILE.into(),
        kind: "string".into(),
        writable: Some(true),
        read_at: NOW,
        source: String::new(),
    };
    store::cpes::put_parameters(tx, cpe, &[parameter]).await?;
    let mut service: rows::Service = tx.require(service_id).await?;
    service.onu_id = Some(onu);
    service.cpe_id = Some(cpe);
    tx.update(&service).await?.or_overtaken("the service")?;
    let fault = rows::CpeFault {
        cpe_id: cpe,
        at: NOW,
        class: "provisioning_logic".into(),
        code: 9007,
        text: HOSTILE.into(),
        path: HOSTILE.into(),
        rpc: "SetParameterValues".into(),
        model: HOSTILE.into(),
        software_version: HOSTILE.into(),
        ..rows::CpeFault::default()
    };
    tx.insert(&fault).await?;
    let recording = rows::CpeRecording {
        cpe_id: cpe,
        started_at: NOW,
        started_by: HOSTILE.into(),
        until_at: NOW.plus_s(3600),
        sessions_left: 2,
        ..rows::CpeRecording::default()
    };
    store::recordings::begin(tx, recording, HOSTILE, NOW).await?;
    let file = rows::FirmwareFile {
        name: HOSTILE.into(),
        manufacturer: HOSTILE.into(),
        product_class: HOSTILE.into(),
        hardware_version: HOSTILE.into(),
        software_version: HOSTILE.into(),
        note: HOSTILE.into(),
        uploaded_by: HOSTILE.into(),
        uploaded_at: NOW,
        ..rows::FirmwareFile::default()
    };
    if let store::firmware_files::Begun::As(id) = store::firmware_files::begin(tx, file).await? {
        store::firmware_files::finish(tx, id, 45_613_056, "ab12").await?;
    }
    let line = rows::TimelineEntry {
        at: NOW,
        kind: "provisioning".into(),
        service_id: Some(service_id),
        cpe_id: Some(cpe),
        olt_id: Some(olt),
        code: "x".into(),
        text: HOSTILE.into(),
        next_text: Some(format!("{HOSTILE}, expected by {MOMENT}")),
        actor: HOSTILE.into(),
        facts: serde_json::json!({}),
        ..rows::TimelineEntry::default()
    };
    tx.insert(&line).await?;
    Ok((olt, cpe))
}

/// The text between two others.
pub(crate) fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let Some((_, rest)) = text.split_once(before) else { return "" };
    rest.split_once(after).map_or(rest, |(inside, _)| inside)
}

impl Browser {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let cookies: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "lk.example")
            .header(header::COOKIE, cookies.join("; "))
    }

    fn keep(&mut self, answer: &Answer) {
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let text = set.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.retain(|(known, _)| known != name);
                if !value.is_empty() {
                    self.cookies.push((name.to_owned(), value.to_owned()));
                }
            }
        }
    }

    pub(crate) async fn get(&mut self, bed: &Bed, path: &str) -> Answer {
        let request = self.request(Method::GET, path).body(Body::empty()).expect("a request");
        let answer = bed.send(request).await;
        self.keep(&answer);
        answer
    }

    /// Opens a stream of events and reads it until it has said `until` and ended that event.
    pub(crate) async fn hear(&mut self, bed: &Bed, path: &str, until: &str) -> String {
        let request = self.request(Method::GET, path).body(Body::empty()).expect("a request");
        let mut body = bed.router.clone().oneshot(request).await.expect("the router answers").into_body();
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(frame.data_ref().map_or(&[][..], |data| data)));
            if text.split_once(until).is_some_and(|(_, rest)| rest.contains("\n\n")) {
                break;
            }
        }
        text
    }

    /// A form of our own page: with the token, from our own address.
    pub(crate) async fn post(&mut self, bed: &Bed, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = [("_csrf", self.csrf.clone())];
        let token = token.iter().map(|(k, v)| (*k, v.as_str()));
        let body: Vec<String> = fields
            .iter()
            .copied()
            .chain(token)
            .map(|(k, v)| format!("{}={}", crate::list::encode(k), crate::list::encode(v)))
            .collect();
        let request = self
            .request(Method::POST, path)
            .header(header::ORIGIN, "http://lk.example")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.join("&")))
            .expect("a request");
        let answer = bed.send(request).await;
        self.keep(&answer);
        answer
    }

    /// A call of the API with the cookies of this browser, changed by `forge`.
    pub(crate) async fn api(
        &self,
        bed: &Bed,
        method: Method,
        path: &str,
        body: &str,
        forge: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> Answer {
        let request = forge(self.request(method, path).header(header::CONTENT_TYPE, "application/json"));
        bed.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    /// The same form as another site would send it, changed by `forge`.
    pub(crate) async fn forged(
        &self,
        bed: &Bed,
        path: &str,
        body: &str,
        forge: impl FnOnce(http::request::Builder) -> http::request::Builder,
    ) -> Answer {
        let request = forge(
            self.request(Method::POST, path)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
        );
        bed.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }
}
