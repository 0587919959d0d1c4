//! The connection request (TR-069 3.2.2): one authenticated GET that asks a CPE to open a session.
//!
//! A client of our own and not a general one, because every convenience of a general client is a hole here: no
//! names are resolved, no redirect is followed, no proxy is used, and nothing is sent to an address outside the
//! management networks, or to one that is not known to be the device's.

mod http1;

use self::http1::{Exchange, Failure, Head};
use app::ports::{
    CallReport, CallSeen, CallUrl, ChallengeSeen, ConnectionRequestOutcome, ConnectionRequestTarget,
    ConnectionRequester, TcpSeen, may_be_called,
};
use async_trait::async_trait;
use cwmp::digest::{Challenge, RequestToAnswer, answer_challenge, parse_challenges};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

/// The longest a TCP connect may take, whatever the caller asks for.
const MAX_CONNECT: Duration = Duration::from_secs(2);
/// From the connect to the last answer. CPEs answer at once or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Requests at the same time, over all devices: a restart must not become a storm.
const MAX_AT_ONCE: usize = 64;

/// Sends connection requests over TCP.
#[derive(Debug, Clone)]
pub struct HttpConnectionRequester {
    at_once: Arc<Semaphore>,
    answer_within: Duration,
}

impl Default for HttpConnectionRequester {
    fn default() -> Self {
        HttpConnectionRequester {
            at_once: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            answer_within: ANSWER_WITHIN,
        }
    }
}

impl HttpConnectionRequester {
    /// With another limit on the time of the whole exchange.
    #[must_use]
    pub fn with_answer_within(mut self, answer_within: Duration) -> Self {
        self.answer_within = answer_within;
        self
    }
}

#[async_trait]
impl ConnectionRequester for HttpConnectionRequester {
    async fn request(&self, target: ConnectionRequestTarget) -> CallReport {
        // The pre-checks, in the order in which operators read them.
        let Some(text) = target.url.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            return ConnectionRequestOutcome::UrlMissing.into();
        };
        let Some(url) = CallUrl::parse(text) else { return ConnectionRequestOutcome::UrlInvalid.into() };
        let Some(address) = url.address().filter(|address| may_be_called(*address)) else {
            return ConnectionRequestOutcome::NotInManagementSubnet.into();
        };
        if !target.allowed.iter().any(|network| network.contains(address)) {
            return ConnectionRequestOutcome::NotInManagementSubnet.into();
        }
        if !is_its_own(address, &target) {
            return ConnectionRequestOutcome::AnotherAddress.into();
        }
        let Ok(_place) = self.at_once.acquire().await else {
            return ConnectionRequestOutcome::NotSent.into();
        };
        let to = SocketAddr::new(address, url.port);
        let connect = target.connect_timeout.min(MAX_CONNECT);
        let mut seen = CallSeen { to: Some(to), ..CallSeen::default() };
        let outcome = ask(&url, to, connect, self.answer_within, &target, &mut seen).await;
        tracing::debug!(device = %to, outcome = outcome.as_str(), "connection request");
        CallReport { outcome, seen }
    }
}

/// The device is known to be there, or it is in a network where that cannot be known. `address` is in its plain form;
/// what is known may have been seen as an IPv4 address mapped into IPv6.
fn is_its_own(address: IpAddr, target: &ConnectionRequestTarget) -> bool {
    target.known_at.iter().any(|known| known.to_canonical() == address)
        || target.behind_nat.iter().any(|network| network.contains(address))
}

async fn ask(
    url: &CallUrl,
    to: SocketAddr,
    connect: Duration,
    answer_within: Duration,
    target: &ConnectionRequestTarget,
    seen: &mut CallSeen,
) -> ConnectionRequestOutcome {
    let began = Instant::now();
    let mut exchange = match Exchange::open(url, to, connect).await {
        Ok(exchange) => exchange,
        Err(failure) => return failed(failure, seen),
    };
    seen.tcp = Some(TcpSeen::Connected);
    seen.connect_ms = Some(u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX));
    let deadline = Instant::now() + answer_within;
    let exchanged = timeout_at(deadline, async {
        let mut head = exchange.get(url, None).await?;
        // The challenge, and one more if the nonce of the first one had gone stale.
        for attempt in 1..=2 {
            if head.status != 401 {
                break;
            }
            let challenges: Vec<_> = head.challenges().flat_map(parse_challenges).collect();
            let stale = challenges.iter().any(|challenge| {
                challenge.parameters.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
            });
            if attempt == 2 && !stale {
                break;
            }
            seen.challenge = shown(&challenges);
            let cnonce = cnonce()?;
            let Ok(authorization) = answer_challenge(
                &challenges,
                &RequestToAnswer {
                    username: &target.username,
                    password: &target.password,
                    method: "GET",
                    uri: &url.path,
                    cnonce: &cnonce,
                    nonce_count: 1,
                    allow_basic: false,
                    at_least: None,
                },
            ) else {
                break;
            };
            seen.credentials_sent = true;
            head = again(&mut exchange, url, to, connect, &head, &authorization).await?;
        }
        Ok::<_, Failure>(head.status)
    })
    .await;
    match exchanged {
        Ok(Ok(status)) => {
            seen.status = Some(status);
            match status {
                200..=299 => ConnectionRequestOutcome::Accepted,
                401 => ConnectionRequestOutcome::Unauthorized,
                status => ConnectionRequestOutcome::Http(status),
            }
        }
        Ok(Err(failure)) => failed(failure, seen),
        Err(_) => failed(Failure::NoAnswer(exchange.out_of_time()), seen),
    }
}

/// What a failure means, and what was seen of it.
fn failed(failure: Failure, seen: &mut CallSeen) -> ConnectionRequestOutcome {
    match failure {
        Failure::Unreachable(tcp) => {
            seen.tcp = Some(tcp);
            ConnectionRequestOutcome::Unreachable
        }
        Failure::NoAnswer(why) => {
            seen.tcp = Some(TcpSeen::Connected);
            seen.unanswered = Some(why);
            ConnectionRequestOutcome::Timeout
        }
        Failure::Ours => ConnectionRequestOutcome::Timeout,
    }
}

/// The challenge that people are shown: the digest that is answered, or else whatever was asked for.
fn shown(challenges: &[Challenge]) -> Option<ChallengeSeen> {
    let digest = challenges.iter().find(|challenge| challenge.scheme == "digest");
    let challenge = digest.or_else(|| challenges.first())?;
    let named = |name: &str| challenge.parameters.get(name);
    Some(ChallengeSeen::new(&challenge.scheme, named("realm").unwrap_or_default(), named("qop")))
}

/// The second GET: on the same connection if the device keeps it, since some tie the nonce to it.
async fn again(
    exchange: &mut Exchange,
    url: &CallUrl,
    to: SocketAddr,
    connect: Duration,
    head: &Head,
    authorization: &str,
) -> Result<Head, Failure> {
    if head.reusable
        && let Ok(answer) = exchange.get(url, Some(authorization)).await
    {
        return Ok(answer);
    }
    *exchange = Exchange::open(url, to, connect).await?;
    exchange.get(url, Some(authorization)).await
}

fn cnonce() -> Result<String, Failure> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|_| Failure::Ours)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
