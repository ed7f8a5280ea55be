//! Changing fields of the metadata where they stand, so that all else of it stays as somebody wrote it.
//!
//! Knows the layout that `metadata` writes, and gives up on any other.

use super::metadata::{emit_field, inline, is_table, runs};
use super::scan::key_text;
use crate::edit::Edit;
use crate::format::lines::{line_break, next_line, without_block};
use crate::format::revise::Revision;
use crate::node::{Node, NodeId};
use crate::span::Span;
use crate::tree::Tree;

/// The edits that bring about `revision` in the metadata node `entry`: values on their lines, lists of tables as a whole.
/// `None` if its tables do not stand together under their headers.
#[must_use]
pub fn revise(
    source: &str,
    nodes: &[Node],
    entry: NodeId,
    revision: &Revision,
) -> Option<Vec<Edit>> {
    let sops = nodes.get(entry)?;
    let all = runs(source, nodes.get(entry..sops.end)?);
    let &[all] = all.as_slice() else {
        return None;
    };
    let tables = Tables {
        source,
        nodes,
        entry,
        header: Some(sops.inner).filter(|header| header.of(source).starts_with('['))?,
        end: all.end(),
    };
    let mut edits = Vec::new();
    for (name, value) in &revision.changes {
        match (tables.field(name), value) {
            (None, None) => {}
            (None, Some(value)) => edits.push(tables.added(name, value, &revision.order)),
            (Some(field), None) => edits.push(tables.removed(&field)),
            (Some(field), Some(value)) => edits.push(tables.replaced(&field, name, value)?),
        }
    }
    Some(edits)
}

/// A field as it stands in the text.
struct Field<'a> {
    node: &'a Node,
    lines: Span,
}

impl Field<'_> {
    fn has_headers(&self) -> bool {
        self.node.is_container() && !self.node.flow
    }
}

struct Tables<'a> {
    source: &'a str,
    nodes: &'a [Node],
    entry: NodeId,
    /// `[sops]`
    header: Span,
    /// Where the last of the tables ends.
    end: usize,
}

impl<'a> Tables<'a> {
    /// The field of this name; `None` too if its lines do not stand together.
    fn field(&self, name: &str) -> Option<Field<'a>> {
        let is_field = |id: &NodeId| {
            self.nodes.get(*id).is_some_and(|node| {
                let key = node.key.filter(|_| node.parent == Some(self.entry));
                key.is_some_and(|key| key_text(self.source, key) == name)
            })
        };
        let end = self.nodes.get(self.entry)?.end;
        let id = (self.entry + 1..end).find(is_field)?;
        let node = self.nodes.get(id)?;
        match runs(self.source, self.nodes.get(id..node.end)?).as_slice() {
            &[lines] => Some(Field { node, lines }),
            _ => None,
        }
    }

    /// A value behind the one that comes before it in `order`, tables behind all others.
    fn added(&self, name: &str, value: &Tree, order: &[String]) -> Edit {
        let mut text = String::new();
        emit_field("sops", name, value, &mut text);
        if is_table(value) {
            return self.inserted(self.end, &format!("\n{text}"));
        }
        let before = order.iter().take_while(|other| *other != name);
        let before = before
            .filter_map(|name| self.field(name))
            .filter(|field| !field.has_headers());
        let header_end = next_line(self.source, self.header.end());
        let at = before.last().map_or(header_end, |field| field.lines.end());
        self.inserted(at, &text)
    }

    fn removed(&self, field: &Field<'_>) -> Edit {
        if field.has_headers() {
            without_block(self.source, field.lines)
        } else {
            Edit::remove(field.lines)
        }
    }

    /// `None` if a value becomes tables, or the other way round.
    fn replaced(&self, field: &Field<'_>, name: &str, value: &Tree) -> Option<Edit> {
        if field.has_headers() != is_table(value) {
            return None;
        }
        if !field.has_headers() {
            return Some(Edit::new(field.node.span, self.with_breaks(&inline(value))));
        }
        let mut text = String::new();
        emit_field("sops", name, value, &mut text);
        if !field.lines.of(self.source).ends_with('\n') {
            text.pop();
        }
        Some(Edit::new(field.lines, self.with_breaks(&text)))
    }

    /// Lines at the end of others; the last line of a text may have no line break.
    fn inserted(&self, at: usize, text: &str) -> Edit {
        let above = self.source.get(..at).unwrap_or_default();
        let text = if above.ends_with('\n') {
            text.to_owned()
        } else {
            format!("\n{}", text.strip_suffix('\n').unwrap_or(text))
        };
        Edit::new(Span::at(at), self.with_breaks(&text))
    }

    fn with_breaks(&self, text: &str) -> String {
        text.replace('\n', line_break(self.source))
    }
}
