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

/// A cell that a spreadsheet shows instead of running it: text that starts like a formula gets an apostrophe
/// (OWASP "CSV injection"); plain numbers stay numbers.
pub(crate) fn cell(text: &str) -> String {
    let trimmed = text.trim_start_matches([' ', '\u{a0}']);
    let risky = trimmed.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) && !text.starts_with('+');
    if risky && !is_number { format!("'{text}") } else { text.to_owned() }
}

/// One line.
pub(crate) fn line<S: AsRef<str>>(cells: &[S]) -> Result<Vec<u8>, Fail> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a CSV line could not be written");
        Fail::new(http::StatusCode::INTERNAL_SERVER_ERROR, "Failed", "The file could not be written.")
    };
    writer.write_record(cells.iter().map(|text| cell(text.as_ref()))).map_err(|e| failed(&e))?;
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

    #[test]
    fn a_spreadsheet_never_runs_what_a_device_said() {
        for evil in ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1"] {
            assert_eq!(cell(evil), format!("'{evil}"));
        }
        for plain in ["-21.4", "5", "HWTC-7D4733C3", "Jörg Weiß", ""] {
            assert_eq!(cell(plain), plain);
        }
        let text =
            line(&["a,b", "say \"hi\"", "=1"]).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(text.ok().as_deref(), Some("\"a,b\",\"say \"\"hi\"\"\",'=1\r\n"));
    }
}
