//! Files embedded in the binary: style, scripts, icons. Nothing is fetched from anywhere else.

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, Response, StatusCode, header},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// The part of a path that changes with the content: `/assets/lightkeeper.css?v=1a2b3c4d`.
pub(crate) fn version(path: &str) -> String {
    Assets::get(path).map_or_else(String::new, |file| hex::encode(&file.metadata.sha256_hash()[..6]))
}

/// `/assets/{path}`, with its version.
pub(crate) fn href(path: &str) -> String {
    format!("/assets/{path}?v={}", version(path))
}

/// Serves one file; answers 304 when the browser has it.
pub(crate) async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response<Body> {
    let Some(file) = Assets::get(&path) else {
        return plain(StatusCode::NOT_FOUND, "No such file.");
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..12]));
    let known =
        headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains(&tag));
    let answer = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, "public, max-age=604800")
        .header(header::CONTENT_TYPE, file.metadata.mimetype());
    let answer = if known {
        answer.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        answer.body(Body::from(file.data))
    };
    answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "The file could not be sent."))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
