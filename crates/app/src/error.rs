//! What can go wrong with a command, as people should read it.

use store::StoreError;

/// One field of a form or body that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Name of the field as the API spells it.
    pub field: String,
    /// What is wrong, and what is wanted.
    pub message: String,
}

/// Why a command was not carried out. `Display` is the sentence for the operator; edges map the variant to a status.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// It does not exist (or the caller may not know that it does).
    #[error("{0}")]
    NotFound(String),
    /// The caller may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// Not logged in, or wrong name or password.
    #[error("{0}")]
    Unauthenticated(String),
    /// Too many attempts.
    #[error("Too many attempts. Try again in {retry_after_s} s.")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// The input is not acceptable.
    #[error("{}", fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect::<Vec<_>>().join(" "))]
    Invalid {
        /// Field by field.
        fields: Vec<FieldError>,
    },
    /// It cannot be done in the present state; the sentence says which state and what to do.
    #[error("{0}")]
    Conflict(String),
    /// Something it needs does not answer now.
    #[error("{0}")]
    Unavailable(String),
    /// The database refused or failed.
    #[error("The database could not do this: {0}. Nothing was changed.")]
    Store(#[from] StoreError),
    /// Ours to fix; logged with the same words.
    #[error("Lightkeeper failed at this: {0}. Nothing was sent to a device.")]
    Internal(String),
}

impl AppError {
    /// One bad field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        AppError::Invalid { fields: vec![FieldError { field: field.to_owned(), message: message.into() }] }
    }
}

/// Collects what is wrong with an input, so that a person hears of all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<FieldError>);

impl Checks {
    pub(crate) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// A text that must be there, `max` characters at most, free of control characters.
    pub(crate) fn text(&mut self, field: &str, value: &str, max: usize) {
        if value.trim().is_empty() {
            self.wrong(field, "is empty; it is needed.");
        }
        self.optional(field, value, max);
    }

    /// A text that may be empty, `max` characters at most, free of control characters.
    pub(crate) fn optional(&mut self, field: &str, value: &str, max: usize) {
        let length = value.chars().count();
        if length > max {
            self.wrong(field, format!("is {length} characters long; {max} is the most."));
        }
        if value.chars().any(|c| c.is_control() && c != '\n') {
            self.wrong(field, "holds control characters; remove them.");
        }
    }

    pub(crate) fn vlan(&mut self, field: &str, vlan: u16) {
        if !(1..=4094).contains(&vlan) {
            self.wrong(field, format!("{vlan} is not a VLAN; 1 to 4094 are."));
        }
    }

    /// Something is wrong with the field already.
    pub(crate) fn is_wrong(&self, field: &str) -> bool {
        self.0.iter().any(|wrong| wrong.field == field)
    }

    pub(crate) fn into_fields(self) -> Vec<FieldError> {
        self.0
    }

    pub(crate) fn done(self) -> Result<(), AppError> {
        if self.0.is_empty() { Ok(()) } else { Err(AppError::Invalid { fields: self.0 }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut checks = Checks::default();
        checks.text("name", " ", 10);
        checks.vlan("vlan", 4095);
        checks.optional("note", "a\u{7}b", 10);
        let Err(AppError::Invalid { fields }) = checks.done() else { panic!("three things are wrong") };
        assert_eq!(fields.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["name", "vlan", "note"]);
    }
}
