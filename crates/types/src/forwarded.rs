//! Whom a proxy speaks for, from `X-Forwarded-For` and `X-Forwarded-Proto`, or from `Forwarded` (RFC 7239).
//!
//! Anybody can write these headers. They are looked at only where the peer itself is a proxy that the operator named,
//! and then from the right, because every proxy adds to the right what it saw itself: the first address from there
//! that is no proxy of ours is the client. What stands further left is the client's word.
//!
//! `X-Forwarded-Proto` has no such order that everybody keeps: some proxies write one word for the whole way, some add one
//! per proxy. So one word counts, and a list counts where it has a word for each address of `X-Forwarded-For`; of any other
//! list nobody knows which word is whose. What is said and not understood is no word for TLS: it counts as plain HTTP, and
//! only where nothing is said at all may the proxy's own connection speak for the client's. A proxy that hands on what a
//! client wrote cannot be told from one that writes it itself: it has to overwrite the header.

use std::net::{IpAddr, SocketAddr};

/// Proxies in a row that are looked through; a longer list was not made by proxies.
const LONGEST_CHAIN: usize = 16;

/// The headers of one request, line by line in the order they came.
#[derive(Debug, Clone, Default)]
pub struct ForwardedHeaders<'h> {
    /// Values of `X-Forwarded-For`.
    pub x_forwarded_for: Vec<&'h str>,
    /// Values of `X-Forwarded-Proto`.
    pub x_forwarded_proto: Vec<&'h str>,
    /// Values of `Forwarded`.
    pub forwarded: Vec<&'h str>,
}

impl<'h> ForwardedHeaders<'h> {
    /// The lines of one header. One that is no text stands for itself as an empty line: left out, the address that a
    /// proxy added to it would be gone, and what the client wrote into another header would be believed instead.
    pub fn lines(values: impl Iterator<Item = &'h [u8]>) -> Vec<&'h str> {
        values.map(|value| std::str::from_utf8(value).unwrap_or_default()).collect()
    }
}

/// Who made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The peer itself: it is no proxy of ours, and what its headers say counts for nothing.
    Peer(IpAddr),
    /// A client behind proxies of ours.
    Client {
        /// Its address, as the first of our proxies saw it.
        address: IpAddr,
        /// Whether it spoke TLS to that proxy; none if nothing is said of it. What is said and not understood is no.
        https: Option<bool>,
    },
    /// A proxy of ours that does not say for whom it speaks.
    Unsaid(IpAddr),
    /// `Forwarded` and `X-Forwarded-For` name different clients. A proxy writes one of them and hands on the other as it
    /// came, so one is the client's own word, and nobody knows which.
    Contradiction,
}

impl Speaker {
    /// Who made the request that `peer` sent.
    pub fn of(peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool, headers: &ForwardedHeaders<'_>) -> Speaker {
        let peer = peer.to_canonical();
        if !is_trusted(peer) {
            return Speaker::Peer(peer);
        }
        let addresses: Vec<&str> = headers.x_forwarded_for.iter().flat_map(|line| line.split(',')).collect();
        let words: Vec<&str> = headers.x_forwarded_proto.iter().flat_map(|line| line.split(',')).collect();
        let said = |at: usize| match words.as_slice() {
            [] => None,
            [one] => Some(is_https(one)),
            many if many.len() == addresses.len() => Some(many.get(at).is_some_and(|word| is_https(word))),
            _ => Some(false),
        };
        let chain = addresses.iter().enumerate().map(|(at, text)| (address(text), said(at)));
        let plain = client(chain.collect(), &is_trusted);
        let elements = headers.forwarded.iter().flat_map(|line| split(line, ','));
        let standard = client(elements.map(element).collect(), &is_trusted);
        match (plain, standard) {
            (Found::Nobody, Found::Nobody) => Speaker::Unsaid(peer),
            (Found::Hidden, Found::Nobody | Found::Hidden) | (Found::Nobody, Found::Hidden) => {
                Speaker::Unsaid(peer)
            }
            (Found::Client(address, https), Found::Nobody) => Speaker::Client { address, https },
            // A word beside `Forwarded` has no address: it may be the client's own, and then it is no proof of TLS.
            (Found::Nobody, Found::Client(address, https)) => {
                let denied = said(0) == Some(false);
                Speaker::Client { address, https: if denied { Some(false) } else { https } }
            }
            (Found::Client(one, said), Found::Client(other, https)) if one == other => {
                // The two may differ on TLS as well: then it was none.
                let agreed = match (said, https) {
                    (Some(said), Some(https)) => Some(said && https),
                    (said, https) => said.or(https),
                };
                Speaker::Client { address: one, https: agreed }
            }
            (Found::Client(..) | Found::Hidden, Found::Client(..)) | (Found::Client(..), Found::Hidden) => {
                Speaker::Contradiction
            }
        }
    }
}

/// What one header says.
enum Found {
    /// It is not there.
    Nobody,
    /// Its first word from the right that is no proxy of ours is no address (`unknown`, `_hidden`).
    Hidden,
    Client(IpAddr, Option<bool>),
}

fn client(chain: Vec<(Option<IpAddr>, Option<bool>)>, is_trusted: &impl Fn(IpAddr) -> bool) -> Found {
    let mut outermost = Found::Nobody;
    for (address, https) in chain.into_iter().rev().take(LONGEST_CHAIN) {
        let Some(address) = address else { return Found::Hidden };
        outermost = Found::Client(address, https);
        if !is_trusted(address) {
            break;
        }
    }
    outermost
}

/// `for=192.0.2.60;proto=https`.
fn element(text: &str) -> (Option<IpAddr>, Option<bool>) {
    let (mut whom, mut https) = (None, None);
    for pair in split(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => whom = address(value),
            "proto" => https = Some(is_https(value)),
            _ => {}
        }
    }
    (whom, https)
}

/// Parts between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:4711"`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

/// Whatever else it says, it does not say TLS.
fn is_https(text: &str) -> bool {
    text.trim().trim_matches('"').eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// `10.0.0.0/8` are our proxies.
    fn ours(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10)
    }

    fn x<'h>(list: &'h str, proto: &'h str) -> ForwardedHeaders<'h> {
        ForwardedHeaders {
            x_forwarded_for: vec![list],
            x_forwarded_proto: (!proto.is_empty()).then_some(proto).into_iter().collect(),
            forwarded: Vec::new(),
        }
    }

    fn standard(list: &str) -> ForwardedHeaders<'_> {
        ForwardedHeaders { forwarded: vec![list], ..ForwardedHeaders::default() }
    }

    fn said(headers: &ForwardedHeaders<'_>) -> Speaker {
        Speaker::of(ip("10.0.0.1"), ours, headers)
    }

    fn is(address: &str, https: Option<bool>) -> Speaker {
        Speaker::Client { address: ip(address), https }
    }

    #[test]
    fn a_peer_that_is_no_proxy_of_ours_says_what_it_likes() {
        let headers =
            ForwardedHeaders { forwarded: vec!["for=192.0.2.9;proto=https"], ..x("192.0.2.9", "https") };
        let mapped = ip("::ffff:198.51.100.7");
        assert_eq!(Speaker::of(mapped, ours, &headers), Speaker::Peer(ip("198.51.100.7")));
    }

    #[test]
    fn the_rightmost_that_is_no_proxy_of_ours_is_the_client() {
        assert_eq!(said(&x("192.0.2.9", "")), is("192.0.2.9", None));
        // What a client wrote itself stands further left.
        assert_eq!(said(&x("203.0.113.1, 192.0.2.9", "https")), is("192.0.2.9", Some(true)));
        assert_eq!(said(&x("203.0.113.1, 192.0.2.9, 10.0.0.2", "http")), is("192.0.2.9", Some(false)));
        // On several lines it is one list.
        let lines = ForwardedHeaders {
            x_forwarded_for: vec!["10.0.0.9", "192.0.2.9 , 10.0.0.2"],
            ..ForwardedHeaders::default()
        };
        assert_eq!(said(&lines), is("192.0.2.9", None));
        // A proxy of ours that asks for itself.
        assert_eq!(said(&x("10.0.0.7, 10.0.0.2", "")), is("10.0.0.7", None));
    }

    #[test]
    fn the_standard_header_with_its_quotes_and_ports() {
        let text = "for=203.0.113.1, For=\"[2001:db8:cafe::17]:4711\";Proto=HTTPS;by=10.0.0.2";
        assert_eq!(said(&standard(text)), is("2001:db8:cafe::17", Some(true)));
        let quoted = "for=192.0.2.9;ext=\"a, \\\" for=203.0.113.1; x\";proto=http";
        assert_eq!(said(&standard(quoted)), is("192.0.2.9", Some(false)));
        assert_eq!(said(&x("192.0.2.9:5060", "")), is("192.0.2.9", None));
        assert_eq!(said(&x("2001:db8::1", "")), is("2001:db8::1", None));
    }

    #[test]
    fn what_is_hidden_or_missing_is_not_guessed() {
        let nobody = Speaker::Unsaid(ip("10.0.0.1"));
        assert_eq!(said(&ForwardedHeaders::default()), nobody);
        for text in ["unknown", "", "192.0.2.9, garbage", "192.0.2.9,", "999.0.0.1"] {
            assert_eq!(said(&x(text, "")), nobody, "{text:?}");
        }
        for text in ["for=_hidden", "proto=https", "192.0.2.9", "for=\"192.0.2.9"] {
            let spoken = said(&standard(text));
            assert!(spoken == nobody || text.contains('"') && spoken == is("192.0.2.9", None), "{text:?}");
        }
    }

    #[test]
    fn two_headers_that_differ_are_told_apart_from_two_that_agree() {
        let both = |standard| ForwardedHeaders { forwarded: vec![standard], ..x("192.0.2.9", "") };
        assert_eq!(said(&both("for=192.0.2.9;proto=https")), is("192.0.2.9", Some(true)));
        assert_eq!(said(&both("for=203.0.113.1")), Speaker::Contradiction);
        assert_eq!(said(&both("for=unknown")), Speaker::Contradiction);
    }

    #[test]
    fn whose_word_on_tls_counts() {
        // One word is for the whole way, as a proxy writes it that overwrites what it got.
        assert_eq!(said(&x("203.0.113.1, 192.0.2.9, 10.0.0.2", "https")), is("192.0.2.9", Some(true)));
        // One per address: what the client's own proxy saw counts, not what is spoken between ours or what it wrote.
        assert_eq!(said(&x("192.0.2.9, 10.0.0.2", "https, http")), is("192.0.2.9", Some(true)));
        assert_eq!(said(&x("203.0.113.1, 192.0.2.9", "https, http")), is("192.0.2.9", Some(false)));
        // Handed on with something added: nobody knows whose word is which, so it is no word for TLS.
        for words in ["https, http", "http, https", "https, https", "https,", ",", "foo", "wss", " "] {
            assert_eq!(said(&x("192.0.2.9", words)), is("192.0.2.9", Some(false)), "{words:?}");
        }
        for lines in [vec!["https", "http"], vec![""], vec!["https", ""]] {
            let lines = ForwardedHeaders { x_forwarded_proto: lines, ..x("192.0.2.9", "") };
            assert_eq!(said(&lines), is("192.0.2.9", Some(false)), "{lines:?}");
        }
        let hidden = x("203.0.113.1, 192.0.2.9", "https, foo");
        assert_eq!(said(&hidden), is("192.0.2.9", Some(false)));
        for element in
            ["for=192.0.2.9;proto=", "for=192.0.2.9;proto=foo", "for=192.0.2.9;proto=https;proto=foo"]
        {
            assert_eq!(said(&standard(element)), is("192.0.2.9", Some(false)), "{element:?}");
        }
        // Beside `Forwarded` alone it may take away and not give.
        for (word, https) in [("http", Some(false)), ("https, http", Some(false)), ("https", None)] {
            let mut beside = standard("for=192.0.2.9");
            beside.x_forwarded_proto = vec![word];
            assert_eq!(said(&beside), is("192.0.2.9", https), "{word:?}");
        }
        // Two headers that differ are no proof of TLS.
        for (word, standard) in [("https", "http"), ("http", "https")] {
            let element = format!("for=192.0.2.9;proto={standard}");
            let both = ForwardedHeaders { forwarded: vec![&element], ..x("192.0.2.9", word) };
            assert_eq!(said(&both), is("192.0.2.9", Some(false)));
        }
    }

    #[test]
    fn a_line_that_is_no_text_hides_nothing() {
        let spoilt = ForwardedHeaders {
            x_forwarded_for: ForwardedHeaders::lines([&b"\xff, 192.0.2.9"[..]].into_iter()),
            ..standard("for=203.0.113.1")
        };
        assert_eq!(said(&spoilt), Speaker::Contradiction);
        let alone = ForwardedHeaders { forwarded: Vec::new(), ..spoilt };
        assert_eq!(said(&alone), Speaker::Unsaid(ip("10.0.0.1")));
    }

    #[test]
    fn a_list_without_end_is_not_followed() {
        let long = ["10.0.0.2"; 4000].join(",");
        let list = format!("192.0.2.9,{long}");
        assert_eq!(said(&x(&list, "")), is("10.0.0.2", None));
    }
}
