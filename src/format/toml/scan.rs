//! Reads the events of a TOML text into nodes.
//!
//! Knows which table a key stands in, and what a comment belongs to. Which tables may be defined where is decided by
//! `table`, what a value is by `value`.

use std::borrow::Cow;

use toml_parser::decoder::Encoding;
use toml_parser::parser::{Event, EventKind};
use toml_parser::{ParseError, Raw};

use super::events::{check_text, events, scan_error, span};
use super::table::{Key, Origin, Tables};
use super::value;
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::span::Span;

pub(super) fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    let mut scanner = Scanner {
        source,
        tables: Tables::new(source),
        table: 0,
        section: 0,
        sections: 0,
        open: Vec::new(),
        keys: Vec::new(),
        header: 0,
        slot: None,
        comments: Vec::new(),
        behind: None,
    };
    for event in events(source)? {
        scanner.event(&event)?;
    }
    scanner.place_comments(scanner.table)?;
    Ok(scanner.tables.laid_out())
}

/// A decoded key. It has been checked, so nothing is reported.
pub(super) fn key_text<'a>(source: &'a str, at: Span) -> Cow<'a, str> {
    decoded(source, at).unwrap_or_else(|_| Cow::Borrowed(at.of(source)))
}

fn decoded(source: &str, at: Span) -> Result<Cow<'_, str>, ScanError> {
    let text = at.of(source);
    let encoding = if text.starts_with('"') {
        Some(Encoding::BasicString)
    } else if text.starts_with('\'') {
        Some(Encoding::LiteralString)
    } else {
        None
    };
    let place = toml_parser::Span::new_unchecked(at.start(), at.end());
    let mut name = Cow::Borrowed("");
    let mut first: Option<ParseError> = None;
    Raw::new_unchecked(text, encoding, place).decode_key(&mut name, &mut first);
    match first {
        Some(error) => Err(scan_error(source, &error)),
        None => value::check_escapes(text, at).map(|()| name),
    }
}

/// An array or inline table whose bracket is open.
struct Open {
    id: NodeId,
    /// The number of an inline table; `None` for an array.
    section: Option<usize>,
    /// Where it stands.
    parent: NodeId,
}

struct Scanner<'a> {
    source: &'a str,
    tables: Tables<'a>,
    /// The table of the last header.
    table: NodeId,
    /// Its number.
    section: usize,
    sections: usize,
    open: Vec<Open>,
    /// The parts of the key that is being read.
    keys: Vec<Key<'a>>,
    /// Where the header that is being read begins.
    header: usize,
    /// The table and key that the next value belongs to.
    slot: Option<(NodeId, Key<'a>)>,
    /// Comments that wait for what they stand above.
    comments: Vec<Node>,
    /// What ended last on this line, and the container it stands in.
    behind: Option<(NodeId, NodeId)>,
}

impl<'a> Scanner<'a> {
    fn event(&mut self, event: &Event) -> Result<(), ScanError> {
        let at = span(event.span());
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => self.header = at.start(),
            EventKind::SimpleKey => {
                let name = self.key(event, at)?;
                self.keys.push(Key { span: at, name });
            }
            EventKind::StdTableClose => self.table_header(Span::new(self.header, at.end()))?,
            EventKind::ArrayTableClose => self.item_header(Span::new(self.header, at.end()))?,
            EventKind::KeyValSep => self.choose_slot()?,
            EventKind::Scalar => self.scalar(at)?,
            EventKind::ArrayOpen => self.opens(Kind::Sequence, at)?,
            EventKind::InlineTableOpen => self.opens(Kind::Mapping, at)?,
            EventKind::ArrayClose | EventKind::InlineTableClose => self.closes(at),
            EventKind::Comment => {
                check_text(self.source, event)?;
                self.comment(at)?;
            }
            EventKind::Newline => {
                check_text(self.source, event)?;
                self.behind = None;
            }
            EventKind::KeySep | EventKind::ValueSep | EventKind::Whitespace | EventKind::Error => {}
        }
        Ok(())
    }

    fn key(&self, event: &Event, at: Span) -> Result<Cow<'a, str>, ScanError> {
        if matches!(
            event.encoding(),
            Some(Encoding::MlBasicString | Encoding::MlLiteralString)
        ) {
            return Err(ScanError::new(at, "a key cannot be a multi-line string"));
        }
        decoded(self.source, at)
    }

    /// The parts of the key that was read, the last one by itself.
    fn take_keys(&mut self) -> Result<(Vec<Key<'a>>, Key<'a>), ScanError> {
        let mut keys = std::mem::take(&mut self.keys);
        match keys.pop() {
            Some(last) => Ok((keys, last)),
            None => Err(ScanError::new(Span::at(self.header), "a key is missing")),
        }
    }

    /// The same of a header. Comments above the metadata were at the end of the file before it was sealed.
    fn header_keys(&mut self) -> Result<(Vec<Key<'a>>, Key<'a>), ScanError> {
        let (prefix, key) = self.take_keys()?;
        if prefix.first().unwrap_or(&key).name == "sops" {
            self.place_comments(self.table)?;
        }
        Ok((prefix, key))
    }

    fn table_header(&mut self, header: Span) -> Result<(), ScanError> {
        let (prefix, key) = self.header_keys()?;
        let parent = self.tables.walk_header(&prefix)?;
        self.place_comments(parent)?;
        let table = self.tables.table(parent, &key, header)?;
        self.enter(parent, table);
        Ok(())
    }

    fn item_header(&mut self, header: Span) -> Result<(), ScanError> {
        let (prefix, key) = self.header_keys()?;
        let parent = self.tables.walk_header(&prefix)?;
        let list = self.tables.list(parent, &key)?;
        self.place_comments(list)?;
        let item = self.tables.item(list, header)?;
        self.enter(list, item);
        Ok(())
    }

    /// What follows belongs to this table.
    fn enter(&mut self, parent: NodeId, table: NodeId) {
        self.table = table;
        self.sections += 1;
        self.section = self.sections;
        self.behind = Some((parent, table));
    }

    fn choose_slot(&mut self) -> Result<(), ScanError> {
        let (prefix, key) = self.take_keys()?;
        let inline = self
            .open
            .last()
            .and_then(|open| Some((open.id, open.section?)));
        let (table, section) = inline.unwrap_or((self.table, self.section));
        let table = self.tables.walk_dotted(table, &prefix, section)?;
        if inline.is_none() {
            self.place_comments(table)?;
        }
        self.slot = Some((table, key));
        Ok(())
    }

    fn scalar(&mut self, at: Span) -> Result<(), ScanError> {
        value::read(self.source, at)?;
        let mut node = Node::new(Kind::Scalar, None, at);
        (node.form, node.inner) = value::quotes(self.source, at);
        let (parent, id) = self.place(node)?;
        self.ended(parent, id, at);
        Ok(())
    }

    fn opens(&mut self, kind: Kind, at: Span) -> Result<(), ScanError> {
        let mut node = Node::new(kind, None, at);
        node.flow = true;
        let (parent, id) = self.place(node)?;
        let section = (kind == Kind::Mapping).then(|| {
            self.sections += 1;
            self.sections
        });
        self.open.push(Open {
            id,
            section,
            parent,
        });
        self.behind = None;
        Ok(())
    }

    fn closes(&mut self, at: Span) {
        let Some(open) = self.open.pop() else {
            return;
        };
        if let Some(node) = self.tables.node_mut(open.id) {
            node.span = Span::new(node.span.start(), at.end());
            node.inner = node.span;
        }
        self.ended(open.parent, open.id, at);
    }

    /// Puts a value where it belongs: into the array that is open, else behind its key.
    fn place(&mut self, mut node: Node) -> Result<(NodeId, NodeId), ScanError> {
        node.flow |= !self.open.is_empty();
        let array = self.open.last().filter(|open| open.section.is_none());
        if let Some(array) = array.map(|open| open.id) {
            let id = self.tables.push(array, node, Origin::Value)?;
            return Ok((array, id));
        }
        let Some((table, key)) = self.slot.take() else {
            return Err(ScanError::new(node.span, "this value has no key"));
        };
        let id = self.tables.value(table, &key, node)?;
        Ok((table, id))
    }

    /// A value has ended; with it, for now, the part of the table that stands under its header.
    fn ended(&mut self, parent: NodeId, id: NodeId, at: Span) {
        self.behind = Some((parent, id));
        if self.open.is_empty()
            && self.table != 0
            && let Some(table) = self.tables.node_mut(self.table)
        {
            table.span = Span::new(table.span.start(), at.end());
        }
    }

    fn comment(&mut self, at: Span) -> Result<(), ScanError> {
        let mut node = Node::new(Kind::Comment, None, at);
        node.inner = Span::new(at.start() + 1, at.end());
        if let Some((parent, subject)) = self.behind {
            node.inline = true;
            return self.tables.comment(parent, node, Some(subject));
        }
        match self.open.last() {
            Some(open) => self.tables.comment(open.id, node, None),
            None => {
                self.comments.push(node);
                Ok(())
            }
        }
    }

    /// Hands the waiting comments to the container of what follows them.
    fn place_comments(&mut self, container: NodeId) -> Result<(), ScanError> {
        for node in std::mem::take(&mut self.comments) {
            self.tables.comment(container, node, None)?;
        }
        Ok(())
    }
}
