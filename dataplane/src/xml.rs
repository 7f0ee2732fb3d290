//! The little XML that S3 speaks: a writer that cannot be injected into, and a reader of small documents that knows
//! no DOCTYPE, no entities but the five, and a bounded depth.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// The namespace of every S3 answer.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// How deep a document of a client may nest: S3's deepest request has five levels.
const MAX_DEPTH: usize = 16;

/// The largest document is a list of 10,000 parts with all their checksums.
const MAX_ELEMENTS: usize = 100_000;

/// Writes elements in order; text is escaped here and nowhere else.
pub struct XmlWriter(String);

impl XmlWriter {
    pub fn document() -> Self {
        XmlWriter(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
    }

    /// A document whose root bears S3's namespace.
    pub fn s3(root: &str) -> Self {
        let mut xml = XmlWriter::document();
        xml.0.push('<');
        xml.0.push_str(root);
        xml.0.push_str(" xmlns=\"");
        xml.0.push_str(NAMESPACE);
        xml.0.push_str("\">");
        xml
    }

    pub fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    pub fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    pub fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        escape_into(&mut self.0, value);
        self.close(name);
    }

    /// A whole element with S3's namespace.
    pub fn namespaced_text(&mut self, name: &str, value: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push_str(" xmlns=\"");
        self.0.push_str(NAMESPACE);
        self.0.push_str("\">");
        escape_into(&mut self.0, value);
        self.close(name);
    }

    /// An element of another document, if it is there and has a value.
    pub fn copy(&mut self, from: &Element, name: &str) {
        if let Some(value) = from.value(name) {
            self.text(name, value);
        }
    }

    pub fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Control characters are written as references, as S3 does: they may stand in object keys.
fn escape_into(out: &mut String, value: &str) {
    // Bytes below 0x80 are characters of their own in UTF-8, so that `at` is always between two characters.
    let special =
        |b: u8| matches!(b, b'&' | b'<' | b'>' | b'"') || (b < b' ' && !matches!(b, b'\n' | b'\t'));
    let mut rest = value;
    while let Some(at) = rest.bytes().position(special) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('"') => out.push_str("&quot;"),
            Some(c) => out.push_str(&format!("&#x{:x};", c as u32)),
            None => {}
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
}

/// One element: its local name, its own text, and its children.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first such child's text.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The document was not well-formed, or holds what S3's documents never hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed;

/// A document, piece by piece.
pub enum Piece<'p> {
    /// An element begins: its local name.
    Open(&'p str),
    /// An element ends: its local name, and its own text without that of its children.
    Close(&'p str, &'p mut String),
}

/// Reads a whole document and hands on its pieces in order. The caller has bounded its length, and believes none of them
/// before all is read.
pub fn read(document: &[u8], mut each: impl FnMut(Piece<'_>)) -> Result<(), Malformed> {
    let text = std::str::from_utf8(document).map_err(|_| Malformed)?;
    // The one character that XML has no way to write: what held it could not be written anew.
    if text.contains('\0') {
        return Err(Malformed);
    }
    let mut reader = Reader::from_str(text);
    // One for each level, used again and again.
    let mut texts: [String; MAX_DEPTH] = Default::default();
    let mut depth = 0_usize;
    let mut elements = 0;
    let mut has_root = false;
    let mut begin = |depth: usize| {
        elements += 1;
        if elements > MAX_ELEMENTS || depth >= MAX_DEPTH || (depth == 0 && has_root) {
            return Err(Malformed);
        }
        has_root = true;
        Ok(())
    };
    loop {
        let event = reader.read_event().map_err(|_| Malformed)?;
        // Where text belongs: to the element that is open.
        let own = depth.checked_sub(1).and_then(|at| texts.get_mut(at));
        match event {
            Event::Start(start) => {
                begin(depth)?;
                each(Piece::Open(start.local_name().as_ref()));
                texts.get_mut(depth).ok_or(Malformed)?.clear();
                depth += 1;
            }
            Event::Empty(start) => {
                begin(depth)?;
                each(Piece::Open(start.local_name().as_ref()));
                each(Piece::Close(
                    start.local_name().as_ref(),
                    &mut String::new(),
                ));
            }
            Event::End(end) => {
                each(Piece::Close(
                    end.local_name().as_ref(),
                    own.ok_or(Malformed)?,
                ));
                depth -= 1;
            }
            Event::Text(text) => match own {
                Some(own) => own.push_str(&text),
                None if text.trim().is_empty() => {}
                None => return Err(Malformed),
            },
            Event::CData(data) => own.ok_or(Malformed)?.push_str(&data),
            Event::GeneralRef(reference) => {
                let c = if let Some(c) = reference.resolve_char_ref().map_err(|_| Malformed)? {
                    c
                } else {
                    match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return Err(Malformed),
                    }
                };
                own.ok_or(Malformed)?.push(c);
            }
            Event::DocType(_) => return Err(Malformed),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match depth == 0 && has_root {
        true => Ok(()),
        false => Err(Malformed),
    }
}

/// [`read`] into a tree, for documents that are small.
pub fn parse(document: &[u8]) -> Result<Element, Malformed> {
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    read(document, |piece| match piece {
        Piece::Open(name) => open.push(Element {
            name: name.to_owned(),
            ..Element::default()
        }),
        Piece::Close(_, text) => {
            let Some(mut element) = open.pop() else {
                return;
            };
            element.text = std::mem::take(text);
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => root = Some(element),
            }
        }
    })?;
    root.ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let value = "a&b<c>\"\u{7}\r\n é";
        let mut xml = XmlWriter::s3("Root");
        xml.text("Key", value);
        xml.close("Root");
        let root = parse(xml.finish().as_bytes()).unwrap();
        assert_eq!(root.value("Key"), Some(value));
    }

    #[test]
    fn doctype_and_unknown_entities_are_refused() {
        assert_eq!(
            parse(b"<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"),
            Err(Malformed)
        );
        assert_eq!(parse(b"<a>&x;</a>"), Err(Malformed));
        assert_eq!(parse(b"<a>&amp;</a>").unwrap().text, "&");
    }

    #[test]
    fn broken_documents_are_refused() {
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "</a>",
            "<a>\0</a>",
            "<a>&#0;</a>",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text}");
        }
        assert_eq!(parse(b"<a/>").unwrap().name, "a");
    }

    #[test]
    fn elements_are_counted() {
        let wide = |n: usize| format!("<r>{}</r>", "<a/>".repeat(n));
        assert!(parse(wide(MAX_ELEMENTS - 1).as_bytes()).is_ok());
        assert_eq!(parse(wide(MAX_ELEMENTS).as_bytes()), Err(Malformed));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert_eq!(parse(deep(MAX_DEPTH + 1).as_bytes()), Err(Malformed));
        assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
    }
}
