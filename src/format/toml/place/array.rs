//! Items of arrays and entries of inline tables, put in and taken out with their commas.
//!
//! An array may go over several lines and have comments and a comma behind its last item; an inline table has none of that.

use toml_writer::ToTomlKey as _;
use zeroize::Zeroizing;

use super::super::emit::value as spelled;
use super::parts::Parts;
use crate::content::Content;
use crate::edit::Edit;
use crate::format::lines::{line_break, line_start, next_line};
use crate::format::place::CannotPlace;
use crate::node::{Form, Kind, Node, NodeId};
use crate::secret::PlainWriter;
use crate::span::Span;

/// Puts an item or entry into `parent`, before `before` or at its end.
pub(super) fn insert(
    parts: &Parts<'_>,
    parent: NodeId,
    before: Option<NodeId>,
    name: &str,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let Some(container) = parts.node(parent) else {
        return Ok(());
    };
    let text = spelled(content, Form::Plain)
        .map_err(|error| CannotPlace::new(container.span, error.reason))?;
    let text = if container.kind == Kind::Mapping {
        joined(&[&name.to_toml_key(), " = ", &text])
    } else {
        text
    };
    let last = parts.items(parent).last().and_then(|id| parts.node(id));
    let next = before.and_then(|id| parts.node(id));
    match (last, next) {
        (None, _) => edits.push(into_empty(container, &text)),
        (Some(_), Some(next)) => edits.push(in_front(parts, next, &text)),
        (Some(last), None) if owns_line(parts.source, last) => {
            on_new_line(parts, container, last, &text, edits);
        }
        (Some(last), None) => edits.push(added(last.span.end(), &[", ", &text])),
    }
    Ok(())
}

/// The first item or entry.
fn into_empty(container: &Node, text: &str) -> Edit {
    let inside = container.span.start() + 1;
    let is_bare = inside + 1 == container.span.end();
    let blank = match container.kind {
        Kind::Mapping if is_bare => " ",
        _ => "",
    };
    added(inside, &[blank, text, blank])
}

/// What comes before `next`: on a line of its own, above the comments of `next`, if that has its own line.
fn in_front(parts: &Parts<'_>, next: &Node, text: &str) -> Edit {
    let (source, at) = (parts.source, start(next));
    if !owns_line(source, next) {
        return added(at, &[text, ", "]);
    }
    let line = Span::new(line_start(source, at), next_line(source, next.span.end()));
    let above = parts.with_comments(line).start();
    let indent = source.get(line.start()..at).unwrap_or_default();
    added(above, &[indent, text, ",", line_break(source)])
}

/// What comes behind `last`, which has its own line, with a comma behind it if `last` has one.
fn on_new_line(
    parts: &Parts<'_>,
    container: &Node,
    last: &Node,
    text: &str,
    edits: &mut Vec<Edit>,
) {
    let source = parts.source;
    let line = line_start(source, start(last));
    let indent = source.get(line..start(last)).unwrap_or_default();
    let comma = comma_behind(parts, last);
    if comma.is_none() {
        edits.push(Edit::new(Span::at(last.span.end()), ","));
    }
    let own_comma = if comma.is_some() { "," } else { "" };
    let end = next_line(source, last.span.end());
    edits.push(if end < container.span.end() {
        added(end, &[indent, text, own_comma, line_break(source)])
    } else {
        let at = comma.map_or(last.span.end(), |comma| comma + 1);
        added(at, &[line_break(source), indent, text, own_comma])
    });
}

/// The edit that puts `pieces` at byte `at`.
fn added(at: usize, pieces: &[&str]) -> Edit {
    Edit {
        span: Span::at(at),
        text: joined(pieces),
    }
}

/// Pieces of plaintext as one.
fn joined(pieces: &[&str]) -> Zeroizing<String> {
    let mut writer = PlainWriter::default();
    for piece in pieces {
        writer.push_str(piece);
    }
    writer.finish()
}

/// Takes out an item or entry with one comma; one with a line of its own with that line and its comments.
pub(super) fn remove(parts: &Parts<'_>, parent: NodeId, id: NodeId, edits: &mut Vec<Edit>) {
    let (Some(node), Some(container)) = (parts.node(id), parts.node(parent)) else {
        return;
    };
    let source = parts.source;
    let previous = parts.items(parent).take_while(|&other| other < id).last();
    let next = parts.items(parent).find(|&other| other > id);
    let (previous, next) = (
        previous.and_then(|id| parts.node(id)),
        next.and_then(|id| parts.node(id)),
    );
    let comma = comma_behind(parts, node);
    let line = Span::new(
        line_start(source, start(node)),
        next_line(source, node.span.end()),
    );
    if owns_line(source, node) && line.end() < container.span.end() {
        let others = [previous, next].into_iter().flatten();
        let mut others = others.map(|other| Span::new(start(other), other.span.end()));
        let is_alone =
            !others.any(|other| line.start() < other.end() && other.start() < line.end());
        if is_alone {
            edits.push(Edit::remove(parts.with_comments(line)));
            // What is the last now has no more of a comma than what was.
            let behind = previous.and_then(|previous| comma_behind(parts, previous));
            if let (None, None, Some(behind)) = (next, comma, behind) {
                edits.push(Edit::remove(Span::new(behind, behind + 1)));
            }
            return;
        }
    }
    edits.push(Edit::remove(match (previous, next) {
        (Some(previous), _) => Span::new(previous.span.end(), node.span.end()),
        (None, Some(next)) => Span::new(start(node), start(next)),
        (None, None) => Span::new(container.span.start() + 1, container.span.end() - 1),
    }));
}

/// Where an item or entry begins.
fn start(node: &Node) -> usize {
    node.key.map_or(node.span.start(), Span::start)
}

/// Whether only blanks stand before it on its line.
fn owns_line(source: &str, node: &Node) -> bool {
    let start = start(node);
    let before = source.get(line_start(source, start)..start);
    before.is_some_and(|before| before.trim().is_empty())
}

/// The comma behind an item, comments passed over.
fn comma_behind(parts: &Parts<'_>, node: &Node) -> Option<usize> {
    let mut at = node.span.end();
    loop {
        let rest = parts.source.get(at..)?;
        let blanks = rest.len() - rest.trim_start().len();
        at += blanks;
        match rest.trim_start().chars().next()? {
            ',' => return Some(at),
            '#' => at = next_line(parts.source, at),
            _ => return None,
        }
    }
}
