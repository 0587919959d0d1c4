//! Every place where a call can fail, each with its verdicts, and the words as a file.

use super::{
    Reach, Verdict,
    verdicts::{Came, Facts, LastCall, UrlRead, verdicts},
};
use crate::{
    cpe::connection::shown_url,
    oms::AddressWord,
    ports::{CallSeen, ChallengeSeen, TcpSeen, Unanswered},
};
use std::fmt::Write as _;
use types::UtcMs;

/// Saturday 21 November 2026, 14:30 UTC.
const NOW: UtcMs = UtcMs(1_795_271_400_000);
const URL: &str = "http://10.7.3.9:7547/tr069";

fn ago(s: u64) -> UtcMs {
    UtcMs(NOW.0.saturating_sub_unsigned(s * 1000))
}

/// A device that informs every five minutes from where its URL says, ours, and not called for an hour.
fn known() -> Facts {
    Facts {
        now: NOW,
        url: Some(URL.to_owned()),
        url_since: Some(ago(86_400)),
        url_read: Some(UrlRead { url: URL.to_owned(), at: ago(3600), source: String::new() }),
        peer: Some("10.7.3.9".parse().expect("an address")),
        last_inform_at: Some(ago(120)),
        next_inform_by: Some(NOW.plus_s(180)),
        inform_interval_s: Some(300),
        olt: Some(AddressWord::Has {
            addresses: vec!["10.7.3.9".parse().expect("an address")],
            read_at: ago(400),
        }),
        allowed: vec!["10.7.0.0/16".parse().expect("a network")],
        gap_s: 30,
        rewrite_s: 86_400,
        written_at: Some(ago(90_000)),
        confirmed_at: Some(ago(90_000)),
        ..Facts::default()
    }
}

fn seen() -> CallSeen {
    CallSeen {
        began_at: Some(ago(61)),
        to: Some("10.7.3.9:7547".parse().expect("an address")),
        tcp: Some(TcpSeen::Connected),
        connect_ms: Some(4),
        ..CallSeen::default()
    }
}

fn digest() -> Option<ChallengeSeen> {
    Some(ChallengeSeen::new("digest", "HuaweiHomeGateway", Some("auth")))
}

fn answered(status: u16) -> CallSeen {
    CallSeen { challenge: digest(), credentials_sent: true, status: Some(status), ..seen() }
}

fn plainly(status: u16) -> CallSeen {
    CallSeen { status: Some(status), ..seen() }
}

fn unanswered(why: Unanswered) -> CallSeen {
    CallSeen { unanswered: Some(why), ..seen() }
}

fn no_tcp(tcp: TcpSeen) -> CallSeen {
    CallSeen { tcp: Some(tcp), connect_ms: None, ..seen() }
}

/// The device as it is known after a call a minute ago.
fn called(outcome: &str, seen: Option<CallSeen>) -> Facts {
    let call = LastCall {
        at: ago(60),
        asked_at: ago(61),
        began_at: ago(61),
        outcome: outcome.to_owned(),
        detail: format!("What was said of {outcome}."),
        seen,
    };
    let refused_since = (outcome == "unauthorized").then(|| ago(60));
    Facts { call: Some(call), last_called_at: Some(ago(61)), refused_since, ..known() }
}

fn came(called: bool) -> Option<Came> {
    let events = if called { "6 CONNECTION REQUEST" } else { "2 PERIODIC" };
    Some(Came { at: ago(58), called, events: events.to_owned() })
}

fn with_url(url: &str) -> Facts {
    Facts { url: Some(url.to_owned()), url_read: None, olt: None, ..known() }
}

/// Name, facts, and the five verdicts as letters: good, bad, unknown, not tried.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Facts, &'static str)> {
    let fresh = |outcome: &str, seen: CallSeen| {
        let mut facts = called(outcome, Some(seen));
        let call = facts.call.as_mut().expect("called");
        (call.at, call.asked_at, call.began_at) = (ago(3), ago(4), ago(4));
        facts.last_called_at = Some(ago(4));
        facts
    };
    vec![
        ("never informed", Facts { url: None, url_read: None, peer: None, last_inform_at: None, next_inform_by: None, olt: None, written_at: None, confirmed_at: None, ..known() }, "bnnnn"),
        ("tells no URL", Facts { url: None, url_read: None, ..known() }, "bnnnn"),
        ("not a URL", with_url("10.7.3.9:7547"), "bnnnn"),
        ("a login in it", with_url("http://tr069:hidden@10.7.3.9:7547/x?key=hidden"), "bnnnn"),
        ("a name", with_url("http://cpe.example.net:7547/"), "bnnnn"),
        ("no address yet", with_url("http://0.0.0.0:7547/tr069"), "bbnnn"),
        ("itself", with_url("http://127.0.0.1:7547/"), "bbnnn"),
        ("its LAN side", with_url("http://192.168.1.1:7547/"), "bbnnn"),
        ("another device", with_url("http://10.7.3.10:7547/"), "bgnnn"),
        ("behind translation that the OLT sees through", Facts { peer: Some("10.7.0.1".parse().expect("an address")), ..known() }, "ggnnn"),
        ("behind translation that the settings allow", Facts { peer: Some("10.7.0.1".parse().expect("an address")), nat: vec!["10.7.3.0/24".parse().expect("a network")], olt: Some(AddressWord::Unread), ..known() }, "ggnnn"),
        ("outside the networks", Facts { allowed: vec!["10.9.0.0/16".parse().expect("a network")], olt: Some(AddressWord::CannotTell { why: "this OLT has no such command".to_owned() }), ..known() }, "gbnnn"),
        ("IPv6", Facts { peer: Some("fd00:7::9".parse().expect("an address")), allowed: vec!["10.7.0.0/16".parse().expect("a network"), "fd00:7::/48".parse().expect("a network")], ..with_url("http://[fd00:7::9]:7547/tr069") }, "ggnnn"),
        ("IPv6 outside the networks", Facts { peer: Some("fd00:8::9".parse().expect("an address")), allowed: vec!["0.0.0.0/0".parse().expect("a network"), "fd00:7::/48".parse().expect("a network")], ..with_url("http://[fd00:8::9]:7547/tr069") }, "gbnnn"),
        ("IPv6 behind translation", Facts { nat: vec!["fd00:7:0:1::/64".parse().expect("a network")], allowed: vec!["fd00:7::/48".parse().expect("a network")], ..with_url("http://[fd00:7:0:1::9]:7547/tr069") }, "ggnnn"),
        ("no networks", Facts { allowed: Vec::new(), ..known() }, "gbnnn"),
        ("never called", known(), "ggnnn"),
        ("being called", Facts { outstanding_since: Some(ago(2)), last_called_at: Some(ago(2)), ..known() }, "gguuu"),
        ("being called again", Facts { outstanding_since: Some(ago(2)), last_called_at: Some(ago(2)), ..called("unauthorized", Some(answered(401))) }, "gguuu"),
        ("slower than the watch over it", Facts { last_called_at: Some(ago(12)), ..called("unauthorized", Some(answered(401))) }, "gguuu"),
        ("slower than the watch over it, and one came", Facts { last_called_at: Some(ago(12)), came: came(true), ..called("accepted", Some(answered(200))) }, "gguuu"),
        ("nothing is heard of it", Facts { last_called_at: Some(ago(61)), call: None, ..known() }, "gguuu"),
        ("nothing is heard of it, and of the one before", Facts { last_called_at: Some(ago(60)), ..called("unreachable", Some(no_tcp(TcpSeen::Refused))) }, "gguuu"),
        ("not sent", called("not_sent", Some(CallSeen { asked_at: Some(ago(61)), ..CallSeen::default() })), "ggnnn"),
        ("refused", called("unreachable", Some(no_tcp(TcpSeen::Refused))), "ggbnn"),
        ("refused a moment ago", fresh("unreachable", no_tcp(TcpSeen::Refused)), "ggbnn"),
        ("no TCP answer", called("unreachable", Some(no_tcp(TcpSeen::TimedOut))), "ggbnn"),
        ("TCP reset", called("unreachable", Some(no_tcp(TcpSeen::Reset))), "ggbnn"),
        ("no route", called("unreachable", Some(no_tcp(TcpSeen::NoRoute))), "ggbnn"),
        ("this server cannot", called("unreachable", Some(no_tcp(TcpSeen::Failed))), "ggunn"),
        ("no second connection", called("unreachable", Some(CallSeen { challenge: digest(), ..no_tcp(TcpSeen::Refused) })), "ggbnn"),
        ("moved since", called("unreachable", Some(CallSeen { to: Some("10.7.3.9:58000".parse().expect("an address")), ..no_tcp(TcpSeen::Refused) })), "ggunn"),
        ("called before it was seen how", called("unreachable", None), "ggbnn"),
        ("our server ended", called("process_ended", None), "ggunn"),
        ("what stood in the way is gone", called("another_address", Some(CallSeen::default())), "ggnnn"),
        ("401 after our credentials", called("unauthorized", Some(answered(401))), "gggbn"),
        ("401 although they were written again", Facts { repaired_at: Some(ago(7200)), repaired: true, ..called("unauthorized", Some(answered(401))) }, "gggbn"),
        ("401, and to write them again was tried", Facts { repaired_at: Some(ago(7200)), ..called("unauthorized", Some(answered(401))) }, "gggbn"),
        ("401, and they were written again since", Facts { repaired_at: Some(ago(20)), repaired: true, ..called("unauthorized", Some(answered(401))) }, "gggun"),
        ("401 of a device that is not ours", Facts { written_at: None, confirmed_at: None, ..called("unauthorized", Some(answered(401))) }, "gggbn"),
        ("401 to a check", Facts { refused_since: None, ..called("unauthorized", Some(answered(401))) }, "gggbn"),
        ("401 with Basic", called("unauthorized", Some(CallSeen { challenge: Some(ChallengeSeen::new("Basic", "x", None)), ..plainly(401) })), "gggbn"),
        ("401 with nothing", called("unauthorized", Some(plainly(401))), "gggbn"),
        ("401 before it was seen how", called("unauthorized", None), "gggbn"),
        ("403", called("http", Some(plainly(403))), "gggbn"),
        ("404", called("http", Some(plainly(404))), "gggbn"),
        ("503", called("http", Some(plainly(503))), "gggun"),
        ("another status", called("http", Some(plainly(302))), "gggbn"),
        ("silent", called("timeout", Some(unanswered(Unanswered::Silent))), "gggbn"),
        ("closed", called("timeout", Some(unanswered(Unanswered::Closed))), "gggbn"),
        ("garbage", called("timeout", Some(unanswered(Unanswered::NotHttp))), "gggbn"),
        ("slow", called("timeout", Some(unanswered(Unanswered::Slow))), "gggbn"),
        ("no TLS", called("timeout", Some(unanswered(Unanswered::Tls))), "gggbn"),
        ("accepted, the Inform is waited for", fresh("accepted", answered(200)), "ggggu"),
        ("accepted, and it came", Facts { came: came(true), ..called("accepted", Some(answered(200))) }, "ggggg"),
        ("accepted without a password, and it came", Facts { came: came(true), ..called("accepted", Some(plainly(204))) }, "ggggg"),
        ("accepted, and it came for another reason", Facts { came: came(false), ..called("accepted", Some(answered(200))) }, "ggggu"),
        ("accepted, and it did not come", called("accepted", Some(answered(200))), "ggggb"),
        ("accepted, and its Inform is overdue", Facts { next_inform_by: Some(ago(600)), ..called("accepted", Some(answered(200))) }, "ggggb"),
        ("refused, and it speaks", Facts { session_since: Some(ago(1)), ..called("unreachable", Some(no_tcp(TcpSeen::Refused))) }, "ggbnn"),
    ]
}

fn letters(reach: &Reach) -> String {
    reach
        .steps
        .iter()
        .map(|step| match step.verdict {
            Verdict::Good => 'g',
            Verdict::Bad => 'b',
            Verdict::NotKnown => 'u',
            Verdict::NotTried => 'n',
        })
        .collect()
}

#[test]
fn every_place_where_a_call_can_fail_has_its_verdicts() {
    for (name, facts, want) in cases() {
        let reach = verdicts(&facts);
        assert_eq!(letters(&reach), want, "{name}: {reach:#?}");
        for step in &reach.steps {
            let told = step.verdict != Verdict::Bad || step.next.is_some();
            assert!(told, "{name}: what is wrong with {:?} leads nowhere", step.step);
        }
    }
}

#[test]
fn who_was_called_a_moment_ago_is_not_called_again() {
    let facts = Facts { last_called_at: Some(ago(4)), ..called("accepted", Some(answered(200))) };
    assert_eq!(verdicts(&facts).not_again_before, Some(NOW.plus_s(26)));
    assert_eq!(verdicts(&called("accepted", None)).not_again_before, None, "after the gap");
    assert_eq!(verdicts(&known()).called_at, None);
}

#[test]
fn an_answer_from_before_its_status_was_kept_is_not_taken_for_silence() {
    let reach = verdicts(&called("http", None));
    assert_eq!((letters(&reach).as_str(), reach.steps[3].text.as_str()), ("gggun", "What was said of http."));
}

#[test]
fn what_is_waited_for_is_said_and_only_that() {
    for (name, facts, _) in cases() {
        let waits =
            matches!(name, "being called" | "being called again" | "accepted, the Inform is waited for")
                || name.starts_with("slower than the watch");
        assert_eq!(verdicts(&facts).waits, waits, "{name}");
    }
}

#[test]
fn a_login_in_a_url_is_shown_to_nobody() {
    let reach = verdicts(&with_url("http://tr069:hidden@10.7.3.9:7547/x?key=hidden"));
    let shown = format!("{reach:?}");
    assert!(!shown.contains("hidden") && shown.contains("http://•••@10.7.3.9:7547/x?•••"), "{shown}");
    for (url, shown) in [
        ("http://10.7.3.9:7547/a@b", "http://10.7.3.9:7547/a@b"),
        ("http://a@b@10.7.3.9", "http://•••@10.7.3.9"),
        ("tr069:pw@10.7.3.9/x", "•••@10.7.3.9/x"),
        ("10.7.3.9?key", "10.7.3.9?•••"),
        ("", ""),
    ] {
        assert_eq!(shown_url(url), shown, "{url}");
    }
}

#[test]
fn what_came_long_ago_is_not_said_of_now() {
    let came = || {
        cases()
            .into_iter()
            .map(|(_, facts, _)| facts)
            .find(|facts| verdicts(facts).steps.iter().all(|step| step.verdict == Verdict::Good))
    };
    let facts = Facts { next_inform_by: Some(ago(60)), ..came().expect("one that was reached") };
    let summary = verdicts(&facts).summary;
    assert!(
        summary.starts_with("The device was reached") && summary.contains("is overdue since"),
        "{summary}"
    );
}

#[test]
fn what_a_device_wrote_is_cut_and_holds_no_line() {
    let url = format!("http://x\n{}", "y".repeat(5000));
    let reach = verdicts(&with_url(&url));
    let text = &reach.steps[0].text;
    assert!(text.len() < 300 && !text.contains('\n'), "{text}");
    let realm =
        CallSeen { challenge: Some(ChallengeSeen::new("digest", &"z".repeat(900), None)), ..answered(401) };
    assert!(verdicts(&called("unauthorized", Some(realm))).steps[3].text.len() < 250);
}

#[test]
fn the_words_are_those_of_the_file() {
    let mut text = String::new();
    for (name, facts, _) in cases() {
        let reach = verdicts(&facts);
        writeln!(text, "== {name}\n{}", reach.summary).expect("written");
        for step in &reach.steps {
            writeln!(text, "{}: {}: {}", step.step.as_str(), step.verdict.as_str(), step.text)
                .expect("written");
            for fact in &step.evidence {
                let at = fact.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
                writeln!(text, "    [{at}] {}: {}", fact.source, fact.text).expect("written");
            }
            if let Some(next) = &step.next {
                writeln!(text, "    -> {next}").expect("written");
            }
        }
        text.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/reach.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == text, "other words are said now; look with UPDATE_GOLDEN=1 and git diff");
}
