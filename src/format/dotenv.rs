//! Lines of `KEY=value` as SOPS reads them (spec 7.5).
//!
//! Nothing is interpreted but the two characters `\n` in values: no quotes, no `export`, no blanks, no carriage
//! returns. Knows nothing of what shells make of such files.

use std::borrow::Cow;

use memchr::memchr;

use super::lines::{bare_text, conflict, next_line, replace};
use super::{CannotWrite, Detached};
use crate::edit::Edit;
use crate::node::{Kind, Node, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::Value;

mod emit;
pub(super) mod place;

pub use emit::emit;

/// What the keys of metadata begin with.
const PREFIX: &str = "sops_";

/// Finds every variable and comment. Keys may be empty, repeat and contain blanks; empty lines have no node.
///
/// # Errors
/// [`ScanError`] for a line that is neither, and for conflict markers. The message never shows the line: it may be a
/// secret.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    let mut nodes = vec![Node::new(Kind::Mapping, None, Span::new(0, source.len()))];
    let (mut at, mut number) = (0, 0usize);
    while at < source.len() {
        let next = next_line(source, at);
        let line = Span::new(at, next);
        let text = line.of(source);
        let text = text.strip_suffix('\n').unwrap_or(text);
        number += 1;
        if !text.is_empty() {
            let mut node = scan_line(source, at, text, number)?;
            node.end = nodes.len() + 1;
            nodes.push(node);
        }
        at = next;
    }
    let end = nodes.len();
    if let Some(root) = nodes.first_mut() {
        root.end = end;
    }
    Ok(nodes)
}

fn scan_line(source: &str, at: usize, text: &str, number: usize) -> Result<Node, ScanError> {
    if let Some(error) = conflict(source, at) {
        return Err(error);
    }
    let line = Span::new(at, at + text.len());
    if text.starts_with('#') {
        let mut node = Node::new(Kind::Comment, Some(0), line);
        node.inner = Span::new(at + 1, line.end());
        return Ok(node);
    }
    let Some(length) = memchr(b'=', text.as_bytes()) else {
        let message = format!("line {number} has no `=`");
        return Err(ScanError::new(line, message)
            .with_hint("write KEY=value, or `#` at the very start of a comment"));
    };
    let mut node = Node::new(
        Kind::Scalar,
        Some(0),
        Span::new(at + length + 1, line.end()),
    );
    node.key = Some(Span::new(at, at + length));
    Ok(node)
}

/// The key of a variable: everything before the first `=`.
#[must_use]
pub fn key<'a>(source: &'a str, node: &Node) -> Cow<'a, str> {
    Cow::Borrowed(node.key.unwrap_or_default().of(source))
}

/// The value of a variable with its line breaks, or the text of a comment as it stands.
#[must_use]
pub fn value<'a>(source: &'a str, node: &Node) -> Value<'a> {
    let text = node.inner.of(source);
    Value::Str(if node.kind == Kind::Scalar && text.contains("\\n") {
        Plain::owned(replace(text, "\\n", "\n"))
    } else {
        Plain::from(text)
    })
}

/// Puts `token` in place of a value or a comment's text.
#[must_use]
pub fn write_token(node: &Node, token: String) -> Edit {
    Edit::new(node.inner, token)
}

/// Writes `value` with `\n` for line breaks, or a comment's text. A backslash before an `n` is written as it is,
/// although it reads back as a line break: this format cannot tell them apart (spec 7.5).
///
/// # Errors
/// [`CannotWrite`] for null, for bytes that are not UTF-8, and for a comment of several lines.
pub fn write_value(_source: &str, node: &Node, value: &Value<'_>) -> Result<Edit, CannotWrite> {
    let text = bare_text(value)?;
    let text = text.expose();
    if node.kind != Kind::Comment {
        return Ok(Edit::new(node.inner, replace(text, "\n", "\\n")));
    }
    if text.contains('\n') {
        return Err(CannotWrite(
            "a dotenv comment cannot hold a line break".to_owned(),
        ));
    }
    Ok(Edit::new(node.inner, text))
}

/// The edit that adds the lines of `block` at the end. They end in LF in every file: a carriage return would become
/// part of the metadata.
#[must_use]
pub fn attach(source: &str, block: &str) -> Vec<Edit> {
    let block = block.strip_suffix('\n').unwrap_or(block);
    let text = if source.is_empty() || source.ends_with('\n') {
        format!("{block}\n")
    } else {
        format!("\n{block}")
    };
    vec![Edit::new(Span::at(source.len()), text)]
}

/// Takes out all metadata lines, wherever they stand. If the last line of the file is one of them and has no line
/// break, the one before the metadata goes too.
#[must_use]
pub fn detach(source: &str, nodes: &[Node]) -> Detached {
    let mut runs: Vec<Span> = Vec::new();
    for node in nodes {
        let Some(key) = node.key.filter(|key| key.of(source).starts_with(PREFIX)) else {
            continue;
        };
        let end = next_line(source, node.span.end());
        match runs.last_mut() {
            Some(run) if run.end() == key.start() => *run = Span::new(run.start(), end),
            _ => runs.push(Span::new(key.start(), end)),
        }
    }
    let block = match runs.as_slice() {
        [run] if !run.of(source).contains('\r') => Some(*run),
        _ => None,
    };
    if let Some(run) = runs.last_mut()
        && run.end() == source.len()
        && !source.ends_with('\n')
    {
        *run = Span::new(run.start().saturating_sub(1), run.end());
    }
    Detached {
        edits: runs.into_iter().map(Edit::remove).collect(),
        block,
    }
}

/// The metadata as lines. `pairs` are the flattened keys (spec 5.5) without the prefix, and their values.
#[must_use]
pub fn emit_metadata(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{PREFIX}{key}={}\n", value.replace('\n', "\\n")))
        .collect()
}

#[cfg(test)]
mod tests;
