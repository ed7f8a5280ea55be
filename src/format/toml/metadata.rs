//! The `[sops]` tables: where they go, how they are taken out, how they are spelled (spec 15.5).

use toml_writer::{ToTomlKey as _, ToTomlValue as _, TomlKeyBuilder, TomlStringBuilder};

use super::scan::key_text;
use crate::edit::Edit;
use crate::format::Detached;
use crate::format::lines::{append_block, line_start, next_line, without_block};
use crate::node::{Kind, Node};
use crate::span::Span;
use crate::tree::Tree;

/// The edit that adds the tables `block` behind an empty line at the end, with the line breaks of the file.
#[must_use]
pub fn attach(source: &str, block: &str) -> Vec<Edit> {
    vec![append_block(source, block)]
}

/// Takes out all lines of the metadata, with the empty line above them: the tables that [`emit_metadata`] writes, and in
/// whatever other way TOML can spell them.
#[must_use]
pub fn detach(source: &str, nodes: &[Node]) -> Detached {
    let is_metadata = |node: &&Node| {
        node.parent == Some(0)
            && node.kind != Kind::Comment
            && node.key.is_some_and(|key| key_text(source, key) == "sops")
    };
    let Some(at) = nodes.iter().position(|node| is_metadata(&node)) else {
        return Detached::default();
    };
    let end = nodes.get(at).map_or(at, |node| node.end);
    let runs = runs(source, nodes.get(at..end).unwrap_or_default());
    let block = match runs.as_slice() {
        [block] if !block.of(source).contains('\r') && block.of(source).starts_with('[') => {
            Some(*block)
        }
        _ => None,
    };
    Detached {
        edits: runs.iter().map(|run| without_block(source, *run)).collect(),
        block,
    }
}

/// The runs of lines that these nodes stand on, with the empty lines between them.
pub(super) fn runs(source: &str, nodes: &[Node]) -> Vec<Span> {
    let mut lines: Vec<Span> = nodes.iter().map(|node| lines_of(source, node)).collect();
    lines.sort_unstable();
    let mut runs: Vec<Span> = Vec::new();
    for line in lines {
        match runs.last_mut() {
            Some(run) if is_blank(source, run.end(), line.start()) => {
                *run = Span::new(run.start(), run.end().max(line.end()));
            }
            _ => runs.push(line),
        }
    }
    runs
}

fn is_blank(source: &str, from: usize, to: usize) -> bool {
    from >= to
        || source
            .get(from..to)
            .is_some_and(|text| text.trim().is_empty())
}

/// From the line of its key to the end of the line it ends on.
fn lines_of(source: &str, node: &Node) -> Span {
    let start = node
        .key
        .map_or(node.span.start(), |key| key.start().min(node.span.start()));
    Span::new(
        line_start(source, start),
        next_line(source, node.span.end()),
    )
}

/// The metadata as tables: first the fields of `[sops]` that are no tables, then its tables and lists of tables.
#[must_use]
pub fn emit_metadata(metadata: &Tree) -> String {
    let mut text = String::new();
    if let Tree::Map(fields) = metadata {
        emit_table("sops", "[sops]", fields, &mut text);
    }
    text
}

fn emit_table(path: &str, header: &str, fields: &[(String, Tree)], text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(header);
    text.push('\n');
    let (tables, values): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| is_table(value));
    for (name, value) in values.into_iter().chain(tables) {
        emit_field(path, name, value, text);
    }
}

/// One field of the table `path`: a line, or tables of its own.
pub(super) fn emit_field(path: &str, name: &str, value: &Tree, text: &mut String) {
    let name = key(name);
    match value {
        Tree::Null => {}
        Tree::Map(fields) => {
            let path = format!("{path}.{name}");
            emit_table(&path, &format!("[{path}]"), fields, text);
        }
        Tree::List(items) if is_table(value) => {
            let path = format!("{path}.{name}");
            for item in items {
                if let Tree::Map(fields) = item {
                    emit_table(&path, &format!("[[{path}]]"), fields, text);
                }
            }
        }
        value => text.extend([name.as_str(), " = ", &inline(value), "\n"]),
    }
}

/// Whether a field is written under headers of its own.
pub(super) fn is_table(value: &Tree) -> bool {
    match value {
        Tree::Map(_) => true,
        Tree::List(items) => {
            !items.is_empty() && items.iter().all(|item| matches!(item, Tree::Map(_)))
        }
        _ => false,
    }
}

/// A value behind its key. TOML has no null: in a list it becomes an empty text.
pub(super) fn inline(value: &Tree) -> String {
    match value {
        Tree::Null => "\"\"".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Int(number) => number.to_string(),
        Tree::Float(number) => number.to_toml_value(),
        Tree::Time(time) => time.clone(),
        Tree::Str(text) => string(text),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Tree::Map(fields) => {
            let fields = fields.iter().filter(|(_, value)| *value != Tree::Null);
            let fields: Vec<String> = fields
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Several lines as a multi-line string; a CR only as an escape, since those that stand in the text count as line ends.
fn string(text: &str) -> String {
    let spelling = TomlStringBuilder::new(text);
    if text.contains('\r') {
        spelling.as_basic().to_toml_value()
    } else {
        spelling.as_default().to_toml_value()
    }
}

fn key(name: &str) -> String {
    TomlKeyBuilder::new(name).as_default().to_toml_key()
}
