//! Envelopes to bytes and back.
//!
//! Reading forgives: it goes by local names in any case, defaults what is missing where the rest still makes
//! sense, and repairs characters. Writing is plain and strict: one namespace layout, no comments, no CDATA,
//! right counts, everything escaped.

mod body;
mod field;
mod rpc;
#[cfg(test)]
mod sample;
mod spelling;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod value;

pub use body::{Body, Fault, ParameterFault, Role};
pub use rpc::*;
pub use spelling::{BooleanLiteral, EncodeOptions, SoapPrefix};
pub use value::{DateTime, Value, ValueType};

use crate::{CodecError, Limits};
use tree::{Node, Tree};

pub(crate) use text::excerpt;

/// The namespace a CPE uses. 1.3 and 1.4 keep the namespace of 1.2 by the standard, but some CPEs invent their
/// own; it is echoed, since such a CPE would not understand another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CwmpVersion {
    /// `urn:dslforum-org:cwmp-1-0`; also what is assumed when there is none.
    #[default]
    V1_0,
    /// `…-1-1`
    V1_1,
    /// `…-1-2`
    V1_2,
    /// `…-1-3`: not a namespace of the standard.
    V1_3,
    /// `…-1-4`: not a namespace of the standard.
    V1_4,
}

impl CwmpVersion {
    const ALL: [(&'static str, CwmpVersion); 5] = [
        ("1-0", CwmpVersion::V1_0),
        ("1-1", CwmpVersion::V1_1),
        ("1-2", CwmpVersion::V1_2),
        ("1-3", CwmpVersion::V1_3),
        ("1-4", CwmpVersion::V1_4),
    ];

    /// `1-0` …, the end of the namespace.
    pub fn suffix(self) -> &'static str {
        CwmpVersion::ALL.iter().find(|(_, version)| *version == self).map_or("1-0", |(suffix, _)| suffix)
    }

    fn from_suffix(text: &str) -> Self {
        CwmpVersion::ALL
            .iter()
            .find(|(suffix, _)| text.starts_with(suffix))
            .map_or_else(Self::default, |v| v.1)
    }
}

/// A SOAP envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `cwmp:ID`.
    pub id: Option<String>,
    /// The namespace.
    pub version: CwmpVersion,
    /// `cwmp:HoldRequests` (ACS to CPE, deprecated; this ACS never sets it).
    pub hold_requests: bool,
    /// `cwmp:SessionTimeout` of an Inform: seconds the CPE wants an idle session to live (CWMP 1.3).
    pub session_timeout_s: Option<u32>,
    /// `cwmp:SupportedCWMPVersions` of an Inform (CWMP 1.4).
    pub supported_versions: Option<String>,
    /// `cwmp:UseCWMPVersion` of an InformResponse (CWMP 1.4).
    pub use_version: Option<String>,
    /// The message.
    pub body: Body,
}

impl Envelope {
    /// An envelope without optional headers.
    pub fn new(id: Option<String>, version: CwmpVersion, body: Body) -> Self {
        Envelope {
            id,
            version,
            hold_requests: false,
            session_timeout_s: None,
            supported_versions: None,
            use_version: None,
            body,
        }
    }
}

/// True for the body of an empty POST. A few CPEs send a line break or a NUL as "nothing".
pub fn is_empty_body(bytes: &[u8]) -> bool {
    bytes.len() <= 64 && bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0)
}

/// Reads one envelope. The Content-Type is taken for the record only: the bytes decide what charset they are in,
/// because the labels lie.
///
/// # Errors
/// [`CodecError`], whenever the message breaks a limit, is not a SOAP envelope, or lacks what gives it meaning.
pub fn decode(bytes: &[u8], content_type: Option<&str>, limits: &Limits) -> Result<Envelope, CodecError> {
    if bytes.len() > limits.max_bytes {
        return Err(CodecError::TooLarge { got: bytes.len(), limit: limits.max_bytes });
    }
    if is_empty_body(bytes) {
        return Err(CodecError::Empty);
    }
    if content_type.is_some_and(|label| label.to_ascii_lowercase().contains("utf-16")) {
        return Err(CodecError::Charset("UTF-16"));
    }
    let text = text::to_text(bytes)?;
    let tree = Tree::parse(&text, limits)?;
    let root = tree.root();
    if !root.name().eq_ignore_ascii_case("Envelope") {
        return Err(CodecError::NotSoap(excerpt(root.name(), 40)));
    }
    let header = root.child("Header");
    let header_text = |name: &str| {
        let text = header.and_then(|node| node.child(name)).map_or("", Node::text);
        (!text.is_empty()).then(|| text.chars().take(256).collect::<String>())
    };
    let body = root.child("Body").ok_or(CodecError::NoBody)?;
    Ok(Envelope {
        id: header_text("ID"),
        version: CwmpVersion::from_suffix(tree.version.as_deref().unwrap_or_default()),
        hold_requests: header_text("HoldRequests").and_then(|text| value::parse_bool(&text)).unwrap_or(false),
        session_timeout_s: header_text("SessionTimeout").and_then(|text| text.parse().ok()),
        supported_versions: header_text("SupportedCWMPVersions"),
        use_version: header_text("UseCWMPVersion"),
        body: match body.children().next() {
            Some(message) => Body::read(message)?,
            None => Body::Empty,
        },
    })
}

const OTHER_NAMESPACES: &str = "xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
     xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
     xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:cwmp=\"urn:dslforum-org:cwmp-";

/// Writes one envelope as UTF-8. [`Body::Unknown`] and [`Body::Empty`] become an empty Body.
pub fn encode(envelope: &Envelope, options: &EncodeOptions) -> Vec<u8> {
    let mut out = String::with_capacity(1024);
    if options.xml_declaration {
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }
    let soap = options.prefix.as_str();
    out.push_str(&format!(
        "<{soap}:Envelope xmlns:{soap}=\"http://schemas.xmlsoap.org/soap/envelope/\" {OTHER_NAMESPACES}"
    ));
    out.push_str(options.version.unwrap_or(envelope.version).suffix());
    out.push_str(&format!("\"><{soap}:Header>"));
    let mut header = |name: &str, must_understand: bool, text: &str| {
        let attribute = if must_understand { format!(" {soap}:mustUnderstand=\"1\"") } else { String::new() };
        out.push_str(&format!("<cwmp:{name}{attribute}>"));
        text::escape_into(&mut out, text);
        out.push_str(&format!("</cwmp:{name}>"));
    };
    if let Some(id) = &envelope.id {
        header("ID", options.must_understand, id);
    }
    if envelope.hold_requests {
        header("HoldRequests", true, "1");
    }
    if let Some(seconds) = envelope.session_timeout_s {
        header("SessionTimeout", false, &seconds.to_string());
    }
    if let Some(versions) = &envelope.supported_versions {
        header("SupportedCWMPVersions", false, versions);
    }
    if let Some(version) = &envelope.use_version {
        header("UseCWMPVersion", false, version);
    }
    out.push_str(&format!("</{soap}:Header><{soap}:Body>"));
    let mut out = envelope.body.write_all(options, out);
    out.push_str(&format!("</{soap}:Body></{soap}:Envelope>"));
    out.into_bytes()
}
