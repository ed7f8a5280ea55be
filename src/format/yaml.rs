//! YAML.
use super::{CannotWrite, Detached};
use crate::edit::Edit;
use crate::node::{Node, ScanError};
use crate::span::Span;
use crate::tree::Tree;
use crate::value::Value;
use std::borrow::Cow;
/// x
pub fn scan(_source: &str) -> Result<Vec<Node>, ScanError> {
    Ok(Vec::new())
}
/// x
pub fn key<'a>(_source: &'a str, _nodes: &[Node], _node: &Node) -> Result<Cow<'a, str>, ScanError> {
    Ok(Cow::Borrowed(""))
}
/// x
pub fn value<'a>(_source: &'a str, _node: &Node) -> Result<Value<'a>, ScanError> {
    Ok(Value::Null)
}
/// x
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
