//! The dialogs of the service page: each begins with what is wanted now, and one that was refused is open again with what
//! was typed.

use axum::http::StatusCode;
use store::read::ServiceRow;

use super::service_found::Wishes;
use crate::{form::Form, view::Html};

/// The forms in the dialogs, by the id of the dialog.
pub(super) struct Dialogs {
    forms: Vec<(&'static str, Form)>,
    open: Option<&'static str>,
    nothing: Form,
}

impl Dialogs {
    /// As they are when nobody has typed anything.
    pub(super) fn of_service(row: &ServiceRow, wishes: &Wishes) -> Dialogs {
        let mut correct = Form::default();
        correct.set("version", row.version).set("address", &row.address).set(
            "expected_serial",
            row.expected_serial.as_deref().map_or_else(String::new, crate::view::serial),
        );
        let forms = vec![
            ("wifi", wishes.wifi_form()),
            ("internet", wishes.internet_form(row.pppoe_login.as_deref().unwrap_or_default())),
            ("lan", wishes.lan_form()),
            ("correct", correct),
        ];
        Dialogs { forms, open: None, nothing: Form::default() }
    }

    /// This one was refused. Secrets are not sent back: they have no field that shows them.
    pub(super) fn refused(mut self, id: &'static str, mut form: Form) -> Dialogs {
        // Whoever was overtaken is told what is so now, and may decide again. After any other refusal the form still stands
        // by what it began with.
        if form.refusal().0 == StatusCode::CONFLICT && form.is_on("version") {
            let now = self.of(id).val("version").to_owned();
            form.set("version", now);
        }
        self.forms.retain(|(known, _)| *known != id);
        self.forms.push((id, form));
        self.open = Some(id);
        self
    }

    pub(super) fn of(&self, id: &str) -> &Form {
        self.forms.iter().find(|(known, _)| *known == id).map_or(&self.nothing, |(_, form)| form)
    }

    /// Says that this one is to be open.
    pub(super) fn now(&self, id: &str) -> Html {
        if self.open == Some(id) { Html::trusted(" data-now".to_owned()) } else { Html::default() }
    }

    /// The one that was refused.
    pub(super) fn refusal(&self) -> &Form {
        self.of(self.open.unwrap_or_default())
    }
}
