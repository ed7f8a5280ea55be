//! The marks of an entry that are no nodes: the `:` or dash before its value, the commas beside it. And who else uses it.
//!
//! Changes nothing, and knows nothing of content.

use super::layout::Layout;
use crate::format::place::CannotPlace;
use crate::format::yaml::chars::{break_len, byte, is_blank, line_end};
use crate::node::{Form, Kind, Node, NodeId};
use crate::span::{Position, Span};

impl<'a> Layout<'a> {
    pub(super) fn between(self, from: usize, to: usize) -> &'a str {
        self.source.get(from..to).unwrap_or_default()
    }

    /// Behind the `:` or dash before the value of an entry; `None` for a key that has no `:`, and for what has no key.
    pub(super) fn behind_mark(self, id: NodeId) -> Option<usize> {
        let node = self.node(id)?;
        let key = node.key?;
        if self.node(node.parent?)?.kind == Kind::Sequence {
            return Some(key.end());
        }
        let limit = node.props.start();
        let colon = self.next_mark(key.end(), limit);
        (colon < limit && byte(self.source.as_bytes(), colon) == b':').then_some(colon + 1)
    }

    /// Whether an entry ends with a tag or anchor, of a key or value without a text. A comma behind it would be part of a tag.
    pub(super) fn ends_with_mark(self, id: NodeId) -> bool {
        let end = self.end(id);
        self.node(id).is_some_and(|node| {
            let is_last = |span: Span| !span.is_empty() && span.end() == end;
            let is_mark = |key: &Span| key.of(self.source).starts_with(['!', '&']);
            is_last(node.props) || node.key.filter(is_mark).is_some_and(is_last)
        })
    }

    /// The first byte in `from..to` that is no blank, line break or part of a comment; else `to`.
    pub(super) fn next_mark(self, from: usize, to: usize) -> usize {
        let bytes = self.source.as_bytes();
        let mut at = from;
        while at < to {
            if byte(bytes, at) == b'#' {
                at = line_end(bytes, at);
            } else if is_blank(bytes, at) {
                at += 1;
            } else {
                match break_len(bytes, at) {
                    0 => return at,
                    length => at += length,
                }
            }
        }
        to
    }

    /// The comma that is the next thing in `from..to`.
    pub(super) fn comma(self, from: usize, to: usize) -> Option<usize> {
        let at = self.next_mark(from, to);
        (at < to && byte(self.source.as_bytes(), at) == b',').then_some(at)
    }

    /// Whether there is a comment in `from..to`, where no content is.
    pub(super) fn has_comment(self, from: usize, to: usize) -> bool {
        self.between(from, to).contains('#')
    }

    /// Length of the line break that ends at `at`.
    pub(super) fn break_before(self, at: usize) -> usize {
        let bytes = self.source.as_bytes();
        let ends_here = |length: &usize| {
            at.checked_sub(*length)
                .is_some_and(|start| break_len(bytes, start) == *length)
        };
        (1..=3).rev().find(ends_here).unwrap_or(0)
    }

    /// The block of text whose end is directly above the line at `line`, where `id` or its comments begin.
    pub(super) fn block_above(self, id: NodeId, line: usize) -> Option<&'a Node> {
        let mut above = self.nodes.get(..id)?.iter().rev();
        above
            .find(|node| node.kind != Kind::Comment)
            .filter(|node| matches!(node.form, Form::Literal | Form::Folded))
            .filter(|node| self.is_white(Span::new(node.span.end(), line)))
    }

    /// Refuses a text that ends, as `text` does, above empty lines with a tab at `at`: where no plain text goes on, that would
    /// be indentation.
    ///
    /// # Errors
    /// [`CannotPlace`] that shows the tab.
    pub(super) fn refuse_tab(
        self,
        at: usize,
        text: &str,
        is_nested: bool,
    ) -> Result<(), CannotPlace> {
        let is_plain = !is_nested && !text.trim_end().ends_with(['"', '\'', ']', '}']);
        match self.tab_below(at).filter(|_| !is_plain) {
            None => Ok(()),
            Some(tab) => {
                let line = Position::of(self.source, tab).line;
                let message = format!("line {line} is empty but for blanks with a tab");
                Err(CannotPlace::new(Span::at(tab), message)
                    .with_hint("take the tab out with `sops-rs edit` first"))
            }
        }
    }

    /// Refuses what other places have too: the content of an anchor that an alias stands for.
    ///
    /// # Errors
    /// [`CannotPlace`] that names the line of the alias.
    pub(super) fn refuse_shared(self, id: NodeId) -> Result<(), CannotPlace> {
        let Some(node) = self.node(id) else {
            return Ok(());
        };
        let own = id..node.end;
        let is_around =
            |target: NodeId| target < id && self.node(target).is_some_and(|target| target.end > id);
        let uses = |(other, alias): &(NodeId, &Node)| match alias.kind {
            Kind::Alias { target } => {
                is_around(target) || own.contains(&target) && !own.contains(other)
            }
            _ => false,
        };
        let Some((_, alias)) = self.nodes.iter().enumerate().find(uses) else {
            return Ok(());
        };
        let line = Position::of(self.source, alias.span.start()).line;
        let message = format!("line {line} is an alias of what stands here, and would change too");
        let place = Span::new(self.start(id), node.span.end());
        Err(CannotPlace::new(place, message)
            .with_hint("write the content there in place of the alias first"))
    }
}
