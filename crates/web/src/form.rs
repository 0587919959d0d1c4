//! Forms: what was typed stays when something is wrong, and every mistake is said beside its field.

use app::FieldError;
use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};

use crate::{
    body,
    error::Fail,
    list::form_pairs,
    view::{Html, escape},
};

/// The fields of a form, as typed, with what is wrong with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    values: Vec<(String, String)>,
    errors: Vec<FieldError>,
    general: String,
    refusal: Option<(StatusCode, Option<u32>)>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Fail;
    async fn from_request(request: Request, _: &S) -> Result<Self, Fail> {
        let (parts, body) = request.into_parts();
        let bytes = body::whole(&parts.extensions, body).await?;
        Ok(Form {
            values: form_pairs(&String::from_utf8_lossy(&bytes)).take(200).collect(),
            ..Form::default()
        })
    }
}

impl Form {
    pub(crate) fn parse(query: &str) -> Self {
        Form { values: form_pairs(query).take(200).collect(), ..Form::default() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.values.retain(|(key, _)| key != name);
        self.values.push((name.to_owned(), value.to_string()));
        self
    }

    /// What was typed, empty if nothing was.
    pub(crate) fn val(&self, name: &str) -> &str {
        self.values.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn opt(&self, name: &str) -> Option<String> {
        Some(self.val(name).trim()).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.values.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Names of the fields that were sent.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(key, _)| key.as_str())
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        !self.val(name).is_empty()
    }

    /// A number; what is no number is noted as wrong and becomes the fallback.
    pub(crate) fn number<T: std::str::FromStr + Default>(&mut self, name: &str) -> T {
        let text = self.val(name).trim().to_owned();
        text.parse().unwrap_or_else(|_| {
            self.wrong(name, format!("{text:?} is not a whole number that fits here."));
            T::default()
        })
    }

    /// A number, or nothing.
    pub(crate) fn optional_number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.opt(name)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.wrong(name, format!("{text:?} is not a whole number that fits here."));
        }
        number
    }

    /// `12.50` as thousandths or hundredths: exact, no floating point. `digits` behind the point are kept.
    pub(crate) fn decimal(&mut self, name: &str, field: &str, digits: usize) -> i64 {
        let text = self.val(name).trim().replace(',', ".");
        match fixed_point(&text, digits) {
            Some(value) => value,
            None => {
                self.wrong(
                    field,
                    format!("{text:?} is not an amount with at most {digits} digits behind the point."),
                );
                0
            }
        }
    }

    pub(crate) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// Secrets are never sent back with a form: says so at those that were typed, whose fields come back empty.
    pub(crate) fn forgets(&mut self, secrets: &[&str]) {
        for name in secrets {
            if self.is_on(name) && self.errors_of(name).next().is_none() {
                self.wrong(name, "does not come back with a refused form: type it again.");
            }
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty() || !self.general.is_empty()
    }

    /// Takes over what a command found wrong.
    pub(crate) fn take(&mut self, fail: Fail) {
        self.refusal = Some((fail.status, fail.retry_after_s));
        if fail.fields.is_empty() {
            self.general = fail.detail;
        } else {
            self.errors.extend(fail.fields);
        }
    }

    /// The status that the refused form is answered with, and when to try again, in seconds, where waiting helps.
    pub(crate) fn refusal(&self) -> (StatusCode, Option<u32>) {
        self.refusal.unwrap_or((StatusCode::UNPROCESSABLE_ENTITY, None))
    }

    pub(crate) fn selected(&self, name: &str, value: impl ToString) -> &'static str {
        if self.val(name) == value.to_string() { "selected" } else { "" }
    }

    fn errors_of<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a FieldError> {
        self.errors
            .iter()
            .filter(move |error| error.field == field || error.field.rsplit('.').next() == Some(field))
    }

    /// `aria-invalid` and the id of the message, if something is wrong with the field.
    pub(crate) fn invalid(&self, field: &str) -> Html {
        if self.errors_of(field).next().is_none() {
            return Html::default();
        }
        Html::trusted(format!(" aria-invalid=\"true\" aria-describedby=\"e-{}\"", escape(field)))
    }

    /// What is wrong with the field.
    pub(crate) fn error(&self, field: &str) -> Html {
        let messages: Vec<String> = self.errors_of(field).map(|error| escape(&error.message)).collect();
        if messages.is_empty() {
            return Html::default();
        }
        Html::trusted(format!("<p class=\"lk-err\" id=\"e-{}\">{}</p>", escape(field), messages.join(" ")))
    }

    /// What is wrong altogether, above the form.
    pub(crate) fn summary(&self) -> Html {
        if !self.has_errors() {
            return Html::default();
        }
        let text = if self.general.is_empty() {
            let fields: Vec<String> = self
                .errors
                .iter()
                .map(|error| {
                    format!(
                        "<b>{}</b> {}",
                        escape(&error.field.replace(['_', '.'], " ")),
                        escape(&error.message)
                    )
                })
                .collect();
            format!("<b>Nothing was saved.</b> {}", fields.join(" "))
        } else {
            format!("<b>Nothing was saved.</b> {}", escape(&self.general))
        };
        Html::trusted(format!(
            "<div class=\"lk-note lk-gap\" data-s=\"bad\" role=\"alert\"><span class=\"lk-mark\" data-s=\"bad\" aria-hidden=\"true\"></span><p>{text}</p></div>"
        ))
    }
}

fn fixed_point(text: &str, digits: usize) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.len() > digits || !plain(whole) || !plain(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<digits$}").parse().ok()
}

/// The inverse of [`Form::decimal`]: `1250` with two digits is `12.50`; no digits behind the point if they are zero.
pub(crate) fn spell_decimal(value: i64, digits: u32) -> String {
    let unit = 10_i64.pow(digits.min(6));
    if unit == 1 || value % unit == 0 {
        return (value / unit).to_string();
    }
    format!("{}.{:0width$}", value / unit, (value % unit).abs(), width = digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(fixed_point("32", 2), Some(3200));
        assert_eq!(fixed_point("32.5", 2), Some(3250));
        assert_eq!(fixed_point("0.07", 2), Some(7));
        for wrong in ["", "-1", "1.234", "1e3", "x", "1.2.3"] {
            assert_eq!(fixed_point(wrong, 2), None, "{wrong}");
        }
        assert_eq!(spell_decimal(3250, 2), "32.50");
        assert_eq!(spell_decimal(500_000, 3), "500");
    }

    #[test]
    fn what_is_wrong_is_said_beside_the_field_and_escaped() {
        let mut form = Form::parse("vlan=%3Cb%3E&name=x");
        let vlan: Option<u16> = form.optional_number("vlan");
        assert_eq!(vlan, None);
        assert!(form.error("vlan").as_str().contains("&lt;b&gt;"), "{}", form.error("vlan"));
        assert!(form.summary().as_str().contains("Nothing was saved."));
        assert_eq!(form.error("name").as_str(), "");
    }
}
