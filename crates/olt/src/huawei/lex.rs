//! The few shapes that every SmartAX reply is made of: dashed lines, `label : value`, columns.

use std::collections::BTreeMap;

/// Values by label in snake case.
pub type Record = BTreeMap<String, String>;

/// A line of dashes (and nothing else) separates sections.
pub fn is_rule(line: &str) -> bool {
    let text = line.trim();
    text.len() >= 10 && text.bytes().all(|b| b == b'-')
}

/// `-`, `--`, `----` stand for nothing.
pub fn value(text: &str) -> &str {
    let text = text.trim();
    if text.bytes().all(|b| b == b'-') { "" } else { text }
}

/// As [`value`], `None` when empty.
pub fn optional(text: &str) -> Option<String> {
    let text = value(text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// A whole number, `None` for `-`.
pub fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    value(text).parse().ok()
}

/// `-22.84` to −2284, without floating point.
pub fn hundredths(text: &str) -> Option<i32> {
    let text = value(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() > 6 || part.len() > 6 {
        return None;
    }
    let whole: i32 = whole.parse().ok()?;
    let mut hundredths = 0;
    for (place, digit) in part.bytes().enumerate() {
        let digit = i32::try_from(char::from(digit).to_digit(10)?).ok()?;
        match place {
            0 => hundredths += digit * 10,
            1 => hundredths += digit,
            _ => {}
        }
    }
    let total = whole * 100 + hundredths;
    Some(if negative { -total } else { total })
}

/// `ONT distance(m)` to `ont_distance_m`.
pub fn snake(label: &str) -> String {
    let mut out = String::new();
    for character in label.chars() {
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_end_matches('_').to_owned()
}

/// `label : value` and the column at which the value starts.
fn labelled(line: &str) -> Option<(&str, &str, usize)> {
    let (label, rest) = line.split_once(':')?;
    let trimmed = label.trim();
    let starts_with_letter = trimmed.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = trimmed.chars().all(|c| c.is_ascii_alphanumeric() || " /()-_.".contains(c));
    if !starts_with_letter || !plain || trimmed.len() > 60 {
        return None;
    }
    let column = label.len() + 1 + (rest.len() - rest.trim_start().len());
    Some((trimmed, rest.trim(), column))
}

/// The `label : value` lines of a text, values folded by the OLT joined again: a fold continues at the column where
/// the value began, and a blank at the fold is lost.
pub fn labels(text: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut value_column = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(column) = value_column
            && indent == column
            && !line.trim().is_empty()
            && let Some((_, value)) = out.last_mut()
        {
            value.push_str(line.trim());
            continue;
        }
        match labelled(line) {
            Some((label, value, column)) => {
                // An empty value has no column of its own to fold at.
                value_column = (!value.is_empty()).then_some(column);
                out.push((label.to_owned(), value.to_owned()));
            }
            None => value_column = None,
        }
    }
    out
}

/// [`labels`] by snake-case label; the second use of a label gets `#2`, and so on.
pub fn record(text: &str) -> Record {
    let mut out = Record::new();
    for (label, text) in labels(text) {
        let key = snake(&label);
        let mut name = key.clone();
        let mut times = 1;
        while out.contains_key(&name) {
            times += 1;
            name = format!("{key}#{times}");
        }
        out.insert(name, value(&text).to_owned());
    }
    out
}

/// The parts of a text between dashed lines.
pub fn sections(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for line in text.lines() {
        if is_rule(line) {
            out.push(String::new());
        } else if let Some(section) = out.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    out.retain(|section| !section.trim().is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_is_read_without_floating_point() {
        let cases =
            [("-22.84", Some(-2284)), ("2.1", Some(210)), ("-0.05", Some(-5)), ("3", Some(300)), ("-", None)];
        for (text, want) in cases {
            assert_eq!(hundredths(text), want, "{text}");
        }
        assert_eq!((hundredths("x"), hundredths("1.x"), hundredths("99999999")), (None, None, None));
    }

    #[test]
    fn folded_values_are_joined_at_their_column() {
        let text = "  Description             : one,                             \n                            two: three\n  Last down cause         : -\n";
        assert_eq!(
            labels(text),
            [("Description".into(), "one,two: three".into()), ("Last down cause".into(), "-".to_owned())]
        );
        assert_eq!(record(text)["last_down_cause"], "");
    }
}
