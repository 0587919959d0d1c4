//! Just enough of Rust's lexical grammar to tell code from comments and strings, and tests from the rest.

/// The source with comments and the contents of literals blanked out; every line keeps its number and length.
pub(super) fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = vec![b' '; bytes.len()];
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            out[at] = b'\n';
        }
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            at + block_comment(rest)
        } else if let Some(length) = raw_string(bytes, at) {
            at + length
        } else if rest[0] == b'"' {
            at + quoted(rest, b'"')
        } else if rest[0] == b'\'' && is_char_literal(rest) {
            at + quoted(rest, b'\'')
        } else {
            out[at] = bytes[at];
            at + 1
        };
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of `r"…"`, `br#"…"#` and so on when one starts here.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    // `for"x"` is not a raw string: the r must begin a word.
    if at > 0 && is_word(bytes[at - 1]) {
        return None;
    }
    let mut here = at;
    if matches!(bytes.get(here), Some(b'b' | b'c')) {
        here += 1;
    }
    if bytes.get(here) != Some(&b'r') {
        return None;
    }
    here += 1;
    let hashes = bytes[here..].iter().take_while(|byte| **byte == b'#').count();
    here += hashes;
    if bytes.get(here) != Some(&b'"') {
        return None;
    }
    here += 1;
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let length = bytes[here..].windows(close.len()).position(|window| window == close.as_slice());
    Some(length.map_or(bytes.len() - at, |length| here + length + close.len() - at))
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `'a'` and `'\n'` are literals, `'a` is a lifetime.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        // A character outside ASCII takes up to four bytes.
        Some(byte) if *byte >= 0x80 => true,
        Some(_) => rest.get(2) == Some(&b'\''),
        None => false,
    }
}

/// For each line, whether it is inside an item marked `#[cfg(test)]`. Takes the output of [`code_only`].
pub(super) fn test_lines(code: &str) -> Vec<bool> {
    let count = code.lines().count();
    let mut test = vec![false; count];
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(code, start + "#[cfg(test)]".len());
        let first = code[..start].matches('\n').count();
        let last = code[..end].matches('\n').count();
        for line in test.iter_mut().take(last + 1).skip(first) {
            *line = true;
        }
        from = end;
    }
    test
}

/// Where the item that starts here ends: after its closing brace, or at its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0usize;
    for (at, character) in code[from..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return from + at + 1;
                }
            }
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether `text` has `word` with nothing that continues a word on either side.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = text[from..].find(word) {
        let (start, end) = (from + found, from + found + word.len());
        let before = start.checked_sub(1).is_some_and(|at| is_word(bytes[at]));
        let after = bytes.get(end).is_some_and(|byte| is_word(*byte));
        if !before && !after {
            return true;
        }
        from = end;
    }
    false
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let source = "let a = \"tokio::x \\\" y\"; // tokio::x\n/* tokio /* nested */ still */ let b = 'x';";
        let code = code_only(source);
        assert!(!code.contains("tokio"), "{code}");
        assert!(!code.contains("still"), "{code}");
        assert!(code.contains("let a =") && code.contains("let b ="));
        assert_eq!(code.len(), source.len());
        assert_eq!(code.lines().count(), 2);
    }

    #[test]
    fn raw_strings_end_where_they_end() {
        let code = code_only("let a = r#\"one \" tokio\"#; real(); let b = br\"tokio\"; other()");
        assert!(!code.contains("tokio"), "{code}");
        assert!(code.contains("real()") && code.contains("other()"), "{code}");
    }

    #[test]
    fn lifetimes_do_not_swallow_the_file() {
        let code = code_only("fn f<'a>(x: &'a str) -> char { '\\'' } fn g() { sqlx() }");
        assert!(code.contains("sqlx()"), "{code}");
        let code = code_only("let dash = '−'; after()");
        assert!(code.contains("after()"), "{code}");
    }

    #[test]
    fn finds_the_lines_of_tests() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n#[cfg(test)]\nuse x;\nfn d() {}";
        assert_eq!(test_lines(code), [false, true, true, true, true, false, true, true, false]);
    }

    #[test]
    fn words_have_borders() {
        assert!(has_word("use sqlx::Row;", "sqlx"));
        assert!(!has_word("my_sqlx_like", "sqlx"));
        assert!(has_word("a_sqlx sqlx", "sqlx"));
    }
}
