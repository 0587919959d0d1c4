//! Event codes of the Inform (TR-069 Amendment 6, table 8).

use std::{fmt, str::FromStr};

/// Why a CPE opened the session. Unknown codes are kept as they came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventCode {
    /// `0 BOOTSTRAP`: first contact with this ACS URL, or after a factory reset.
    Bootstrap,
    /// `1 BOOT`
    Boot,
    /// `2 PERIODIC`
    Periodic,
    /// `3 SCHEDULED`: asked for by ScheduleInform.
    Scheduled,
    /// `4 VALUE CHANGE`
    ValueChange,
    /// `5 KICKED` (deprecated)
    Kicked,
    /// `6 CONNECTION REQUEST`
    ConnectionRequest,
    /// `7 TRANSFER COMPLETE`
    TransferComplete,
    /// `8 DIAGNOSTICS COMPLETE`
    DiagnosticsComplete,
    /// `9 REQUEST DOWNLOAD`
    RequestDownload,
    /// `10 AUTONOMOUS TRANSFER COMPLETE`
    AutonomousTransferComplete,
    /// `11 DU STATE CHANGE COMPLETE`
    DuStateChangeComplete,
    /// `12 AUTONOMOUS DU STATE CHANGE COMPLETE`
    AutonomousDuStateChangeComplete,
    /// `13 WAKEUP`
    Wakeup,
    /// `14 HEARTBEAT` (Amendment 6)
    Heartbeat,
    /// `M Reboot`, `M Download` …: the method asked for earlier has run. Holds the name after `M `.
    Method(String),
    /// Anything else: `X <OUI> …`, misspelt or unknown codes.
    Other(String),
}

const CODES: [(&str, EventCode); 15] = [
    ("0 BOOTSTRAP", EventCode::Bootstrap),
    ("1 BOOT", EventCode::Boot),
    ("2 PERIODIC", EventCode::Periodic),
    ("3 SCHEDULED", EventCode::Scheduled),
    ("4 VALUE CHANGE", EventCode::ValueChange),
    ("5 KICKED", EventCode::Kicked),
    ("6 CONNECTION REQUEST", EventCode::ConnectionRequest),
    ("7 TRANSFER COMPLETE", EventCode::TransferComplete),
    ("8 DIAGNOSTICS COMPLETE", EventCode::DiagnosticsComplete),
    ("9 REQUEST DOWNLOAD", EventCode::RequestDownload),
    ("10 AUTONOMOUS TRANSFER COMPLETE", EventCode::AutonomousTransferComplete),
    ("11 DU STATE CHANGE COMPLETE", EventCode::DuStateChangeComplete),
    ("12 AUTONOMOUS DU STATE CHANGE COMPLETE", EventCode::AutonomousDuStateChangeComplete),
    ("13 WAKEUP", EventCode::Wakeup),
    ("14 HEARTBEAT", EventCode::Heartbeat),
];

impl EventCode {
    /// True for the events that follow a start of the device.
    pub fn is_boot(&self) -> bool {
        matches!(self, EventCode::Bootstrap | EventCode::Boot)
    }
}

impl FromStr for EventCode {
    type Err = std::convert::Infallible;

    /// Never fails. The number decides: the words after it are spelt in several ways (`4 VALUECHANGE`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(method) = text.strip_prefix("M ") {
            return Ok(EventCode::Method(method.trim().to_owned()));
        }
        let (number, rest) = text.split_once(' ').unwrap_or((text, ""));
        let known = number
            .parse::<usize>()
            .ok()
            .filter(|_| rest.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b' ' | b'_')))
            .and_then(|index| CODES.get(index));
        Ok(match known {
            Some((_, code)) => code.clone(),
            None => EventCode::Other(text.to_owned()),
        })
    }
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventCode::Method(method) => write!(f, "M {method}"),
            EventCode::Other(text) => f.write_str(text),
            known => f.write_str(CODES.iter().find(|(_, code)| code == known).map_or("", |(text, _)| text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> EventCode {
        text.parse().expect("infallible")
    }

    #[test]
    fn codes_print_as_they_are_read() {
        for (text, code) in CODES {
            assert_eq!(parse(text), code);
            assert_eq!(code.to_string(), text);
        }
        for text in ["M Reboot", "M X_00259E_Restore", "X 00259E LOS", "99 NEW", "0x BOOT", ""] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn the_number_decides() {
        assert_eq!(parse(" 4 VALUECHANGE "), EventCode::ValueChange);
        assert_eq!(parse("2"), EventCode::Periodic);
        assert_eq!(parse("M Reboot"), EventCode::Method("Reboot".into()));
        assert_eq!(parse("1 <script>"), EventCode::Other("1 <script>".into()));
    }
}
