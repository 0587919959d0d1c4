//! How GenieACS names a device: `OUI-ProductClass-SerialNumber`, each escaped so that a dash only ever separates.

use std::fmt::Write as _;

/// Who a CPE is, as CWMP says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) oui: String,
    pub(super) product_class: String,
    pub(super) serial_number: String,
}

/// Every byte outside of letters, digits and the underscore becomes `%HH`.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The `_id`; a device without a product class has two parts.
pub(super) fn id(oui: &str, product_class: &str, serial_number: &str) -> String {
    let mut out = String::with_capacity(oui.len() + product_class.len() + serial_number.len() + 2);
    escape(oui, &mut out);
    out.push('-');
    if !product_class.is_empty() {
        escape(product_class, &mut out);
        out.push('-');
    }
    escape(serial_number, &mut out);
    out
}

/// Reads an `_id` back; nothing where it is none.
pub(super) fn parse(id: &str) -> Option<Identity> {
    if id.len() > 1024 {
        return None;
    }
    let parts: Vec<String> = id.split('-').map(unescape).collect::<Option<_>>()?;
    let (oui, product_class, serial_number) = match parts.as_slice() {
        [oui, serial_number] => (oui, "", serial_number),
        [oui, product_class, serial_number] if !product_class.is_empty() => {
            (oui, product_class.as_str(), serial_number)
        }
        _ => return None,
    };
    Some(Identity {
        oui: oui.clone(),
        product_class: product_class.to_owned(),
        serial_number: serial_number.clone(),
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// The `_id` of an order: 24 hexadecimal digits that begin with a time, as MongoDB makes them.
pub(super) fn task(order: i64, created_at: i64) -> String {
    format!("{:08x}{order:016x}", u32::try_from(created_at / 1000).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_named_as_genieacs_names_it() {
        assert_eq!(id("00236a", "SR552n", "SR552NA084-0003269"), "00236a-SR552n-SR552NA084%2D0003269");
        assert_eq!(id("202BC1", "", "BM632w-000000"), "202BC1-BM632w%2D000000");
        assert_eq!(id("00259E", "HG 8546ü", "1"), "00259E-HG%208546%C3%BC-1");
        assert_eq!(parse("00259E"), None);
        assert_eq!(parse("a-b-c-d"), None);
        assert_eq!(parse("a-%Z0-c"), None);
    }

    proptest! {
        #[test]
        fn every_device_is_found_by_its_name(oui in ".{0,8}", class in ".{0,12}", serial in ".{0,24}") {
            let wanted = Identity {
                oui: oui.clone(), product_class: class.clone(), serial_number: serial.clone(),
            };
            prop_assert_eq!(parse(&id(&oui, &class, &serial)), Some(wanted));
        }

        #[test]
        fn no_text_confuses_it(text in ".{0,64}") {
            if let Some(found) = parse(&text) {
                prop_assert_eq!(parse(&id(&found.oui, &found.product_class, &found.serial_number)), Some(found));
            }
        }
    }
}
