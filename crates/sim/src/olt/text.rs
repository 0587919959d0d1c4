//! How the box writes times, rules, alarms and long messages.

use types::{Mac, PonPath, UtcMs};

/// `2026-11-21 14:30:00+00:00`
pub(crate) fn stamp(at: UtcMs) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S+00:00").to_string()
}

/// `2026-11-21 14:30:00`
pub(crate) fn short_stamp(at: UtcMs) -> String {
    at.to_jiff().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time or `-`.
pub(crate) fn stamp_or_dash(at: Option<UtcMs>) -> String {
    at.map_or_else(|| "-".to_owned(), stamp)
}

/// `0/ 1/0` as the tables print it.
pub(crate) fn spaced(pon: PonPath) -> String {
    format!("{}/{:>2}/{}", pon.frame, pon.slot, pon.port)
}

/// `0025-9E12-34AB`
pub(crate) fn huawei_mac(mac: Mac) -> String {
    let hex = hex::encode_upper(mac.0);
    format!("{}-{}-{}", &hex[..4], &hex[4..8], &hex[8..])
}

/// Hundredths of dBm as `-19.50`.
pub(crate) fn dbm(cdbm: i32) -> String {
    format!("{}{}.{:02}", if cdbm < 0 { "-" } else { "" }, cdbm.abs() / 100, cdbm.abs() % 100)
}

/// A line of dashes of this width behind two blanks.
pub(crate) fn rule(width: usize) -> String {
    format!("  {}", "-".repeat(width))
}

/// Folds a message at blanks; continuation lines are indented by two like the first.
pub(crate) fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from("  ");
    for word in text.split(' ') {
        let width = line.chars().count();
        if width > 2 && width + 1 + word.chars().count() > columns {
            lines.push(std::mem::replace(&mut line, String::from("  ")));
        } else if width > 2 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A description in a `key : value` block: 32 characters per line, continued under the value.
pub(crate) fn folded_field(key: &str, width: usize, value: &str) -> Vec<String> {
    let chars: Vec<char> = value.chars().collect();
    let mut parts = chars.chunks(32).map(|chunk| chunk.iter().collect::<String>());
    let mut lines = vec![format!("  {key:<width$}: {}", parts.next().unwrap_or_default())];
    let indent = " ".repeat(width + 4);
    lines.extend(parts.map(|part| format!("{indent}{part}")));
    lines
}

/// An alarm or event as it breaks into a terminal.
pub(crate) fn alarm(kind: &str, severity: &str, name: &str, parameters: &str, now: UtcMs) -> Vec<String> {
    vec![
        String::new(),
        format!("  ! {kind} {severity} {} ALARM", stamp(now)),
        format!("  ALARM NAME  : {name}"),
        format!("  PARAMETERS  : {parameters}"),
        format!("  DESCRIPTION : {name}"),
        "  CAUSE       : -".to_owned(),
        "  ADVICE      : -".to_owned(),
        "  --- END".to_owned(),
        String::new(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fold_as_in_the_captures() {
        assert_eq!(
            fold("Failure: This configured object has some service virtual ports", 60),
            ["  Failure: This configured object has some service virtual", "  ports"]
        );
        assert_eq!(fold("Failure: SN already exists", 60), ["  Failure: SN already exists"]);
    }

    #[test]
    fn a_blank_at_the_fold_of_a_description_is_where_it_was() {
        let lines = folded_field("Description", 24, "0123456789012345678901234567890 tail");
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("890 "), "{lines:?}");
        assert_eq!(lines[1].trim(), "tail");
    }

    #[test]
    fn powers_keep_their_sign_below_one() {
        assert_eq!([dbm(-1950), dbm(-5), dbm(221), dbm(0)], ["-19.50", "-0.05", "2.21", "0.00"]);
    }
}
