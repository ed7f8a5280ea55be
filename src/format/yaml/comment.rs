//! Where a comment may stand so that everybody counts it for the same entry.
//!
//! go-yaml hands comments to nodes by rules that surprise (spec 7.2.4). That matters only where a rule asks comments what
//! is sealed; so this names the few places where it does what the text shows, and doubts all others.

use super::chars::{break_len, byte, column, is_blank, line_start};
use super::scan::scalars::Header;
use crate::node::{Form, Kind, Node, NodeId};

/// The comments that are not plainly for one entry, in order. Plain are: a comment on the line of a key or of its value;
/// lines of comments directly above an entry, or below the last one, in its column.
pub(super) fn doubtful(source: &str, nodes: &[Node]) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut lines = Vec::new();
    // The entry that follows next in each collection.
    let mut below: Vec<Option<NodeId>> = vec![None; nodes.len()];
    for (id, node) in nodes.iter().enumerate().rev() {
        let Some(below) = node.parent.and_then(|parent| below.get_mut(parent)) else {
            continue;
        };
        let entry = below.and_then(|entry| nodes.get(entry));
        if node.kind != Kind::Comment {
            *below = Some(id);
        } else if !node.flow && !node.inline {
            lines.push(Line { id, node, entry });
        } else if node.flow || !entry.is_some_and(|entry| beside(source, node, entry)) {
            found.push(id);
        }
    }
    lines.sort_unstable_by_key(|line| line.node.span.start());
    let together = |one: &Line<'_>, other: &Line<'_>| {
        is_white(source, one.node.span.end(), other.node.span.start())
    };
    for group in lines.chunk_by(together) {
        let plain = plain_from(source, nodes, group);
        found.extend(group.iter().take(plain).map(|line| line.id));
    }
    found.sort_unstable();
    found
}

/// A comment on a line of its own.
struct Line<'a> {
    id: NodeId,
    node: &'a Node,
    /// The entry that follows in its collection.
    entry: Option<&'a Node>,
}

/// From which one on the lines of a group are plain.
fn plain_from(source: &str, nodes: &[Node], group: &[Line<'_>]) -> usize {
    let none = group.len();
    let bytes = source.as_bytes();
    let column = |at| column(bytes, at);
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return none;
    };
    let Some(around) = last.node.parent.and_then(|parent| nodes.get(parent)) else {
        return none;
    };
    let next = last
        .entry
        .and_then(|entry| entry.key)
        .map(|key| key.start());
    let end = last.node.span.end();
    let directly_above = next.filter(|&next| is_white(source, end, next));
    let own = column(directly_above.unwrap_or(around.span.start()));
    if group
        .iter()
        .any(|line| column(line.node.span.start()) != own)
    {
        return none;
    }
    let start = first.node.span.start();
    let Some(next) = directly_above else {
        let text = source.get(end..).unwrap_or_default();
        let next = source.len() - text.trim_start().len();
        let before = source.get(..start).unwrap_or_default().trim_end();
        let gap = breaks(bytes, start, next) > group.len() && next < source.len();
        let behind_mark = before
            .get(line_start(bytes, before.len())..)
            .is_some_and(|line| line.starts_with("..."));
        return if gap || behind_mark { none } else { 0 };
    };
    let opens = around.span.start() == next;
    if opens && around.props.start() < around.props.end() {
        return none;
    }
    if opens && around.parent.is_none() && is_white(source, 0, start) {
        return 0;
    }
    let mut below = next;
    let near = group.iter().rev().take_while(|line| {
        let gap = breaks(bytes, line.node.span.end(), below) > 1;
        below = line.node.span.start();
        !gap
    });
    none - near.count()
}

fn is_white(source: &str, from: usize, to: usize) -> bool {
    let text = source.get(from..to).unwrap_or_default();
    text.chars().all(|c| {
        matches!(
            c,
            ' ' | '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
    })
}

/// How many line breaks there are between two places.
fn breaks(bytes: &[u8], from: usize, to: usize) -> usize {
    let (mut at, mut count) = (from, 0);
    while at < to {
        let len = break_len(bytes, at);
        count += usize::from(len > 0);
        at += len.max(1);
    }
    count
}

/// Whether an inline comment directly follows the key or the value of an entry.
fn beside(source: &str, comment: &Node, entry: &Node) -> bool {
    let bytes = source.as_bytes();
    let Some(key) = entry.key else { return false };
    let blank = |from: usize| {
        let gap = bytes.get(from..comment.span.start());
        gap.is_some_and(|gap| gap.iter().all(|byte| matches!(byte, b' ' | b'\t')))
    };
    let item = key.of(source) == "-" && byte(bytes, key.end()) != b':';
    if entry.is_container() && entry.flow && item {
        return blank(entry.span.end());
    }
    if entry.is_container() {
        let mut at = key.end();
        while is_blank(bytes, at) {
            at += 1;
        }
        return !entry.flow && byte(bytes, at) == b':' && blank(at + 1);
    }
    let on_one_line = line_start(bytes, key.start()) == line_start(bytes, comment.span.start());
    match entry.form {
        Form::Literal | Form::Folded => Header::parse(bytes, entry.span.start() + 1)
            .is_some_and(|header| on_one_line && blank(header.end)),
        _ => on_one_line && blank(entry.span.end()),
    }
}

#[cfg(test)]
mod tests {
    use crate::format::yaml::{doubtful_comments, scan};

    /// The texts of the comments that are doubted.
    fn doubted(source: &str) -> Vec<&str> {
        let nodes = scan(source).unwrap();
        doubtful_comments(source, &nodes)
            .into_iter()
            .map(|id| nodes[id].inner.of(source))
            .collect()
    }

    /// What go-yaml 3.0.4 does with the comments of these texts is what the text shows.
    #[test]
    fn ordinary_comments_are_plain() {
        for source in [
            "#1\n#2\na: 1\n#3\nb: 2 #4\nc: | #5\n  d\n#6\n",
            "#1\n\n#2\n\na: 1\n",
            "m: #1\n  #2\n  a: 1\n  #3\nn: {a: 1}\n",
            "l: #1\n#2\n- a #3\n#4\n- b: 1 #5\n  #6\n  c: 2\n#7\nm: 1\n",
            "---\n#1\na: 1\n---\n#2\nb: 1\n#3\n",
            "l:\n- {a: 1} #1\n- [a,\n  b] #2\n",
            "a: 1\r\n\r\n#1\r\nb: 2 #2\r\n",
            "a: &x 1 #1\n#2\nb: *x #3\nc: !t 2 #4\n",
            "\u{feff}#1\na: 1\n",
        ] {
            assert!(doubted(source).is_empty(), "{source:?}");
        }
    }

    #[test]
    fn comments_that_go_yaml_moves_are_doubted() {
        for (source, expected) in [
            ("a: {b: 1} #1\n", vec!["1"]),
            ("a: [ #1\n  b, #2\n  c]\n", vec!["1", "2"]),
            ("m: &x #1\n  a: 1\n", vec!["1"]),
            ("m: &x\n  #1\n  a: 1\n", vec!["1"]),
            ("m: !t\n  #1\n\n  a: 1\n  #2\n  b: 2\n", vec!["1"]),
            ("l:\n- #1\n  a: 1\n", vec!["1"]),
            ("a: #1\n  b\n", vec!["1"]),
            ("a: b\n  c #1\n", vec!["1"]),
            ("? k #1\n: 1\n", vec!["1"]),
            ("a: 1\n---\n#1\n\nb: 1\n", vec!["1"]),
            ("a: 1\n--- #1\nb: 1\n", vec!["1"]),
            ("a: 1\n...\n#1\n---\nb: 1\n", vec!["1"]),
            ("a:\n  b:\n    c: 1\n   #1\n  d: 2\n", vec!["1"]),
            ("a:\n  b: 1\n  #1\n\nc: 2\n", vec!["1"]),
            ("a: 1\n#1\n\n#2\nb: 2\n", vec!["1"]),
            ("m:\n    #1\n  #2\n  a: 1\n", vec!["1", "2"]),
            ("%YAML 1.1 #1\n---\na: 1\n", vec!["1"]),
        ] {
            assert_eq!(doubted(source), expected, "{source:?}");
        }
    }
}
