//! The session cookie: 32 random bytes, nothing in them.

use crate::AcsError;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header::COOKIE};

const NAME: &str = "lksession";
const RANDOM_BYTES: usize = 32;
/// Cookies of our name looked at in one request; a CPE may echo those of its last session too.
const MAX_TOKENS: usize = 4;

/// The name of a session. Whoever has it is that session, so it is never logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; RANDOM_BYTES]);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(••••)")
    }
}

impl Token {
    pub(crate) fn random() -> Result<Self, AcsError> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| AcsError::Randomness(error.to_string()))?;
        Ok(Token(bytes))
    }

    /// The value of `Set-Cookie`. `Path=/`: some CPEs take another default path than the standard's. Nothing else:
    /// the other attributes protect browsers, and small parsers trip over them.
    pub(crate) fn set_cookie(&self) -> String {
        format!("{NAME}={}; Path=/", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What the request says about its session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    /// Cookies of ours, the last one first.
    pub(crate) tokens: Vec<Token>,
    /// There was a Cookie header at all. Some CPEs never send any.
    pub(crate) any: bool,
}

/// Reads the cookies. CPEs separate them by commas, echo attributes, quote values, or send several headers.
pub(crate) fn read(headers: &HeaderMap) -> Presented {
    let mut presented = Presented { tokens: Vec::new(), any: false };
    for value in headers.get_all(COOKIE) {
        presented.any = true;
        let Ok(text) = value.to_str() else { continue };
        for pair in text.split([';', ',']).take(64) {
            let Some((name, value)) = pair.split_once('=') else { continue };
            if name.trim() != NAME {
                continue;
            }
            let bytes = URL_SAFE_NO_PAD.decode(value.trim().trim_matches('"')).unwrap_or_default();
            if let Ok(bytes) = <[u8; RANDOM_BYTES]>::try_from(bytes) {
                presented.tokens.insert(0, Token(bytes));
                presented.tokens.truncate(MAX_TOKENS);
            }
        }
    }
    presented
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (COOKIE, HeaderValue::from_str(value).expect("header"))).collect()
    }

    #[test]
    fn every_way_of_echoing_a_cookie() {
        let token = Token::random().expect("randomness");
        let set = token.set_cookie();
        let pair = set.split(';').next().expect("pair");
        let quoted = pair.replacen('=', "=\"", 1) + "\"";
        for header in [
            pair,
            &set,
            &quoted,
            &format!("a=b, {pair}, c=d"),
            &format!("  a=b;{pair} "),
            &format!("{pair};"),
        ] {
            assert_eq!(read(&headers(&[header])).tokens, std::slice::from_ref(&token), "{header}");
        }
        assert_eq!(read(&headers(&["a=b", pair])).tokens, [token]);
        assert!(token_text_is_long(pair));
    }

    fn token_text_is_long(pair: &str) -> bool {
        pair.len() >= NAME.len() + 1 + 43
    }

    #[test]
    fn foreign_and_broken_cookies_are_no_session() {
        let none =
            read(&headers(&["session=cap1; Path=/", "lksession=", "lksession=AAAA", "lksession", "=;,="]));
        assert_eq!(none, Presented { tokens: vec![], any: true });
        assert_eq!(read(&HeaderMap::new()), Presented { tokens: vec![], any: false });
        assert_eq!(format!("{:?}", Token::random().expect("randomness")), "Token(••••)");
    }
}
