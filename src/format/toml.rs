//! TOML 1.0. SOPS has no such format: how it is sealed is this program's own (spec 15).
//!
//! What is sealed is a value as it is spelled, quotes included, so that every number, date and string comes back as it was
//! written. Knows how keys, values and comments are decoded and written in place. The text is read in `toml/scan.rs` from
//! the events of `toml/events.rs`, tables come together in `toml/table.rs`, one scalar is in `toml/value.rs`, the metadata in
//! `toml/metadata.rs` and `toml/revise.rs`.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::CannotWrite;
use super::emit::CannotEmit;
use super::lines::{line_start, next_line};
use crate::content::Content;
use crate::edit::Edit;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::{NotOfType, Type, Value};

mod emit;
mod events;
mod metadata;
pub(super) mod place;
mod revise;
mod scan;
mod table;
mod value;

pub use emit::emit;
pub use metadata::{attach, detach, emit_metadata};
pub use revise::revise;

/// Finds every table, value and comment.
///
/// Entries stand in the order in which their keys are mentioned first, each table with all its parts: `[a]`, `[b]`, `[a.c]`
/// give `a`, `a.c`, `b`. A table's `span` is its part under its own header, and `inner` the header; of a table that has no
/// header, both are the key that mentions it first. Its entries need not lie inside.
///
/// A comment stands before the value or header that it stands above or behind, in the same container; at the end of an array
/// or of the file, it is the last of what is open there.
///
/// # Errors
/// [`ScanError`] for everything that is not TOML 1.0, and for numbers beyond 64 bits.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    scan::scan(source)
}

/// The decoded key of an entry.
#[must_use]
pub fn key<'a>(source: &'a str, node: &Node) -> Cow<'a, str> {
    scan::key_text(source, node.key.unwrap_or_default())
}

/// What a scalar means, or the text of a comment. A local date or time is its text; line breaks are LF.
///
/// # Errors
/// [`ScanError`] if it is not a scalar of TOML 1.0.
pub fn value<'a>(source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    if node.kind == Kind::Comment {
        return Ok(Value::Str(Plain::from(node.inner.of(source))));
    }
    value::read(source, node.span).map(|(_, value)| value)
}

/// What is sealed of a scalar: its spelling. An empty text is empty in every spelling. Of a comment, its text.
///
/// # Errors
/// [`ScanError`] if it is not a scalar of TOML 1.0.
pub fn plaintext<'a>(source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    let lexeme = node.span.of(source);
    if node.kind == Kind::Comment {
        return value(source, node);
    }
    let (kind, value) = value::read(source, node.span)?;
    Ok(if value.is_empty() {
        value
    } else {
        Value::Lexeme(kind, Plain::from(lexeme))
    })
}

/// Any content as it stands behind `=`.
///
/// # Errors
/// [`CannotEmit`] as [`emit()`] has it.
pub fn inline(content: &Content<'_>) -> Result<Zeroizing<String>, CannotEmit> {
    emit::value(content, Form::Plain)
}

/// The spelling that a token of type `kind` held.
///
/// # Errors
/// [`NotOfType`] if it is not one scalar of that kind, alone.
pub fn opened(kind: Type, bytes: Zeroizing<Vec<u8>>) -> Result<Value<'static>, NotOfType> {
    value::opened(kind, bytes)
}

/// What a spelling means; any other value means itself.
#[must_use]
pub fn meaning(value: Value<'_>) -> Value<'_> {
    let Value::Lexeme(_, lexeme) = &value else {
        return value;
    };
    let lexeme = lexeme.expose();
    let meant = value::read(lexeme, Span::new(0, lexeme.len()));
    match meant.map(|(_, meant)| meant.into_owned()) {
        Ok(meant) => meant,
        Err(_) => value,
    }
}

/// Puts `token` in quotes in place of a scalar, or bare in place of a comment's text.
#[must_use]
pub fn write_token(node: &Node, token: String) -> Edit {
    if node.kind == Kind::Comment {
        Edit::new(node.inner, token)
    } else {
        Edit::new(node.span, format!("\"{token}\""))
    }
}

/// Writes `value` in place of a scalar: a spelling as it is, text in the quotes that are there if they can hold it. Or a
/// comment's text.
///
/// # Errors
/// [`CannotWrite`] for null, for bytes that are not UTF-8, and for a comment with a character that none can have.
pub fn write_value(source: &str, node: &Node, value: &Value<'_>) -> Result<Edit, CannotWrite> {
    if node.kind != Kind::Comment {
        let (form, _) = value::quotes(source, node.span);
        return Ok(Edit::new(node.span, value::spell(value, form)?.as_str()));
    }
    match value {
        Value::Str(text) if is_comment(text.expose()) => Ok(Edit::new(node.inner, text.expose())),
        _ => Err(CannotWrite("no TOML comment can hold this text".to_owned())),
    }
}

fn is_comment(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_ascii_control())
}

/// The comments that are not directly before what they stand above or behind, because that was mentioned earlier: a header
/// of a table that has parts further up. A rule that asks comments must not depend on them.
#[must_use]
pub fn doubtful_comments(source: &str, nodes: &[Node]) -> Vec<NodeId> {
    let lines = lines_of_content(source);
    let mut doubtful = Vec::new();
    // The entry that stands next behind each place, in its container.
    let mut next: Vec<Option<NodeId>> = vec![None; nodes.len()];
    for (id, node) in nodes.iter().enumerate().rev() {
        let Some(behind) = node.parent.and_then(|parent| next.get_mut(parent)) else {
            continue;
        };
        if node.kind != Kind::Comment {
            *behind = Some(id);
        } else if !belongs(source, &lines, node, behind.and_then(|id| nodes.get(id))) {
            doubtful.push(id);
        }
    }
    doubtful.reverse();
    doubtful
}

/// Where the lines begin that are neither blank nor a comment.
fn lines_of_content(source: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let next = next_line(source, at);
        let line = source.get(at..next).unwrap_or_default().trim_start();
        if !line.is_empty() && !line.starts_with('#') {
            lines.push(at);
        }
        at = next;
    }
    lines
}

/// Whether a comment belongs to the entry that follows it in the table, or to none if none does.
fn belongs(source: &str, lines: &[usize], comment: &Node, entry: Option<&Node>) -> bool {
    let place = entry.map(|entry| entry.key.unwrap_or(entry.span).start());
    if comment.inline {
        return place.is_some_and(|place| place < comment.span.start());
    }
    let behind = lines.partition_point(|line| *line < comment.span.end());
    match (lines.get(behind), place) {
        (Some(&line), Some(place)) => line_start(source, place) == line,
        (Some(&line), None) => source
            .get(line..)
            .is_some_and(|text| text.trim_start().starts_with(']')),
        (None, place) => place.is_none(),
    }
}

#[cfg(test)]
mod tests;
