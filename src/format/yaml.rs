//! YAML as go-yaml v3 reads it (spec 7.2), and the edits that write into it without changing anything else.
//!
//! The scanner (`scan`, `build`) finds the nodes and decodes nothing; `scalar` and `resolve` decode when asked; `write`,
//! `metadata` and `expand` make edits; `emit` writes new text. Knows nothing of encryption.

use std::borrow::Cow;

use super::{CannotWrite, Detached};
use crate::edit::Edit;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::tree::Tree;
use crate::value::{self, Value};

mod build;
mod chars;
mod comment;
mod emit;
mod expand;
mod key;
mod merge;
mod metadata;
pub(super) mod place;
mod quote;
mod requote;
mod resolve;
mod scalar;
mod scan;
mod tag;
mod write;

pub use emit::emit;

/// Finds every node of `source`.
///
/// # Errors
/// [`ScanError`] where go-yaml would refuse the text, or the first document in it, and in a few places where it would
/// read something else than what is written.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    chars::check(source)?;
    build::build(source)
}

/// The decoded key of a mapping's entry.
///
/// # Errors
/// [`ScanError`] if the key is not a string (spec 2).
pub fn key<'a>(source: &'a str, node: &Node) -> Result<Cow<'a, str>, ScanError> {
    key::decode(source, node)
}

/// The decoded value of a scalar, or the text of a comment behind its `#`.
///
/// # Errors
/// [`ScanError`] for an integer above 2^63-1 and for a time with an offset that RFC 3339 cannot spell.
pub fn value<'a>(source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    if node.kind == Kind::Comment {
        return Ok(Value::Str(node.inner.of(source).into()));
    }
    let text = scalar::decode(source, node.form, node.span, node.inner, node.key);
    let plain = node.form == Form::Plain;
    let text = match text {
        Cow::Borrowed(text) => Plain::Borrowed(text),
        Cow::Owned(text) => Plain::owned(text),
    };
    Ok(match resolve::resolve(text.expose(), plain, node.tag) {
        Some(resolve::Resolved::Null) => Value::Null,
        Some(resolve::Resolved::Bool(value)) => Value::Bool(value),
        Some(resolve::Resolved::Int(value)) => Value::Int(value),
        Some(resolve::Resolved::Float(value)) => Value::Float(value),
        Some(resolve::Resolved::Time(Some(value))) => Value::Time(value),
        Some(resolve::Resolved::Str) => Value::Str(text),
        Some(resolve::Resolved::Bytes(bytes)) => value::from_bytes(bytes),
        Some(resolve::Resolved::Time(None)) => {
            return Err(ScanError::new(
                node.span,
                "the offset of this time is out of range",
            ));
        }
        Some(resolve::Resolved::Unsigned) => {
            return Err(
                ScanError::new(node.span, "this integer is above 9223372036854775807")
                    .with_hint("put it in quotes"),
            );
        }
        None => return Err(ScanError::new(node.span, "the tag does not fit this value")),
    })
}

/// Adds the edits that put `token` in place of a scalar's value or a comment's text.
///
/// Quotes, block headers and anchors stay, but `+` becomes `-` and tags under which SOPS could not load a token go
/// (spec 12.1). In a flow collection a bare value gets single quotes, and a value that had them gets a space before the
/// closing quote, which SOPS ignores and [`write_value`] understands.
pub fn write_token(source: &str, node: &Node, token: String, edits: &mut Vec<Edit>) {
    write::token(source, node, token, edits);
}

/// Adds the edits that write `value` in place of a scalar, or a text in place of a comment's, in the style that is there
/// or in the nearest in which it reads back as this value.
///
/// # Errors
/// [`CannotWrite`] for a comment of several lines and for bytes behind a tag of the user's own.
pub fn write_value(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    ends_text: bool,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotWrite> {
    write::value(source, node, value, ends_text, edits)
}

/// The edit that turns a list item which is a comment token into a comment, or removes it in a flow sequence.
#[must_use]
pub fn write_item_comment(source: &str, node: &Node, text: &str) -> Edit {
    write::item_comment(source, node, text)
}

/// How the token at `node` is quoted, if it stands on one line and outside of flow collections.
#[must_use]
pub fn token_quotes(node: &Node) -> Option<Form> {
    requote::quotes(node)
}

/// The edit that puts `token` in place of a scalar in the quotes `form`, if it has others and that opens to the bytes that stand
/// there.
#[must_use]
pub fn write_token_as(
    source: &str,
    node: &Node,
    value: &Value<'_>,
    form: Form,
    token: &str,
) -> Option<Edit> {
    requote::token(source, node, value, form, token)
}

/// The comments that readers may count for different entries, in order (spec 7.2.4).
#[must_use]
pub fn doubtful_comments(source: &str, nodes: &[Node]) -> Vec<NodeId> {
    comment::doubtful(source, nodes)
}

/// The edits that add `block` as the last entry of every document, and remove `%YAML 1.2`, which SOPS cannot load.
#[must_use]
pub fn attach(source: &str, nodes: &[Node], block: &str) -> Vec<Edit> {
    metadata::attach(source, nodes, block)
}

/// Finds the `sops` entries of all documents, and the edits that take them out.
#[must_use]
pub fn detach(source: &str, nodes: &[Node]) -> Detached {
    metadata::detach(source, nodes)
}

/// The entry `sops:` with this value, byte for byte as SOPS prints it.
#[must_use]
pub fn emit_metadata(metadata: &Tree) -> String {
    metadata::emit::block(metadata)
}

/// The edits that replace each of these alias nodes by a copy of what it stands for, without anchors and comments.
///
/// Aliases inside the copies are replaced too. The copies are bounded to a hundred times the text, or 16 MiB: an alias
/// whose copy goes beyond that stays as it is.
#[must_use]
pub fn expand(source: &str, nodes: &[Node], aliases: &[NodeId]) -> Vec<Edit> {
    expand::edits(source, nodes, aliases)
}
