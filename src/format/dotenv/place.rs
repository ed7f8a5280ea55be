//! Changes of a dotenv text: variables put in, exchanged and taken out, each with its own comment lines.
//!
//! What is written is read again with the scanner before it is believed. Lines are ended by LF in every file: a carriage
//! return would be part of the value (spec 7.5).

use zeroize::Zeroizing;

use super::{key, scan, value};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::lines::whole::{insert_lines, remove_lines, with_comments_above};
use crate::format::lines::{bare_text, next_line, replace as replace_all};
use crate::format::place::CannotPlace;
use crate::node::{Kind, Node, NodeId};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::Value;

/// Puts a variable before another, else behind the last, see [`crate::format::place::insert`].
///
/// # Errors
/// [`CannotPlace`] for a list or mapping, and for a key or value that would not be read back.
pub(in crate::format) fn insert(
    source: &str,
    nodes: &[Node],
    before: Option<NodeId>,
    key: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let at = match before.and_then(|id| nodes.get(id)) {
        Some(next) => with_comments_above(source, nodes, own_line(source, next)).start(),
        None => nodes
            .iter()
            .rfind(|node| node.kind == Kind::Scalar)
            .map_or(source.len(), |last| next_line(source, last.span.end())),
    };
    // What only stands above the first variable is not about it.
    let is_behind_comments = nodes.last().is_some_and(|node| node.kind == Kind::Comment);
    let blank = if at == source.len() && is_behind_comments {
        "\n"
    } else {
        ""
    };
    let name = key.unwrap_or_default();
    let text = spelled(Span::at(at), name, content)?;
    edits.push(insert_lines(source, at, "\n", &[blank, name, "=", &text]));
    Ok(())
}

/// Writes another value, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] for a list or mapping, and for a value that would not be read back.
pub(in crate::format) fn replace(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    if let Some(node) = nodes.get(id) {
        let text = spelled(node.span, &key(source, node), content)?;
        edits.push(Edit::new(node.inner, text.as_str()));
    }
    Ok(())
}

/// Takes out a variable, see [`crate::format::place::remove`].
///
/// # Errors
/// None: no variable depends on another.
pub(in crate::format) fn remove(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    if let Some(node) = nodes.get(id) {
        let lines = with_comments_above(source, nodes, own_line(source, node));
        edits.push(remove_lines(source, "\n", lines));
    }
    Ok(())
}

/// The line of a variable with its line break.
fn own_line(source: &str, node: &Node) -> Span {
    let start = node.key.map_or(node.span.start(), Span::start);
    Span::new(start, next_line(source, node.span.end()))
}

/// The text of a value that reads back equal behind `name=`.
fn spelled(
    place: Span,
    name: &str,
    content: &Content<'_>,
) -> Result<Zeroizing<String>, CannotPlace> {
    let Content::Scalar(wanted) = content else {
        let message = "a dotenv file holds neither lists nor mappings";
        return Err(CannotPlace::new(place, message)
            .with_hint("give each value a variable of its own, or keep the text of it in one"));
    };
    if name.is_empty() || !reads_back(name, "", &Plain::from("")) {
        let message =
            "a variable needs a name, without `=` or line breaks and with no `#` in front";
        return Err(CannotPlace::new(place, message));
    }
    let wanted = bare_text(wanted).map_err(|error| CannotPlace::unwritable(place, error))?;
    let text = Zeroizing::new(replace_all(wanted.expose(), "\n", "\\n"));
    if reads_back(name, &text, &wanted) {
        return Ok(text);
    }
    let message =
        "a dotenv value cannot hold a backslash before an `n`: it is read as a line break";
    Err(CannotPlace::new(place, message))
}

/// Whether `name=text` is read as one variable of this name with the value `wanted`.
fn reads_back(name: &str, text: &str, wanted: &Plain<'_>) -> bool {
    let mut line = Zeroizing::new(String::with_capacity(name.len() + 1 + text.len()));
    for piece in [name, "=", text] {
        line.push_str(piece);
    }
    let Ok(nodes) = scan(&line) else {
        return false;
    };
    match nodes.as_slice() {
        [_, node] if node.kind == Kind::Scalar => {
            key(&line, node) == name
                && value(&line, node) == Value::Str(Plain::from(wanted.expose()))
        }
        _ => false,
    }
}
