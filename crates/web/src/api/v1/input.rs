//! What programs hand in: ids, filters and bodies. What is not understood is said in words and changes nothing.

use app::FieldError;
use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use store::read::{MAX_PAGE_SIZE, Page, Sort};

use crate::{
    body,
    error::{ApiFail, Fail},
};

/// Rows on a page unless asked otherwise.
const PAGE_SIZE: u32 = 50;

/// The `{id}` of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id(pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiFail;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiFail> {
        match Path::<i64>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(_) => Err(ApiFail(Fail::bad_request("The id in the address is not a whole number."))),
        }
    }
}

/// What a list lets ask for.
pub(super) trait Asked: DeserializeOwned {
    /// Columns it can be sorted by.
    const COLUMNS: &'static [&'static str];
    fn page_asked(&self) -> (Option<u32>, Option<u32>);
    fn sort_asked(&self) -> Option<&str>;
    /// Anything that a type cannot say.
    fn check(&self) -> Result<(), Fail> {
        Ok(())
    }

    fn page(&self) -> Page {
        let (number, size) = self.page_asked();
        Page::new(number.unwrap_or(1), size.unwrap_or(PAGE_SIZE))
    }

    fn sort(&self) -> Sort {
        Sort::parse(self.sort_asked().unwrap_or_default())
    }
}

/// The filters of a list, checked: a parameter or column it does not know is an error, never ignored.
#[derive(Debug, Clone)]
pub(super) struct Filter<T>(pub(super) T);

impl<S: Send + Sync, T: Asked> FromRequestParts<S> for Filter<T> {
    type Rejection = ApiFail;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiFail> {
        Ok(Filter(asked(parts.uri.query().unwrap_or_default())?))
    }
}

fn asked<T: Asked>(query: &str) -> Result<T, Fail> {
    let uri = http::Uri::builder().path_and_query(format!("/?{query}")).build();
    let uri = uri.map_err(|_| Fail::bad_request("The query of the address is not understood."))?;
    let Query(found) = Query::<T>::try_from_uri(&uri).map_err(|error| {
        let text = error.body_text();
        let why = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, why)| why);
        Fail::bad_request(format!("The query is not understood: {}.", short(why)))
    })?;
    let (number, size) = found.page_asked();
    if number == Some(0) {
        return Err(Fail::bad_request("page: pages are counted from 1."));
    }
    if let Some(size) = size.filter(|size| !(1..=MAX_PAGE_SIZE).contains(size)) {
        return Err(Fail::bad_request(format!("size: {size} is outside 1 to {MAX_PAGE_SIZE}.")));
    }
    if let Some(text) = found.sort_asked() {
        let column = Sort::parse(text).column;
        if !T::COLUMNS.contains(&column.as_str()) {
            let known = if T::COLUMNS.is_empty() {
                "it has one order only".to_owned()
            } else {
                format!("it has {}", T::COLUMNS.join(", "))
            };
            return Err(Fail::bad_request(format!(
                "sort: this list has no column {:?}; {known}.",
                short(&column)
            )));
        }
    }
    found.check()?;
    Ok(found)
}

/// A filter that takes one of some words.
pub(super) fn one_of(field: &str, value: Option<&str>, known: &[&str]) -> Result<(), Fail> {
    match value {
        Some(value) if !known.contains(&value) => {
            Err(Fail::bad_request(format!("{field}: {:?} is none of {}.", short(value), known.join(", "))))
        }
        _ => Ok(()),
    }
}

/// A moment such as `2026-11-21T14:30:00Z`.
pub(super) fn moment(field: &str, value: Option<&str>) -> Result<Option<i64>, Fail> {
    let Some(text) = value else { return Ok(None) };
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => Ok(Some(at.as_millisecond())),
        Err(_) => Err(Fail::bad_request(format!(
            "{field}: {:?} is not a time; write it like 2026-11-21T14:30:00Z.",
            short(text)
        ))),
    }
}

/// At most 300 characters of somebody's text.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Declares the query of a list: its own filters, and `page`, `size` and `sort` which every list has.
macro_rules! list_query {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$fmeta:meta])* $field:ident: $ty:ty,)*
    } $(#[$smeta:meta])* sort [$($column:literal),*] $(check $check:expr)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(super) struct $name {
            $($(#[$fmeta])* pub(super) $field: Option<$ty>,)*
            /// Which page, from 1.
            #[param(minimum = 1)]
            pub(super) page: Option<u32>,
            /// Rows on a page; 50 unless said.
            #[param(minimum = 1, maximum = 500)]
            pub(super) size: Option<u32>,
            $(#[$smeta])*
            pub(super) sort: Option<String>,
        }

        impl $crate::api::v1::input::Asked for $name {
            const COLUMNS: &'static [&'static str] = &[$($column),*];
            fn page_asked(&self) -> (Option<u32>, Option<u32>) {
                (self.page, self.size)
            }
            fn sort_asked(&self) -> Option<&str> {
                self.sort.as_deref()
            }
            $(fn check(&self) -> Result<(), $crate::error::Fail> {
                let check: fn(&$name) -> Result<(), $crate::error::Fail> = $check;
                check(self)
            })?
        }
    };
}
pub(super) use list_query;

list_query! {
    /// Of a list that can only be paged.
    Pages {} /// This list has one order; leave it out.
    sort []
}

/// A JSON body of at most 512 KiB. No body at all is an empty object.
#[derive(Debug, Clone)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiFail;
    async fn from_request(request: Request, _: &S) -> Result<Self, ApiFail> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts, body).await?;
        Ok(Body(parse(&bytes)?))
    }
}

/// The bytes of a body that says it is JSON.
pub(super) async fn read(parts: &Parts, body: axum::body::Body) -> Result<Bytes, Fail> {
    let bytes = body::whole(&parts.extensions, body).await?;
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !bytes.is_empty() && essence != "application/json" && !essence.ends_with("+json") {
        return Err(Fail::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Not understood",
            "The body must be JSON, with the header Content-Type: application/json.",
        ));
    }
    Ok(bytes)
}

/// Reads a body; what does not fit is named by its field where the words allow.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fail> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize::<_, T>(&mut *deserializer);
    let read = read.map_err(|error| (error.path().to_string(), error.into_inner()));
    let read = read.and_then(|value| match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err((String::new(), error)),
    });
    read.map_err(|(path, error)| {
        let text = short(&error.to_string());
        if !error.is_data() {
            return Fail::bad_request(format!("The body is not JSON: {text}."));
        }
        let named = ["unknown field `", "missing field `", "duplicate field `"]
            .iter()
            .find_map(|start| text.strip_prefix(start)?.split_once('`'))
            .map(|(field, _)| field);
        // The path ends at what is wrong, and where a field is named already, one before it.
        let path = short(path.trim_matches('.'));
        let field = match named {
            Some(field) if path.is_empty() || path == field => field.to_owned(),
            Some(field) if path.rsplit('.').next() == Some(field) => path,
            Some(field) => format!("{path}.{field}"),
            None => path,
        };
        let fields = Some(field).filter(|field| !field.is_empty()).into_iter();
        Fail {
            fields: fields.map(|field| FieldError { field, message: format!("{text}.") }).collect(),
            ..Fail::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Not acceptable",
                format!("The body does not fit: {text}."),
            )
        }
    })
}

/// A body that says nothing.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    list_query! {
        /// For these tests.
        Sample {
            /// Some filter.
            olt_id: i64,
        } /// By name.
        sort ["name", "since"]
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "read by serde only")]
        struct Inner {
            seconds: u64,
            waits: Vec<u64>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "read by serde only")]
        struct Outer {
            settings: Inner,
        }
        for (body, field) in [
            (r#"{"settings":{"seconds":-1,"waits":[]}}"#, Some("settings.seconds")),
            (r#"{"settings":{"seconds":1,"waits":[1,"x"]}}"#, Some("settings.waits[1]")),
            (r#"{"settings":{"seconds":1}}"#, Some("settings.waits")),
            (r#"{"settings":{"seconds":1,"waits":[],"colour":3}}"#, Some("settings.colour")),
            (r#"{"colour":3}"#, Some("colour")),
            ("{}", Some("settings")),
            (r#"{"settings":{"#, None),
            (r#"{"settings":{"seconds":1,"waits":[]}} x"#, None),
        ] {
            let fail = parse::<Outer>(body.as_bytes()).expect_err(body);
            let named: Vec<&str> = fail.fields.iter().map(|field| field.field.as_str()).collect();
            assert_eq!(named, Vec::from_iter(field), "{body}: {}", fail.detail);
        }
    }

    #[test]
    fn a_query_says_what_it_means_or_is_refused() {
        let sample: Sample = asked("olt_id=3&sort=-since&page=2&size=10").expect("acceptable");
        assert_eq!((sample.olt_id, sample.page().offset()), (Some(3), 10));
        assert!(sample.sort().descending);
        for (query, word) in [
            ("olt=3", "unknown field `olt`"),
            ("sort=colour", "name, since"),
            ("sort=-", "name, since"),
            ("page=0", "from 1"),
            ("size=501", "1 to 500"),
            ("size=ten", "size"),
            ("olt_id=1&olt_id=2", "duplicate field"),
        ] {
            let fail = asked::<Sample>(query).expect_err(query);
            assert_eq!(fail.status, StatusCode::BAD_REQUEST, "{query}");
            assert!(fail.detail.contains(word), "{query}: {}", fail.detail);
        }
        let fail = asked::<Pages>("sort=name").expect_err("no columns");
        assert!(fail.detail.contains("one order"), "{}", fail.detail);
    }

    #[test]
    fn a_body_that_does_not_fit_is_told_by_field() {
        let wrong = |text: &str| parse::<Nothing>(text.as_bytes()).expect_err(text);
        assert_eq!(wrong("{").status, StatusCode::BAD_REQUEST);
        let fail = wrong(r#"{"colour":1}"#);
        assert_eq!(fail.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(fail.fields[0].field, "colour");
        parse::<Nothing>(b"").expect("no body is an empty one");
    }

    #[test]
    fn moments_have_an_offset() {
        assert_eq!(moment("since", Some("1970-01-01T00:00:01Z")).ok().flatten(), Some(1000));
        assert!(moment("since", Some("yesterday")).is_err());
        assert!(moment("since", Some("2026-11-21")).is_err());
    }
}
