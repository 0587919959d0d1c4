//! How an envelope is spelled: what differs from model to model in what we send.

use super::CwmpVersion;

/// How truth is spelt. Some devices accept one spelling only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BooleanLiteral {
    /// `0` and `1`: accepted by every device seen.
    #[default]
    Digit,
    /// `false` and `true`.
    Word,
}

impl BooleanLiteral {
    pub(super) fn text(self, value: bool) -> &'static str {
        match (self, value) {
            (BooleanLiteral::Digit, false) => "0",
            (BooleanLiteral::Digit, true) => "1",
            (BooleanLiteral::Word, false) => "false",
            (BooleanLiteral::Word, true) => "true",
        }
    }
}

/// The prefix of the envelope's namespace. XML leaves it to the writer; a few devices compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SoapPrefix {
    /// `soap-env`
    #[default]
    SoapDashEnv,
    /// `SOAP-ENV`
    UpperSoapDashEnv,
    /// `soapenv`
    Soapenv,
    /// `soap`
    Soap,
}

impl SoapPrefix {
    const ALL: [SoapPrefix; 4] =
        [SoapPrefix::SoapDashEnv, SoapPrefix::UpperSoapDashEnv, SoapPrefix::Soapenv, SoapPrefix::Soap];

    /// The prefix as written.
    pub fn as_str(self) -> &'static str {
        match self {
            SoapPrefix::SoapDashEnv => "soap-env",
            SoapPrefix::UpperSoapDashEnv => "SOAP-ENV",
            SoapPrefix::Soapenv => "soapenv",
            SoapPrefix::Soap => "soap",
        }
    }
}

/// What differs from model to model in what we send. The default is what the most devices accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// `<?xml version="1.0" encoding="UTF-8"?>` in front; breaks a few clients, and a few want it.
    pub xml_declaration: bool,
    /// Prefix of the envelope's namespace.
    pub prefix: SoapPrefix,
    /// Another namespace than the envelope's own, which is the one the device used.
    pub version: Option<CwmpVersion>,
    /// `mustUnderstand="1"` on `cwmp:ID`, as TR-069 3.4.3 has it.
    pub must_understand: bool,
    /// Booleans in values and members.
    pub boolean: BooleanLiteral,
    /// `NextLevel` of GetParameterNames.
    pub next_level: BooleanLiteral,
    /// Fractions of seconds in times; several devices reject them.
    pub fractional_seconds: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        EncodeOptions {
            xml_declaration: true,
            prefix: SoapPrefix::SoapDashEnv,
            version: None,
            must_understand: true,
            boolean: BooleanLiteral::Digit,
            next_level: BooleanLiteral::Digit,
            fractional_seconds: false,
        }
    }
}

/// How much of a message is looked at for its spelling.
const HEAD_BYTES: usize = 512;

impl EncodeOptions {
    /// As this message is spelled, as far as that is seen at its head: a device reads what it would write itself. What is
    /// not seen, or is a prefix that nobody else uses, stays as it is here.
    #[must_use]
    pub fn like(self, message: &[u8]) -> Self {
        let head = String::from_utf8_lossy(&message[..message.len().min(HEAD_BYTES)]);
        let head = head.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\0']);
        if !head.starts_with('<') {
            return self;
        }
        let named = head.split('<').find_map(|tag| {
            let name = tag.split([' ', '\t', '\r', '\n', '>', '/']).next().unwrap_or_default();
            name.strip_suffix(":Envelope")
        });
        let prefix = SoapPrefix::ALL.into_iter().find(|prefix| Some(prefix.as_str()) == named);
        EncodeOptions {
            xml_declaration: head.starts_with("<?xml"),
            prefix: prefix.unwrap_or(self.prefix),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_answered_as_it_speaks() {
        let own = EncodeOptions::default();
        for (message, declaration, prefix) in [
            ("<?xml version=\"1.0\"?><SOAP-ENV:Envelope xmlns:x=\"y\">", true, SoapPrefix::UpperSoapDashEnv),
            ("\u{feff}<?xml version=\"1.0\"?>\n<!-- hello --><soap:Envelope>", true, SoapPrefix::Soap),
            ("\r\n<soapenv:Envelope\txmlns:soapenv=\"z\">", false, SoapPrefix::Soapenv),
            ("<soap-env:Envelope>", false, SoapPrefix::SoapDashEnv),
            (
                "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\">",
                false,
                SoapPrefix::SoapDashEnv,
            ),
            ("<s:Envelope>", false, SoapPrefix::SoapDashEnv),
            ("", true, SoapPrefix::SoapDashEnv),
            ("POST / HTTP/1.1", true, SoapPrefix::SoapDashEnv),
        ] {
            let like = own.like(message.as_bytes());
            assert_eq!((like.xml_declaration, like.prefix), (declaration, prefix), "{message}");
            assert_eq!(
                EncodeOptions { xml_declaration: true, prefix: own.prefix, ..like },
                own,
                "nothing else"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = EncodeOptions::default().like(&bytes);
        }
    }
}
