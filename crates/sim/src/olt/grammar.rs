//! The command parser of the box: patterns, abbreviations, and the three ways of being wrong with the caret under
//! the offending word.
//!
//! A pattern is words separated by blanks: `word` a keyword (may be abbreviated), `<name:type>` a parameter,
//! `[ … ]` optional, `( … | … )` a choice.

use std::sync::Arc;

/// Longest line the box takes.
pub(crate) const MAX_LINE_CHARS: usize = 1_024;
/// Most words in a line.
const MAX_TOKENS: usize = 64;

/// A parameter type.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Number { lo: u32, hi: u32 },
    Text { max: usize },
    FrameSlot,
    FrameSlotPort,
    Ip,
    Serial,
    OneOf(Vec<String>),
}

#[derive(Debug, Clone)]
enum Node {
    Word(String),
    Param { name: String, kind: Kind },
    Optional(Vec<Node>),
    Choice(Vec<Vec<Node>>),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    nodes: Arc<[Node]>,
}

/// A word of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    text: String,
    column: usize,
    quoted: bool,
}

/// Parameters of a recognised command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Args(Vec<(String, String)>);

impl Args {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn number<T: TryFrom<u32>>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse::<u32>().ok().and_then(|n| T::try_from(n).ok())
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    /// `% Unknown command, the error locates at '^'`
    Unknown { column: usize },
    /// `% Parameter error, the error locates at '^'`
    Parameter { column: usize },
    /// `% Too many parameters, the error locates at '^'`
    TooMany { column: usize },
    /// `% Incomplete command, the error locates at '^'`; what could follow, as the CR prompt shows it.
    Incomplete { column: usize, expected: Vec<String> },
}

/// The furthest a line got over all patterns.
#[derive(Debug, Default)]
pub(crate) struct Best {
    at: usize,
    rank: u8,
    expected: Vec<String>,
}

impl Best {
    fn note(&mut self, at: usize, rank: u8, expected: Option<String>) {
        if (at, rank) > (self.at, self.rank) {
            if at > self.at {
                self.expected.clear();
            }
            self.at = at;
            self.rank = rank;
        }
        if at == self.at
            && let Some(expected) = expected
            && !self.expected.contains(&expected)
        {
            self.expected.push(expected);
        }
    }

    /// As the box reports it.
    pub(crate) fn into_error(self, tokens: &[Token], line: &str) -> SyntaxError {
        let column = tokens.get(self.at).map_or(line.chars().count(), |t| t.column);
        match self.rank {
            4 => SyntaxError::Incomplete { column, expected: self.expected },
            3 => SyntaxError::Parameter { column },
            2 => SyntaxError::TooMany { column },
            _ => SyntaxError::Unknown { column },
        }
    }
}

/// Splits a line into words; double quotes hold blanks together and an unclosed one runs to the end.
pub(crate) fn tokenise(line: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut current: Option<Token> = None;
    let mut in_quotes = false;
    for (column, c) in line.chars().take(MAX_LINE_CHARS).enumerate() {
        if c == '"' {
            in_quotes = !in_quotes;
            let token = current.get_or_insert(Token { text: String::new(), column, quoted: true });
            token.quoted = true;
        } else if c.is_whitespace() && !in_quotes {
            tokens.extend(current.take());
            if tokens.len() >= MAX_TOKENS {
                break;
            }
        } else {
            current.get_or_insert(Token { text: String::new(), column, quoted: false }).text.push(c);
        }
    }
    tokens.extend(current);
    tokens
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Panics
    /// On a malformed pattern: patterns are constants of this crate, checked by a test.
    pub(crate) fn new(pattern: &str) -> Self {
        let mut words = pattern.split_whitespace().peekable();
        let nodes = sequence(&mut words);
        assert!(words.next().is_none(), "unbalanced pattern: {pattern}");
        Pattern { nodes: nodes.into() }
    }

    /// The arguments and the number of keywords matched, if the line is this command.
    pub(crate) fn matches(&self, tokens: &[Token], best: &mut Best) -> Option<(Args, usize)> {
        let mut args = Args::default();
        let frame = Frame { nodes: &self.nodes, next: None };
        go(&frame, tokens, 0, &mut args, 0, best).map(|words| (args, words))
    }
}

fn sequence<'a, I: Iterator<Item = &'a str>>(words: &mut std::iter::Peekable<I>) -> Vec<Node> {
    let mut nodes = Vec::new();
    while let Some(word) = words.peek().copied() {
        match word {
            "]" | ")" | "|" => break,
            "[" => {
                words.next();
                let inner = sequence(words);
                assert_eq!(words.next(), Some("]"), "unclosed [ in a pattern");
                nodes.push(Node::Optional(inner));
            }
            "(" => {
                words.next();
                let mut alternatives = vec![sequence(words)];
                while words.next_if_eq(&"|").is_some() {
                    alternatives.push(sequence(words));
                }
                assert_eq!(words.next(), Some(")"), "unclosed ( in a pattern");
                nodes.push(Node::Choice(alternatives));
            }
            _ => {
                words.next();
                nodes.push(atom(word));
            }
        }
    }
    nodes
}

fn atom(word: &str) -> Node {
    let Some(inner) = word.strip_prefix('<').and_then(|w| w.strip_suffix('>')) else {
        return Node::Word(word.to_owned());
    };
    let (name, kind) = inner.split_once(':').expect("a parameter is <name:type>");
    let kind = match kind {
        "fs" => Kind::FrameSlot,
        "fsp" => Kind::FrameSlotPort,
        "ip" => Kind::Ip,
        "sn" => Kind::Serial,
        "text" => Kind::Text { max: 64 },
        "url" => Kind::Text { max: 256 },
        "vlan" => Kind::Number { lo: 1, hi: 4_093 },
        "ont" => Kind::Number { lo: 0, hi: 127 },
        "port" => Kind::Number { lo: 0, hi: 15 },
        "slot" => Kind::Number { lo: 0, hi: 21 },
        _ if kind.starts_with('{') => {
            Kind::OneOf(kind.trim_matches(['{', '}']).split(',').map(str::to_owned).collect())
        }
        _ => {
            let (lo, hi) = kind.split_once('-').expect("a range is lo-hi");
            Kind::Number { lo: lo.parse().expect("lower bound"), hi: hi.parse().expect("upper bound") }
        }
    };
    Node::Param { name: name.to_owned(), kind }
}

/// What remains of a pattern: the rest of this level, then the rest of the level above.
struct Frame<'a> {
    nodes: &'a [Node],
    next: Option<&'a Frame<'a>>,
}

fn go(
    frame: &Frame<'_>,
    tokens: &[Token],
    at: usize,
    args: &mut Args,
    words: usize,
    best: &mut Best,
) -> Option<usize> {
    let Some((node, rest)) = frame.nodes.split_first() else {
        return match frame.next {
            Some(next) => go(next, tokens, at, args, words, best),
            None if at == tokens.len() => Some(words),
            None => {
                // The box calls it a wrong parameter where it had some, e.g. a form of another view.
                best.note(at, if args.0.is_empty() { 2 } else { 3 }, None);
                None
            }
        };
    };
    let rest = Frame { nodes: rest, next: frame.next };
    match node {
        Node::Word(word) => match tokens.get(at) {
            None => {
                best.note(at, 4, Some(format!("{word}<K>")));
                None
            }
            Some(token) if is_word(token, word) => {
                // A word typed in full outweighs any number of abbreviations.
                let weight = if token.text.eq_ignore_ascii_case(word) { 100 } else { 1 };
                go(&rest, tokens, at + 1, args, words + weight, best)
            }
            Some(_) => {
                best.note(at, 1, None);
                None
            }
        },
        Node::Param { name, kind } => match tokens.get(at) {
            None => {
                best.note(at, 4, Some(describe(name, kind)));
                None
            }
            Some(token) => match accept(kind, token) {
                Some(value) => {
                    args.0.push((name.clone(), value));
                    let found = go(&rest, tokens, at + 1, args, words, best);
                    if found.is_none() {
                        args.0.pop();
                    }
                    found
                }
                None => {
                    best.note(at, 3, None);
                    None
                }
            },
        },
        Node::Optional(inner) => {
            let with = Frame { nodes: inner, next: Some(&rest) };
            go(&with, tokens, at, args, words, best).or_else(|| go(&rest, tokens, at, args, words, best))
        }
        Node::Choice(alternatives) => alternatives.iter().find_map(|nodes| {
            let with = Frame { nodes, next: Some(&rest) };
            go(&with, tokens, at, args, words, best)
        }),
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    let typed = token.text.as_bytes();
    !token.quoted
        && typed.len() <= word.len()
        && (typed.len() >= 2 || typed.len() == word.len())
        && typed.eq_ignore_ascii_case(&word.as_bytes()[..typed.len()])
}

fn describe(name: &str, kind: &Kind) -> String {
    match kind {
        Kind::Number { lo, hi } => format!("{name}<U><{lo},{hi}>"),
        Kind::Text { max } => format!("{name}<S><Length 1-{max}>"),
        Kind::FrameSlot | Kind::FrameSlotPort => format!("{name}<S><Length 1-15>"),
        Kind::Ip => format!("{name}<I><X.X.X.X>"),
        Kind::Serial => format!("{name}<S><Length 12-16>"),
        Kind::OneOf(words) => format!("{name}<E><{}>", words.join(",")),
    }
}

fn accept(kind: &Kind, token: &Token) -> Option<String> {
    let text = token.text.as_str();
    let numbers = |want: usize| {
        let parts: Vec<Option<u8>> = text.split('/').map(|p| p.parse().ok()).collect();
        (parts.len() == want && parts.iter().all(Option::is_some)).then(|| text.to_owned())
    };
    match kind {
        Kind::Number { lo, hi } => {
            text.parse::<u32>().ok().filter(|n| n >= lo && n <= hi).map(|n| n.to_string())
        }
        Kind::Text { max } => {
            ((token.quoted || !text.is_empty()) && text.chars().count() <= *max).then(|| text.to_owned())
        }
        Kind::FrameSlot => numbers(2),
        Kind::FrameSlotPort => numbers(3),
        Kind::Ip => text.parse::<std::net::Ipv4Addr>().ok().map(|ip| ip.to_string()),
        Kind::Serial => text.parse::<types::Serial>().ok().map(|serial| serial.hex16()),
        Kind::OneOf(words) => {
            words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| word.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pattern: &str, line: &str) -> Result<Args, SyntaxError> {
        let tokens = tokenise(line);
        let mut best = Best::default();
        Pattern::new(pattern)
            .matches(&tokens, &mut best)
            .map(|(args, _)| args)
            .ok_or_else(|| best.into_error(&tokens, line))
    }

    const ADD: &str = "ont add <p:port> [ <o:ont> ] sn-auth <sn:sn> omci ont-lineprofile-id <lp:0-8192> \
                       ont-srvprofile-id <sp:0-8192> [ desc <desc:text> ]";

    #[test]
    fn quoted_words_and_optional_parts() {
        let args = parse(
            ADD,
            "ont add 3 sn-auth \"485754437D4733C3\" omci ont-lineprofile-id 10 ont-srvprofile-id 20 desc \"a b\"",
        )
        .expect("complete");
        assert_eq!(args.text("desc"), Some("a b"));
        assert_eq!(args.number::<u8>("o"), None);
        assert_eq!(args.number::<u8>("p"), Some(3));
        let args =
            parse(ADD, "ont add 3 7 sn-auth HWTC-7D4733C3 omci ont-lineprofile-id 10 ont-srvprofile-id 20")
                .expect("with id");
        assert_eq!(args.number::<u8>("o"), Some(7));
        assert_eq!(args.text("sn"), Some("485754437D4733C3"));
    }

    #[test]
    fn the_caret_is_under_the_word_that_is_wrong() {
        assert_eq!(parse(ADD, "ont bogus"), Err(SyntaxError::Unknown { column: 4 }));
        assert_eq!(parse(ADD, "ont add 99 sn-auth"), Err(SyntaxError::Parameter { column: 8 }));
        assert_eq!(parse("display version", "display version 1"), Err(SyntaxError::TooMany { column: 16 }));
        match parse(ADD, "ont add 3") {
            Err(SyntaxError::Incomplete { column: 9, expected }) => {
                assert_eq!(expected, ["o<U><0,127>", "sn-auth<K>"]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn abbreviations_are_understood() {
        assert!(parse("display ont info <p:port> all", "disp ont inf 3 all").is_ok());
        assert!(parse("display ont info", "d ont info").is_err(), "one letter is ambiguous");
    }

    #[test]
    fn hostile_lines_cost_nothing() {
        let long = "ont add ".to_owned() + &"\"a ".repeat(100_000);
        assert!(parse(ADD, &long).is_err());
        assert!(tokenise(&"a ".repeat(100_000)).len() <= MAX_TOKENS + 1);
    }
}
