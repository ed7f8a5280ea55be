//! The YAML of a config as far as people are changed in it: fields, lists, lines.
//!
//! Knows the node table. Knows nothing of recipients.

use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, Node, NodeId};
use crate::span::Span;

use super::CannotEdit;

/// A config in YAML.
pub(super) struct Yaml<'a>(Document<'a>);

impl<'a> Yaml<'a> {
    /// Scans the text.
    pub(super) fn new(text: &'a str) -> Result<Self, CannotEdit> {
        let document = Document::parse(Format::Yaml, text);
        document.map(Self).map_err(|_| CannotEdit::ByHand)
    }

    pub(super) fn source(&self) -> &'a str {
        self.0.source()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.0.nodes().iter().enumerate()
    }

    pub(super) fn node(&self, id: NodeId) -> Result<&Node, CannotEdit> {
        self.0.node(id).ok_or(CannotEdit::ByHand)
    }

    pub(super) fn tree(&self, id: NodeId) -> crate::tree::Tree {
        self.0.tree(id)
    }

    /// The mapping of the whole config.
    pub(super) fn root(&self) -> Result<NodeId, CannotEdit> {
        let mut roots = self.0.roots();
        let first = roots.find(|&id| self.is(id, |kind| kind == Kind::Mapping));
        first.ok_or(CannotEdit::ByHand)
    }

    fn is(&self, id: NodeId, test: impl Fn(Kind) -> bool) -> bool {
        self.0.node(id).is_some_and(|node| test(node.kind))
    }

    /// What stands where an alias stands; any other node itself.
    pub(super) fn resolved(&self, id: NodeId) -> NodeId {
        match self.0.node(id).map(|node| node.kind) {
            Some(Kind::Alias { target }) => target,
            _ => id,
        }
    }

    /// The value of a field, aliases followed.
    pub(super) fn field(&self, mapping: NodeId, name: &str) -> Option<NodeId> {
        self.0.entry(mapping, name).map(|id| self.resolved(id))
    }

    /// The items of a list, or the entries of a mapping: comments are neither.
    pub(super) fn items(&self, list: NodeId) -> Vec<NodeId> {
        let children = self.0.children(list);
        children
            .filter(|&id| !self.is(id, |kind| kind == Kind::Comment))
            .collect()
    }

    /// The key of an entry of a mapping.
    pub(super) fn key(&self, id: NodeId) -> Option<String> {
        let node = self.0.node(id)?;
        if !self.is(node.parent?, |kind| kind == Kind::Mapping) {
            return None;
        }
        self.0.key(node).ok().map(std::borrow::Cow::into_owned)
    }

    /// The line that `offset` is in: from its first byte to the first of the next line.
    pub(super) fn line(&self, offset: usize) -> Span {
        let source = self.source();
        let before = source.get(..offset).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = source.get(offset..).unwrap_or_default();
        let end = rest.find('\n').map_or(source.len(), |at| offset + at + 1);
        Span::new(start, end)
    }

    /// All lines of an item or entry, if it begins on a line of its own.
    pub(super) fn lines(&self, id: NodeId) -> Result<Span, CannotEdit> {
        let node = self.node(id)?;
        let head = node.key.ok_or(CannotEdit::ByHand)?;
        let first = self.line(head.start());
        let last = self.line(node.span.end().max(head.end()));
        let indent = Span::new(first.start(), head.start()).of(self.source());
        if indent.trim().is_empty() {
            Ok(Span::new(first.start(), last.end()))
        } else {
            Err(CannotEdit::ByHand)
        }
    }

    /// The line break of this text.
    pub(super) fn line_break(&self) -> &'static str {
        if self.source().contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        }
    }

    /// A new line with this content behind the lines that end at `end`.
    pub(super) fn new_line(&self, end: usize, content: &str) -> String {
        let line_break = self.line_break();
        let before = self.source().get(..end).unwrap_or_default();
        if before.is_empty() || before.ends_with('\n') {
            format!("{content}{line_break}")
        } else {
            format!("{line_break}{content}")
        }
    }
}

/// A text as a YAML scalar: bare if no reader could take it for anything else.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " ._@+/=:-".contains(c);
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
