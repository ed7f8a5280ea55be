//! Where the `sops` entry stands in a text, and how it is put there and taken out (spec 5.4).
//!
//! `emit` prints the entry in SOPS's own style. Knows nothing of what the metadata means.

use super::chars::{bom_len, break_len, byte, column, is_blank, line_end, line_start};
use super::quote::{double_quoted, should_be_plain};
use super::write::newline;
use crate::edit::Edit;
use crate::format::Detached;
use crate::node::{Kind, Node, NodeId};
use crate::span::Span;

pub(super) mod emit;

/// See [`super::attach`].
pub(super) fn attach(source: &str, nodes: &[Node], block: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut before = bom_len(source.as_bytes());
    let mut compact = None;
    for (root, node) in roots(nodes) {
        unload_version(source, before, node.span.start(), &mut edits);
        if node.flow {
            let text = compact.get_or_insert_with(|| emit::one_line(block));
            edits.push(in_braces(source, nodes, root, text));
            before = node.span.end();
        } else {
            let at = document_end(source, node);
            edits.push(at_end(source, node, at, block));
            before = at;
        }
    }
    edits
}

/// The roots with their numbers.
fn roots(nodes: &[Node]) -> impl Iterator<Item = (NodeId, &Node)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let id = next;
        let node = nodes.get(id)?;
        next = node.end.max(id + 1);
        Some((id, node))
    })
}

/// Direct entries of a container, without comments.
fn entries(nodes: &[Node], id: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
    let end = nodes.get(id).map_or(0, |node| node.end);
    let mut next = id + 1;
    std::iter::from_fn(move || {
        let id = next;
        let node = nodes.get(id).filter(|_| id < end)?;
        next = node.end.max(id + 1);
        Some((id, node))
    })
    .filter(|(_, node)| node.kind != Kind::Comment)
}

/// Removes a `%YAML 1.2` line between `from` and `to`, but no comment on it: SOPS cannot load such a line.
fn unload_version(source: &str, from: usize, to: usize, edits: &mut Vec<Edit>) {
    let bytes = source.as_bytes();
    let mut at = line_start(bytes, from);
    while at < to {
        let end = line_end(bytes, at);
        let next = end + break_len(bytes, end).max(1);
        let line = source.get(at..end).unwrap_or_default();
        let version = line
            .strip_prefix("%YAML")
            .map(|rest| rest.trim_start_matches([' ', '\t']));
        if version.is_some_and(|version| version.starts_with("1.2")) {
            let removed = line
                .find('#')
                .map_or(next.min(source.len()), |mark| at + mark);
            edits.push(Edit::remove(Span::new(at, removed)));
        }
        at = next;
    }
}

/// Where the document of this block root ends: at the line of the next `---` or `...`, or with the text.
pub(super) fn document_end(source: &str, root: &Node) -> usize {
    let bytes = source.as_bytes();
    let mut at = root.span.end();
    if line_start(bytes, at) != at {
        let end = line_end(bytes, at);
        at = end + break_len(bytes, end);
    }
    while at < bytes.len() {
        let mark = bytes
            .get(at..at + 3)
            .is_some_and(|mark| mark == b"---" || mark == b"...");
        if mark || byte(bytes, at) == b'%' {
            return at;
        }
        let end = line_end(bytes, at);
        at = end + break_len(bytes, end);
    }
    bytes.len()
}

fn at_end(source: &str, root: &Node, at: usize, block: &str) -> Edit {
    let bytes = source.as_bytes();
    let pad = " ".repeat(if root.span.is_empty() {
        0
    } else {
        column(bytes, root.span.start())
    });
    let newline = newline(source);
    let mut text = String::with_capacity(block.len() + 16);
    let ended = line_start(bytes, at) == at;
    if !ended {
        text.push_str(newline);
    }
    for line in block.lines() {
        if !line.is_empty() {
            text.push_str(&pad);
            text.push_str(line);
        }
        text.push_str(newline);
    }
    if !ended {
        text.truncate(text.len().saturating_sub(newline.len()));
    }
    Edit::new(Span::at(at), text)
}

/// Adds the entry as the last member of a top-level flow mapping.
fn in_braces(source: &str, nodes: &[Node], root: NodeId, value: &str) -> Edit {
    let bytes = source.as_bytes();
    let close = nodes
        .get(root)
        .map_or(0, |node| node.span.end().saturating_sub(1));
    let entry = format!("\"sops\": {value}");
    let text = if entries(nodes, root).next().is_none() {
        entry
    } else if has_comma_before(bytes, nodes, root, close) {
        format!("{entry},")
    } else {
        format!(", {entry}")
    };
    Edit::new(Span::at(close), text)
}

/// Whether a comma follows the last entry of a flow mapping that closes at `close`.
fn has_comma_before(bytes: &[u8], nodes: &[Node], root: NodeId, close: usize) -> bool {
    let last = entries(nodes, root).last().map_or(close, |(_, node)| {
        node.span.end().max(node.key.map_or(0, Span::end))
    });
    let mut at = last;
    while at < close {
        match byte(bytes, at) {
            b',' => return true,
            b'#' => at = line_end(bytes, at),
            _ => at += 1,
        }
    }
    false
}

/// See [`super::detach`].
pub(super) fn detach(source: &str, nodes: &[Node]) -> Detached {
    let mut detached = Detached::default();
    for (root, root_node) in roots(nodes) {
        for (id, entry) in entries(nodes, root) {
            if !super::key(source, entry).is_ok_and(|key| key == "sops") {
                continue;
            }
            if root_node.flow {
                let before = nodes.get(root..id).unwrap_or_default();
                detached.edits.push(out_of_braces(source, before, entry));
                continue;
            }
            let (span, removed) = lines_of(source, entry);
            let text = span.of(source);
            let nodes = nodes.get(id..entry.end).unwrap_or_default();
            let names = |node: &Node| {
                matches!(node.kind, Kind::Alias { .. }) || node.props.start() < node.props.end()
            };
            let movable = root == 0
                && !nodes.iter().any(names)
                && column(source.as_bytes(), root_node.span.start()) == 0
                && text.starts_with("sops:")
                && !entry.flow
                && !text.contains('\r');
            if movable && detached.edits.is_empty() {
                detached.block = Some(span);
            }
            detached.edits.push(Edit::remove(removed));
        }
    }
    detached
}

/// The lines of a block entry, and what is removed with them: at the end of the text, a missing final line break means
/// that the text before had none either.
fn lines_of(source: &str, entry: &Node) -> (Span, Span) {
    let bytes = source.as_bytes();
    let key = entry.key.unwrap_or(entry.span);
    let line = line_start(bytes, key.start());
    let mark = source.get(line..key.start()).unwrap_or_default();
    let start = if mark.trim_start().is_empty() || mark.trim() == "?" {
        line
    } else {
        key.start()
    };
    let value_end = entry.span.end().max(entry.props.end()).max(key.end());
    let mut end = value_end;
    if line_start(bytes, end) != end {
        end = line_end(bytes, end);
        let ended = break_len(bytes, end);
        if ended == 0 {
            let before = start - last_break(source, start);
            return (Span::new(start, end), Span::new(before, end));
        }
        end += ended;
    }
    (Span::new(start, end), Span::new(start, end))
}

/// Length of the line break that ends at `at`.
fn last_break(source: &str, at: usize) -> usize {
    let before = source.get(..at).unwrap_or_default();
    ["\r\n", "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"]
        .iter()
        .find(|newline| before.ends_with(**newline))
        .map_or(0, |newline| newline.len())
}

/// Removes an entry of a flow mapping, behind these nodes, with one comma.
fn out_of_braces(source: &str, nodes: &[Node], entry: &Node) -> Edit {
    let bytes = source.as_bytes();
    let key = entry.key.unwrap_or(entry.span);
    let (start, end) = (key.start(), entry.span.end());
    if byte(bytes, end) == b',' {
        let mut after = end + 1;
        let closes = {
            let mut at = after;
            while is_blank(bytes, at) || break_len(bytes, at) > 0 {
                at += break_len(bytes, at).max(1);
            }
            byte(bytes, at) == b'}'
        };
        while !closes && is_blank(bytes, after) {
            after += 1;
        }
        return Edit::remove(Span::new(start, after));
    }
    // What a comment ends with is no comma.
    let comments = nodes.iter().filter(|node| node.kind == Kind::Comment);
    let ends = comments
        .map(|node| node.span.end())
        .filter(|&end| end <= start);
    let floor = ends.max().unwrap_or(0);
    let mut before = start;
    while before > floor
        && (is_blank(bytes, before - 1) || matches!(byte(bytes, before - 1), b'\n' | b'\r'))
    {
        before -= 1;
    }
    match before
        .checked_sub(1)
        .filter(|&comma| before > floor && byte(bytes, comma) == b',')
    {
        Some(comma) => Edit::remove(Span::new(comma, end)),
        None => Edit::remove(Span::new(start, end)),
    }
}

/// A string of the metadata on one line: plain if it reads back, else in double quotes.
fn scalar(text: &str) -> String {
    if should_be_plain(text, false) {
        text.to_owned()
    } else {
        double_quoted(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use crate::edit::splice;
    use crate::format::yaml::{attach, detach, emit_metadata, scan};
    use crate::tree::Tree;

    const BLOCK: &str = "sops:\n    age: []\n    mac: ENC[x,y]\n";

    fn attached(source: &str) -> String {
        let nodes = scan(source).unwrap();
        splice(source, &attach(source, &nodes, BLOCK))
            .unwrap()
            .to_string()
    }

    fn detached(source: &str) -> (String, Option<String>) {
        let nodes = scan(source).unwrap();
        let detached = detach(source, &nodes);
        let text = splice(source, &detached.edits).unwrap().to_string();
        (text, detached.block.map(|span| span.of(source).to_owned()))
    }

    #[test]
    fn the_entry_is_the_last_of_every_document_and_comes_out_again() {
        let crlf = BLOCK.replace('\n', "\r\n");
        let indented = BLOCK.replace("sops", "  sops").replace("    ", "      ");
        let missing = BLOCK.trim_end();
        for (plain, expected) in [
            ("", BLOCK.to_owned()),
            ("a: 1\n\n# end\n\n", format!("a: 1\n\n# end\n\n{BLOCK}")),
            ("a: 1", format!("a: 1\n{missing}")),
            (
                "a: 1\n---\nb: 2\n...\n",
                format!("a: 1\n{BLOCK}---\nb: 2\n{BLOCK}...\n"),
            ),
            ("---\n---\n", format!("---\n{BLOCK}---\n{BLOCK}")),
            ("---", format!("---\n{missing}")),
            ("a: 1\r\n", format!("a: 1\r\n{crlf}")),
            (
                "  a: 1\n",
                format!("  a: 1\n{}", indented.replace("      sops", "  sops")),
            ),
            ("a: |+\n  b\n\n", format!("a: |+\n  b\n\n{BLOCK}")),
            (
                "{}\n",
                "{\"sops\": {\"age\": [], \"mac\": \"ENC[x,y]\"}}\n".to_owned(),
            ),
            (
                "{a: 1}",
                "{a: 1, \"sops\": {\"age\": [], \"mac\": \"ENC[x,y]\"}}".to_owned(),
            ),
            (
                "{a: 1, }",
                "{a: 1, \"sops\": {\"age\": [], \"mac\": \"ENC[x,y]\"},}".to_owned(),
            ),
        ] {
            let sealed = attached(plain);
            assert_eq!(sealed, expected, "{plain:?}");
            assert_eq!(detached(&sealed).0, plain, "{sealed:?}");
        }
    }

    #[test]
    fn a_version_that_sops_cannot_load_is_removed() {
        assert_eq!(
            attached("%YAML 1.2\n---\na: 1\n"),
            format!("---\na: 1\n{BLOCK}")
        );
        assert_eq!(
            attached("%YAML 1.2 # c\n---\na: 1\n"),
            format!("# c\n---\na: 1\n{BLOCK}")
        );
        assert!(attached("%YAML 1.1\n---\na: 1\n").starts_with("%YAML 1.1\n"));
    }

    #[test]
    fn the_block_is_found_where_sops_or_a_person_put_it() {
        let (text, block) = detached(&format!("a: 1\n{BLOCK}# c\nb: 2\n"));
        assert_eq!(
            (text.as_str(), block.as_deref()),
            ("a: 1\n# c\nb: 2\n", Some(BLOCK))
        );
        assert_eq!(detached("a: 1\n").1, None);
        // What the metadata takes from elsewhere would be lost on the way.
        assert_eq!(detached("a: &x 1\nsops:\n  mac: *x\n").1, None);
        assert_eq!(detached("sops:\n  mac: &x 1\na: *x\n").1, None);
        assert_eq!(detached("{\"sops\": {a: b}, c: d}\n").0, "{c: d}\n");
    }

    #[test]
    fn metadata_is_printed_with_four_spaces_and_blocks() {
        let text = |text: &str| Tree::Str(text.to_owned());
        let map = |entries: Vec<(&str, Tree)>| {
            Tree::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            )
        };
        let key = map(vec![
            ("enc", text("-----\nx\n")),
            ("recipient", text("age1")),
        ]);
        let group = map(vec![
            ("age", Tree::List(vec![key])),
            ("hc_vault", Tree::List(vec![])),
        ]);
        let tree = map(vec![
            ("key_groups", Tree::List(vec![group])),
            ("lastmodified", text("2026-01-01T00:00:00Z")),
            ("mac", text("ENC[x,y]")),
            ("shamir_threshold", Tree::Int(2)),
            ("version", text("3.13.2")),
        ]);
        let expected = [
            "sops:\n",
            "    key_groups:\n",
            "        - age:\n",
            "            - enc: |\n",
            "                -----\n",
            "                x\n",
            "              recipient: age1\n",
            "          hc_vault: []\n",
            "    lastmodified: \"2026-01-01T00:00:00Z\"\n",
            "    mac: ENC[x,y]\n",
            "    shamir_threshold: 2\n",
            "    version: 3.13.2\n",
        ]
        .concat();
        assert_eq!(emit_metadata(&tree), expected);
    }
}
