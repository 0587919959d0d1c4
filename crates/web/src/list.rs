//! Lists: filter, sort and page live in the address, so every view of a list can be bookmarked and sent to a colleague.

use std::fmt::Write as _;

use store::read::{Page, Sort};

use crate::view::{Html, count, escape};

/// Rows on a page unless asked otherwise.
const PAGE_SIZE: u32 = 50;

/// Percent-encodes one value of a query.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// What the address says about a list.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    path: &'static str,
    params: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=1&b=2`; at most 40 parameters of 400 characters.
    pub(crate) fn parse(path: &'static str, query: Option<&str>) -> Self {
        let params = form_pairs(query.unwrap_or_default())
            .filter(|(_, value)| !value.is_empty())
            .take(40)
            .map(|(key, value)| (key, value.chars().filter(|c| !c.is_control()).take(400).collect()))
            .collect();
        Query { path, params }
    }

    /// A value, empty if absent.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.params.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str())
    }

    pub(crate) fn opt(&self, key: &str) -> Option<String> {
        Some(self.get(key)).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    pub(crate) fn id(&self, key: &str) -> Option<i64> {
        self.get(key).parse().ok()
    }

    pub(crate) fn page(&self) -> Page {
        let size = self.get("size").parse().unwrap_or(PAGE_SIZE);
        Page::new(self.get("page").parse().unwrap_or(1), size)
    }

    pub(crate) fn sort(&self) -> Sort {
        Sort::parse(self.get("sort"))
    }

    /// The address with some values replaced; an empty value drops the key. Any change goes back to page 1.
    pub(crate) fn with(&self, path: &str, changes: &[(&str, &str)]) -> String {
        let mut out = path.to_owned();
        let mut separator = '?';
        let changed = |key: &str| changes.iter().any(|(k, _)| *k == key);
        let kept = self
            .params
            .iter()
            .filter(|(k, _)| k != "page" && !changed(k))
            .map(|(k, v)| (k.as_str(), v.as_str()));
        for (key, value) in kept.chain(changes.iter().copied().filter(|(_, v)| !v.is_empty())) {
            let _ = write!(out, "{separator}{}={}", encode(key), encode(value));
            separator = '&';
        }
        out
    }
}

/// `a=1&b=2` as decoded pairs.
pub(crate) fn form_pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(key), decode(value))
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
                match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
                    Some(byte) => {
                        out.push(byte);
                        at += 2;
                    }
                    None => out.push(b'%'),
                }
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A list as it is drawn: the query, and how many rows match it.
#[derive(Debug, Clone)]
pub(crate) struct ListView {
    pub(crate) query: Query,
    pub(crate) total: u64,
}

impl ListView {
    pub(crate) fn new(query: Query, total: u64) -> Self {
        ListView { query, total }
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.query.get(key)
    }

    /// `selected` if the filter has this value.
    pub(crate) fn selected(&self, key: &str, value: impl ToString) -> &'static str {
        if self.get(key) == value.to_string() { "selected" } else { "" }
    }

    /// A heading that sorts by its column; pressed again, the other way round.
    pub(crate) fn th(&self, column: &str, label: &str, class: &str) -> Html {
        let sort = self.query.sort();
        let active = sort.column == column;
        let next = if active && !sort.descending { format!("-{column}") } else { column.to_owned() };
        let direction = match (active, sort.descending) {
            (true, true) => " aria-sort=\"descending\"",
            (true, false) => " aria-sort=\"ascending\"",
            (false, _) => "",
        };
        Html::trusted(format!(
            "<th class=\"{}\"{direction}><a href=\"{}\">{}</a></th>",
            escape(class),
            escape(&self.query.with(self.query.path, &[("sort", &next)])),
            escape(label)
        ))
    }

    /// The same choice as the headings, for phones, which show rows as cards without them. Keeps the order of the list
    /// when the filter is sent, too.
    pub(crate) fn sorts(&self, columns: &[(&str, &str)]) -> Html {
        let current = self.get("sort");
        let mut out = String::from(
            "<select class=\"form-select lk-narrow\" name=\"sort\" aria-label=\"Order\"><option value=\"\">Usual order</option>",
        );
        for (column, label) in columns {
            for (value, arrow) in [((*column).to_owned(), "↑"), (format!("-{column}"), "↓")] {
                let selected = if value == current { " selected" } else { "" };
                let _ = write!(
                    out,
                    "<option value=\"{}\"{selected}>{} {arrow}</option>",
                    escape(&value),
                    escape(label)
                );
            }
        }
        out.push_str("</select>");
        Html::trusted(out)
    }

    /// This view of the list, to read it again.
    pub(crate) fn here(&self) -> String {
        let href = self.query.with(self.query.path, &[]);
        match self.query.page().number {
            1 => href,
            number => {
                let separator = if href.contains('?') { '&' } else { '?' };
                format!("{href}{separator}page={number}")
            }
        }
    }

    /// `1–50 of 11,384`.
    pub(crate) fn range(&self) -> String {
        let page = self.query.page();
        if self.total == 0 {
            return "none".to_owned();
        }
        let from = (page.offset() + 1).min(self.total);
        let to = (page.offset() + u64::from(page.size)).min(self.total);
        format!("{}–{} of {}", count(from), count(to), count(self.total))
    }

    /// The same rows as a file.
    pub(crate) fn csv_href(&self) -> String {
        self.query.with(&format!("{}.csv", self.query.path), &[])
    }

    /// A link to the list with one filter changed.
    pub(crate) fn href(&self, key: &str, value: impl AsRef<str>) -> String {
        self.query.with(self.query.path, &[(key, value.as_ref())])
    }

    /// Back, forward and where we are; nothing if all rows fit.
    pub(crate) fn pager(&self) -> Html {
        let page = self.query.page();
        let last = self.total.div_ceil(u64::from(page.size)).max(1);
        let current = u64::from(page.number);
        if last == 1 && current == 1 {
            return Html::default();
        }
        let link = |number: u64, label: &str, enabled: bool| {
            let href = self.query.with(self.query.path, &[("page", &number.to_string())]);
            if enabled {
                format!("<a class=\"btn btn-sm\" href=\"{}\">{label}</a>", escape(&href))
            } else {
                format!("<span class=\"btn btn-sm\" aria-disabled=\"true\">{label}</span>")
            }
        };
        Html::trusted(format!(
            "<nav class=\"lk-pager\" aria-label=\"Pages\">{}<span class=\"small soft nw\">page {} of {}</span>{}</nav>",
            link(current.saturating_sub(1).clamp(1, last), "Back", current > 1),
            count(current),
            count(last),
            link(current + 1, "Next", current < last)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_a_list_is_an_address() {
        let query = Query::parse("/onus", Some("q=%D0%9E%D0%BB%D1%8F+x&olt=3&page=4&sort=serial&empty="));
        assert_eq!(query.get("q"), "Оля x");
        assert_eq!(query.page().number, 4);
        assert_eq!(query.with("/onus", &[("olt", "")]), "/onus?q=%D0%9E%D0%BB%D1%8F%20x&sort=serial");
        let list = ListView::new(query, 1234);
        assert_eq!(list.range(), "151–200 of 1,234");
        assert!(list.th("serial", "Serial", "").as_str().contains("sort=-serial"));
        assert!(list.pager().as_str().contains("page 4 of 25"));
        assert_eq!(list.here(), "/onus?q=%D0%9E%D0%BB%D1%8F%20x&olt=3&sort=serial&page=4");
        let sorts = list.sorts(&[("serial", "Serial")]);
        assert!(sorts.as_str().contains("value=\"serial\" selected>Serial ↑"), "{}", sorts.as_str());
        assert!(sorts.as_str().contains("value=\"-serial\">Serial ↓"), "{}", sorts.as_str());
    }

    #[test]
    fn an_address_cannot_carry_markup() {
        let query = Query::parse("/onus", Some("q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&x=%zz%"));
        let list = ListView::new(query, 200);
        for html in [list.th("serial", "Serial", "").as_str().to_owned(), list.pager().as_str().to_owned()] {
            assert!(!html.contains("<script"), "{html}");
        }
        assert!(!list.csv_href().contains('<'));
    }
}
