//! What is taken out of a table or list, with its comments, wherever its parts stand.

use super::parts::{Parts, Shape};
use super::{array, region, scattered};
use crate::edit::Edit;
use crate::format::lines::whole::remove_lines;
use crate::format::lines::{line_break, line_start, next_line};
use crate::format::place::CannotPlace;
use crate::node::{Node, NodeId};
use crate::span::Span;

/// Takes out `id`, see [`crate::format::place::remove`].
///
/// # Errors
/// [`CannotPlace`] for the last item of a list of `[[…]]`.
pub(in crate::format) fn remove(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let parts = &Parts::new(source, nodes);
    let Some((node, parent)) = nodes.get(id).and_then(|node| Some((node, node.parent?))) else {
        return Ok(());
    };
    let is_only = parts.items(parent).count() == 1;
    match (parts.shape(parent), is_only) {
        (Shape::Inline, _) if parts.has_dotted(parent) => Err(scattered(node.span)),
        (Shape::Inline, _) => {
            array::remove(parts, parent, id, edits);
            Ok(())
        }
        (Shape::Tables, true) => {
            let message = "the last `[[…]]` of a list cannot be taken out: an empty list has another spelling";
            Err(CannotPlace::new(node.span, message).with_hint("unset the list itself"))
        }
        (Shape::Dotted, true) => empty_dotted(parts, parent, id, edits),
        (Shape::Prefix, true) => empty_prefix(parts, parent, id, edits),
        _ => all_lines(parts, id, edits),
    }
}

/// Takes out all lines of `id`.
fn all_lines(parts: &Parts<'_>, id: NodeId, edits: &mut Vec<Edit>) -> Result<(), CannotPlace> {
    let Some(node) = parts.node(id) else {
        return Ok(());
    };
    let headers = parts
        .headers(id)
        .map(|header| with_empty_line(parts, parts.part(header)));
    let values = (id..node.end).filter(|&id| parts.has_lines(id));
    let values = values.map(|id| parts.with_comments(parts.lines(id)));
    let gone = joined(headers.chain(values).collect());
    if gone.is_empty() {
        return Err(scattered(node.span));
    }
    let line_break = line_break(parts.source);
    let gone = gone.into_iter();
    edits.extend(gone.map(|lines| remove_lines(parts.source, line_break, lines)));
    Ok(())
}

/// Takes out the only table `id` of one that has no header: `[a.b]` becomes `[a]`.
fn empty_prefix(
    parts: &Parts<'_>,
    parent: NodeId,
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let place = parts.node(id).map_or(Span::at(0), |node| node.span);
    let region = region(parts, id).ok_or_else(|| scattered(place))?;
    let is_ended = region.of(parts.source).ends_with('\n');
    let end = if is_ended {
        line_break(parts.source)
    } else {
        ""
    };
    edits.push(Edit::new(region, format!("[{}]{end}", parts.path(parent))));
    Ok(())
}

/// Takes out the only entry `id` of a table that dotted keys make: `a.b = 1` becomes `a = {}`.
fn empty_dotted(
    parts: &Parts<'_>,
    parent: NodeId,
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let place = parts.node(id).map_or(Span::at(0), |node| node.span);
    let key = parts
        .node(parent)
        .and_then(|node| node.key)
        .unwrap_or_default();
    let end = parts.node(id).map_or(id, |node| node.end);
    let mut values = (id..end).filter(|&id| parts.has_lines(id));
    let first = values
        .next()
        .and_then(|id| Some((parts.lines(id), parts.node(id)?)));
    // Its key was mentioned first where its first value stands.
    let Some((line, first)) = first.filter(|(line, _)| line.contains(key)) else {
        return Err(scattered(place));
    };
    edits.push(Edit::new(Span::new(key.end(), first.span.end()), " = {}"));
    let others = values.map(|id| parts.lines(id)).collect();
    let others = joined(others)
        .into_iter()
        .filter(|lines| lines.start() >= line.end());
    let line_break = line_break(parts.source);
    edits.extend(others.map(|lines| remove_lines(parts.source, line_break, lines)));
    Ok(())
}

/// Spans in order, those that touch each other as one.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort();
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start() <= last.end() => {
                *last = Span::new(last.start(), last.end().max(span.end()));
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// A part with the empty line above it; the first of a file with the one below.
fn with_empty_line(parts: &Parts<'_>, part: Span) -> Span {
    let above = line_start(parts.source, part.start().saturating_sub(1));
    if part.start() == 0 && parts.is_empty_line(part.end()) {
        Span::new(0, next_line(parts.source, part.end()))
    } else if part.start() > 0 && parts.is_empty_line(above) {
        Span::new(above, part.end())
    } else {
        part
    }
}
