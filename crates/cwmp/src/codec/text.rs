//! Characters: what encoding came in, which characters may go out.

use crate::CodecError;
use std::borrow::Cow;

/// The text of a message. CPEs label their charset wrongly more often than they use a second one, so the bytes
/// decide and not the label: what is UTF-8 is read as UTF-8; every byte that is not part of it is read as
/// Windows-1252, which keeps the markup whole and the letters of western languages right.
pub(super) fn to_text(bytes: &[u8]) -> Result<Cow<'_, str>, CodecError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => return Err(CodecError::Charset("UTF-32")),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'<', 0, ..] | [0, b'<', ..] => {
            return Err(CodecError::Charset("UTF-16"));
        }
        _ => {}
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| windows_1252(*byte)));
    }
    Ok(Cow::Owned(text))
}

fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// True for the characters of XML 1.0 (production 2).
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Appends `text` as character data. Markup is escaped, `\r` is kept as a reference (parsers turn a bare one
/// into `\n`), and characters that XML 1.0 does not have are left out: sending them would cost the session.
pub(super) fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            c if is_xml_char(c) => out.push(c),
            _ => {}
        }
    }
}

/// At most `limit` characters of something a peer sent, safe to show in an error.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide_the_charset() {
        assert_eq!(to_text(b"\xEF\xBB\xBFx").expect("BOM"), "x");
        assert_eq!(to_text("Łódź".as_bytes()).expect("UTF-8"), "Łódź");
        assert_eq!(to_text(b"Caf\xE9 \x80").expect("Windows-1252"), "Café €");
        // An SSID cut in the middle of a character costs that character only.
        assert_eq!(to_text(b"<a>\xC5\x81\xC3</a>").expect("cut"), "<a>ŁÃ</a>");
        assert_eq!(to_text(b"<\0?\0"), Err(CodecError::Charset("UTF-16")));
        assert_eq!(to_text(b"\xFE\xFF\0<"), Err(CodecError::Charset("UTF-16")));
        assert_eq!(to_text(b"\xFF\xFE\0\0"), Err(CodecError::Charset("UTF-32")));
    }

    #[test]
    fn nothing_illegal_leaves() {
        let mut out = String::new();
        escape_into(&mut out, "a\0\u{1}\u{b}<b>&\"]]>\r\n\t\u{FFFE}\u{FFFF}é😀");
        assert_eq!(out, "a&lt;b&gt;&amp;&quot;]]&gt;&#13;\n\té😀");
    }
}
