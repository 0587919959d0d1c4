//! `WWW-Authenticate` and `Authorization` as they are really written: commas missing, quotes missing, blanks
//! around `=`, several challenges in one header or in several.

/// A challenge or a credential: the scheme and its parameters in order of appearance.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Lower case, e.g. `digest`.
    pub scheme: String,
    /// What follows.
    pub parameters: Parameters,
}

impl std::fmt::Debug for Challenge {
    /// Names only: among the values are password hashes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.parameters.0.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "{} {names:?}", self.scheme)
    }
}

/// Parameters of a challenge; names are lower case.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Parameters(Vec<(String, String)>);

/// Bytes of header looked at.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Parameters looked at, over all challenges of a header.
const MAX_PARAMETERS: usize = 64;

impl Parameters {
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads all challenges of one header value. Never fails: what makes no sense is left out.
pub fn parse_challenges(header: &str) -> Vec<Challenge> {
    let header: Vec<char> = header.chars().take(MAX_HEADER_BYTES).collect();
    let mut reader = Reader { header: &header, at: 0 };
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut parameters = 0;
    loop {
        reader.skip(|c| c.is_whitespace() || matches!(c, ',' | ';'));
        let name = reader.take(|c| !c.is_whitespace() && !matches!(c, ',' | ';' | '=' | '"'));
        if name.is_empty() {
            if !reader.advance() {
                return challenges;
            }
            continue;
        }
        reader.skip(char::is_whitespace);
        if reader.peek() == Some('=') {
            reader.advance();
            let value = reader.value();
            parameters += 1;
            if let Some(challenge) = challenges.last_mut()
                && parameters <= MAX_PARAMETERS
            {
                challenge.parameters.0.push((name.to_ascii_lowercase(), value));
            }
        } else if challenges.len() < 8 {
            challenges
                .push(Challenge { scheme: name.to_ascii_lowercase(), parameters: Parameters::default() });
        } else {
            return challenges;
        }
    }
}

struct Reader<'h> {
    header: &'h [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.header.get(self.at).copied()
    }

    fn advance(&mut self) -> bool {
        self.at += 1;
        self.at <= self.header.len()
    }

    fn skip(&mut self, which: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&which) {
            self.at += 1;
        }
    }

    fn take(&mut self, which: impl Fn(char) -> bool) -> String {
        let start = self.at;
        self.skip(which);
        self.header[start..self.at].iter().collect()
    }

    fn value(&mut self) -> String {
        self.skip(|c| c == ' ' || c == '\t');
        if self.peek() != Some('"') {
            // `qop=auth,auth-int` unquoted reads as `auth`, which is what we want of it anyway.
            return self.take(|c| !c.is_whitespace() && !matches!(c, ',' | ';'));
        }
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => break,
                '\\' => {
                    if let Some(escaped) = self.peek() {
                        value.push(escaped);
                        self.at += 1;
                    }
                }
                c => value.push(c),
            }
        }
        value
    }
}

/// As a quoted string.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
