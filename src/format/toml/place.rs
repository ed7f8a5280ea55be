//! Changes of a TOML text: keys, tables and items put in, exchanged and taken out.
//!
//! A value goes under the header of its table, a mapping under a header of its own where there are headers. Where the parts of
//! a table are scattered so that there is no one place for a change, it is refused.

use zeroize::Zeroizing;

use self::parts::{Parts, Shape};
use super::emit::{below, can_be_header, item, section, value as spelled};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::emit::CannotEmit;
use crate::format::lines::whole::{insert_lines, remove_lines};
use crate::format::lines::{line_break, line_start, next_line, replace as replaced};
use crate::format::place::CannotPlace;
use crate::node::{Form, Kind, Node, NodeId};
use crate::span::Span;
use toml_writer::ToTomlKey as _;

mod array;
mod parts;

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
    let parts = Parts::new(source, nodes);
    let place = nodes.get(parent).map_or(Span::at(0), |node| node.span);
    let refused = |error: CannotEmit| CannotPlace::new(place, error.reason);
    let name = name.unwrap_or_default();
    match parts.shape(parent) {
        Shape::Tables => {
            let Content::Map(_) = content else {
                let message = "every item of this list is a table under `[[…]]`";
                return Err(CannotPlace::new(place, message).with_hint("give a mapping"));
            };
            let text = item(content, &parts.path(parent)).map_err(refused)?;
            let at = match before {
                Some(next) => parts.part(next).start(),
                None => parts.end(parent).unwrap_or(source.len()),
            };
            let text = with_breaks(source, &text);
            edits.push(block(&parts, at, &[&text], before.is_some()));
        }
        Shape::Inline if parts.has_dotted(parent) => return Err(scattered(place)),
        Shape::Inline => array::insert(&parts, parent, before, name, content, edits)?,
        Shape::Root | Shape::Header => {
            let path = below(&parts.path(parent), name);
            let is_table = matches!(content, Content::Map(_)) && can_be_header(&path);
            let is_filled = content.entries().next().is_some();
            if is_table && (is_filled || parts.headers(0).next().is_some()) {
                let text = section(content, &path).map_err(refused)?;
                let at = parts.end(parent).unwrap_or(source.len());
                edits.push(block(&parts, at, &[&with_breaks(source, &text)], false));
            } else {
                let text = line(&parts, parent, "", name, content)?;
                let at = end_of_part(&parts, parent);
                // What only stands above the first key of a file is not about it.
                let is_behind_comments = at == source.len() && parts.end(0).is_none() && at > 0;
                let blank = if is_behind_comments {
                    line_break(source)
                } else {
                    ""
                };
                edits.push(insert_lines(
                    source,
                    at,
                    line_break(source),
                    &[blank, &text],
                ));
            }
        }
        Shape::Dotted => {
            let last = parts.items(parent).filter(|&id| parts.has_lines(id)).last();
            let Some(last) = last.and_then(|id| nodes.get(id)) else {
                return Err(scattered(place));
            };
            let start = last.key.map_or(0, Span::start);
            let line_start = line_start(source, start);
            let dots = source
                .get(line_start..start)
                .unwrap_or_default()
                .trim_start();
            let text = line(&parts, parent, dots, name, content)?;
            let at = next_line(source, last.span.end());
            edits.push(insert_lines(source, at, line_break(source), &[&text]));
        }
        Shape::Prefix => {
            let header = format!("[{}]{}", parts.path(parent), line_break(source));
            let text = line(&parts, parent, "", name, content)?;
            let Some(first) = parts.first_header(parent) else {
                return Err(scattered(place));
            };
            edits.push(block(
                &parts,
                first,
                &[&header, &text, line_break(source)],
                true,
            ));
        }
        Shape::Value => return Err(scattered(place)),
    }
    Ok(())
}

/// Writes `content` in place of `id`, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] for null, and for a table in several places or one that is replaced by something else.
pub(in crate::format) fn replace(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let parts = Parts::new(source, nodes);
    let Some(node) = nodes.get(id) else {
        return Ok(());
    };
    let refused = |error: CannotEmit| CannotPlace::new(node.span, error.reason);
    match parts.shape(id) {
        Shape::Value | Shape::Inline => {
            let (form, _) = super::value::quotes(source, node.span);
            let text = spelled(content, form).map_err(refused)?;
            edits.push(Edit::new(node.span, with_breaks(source, &text).as_str()));
            Ok(())
        }
        Shape::Header if matches!(content, Content::Map(_)) && node.key.is_some() => {
            let region = region(&parts, id).ok_or_else(|| scattered(node.span))?;
            // Tables in it may stand above its own header.
            let above = Span::new(region.start(), parts.part(id).start());
            let region = Span::new(parts.lines(id).start(), region.end());
            let text = section(content, &parts.path(id)).map_err(refused)?;
            edits.push(Edit::remove(above));
            let is_ended = region.of(source).ends_with('\n');
            let text = if is_ended {
                &*text
            } else {
                text.trim_end_matches('\n')
            };
            edits.push(Edit::new(region, with_breaks(source, text).as_str()));
            Ok(())
        }
        Shape::Root | Shape::Header | Shape::Tables | Shape::Dotted | Shape::Prefix => {
            let message = "this table is not written in one piece that could be replaced";
            Err(CannotPlace::new(node.span, message)
                .with_hint("change its values one by one, or take it out with `unset` first"))
        }
    }
}

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
    let parts = Parts::new(source, nodes);
    let Some((node, parent)) = nodes.get(id).and_then(|node| Some((node, node.parent?))) else {
        return Ok(());
    };
    let is_only = parts.items(parent).count() == 1;
    match (parts.shape(parent), is_only) {
        (Shape::Inline, _) if parts.has_dotted(parent) => return Err(scattered(node.span)),
        (Shape::Inline, _) => {
            array::remove(&parts, parent, id, edits);
            return Ok(());
        }
        (Shape::Tables, true) => {
            let message = "the last `[[…]]` of a list cannot be taken out: an empty list has another spelling";
            return Err(CannotPlace::new(node.span, message).with_hint("unset the list itself"));
        }
        (Shape::Dotted, true) => return empty_dotted(&parts, parent, id, edits),
        (Shape::Prefix, true) => {
            let region = region(&parts, id).ok_or_else(|| scattered(node.span))?;
            let region = Span::new(region.start(), region.end());
            let is_ended = region.of(source).ends_with('\n');
            let end = if is_ended { line_break(source) } else { "" };
            edits.push(Edit::new(region, format!("[{}]{end}", parts.path(parent))));
            return Ok(());
        }
        _ => {}
    }
    let headers = parts
        .headers(id)
        .map(|header| with_empty_line(&parts, parts.part(header)));
    let values = (id..node.end).filter(|&id| parts.has_lines(id));
    let values = values.map(|id| parts.with_comments(parts.lines(id)));
    let gone = joined(headers.chain(values).collect());
    if gone.is_empty() {
        return Err(scattered(node.span));
    }
    let line_break = line_break(source);
    edits.extend(
        gone.into_iter()
            .map(|lines| remove_lines(source, line_break, lines)),
    );
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

/// All lines of a table with the tables in it, if nothing else stands between them.
fn region(parts: &Parts<'_>, id: NodeId) -> Option<Span> {
    let spans: Vec<Span> = parts.headers(id).map(|header| parts.part(header)).collect();
    let start = spans.iter().map(|span| span.start()).min()?;
    let end = spans.iter().map(|span| span.end()).max()?;
    let whole = Span::new(start, end);
    let end_id = parts.node(id)?.end;
    let is_other = |other: NodeId| !(id..end_id).contains(&other);
    let is_inside = |other: NodeId| {
        let has_place = parts.has_lines(other) || parts.shape(other) == Shape::Header;
        has_place && whole.contains(parts.lines(other))
    };
    let mut others = (0..parts.nodes.len()).filter(|&other| is_other(other));
    (!others.any(is_inside)).then_some(whole)
}

fn scattered(place: Span) -> CannotPlace {
    CannotPlace::new(place, "the parts of this table stand in several places")
        .with_hint("change it with `sops-rs edit`")
}

/// Where a new value of a table goes: behind its last one.
fn end_of_part(parts: &Parts<'_>, table: NodeId) -> usize {
    if let Some(end) = parts.end_of_part(table) {
        return end;
    }
    // A file that has no values at its top: before the first header, else behind everything.
    parts.first_header(0).unwrap_or(parts.source.len())
}

/// A text with the line breaks of the file; in the strings of TOML all kinds are one.
fn with_breaks(source: &str, text: &str) -> Zeroizing<String> {
    Zeroizing::new(replaced(text, "\n", line_break(source)))
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
            let (form, _) = super::value::quotes(source, node.span);
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
