//! JSON documents out of a file, one after the other: one per line, or as one array, as mongoexport and GenieACS write them.
//!
//! **Invariant: bounded.** One document is held at a time, and none that is longer than [`MAX_DOCUMENT`]. What cannot be
//! read costs itself and is named with its line.

use std::io::{self, BufRead};

/// Longest document, bytes: MongoDB's own limit.
pub const MAX_DOCUMENT: usize = 16 << 20;

/// The documents of a file with the line each begins in; an error is a sentence about that line.
#[derive(Debug)]
pub struct Documents<R> {
    source: R,
    line: u64,
    begun: bool,
}

/// What stands at one place of the file.
type Found = (u64, Result<serde_json::Value, String>);

impl<R: BufRead> Documents<R> {
    /// Over `source`, from its beginning.
    pub fn new(source: R) -> Self {
        Documents { source, line: 1, begun: false }
    }

    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    pub fn read(&mut self) -> io::Result<Option<Found>> {
        loop {
            let Some(byte) = self.peek()? else { return Ok(None) };
            match byte {
                b'{' => return self.document().map(Some),
                // Between documents, around an array, and the mark that some editors put before everything.
                b' ' | b'\t' | b'\r' | b',' | b'[' | b']' => self.source.consume(1),
                b'\n' => self.consume_line_end(),
                0xEF | 0xBB | 0xBF if !self.begun => {
                    self.source.consume(1);
                    continue;
                }
                _ => {
                    let line = self.line;
                    self.skip_line()?;
                    return Ok(Some((line, Err("is no JSON document; the line was left out.".to_owned()))));
                }
            }
            self.begun = true;
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.source.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn consume_line_end(&mut self) {
        self.source.consume(1);
        self.line += 1;
    }

    /// Leaves out everything to the end of this line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            match self.peek()? {
                None => return Ok(()),
                Some(b'\n') => {
                    self.consume_line_end();
                    return Ok(());
                }
                Some(_) => self.source.consume(1),
            }
        }
    }

    /// From an opening brace to the one that closes it. A document that never closes is given up at the first line that
    /// begins with another one: mongoexport writes one per line.
    fn document(&mut self) -> io::Result<Found> {
        let first = self.line;
        let (mut bytes, mut depth, mut in_text, mut escaped) = (Vec::new(), 0_u32, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                return Ok((first, Err("begins a document that never ends; it was left out.".to_owned())));
            };
            // JSON has no line end within a text.
            if byte == b'\n' && in_text {
                self.consume_line_end();
                return Ok((first, Err("begins a document that is broken off; it was left out.".to_owned())));
            }
            if byte == b'{' && bytes.last() == Some(&b'\n') && depth > 0 && !in_text {
                return Ok((first, Err("begins a document that never ends; it was left out.".to_owned())));
            }
            if byte == b'\n' {
                self.consume_line_end();
            } else {
                self.source.consume(1);
            }
            bytes.push(byte);
            if bytes.len() > MAX_DOCUMENT {
                self.skip_line()?;
                return Ok((
                    first,
                    Err(format!("is a document of more than {MAX_DOCUMENT} bytes; it was left out.")),
                ));
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' if !in_text => depth += 1,
                b'}' if !in_text => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let read = serde_json::from_slice(&bytes).map_err(|error| {
                    let error = error.to_string();
                    format!("is no JSON document: {}; it was left out.", error.trim_end_matches('.'))
                });
                return Ok((first, read));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn all(text: &[u8]) -> Vec<(u64, Result<String, String>)> {
        // A small buffer, so that documents lie across its borders.
        let mut documents = Documents::new(BufReader::with_capacity(7, text));
        let mut found = Vec::new();
        while let Some((line, read)) = documents.read().expect("bytes in memory") {
            found.push((line, read.map(|value| value.to_string())));
        }
        found
    }

    fn good(line: u64, text: &str) -> (u64, Result<String, String>) {
        (line, Ok(text.to_owned()))
    }

    #[test]
    fn one_per_line_and_arrays_are_read() {
        let documents = [good(1, r#"{"a":"}{\" \\"}"#), good(2, r#"{"b":{"c":1}}"#)];
        assert_eq!(all(b"{\"a\":\"}{\\\" \\\\\"}\n{\"b\":{\"c\":1}}\n"), documents);
        assert_eq!(all(b"\xEF\xBB\xBF{\"a\":\"}{\\\" \\\\\"}\r\n{\"b\":{\"c\":1}}"), documents);
        let array = b"[\n{\"a\": 1},\n{\"b\": 2}\n]\n";
        assert_eq!(all(array), [good(2, r#"{"a":1}"#), good(3, r#"{"b":2}"#)]);
        assert_eq!(all(b"[{\"a\":1},{\"b\":2}]"), [good(1, r#"{"a":1}"#), good(1, r#"{"b":2}"#)]);
        let pretty = b"[{\n  \"a\": {\n    \"b\": 1\n  }\n},\n{\"c\":2}]";
        assert_eq!(all(pretty), [good(1, r#"{"a":{"b":1}}"#), good(6, r#"{"c":2}"#)]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn what_is_broken_costs_itself_and_is_named() {
        let text = b"{\"a\":1}\nnot json {\"x\":1}\n{\"b\":\n{\"c\":3}\n{\"d\":\"broken off\n{\"e\":5}\n{\"f\":tru}\n{\"g\":7";
        let found = all(text);
        let lines: Vec<(u64, bool)> = found.iter().map(|(line, read)| (*line, read.is_ok())).collect();
        assert_eq!(
            lines,
            [(1, true), (2, false), (3, false), (4, true), (5, false), (6, true), (7, false), (8, false)]
        );
        for (line, read) in found {
            if let Err(why) = read {
                assert!(why.ends_with('.'), "{line}: {why}");
            }
        }
    }

    #[test]
    fn a_document_without_end_is_not_held() {
        let mut text = b"{\"a\":[".to_vec();
        text.resize(MAX_DOCUMENT + 100, b'1');
        text.extend_from_slice(b"\n{\"b\":2}\n");
        let found = all(&text);
        assert!(found[0].1.as_ref().is_err_and(|why| why.contains("more than")), "{:?}", found[0].1);
        assert_eq!(found[1], good(2, r#"{"b":2}"#));
    }
}
