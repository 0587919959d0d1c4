//! The sentences. One function per reason; the golden file shows each with sample facts.

mod calls;

pub(crate) use self::calls::{
    Repair, call_not_made, call_requested, call_too_soon, checked, unauthorized, waiting,
};
use crate::{
    ChosenWan, Layer, Reason, ReasonCode as Code,
    reason::{at, duration},
};
use types::UtcMs;

/// How a promise of an Inform begins.
const PROMISED: &str = "waiting for the next periodic Inform, expected by ";

fn next_inform(expected: Option<UtcMs>, now: UtcMs) -> String {
    match expected {
        Some(moment) if moment >= now => format!("{PROMISED}{}", at(moment)),
        Some(moment) => format!("waiting for the next Inform, overdue since {}", at(moment)),
        None => "waiting for the next Inform".into(),
    }
}

/// What a device wrote, cut to what a sentence can hold.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 100;
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

pub(crate) fn onu_known() -> Reason {
    Reason::new(Code::OnuKnown, "The ONU is known; its CPE has not spoken to us yet")
        .then("waiting for its first Inform")
}

pub(crate) fn first_inform(serial: &str, model: &str, peer: &str) -> Reason {
    let (serial, model) = (&short(serial), &short(model));
    Reason::new(Code::FirstInform, format!("First Inform from {model} {serial} at {peer}"))
        .with("serial", serial)
        .with("model", model)
        .with("peer", peer)
}

pub(crate) fn linked(service: impl std::fmt::Display) -> Reason {
    Reason::new(Code::Linked, "The device is linked to its service")
        .then("it is made ours in its next session")
        .with("service", service)
}

pub(crate) fn not_linked(why: &str) -> Reason {
    Reason::new(Code::NotLinked, format!("Quarantined: no service matches this device ({why})"))
        .then("link it to a service; until then it is told nothing")
        .with("why", why)
}

pub(crate) fn several_services(count: u32, why: &str) -> Reason {
    Reason::new(Code::SeveralServices, format!("Quarantined: {count} services match this device ({why})"))
        .then("an operator must choose")
        .with("count", count)
}

pub(crate) fn identity_conflict(why: &str) -> Reason {
    Reason::new(
        Code::IdentityConflict,
        format!("Quarantined: another device already has this identity ({why})"),
    )
    .then("nothing changes for the first device; an operator must look")
    .with("why", why)
}

pub(crate) fn identity_unconfirmed(peer: &str, doubt: Option<&str>) -> Reason {
    let doubt = doubt.unwrap_or("the OLT does not confirm this ONU online with that management address");
    Reason::new(
        Code::IdentityUnconfirmed,
        format!("Provision blocked: first contact from {peer}, and {doubt}"),
    )
    .then("no secret is released; confirmed by the OLT or claimed by an operator it goes on")
    .with("peer", peer)
}

pub(crate) fn identity_unproven(peer: &str) -> Reason {
    Reason::new(
        Code::IdentityUnproven,
        format!("Provision blocked: the device at {peer} did not authenticate with its own credentials"),
    )
    .then("no secret is released; a factory reset of the device makes it a first contact again")
    .with("peer", peer)
}

pub(crate) fn credentials_missing() -> Reason {
    Reason::new(Code::CredentialsMissing, "Credentials of the device are being made")
        .then("the next Inform goes on")
}

/// `again`: it was not kept so often that it is left alone until then. `own_interval_s`: what is not kept is the inform
/// interval, and this is the device's own, which somebody may accept.
pub(crate) fn ownership_not_kept(
    path: &str,
    wanted: &str,
    observed: &str,
    again: Option<UtcMs>,
    own_interval_s: Option<u32>,
) -> Reason {
    let observed = short(observed);
    let mut next = match again {
        None => "tried again at the next Inform".to_owned(),
        Some(again) => format!("not written again before {}: a device is not fought", at(again)),
    };
    if let Some(kept_s) = own_interval_s {
        next.push_str(&format!(", and goes on where {kept_s} s is accepted for its model"));
    }
    let reason = Reason::new(
        Code::OwnershipNotKept,
        format!("The device does not keep our management settings: {path} was set to {wanted} and reads {observed}"),
    )
    .then(next)
    .with("path", path);
    match own_interval_s {
        Some(kept_s) => reason.with("kept_s", kept_s),
        None => reason,
    }
}

/// `again`: it was refused so often that it is left alone until then.
pub(crate) fn ownership_refused(path: &str, wanted: &str, fault: &str, again: Option<UtcMs>) -> Reason {
    Reason::new(
        Code::OwnershipRefused,
        format!(
            "The device refuses our management settings: {path} was to be {wanted}, and it answers {fault}"
        ),
    )
    .then(match again {
        None => "tried again at the next Inform".to_owned(),
        Some(again) => format!("not written again before {}: a device is not fought", at(again)),
    })
    .with("path", path)
}

/// A fault of a device, as it goes into a sentence.
pub(crate) fn fault_in_words(code: u32, text: &str) -> String {
    match short(text).trim() {
        "" => format!("fault {code}"),
        text => format!("fault {code} ({text})"),
    }
}

pub(crate) fn interval_rounded(written_s: u32, kept_s: u32) -> Reason {
    Reason::new(
        Code::IntervalRounded,
        format!(
            "The device was told to inform every {written_s} s and keeps {kept_s} s; that is near enough and not written \
             again"
        ),
    )
    .with("written_s", written_s)
    .with("kept_s", kept_s)
}

pub(crate) fn interval_accepted(written_s: u32, kept_s: u32, who: &str, model: &str) -> Reason {
    let model = short(model);
    Reason::new(
        Code::IntervalAccepted,
        format!(
            "The device was told to inform every {written_s} s and keeps {kept_s} s; {who} accepts that of every {model}, and \
             it is not written again"
        ),
    )
    .then(format!("where it cannot be called, what is wanted reaches it within {}", duration(kept_s.into())))
    .with("written_s", written_s)
    .with("kept_s", kept_s)
    .with("by", who)
}

pub(crate) fn owned(interval_s: u32) -> Reason {
    Reason::new(
        Code::Owned,
        format!(
            "The device is ours: management settings read back, it informs every {}",
            duration(interval_s.into())
        ),
    )
    .with("inform_interval_s", interval_s)
}

pub(crate) fn ownership_proven() -> Reason {
    Reason::new(Code::OwnershipProven, "The device authenticated with its own credentials")
}

pub(crate) fn clock_invalid(reported: &str, year: Option<i32>, pushes: u32) -> Reason {
    let reported = short(reported);
    let pushed = match pushes {
        0 => "NTP not set yet".to_owned(),
        1 => "NTP set, waiting".to_owned(),
        n => format!("NTP set {n} times, waiting"),
    };
    match year {
        Some(year) => {
            let date = reported.split(['T', ' ']).next().unwrap_or(&reported);
            Reason::new(
                Code::ClockInvalid,
                format!("Provision blocked: device time invalid ({date}); {pushed}"),
            )
            .with("year", year)
        }
        None => Reason::new(Code::ClockUnknown, format!("Provision blocked: device time unknown; {pushed}")),
    }
    .then("goes on with the first Inform that shows a right clock")
    .with("ntp_pushes", pushes)
}

pub(crate) fn clock_unreachable(year: Option<i32>, pushes: u32, address: &str, server: &str) -> Reason {
    let year = year.map_or_else(|| "unknown".to_owned(), |year| year.to_string());
    Reason::new(
        Code::ClockUnreachable,
        format!(
            "Provision blocked: clock still {year} after NTP was set {pushes} times: can {address} reach {server}:123?"
        ),
    )
    .then("NTP is not set again; goes on with the first Inform that shows a right clock, or an operator overrides")
    .with("year", year)
    .with("server", server)
}

pub(crate) fn clock_ntp_refused(year: Option<i32>, fault: &str, pushes: u32, again: bool) -> Reason {
    let time = year.map_or_else(|| "unknown".to_owned(), |year| format!("still {year}"));
    let times = if pushes == 1 { "once".to_owned() } else { format!("{pushes} times") };
    Reason::new(
        Code::ClockNtpRefused,
        format!("Provision blocked: clock {time}, and the device refused NTP servers {times}: {fault}"),
    )
    .then(if again {
        "tried again at the next Inform"
    } else {
        "NTP is not set again; goes on with the first Inform that shows a right clock, or an operator overrides"
    })
    .with("pushes", pushes)
}

pub(crate) fn clock_valid(reported: &str) -> Reason {
    Reason::new(Code::ClockValid, format!("The device's clock is right ({})", short(reported)))
}

pub(crate) fn clock_overridden(who: &str) -> Reason {
    Reason::new(Code::ClockOverridden, format!("{who} lets this device pass without a right clock"))
        .with("by", who)
}

pub(crate) fn clock_override_withdrawn(who: &str) -> Reason {
    Reason::new(
        Code::ClockOverrideWithdrawn,
        format!("{who} no longer lets this device pass without a right clock"),
    )
    .then("nothing new is written to it before it shows one; what is in force stays")
    .with("by", who)
}

pub(crate) fn clock_waived(who: &str, model: &str) -> Reason {
    let model = &short(model);
    Reason::new(Code::ClockOverridden, format!("{who} lets every {model} pass without a right clock"))
        .with("by", who)
        .with("model", model)
}

pub(crate) fn no_intent() -> Reason {
    Reason::new(Code::NoIntent, "Provision blocked: nothing is ordered for this service yet")
        .then("give the service a plan")
}

pub(crate) fn model_unknown(identity: &str) -> Reason {
    let identity = short(identity);
    Reason::new(Code::ModelUnknown, format!("Provision blocked: no profile fits {identity}"))
        .then("it stays as it is; its parameters can be read")
}

pub(crate) fn family_undecided() -> Reason {
    Reason::new(Code::ModelUnknown, "Which family it is of is not decided yet")
        .then("looked for in its next session")
}

pub(crate) fn family_refused(title: &str, why: &str) -> Reason {
    let why = why.chars().take(300).collect::<String>();
    Reason::new(Code::FamilyRefused, format!("Override refused by the device: set to {title}, but {why}"))
        .then("what the device has decides; take the override back or choose the family that fits")
        .with("family", title)
}

pub(crate) fn profile_read_only(why: &str) -> Reason {
    Reason::new(Code::ProfileReadOnly, format!("Provision blocked: {why}"))
        .then("it stays as it is; its parameters can be read")
}

pub(crate) fn profile_lacks_path(profile: &str, what: &str) -> Reason {
    Reason::new(
        Code::ProfileLacksPath,
        format!("Provision blocked: profile {profile} has no path for {what}"),
    )
    .then(if what == crate::plan::VLAN_ON_WAN {
        "let the OLT tag for it: remove the ONU and authorise it with an untagged customer side"
    } else {
        "change the plan or teach the profile"
    })
    .with("profile", profile)
    .with("what", what)
}

pub(crate) fn cool_down(until: UtcMs) -> Reason {
    Reason::new(Code::CoolDown, format!("Provision delayed: cool-down, next attempt after {}", at(until)))
        .with("until", until)
}

pub(crate) fn held(who: &str, since: UtcMs) -> Reason {
    Reason::new(Code::Held, format!("Provision blocked: held by {who} since {}", at(since)))
        .then("goes on when the hold is lifted")
        .with("by", who)
}

pub(crate) fn hold_cleared(who: &str) -> Reason {
    Reason::new(Code::HoldCleared, format!("Hold lifted by {who}")).with("by", who)
}

pub(crate) fn back_off(until: Option<UtcMs>, attempts: u32) -> Reason {
    let until = until.map_or_else(|| "an operator's retry".to_owned(), at);
    Reason::new(
        Code::BackOff,
        format!("Provision delayed: back-off after {attempts} failed attempts until {until}"),
    )
    .then("then the next Inform starts another attempt")
}

pub(crate) fn back_off_over(attempts: u32) -> Reason {
    Reason::new(Code::BackOffOver, format!("Back-off over and the device informed: attempt {}", attempts + 1))
}

pub(crate) fn gates_open(profile: &str) -> Reason {
    Reason::new(Code::GatesOpen, format!("Every gate is open (profile {profile})")).then("reading the device")
}

pub(crate) fn provisioning_started(layers: &[Layer], steps: usize) -> Reason {
    let names: Vec<&str> = layers.iter().map(|layer| layer.title()).collect();
    Reason::new(
        Code::ProvisioningStarted,
        format!(
            "Provisioning {}: {steps} {} planned",
            names.join(" and "),
            if steps == 1 { "step" } else { "steps" }
        ),
    )
    .with("steps", steps)
}

pub(crate) fn step_done(step: &str) -> Reason {
    Reason::new(Code::StepDone, format!("Done: {step}"))
}

pub(crate) fn gates_look_open() -> Reason {
    Reason::new(Code::SessionRequested, "Nothing stands in the way any more").then("connection request sent")
}

pub(crate) fn session_requested(step: &str) -> Reason {
    Reason::new(Code::SessionRequested, format!("Next step needs a session of its own: {step}"))
        .then("connection request sent")
}

pub(crate) fn credentials_repaired() -> Reason {
    Reason::new(
        Code::CredentialsRepaired,
        "The device refused our connection request (401); our connection-request credentials were written to it again",
    )
    .then("the next connection request shows whether it takes them; nothing else was written")
}

pub(crate) fn resumed(at_step: &str) -> Reason {
    Reason::new(Code::Resumed, format!("The device informed; going on at: {at_step}"))
}

pub(crate) fn session_torn(doing: &str, expected: Option<UtcMs>, now: UtcMs) -> Reason {
    Reason::new(
        Code::SessionTorn,
        format!("The session broke while {doing}; its outcome is read, not assumed, next time"),
    )
    .then(next_inform(expected, now))
}

pub(crate) fn session_lost() -> Reason {
    Reason::new(
        Code::SessionLost,
        "The server stopped in the middle of a session; its outcome is read, not assumed, next time",
    )
}

/// A last word that promises an Inform which has not come says so from then on; `None` when it promises nothing.
pub(crate) fn promise_lapsed(word: &Reason, expected: UtcMs, now: UtcMs) -> Option<Reason> {
    let promised = word.next.as_deref().is_some_and(|next| next.starts_with(PROMISED));
    promised.then(|| word.clone().then(next_inform(Some(expected), now)))
}

pub(crate) fn inform_overdue(expected: UtcMs, last: Option<UtcMs>) -> Reason {
    let last = last.map_or_else(|| "never".to_owned(), at);
    Reason::new(Code::InformOverdue, format!("No Inform since {last}; one was expected by {}", at(expected)))
        .then("a CPE that failed to reach us may stay silent up to 85 minutes before it tries again")
}

/// The looks at a connection: it is given up after so many of them, and not before a time. Both must have come.
pub(crate) struct Looks {
    /// Looks so far.
    pub(crate) done: u32,
    /// The next one.
    pub(crate) next_at: UtcMs,
    /// Looks that must fail.
    pub(crate) wanted: u32,
    /// The end of the window in which it may still come up.
    pub(crate) until: UtcMs,
}

/// `status`: `None` while nothing was looked at since the last write.
pub(crate) fn verifying(status: Option<&str>, looks: &Looks, now: UtcMs) -> Reason {
    let Looks { done, next_at, wanted, until } = *looks;
    let text = match status {
        Some(status) => {
            format!("Everything is written; connection {} at check {done}", short(status))
        }
        None => "Everything is written; the connection was not looked at yet".to_owned(),
    };
    let given_up = match (done < wanted, until > now) {
        (true, true) => format!("given up after {wanted} checks, not before {}", at(until)),
        (true, false) => format!("given up after {wanted} checks"),
        (false, true) => format!("given up not before {}", at(until)),
        (false, false) => "given up if it is not up then".to_owned(),
    };
    Reason::new(Code::Verifying, text)
        .then(format!("next look after {}; {given_up}", at(next_at)))
        .with("status", status.unwrap_or("not looked at yet"))
        .with("check", done)
}

pub(crate) fn active(what: &str) -> Reason {
    Reason::new(Code::Active, format!("Verified on the device: {what}"))
}

pub(crate) fn already_as_wanted(what: &str) -> Reason {
    Reason::new(Code::AlreadyAsWanted, format!("Already as wanted, nothing written: {what}"))
}

pub(crate) fn already_active() -> Reason {
    Reason::new(Code::AlreadyActive, "Provision skipped: device already ACTIVE with this configuration")
}

pub(crate) fn drift_found(what: &str) -> Reason {
    Reason::new(Code::DriftFound, format!("The device no longer matches: {what}")).then("it is brought back")
}

pub(crate) fn intent_changed(layers: &[Layer]) -> Reason {
    let names: Vec<&str> = layers.iter().map(|layer| layer.title()).collect();
    Reason::new(Code::IntentChanged, format!("The service changed: {}", names.join(" and ")))
}

pub(crate) fn factory_reset() -> Reason {
    Reason::new(Code::FactoryReset, "The device was reset to factory settings (0 BOOTSTRAP)")
        .then("it is made ours again and configured from what it has now")
}

pub(crate) fn released(why: &str) -> Reason {
    Reason::new(Code::Released, format!("Released from its service: {why}"))
        .then("nothing on the device is changed")
}

pub(crate) fn relinked(service: impl std::fmt::Display) -> Reason {
    Reason::new(Code::Relinked, "The device now belongs to another service").with("service", service)
}

pub(crate) fn onu_flapped(times: u32) -> Reason {
    let often = if times == 1 { "once".to_owned() } else { format!("{times} times") };
    Reason::new(Code::OnuFlapped, format!("The ONU left and came back ({often} since it was last ACTIVE)"))
        .then("nothing is started again because of it")
        .with("flaps", times)
}

pub(crate) fn onu_offline() -> Reason {
    Reason::new(Code::OnuOffline, "The OLT lost the ONU").then("goes on when the device informs again")
}

pub(crate) fn retry_requested(who: &str) -> Reason {
    Reason::new(Code::RetryRequested, format!("Retry wanted by {who}"))
        .then("starts with the next Inform, when cool-down allows")
        .with("by", who)
}

/// `gone`: one was chosen, and is none of them.
pub(crate) fn several_wans(names: &[String], gone: Option<&ChosenWan>) -> Reason {
    let count = names.len();
    let names: Vec<String> = names.iter().take(5).map(|name| short(name)).collect();
    let gone = gone.map(|chosen| {
        format!("the one that {} chose ({}) is none of them as it was then; ", chosen.by, short(&chosen.path))
    });
    Reason::new(
        Code::SeveralWansMatch,
        format!("Provision failed: {count} WANs could carry this service: {}", names.join(", ")),
    )
    .then(format!(
        "{}an operator chooses the one to use, or removes or renames one; no WAN was changed",
        gone.unwrap_or_default()
    ))
}

pub(crate) fn wan_chosen(wan: &str, path: &str, by: &str) -> Reason {
    Reason::new(Code::WanChosen, format!("{by} chose {} to carry this service", short(wan)))
        .then("the next session reads the device again and uses it, if it is still there")
        .with("by", by)
        .with("path", path)
}

/// `instead`: the WAN that is used now; none: one is made.
pub(crate) fn wan_choice_gone(chosen: &ChosenWan, instead: Option<&str>) -> Reason {
    let next = match instead {
        Some(wan) => format!("{} is the only one that matches now and is used", short(wan)),
        None => "no WAN matches now, so one is made".to_owned(),
    };
    Reason::new(
        Code::WanChoiceGone,
        format!("The WAN that {} chose ({}) is gone or no longer matches", chosen.by, short(&chosen.path)),
    )
    .then(next)
    .with("by", &chosen.by)
    .with("path", &chosen.path)
}

pub(crate) fn wan_not_offered(path: &str, by: &str) -> Reason {
    Reason::new(
        Code::WanChoiceGone,
        format!("{by} chose {}, which is none of the WANs that could carry this service", short(path)),
    )
    .then("nothing is chosen")
    .with("by", by)
    .with("path", path)
}

pub(crate) fn write_not_applied(label: &str, path: &str, wanted: &str, observed: &str) -> Reason {
    let observed = short(observed);
    Reason::new(
        Code::WriteNotApplied,
        format!("Provision failed: the device accepted {label} = {wanted} and still reads {observed}"),
    )
    .with("path", path)
}

pub(crate) fn write_rejected(label: &str, path: &str, code: u32, text: &str) -> Reason {
    let text = short(text);
    let meaning = fault_title(code);
    Reason::new(
        Code::WriteRejected,
        format!("Provision failed: {label} was rejected with {code} ({meaning}: {text})"),
    )
    .with("path", path)
    .with("code", code)
}

pub(crate) fn required_leaf_missing(label: &str, path: &str) -> Reason {
    Reason::new(Code::RequiredLeafMissing, format!("Provision failed: the device has no {label} ({path})"))
        .with("path", path)
}

pub(crate) fn no_spare_wan(profile: &str, table: &str) -> Reason {
    Reason::new(
        Code::NoSpareWan,
        format!("Provision failed: {profile} has no spare WAN, and the device lets nobody add to {table}"),
    )
    .then("free one of its own WANs for the service; no WAN was changed")
    .with("table", table)
}

pub(crate) fn would_touch_management(label: &str, path: &str) -> Reason {
    Reason::new(
        Code::WouldTouchManagement,
        format!("Provision failed: {label} would change the management WAN as well ({path})"),
    )
    .then("no WAN was changed; give the service a WAN of its own")
    .with("path", path)
}

pub(crate) fn port_taken(port: &str, owner: &str) -> Reason {
    let owner = short(owner);
    Reason::new(
        Code::PortTaken,
        format!("Provision failed: {port} is bound to {owner}, and a port has one WAN"),
    )
    .then("unbind it there or name other ports; no WAN was changed")
    .with("port", port)
    .with("wan", owner)
}

/// For families whose WAN settings wait for a restart: nobody restarts a customer's box but a person.
pub(crate) fn needs_restart(reason: Reason) -> Reason {
    let text = format!("{}; this family applies WAN settings only after a restart", reason.text);
    let next = match &reason.next {
        Some(next) => format!("restart the device when the customer can spare it; {next}"),
        None => "restart the device when the customer can spare it".to_owned(),
    };
    Reason { text, next: Some(next), ..reason }
}

pub(crate) fn device_fault(rpc: &str, code: u32, text: &str) -> Reason {
    let text = short(text);
    Reason::new(
        Code::DeviceFault,
        format!("Provision failed: the device answered {rpc} with {code} ({text})"),
    )
    .with("code", code)
}

pub(crate) fn no_free_instances(table: &str) -> Reason {
    Reason::new(
        Code::NoFreeInstances,
        format!("Provision failed: the device has no room for another entry in {table}"),
    )
    .then("an operator must free one; nothing is deleted by itself")
    .with("table", table)
}

pub(crate) fn pppoe_refused(username: &str, error: &str, checks: u32) -> Reason {
    let error = short(error);
    Reason::new(
        Code::PppoeRefused,
        format!("Provision failed: PPPoE login {username} refused ({error}) at {checks} checks"),
    )
    .with("username", username)
}

pub(crate) fn not_connected(status: &str, error: &str, checks: u32) -> Reason {
    let (status, error) = (short(status), short(error));
    Reason::new(
        Code::NotConnected,
        format!("Provision failed: the WAN is {status} ({error}) after {checks} checks"),
    )
    .with("status", status)
}

pub(crate) fn no_address(mode: &str, checks: u32) -> Reason {
    Reason::new(
        Code::NoAddress,
        format!("Provision failed: {mode} connected but no address after {checks} checks"),
    )
}

pub(crate) fn not_verified(what: &str) -> Reason {
    Reason::new(Code::NotVerified, format!("Provision failed: {what}"))
}

/// What a failed attempt changed and its undoing did not take back, in words.
pub(crate) fn could_not_be_undone(left: &[String]) -> String {
    const MOST: usize = 3;
    let mut facts: Vec<String> = left.iter().take(MOST).map(|fact| short(fact)).collect();
    if left.len() > MOST {
        facts.push(format!("and {} more", left.len() - MOST));
    }
    format!("could not be undone: {}", facts.join(", "))
}

pub(crate) fn not_undone(left: &[String], rounds: u32, path: &str) -> Reason {
    let facts = could_not_be_undone(left);
    let tries = if rounds == 1 { "at the first try".to_owned() } else { format!("at try {rounds}") };
    Reason::new(Code::NotUndone, format!("What the failed attempt changed {facts} ({tries})"))
        .with("path", path)
}

/// FAILED, and the device is not as it is left after a failure: that comes first next time.
pub(crate) fn failed_and_not_undone(
    why: Reason,
    left: &[String],
    at: UtcMs,
    attempts: u32,
    now: UtcMs,
) -> Reason {
    let own = why.next.clone().into_iter();
    let next = [
        could_not_be_undone(left),
        format!("tried again in {}, before anything else", duration(at.since(now).as_secs())),
    ];
    let next = own.chain(next).collect::<Vec<_>>().join("; ");
    Reason { next: Some(next), ..why }.with("attempts", attempts).with("not_undone", left.len())
}

pub(crate) fn unexpected_reply(rpc: &str) -> Reason {
    Reason::new(Code::UnexpectedReply, format!("The answer does not fit the {rpc} that was sent"))
        .then("the session is ended; the device is read again in the next one")
}

pub(crate) fn session_budget(requests: u32) -> Reason {
    Reason::new(Code::SessionBudget, format!("This session already had {requests} requests"))
        .then("the rest follows in the next one")
}

pub(crate) fn session_too_long(seconds: u64) -> Reason {
    Reason::new(Code::SessionBudget, format!("This session already took {}", duration(seconds)))
        .then("the rest follows in the next one")
}

/// Adds what a failure means for the device: undone how, tried again when.
pub(crate) fn failed(
    why: Reason,
    undone: Option<&str>,
    again: Option<UtcMs>,
    attempts: u32,
    parked: bool,
    now: UtcMs,
) -> Reason {
    let mut next = undone.map(str::to_owned).into_iter().collect::<Vec<_>>();
    match again {
        Some(again) if parked => {
            next.push(format!("not retried before something changes, at the latest {}", at(again)))
        }
        Some(again) => {
            next.push(format!("retry in {} (attempt {})", duration(again.since(now).as_secs()), attempts + 1))
        }
        None => {}
    }
    let next = match why.next.clone() {
        Some(own) => [vec![own], next].concat(),
        None => next,
    };
    Reason { next: (!next.is_empty()).then(|| next.join("; ")), ..why }.with("attempts", attempts)
}

/// What a device says with a fault code, as the part of a sentence about the device (TR-069 Annex A.5).
pub(crate) fn fault_title(code: u32) -> &'static str {
    match code {
        9000 => "it does not know this request",
        9001 => "it denies the request",
        9002 => "internal error of the device",
        9003 => "invalid arguments",
        9004 => "it has no resources left",
        9005 => "it does not know the name",
        9006 => "wrong type",
        9007 => "value not allowed",
        9008 => "not writable",
        9009 => "notification not allowed",
        _ => "a fault of its own",
    }
}

/// A device order is over.
pub(crate) fn order_ended(what: &str, news: &crate::OrderNews) -> Reason {
    use crate::OrderState as S;
    let (code, word) = match news.state {
        S::Done => (Code::OrderDone, "done"),
        S::Accepted => (Code::OrderAccepted, "accepted"),
        S::Failed => (Code::OrderFailed, "failed"),
        S::Expired => (Code::OrderNotDone, "expired"),
        S::Cancelled | S::Waiting | S::Sent => (Code::OrderNotDone, "cancelled"),
    };
    Reason::new(code, format!("Order {word} ({what}): {}", news.text.trim_end_matches('.')))
        .with("order", &news.key)
}
