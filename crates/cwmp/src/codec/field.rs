//! How one member of a message is read and written. The table in `rpc.rs` names members and types; what a type
//! looks like on the wire is said here, once.

use super::{
    EncodeOptions,
    text::escape_into,
    tree::Node,
    value::{DateTime, Value, ValueType, parse_bool},
};
use crate::{CodecError, EventCode};
use std::num::NonZeroU32;
use types::Secret;

/// Collects the text of an outgoing message.
pub(super) struct Writer<'o> {
    pub(super) out: String,
    pub(super) options: &'o EncodeOptions,
}

impl Writer<'_> {
    pub(super) fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    pub(super) fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Always an opening and a closing tag: self-closed empty strings break gSOAP clients.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        escape_into(&mut self.out, text);
        self.close(name);
    }
}

/// A member of a message: reads its element from the parent, writes it under its name.
/// A missing element reads as the type's empty value unless the message is senseless without it.
pub(super) trait Field: Sized {
    fn read(parent: Node<'_>, method: &'static str, name: &'static str) -> Result<Self, CodecError>;
    fn write(&self, name: &'static str, w: &mut Writer<'_>);
}

/// A struct with members.
pub(super) trait Members: Sized {
    fn read_members(node: Node<'_>) -> Result<Self, CodecError>;
    fn write_members(&self, w: &mut Writer<'_>);
}

/// An entry of a SOAP array.
pub(super) trait Item: Sized {
    /// The entry type in `soap-enc:arrayType`.
    const ARRAY_TYPE: &'static str;
    fn read_item(node: Node<'_>) -> Result<Self, CodecError>;
    fn write_item(&self, w: &mut Writer<'_>);
}

fn text<'t>(parent: Node<'t>, name: &str) -> &'t str {
    parent.child(name).map_or("", Node::text)
}

impl Field for String {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(text(parent, name).to_owned())
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.leaf(name, self);
    }
}

impl Field for Secret {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(Secret::new(parent.child(name).map_or("", Node::raw_text)))
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.leaf(name, self.expose());
    }
}

/// Numbers that make no sense read as 0: a device that counts its retries wrongly must still be served.
macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
                Ok(text(parent, name).parse().unwrap_or_default())
            }
            fn write(&self, name: &'static str, w: &mut Writer<'_>) {
                w.leaf(name, &self.to_string());
            }
        }
    )*};
}
number_fields!(u8, u32, i32, u64);

impl Field for NonZeroU32 {
    fn read(parent: Node<'_>, method: &'static str, element: &'static str) -> Result<Self, CodecError> {
        text(parent, element).parse().map_err(|_| CodecError::Field { method, element })
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.leaf(name, &self.to_string());
    }
}

impl Field for bool {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(parse_bool(text(parent, name)).unwrap_or_default())
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        let literal = if name == "NextLevel" { w.options.next_level } else { w.options.boolean };
        w.leaf(name, literal.text(*self));
    }
}

impl Field for DateTime {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        let text = text(parent, name);
        Ok(if text.is_empty() { DateTime::unknown() } else { DateTime(text.to_owned()) })
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        if w.options.fractional_seconds {
            w.leaf(name, &self.0);
        } else {
            w.leaf(name, &DateTime::whole_seconds(&self.0));
        }
    }
}

impl Field for EventCode {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(text(parent, name).parse().unwrap_or_else(|never: std::convert::Infallible| match never {}))
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.leaf(name, &self.to_string());
    }
}

impl Field for Value {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(match parent.child(name) {
            Some(node) => Value::new(ValueType::from_xsi(node.type_name()), node.raw_text()),
            // Seen in GetParameterValuesResponse for empty values.
            None => Value::new(ValueType::Unspecified, ""),
        })
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.out.push('<');
        w.out.push_str(name);
        w.out.push_str(" xsi:type=\"xsd:");
        w.out.extend(self.type_.xsd_name().chars().filter(char::is_ascii_alphanumeric));
        w.out.push_str("\">");
        match (&self.type_, parse_bool(&self.text)) {
            (ValueType::Boolean, Some(value)) => w.out.push_str(w.options.boolean.text(value)),
            (ValueType::DateTime, _) if !w.options.fractional_seconds => {
                escape_into(&mut w.out, &DateTime::whole_seconds(&self.text));
            }
            _ => escape_into(&mut w.out, &self.text),
        }
        w.close(name);
    }
}

impl<T: Item> Field for Vec<T> {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        let Some(list) = parent.child(name) else { return Ok(Vec::new()) };
        let limit = list.limits().max_list_entries;
        // `arrayType` is not looked at: it is wrong often and must never size an allocation.
        let mut entries = Vec::new();
        for node in list.children() {
            if entries.len() == limit {
                return Err(CodecError::TooMany { what: "entries in one list", limit });
            }
            entries.push(T::read_item(node)?);
        }
        Ok(entries)
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.out.push_str(&format!("<{name} soap-enc:arrayType=\"{}[{}]\">", T::ARRAY_TYPE, self.len()));
        for entry in self {
            entry.write_item(w);
        }
        w.close(name);
    }
}

impl Item for String {
    const ARRAY_TYPE: &'static str = "xsd:string";
    fn read_item(node: Node<'_>) -> Result<Self, CodecError> {
        Ok(node.text().to_owned())
    }
    fn write_item(&self, w: &mut Writer<'_>) {
        w.leaf("string", self);
    }
}
