//! INI as SOPS reads it: the dialect of `gopkg.in/ini.v1` with repeated sections (spec 7.6).
//!
//! Knows how keys, values and comments are decoded and written in place. The file is read in `ini/scan.rs`, one value
//! in `ini/value.rs`, the metadata section is in `ini/metadata.rs`. Knows nothing of other INI dialects.
//!
//! Stricter than SOPS in three places, because a text that is edited in place could not follow it: a key may stand only
//! once in a section (SOPS moves the last value to the first key's place), no key may be named `-` (SOPS numbers them),
//! and a file may not end in an opening `"""` (it would swallow the metadata). A comment behind a section header cannot be
//! sealed: a token there would become part of the section's name.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::CannotWrite;
use super::lines::{bare_text, next_line};
use crate::edit::Edit;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::value::Value;

mod emit;
mod metadata;
pub(super) mod place;
mod scan;
mod value;

pub use emit::emit;
pub use metadata::{attach, detach, emit_line, emit_metadata};

/// The section of the keys before any header.
const DEFAULT: &str = "DEFAULT";

/// Finds every section, key and comment.
///
/// The first section is always `DEFAULT`, written or not: its key is an empty span. The comments of a section are its
/// first entries, those of a key follow it; the ones behind the last key belong to the last section. Lines of one
/// comment are one node, unless an empty line or a token stands between.
///
/// # Errors
/// [`ScanError`] where SOPS would refuse the text, and for what this module's opening lists.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    scan::scan(source)
}

/// The name of a section, or a key without its quotes.
#[must_use]
pub fn key<'a>(source: &'a str, node: &Node) -> Cow<'a, str> {
    let Some(span) = node.key else {
        return Cow::Borrowed("");
    };
    Cow::Borrowed(match node.kind {
        Kind::Mapping if span.is_empty() => DEFAULT,
        Kind::Mapping => span.of(source),
        _ => unquoted(span.of(source)),
    })
}

fn unquoted(key: &str) -> &str {
    ["\"\"\"", "\"", "`"]
        .into_iter()
        .find_map(|quote| key.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(key)
        .trim()
}

/// The value of a key, or the text of a comment with its line breaks and the marks of all lines but the first.
#[must_use]
pub fn value<'a>(source: &'a str, node: &Node) -> Value<'a> {
    let text = node.inner.of(source);
    Value::Str(
        if node.kind == Kind::Scalar && value::is_continued(source, node) {
            Plain::owned(value::join(text))
        } else {
            Plain::from(text)
        },
    )
}

/// The comments behind section headers: a name ends at the last `]` of its line, so no token can stand there.
#[must_use]
pub fn header_comments(nodes: &[Node]) -> Vec<NodeId> {
    nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.behind_header)
        .map(|(id, _)| id)
        .collect()
}

/// Puts `token` inside the quotes that are there, or in place of a comment's text. The lines of a long value or comment
/// become one.
#[must_use]
pub fn write_token(node: &Node, token: String) -> Edit {
    Edit::new(node.inner, token)
}

/// Writes `value` in the quotes that are there if it reads back equal so, else in the first of `"…"`, backticks and
/// `"""…"""` in which it does; or a comment's text, with marks for the lines that have none.
///
/// # Errors
/// [`CannotWrite`] for null, for bytes that are not UTF-8, for text that reads back equal in no style, and for several
/// lines in a comment behind a value.
pub fn write_value(source: &str, node: &Node, value: &Value<'_>) -> Result<Edit, CannotWrite> {
    let text = bare_text(value)?;
    let text = text.expose();
    if node.kind == Kind::Comment {
        return write_comment(node, text);
    }
    let line_end = next_line(source, node.span.end());
    let behind = source.get(node.span.end()..line_end).unwrap_or_default();
    let forms = [node.form, Form::Double, Form::Backtick, Form::Triple];
    let spelled = value::spell(text, forms, behind)
        .ok_or_else(|| CannotWrite("no INI quotes can hold this text".to_owned()))?;
    Ok(Edit::new(node.span, spelled.as_str()))
}

fn write_comment(node: &Node, text: &str) -> Result<Edit, CannotWrite> {
    if node.inline && text.contains('\n') {
        let message = "an INI comment behind a value cannot hold a line break";
        return Err(CannotWrite(message.to_owned()));
    }
    // Room for all marks, so that the buffer never moves and leaves a copy behind.
    let room = text.len() + 2 * text.matches('\n').count();
    let mut written = Zeroizing::new(String::with_capacity(room));
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            written.push('\n');
            let content = line.trim_start();
            if content.is_empty() {
                written.push(';');
            } else if !content.starts_with(['#', ';']) {
                written.push_str("; ");
            }
        }
        written.push_str(line);
    }
    Ok(Edit::new(node.inner, written.as_str()))
}

#[cfg(test)]
mod tests;
