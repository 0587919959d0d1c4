//! The verdicts, from the facts: a pure function.

use super::{Reach, ReachEvidence, ReachStep, ReachVerdict, Verdict};
use crate::{
    cpe::connection::shown_url,
    oms::AddressWord,
    ports::{CallSeen, CallUrl, ChallengeSeen, Cidr, TcpSeen, Unanswered, may_be_called},
};
use std::net::{IpAddr, SocketAddr};
use types::UtcMs;

/// Within so long after its answer a device opens the session that it said yes to (TR-069 3.2.2): an Inform that comes
/// later came of something else.
pub(super) const INFORM_WITHIN_S: u64 = 30;
/// So long nothing is heard of a call that is under way, at most: it is over by then, or its process died.
const UNDER_WAY_S: u64 = 60;
/// A call that nothing was heard of may have its turn still, so long after it was wanted. What came of an older one may
/// have been known, and be kept no more.
const UNHEARD_S: u64 = 24 * 3600;
/// Networks that are named in a sentence.
const NAMED: usize = 5;

/// Everything that is known of the way to a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) now: UtcMs,
    /// ConnectionRequestURL as its Informs tell it.
    pub(super) url: Option<String>,
    /// They tell that one since then.
    pub(super) url_since: Option<UtcMs>,
    /// The same as it was read from its data model.
    pub(super) url_read: Option<UrlRead>,
    /// Where its last Inform came from.
    pub(super) peer: Option<IpAddr>,
    pub(super) last_inform_at: Option<UtcMs>,
    pub(super) next_inform_by: Option<UtcMs>,
    pub(super) inform_interval_s: Option<i64>,
    /// What its OLT says of its address; none: it has no ONU here.
    pub(super) olt: Option<AddressWord>,
    /// The management networks.
    pub(super) allowed: Vec<Cidr>,
    /// Those with address translation.
    pub(super) nat: Vec<Cidr>,
    /// Least time between two calls.
    pub(super) gap_s: u64,
    /// Least time between two repairs of its credentials.
    pub(super) rewrite_s: u64,
    /// A call is under way, or waited for, since then.
    pub(super) outstanding_since: Option<UtcMs>,
    pub(super) last_called_at: Option<UtcMs>,
    /// Our settings were written.
    pub(super) written_at: Option<UtcMs>,
    /// They were read back as written.
    pub(super) confirmed_at: Option<UtcMs>,
    /// Credentials were written again because of a 401, or that was tried.
    pub(super) repaired_at: Option<UtcMs>,
    /// It was done then, and not only tried.
    pub(super) repaired: bool,
    /// It refused a call (401) that was needed for something, and its credentials are written again because of that.
    pub(super) refused_since: Option<UtcMs>,
    /// It has a session open.
    pub(super) session_since: Option<UtcMs>,
    /// The last call that is over. It may be an earlier one than was wanted last.
    pub(super) call: Option<LastCall>,
    /// The Inform after it.
    pub(super) came: Option<Came>,
}

/// A URL as it was read from a data model.
#[derive(Debug, Clone)]
pub(super) struct UrlRead {
    pub(super) url: String,
    pub(super) at: UtcMs,
    /// Whose word it is, if not the device's own.
    pub(super) source: String,
}

/// A call that is over.
#[derive(Debug, Clone)]
pub(super) struct LastCall {
    /// It was over.
    pub(super) at: UtcMs,
    /// It was wanted.
    pub(super) asked_at: UtcMs,
    pub(super) began_at: UtcMs,
    pub(super) outcome: String,
    pub(super) detail: String,
    pub(super) seen: Option<CallSeen>,
}

/// An Inform after a call.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) at: UtcMs,
    /// It says that it came because of a call.
    pub(super) called: bool,
    pub(super) events: String,
}

/// A step as it is put together.
struct Said {
    verdict: Verdict,
    text: String,
    next: Option<String>,
}

fn said(verdict: Verdict, text: impl Into<String>) -> Said {
    Said { verdict, text: text.into(), next: None }
}

impl Said {
    fn next(mut self, next: impl Into<String>) -> Said {
        self.next = Some(next.into());
        self
    }

    fn on(self, step: ReachStep, evidence: Vec<ReachEvidence>) -> ReachVerdict {
        ReachVerdict { step, verdict: self.verdict, text: self.text, evidence, next: self.next }
    }
}

fn fact(text: impl Into<String>, at: Option<UtcMs>, source: &'static str) -> ReachEvidence {
    ReachEvidence { text: text.into(), at, source }
}

/// What is known of each step.
pub(super) fn verdicts(facts: &Facts) -> Reach {
    let target = facts.url.as_deref().and_then(|url| CallUrl::parse(url.trim()));
    let address = target.as_ref().and_then(CallUrl::address);
    let to = target.as_ref().zip(address).map(|(url, address)| SocketAddr::new(address, url.port));
    let url = url(facts, target.as_ref()).on(ReachStep::Url, url_evidence(facts));
    let subnet = subnet(facts, address).on(ReachStep::Subnet, subnet_evidence(facts));
    let callable = url.verdict == Verdict::Good && subnet.verdict == Verdict::Good;
    // What was seen of an earlier call says nothing of the one that was wanted last.
    let own = facts.call.as_ref().filter(|call| Some(call.asked_at) >= facts.last_called_at);
    let before = facts.call.as_ref().filter(|_| own.is_none());
    let calling = facts.last_called_at.filter(|since| {
        own.is_none() && (facts.outstanding_since.is_some() || since.plus_s(UNDER_WAY_S) > facts.now)
    });
    let came = facts.came.clone().filter(|_| own.is_some());
    let facts = &Facts { call: own.cloned(), came, ..facts.clone() };
    let call = facts.call.as_ref();
    let (tcp, auth, inform) = if callable {
        let tcp = tcp(facts, calling, to);
        let auth = auth(facts, calling, tcp.verdict);
        let inform = inform(facts, calling);
        (tcp, auth, inform)
    } else {
        let nothing = || said(Verdict::NotTried, "Nothing is sent to this URL, for the reason above.");
        (nothing(), nothing(), inform_without_call(facts))
    };
    let tcp = tcp.on(ReachStep::Tcp, call_evidence(call, before));
    let auth = auth.on(ReachStep::Auth, auth_evidence(facts));
    let inform = inform.on(ReachStep::Inform, inform_evidence(facts));
    let waits = callable && (calling.is_some() || waits_for_inform(facts));
    let steps = vec![url, subnet, tcp, auth, inform];
    Reach {
        summary: summary(facts, &steps, calling, callable),
        waits,
        check: None,
        asked_at: facts.last_called_at.or(call.map(|call| call.at)),
        called_at: match call {
            Some(call) => Some(facts.last_called_at.unwrap_or(call.at)).filter(|_| went_out(call)),
            None => calling.filter(|_| callable),
        },
        not_again_before: facts
            .last_called_at
            .map(|last| last.plus_s(facts.gap_s))
            .filter(|until| *until > facts.now),
        steps,
    }
}

fn summary(facts: &Facts, steps: &[ReachVerdict], calling: Option<UtcMs>, callable: bool) -> String {
    if let Some(since) = calling.filter(|_| callable) {
        return format!("The device is being called since {}; what comes of it is shown here.", at(since));
    }
    if let Some(bad) = steps.iter().find(|step| step.verdict == Verdict::Bad) {
        return bad.text.clone();
    }
    if steps.iter().all(|step| step.verdict == Verdict::Good) {
        let when =
            facts.came.as_ref().map_or_else(String::new, |came| format!(" It came at {}.", at(came.at)));
        let overdue = facts.next_inform_by.filter(|by| *by < facts.now);
        let overdue = overdue.map_or_else(String::new, |by| {
            format!(" Its next Inform is overdue since {}: a check shows whether it is still there.", at(by))
        });
        return format!("The device was reached: it took our call and opened a session.{when}{overdue}");
    }
    match &facts.call {
        None => unheard(facts).unwrap_or_else(|| {
            "Nothing is known to stand in the way; the device was never called.".to_owned()
        }),
        Some(call) if call.outcome == "not_sent" => call.detail.clone(),
        Some(_) if waits_for_inform(facts) => {
            "The device took our call; its Inform is waited for.".to_owned()
        }
        Some(_) => steps
            .iter()
            .find(|step| step.verdict == Verdict::NotKnown)
            .map_or_else(|| "Nothing is known to stand in the way.".to_owned(), |step| step.text.clone()),
    }
}

/// Why nothing is known of the call that was wanted last, which is not under way any more.
fn unheard(facts: &Facts) -> Option<String> {
    let asked_at = facts.last_called_at.filter(|_| facts.call.is_none())?;
    let soon = asked_at.plus_s(UNHEARD_S) > facts.now;
    let why = if soon {
        ": it waits for its turn still, was never made, or the process that made it ended"
    } else {
        " any more"
    };
    Some(format!("Nothing is known of the call that was wanted at {}{why}.", at(asked_at)))
}

/// Something was sent, or may have been.
fn went_out(call: &LastCall) -> bool {
    let kept_back = ["not_sent", "url_missing", "url_invalid", "not_in_management_subnet", "another_address"];
    !kept_back.contains(&call.outcome.as_str())
}

/// What a check did that was asked for then.
pub(super) fn check_said(facts: &Facts, reach: &Reach, asked_at: UtcMs) -> String {
    if facts.last_called_at >= Some(asked_at) {
        let bad = reach.steps.iter().take(2).find(|step| step.verdict == Verdict::Bad);
        return match bad {
            None => "The device gets one call; what comes of it is shown as it comes.".to_owned(),
            Some(bad) => format!("Nothing is sent. {}", bad.text),
        };
    }
    if let Some(since) = facts.session_since {
        return format!("No call is made: it has a session open since {}, so it speaks with us.", at(since));
    }
    if let Some(since) = facts.outstanding_since {
        return format!("No call is made: one is under way since {}; what comes of it is shown.", at(since));
    }
    match facts.last_called_at.map(|last| (last, last.plus_s(facts.gap_s))) {
        Some((last, until)) if until > facts.now => format!(
            "No call is made: one was wanted at {}, and the next is not before {}. What is shown is of that one.",
            at(last),
            at(until)
        ),
        _ if facts.last_inform_at.is_none() => {
            "No call is made: it has never informed, so nobody knows where to call it.".to_owned()
        }
        _ => "No call is made as it stands now; its page says what it waits for.".to_owned(),
    }
}

// ---- URL ---------------------------------------------------------------------------------------------------------

fn url(facts: &Facts, target: Option<&CallUrl>) -> Said {
    let Some(text) = &facts.url else {
        let text = "The device has told no ConnectionRequestURL.";
        return said(Verdict::Bad, text).next(match facts.last_inform_at {
            None => {
                "It has never informed. See whether its ONU is online and whether it has our ACS URL and a management \
                 WAN; its first Inform tells where to call it."
            }
            Some(_) => {
                "Every Inform should carry it. Until one does, the device cannot be called, and what is wanted of it \
                 waits for its Informs."
            }
        });
    };
    let shown = short(&shown_url(text));
    let Some(target) = target else {
        if shown.contains("•••@") {
            return said(Verdict::Bad, format!("{shown} has a login in it; such a URL is not called."))
                .next("The device writes this by itself; a newer firmware may do better. It is waited for.");
        }
        return said(Verdict::Bad, format!("{shown} is no http or https URL, so it cannot be called."))
            .next("The device writes this by itself; a newer firmware may do better. It is waited for.");
    };
    let Some(host) = target.address() else {
        let name = short(target.host());
        return said(
            Verdict::Bad,
            format!("{shown} names the host {name}; names are not looked up, so it is not called."),
        )
        .next("Only a plain IP address is called. It is waited for.");
    };
    let within = facts.allowed.iter().any(|network| network.contains(host));
    if !may_be_called(host) || host.is_loopback() && !within {
        return said(Verdict::Bad, format!("{shown} names {host}, which is the address of no device."))
            .next(
                "Devices write this while their management WAN has no address, or when TR-069 is tied to no WAN. See \
                 that the management WAN is up and TR-069 bound to it; the next Inform tells the URL anew.",
            );
    }
    its_own(facts, host)
}

/// Whether the host of the URL is where the device is.
fn its_own(facts: &Facts, host: IpAddr) -> Said {
    let peer = facts.peer.map(|peer| peer.to_canonical());
    if peer == Some(host) {
        return said(
            Verdict::Good,
            format!("Its ConnectionRequestURL names {host}, the address that it informs from."),
        );
    }
    let informs = peer.map_or_else(
        || "where it informs from is not known".to_owned(),
        |peer| format!("it informs from {peer}"),
    );
    if let Some(AddressWord::Has { addresses, .. }) = &facts.olt
        && addresses.iter().any(|known| known.to_canonical() == host)
    {
        return said(
            Verdict::Good,
            format!(
                "Its ConnectionRequestURL names {host}, the address that its OLT has for it; {informs}, so something \
                 translates addresses in between."
            ),
        );
    }
    if let Some(network) = facts.nat.iter().find(|network| network.contains(host)) {
        return said(
            Verdict::Good,
            format!(
                "Its ConnectionRequestURL names {host}, and {informs}; the settings allow that in {network}, where \
                 addresses are translated."
            ),
        );
    }
    if is_lan_side(host) && !facts.allowed.iter().any(|network| network.contains(host)) {
        return said(
            Verdict::Bad,
            format!("Its ConnectionRequestURL names {host}, an address of a LAN side; {informs}."),
        )
        .next(
            "Nobody can call it there from here. TR-069 on the device should be bound to its management WAN; the next \
             Inform tells the URL anew.",
        );
    }
    said(
        Verdict::Bad,
        format!(
            "Its ConnectionRequestURL names {host}, and {informs}: that may be another device, or something translates \
             addresses in between. Nothing is sent there."
        ),
    )
    .next(
        "If the devices of this network are behind address translation, name the network under Settings, ACS policy; \
         else see what address its management WAN has.",
    )
}

/// Home routers give out these behind themselves.
fn is_lan_side(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[..2] == [192, 168],
        IpAddr::V6(_) => false,
    }
}

fn url_evidence(facts: &Facts) -> Vec<ReachEvidence> {
    let mut all = Vec::new();
    if let Some(url) = &facts.url {
        let since = facts.url_since.map_or_else(String::new, |since| format!(", since {}", at(since)));
        all.push(fact(format!("tells {}{since}", short(&shown_url(url))), facts.last_inform_at, "Inform"));
    }
    if let Some(read) = &facts.url_read {
        let same = facts.url.as_deref() == Some(read.url.as_str());
        let text = if same {
            "has the same URL".to_owned()
        } else if read.url.is_empty() {
            "has no URL".to_owned()
        } else {
            format!("has {}", short(&shown_url(&read.url)))
        };
        let source = if read.source.is_empty() { "data model" } else { "import" };
        all.push(fact(text, Some(read.at), source));
    }
    if let Some(peer) = facts.peer {
        all.push(fact(format!("came from {}", peer.to_canonical()), facts.last_inform_at, "Inform"));
    }
    match &facts.olt {
        Some(AddressWord::Has { addresses, read_at }) if addresses.is_empty() => {
            all.push(fact("sees no management address on its ONU", Some(*read_at), "OLT"));
        }
        Some(AddressWord::Has { addresses, read_at }) => {
            let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            all.push(fact(format!("has its ONU at {}", list.join(", ")), Some(*read_at), "OLT"));
        }
        Some(AddressWord::CannotTell { why }) => {
            all.push(fact(format!("cannot tell its address: {why}"), None, "OLT"));
        }
        Some(AddressWord::Unread) => all.push(fact("was not asked for its address lately", None, "OLT")),
        None => {}
    }
    all
}

// ---- subnet ------------------------------------------------------------------------------------------------------

fn subnet(facts: &Facts, host: Option<IpAddr>) -> Said {
    let Some(host) = host else {
        return said(Verdict::NotTried, "There is no address to look for in the management networks.");
    };
    if let Some(network) = facts.allowed.iter().find(|network| network.contains(host)) {
        return said(Verdict::Good, format!("{host} lies in the management network {network}."));
    }
    if facts.allowed.is_empty() {
        return said(Verdict::Bad, "No management network is set, so no device is called.")
            .next("Name the networks of the management WANs under Settings, ACS policy.");
    }
    let outside =
        said(Verdict::Bad, format!("{host} lies in none of the management networks; nothing is sent there."));
    if !may_be_called(host) || host.is_loopback() || is_lan_side(host) {
        return outside
            .next("No network is to be added for that: what the device names has to be right first.");
    }
    outside.next(
        "If the management WANs of your devices have such addresses, add their network under Settings, ACS policy; else \
         see which WAN the device has TR-069 on.",
    )
}

fn subnet_evidence(facts: &Facts) -> Vec<ReachEvidence> {
    let named: Vec<String> = facts.allowed.iter().take(NAMED).map(Cidr::to_string).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let more = facts.allowed.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    vec![fact(format!("name {}{more}", named.join(", ")), None, "Settings")]
}

// ---- TCP ---------------------------------------------------------------------------------------------------------

const NO_ANSWER: &str = "See whether the ONU is online and the device has power. If it informs all the same, something on \
                         the way drops our calls: the management VLAN, a firewall, or address translation.";
const CALLING: &str = "The device is being called now.";

fn tcp(facts: &Facts, calling: Option<UtcMs>, to: Option<SocketAddr>) -> Said {
    if calling.is_some() {
        return said(Verdict::NotKnown, CALLING);
    }
    let Some(call) = &facts.call else {
        if let Some(unheard) = unheard(facts) {
            return said(Verdict::NotKnown, unheard).next("A check makes one call, and no more.");
        }
        return said(Verdict::NotTried, "The device was never called.")
            .next("A check makes one call, and no more.");
    };
    let seen = call.seen.clone().unwrap_or_default();
    if let (Some(called), Some(now)) = (seen.to, to)
        && called != now
    {
        return said(
            Verdict::NotKnown,
            format!("The last call went to {called}; the device names {now} since."),
        )
        .next("A check calls it there.");
    }
    let there = seen.to.or(to).map_or_else(|| "The device".to_owned(), |to| to.to_string());
    match (call.outcome.as_str(), seen.tcp) {
        (_, Some(TcpSeen::Connected)) => {
            let took = seen.connect_ms.map_or_else(String::new, |ms| format!(" within {ms} ms"));
            said(Verdict::Good, format!("{there} took the TCP connection{took}."))
        }
        ("accepted" | "unauthorized" | "http" | "timeout", None) => {
            said(Verdict::Good, format!("{there} took the TCP connection."))
        }
        (_, Some(tcp)) if seen.challenge.is_some() => said(
            Verdict::Bad,
            format!("{there} asked for a password and closed, and took no second connection ({}).", word(tcp)),
        )
        .next("Such a device cannot be called as it is; its Informs are waited for. A newer firmware may do better."),
        (_, Some(TcpSeen::Refused)) => {
            said(Verdict::Bad, format!("{there} refused the TCP connection: nothing listens on that port.")).next(
                "The address answers, so the way there works. The device may have moved to another port or stopped \
                 listening; its next Inform tells the URL anew. If that is the same, see its remote access rules.",
            )
        }
        (_, Some(TcpSeen::Reset)) => {
            said(Verdict::Bad, format!("{there} reset the TCP connection at once.")).next(
                "A firewall on the way or the access list of the device turns us away. See whether the address of this \
                 server may reach it.",
            )
        }
        (_, Some(TcpSeen::NoRoute)) => {
            said(Verdict::Bad, format!("There is no route to {there} from this server.")).next(
                "See the routes of this server into the management network, and whether the ONU is online.",
            )
        }
        (_, Some(TcpSeen::Failed)) => {
            said(Verdict::NotKnown, format!("This server could not open a TCP connection to {there}."))
                .next("That is this server's trouble (a limit, a rule of its own), not the device's.")
        }
        (_, Some(TcpSeen::TimedOut)) => {
            said(Verdict::Bad, format!("{there} gave no answer to the TCP connection within 2 s.")).next(NO_ANSWER)
        }
        ("unreachable", None) => {
            said(Verdict::Bad, format!("No TCP connection to {there} came about.")).next(NO_ANSWER)
        }
        ("not_sent", None) => said(Verdict::NotTried, call.detail.clone()),
        ("process_ended" | "unanswered", None) => said(Verdict::NotKnown, call.detail.clone()),
        (_, None) => {
            said(Verdict::NotTried, "The last call was not sent; what stood in its way then does not now.")
                .next("A check calls it now.")
        }
    }
}

fn word(tcp: TcpSeen) -> &'static str {
    match tcp {
        TcpSeen::Connected => "connected",
        TcpSeen::Refused => "refused",
        TcpSeen::TimedOut => "no answer in time",
        TcpSeen::Reset => "reset",
        TcpSeen::NoRoute => "no route",
        TcpSeen::Failed => "not possible from here",
    }
}

fn call_evidence(call: Option<&LastCall>, before: Option<&LastCall>) -> Vec<ReachEvidence> {
    let told = |call: &LastCall, source| fact(call.detail.trim_end_matches('.'), Some(call.at), source);
    let last = call.map(|call| told(call, "last call"));
    last.into_iter().chain(before.map(|call| told(call, "the call before"))).collect()
}

// ---- authentication ----------------------------------------------------------------------------------------------

fn auth(facts: &Facts, calling: Option<UtcMs>, tcp: Verdict) -> Said {
    if calling.is_some() {
        return said(Verdict::NotKnown, CALLING);
    }
    if let Some(unheard) = unheard(facts) {
        return said(Verdict::NotKnown, unheard);
    }
    let Some(call) = facts.call.as_ref().filter(|_| tcp == Verdict::Good) else {
        return said(Verdict::NotTried, "Nothing was asked: there was no connection.");
    };
    let seen = call.seen.clone().unwrap_or_default();
    let status = seen.status.or(match call.outcome.as_str() {
        "accepted" => Some(200),
        "unauthorized" => Some(401),
        _ => None,
    });
    // A call has two halves where a password is asked for, and the second may go unanswered.
    let asked_before = seen.challenge.is_some();
    let took = |did: &str| match asked_before {
        true => format!("It asked for a password (401), {did}")
            .replace(", took the connection", ", took a connection again"),
        false => format!("It {did}"),
    };
    let to_ours = if asked_before { " to our name and password" } else { "" };
    match (status, seen.unanswered) {
        (Some(200..=299), _) => match &seen.challenge {
            Some(challenge) => said(
                Verdict::Good,
                format!("It asked for a password ({}) and accepted ours.", asked(challenge)),
            ),
            None if call.seen.is_none() => said(Verdict::Good, "It accepted the request."),
            None => said(
                Verdict::Good,
                "It accepted the request without asking for a password: anybody who reaches this port can call it.",
            ),
        },
        (Some(401), _) => unauthorized(facts, &seen),
        (Some(403), _) => said(Verdict::Bad, "It answered 403: it takes no calls from this server.").next(
            "See its list of addresses that may reach it, and whether it is told another ACS. Our credentials were not \
             the question.",
        ),
        (Some(404), _) => said(Verdict::Bad, "It answered 404: it has no such path any more.")
            .next("Devices change the path when they restart; the next Inform tells the URL anew."),
        (Some(503), _) => {
            said(Verdict::NotKnown, "It answered 503: it is busy, in a session or with calls enough for now.")
                .next("It is there and answers; nothing is to be done. It comes with its next Inform.")
        }
        (Some(status), _) => said(Verdict::Bad, format!("It answered {status}."))
            .next("Devices do not usually answer so; see whether that address is the device's at all."),
        // Which status it was stands in the sentence of the call, from before it was kept beside it.
        (None, None) if call.outcome == "http" => said(Verdict::NotKnown, call.detail.clone())
            .next("A check shows what it answers now."),
        (None, Some(Unanswered::Closed)) => {
            said(Verdict::Bad, format!("{} and closed it without an answer{to_ours}.", took("took the connection"))).next(
                "An access list on the device does that, or a TR-069 client that hangs. If it goes on over several \
                 Informs, a restart by the customer may help.",
            )
        }
        (None, Some(Unanswered::NotHttp)) => {
            said(Verdict::Bad, "What answers there does not speak HTTP.")
                .next("Something else listens on that port; see whether that address is the device's at all.")
        }
        (None, Some(Unanswered::Tls)) => {
            said(Verdict::Bad, "It names an https URL, and no TLS connection comes about.")
                .next("Its TLS may be too old to be spoken here. Its Informs are waited for.")
        }
        (None, Some(Unanswered::Slow)) => {
            said(Verdict::Bad, format!("{} an answer{to_ours} and did not finish it in time.", took("began")))
                .next("The device may be overloaded, or the line lose packets; see its signal and its CPU load.")
        }
        (None, Some(Unanswered::Silent) | None) => {
            said(Verdict::Bad, format!("{} and said nothing{to_ours} within 10 s.", took("took the connection")))
                .next("Its TR-069 client may hang, or be in a session. Its next Inform is waited for.")
        }
    }
}

fn asked(challenge: &ChallengeSeen) -> String {
    let qop = match &challenge.qop {
        Some(qop) => format!("qop {qop}"),
        None => "no qop".to_owned(),
    };
    format!("{}, realm \"{}\", {qop}", challenge.scheme, challenge.realm)
}

fn unauthorized(facts: &Facts, seen: &CallSeen) -> Said {
    match &seen.challenge {
        Some(challenge) if challenge.scheme != "digest" && !seen.credentials_sent => {
            return said(
                Verdict::Bad,
                format!(
                    "It answered 401 and asks for {}, which would show our password to whoever listens.",
                    challenge.scheme
                ),
            )
            .next("Only Digest is answered. Its Informs are waited for.");
        }
        None if seen.status.is_some() => {
            return said(Verdict::Bad, "It answered 401 and did not say how to log in.")
                .next("Such a device cannot be called as it is; its Informs are waited for.");
        }
        Some(challenge) if !seen.credentials_sent => {
            return said(
                Verdict::Bad,
                format!("It answered 401 with a challenge that cannot be answered ({}).", asked(challenge)),
            )
            .next("Such a device cannot be called as it is; its Informs are waited for.");
        }
        _ => {}
    }
    let how =
        seen.challenge.as_ref().map_or_else(String::new, |challenge| format!(" ({})", asked(challenge)));
    let refused = said(Verdict::Bad, format!("It refused our name and password: 401 after them{how}."));
    let called_at = facts.call.as_ref().map(|call| call.at);
    if let Some(written) = facts.repaired_at.filter(|written| facts.repaired && Some(*written) > called_at) {
        return said(
            Verdict::NotKnown,
            format!(
                "It refused our name and password{how}. They were written to it anew since, at {}.",
                at(written)
            ),
        )
        .next("A check shows whether it takes them now.");
    }
    let rests = facts.repaired_at.map(|at| (at, at.plus_s(facts.rewrite_s)));
    match rests.filter(|(_, until)| *until > facts.now) {
        Some((tried, until)) if !facts.repaired => refused.next(format!(
            "To write them to it anew was tried at {} and did not come about; it is tried again from {} on.",
            at(tried),
            at(until)
        )),
        Some((written, until)) => refused.next(format!(
            "They were written to it anew at {}; that is not done again before {}. If it still refuses them, it does \
             not keep what it is told.",
            at(written),
            at(until)
        )),
        None if facts.confirmed_at.is_none() => refused.next(
            "Our settings were never read back from it as written: it is not ours yet, and may have another password. They are \
             written as soon as it may be; its page says what it waits for.",
        ),
        None if facts.refused_since.is_none() => refused.next(
            "A check only reports, and nothing is written because of it. If the device refuses a call too that is needed for \
             something, they are written to it again inside the next session that it opens by itself, once a day at most.",
        ),
        None => refused.next(
            "They are written to it again inside the next session that it opens by itself and in which it may be told something; \
             its page says if it waits for more. Before that it is called by order only.",
        ),
    }
}

fn auth_evidence(facts: &Facts) -> Vec<ReachEvidence> {
    let mut all = Vec::new();
    match (facts.written_at, facts.confirmed_at) {
        (_, Some(confirmed)) => all.push(fact(
            "our settings were read back as written (a password never can be)",
            Some(confirmed),
            "data model",
        )),
        (Some(written), None) => {
            all.push(fact(
                "our settings were written, and not read back as written yet",
                Some(written),
                "session",
            ));
        }
        (None, None) => all.push(fact("our settings were never written to it", None, "our records")),
    }
    if let Some(repaired) = facts.repaired_at {
        let text = match facts.repaired {
            true => "credentials were written again after a 401",
            false => "to write the credentials again after a 401 was tried, and not done",
        };
        all.push(fact(text, Some(repaired), "session"));
    }
    all
}

// ---- Inform ------------------------------------------------------------------------------------------------------

fn waits_for_inform(facts: &Facts) -> bool {
    let accepted = facts.call.as_ref().filter(|call| call.outcome == "accepted");
    accepted.is_some_and(|call| facts.came.is_none() && call.at.plus_s(INFORM_WITHIN_S) > facts.now)
}

fn inform(facts: &Facts, calling: Option<UtcMs>) -> Said {
    if calling.is_some() {
        return said(Verdict::NotKnown, format!("{CALLING} {}", by_itself(facts)));
    }
    if let Some(unheard) = unheard(facts) {
        return said(Verdict::NotKnown, unheard).next(by_itself(facts));
    }
    let Some(call) = facts.call.as_ref().filter(|call| call.outcome == "accepted") else {
        return inform_without_call(facts);
    };
    match &facts.came {
        Some(came) if came.called => said(
            Verdict::Good,
            format!("Its Inform with 6 CONNECTION REQUEST came at {}.", at(came.at)),
        ),
        Some(came) => said(
            Verdict::NotKnown,
            format!(
                "It informed at {}, and not because of our call, by its own word ({}).",
                at(came.at),
                short(&came.events)
            ),
        )
        .next("It speaks to us; nothing is to be done. Some devices tell only one reason when they have two."),
        None if waits_for_inform(facts) => said(
            Verdict::NotKnown,
            format!("It took the call; its Inform is waited for until {}.", at(call.at.plus_s(INFORM_WITHIN_S))),
        )
        .next(format!("It is shown here when it comes. {}", by_itself(facts))),
        None => said(
            Verdict::Bad,
            format!("It took the call at {}, and no Inform followed within {INFORM_WITHIN_S} s.", at(call.at)),
        )
        .next(format!(
            "A device that says yes and does not come cannot reach its ACS URL: see its DNS and the route from its \
             management WAN to this server. {}",
            by_itself(facts)
        )),
    }
}

/// No call brings it.
fn inform_without_call(facts: &Facts) -> Said {
    if let Some(since) = facts.session_since {
        return said(
            Verdict::NotTried,
            format!("No call brings it, and none is needed: it has a session open since {}.", at(since)),
        );
    }
    said(Verdict::NotTried, "No call was accepted, so no Inform follows one.").next(by_itself(facts))
}

/// When it speaks by itself.
fn by_itself(facts: &Facts) -> String {
    let every = facts
        .inform_interval_s
        .filter(|s| *s > 0)
        .map_or_else(String::new, |s| format!(" every {}", span(s)));
    match facts.next_inform_by {
        Some(by) if by >= facts.now => format!("It informs by itself{every}, next by {}.", at(by)),
        Some(by) => format!("It informs by itself{every}; that is overdue since {}.", at(by)),
        None => "When it informs by itself is not known.".to_owned(),
    }
}

fn inform_evidence(facts: &Facts) -> Vec<ReachEvidence> {
    facts.last_inform_at.map(|last| fact("last one", Some(last), "Inform")).into_iter().collect()
}

// ---- words -------------------------------------------------------------------------------------------------------

fn at(moment: UtcMs) -> String {
    moment.whole_s().to_string()
}

fn span(s: i64) -> String {
    match s {
        s if s < 120 => format!("{s} s"),
        s if s % 60 == 0 || s >= 600 => format!("{} min", s / 60),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

/// What a device wrote, cut to what a sentence can hold.
fn short(text: &str) -> String {
    const MOST: usize = 120;
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}
