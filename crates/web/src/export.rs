//! Lists as CSV, safe to open in a spreadsheet, sent page by page so that a large list never sits in memory.

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};

use futures::StreamExt as _;

use crate::error::Fail;

/// The most rows a file holds; the last line says so when there were more.
pub(crate) const MAX_ROWS: u64 = 200_000;
/// Rows read from the database at a time.
pub(crate) const CHUNK: u32 = 500;

/// What a formula may begin with, in a spreadsheet of any script (OWASP "CSV injection").
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What else than a comma may part cells: a spreadsheet of a country that writes decimals with a comma takes a semicolon,
/// wherever in a line it stands, and some are told to take tabs.
const PARTS: [char; 4] = [';', '\t', '\r', '\n'];

/// What begins like this could be run, if a cell begins with it. Quotes and spaces in front are no shield.
fn is_risky(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '"').starts_with(FORMULA)
}

/// A cell that a spreadsheet shows instead of running it: text that starts like a formula gets an apostrophe, wherever a
/// spreadsheet may see a cell begin.
pub(crate) fn cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 1);
    if is_risky(text) {
        shown.push('\'');
    }
    for (at, c) in text.char_indices() {
        shown.push(c);
        if PARTS.contains(&c) && is_risky(&text[at + c.len_utf8()..]) {
            shown.push('\'');
        }
    }
    shown
}

/// A number is no formula and stays a number. Not at the beginning of a line: whoever takes another separator reads what
/// follows as a part of it.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && !text.starts_with('+')
}

/// One line.
pub(crate) fn line<S: AsRef<str>>(cells: &[S]) -> Result<Vec<u8>, Fail> {
    let parted = cells.iter().any(|text| text.as_ref().contains(PARTS));
    // Commas, quotes and line ends are quoted by themselves; the separators of others are not.
    let quotes = if parted { csv::QuoteStyle::NonNumeric } else { csv::QuoteStyle::Necessary };
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(quotes)
        .from_writer(Vec::new());
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a CSV line could not be written");
        Fail::new(http::StatusCode::INTERNAL_SERVER_ERROR, "Failed", "The file could not be written.")
    };
    let cells = cells.iter().map(AsRef::as_ref).enumerate();
    let shown = cells.map(|(at, text)| if at > 0 && is_number(text) { text.to_owned() } else { cell(text) });
    writer.write_record(shown).map_err(|e| failed(&e))?;
    writer.into_inner().map_err(|e| failed(&e))
}

/// The rows of chunk `number`, counted from 1; `None` behind the limit.
pub(crate) fn part(number: u32) -> Option<store::read::Page> {
    (u64::from(number.saturating_sub(1)) * u64::from(CHUNK) < MAX_ROWS)
        .then(|| store::read::Page::new(number, CHUNK))
}

/// Lines of a chunk; `None` if there are none, which ends the file.
pub(crate) fn lines<I: IntoIterator<Item = Vec<String>>>(rows: I) -> Result<Option<Vec<u8>>, Fail> {
    let mut out = Vec::new();
    for row in rows {
        out.extend(line(&row)?);
    }
    Ok((!out.is_empty()).then_some(out))
}

/// Hundredths of dBm as `-21.40`; nothing if it was not read.
pub(crate) fn dbm(cdbm: Option<i64>) -> String {
    cdbm.map_or_else(String::new, |v| {
        format!("{}{}.{:02}", if v < 0 { "-" } else { "" }, v.unsigned_abs() / 100, v.unsigned_abs() % 100)
    })
}

/// A file from chunks of lines. `next` gets the page number from 1 and returns `None` when there are no more.
pub(crate) fn file<F, Fut>(name: &str, heading: Vec<u8>, next: F) -> Response<Body>
where
    F: Fn(u32) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Vec<u8>>, Fail>> + Send,
{
    // The byte order mark makes spreadsheets read UTF-8; names are in every script.
    let mut first = "\u{feff}".as_bytes().to_vec();
    first.extend(heading);
    let pages = futures::stream::unfold((0_u32, Some(first), next), |(page, first, next)| async move {
        if let Some(bytes) = first {
            return Some((Ok(bytes), (1, None, next)));
        }
        match next(page).await {
            Ok(Some(bytes)) => Some((Ok(bytes), (page + 1, None, next))),
            Ok(None) => None,
            // A torn transfer tells the reader that the file is not whole.
            Err(fail) => Some((Err(std::io::Error::other(fail.detail)), (u32::MAX, None, next))),
        }
    });
    // Compression asks once more after the end, which an unfolded stream does not survive.
    let mut response = Response::new(Body::from_stream(pages.fuse()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(cells: &[&str]) -> String {
        let bytes = line(cells).unwrap_or_default();
        String::from_utf8(bytes).expect("it is text")
    }

    #[test]
    fn a_spreadsheet_never_runs_what_a_device_said() {
        for evil in ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", " =1", "＝1", "\"=1"] {
            assert_eq!(cell(evil), format!("'{evil}"));
        }
        assert_eq!(cell("\t=1"), "'\t'=1", "a tab may part cells");
        assert_eq!(cell("x;=HYPERLINK(\"http://evil\")"), "x;'=HYPERLINK(\"http://evil\")");
        assert_eq!(cell("x; \"@A1\";y\n+1"), "x;' \"@A1\";y\n'+1");
        for plain in ["5", "HWTC-7D4733C3", "Jörg Weiß", "a;b", "1 - 2", ""] {
            assert_eq!(cell(plain), plain);
        }
        assert_eq!(
            written(&["a,b", "say \"hi\"", "=1", "-21.4"]),
            "\"a,b\",\"say \"\"hi\"\"\",'=1,-21.4\r\n"
        );
        assert_eq!(written(&["a", "x;=1", "-21.4"]), "\"a\",\"x;'=1\",-21.4\r\n");
        assert_eq!(written(&["-1", "+1"]), "'-1,'+1\r\n", "a line of another separator begins with it");
    }

    /// Every cell that a spreadsheet finds which parts by `separator` and knows quotes, and which does not know them.
    fn found(text: &str, separator: u8) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(text.as_bytes());
        let mut cells: Vec<String> = reader
            .records()
            .flat_map(|record| record.expect("it reads").iter().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        if separator != b',' {
            let ends = [char::from(separator), '\r', '\n'];
            cells.extend(text.split(ends).map(|cell| cell.trim_matches('"').to_owned()));
        }
        cells
    }

    proptest! {
        #[test]
        fn no_cell_of_any_spreadsheet_begins_a_formula(
            cells in prop::collection::vec("[=+@＝;,\t\r\n\"' \u{a0}ab1.\u{2d}]{0,9}", 1..5)
        ) {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let text = written(&cells);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let records: Vec<csv::StringRecord> = reader.records().map(|one| one.expect("it reads")).collect();
            // Whoever takes commas finds the cells that were written, with apostrophes and nothing else.
            let kept: Vec<String> =
                records.iter().flat_map(|one| one.iter()).map(|cell| cell.replace('\'', "")).collect();
            let meant: Vec<String> = cells.iter().map(|cell| cell.replace('\'', "")).collect();
            prop_assert!(records.len() <= 1);
            if !records.is_empty() {
                prop_assert_eq!(kept, meant);
            }
            for separator in [b',', b';', b'\t'] {
                for cell in found(&text, separator) {
                    let begins = cell.trim_start_matches(|c: char| c.is_whitespace());
                    let runs = begins.starts_with(FORMULA) && !is_number(&cell);
                    prop_assert!(!runs, "{:?} by {:?} in {:?}", cell, char::from(separator), text);
                }
            }
        }
    }
}
