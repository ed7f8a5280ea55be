//! What is put into a table or list, in the way in which that is written.

use toml_writer::ToTomlKey as _;
use zeroize::Zeroizing;

use super::parts::{Parts, Shape};
use super::{array, scattered, with_breaks};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::emit::CannotEmit;
use crate::format::lines::whole::insert_lines;
use crate::format::lines::{line_break, line_start, next_line};
use crate::format::place::CannotPlace;
use crate::format::toml::emit::{below, can_be_header, item, section, value as spelled};
use crate::format::toml::value::quotes;
use crate::node::{Form, Kind, Node, NodeId};
use crate::span::Span;

/// Puts `content` into `parent`, see [`crate::format::place::insert`].
///
/// # Errors
/// [`CannotPlace`] for null, and for what is no table where all items are `[[…]]`.
pub(in crate::format) fn insert(
    source: &str,
    nodes: &[Node],
    parent: NodeId,
    before: Option<NodeId>,
    name: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let parts = &Parts::new(source, nodes);
    let name = name.unwrap_or_default();
    let path = below(&parts.path(parent), name);
    let is_table = matches!(content, Content::Map(_)) && can_be_header(&path);
    edits.push(match parts.shape(parent) {
        Shape::Inline if !parts.has_dotted(parent) => {
            return array::insert(parts, parent, before, name, content, edits);
        }
        Shape::Tables => one_of_tables(parts, parent, before, content)?,
        Shape::Root | Shape::Header if is_table && takes_headers(parts, parent, content) => {
            table(parts, parent, &path, content)?
        }
        Shape::Prefix if is_table => table(parts, parent, &path, content)?,
        Shape::Root | Shape::Header => under_header(parts, parent, name, content)?,
        Shape::Dotted => beside_dotted(parts, parent, name, content)?,
        Shape::Prefix => under_new_header(parts, parent, name, content)?,
        Shape::Inline | Shape::Value => return Err(scattered(place(parts, parent))),
    });
    Ok(())
}

/// Where a message about a container points.
fn place(parts: &Parts<'_>, id: NodeId) -> Span {
    parts.node(id).map_or(Span::at(0), |node| node.span)
}

/// Another `[[key]]`.
fn one_of_tables(
    parts: &Parts<'_>,
    list: NodeId,
    before: Option<NodeId>,
    content: &Content<'_>,
) -> Result<Edit, CannotPlace> {
    let place = place(parts, list);
    let Content::Map(_) = content else {
        let message = "every item of this list is a table under `[[…]]`";
        return Err(CannotPlace::new(place, message).with_hint("give a mapping"));
    };
    let text =
        item(content, &parts.path(list)).map_err(|error| CannotPlace::new(place, error.reason))?;
    let at = match before {
        Some(next) => parts.part(next).start(),
        None => parts.end(list).unwrap_or(parts.source.len()),
    };
    let text = with_breaks(parts.source, &text);
    Ok(block(parts, at, &[&text], before.is_some()))
}

/// Whether a mapping in this table gets a header of its own: unless its neighbours are between braces, and nothing in a file
/// without headers.
fn takes_headers(parts: &Parts<'_>, table: NodeId, content: &Content<'_>) -> bool {
    let is_braces = |id: NodeId| {
        parts
            .node(id)
            .is_some_and(|node| node.kind == Kind::Mapping && node.flow)
    };
    let has_header = |id: NodeId| {
        matches!(
            parts.shape(id),
            Shape::Header | Shape::Tables | Shape::Prefix
        )
    };
    if parts.items(table).any(is_braces) && !parts.items(table).any(has_header) {
        return false;
    }
    content.entries().next().is_some() || parts.headers(0).next().is_some()
}

/// A table with its header, behind all that is in the one it belongs to.
fn table(
    parts: &Parts<'_>,
    outer: NodeId,
    path: &str,
    content: &Content<'_>,
) -> Result<Edit, CannotPlace> {
    let refused = |error: CannotEmit| CannotPlace::new(place(parts, outer), error.reason);
    let text = section(content, path).map_err(refused)?;
    let at = parts.end(outer).unwrap_or(parts.source.len());
    Ok(block(
        parts,
        at,
        &[&with_breaks(parts.source, &text)],
        false,
    ))
}

/// A value behind the last one of a table.
fn under_header(
    parts: &Parts<'_>,
    table: NodeId,
    name: &str,
    content: &Content<'_>,
) -> Result<Edit, CannotPlace> {
    let source = parts.source;
    let text = line(parts, table, "", name, content)?;
    let at = end_of_part(parts, table);
    let line_break = line_break(source);
    // What only stands above the first key of a file is not about it.
    let is_behind_comments = at == source.len() && parts.end(0).is_none() && at > 0;
    let blank = if is_behind_comments { line_break } else { "" };
    Ok(insert_lines(source, at, line_break, &[blank, &text]))
}

/// `a.c = 2` behind the last value of `a` that stands as `a.b = 1`.
fn beside_dotted(
    parts: &Parts<'_>,
    table: NodeId,
    name: &str,
    content: &Content<'_>,
) -> Result<Edit, CannotPlace> {
    let source = parts.source;
    let last = parts.items(table).filter(|&id| parts.has_lines(id)).last();
    let Some(last) = last.and_then(|id| parts.node(id)) else {
        return Err(scattered(place(parts, table)));
    };
    let start = last.key.map_or(0, Span::start);
    let dots = source.get(line_start(source, start)..start);
    let dots = dots.unwrap_or_default().trim_start();
    let text = line(parts, table, dots, name, content)?;
    let at = next_line(source, last.span.end());
    Ok(insert_lines(source, at, line_break(source), &[&text]))
}

/// A value of `a` where only `[a.b]` is written, under a `[a]` above that.
fn under_new_header(
    parts: &Parts<'_>,
    table: NodeId,
    name: &str,
    content: &Content<'_>,
) -> Result<Edit, CannotPlace> {
    let line_break = line_break(parts.source);
    let header = format!("[{}]{line_break}", parts.path(table));
    let text = line(parts, table, "", name, content)?;
    let Some(first) = parts.first_header(table) else {
        return Err(scattered(place(parts, table)));
    };
    Ok(block(parts, first, &[&header, &text, line_break], true))
}

/// Where a new value of a table goes: behind its last one.
fn end_of_part(parts: &Parts<'_>, table: NodeId) -> usize {
    if let Some(end) = parts.end_of_part(table) {
        return end;
    }
    // A file that has no values at its top: before the first header, else behind everything.
    parts.first_header(0).unwrap_or(parts.source.len())
}

/// The edit that puts a table at byte `at`, with an empty line above it, or, if it is `before` another, with none.
fn block(parts: &Parts<'_>, at: usize, pieces: &[&str], before: bool) -> Edit {
    let line_break = line_break(parts.source);
    let mut all = pieces.to_vec();
    if before {
        all.push(line_break);
    } else if at > 0 {
        all.insert(0, line_break);
    }
    if let Some(last) = all.last_mut() {
        *last = last.strip_suffix(line_break).unwrap_or(last);
    }
    insert_lines(parts.source, at, line_break, &all)
}

/// `key = value` without its line break, in the manner of the last value of the table.
fn line(
    parts: &Parts<'_>,
    table: NodeId,
    dots: &str,
    name: &str,
    content: &Content<'_>,
) -> Result<Zeroizing<String>, CannotPlace> {
    let source = parts.source;
    let values = parts.items(table).filter(|&id| parts.has_lines(id));
    let values: Vec<&Node> = values.filter_map(|id| parts.node(id)).collect();
    let last = values.last().and_then(|node| Some((node, node.key?)));
    let equals = last.and_then(|(node, key)| source.get(key.end()..node.span.start()));
    let equals = equals.filter(|equals| equals.len() <= 3).unwrap_or(" = ");
    let indent = last.and_then(|(_, key)| {
        let start = line_start(source, key.start());
        let line = source.get(start..key.start())?;
        line.get(..line.len() - line.trim_start().len())
    });
    let mut forms = values
        .iter()
        .filter(|node| node.kind == Kind::Scalar)
        .filter_map(|node| {
            let (form, _) = quotes(source, node.span);
            (form != Form::Plain).then_some(form)
        });
    let form = forms
        .next()
        .filter(|first| forms.all(|form| form == *first));
    let place = parts.node(table).map_or(Span::at(0), |node| node.span);
    let text = spelled(content, form.unwrap_or(Form::Plain))
        .map_err(|error| CannotPlace::new(place, error.reason))?;
    let text = with_breaks(source, &text);
    let key = name.to_toml_key();
    let pieces = [indent.unwrap_or_default(), dots, &key, equals, &text];
    let length = pieces.iter().map(|piece| piece.len()).sum();
    let mut line = Zeroizing::new(String::with_capacity(length));
    for piece in pieces {
        line.push_str(piece);
    }
    Ok(line)
}
