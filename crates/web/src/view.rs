//! How values look: ages with their source, times in the reader's zone, signal levels, states as shape and word.
//!
//! Every helper that returns [`Html`] escapes what it is given; templates escape everything else by themselves.

use std::fmt::{self, Write as _};

use jiff::tz::TimeZone;
use types::{Money, Serial, UtcMs};

/// Markup made by this module, already escaped.
#[derive(Debug, Clone, Default)]
pub struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

impl Html {
    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn trusted(markup: String) -> Self {
        Html(markup)
    }
}

/// Text with the five characters of HTML replaced and control characters made visible: what devices and people typed.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// At most `max` characters; says how many were left out, so nobody takes the rest for the whole.
pub fn limited(text: impl AsRef<str>, max: usize) -> String {
    let text = text.as_ref();
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max).collect();
    format!("{kept}… ({} more characters)", count - max)
}

/// A state in the design's own terms: `data-s` sets shape and colour, the word is always written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Verified.
    Ok,
    /// Works, will not for long.
    Warn,
    /// Broken now.
    Bad,
    /// Waiting, by design.
    Wait,
    /// A fact or choice.
    Info,
    /// Off because we want it.
    Off,
    /// Not read.
    Unknown,
}

impl Status {
    /// The value of `data-s`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Bad => "bad",
            Status::Wait => "wait",
            Status::Info => "info",
            Status::Off => "off",
            Status::Unknown => "unknown",
        }
    }

    /// From the severity of a timeline line.
    pub fn from_severity(severity: &str) -> Status {
        match severity {
            "ok" => Status::Ok,
            "info" => Status::Info,
            "wait" => Status::Wait,
            "warn" => Status::Warn,
            "bad" => Status::Bad,
            _ => Status::Unknown,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl askama::filters::HtmlSafe for Status {}

/// A state with its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Shape and colour.
    pub s: Status,
    /// The word.
    pub text: String,
}

impl Word {
    /// A state with its word.
    pub fn new(s: Status, text: impl Into<String>) -> Self {
        Word { s, text: text.into() }
    }

    /// For headings.
    pub fn chip(&self) -> Html {
        Html(format!("<span class=\"lk-chip\" data-s=\"{}\">{}</span>", self.s, escape(&self.text)))
    }

    /// For tables and lists.
    pub fn say(&self) -> Html {
        Html(format!("<span class=\"lk-say\" data-s=\"{}\">{}</span>", self.s, escape(&self.text)))
    }
}

/// A time that may be missing, in whatever form a template has it.
pub trait When {
    /// Milliseconds since the epoch.
    fn ms(&self) -> Option<i64>;
}

impl When for i64 {
    fn ms(&self) -> Option<i64> {
        Some(*self)
    }
}

impl When for UtcMs {
    fn ms(&self) -> Option<i64> {
        Some(self.0)
    }
}

impl<T: When> When for Option<T> {
    fn ms(&self) -> Option<i64> {
        self.as_ref().and_then(When::ms)
    }
}

impl<T: When + ?Sized> When for &T {
    fn ms(&self) -> Option<i64> {
        (**self).ms()
    }
}

/// A whole number in whatever form a template has it.
pub trait Number {
    /// The number.
    fn n(&self) -> i64;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn n(&self) -> i64 { i64::try_from(*self).unwrap_or(i64::MAX) }
        }
    )*};
}

numbers!(i32, i64, u8, u16, u32, u64, usize);

impl<T: Number + ?Sized> Number for &T {
    fn n(&self) -> i64 {
        (**self).n()
    }
}

/// Where light was measured; limits differ (ITU-T G.984.2 class B+: ONU −27 dBm, OLT −28 dBm; C+ OLT −32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Downstream, read at the ONU.
    Onu,
    /// Upstream, read at the OLT.
    Olt,
}

impl Place {
    /// Warning and critical limits in hundredths of dBm.
    fn limits_cdbm(self) -> (i64, i64) {
        match self {
            Place::Onu => (-2500, -2700),
            Place::Olt => (-2800, -3000),
        }
    }
}

/// A part of a sentence.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    /// A moment in UTC, milliseconds since the epoch.
    Moment {
        ms: i64,
    },
}

/// Finds the moments that machines write into sentences: `2026-11-21T14:05:00Z`, nothing else.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let is_moment = |bytes: &[u8]| {
        bytes.len() == SHAPE.len()
            && bytes.iter().zip(SHAPE).all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
    while at + SHAPE.len() <= text.len() {
        let end = at + SHAPE.len();
        let parsed = is_moment(&text.as_bytes()[at..end])
            .then(|| text.get(at..end)?.parse::<jiff::Timestamp>().ok())
            .flatten();
        match parsed {
            Some(moment) => {
                out.extend((from < at).then(|| Piece::Text(&text[from..at])));
                out.push(Piece::Moment { ms: moment.as_millisecond() });
                (from, at) = (end, end);
            }
            None => at += 1,
        }
    }
    out.extend((from < text.len()).then(|| Piece::Text(&text[from..])));
    out
}

/// Now, and the reader's time zone.
#[derive(Debug, Clone)]
pub struct View {
    /// When the page is made.
    pub now: UtcMs,
    /// Whose clock on the wall.
    pub zone: TimeZone,
}

/// `4 s`, `12 min`, `3 h`, `21 d`: the largest unit that tells the story.
pub fn span(seconds: impl Number) -> String {
    let seconds = seconds.n().max(0);
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5399 => format!("{} min", (seconds + 30) / 60),
        5400..=172_799 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `12,006`.
pub fn count(n: impl Number) -> String {
    let n = n.n();
    let digits = n.unsigned_abs().to_string();
    let mut out = String::new();
    if n < 0 {
        out.push('−');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 CPE`, `12 CPEs`.
pub fn plural(n: impl Number, one: &str, many: &str) -> String {
    let n = n.n();
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `−21.4` from hundredths, with a real minus sign.
pub fn decibel(cdbm: i64) -> String {
    let tenths = (cdbm.abs() + 5) / 10;
    let sign = if cdbm < 0 && tenths > 0 { "−" } else { "" };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// `500M`, `1G`, `512k` from kbit/s.
pub fn speed(kbps: impl Number) -> String {
    let kbps = kbps.n();
    if kbps >= 1_000_000 && kbps % 100_000 == 0 {
        let tenths = kbps / 100_000;
        if tenths % 10 == 0 {
            format!("{}G", tenths / 10)
        } else {
            format!("{}.{}G", tenths / 10, tenths % 10)
        }
    } else if kbps >= 1000 && kbps % 1000 == 0 {
        format!("{}M", kbps / 1000)
    } else {
        format!("{kbps}k")
    }
}

/// The label people read: `HWTC-7D4733C3`; anything that is no serial stays as it is.
pub fn serial(text: &str) -> String {
    text.parse::<Serial>().map_or_else(|_| limited(text, 64), |serial| serial.to_string())
}

/// An amount with its currency, e.g. `32.00 EUR`.
pub fn money(amount_minor: impl Number, currency: &str) -> String {
    let amount_minor = amount_minor.n();
    currency.parse().map_or_else(
        |_| format!("{amount_minor} {currency}"),
        |currency| Money::new(amount_minor, currency).to_string(),
    )
}

impl View {
    fn zoned(&self, ms: i64) -> jiff::Zoned {
        UtcMs(ms).to_jiff().to_zoned(self.zone.clone())
    }

    /// `14:05:09` today, `17 Nov 14:05` this year, `17 Nov 2025` before; `never` without a time.
    pub fn time(&self, at: impl When) -> String {
        let Some(ms) = at.ms() else { return "never".into() };
        let (then, now) = (self.zoned(ms), self.zoned(self.now.0));
        if then.date() == now.date() {
            then.strftime("%H:%M:%S").to_string()
        } else if then.year() == now.year() {
            then.strftime("%-d %b %H:%M").to_string()
        } else {
            then.strftime("%-d %b %Y").to_string()
        }
    }

    /// `14:05` today, otherwise as [`View::time`].
    pub fn clock(&self, at: impl When) -> String {
        let Some(ms) = at.ms() else { return "never".into() };
        let (then, now) = (self.zoned(ms), self.zoned(self.now.0));
        if then.date() == now.date() { then.strftime("%H:%M").to_string() } else { self.time(ms) }
    }

    /// When a CPE speaks next: `expected by 14:05`, or `overdue since 14:05` once that has passed; empty when nobody knows.
    pub fn contact(&self, by: impl When) -> String {
        match by.ms() {
            None => String::new(),
            Some(ms) if ms < self.now.0 => format!("overdue since {}", self.clock(ms)),
            Some(ms) => format!("expected by {}", self.clock(ms)),
        }
    }

    /// A sentence of a machine, cut to `max` characters: a moment in it (`2026-11-21T14:05:00Z`) becomes the time on the
    /// reader's wall, with the exact one behind it.
    pub fn said(&self, text: impl AsRef<str>, max: usize) -> Html {
        let text = limited(text, max);
        let mut out = String::with_capacity(text.len() + 96);
        for piece in pieces(&text) {
            match piece {
                Piece::Text(text) => out.push_str(&escape(text)),
                Piece::Moment { ms } => {
                    let _ = write!(
                        out,
                        "<time title=\"{}\">{}</time>",
                        escape(&self.exact(ms)),
                        escape(&self.clock(ms))
                    );
                }
            }
        }
        Html(out)
    }

    /// The same as plain text with the whole date, for files that are read some other day.
    pub fn said_exactly(&self, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        pieces(text).into_iter().fold(String::with_capacity(text.len() + 16), |mut out, piece| {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Moment { ms } => out.push_str(&self.exact(ms)),
            }
            out
        })
    }

    /// `2026-11-21`.
    pub fn date(&self, at: impl When) -> String {
        at.ms().map_or_else(|| "never".into(), |ms| self.zoned(ms).strftime("%Y-%m-%d").to_string())
    }

    /// `Saturday 21 November 2026, 14:05 EET`.
    pub fn long(&self, at: impl When) -> String {
        at.ms().map_or_else(
            || "never".into(),
            |ms| self.zoned(ms).strftime("%A %-d %B %Y, %H:%M %Z").to_string(),
        )
    }

    /// `2026-11-21 14:05:09 +02:00`, for titles and exports.
    pub fn exact(&self, at: impl When) -> String {
        at.ms().map_or_else(String::new, |ms| self.zoned(ms).strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
    }

    /// For how long, e.g. `21 min`.
    pub fn since(&self, at: impl When) -> String {
        at.ms().map_or_else(|| "unknown".into(), |ms| span((self.now.0 - ms) / 1000))
    }

    /// `in 4 min`, or `due 2 min ago`.
    pub fn until(&self, at: impl When) -> String {
        match at.ms() {
            None => "not planned".into(),
            Some(ms) if ms >= self.now.0 => format!("in {}", span((ms - self.now.0) / 1000)),
            Some(ms) => format!("due {} ago", span((self.now.0 - ms) / 1000)),
        }
    }

    /// True if the value is older than its interval allows.
    pub fn is_old(&self, at: impl When, interval_s: i64) -> bool {
        at.ms().is_none_or(|ms| self.now.0 - ms > interval_s.saturating_mul(1000))
    }

    /// The age stamp of an observed value: how long ago, from where, and whether it is still fresh. `interval_s` is
    /// how often the source is read; 0 if it is read on occasion only (then it never counts as old).
    pub fn age(&self, at: impl When, source: &str, interval_s: i64) -> Html {
        let Some(ms) = at.ms() else {
            return Html("<span class=\"lk-age\" data-p=\"0\">never read</span>".into());
        };
        let age_s = (self.now.0 - ms).max(0) / 1000;
        let old = interval_s > 0 && age_s > interval_s;
        let left = if interval_s > 0 { 100 - (age_s * 100 / interval_s).clamp(0, 100) } else { 100 };
        let mut out = format!(
            "<time class=\"lk-age\" data-p=\"{left}\" data-at=\"{ms}\" data-every=\"{interval_s}\" title=\"{}\"{}>",
            escape(&self.exact(ms)),
            if old { " data-old" } else { "" }
        );
        let _ = write!(out, "<span class=\"lk-ago\">{}{}</span>", span(age_s), if old { " old" } else { "" });
        if !source.is_empty() {
            let _ = write!(out, " · {}", escape(source));
        }
        out.push_str("</time>");
        Html(out)
    }

    /// A level in dBm with its limits; no level is said in words, never as zero.
    pub fn signal(&self, cdbm: impl When, place: Place) -> Html {
        let Some(value) = cdbm.ms() else { return Html("<span class=\"dim\">not read</span>".into()) };
        let (warn, critical) = place.limits_cdbm();
        let quality = match value {
            v if v > -800 => "high",
            v if v < critical => "critical",
            v if v < warn => "warning",
            _ => "good",
        };
        let word = if quality == "good" {
            "<span class=\"lk-vh\"> dBm, good</span>".to_owned()
        } else {
            format!(
                " <span class=\"lk-sigw\" data-q=\"{quality}\">{}</span>",
                if quality == "high" { "too strong" } else { quality }
            )
        };
        Html(format!(
            "<span class=\"lk-sig\" data-q=\"{quality}\" data-v=\"{value}\" data-crit=\"{critical}\" data-warn=\"{warn}\">\
             <b>{}</b><i></i></span>{word}",
            decibel(value)
        ))
    }

    /// The same, wide, for the service page.
    pub fn signal_wide(&self, cdbm: impl When, place: Place) -> Html {
        let Some(value) = cdbm.ms() else { return Html("<span class=\"dim\">not read yet</span>".into()) };
        let narrow = self.signal(value, place).0;
        Html(narrow.replacen("class=\"lk-sig\"", "class=\"lk-sig wide\"", 1).replacen("</b>", " dBm</b>", 1))
    }
}

/// An icon of the sprite, always beside a word.
pub fn icon(name: &str) -> Html {
    Html(format!(
        "<svg class=\"lk-i\" aria-hidden=\"true\"><use href=\"/assets/icons/sprite.svg#i-{}\"/></svg>",
        escape(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View { now: UtcMs(1_795_269_600_000), zone: TimeZone::UTC }
    }

    #[test]
    fn unknown_is_never_zero() {
        let v = view();
        assert_eq!(v.signal(None::<i64>, Place::Onu).as_str(), "<span class=\"dim\">not read</span>");
        assert!(v.age(None::<i64>, "SNMP", 60).as_str().contains("never read"));
        assert!(v.signal(0_i64, Place::Onu).as_str().contains("<b>0.0</b>"), "a true zero is a value");
    }

    #[test]
    fn an_age_says_old_when_its_interval_is_over() {
        let v = view();
        let fresh = v.age(v.now.0 - 14_000, "SNMP", 60);
        assert!(fresh.as_str().contains("14 s") && !fresh.as_str().contains("data-old"), "{fresh}");
        let old = v.age(v.now.0 - 360_000, "SNMP", 60);
        assert!(old.as_str().contains("6 min old") && old.as_str().contains("data-old"), "{old}");
    }

    #[test]
    fn a_moment_in_a_sentence_is_shown_on_the_readers_wall() {
        // 21 November 2026, 14:00 UTC, read in Dushanbe.
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let v = View { now: UtcMs(1_795_269_600_000), zone };
        let text = "waiting for <b>, expected by 2026-11-21T14:05:00Z; at the latest 2026-11-21T19:30:00Z.";
        assert_eq!(
            v.said(text, 200).as_str(),
            "waiting for &lt;b&gt;, expected by <time title=\"2026-11-21 19:05:00 +05:00\">19:05</time>; at the latest \
             <time title=\"2026-11-22 00:30:00 +05:00\">22 Nov 00:30</time>."
        );
        assert_eq!(
            v.said_exactly("expected by 2026-11-21T14:05:00Z"),
            "expected by 2026-11-21 19:05:00 +05:00"
        );
        assert!(
            v.said(text, 40).as_str().contains("expected by 2026-11-2"),
            "a cut moment stays what is left of it"
        );
        for other in ["", "ж2026-11-21T14:05", "9999-99-99T99:99:99Z", "2026-11-21 14:05:00Z", "жжжжжжжжжжжж"]
        {
            assert_eq!(v.said(other, 200).as_str(), escape(other), "{other}");
        }
        assert!(v.said("ж2026-11-21T14:05:00Zж", 99).as_str().contains(">19:05</time>ж"));
    }

    #[test]
    fn a_contact_that_did_not_come_is_overdue() {
        let v = view();
        assert_eq!(v.contact(None::<i64>), "");
        assert_eq!(v.contact(v.now), format!("expected by {}", v.clock(v.now)));
        let past = UtcMs(v.now.0 - 600_000);
        assert_eq!(v.contact(past), format!("overdue since {}", v.clock(past)));
    }

    #[test]
    fn what_devices_say_is_text() {
        let word = Word::new(Status::Bad, "<img src=x onerror=alert(1)>\u{7}");
        assert_eq!(
            word.say().as_str(),
            "<span class=\"lk-say\" data-s=\"bad\">&lt;img src=x onerror=alert(1)&gt;\u{FFFD}</span>"
        );
        let source = view().age(1_i64, "\"><script>", 0);
        assert!(!source.as_str().contains("<script"), "{source}");
    }

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!(count(12_006_u64), "12,006");
        assert_eq!(count(-1500), "−1,500");
        assert_eq!(decibel(-2140), "−21.4");
        assert_eq!(decibel(-4), "0.0");
        assert_eq!(speed(500_000), "500M");
        assert_eq!(speed(2_500_000), "2.5G");
        assert_eq!(span(89), "89 s");
        assert_eq!(span(1260), "21 min");
        assert_eq!(serial("485754437D4733C3"), "HWTC-7D4733C3");
        assert_eq!(limited("abcdef", 3), "abc… (3 more characters)");
    }
}
