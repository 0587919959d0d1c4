//! ConnectionRequestURL, as devices write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a connection request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallUrl {
    /// It is https.
    pub tls: bool,
    host: String,
    /// As named, or the usual one.
    pub port: u16,
    /// Path and query, as sent on the request line.
    pub path: String,
}

impl CallUrl {
    /// `None` if the text is no http or https URL. User names in URLs, control characters and blanks are refused:
    /// no device needs them, and they end up in a request line.
    pub fn parse(text: &str) -> Option<CallUrl> {
        if text.len() > 1024 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains(['@', '\\']) {
            return None;
        }
        let default = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']')?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some(""))?)
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port: u16 = if port.is_empty() { default } else { port.parse().ok()? };
        if host.is_empty() || port == 0 {
            return None;
        }
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(CallUrl { tls, host: host.to_owned(), port, path })
    }

    /// The address; `None` for a name, because names are not resolved. Only the plain notation counts:
    /// `0x7f.1` and `2130706433` are addresses to some systems and tricks to us.
    pub fn address(&self) -> Option<IpAddr> {
        let v4 = self.host.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        v4.or_else(|| self.host.parse::<Ipv6Addr>().ok().map(|v6| IpAddr::V6(v6).to_canonical()))
    }

    /// The host as the device wrote it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The value of the Host header.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            _ => format!("{host}:{}", self.port),
        }
    }
}

/// False for an address that is no device, whatever the configured networks say.
pub fn may_be_called(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast() || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified() || v6.is_multicast() || (v6.segments()[0] & 0xffc0) == 0xfe80)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_of_devices() {
        let parsed = |text: &str| {
            let target = CallUrl::parse(text).expect(text);
            (
                target.tls,
                target.address().map(|a| a.to_string()),
                target.port,
                target.path.clone(),
                target.authority(),
            )
        };
        let v4 = |text: &str| Some(text.to_owned());
        assert_eq!(
            parsed("http://10.1.2.3:7547/abc?d=1"),
            (false, v4("10.1.2.3"), 7547, "/abc?d=1".into(), "10.1.2.3:7547".into())
        );
        assert_eq!(parsed("HTTP://10.1.2.3"), (false, v4("10.1.2.3"), 80, "/".into(), "10.1.2.3".into()));
        assert_eq!(
            parsed("https://10.1.2.3?x"),
            (true, v4("10.1.2.3"), 443, "/?x".into(), "10.1.2.3".into())
        );
        assert_eq!(parsed("http://[2001:db8::1]:99/").4, "[2001:db8::1]:99");
        assert_eq!(parsed("http://[::ffff:10.1.2.3]/").1, v4("10.1.2.3"));
        assert_eq!(parsed("http://cpe.example/#x"), (false, None, 80, "/".into(), "cpe.example".into()));
        for name in ["http://localhost/", "http://0x7f.0.0.1/", "http://2130706433/", "http://127.1/"] {
            assert_eq!(parsed(name).1, None, "{name}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "10.1.2.3:7547",
            "ftp://10.1.2.3/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://10.1.2.3:0/",
            "http://10.1.2.3:65536/",
            "http://10.1.2.3:x/",
            "http://user:pw@10.1.2.3/",
            "http://10.1.2.3/a b",
            "http://10.1.2.3/\r\nX: y",
            "http://10.1.2.3\\@1.1.1.1/",
            "http://[::1/",
            "http://[::1]x/",
            "http://10.1.2.3/é",
        ] {
            assert_eq!(CallUrl::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(text in "(https?://)?[\\[\\]:@/?#a-f0-9.]{0,30}\\PC{0,5}") {
            if let Some(target) = CallUrl::parse(&text) {
                prop_assert!(target.path.starts_with('/'));
                prop_assert!(!target.path.contains(char::is_whitespace));
                let _ = (target.address(), target.authority());
            }
        }
    }
}
