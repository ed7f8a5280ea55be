//! The `sops` member: where it goes, how it is taken out, how it is spelled (spec 5.4, 7.3).

use super::{Escapes, key, quote};
use crate::edit::Edit;
use crate::format::Detached;
use crate::node::{Node, siblings};
use crate::span::Span;
use crate::tree::Tree;

/// The members of the top-level object, in order.
fn members(nodes: &[Node]) -> impl Iterator<Item = &Node> {
    siblings(nodes, 1, nodes.len()).filter_map(|id| nodes.get(id))
}

/// Where a member begins: at its key.
fn start(member: &Node) -> usize {
    member.key.map_or(member.span.start(), Span::start)
}

/// The line break and the blanks before a member that stands on a line of its own.
fn own_line<'a>(source: &'a str, member: &Node) -> Option<(&'static str, &'a str)> {
    let before = source.get(..start(member))?;
    let above = before.trim_end_matches([' ', '\t']);
    let indent = before.get(above.len()..)?;
    let is_crlf = above.strip_suffix('\n')?.ends_with('\r');
    Some((if is_crlf { "\r\n" } else { "\n" }, indent))
}

/// The edit that adds the member `block` behind the last member, or directly behind the brace of an empty object.
#[must_use]
pub fn attach(source: &str, nodes: &[Node], block: &str) -> Vec<Edit> {
    let Some(root) = nodes.first() else {
        return Vec::new();
    };
    let block = block.strip_suffix('\n').unwrap_or(block);
    let Some(last) = members(nodes).last() else {
        return vec![Edit::new(Span::at(root.span.start() + 1), block)];
    };
    let text = match own_line(source, last) {
        Some((line_break, indent)) => {
            format!(",{line_break}{indent}{}", block.replace('\n', line_break))
        }
        None if is_tight(source, nodes, last) => format!(",{block}"),
        None => format!(", {block}"),
    };
    vec![Edit::new(Span::at(last.span.end()), text)]
}

/// Whether an object on one line has no blanks behind its commas, or behind the colon if it has no comma.
fn is_tight(source: &str, nodes: &[Node], last: &Node) -> bool {
    let mut before_last = None;
    for member in members(nodes) {
        if start(member) < start(last) {
            before_last = Some(member.span.end());
        }
    }
    let (from, to, separator) = match before_last {
        Some(end) => (end, start(last), ','),
        None => (last.key.map_or(0, Span::end), last.span.start(), ':'),
    };
    source
        .get(from..to)
        .is_some_and(|between| between.ends_with(separator))
}

/// Takes out the first member named `sops`, with one comma and the blanks that go with it. A second one is left: SOPS
/// refuses such a file (spec 5.4).
#[must_use]
pub fn detach(source: &str, nodes: &[Node]) -> Detached {
    let mut previous: Option<&Node> = None;
    let mut members = members(nodes);
    let found = loop {
        let Some(member) = members.next() else {
            return Detached::default();
        };
        if key(source, member).is_ok_and(|name| name == "sops") {
            break member;
        }
        previous = Some(member);
    };
    let member = Span::new(start(found), found.span.end());
    let removed = match (previous, members.next()) {
        (Some(previous), None) => Span::new(previous.span.end(), member.end()),
        (_, Some(next)) => Span::new(member.start(), start(next)),
        (None, None) => alone(source, nodes, member),
    };
    let block = (!member.of(source).contains('\r')).then_some(member);
    Detached {
        edits: vec![Edit::remove(removed)],
        block,
    }
}

/// The only member of an object: if it does not stand directly behind the brace, the blanks around it go too.
fn alone(source: &str, nodes: &[Node], member: Span) -> Span {
    let (Some(root), Some(behind)) = (nodes.first(), source.get(member.end()..)) else {
        return member;
    };
    let inside = root.span.start() + 1;
    if inside == member.start() {
        return member;
    }
    Span::new(inside, source.len() - behind.trim_ascii_start().len())
}

/// The member `"sops": {…}` in SOPS's layout, indented with the unit that `source` uses, or on one line if the whole
/// object stands on one line. After a colon there is always a blank: tools search for `"mac": "ENC[`.
///
/// `source` is the text it will be attached to, or the one it was found in.
#[must_use]
pub fn emit_metadata(metadata: &Tree, source: &str, nodes: &[Node]) -> String {
    let first = members(nodes).next();
    let root = nodes.first().map_or(Span::at(0), |node| node.span);
    let head = Span::new(root.start(), first.map_or(root.end(), start));
    if !head.of(source).contains('\n') {
        return emit_member(metadata, None);
    }
    let unit = first
        .and_then(|member| own_line(source, member))
        .map_or("\t", |(_, indent)| indent);
    emit_member(metadata, Some(unit))
}

/// The member with lines indented by `unit`, or on one line.
pub(in crate::format) fn emit_member(metadata: &Tree, unit: Option<&str>) -> String {
    let mut text = "\"sops\": ".to_owned();
    emit(metadata, unit, 1, &mut text);
    text
}

/// Writes `tree`, whose opening bracket stands `depth` levels deep. Metadata is read to a bounded depth.
fn emit(tree: &Tree, unit: Option<&str>, depth: usize, text: &mut String) {
    match tree {
        Tree::Null => text.push_str("null"),
        Tree::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Tree::Int(value) => text.push_str(&value.to_string()),
        Tree::Float(value) if value.is_finite() => text.push_str(&format!("{value:?}")),
        Tree::Float(value) => text.push_str(&quote(&value.to_string(), Escapes::Sops)),
        Tree::Time(value) | Tree::Str(value) => text.push_str(&quote(value, Escapes::Sops)),
        Tree::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                new_line(unit, depth + 1, index > 0, text);
                emit(item, unit, depth + 1, text);
            }
            end_line(unit, depth, items.is_empty(), text);
            text.push(']');
        }
        Tree::Map(entries) => {
            text.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                new_line(unit, depth + 1, index > 0, text);
                text.push_str(&quote(name, Escapes::Sops));
                text.push_str(": ");
                emit(value, unit, depth + 1, text);
            }
            end_line(unit, depth, entries.is_empty(), text);
            text.push('}');
        }
    }
}

/// What stands before an entry: a comma unless it is the first, and a new line or a blank.
fn new_line(unit: Option<&str>, depth: usize, comma: bool, text: &mut String) {
    match (unit, comma) {
        (Some(unit), _) => {
            text.push_str(if comma { ",\n" } else { "\n" });
            text.push_str(&unit.repeat(depth));
        }
        (None, true) => text.push_str(", "),
        (None, false) => {}
    }
}

/// What stands before a closing bracket.
fn end_line(unit: Option<&str>, depth: usize, is_empty: bool, text: &mut String) {
    if let Some(unit) = unit.filter(|_| !is_empty) {
        text.push('\n');
        text.push_str(&unit.repeat(depth));
    }
}
