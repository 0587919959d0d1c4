//! Rendering of command lines. A parameter can never become a second command: control characters and the characters
//! that a CLI acts on are refused before rendering, and the rendered line is checked again.

use std::collections::BTreeMap;

/// A value for a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// A whole number.
    Number(i64),
    /// A text, already fit for the OLT (see [`crate::sanitise`]).
    Text(String),
    /// Deliberately nothing; templates test it with `is none` or truth.
    Nothing,
}

macro_rules! from_number {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Parameter {
            fn from(value: $kind) -> Self {
                Parameter::Number(i64::from(value))
            }
        }
    )*};
}
from_number!(u8, u16, u32, i32, i64);

impl From<&str> for Parameter {
    fn from(value: &str) -> Self {
        Parameter::Text(value.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(value: String) -> Self {
        Parameter::Text(value)
    }
}

impl<T: Into<Parameter>> From<Option<T>> for Parameter {
    fn from(value: Option<T>) -> Self {
        value.map_or(Parameter::Nothing, Into::into)
    }
}

/// Values by name.
pub type Parameters = BTreeMap<String, Parameter>;

/// Builds [`Parameters`].
pub fn parameters<const N: usize>(pairs: [(&str, Parameter); N]) -> Parameters {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Why a line could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The dialect has no such command.
    #[error("this OLT family has no command {0:?} in its dialect")]
    NoSuchCommand(String),
    /// The dialect has no such mode.
    #[error("this OLT family has no mode {0:?} in its dialect")]
    NoSuchMode(String),
    /// A value holds a character that a CLI would act on.
    #[error("the value of {name} holds {character:?}, which may not be sent to an OLT")]
    Forbidden {
        /// Which value.
        name: String,
        /// The offending character.
        character: char,
    },
    /// The template failed.
    #[error("the template {template:?} cannot be filled: {reason}")]
    Render {
        /// The template.
        template: String,
        /// Why.
        reason: String,
    },
    /// Longer than the OLT takes.
    #[error("the line is {length} bytes long, the OLT takes {max}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
}

/// Enough for any command line, too little to loop for long.
const FUEL: u64 = 5_000;

/// `?` opens the help in the middle of a line, quotes end a quoted text, `|` is a filter.
fn is_forbidden(character: char) -> bool {
    !character.is_ascii() || character.is_ascii_control() || matches!(character, '"' | '\'' | '`' | '?' | '|')
}

fn environment() -> minijinja::Environment<'static> {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// Compiles a template without filling it.
///
/// # Errors
/// The compiler's words.
pub fn check(template: &str) -> Result<(), TemplateError> {
    if template.contains(['\n', '\r']) {
        return Err(TemplateError::Render {
            template: template.to_owned(),
            reason: "a command is one line".to_owned(),
        });
    }
    environment()
        .template_from_str(template)
        .map(drop)
        .map_err(|e| TemplateError::Render { template: template.to_owned(), reason: e.to_string() })
}

/// Fills a template into one line of printable ASCII of at most `max` bytes.
///
/// # Errors
/// [`TemplateError`]; nothing half-filled is ever returned.
pub fn render(template: &str, parameters: &Parameters, max: usize) -> Result<String, TemplateError> {
    for (name, value) in parameters {
        if let Parameter::Text(text) = value
            && let Some(character) = text.chars().find(|c| is_forbidden(*c))
        {
            return Err(TemplateError::Forbidden { name: name.clone(), character });
        }
    }
    let context: BTreeMap<&str, minijinja::Value> = parameters
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Parameter::Number(number) => minijinja::Value::from(*number),
                Parameter::Text(text) => minijinja::Value::from(text.as_str()),
                Parameter::Nothing => minijinja::Value::from(()),
            };
            (name.as_str(), value)
        })
        .collect();
    let failed = |reason: String| TemplateError::Render { template: template.to_owned(), reason };
    let line = environment()
        .template_from_str(template)
        .and_then(|t| t.render(context))
        .map_err(|e| failed(e.to_string()))?;
    if line.len() > max {
        return Err(TemplateError::TooLong { length: line.len(), max });
    }
    if let Some(character) = line.chars().find(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(failed(format!("the line holds {character:?}")));
    }
    if line.trim() != line || line.starts_with('!') {
        return Err(failed("the line starts or ends with a blank, or starts with `!`".to_owned()));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn missing_values_and_endless_loops_are_refused() {
        let none = Parameters::new();
        assert!(matches!(render("ont delete {{ port }}", &none, 100), Err(TemplateError::Render { .. })));
        let endless = "{% for a in range(100000) %}{{ a }}{% endfor %}";
        assert!(matches!(render(endless, &none, 100), Err(TemplateError::Render { .. })));
        assert!(check("two\nlines").is_err());
        assert_eq!(
            render("{{ a }}", &parameters([("a", "x".repeat(20).into())]), 10),
            Err(TemplateError::TooLong { length: 20, max: 10 })
        );
    }

    #[test]
    fn nothing_is_not_missing() {
        let template = "a{% if x is not none %} {{ x }}{% endif %}";
        assert_eq!(render(template, &parameters([("x", Parameter::Nothing)]), 100), Ok("a".to_owned()));
        assert_eq!(render(template, &parameters([("x", 7.into())]), 100), Ok("a 7".to_owned()));
    }

    proptest! {
        #[test]
        fn a_value_never_becomes_a_second_command(text in "\\PC{0,20}|.{0,20}", control in any::<char>()) {
            let value = format!("{text}{control}");
            match render("desc \"{{ a }}\"", &parameters([("a", value.clone().into())]), 400) {
                Ok(line) => {
                    prop_assert_eq!(line.matches('"').count(), 2);
                    prop_assert!(line.bytes().all(|b| (0x20..0x7F).contains(&b)));
                    prop_assert!(!line.contains(['?', '|']));
                }
                Err(TemplateError::Forbidden { .. }) => {}
                Err(other) => prop_assert!(false, "{other:?} for {value:?}"),
            }
        }
    }
}
