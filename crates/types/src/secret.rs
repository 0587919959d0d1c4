//! Text that must never reach a log, a page or an error message.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A password, key or passphrase. `Debug` and `Display` show dots; the memory is wiped on drop; comparison takes
/// the same time wherever the difference is. Serialises as the plain text, so only ever inside something that is
/// encrypted as a whole.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// No look-alikes (0 O 1 l I): people read these aloud on the phone.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The plain text. Call it where the secret leaves for its one destination, nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A fresh random secret of `length` characters, five bits each, from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random(length: usize) -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0u8; length];
        getrandom::fill(&mut bytes)?;
        Ok(Secret(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(••••)" })
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "••••••••" })
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn random_secrets_differ_and_have_no_look_alikes() {
        let (a, b) = (Secret::random(20).expect("randomness"), Secret::random(20).expect("randomness"));
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), 20);
        assert!(!a.expose().contains(['0', 'O', '1', 'l', 'I']));
    }
}
