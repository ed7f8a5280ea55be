//! dotenv.
use super::{CannotWrite, Detached};
use crate::edit::Edit;
use crate::node::{Node, ScanError};
use crate::span::Span;
use crate::value::Value;
use std::borrow::Cow;
/// x
pub fn scan(_source: &str) -> Result<Vec<Node>, ScanError> {
    Ok(Vec::new())
}
/// x
pub fn key<'a>(_source: &'a str, _node: &Node) -> Cow<'a, str> {
    Cow::Borrowed("")
}
/// x
pub fn value<'a>(_source: &'a str, _node: &Node) -> Value<'a> {
    Value::Null
}
/// x
pub fn write_token(node: &Node, token: &str) -> Edit {
    Edit::new(node.inner, token)
}
/// x
pub fn write_value(_source: &str, node: &Node, _value: &Value<'_>) -> Result<Edit, CannotWrite> {
    Ok(Edit::remove(node.inner))
}
/// x
pub fn attach(_source: &str, block: &str) -> Vec<Edit> {
    vec![Edit::new(Span::at(0), block)]
}
/// x
pub fn detach(_source: &str, _nodes: &[Node]) -> Detached {
    Detached::default()
}
/// x
pub fn emit_metadata(_pairs: &[(String, String)]) -> String {
    String::new()
}
