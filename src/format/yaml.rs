//! YAML as go-yaml v3 reads it (spec 7.2), and the edits that write into it without changing anything else.
//!
//! The scanner (`scan`, `build`) finds the nodes and decodes nothing; `scalar` and `resolve` decode when asked; `write`,
//! `metadata` and `expand` make edits. Knows nothing of encryption.

use std::borrow::Cow;

use super::{CannotWrite, Detached};
use crate::edit::Edit;
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::tree::Tree;
use crate::value::{self, Value};

mod build;
mod chars;
mod key;
mod resolve;
mod scalar;
mod scan;
mod tag;

/// Finds every node of `source`.
///
/// # Errors
/// [`ScanError`] where go-yaml would refuse the text, or the first document in it, and in a few places where it would
/// read something else than what is written.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    chars::check(source)?;
    build::build(source)
}

/// The decoded key of a mapping's entry. An alias as a key is looked up in `nodes`.
///
/// # Errors
/// [`ScanError`] if the key is not a string (spec 2).
pub fn key<'a>(source: &'a str, nodes: &[Node], node: &Node) -> Result<Cow<'a, str>, ScanError> {
    key::decode(source, nodes, node)
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
    let plain = node.form == crate::node::Form::Plain;
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
pub fn write_token(_source: &str, node: &Node, token: &str) -> Edit {
    Edit::new(node.inner, token)
}
/// x
pub fn write_value(
    _source: &str,
    node: &Node,
    _value: &Value<'_>,
    _ends_text: bool,
) -> Result<Edit, CannotWrite> {
    Ok(Edit::remove(node.inner))
}
/// x
pub fn write_item_comment(_source: &str, _nodes: &[Node], node: &Node, _text: &str) -> Edit {
    Edit::remove(node.inner)
}
/// x
pub fn attach(_source: &str, _nodes: &[Node], block: &str) -> Vec<Edit> {
    vec![Edit::new(Span::at(0), block)]
}
/// x
pub fn detach(_source: &str, _nodes: &[Node]) -> Detached {
    Detached::default()
}
/// x
pub fn emit_metadata(_metadata: &Tree) -> String {
    String::new()
}
/// x
pub fn expand(_source: &str, _nodes: &[Node], _aliases: &[NodeId]) -> Vec<Edit> {
    Vec::new()
}
