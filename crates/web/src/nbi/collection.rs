//! A collection that a client asks for: which of it, in what order, and the answer a part at a time.
//!
//! **Invariant: bounded memory.** Of what matches only ids are held; documents are made while they are sent.

use std::{cmp::Ordering, collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value as Json;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Nbi, Refusal, document,
    query::{Field, Fields, Found, Matcher, Subject, field, flag},
};
use crate::list::form_pairs;

/// Documents of one answer, whole.
const MAX_WHOLE: u64 = 10_000;
/// Documents of one answer, where a projection says what is wanted of each.
const MAX_PROJECTED: u64 = 200_000;
/// What matches is looked through so long.
const SCAN_WITHIN: Duration = Duration::from_secs(60);
/// Parameters that a query and its order may look at.
const MAX_LOOKED_AT: usize = 50;
const MAX_PROJECTION: usize = 200;
const MAX_SORT: usize = 5;
/// Longest text that is sorted by, bytes.
const SORT_TEXT: usize = 200;

/// What was asked for, understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) matcher: Matcher,
    /// The wanted parts; `None`: everything.
    pub(super) projection: Option<Vec<String>>,
    sort: Vec<(Field, bool)>,
    skip: u64,
    limit: Option<u64>,
}

impl Asked {
    /// Reads `query`, `projection`, `sort`, `skip` and `limit`; whatever else is there is left alone, as GenieACS does.
    pub(super) fn parse(text: &str, fields: Fields) -> Result<Self, Refusal> {
        let mut asked =
            Asked { matcher: Matcher::all(), projection: None, sort: Vec::new(), skip: 0, limit: None };
        for (key, value) in form_pairs(text) {
            match key.as_str() {
                "query" if !value.is_empty() => {
                    asked.matcher = Matcher::parse(&value, fields).map_err(Refusal::bad)?;
                }
                "projection" if !value.is_empty() => asked.projection = Some(projection(&value)?),
                "sort" if !value.is_empty() => asked.sort = sort(&value, fields)?,
                "skip" => asked.skip = count("skip", &value)?,
                // As in MongoDB, no documents at all cannot be asked for.
                "limit" => asked.limit = Some(count("limit", &value)?).filter(|limit| *limit > 0),
                _ => {}
            }
        }
        if asked.parameters().len() > MAX_LOOKED_AT {
            return Err(Refusal::bad(format!("A query looks at {MAX_LOOKED_AT} parameters at most.")));
        }
        Ok(asked)
    }

    /// Every field that the query or the order looks at.
    pub(super) fn looked_at(&self) -> impl Iterator<Item = &Field> {
        self.matcher.fields().into_iter().chain(self.sort.iter().map(|(field, _)| field))
    }

    /// True if the query or the order looks at this field.
    pub(super) fn looks_at(&self, name: &str) -> bool {
        self.looked_at().any(|field| matches!(field, Field::Own(own) if *own == name))
    }

    /// Paths of the parameters that the query or the order looks at.
    pub(super) fn parameters(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .looked_at()
            .filter_map(|field| match field {
                Field::Parameter { path, .. } => Some(path.clone()),
                Field::Own(_) => None,
            })
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// True if this field of a document, or a part of it, is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.projection.as_ref().is_none_or(|paths| {
            paths.iter().any(|path| {
                path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
    }
}

fn count(name: &str, value: &str) -> Result<u64, Refusal> {
    match value.parse::<u64>() {
        Ok(number) if number <= 1_000_000_000 => Ok(number),
        _ if value.is_empty() => Ok(0),
        _ => Err(Refusal::bad(format!("{name} takes a number, e.g. {name}=100."))),
    }
}

fn projection(text: &str) -> Result<Vec<String>, Refusal> {
    let paths: Vec<String> = text
        .split(',')
        .map(|path| path.trim().trim_end_matches('.').to_owned())
        .filter(|path| !path.is_empty())
        .collect();
    if paths.is_empty() || paths.len() > MAX_PROJECTION || paths.iter().any(|path| path.len() > 512) {
        return Err(Refusal::bad(format!(
            "projection takes a list of fields with commas between, {MAX_PROJECTION} at most."
        )));
    }
    Ok(paths)
}

fn sort(text: &str, fields: Fields) -> Result<Vec<(Field, bool)>, Refusal> {
    let wrong = || {
        Refusal::bad(format!(
            "sort takes a JSON object such as {{\"_lastInform\": -1}}, {MAX_SORT} fields at most."
        ))
    };
    let Ok(Json::Object(object)) = serde_json::from_str::<Json>(text) else { return Err(wrong()) };
    if object.len() > MAX_SORT {
        return Err(wrong());
    }
    object
        .into_iter()
        .map(|(name, direction)| {
            let descending = match direction.as_f64() {
                Some(direction) if direction < 0.0 => true,
                Some(direction) if direction > 0.0 => false,
                _ => return Err(wrong()),
            };
            Ok((field(&name, fields).map_err(Refusal::bad)?, descending))
        })
        .collect()
}

/// Something that is read by id, a part at a time.
pub(super) trait Collection: Send + Sync + 'static {
    /// One of it, as a query sees it.
    type Item: Subject + Send;
    /// Documents that are made at a time.
    fn chunk(&self) -> usize;
    /// How many there are.
    fn count(&self) -> impl Future<Output = Result<u64, Refusal>> + Send;
    /// Ids above `after`, in order, without the first `skip`.
    fn ids(
        &self,
        after: i64,
        skip: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<i64>, Refusal>> + Send;
    /// The next ones above `after` as a query sees them; none at the end.
    fn items(&self, after: i64) -> impl Future<Output = Result<Vec<(i64, Self::Item)>, Refusal>> + Send;
    /// Documents of these ids in this order; what is gone is left out.
    fn documents(&self, ids: Vec<i64>) -> impl Future<Output = Result<Vec<Json>, Refusal>> + Send;
}

/// Which ids are sent.
enum Source {
    /// These.
    Found(VecDeque<i64>),
    /// All behind this one, without the first few.
    Behind { after: i64, skip: u64 },
}

/// The whole answer: header `total`, then the documents.
pub(super) async fn answer<C: Collection>(
    nbi: &Nbi,
    collection: C,
    asked: Asked,
    method: &Method,
) -> Result<Response, Refusal> {
    let (total, source) = if asked.matcher.is_all() && asked.sort.is_empty() {
        (collection.count().await?, Source::Behind { after: 0, skip: asked.skip })
    } else {
        let busy = || Refusal {
            retry_after_s: Some(5),
            ..Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many queries are looked for at this moment, or this one takes too long. Ask again in a few seconds; \
                 a query by _id or _lastInform costs least.",
            )
        };
        let found = tokio::time::timeout(SCAN_WITHIN, async {
            let _place = nbi.scans.acquire().await.map_err(|_| busy())?;
            scan(&collection, &asked).await
        });
        let found = found.await.map_err(|_| busy())??;
        let total = found.len() as u64;
        let skipped = usize::try_from(asked.skip).unwrap_or(usize::MAX);
        (total, Source::Found(found.into_iter().skip(skipped).collect()))
    };
    // Only how many there are is asked for: nothing is sent, so nothing is too much to be sent.
    if method == Method::HEAD {
        return Ok(response(total, Body::empty()));
    }
    // Held while documents are sent: each answer makes some of them at a time, and many at once would add up.
    let place = Arc::clone(&nbi.answers).try_acquire_owned().map_err(|_| Refusal {
        total: Some(total),
        retry_after_s: Some(5),
        ..Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many lists are being sent at this moment. Ask again in a few seconds.",
        )
    })?;
    let left = total.saturating_sub(asked.skip);
    let wanted = asked.limit.map_or(left, |limit| limit.min(left));
    let most = if asked.projection.is_some() { MAX_PROJECTED } else { MAX_WHOLE };
    if wanted > most {
        let text = format!(
            "{total} match, and one answer holds {most} at most. Ask for a part with limit and skip, or with a projection \
             for what is needed of each ({MAX_PROJECTED} at most)."
        );
        return Err(Refusal { total: Some(total), ..Refusal::bad(text) });
    }
    Ok(response(total, stream(collection, asked.projection, source, wanted, place)))
}

/// Ids of what matches, in the order that is wanted.
async fn scan<C: Collection>(collection: &C, asked: &Asked) -> Result<Vec<i64>, Refusal> {
    let mut found: Vec<(Vec<Key>, i64)> = Vec::new();
    let mut after = 0;
    loop {
        let items = collection.items(after).await?;
        let Some((last, _)) = items.last() else { break };
        after = *last;
        for (n, (id, item)) in items.into_iter().enumerate() {
            // A pattern may take its time: others, and the limit of this query, get their turn.
            if n % 50 == 49 {
                tokio::task::yield_now().await;
            }
            if asked.matcher.matches(&item) {
                found.push((asked.sort.iter().map(|(field, _)| key(item.found(field))).collect(), id));
            }
        }
        if found.len() as u64 > MAX_PROJECTED && !asked.sort.is_empty() {
            return Err(Refusal::bad(format!(
                "More than {MAX_PROJECTED} match, too many to be sorted. Ask for fewer, or without sort."
            )));
        }
    }
    if !asked.sort.is_empty() {
        found.sort_by(|(left, a), (right, b)| {
            let orders = left.iter().zip(right).zip(&asked.sort).map(|((left, right), (_, descending))| {
                let order = left.cmp(right);
                if *descending { order.reverse() } else { order }
            });
            orders.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| a.cmp(b))
        });
    }
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// What is sorted by, in MongoDB's order of types.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    Nothing,
    Number(f64),
    Text(String),
    Flag(bool),
    Time(i64),
}

impl Key {
    fn rank(&self) -> u8 {
        match self {
            Key::Nothing => 0,
            Key::Number(_) => 1,
            Key::Text(_) => 2,
            Key::Flag(_) => 3,
            Key::Time(_) => 4,
        }
    }

    fn cmp(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(left), Key::Number(right)) => left.total_cmp(right),
            (Key::Text(left), Key::Text(right)) => left.cmp(right),
            (Key::Flag(left), Key::Flag(right)) => left.cmp(right),
            (Key::Time(left), Key::Time(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

fn key(found: Found<'_>) -> Key {
    let text = |text: &str| Key::Text(text[..text.floor_char_boundary(SORT_TEXT)].to_owned());
    match found {
        Found::Nothing => Key::Nothing,
        Found::Text(found) => text(found),
        Found::Texts(texts) => texts.iter().min().map_or(Key::Nothing, |first| text(first)),
        #[allow(
            clippy::cast_precision_loss,
            reason = "what lies this near to another number may stand beside it"
        )]
        Found::Number(number) => Key::Number(number as f64),
        Found::Flag(flag) => Key::Flag(flag),
        Found::Time(at) => Key::Time(at),
        Found::Parameter { text: value, kind } => match kind {
            "boolean" => Key::Flag(flag(value)),
            "int" | "unsignedInt" | "long" | "unsignedLong" => {
                value.parse().map_or_else(|_| text(value), Key::Number)
            }
            _ => text(value),
        },
    }
}

struct Sending<C> {
    collection: Arc<C>,
    projection: Option<Vec<String>>,
    source: Source,
    left: u64,
    sent: bool,
    /// Given back when the answer ends, however it ends.
    _place: OwnedSemaphorePermit,
}

impl<C: Collection> Sending<C> {
    /// The next documents as bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        while self.left > 0 {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.collection.chunk().max(1));
            let ids: Vec<i64> = match &mut self.source {
                Source::Found(found) => found.drain(..most.min(found.len())).collect(),
                Source::Behind { after, skip } => {
                    let limit = u32::try_from(most).unwrap_or(u32::MAX);
                    let ids = self.collection.ids(*after, std::mem::take(skip), limit).await?;
                    *after = ids.last().copied().unwrap_or(i64::MAX);
                    ids
                }
            };
            if ids.is_empty() {
                return Ok(None);
            }
            self.left -= ids.len() as u64;
            let mut out = Vec::new();
            for found in self.collection.documents(ids).await? {
                out.extend_from_slice(if self.sent { b",\n" } else { b"" });
                self.sent = true;
                let found = match &self.projection {
                    Some(paths) => document::project(found, paths),
                    None => found,
                };
                serde_json::to_writer(&mut out, &found).map_err(|error| {
                    Refusal::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        format!("A document cannot be written: {error}."),
                    )
                })?;
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }
}

enum Stage<C> {
    Begin(Sending<C>),
    Middle(Sending<C>),
    End,
}

fn stream<C: Collection>(
    collection: C,
    projection: Option<Vec<String>>,
    source: Source,
    wanted: u64,
    place: OwnedSemaphorePermit,
) -> Body {
    let sending = Sending {
        collection: Arc::new(collection),
        projection,
        source,
        left: wanted,
        sent: false,
        _place: place,
    };
    let parts = futures::stream::unfold(Stage::Begin(sending), |stage| async move {
        let mut sending = match stage {
            Stage::Begin(sending) => {
                return Some((Ok(Bytes::from_static(b"[\n")), Stage::Middle(sending)));
            }
            Stage::Middle(sending) => sending,
            Stage::End => return None,
        };
        match sending.next().await {
            Ok(Some(bytes)) => Some((Ok(Bytes::from(bytes)), Stage::Middle(sending))),
            Ok(None) => Some((Ok(Bytes::from_static(b"\n]")), Stage::End)),
            // A torn transfer tells the reader that the list is not whole.
            Err(refusal) => Some((Err(std::io::Error::other(refusal.text)), Stage::End)),
        }
    });
    // Compression asks once more after the end, which an unfolded stream does not survive.
    Body::from_stream(parts.fuse())
}

fn response(total: u64, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("total"), HeaderValue::from(total));
    response
}

/// A collection that is empty, because what takes its place is elsewhere.
pub(super) fn nothing() -> Response {
    response(0, Body::from("[\n\n]"))
}
