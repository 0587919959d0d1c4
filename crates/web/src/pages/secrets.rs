//! Secrets that were made this moment, on the page that follows: the one place where they are shown, once.

use app::Generated;
use askama::Template;
use axum::{http::HeaderMap, response::Response};
use types::Secret;

use super::{ShownOnce, go, html, no_store};
use crate::{auth::Who, error::Fail, shell::Shell, state::Ctx, view::Status};

#[derive(Template)]
#[template(path = "secrets_once.html")]
struct SecretsPage {
    shell: Shell,
    title: String,
    code: String,
    pppoe: Option<(String, Secret)>,
    wifi: Option<(String, Secret)>,
    /// What happens with them now.
    next: String,
    service: String,
    task: Option<String>,
}

/// What was made for a service, with a way on.
pub(super) struct Made {
    pub(super) title: &'static str,
    pub(super) service: i64,
    pub(super) next: &'static str,
    /// The task that was ordered with it.
    pub(super) task: Option<i64>,
}

/// Shows them. The page is not kept by the browser, and the same form sent again leads to the service or the task. What was
/// made is made: a page that cannot be drawn after it says so, and nothing is made a second time.
pub(super) async fn shown_once(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    made: Made,
    generated: Generated,
) -> Result<Response, Fail> {
    let (service, title) = (made.service, made.title);
    Ok(drawn(ctx, who, headers, made, generated).await.unwrap_or_else(|fail| {
        tracing::warn!(%service, why = %fail.detail, "new passwords could not be shown");
        let text = "Its new passwords could not be shown. Make new ones on this page.";
        go(ctx, &format!("/services/{service}"), Status::Warn, title, text)
    }))
}

async fn drawn(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    made: Made,
    generated: Generated,
) -> Result<Response, Fail> {
    let row = ctx.read().service(made.service).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let service = format!("/services/{}", made.service);
    let task = made.task.map(|task| format!("/tasks/{task}"));
    let shell = Shell::new(ctx, who, headers, "services", made.title)
        .await?
        .crumb("Services", "/services")
        .crumb(row.code.clone(), service.clone());
    let back = task.clone().unwrap_or_else(|| service.clone());
    let Generated { pppoe, wifi } = generated;
    let page = SecretsPage {
        shell,
        title: made.title.to_owned(),
        code: row.code,
        pppoe,
        wifi,
        next: made.next.to_owned(),
        service,
        task,
    };
    let mut response = no_store(html(&page)?);
    response.extensions_mut().insert(ShownOnce(back));
    Ok(response)
}
