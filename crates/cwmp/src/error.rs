//! Why a message could not be read.

/// A message that is refused. The texts quote at most a few characters of what the peer sent and never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Nothing but whitespace: an empty POST, which is an event of its own and not an envelope.
    #[error("the message is empty")]
    Empty,
    /// More bytes than [`crate::Limits::max_bytes`].
    #[error("the message has {got} bytes; the limit is {limit}")]
    TooLarge {
        /// Bytes received.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Another limit of [`crate::Limits`] is exceeded.
    #[error("the message has more {what} than the limit of {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// UTF-16 or UTF-32: not used by any CPE, and a way round filters.
    #[error("the message is encoded in {0}; only UTF-8 and single-byte encodings are read")]
    Charset(&'static str),
    /// A document type declaration. TR-069 has none, and attacks by entities need one.
    #[error("the message contains a DOCTYPE, which CWMP does not allow")]
    Doctype,
    /// A reference to an entity other than the five of XML.
    #[error("the message refers to the unknown entity &{0};")]
    UnknownEntity(String),
    /// A second root element follows the envelope.
    #[error("a second root element follows the envelope")]
    SecondRoot,
    /// Not well-formed XML.
    #[error("not well-formed XML at byte {offset}: {why}")]
    Malformed {
        /// Where, in bytes from the start.
        offset: u64,
        /// What the parser says.
        why: String,
    },
    /// XML, but no SOAP envelope.
    #[error("the root element is <{0}>, not a SOAP Envelope")]
    NotSoap(String),
    /// The envelope has no Body.
    #[error("the SOAP envelope has no Body")]
    NoBody,
    /// An element that gives the message its meaning is missing or senseless.
    #[error("{method} has no usable {element}")]
    Field {
        /// The message.
        method: &'static str,
        /// The missing element.
        element: &'static str,
    },
}
