//! The XML of one message as a small tree: local names, text and `xsi:type`; everything else is dropped.
//!
//! Namespaces are not resolved on purpose: prefixes and URIs of real CPEs are wrong too often, and local names
//! never clash in CWMP. The one URI of interest (which CWMP version) is picked up on the way.

use super::text::{excerpt, is_xml_char};
use crate::{CodecError, Limits};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

struct Element {
    name: Span,
    text: Span,
    type_name: Span,
    first_child: u32,
    last_child: u32,
    next: u32,
}

/// A parsed message.
pub(super) struct Tree {
    elements: Vec<Element>,
    /// Names and texts, one after the other; spans point into it.
    pool: String,
    /// What follows `urn:dslforum-org:cwmp-` in the first such namespace.
    pub(super) version: Option<String>,
    limits: Limits,
}

/// An element of a [`Tree`].
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    tree: &'t Tree,
    index: u32,
}

struct Parser {
    tree: Tree,
    open: Vec<u32>,
    root_done: bool,
    /// The RPC element is complete. What is missing after it is only closing tags: CPEs that count
    /// Content-Length in characters cut them off.
    method_done: bool,
}

impl Tree {
    pub(super) fn parse(text: &str, limits: &Limits) -> Result<Tree, CodecError> {
        // Spans are u32.
        let limit = limits.max_bytes.min(1 << 30);
        if text.len() > limit {
            return Err(CodecError::TooLarge { got: text.len(), limit });
        }
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{FEFF}');
        let mut reader = Reader::from_str(text);
        // `Tom & Jerry` as an SSID, unescaped, is common enough.
        reader.config_mut().allow_dangling_amp = true;
        let mut parser = Parser {
            tree: Tree {
                elements: Vec::new(),
                pool: String::with_capacity(text.len() / 2),
                version: None,
                limits: *limits,
            },
            open: Vec::new(),
            root_done: false,
            method_done: false,
        };
        loop {
            let offset = reader.buffer_position();
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => parser.event(event, offset)?,
                Err(quick_xml::Error::Syntax(_)) if parser.method_done => break,
                Err(error) => {
                    return Err(CodecError::Malformed { offset, why: excerpt(&error.to_string(), 120) });
                }
            }
        }
        if parser.tree.elements.is_empty() {
            return Err(CodecError::Malformed { offset: 0, why: "there is no element".into() });
        }
        if !parser.root_done && !parser.method_done {
            return Err(CodecError::Malformed {
                offset: text.len() as u64,
                why: "the message ends before its elements do".into(),
            });
        }
        Ok(parser.tree)
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node { tree: self, index: 0 }
    }

    fn slice(&self, span: Span) -> &str {
        self.pool.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

impl Parser {
    fn event(&mut self, event: Event<'_>, offset: u64) -> Result<(), CodecError> {
        match event {
            Event::Start(start) => self.open(&start),
            Event::Empty(start) => {
                self.open(&start)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.text(&text.xml10_content(), offset),
            Event::CData(data) => self.text(&data.xml10_content(), offset),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                match resolve(&name)? {
                    Some(c) => self.text(c.encode_utf8(&mut [0; 4]), offset),
                    None => Ok(()),
                }
            }
            Event::DocType(_) => Err(CodecError::Doctype),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), CodecError> {
        if self.root_done {
            return Err(CodecError::SecondRoot);
        }
        let limits = self.tree.limits;
        if self.open.len() >= limits.max_depth {
            return Err(CodecError::TooMany { what: "levels of elements", limit: limits.max_depth });
        }
        if self.tree.elements.len() >= limits.max_elements {
            return Err(CodecError::TooMany { what: "elements", limit: limits.max_elements });
        }
        let name = self.push(start.local_name().as_ref());
        let mut type_name = Span::default();
        for (count, attribute) in start.html_attributes().with_checks(false).enumerate() {
            if count >= limits.max_attributes {
                return Err(CodecError::TooMany {
                    what: "attributes on one element",
                    limit: limits.max_attributes,
                });
            }
            // A malformed attribute says nothing that is needed.
            let Ok(attribute) = attribute else { continue };
            let key = attribute.key.as_ref();
            if key.starts_with("xmlns") {
                if self.tree.version.is_none()
                    && let Some((_, version)) = attribute.value.split_once("dslforum-org:cwmp-")
                {
                    self.tree.version = Some(version.chars().take(8).collect());
                }
            } else if attribute.key.local_name().as_ref() == "type" {
                type_name = self.push(&attribute.value);
            }
        }
        let index = self.tree.elements.len() as u32;
        self.tree.elements.push(Element {
            name,
            text: Span::default(),
            type_name,
            first_child: NONE,
            last_child: NONE,
            next: NONE,
        });
        if let Some(parent) = self.open.last() {
            let parent = &mut self.tree.elements[*parent as usize];
            let before = std::mem::replace(&mut parent.last_child, index);
            if before == NONE {
                parent.first_child = index;
            } else {
                self.tree.elements[before as usize].next = index;
            }
        }
        self.open.push(index);
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
        match self.open.as_slice() {
            [] => self.root_done = true,
            [_, body] => {
                let name = self.tree.slice(self.tree.elements[*body as usize].name);
                self.method_done |= name.eq_ignore_ascii_case("Body");
            }
            _ => {}
        }
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.tree.pool.len() as u32;
        self.tree.pool.push_str(text);
        Span { start, end: self.tree.pool.len() as u32 }
    }

    /// Adds text to the open element. Of mixed content the first run that is not blank is kept.
    fn text(&mut self, text: &str, offset: u64) -> Result<(), CodecError> {
        let Some(open) = self.open.last().map(|index| *index as usize) else {
            if text.chars().all(|c| c.is_whitespace() || !is_xml_char(c)) || self.root_done {
                return Ok(());
            }
            return Err(CodecError::Malformed { offset, why: "text before the envelope".into() });
        };
        let Element { text: run, first_child, .. } = self.tree.elements[open];
        let end = self.tree.pool.len() as u32;
        let continues = run.end == end && run.start != run.end;
        if !continues {
            if (first_child != NONE && text.chars().all(char::is_whitespace))
                || !self.tree.slice(run).trim().is_empty()
            {
                return Ok(());
            }
            self.tree.elements[open].text = Span { start: end, end };
        }
        if text.chars().all(is_xml_char) {
            self.tree.pool.push_str(text);
        } else {
            self.tree.pool.extend(text.chars().filter(|c| is_xml_char(*c)));
        }
        let run = &mut self.tree.elements[open].text;
        run.end = self.tree.pool.len() as u32;
        if (run.end - run.start) as usize > self.tree.limits.max_text_bytes {
            return Err(CodecError::TooMany {
                what: "bytes of text in one element",
                limit: self.tree.limits.max_text_bytes,
            });
        }
        Ok(())
    }
}

/// The character that a reference stands for; `None` for one that XML 1.0 does not have, which is dropped.
fn resolve(name: &str) -> Result<Option<char>, CodecError> {
    let number = match name {
        "lt" => return Ok(Some('<')),
        "gt" => return Ok(Some('>')),
        "amp" => return Ok(Some('&')),
        "quot" => return Ok(Some('"')),
        "apos" => return Ok(Some('\'')),
        _ => match (name.strip_prefix("#x").or_else(|| name.strip_prefix("#X")), name.strip_prefix('#')) {
            (Some(hexadecimal), _) => u32::from_str_radix(hexadecimal, 16),
            (None, Some(decimal)) => decimal.parse(),
            (None, None) => return Err(CodecError::UnknownEntity(excerpt(name, 20))),
        },
    };
    let number = number.map_err(|_| CodecError::UnknownEntity(excerpt(name, 20)))?;
    Ok(char::from_u32(number).filter(|c| is_xml_char(*c)))
}

impl<'t> Node<'t> {
    fn element(self) -> &'t Element {
        &self.tree.elements[self.index as usize]
    }

    /// The name without its prefix.
    pub(super) fn name(self) -> &'t str {
        self.tree.slice(self.element().name)
    }

    /// The text as it is.
    pub(super) fn raw_text(self) -> &'t str {
        self.tree.slice(self.element().text)
    }

    /// The text without blanks at its ends: for names, numbers and codes, which pretty-printers pad.
    pub(super) fn text(self) -> &'t str {
        self.raw_text().trim()
    }

    /// The value of `xsi:type` with its prefix, empty if there is none.
    pub(super) fn type_name(self) -> &'t str {
        self.tree.slice(self.element().type_name)
    }

    pub(super) fn children(self) -> impl Iterator<Item = Node<'t>> {
        let at = move |index: u32| (index != NONE).then_some(Node { tree: self.tree, index });
        std::iter::successors(at(self.element().first_child), move |node| at(node.element().next))
    }

    /// The first child of that name, whatever its case.
    pub(super) fn child(self, name: &str) -> Option<Node<'t>> {
        self.children().find(|node| node.name().eq_ignore_ascii_case(name))
    }

    /// The first element of that name below this one, in document order.
    pub(super) fn descendant(self, name: &str) -> Option<Node<'t>> {
        // Recursion is bounded by `Limits::max_depth`.
        self.children().find_map(|node| {
            if node.name().eq_ignore_ascii_case(name) { Some(node) } else { node.descendant(name) }
        })
    }

    pub(super) fn limits(self) -> &'t Limits {
        &self.tree.limits
    }
}
