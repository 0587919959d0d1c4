//! The pages, one module per subject.

pub(crate) mod audit;
pub(crate) mod authorise;
pub(crate) mod care;
pub(crate) mod cpes;
pub(crate) mod customers;
pub(crate) mod detected;
pub(crate) mod fault_import;
pub(crate) mod faults;
pub(crate) mod firmware;
pub(crate) mod histories;
pub(crate) mod models;
pub(crate) mod olts;
pub(crate) mod onu_change;
pub(crate) mod onus;
pub(crate) mod overview;
pub(crate) mod picker;
pub(crate) mod reach;
pub(crate) mod recordings;
pub(crate) mod search;
mod secrets;
pub(crate) mod service;
mod service_dialogs;
mod service_found;
pub(crate) mod service_orders;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod tasks;

pub(crate) use service_found::port_name;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
};

use crate::{
    auth::{FLASH_COOKIE, cookie, safe_next},
    error::Fail,
    form::Form,
    shell::{Flash, forget_flash},
    state::Ctx,
    view::Status,
};

/// A page or a fragment of one.
pub(crate) fn html(template: &impl Template) -> Result<Response, Fail> {
    Ok(Html(template.render()?).into_response())
}

/// A page that may carry the message of the redirect before it; shows it once.
pub(crate) fn page(ctx: &Ctx, headers: &HeaderMap, template: &impl Template) -> Result<Response, Fail> {
    let mut response = html(template)?;
    if cookie(headers, FLASH_COOKIE).is_some_and(|value| !value.is_empty()) {
        forget_flash(response.headers_mut(), ctx.web.secure_cookies);
    }
    Ok(response)
}

/// A page with a form on it.
pub(crate) trait Filled: Template {
    /// What was typed, and what is wrong with it.
    fn form(&self) -> &Form;
}

macro_rules! filled {
    ($($page:ty),+ $(,)?) => {
        $(impl crate::pages::Filled for $page {
            fn form(&self) -> &crate::form::Form {
                &self.form
            }
        })+
    };
}
pub(crate) use filled;

/// A form that was not acceptable: the same page again, with what was typed, under the status of what was wrong.
pub(crate) fn again(page: &impl Filled) -> Result<Response, Fail> {
    let mut response = html(page)?;
    let (status, retry_after_s) = page.form().refusal();
    *response.status_mut() = status;
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// To another page, with a message.
pub(crate) fn go(
    ctx: &Ctx,
    to: &str,
    s: Status,
    title: impl Into<String>,
    text: impl Into<String>,
) -> Response {
    let mut response = Redirect::to(to).into_response();
    if s == Status::Bad {
        response.extensions_mut().insert(NotDone);
    }
    let flash = Flash { s, title: title.into(), text: text.into() };
    if let Some(value) = flash.cookie(ctx.web.secure_cookies) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Marks an answer that says that nothing was done, so that the same form may be sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotDone;

/// On an answer that shows what is shown once: where the same form leads when it is sent again.
#[derive(Debug, Clone)]
pub(crate) struct ShownOnce(pub(crate) String);

/// Back to where the button was, with what came of it.
pub(crate) fn went(
    ctx: &Ctx,
    back: &str,
    title: &str,
    text: &str,
    result: Result<(), app::AppError>,
) -> Response {
    match result {
        Ok(()) => go(ctx, safe_next(back), Status::Ok, title, text),
        Err(error) => {
            let fail = Fail::from(error);
            go(ctx, safe_next(back), Status::Bad, fail.title, fail.detail)
        }
    }
}

/// A value that a fragment must not be cached under.
pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
