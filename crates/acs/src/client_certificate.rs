//! The certificate that a CPE showed, and which device that is.

use cwmp::codec::DeviceId;
use rustls::pki_types::CertificateDer;
use types::Serial;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// Names of one certificate that are looked at.
const MOST_NAMES: usize = 16;

/// The names in a certificate of a CPE whose issuer was verified: the common name of its subject, and DNS names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub(crate) names: Vec<String>,
}

impl ClientCertificate {
    /// Of a certificate that the handshake has verified. One that cannot be read names nobody.
    pub(crate) fn of(verified: &CertificateDer<'_>) -> Self {
        let names = match X509Certificate::from_der(verified) {
            Ok((_, certificate)) => names_of(&certificate),
            Err(_) => Vec::new(),
        };
        ClientCertificate { names }
    }

    /// It is of the device that says this of itself: it names `OUI-SerialNumber` or `OUI-ProductClass-SerialNumber`
    /// (TR-069 3.4.5), with or without percent escapes, or the PON serial number, which no two devices share. A serial
    /// number of another kind is unique within an OUI only and is not enough by itself.
    pub(crate) fn is_of(&self, device: &DeviceId) -> bool {
        let DeviceId { oui, product_class, serial_number, .. } = device;
        if oui.is_empty() || serial_number.is_empty() {
            return self.names.iter().any(|name| is_pon_serial(name, serial_number));
        }
        let with_class = format!("{oui}-{product_class}-{serial_number}");
        let without = format!("{oui}-{serial_number}");
        self.names.iter().any(|name| {
            let plain = unescaped(name);
            [&with_class, &without]
                .into_iter()
                .any(|own| name.eq_ignore_ascii_case(own) || plain.eq_ignore_ascii_case(own))
                || is_pon_serial(name, serial_number)
        })
    }
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let others = certificate.subject_alternative_name().ok().flatten();
    let others =
        others.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
    common.chain(others).take(MOST_NAMES).map(str::to_owned).collect()
}

fn is_pon_serial(name: &str, serial_number: &str) -> bool {
    let parsed = |text: &str| text.parse::<Serial>().ok();
    parsed(name).is_some_and(|named| parsed(serial_number) == Some(named))
}

/// Without percent escapes (RFC 3986); what is no escape stays.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = escape.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(oui: &str, product_class: &str, serial_number: &str) -> DeviceId {
        DeviceId {
            manufacturer: "Acme".into(),
            oui: oui.into(),
            product_class: product_class.into(),
            serial_number: serial_number.into(),
        }
    }

    fn of(names: &[&str]) -> ClientCertificate {
        ClientCertificate { names: names.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn a_certificate_is_of_the_device_that_it_names_and_of_no_other() {
        let it = device("00D09E", "Set-Top-Box", "0123456789");
        for name in [
            "00D09E-0123456789",
            "00d09e-0123456789",
            "00D09E-Set-Top-Box-0123456789",
            "00D09E-Set%2DTop%2DBox-0123456789",
        ] {
            assert!(of(&[name]).is_of(&it), "{name}");
            assert!(of(&["acs.example", name]).is_of(&it), "one of several: {name}");
        }
        for name in [
            "",
            "0123456789",
            "00D09E-",
            "-0123456789",
            "00D09E-0123456788",
            "00D09F-0123456789",
            "00D09E-Box-0123456789",
            "00D09E-0123456789%",
            "00D09E-%",
            "*",
        ] {
            assert!(!of(&[name]).is_of(&it), "{name:?}");
        }
        assert!(!of(&[]).is_of(&it));
        // A PON serial number is one in every notation.
        let onu = device("00259E", "EG8145V5", "485754437D4733C3");
        for name in ["HWTC7D4733C3", "485754437D4733C3", "HWTC-7D4733C3"] {
            assert!(of(&[name]).is_of(&onu), "{name}");
            assert!(of(&[name]).is_of(&device("", "", "HWTC7D4733C3")), "{name}");
        }
        assert!(!of(&["HWTC7D4733C4"]).is_of(&onu));
        // Nothing names nobody.
        for name in ["", "-", "--"] {
            assert!(!of(&[name]).is_of(&device("", "", "")), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(ClientCertificate::of(&CertificateDer::from(vec![48, 130, 1])), of(&[]));
    }
}
