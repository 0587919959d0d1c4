//! Tables as other programs export them: any separator, a byte order mark, quotes, and lines that are broken.
//!
//! A broken line costs itself: it is counted and named, and the next line is read.

/// The longest field; a quote that is open for longer was never meant to be one.
const LONGEST_FIELD: usize = 64 * 1024;
/// Fields of a line; a list of faults has a dozen.
const MOST_FIELDS: usize = 256;
/// Broken lines that are named; of more there is a number.
const MOST_NAMED: usize = 50;

/// A line that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BadLine {
    /// Its number in the file, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// The lines that could not be used: the first ones, and how many in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct BadLines {
    /// How many.
    pub count: u64,
    /// The first ones.
    pub first: Vec<BadLine>,
}

impl BadLines {
    pub(super) fn note(&mut self, line: u64, why: impl Into<String>) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(BadLine { line, why: why.into() });
        }
    }
}

/// The text of a file in UTF-8 or UTF-16, without its byte order mark.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let wide = |rest: &[u8], pair: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|two| pair([two[0], two[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        all => String::from_utf8_lossy(all).into_owned(),
    }
}

/// Reads the lines of a table one after the other.
pub(super) struct Rows<'t> {
    text: &'t str,
    at: usize,
    line: u64,
    separator: u8,
}

/// A line with its number.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

impl<'t> Rows<'t> {
    /// The separator is the one that the heading has most of; `sep=;` as spreadsheets write it is obeyed.
    pub(super) fn new(text: &'t str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let said = first.trim().strip_prefix("sep=").filter(|rest| rest.len() == 1);
        let (at, line) = if said.is_some() { (next_line(text, 0), 2) } else { (0, 1) };
        let heading = text.get(at..).and_then(|rest| rest.lines().find(|line| !line.trim().is_empty()));
        let separator = said.and_then(|rest| rest.bytes().next()).unwrap_or_else(|| {
            let outside = outside_quotes(heading.unwrap_or_default());
            let many = |separator: u8| outside.iter().filter(|byte| **byte == separator).count();
            // The comma wins where nothing speaks for another one.
            [b'|', b'\t', b';', b','].into_iter().max_by_key(|separator| many(*separator)).unwrap_or(b',')
        });
        Rows { text, at, line, separator }
    }

    /// The next line that is not empty. `Err` is a broken one.
    pub(super) fn next(&mut self) -> Option<Result<Row, BadLine>> {
        loop {
            if self.at >= self.text.len() {
                return None;
            }
            let (begin, line) = (self.at, self.line);
            match self.record() {
                Ok(fields) => {
                    if fields.iter().any(|field| !field.trim().is_empty()) {
                        return Some(Ok(Row { line, fields }));
                    }
                }
                Err(why) => {
                    self.at = next_line(self.text, begin);
                    self.line = line + 1;
                    return Some(Err(BadLine { line, why: why.into() }));
                }
            }
        }
    }

    /// The fields from here to the end of the line; `Err` says what is wrong with its quotes.
    fn record(&mut self) -> Result<Vec<String>, &'static str> {
        const OPEN: &str =
            "a quote is opened on this line and not closed; the next line is read as one of its own";
        const MANY: &str = "the line has more than 256 fields";
        const TORN: &str = "a quote ends in the middle of a field, so nobody knows where the field ends";
        let bytes = self.text.as_bytes();
        let (mut fields, mut field) = (Vec::new(), Vec::new());
        let mut quoted = false;
        // A quote begins a field only where the field begins; elsewhere it is a character like others.
        let mut begins = true;
        while let Some(byte) = bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'"' if quoted && bytes.get(self.at) == Some(&b'"') => {
                    field.push(byte);
                    self.at += 1;
                }
                b'"' if quoted => {
                    quoted = false;
                    let next = bytes.get(self.at).copied();
                    let ends = next.is_none_or(|next| next == self.separator || b"\r\n ".contains(&next));
                    if !ends {
                        return Err(TORN);
                    }
                }
                b'"' if begins => (quoted, begins) = (true, false),
                b'\n' => {
                    self.line += 1;
                    if !quoted {
                        break;
                    }
                    field.push(byte);
                }
                b'\r' if !quoted && matches!(bytes.get(self.at), Some(b'\n') | None) => {}
                byte if byte == self.separator && !quoted => {
                    fields.push(take(&mut field));
                    begins = true;
                    if fields.len() >= MOST_FIELDS {
                        return Err(MANY);
                    }
                }
                byte => {
                    begins &= byte == b' ';
                    field.push(byte);
                }
            }
            if field.len() > LONGEST_FIELD {
                if quoted {
                    return Err(OPEN);
                }
                field.truncate(LONGEST_FIELD);
            }
        }
        if quoted {
            return Err(OPEN);
        }
        fields.push(take(&mut field));
        Ok(fields)
    }
}

fn take(field: &mut Vec<u8>) -> String {
    let text = String::from_utf8_lossy(field).trim().to_owned();
    field.clear();
    text
}

fn next_line(text: &str, from: usize) -> usize {
    text.as_bytes()[from..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| from + at + 1)
}

fn outside_quotes(line: &str) -> Vec<u8> {
    let mut inside = false;
    let outside = line.bytes().filter(|byte| {
        inside ^= *byte == b'"';
        !inside
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Vec<String>, u64>> {
        let mut rows = Rows::new(text);
        let mut out = Vec::new();
        while let Some(row) = rows.next() {
            out.push(row.map(|row| row.fields).map_err(|bad| bad.line));
        }
        out
    }

    #[test]
    fn fields_are_read_whatever_separates_them() {
        for separator in [",", ";", "\t", "|"] {
            let text = format!("Device{separator}Code\r\n\"a{separator}\"\"b\"\"\nc\"{separator}d\r\n\n");
            assert_eq!(
                read(&text),
                [
                    Ok(vec!["Device".to_owned(), "Code".to_owned()]),
                    Ok(vec![format!("a{separator}\"b\"\nc"), "d".to_owned()])
                ],
                "{separator:?}"
            );
        }
        assert_eq!(read("sep=;\na;b,c")[0], Ok(vec!["a".to_owned(), "b,c".to_owned()]));
    }

    #[test]
    fn a_quote_that_stays_open_costs_one_line() {
        let rows = read("a,b\n\"c,d\ne,f\n");
        assert_eq!(rows[1], Err(2));
        assert_eq!(rows[2], Ok(vec!["e".to_owned(), "f".to_owned()]));
        let rows = read("a,b\n\"c,\"d\",e\nf,g\n");
        assert_eq!(rows[1], Err(2), "nobody knows where the field ends");
        assert_eq!(rows[2], Ok(vec!["f".to_owned(), "g".to_owned()]));
    }

    #[test]
    fn a_line_of_separators_costs_one_line_and_no_memory() {
        let rows = read(&format!("a,b\n{}\ne,f\n", ",".repeat(100_000)));
        assert_eq!(
            rows,
            [Ok(vec!["a".to_owned(), "b".to_owned()]), Err(2), Ok(vec!["e".to_owned(), "f".to_owned()])]
        );
    }

    #[test]
    fn utf_16_and_byte_order_marks_are_read() {
        assert_eq!(text_of(b"\xEF\xBB\xBFa"), "a");
        assert_eq!(text_of(b"\xFF\xFEa\0b\0"), "ab");
        assert_eq!(text_of(b"\xFE\xFF\0a\0b"), "ab");
    }
}
