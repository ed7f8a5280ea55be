//! The `sops` entry in SOPS's own style: four spaces, armoured keys as literal blocks (spec 7.2.5).
//!
//! The metadata is a few levels deep and was built by us or read with a limit of depth, so this may recurse; it stops
//! at a depth that no metadata has.

use super::scalar;
use crate::format::yaml::quote::{block_lines, can_be_block, double_quoted, needs_indicator};
use crate::format::yaml::write::float;
use crate::format::yaml::{key, scan, value};
use crate::node::{Kind, Node, NodeId};
use crate::secret::PlainWriter;
use crate::tree::Tree;
use crate::value::Value;

const STEP: usize = 4;
const MAX_DEPTH: usize = 100;

/// See [`crate::format::yaml::emit_metadata`].
pub(in crate::format::yaml) fn block(metadata: &Tree) -> String {
    let mut text = "sops:".to_owned();
    below(metadata, 0, 0, &mut text);
    text
}

/// What follows a `:` whose key stands in a block of this column.
fn below(tree: &Tree, column: usize, depth: usize, text: &mut String) {
    let next = (column / STEP + 1) * STEP;
    match tree {
        Tree::Map(entries) if !entries.is_empty() && depth < MAX_DEPTH => {
            text.push('\n');
            map(entries, next, true, depth + 1, text);
        }
        Tree::List(items) if !items.is_empty() && depth < MAX_DEPTH => {
            text.push('\n');
            list(items, next, true, depth + 1, text);
        }
        leaf => {
            text.push(' ');
            text.push_str(&inline(leaf, next));
            text.push('\n');
        }
    }
}

/// The entries of a mapping; `pad` is false if the first stands on a line already begun.
fn map(entries: &[(String, Tree)], column: usize, pad: bool, depth: usize, text: &mut String) {
    for (number, (key, value)) in entries.iter().enumerate() {
        if pad || number > 0 {
            text.push_str(&" ".repeat(column));
        }
        text.push_str(&scalar(key));
        text.push(':');
        below(value, column, depth, text);
    }
}

fn list(items: &[Tree], column: usize, pad: bool, depth: usize, text: &mut String) {
    for (number, item) in items.iter().enumerate() {
        if pad || number > 0 {
            text.push_str(&" ".repeat(column));
        }
        text.push_str("- ");
        match item {
            Tree::Map(entries) if !entries.is_empty() && depth < MAX_DEPTH => {
                map(entries, column + 2, false, depth + 1, text);
            }
            Tree::List(items) if !items.is_empty() && depth < MAX_DEPTH => {
                list(items, column + 2, false, depth + 1, text);
            }
            leaf => {
                text.push_str(&inline(leaf, column + STEP));
                text.push('\n');
            }
        }
    }
}

/// A value without a line of its own; a block's lines go into `column`.
fn inline(tree: &Tree, column: usize) -> String {
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Int(number) => number.to_string(),
        Tree::Float(number) => float(*number),
        Tree::Time(text) => text.clone(),
        Tree::List(_) => "[]".to_owned(),
        Tree::Map(_) => "{}".to_owned(),
        Tree::Str(text) => string(text, column),
    }
}

fn string(text: &str, column: usize) -> String {
    let content = text.trim_end_matches('\n');
    let literal = text.contains('\n')
        && can_be_block(text)
        && !needs_indicator(text)
        && !text.starts_with('\n')
        && !content.is_empty()
        && text.len() - content.len() <= 1;
    if !literal {
        return scalar(text);
    }
    let sign = if text.len() > content.len() { "" } else { "-" };
    let mut lines = PlainWriter::default();
    block_lines(content, column, "\n", 0, &mut lines);
    format!("|{sign}\n{}", *lines.finish())
}

/// The value of the entry `block`, as JSON on one line.
pub(super) fn one_line(block: &str) -> String {
    let nodes = scan(block).unwrap_or_default();
    let mut text = String::with_capacity(block.len());
    if nodes.len() > 1 {
        json(block, &nodes, 1, 0, &mut text);
    } else {
        text.push_str("{}");
    }
    text
}

fn json(source: &str, nodes: &[Node], id: NodeId, depth: usize, text: &mut String) {
    let Some(node) = nodes.get(id) else { return };
    let mapping = match node.kind {
        Kind::Mapping if depth < MAX_DEPTH => true,
        Kind::Sequence if depth < MAX_DEPTH => false,
        _ => return text.push_str(&json_leaf(source, node)),
    };
    text.push(if mapping { '{' } else { '[' });
    for (number, (child, entry)) in super::entries(nodes, id).enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        if mapping {
            let key = key(source, entry).unwrap_or_default();
            text.push_str(&double_quoted(&key));
            text.push_str(": ");
        }
        json(source, nodes, child, depth + 1, text);
    }
    text.push(if mapping { '}' } else { ']' });
}

fn json_leaf(source: &str, node: &Node) -> String {
    match value(source, node) {
        Ok(Value::Str(text)) => double_quoted(text.expose()).to_string(),
        Ok(Value::Bool(value)) => value.to_string(),
        Ok(Value::Int(number)) => number.to_string(),
        Ok(Value::Float(number)) => float(number),
        Ok(Value::Time(time)) => time.as_str().to_owned(),
        _ => "null".to_owned(),
    }
}
