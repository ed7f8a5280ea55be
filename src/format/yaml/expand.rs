//! Aliases replaced by what they stand for (spec 7.2.3), in the style of the place where they stand.
//!
//! Comments of the target are not copied; anchors neither, since a copy must not redefine them. Works with a stack of its
//! own, as deep as the text.

use std::borrow::Cow;

use super::chars::{column, is_blank, line_end};
use super::merge::{MERGE, is_merge_key};
use super::quote::{can_be_plain, double_quoted};
use super::resolve::{Resolved, resolve};
use super::scalar::{decode, needs_folding, parent_indent};
use super::write::{newline, tag};
use crate::edit::Edit;
use crate::node::{Form, Kind, Node, NodeId, Tag};
use crate::secret::{Plain, PlainWriter};
use crate::span::Span;

/// How far copies are indented below their key.
const STEP: usize = 2;
/// All copies together may be this many times as long as the text.
const FACTOR: usize = 100;
/// Copies that are always allowed, in bytes.
const FLOOR: usize = 16 << 20;

/// See [`super::expand()`].
pub(super) fn edits(source: &str, nodes: &[Node], aliases: &[NodeId]) -> Vec<Edit> {
    let mut left = source.len().saturating_mul(FACTOR).max(FLOOR);
    let mut edits = Vec::with_capacity(aliases.len());
    for alias in aliases {
        let Some(node) = nodes.get(*alias) else {
            continue;
        };
        let mut copy = Copy {
            source,
            nodes,
            newline: newline(source),
            text: PlainWriter::default(),
            left,
        };
        if let Some(span) = copy.write(*alias, node) {
            left = left.saturating_sub(copy.text.len());
            edits.push(Edit {
                span,
                text: copy.text.finish(),
            });
        }
    }
    edits
}

/// A copy that is being written.
struct Copy<'a> {
    source: &'a str,
    nodes: &'a [Node],
    newline: &'static str,
    text: PlainWriter,
    left: usize,
}

/// A collection whose entries are being written.
struct Frame {
    next: NodeId,
    end: NodeId,
    mapping: bool,
    flow: bool,
    indent: usize,
    /// Whether the next entry goes on the line that is already begun.
    joined: bool,
    first: bool,
}

impl<'a> Copy<'a> {
    /// Writes what `alias` stands for; returns what the text replaces, or `None` if it is no alias or becomes too long.
    fn write(&mut self, alias: NodeId, node: &Node) -> Option<Span> {
        let bytes = self.source.as_bytes();
        let target = self.content(alias)?;
        if target == alias {
            return None;
        }
        let content = self.nodes.get(target)?;
        if !content.is_container() || self.is_empty(target) {
            self.leaf(content, node.flow);
            return Some(node.span);
        }
        let alone = line_end(bytes, node.span.end()) == node.span.end();
        let flow = node.flow || content.flow || !alone;
        if flow {
            self.entries(target, true, 0, true)?;
            return Some(node.span);
        }
        let item = node.parent.and_then(|parent| self.nodes.get(parent));
        if item.is_some_and(|parent| parent.kind == Kind::Sequence) {
            self.entries(target, false, column(bytes, node.span.start()), true)?;
            return Some(node.span);
        }
        let indent = parent_indent(self.source, node.span, node.key) + STEP;
        self.entries(target, false, indent, false)?;
        let mut start = node.span.start();
        while start > 0 && is_blank(bytes, start - 1) {
            start -= 1;
        }
        Some(Span::new(start, node.span.end()))
    }

    /// The node at the end of a chain of aliases.
    fn content(&self, mut id: NodeId) -> Option<NodeId> {
        while let Kind::Alias { target } = self.nodes.get(id)?.kind {
            id = target;
        }
        Some(id)
    }

    fn is_empty(&self, id: NodeId) -> bool {
        let end = self.nodes.get(id).map_or(0, |node| node.end);
        self.nodes
            .get(id + 1..end)
            .is_none_or(|below| below.iter().all(|node| node.kind == Kind::Comment))
    }

    /// The entries of a collection and all below it.
    fn entries(&mut self, id: NodeId, flow: bool, indent: usize, joined: bool) -> Option<()> {
        let mut stack = Vec::new();
        self.open(&mut stack, id, flow, indent, joined)?;
        while let Some(frame) = stack.last_mut() {
            let Some(node) = self
                .nodes
                .get(frame.next)
                .filter(|_| frame.next < frame.end)
            else {
                if frame.flow {
                    self.text.push_str(if frame.mapping { "}" } else { "]" });
                }
                stack.pop();
                continue;
            };
            let id = frame.next;
            frame.next = node.end.max(id + 1);
            if node.kind == Kind::Comment {
                continue;
            }
            self.begin_entry(frame);
            let (mapping, flow, indent) = (frame.mapping, frame.flow, frame.indent);
            if mapping {
                self.key(node, flow);
                self.text.push_str(":");
            } else if !flow {
                self.text.push_str("- ");
            }
            let content_id = self.content(id)?;
            let content = self.nodes.get(content_id)?;
            let nested = content.is_container() && !self.is_empty(content_id);
            let flow = flow || content.flow;
            if mapping && (flow || !nested) {
                self.text.push_str(" ");
            }
            if nested {
                self.open(&mut stack, content_id, flow, indent + STEP, !mapping)?;
            } else {
                self.leaf(content, flow);
            }
            if self.text.len() > self.left {
                return None;
            }
        }
        Some(())
    }

    fn open(
        &mut self,
        stack: &mut Vec<Frame>,
        id: NodeId,
        flow: bool,
        indent: usize,
        joined: bool,
    ) -> Option<()> {
        let node = self.nodes.get(id)?;
        let mapping = node.kind == Kind::Mapping;
        let tag = self.tag(node);
        let mut joined = joined;
        if flow {
            self.tagged(tag, if mapping { "{" } else { "[" });
        } else if !tag.is_empty() {
            if !joined {
                self.text.push_str(" ");
            }
            self.text.push_str(tag);
            joined = false;
        }
        stack.push(Frame {
            next: id + 1,
            end: node.end,
            mapping,
            flow,
            indent,
            joined,
            first: true,
        });
        Some(())
    }

    /// What stands before an entry: a comma, or a line break and the indentation.
    fn begin_entry(&mut self, frame: &mut Frame) {
        let first = std::mem::take(&mut frame.first);
        if frame.flow {
            if !first {
                self.text.push_str(", ");
            }
        } else if !(first && frame.joined) {
            self.text.push_str(self.newline);
            self.text.repeat(" ", frame.indent);
        }
    }

    /// Adds a key without its anchor. The merge key stays as it is, quoted or not.
    fn key(&mut self, node: &Node, flow: bool) {
        let written = node.key.unwrap_or_default().of(self.source);
        let bare = !written.starts_with(['&', '*', '|', '>']) && !needs_folding(written);
        match super::key(self.source, node) {
            Ok(text) if text == MERGE && bare => self.text.push_str(written),
            Ok(text) if text == MERGE && !is_merge_key(self.source, node.key) => {
                self.text.push_str(&double_quoted(&text));
            }
            Ok(text) if text == MERGE || can_be_plain(&text, flow, false) => {
                self.text.push_str(&text);
            }
            Ok(text) => self.text.push_str(&double_quoted(&text)),
            Err(_) => self.text.push_str(written),
        }
    }

    /// Adds a scalar with its tag, or an empty collection.
    fn leaf(&mut self, node: &Node, flow: bool) {
        let tag = self.tag(node);
        match node.kind {
            Kind::Mapping => return self.tagged(tag, "{}"),
            Kind::Sequence => return self.tagged(tag, "[]"),
            Kind::Scalar | Kind::Comment | Kind::Alias { .. } => {}
        }
        let decoded = decode(self.source, node.form, node.span, node.inner, node.key);
        let decoded = match decoded {
            Cow::Borrowed(text) => Plain::Borrowed(text),
            Cow::Owned(text) => Plain::owned(text),
        };
        let text = decoded.expose();
        let bare = resolve(text, node.form == Form::Plain, node.tag)
            .is_some_and(|found| !matches!(found, Resolved::Str | Resolved::Bytes(_)));
        let written = node.span.of(self.source);
        match node.form {
            Form::Plain if text.is_empty() && tag.is_empty() => self.tagged(tag, "null"),
            Form::Plain if text.is_empty() => self.tagged(tag, "\"\""),
            Form::Plain if bare || can_be_plain(text, flow, node.tag != Tag::None) => {
                self.tagged(tag, text);
            }
            Form::Single | Form::Double if !needs_folding(written) => self.tagged(tag, written),
            _ => self.tagged(tag, &double_quoted(text)),
        }
    }

    /// The tag of a node; nothing if it has none.
    fn tag(&self, node: &Node) -> &'a str {
        tag(self.source, node.props).map_or("", |tag| tag.of(self.source))
    }

    /// Adds content behind a tag, if there is one. Room for both, as most copies are this and nothing else.
    fn tagged(&mut self, tag: &str, content: &str) {
        let blank = if tag.is_empty() { "" } else { " " };
        self.text.reserve(tag.len() + blank.len() + content.len());
        self.text.push_str(tag);
        self.text.push_str(blank);
        self.text.push_str(content);
    }
}

#[cfg(test)]
mod tests {
    use crate::edit::splice;
    use crate::format::yaml::{expand, scan};
    use crate::node::Kind;

    fn expanded(source: &str) -> String {
        let nodes = scan(source).unwrap();
        let aliases: Vec<usize> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| matches!(node.kind, Kind::Alias { .. }))
            .map(|(id, _)| id)
            .collect();
        let text = splice(source, &expand(source, &nodes, &aliases))
            .unwrap()
            .to_string();
        scan(&text).unwrap();
        text
    }

    #[test]
    fn scalars_are_copied_as_they_are_written() {
        assert_eq!(
            expanded("a: &x 'it''s'\nb: *x # c\n"),
            "a: &x 'it''s'\nb: 'it''s' # c\n"
        );
        assert_eq!(
            expanded("a: &x !!str 5\nb: [*x]\n"),
            "a: &x !!str 5\nb: [!!str 5]\n"
        );
        assert_eq!(
            expanded("a: &x |\n  l\n  m\nb: *x\n"),
            "a: &x |\n  l\n  m\nb: \"l\\nm\\n\"\n"
        );
        assert_eq!(
            expanded("a: &x p, q\nb: [*x]\n"),
            "a: &x p, q\nb: [\"p, q\"]\n"
        );
        assert_eq!(expanded("a: &x\nb: *x\n"), "a: &x\nb: null\n");
    }

    #[test]
    fn collections_become_blocks_or_flow_as_their_place_demands() {
        let target = "a: &x # c\n  b: &y 1\n  c: [d, *y]\n  e:\n  - f: g\n    h: i\n";
        assert_eq!(
            expanded(&format!("{target}k: *x\n")),
            "a: &x # c\n  b: &y 1\n  c: [d, 1]\n  e:\n  - f: g\n    h: i\n\
             k:\n  b: 1\n  c: [d, 1]\n  e:\n    - f: g\n      h: i\n"
        );
        assert!(
            expanded(&format!("{target}k:\n  - *x\n"))
                .ends_with("k:\n  - b: 1\n    c: [d, 1]\n    e:\n      - f: g\n        h: i\n")
        );
        assert!(
            expanded(&format!("{target}k: [*x]\n"))
                .ends_with("k: [{b: 1, c: [d, 1], e: [{f: g, h: i}]}]\n")
        );
    }

    #[test]
    fn collections_keep_their_tags() {
        let target = "a: &x !foo\n  b: !bar [!baz {c: d}, !e {}]\n  f: !g\n  - !h\n    i: j\n";
        let entries = |pad: &str| {
            format!(
                "!foo\n{pad}b: !bar [!baz {{c: d}}, !e {{}}]\n{pad}f: !g\n{pad}  - !h\n{pad}    i: j\n"
            )
        };
        for (alias, expected) in [
            ("k: *x\n", format!("k: {}", entries("  "))),
            ("k:\n- *x\n", format!("k:\n- {}", entries("  "))),
            (
                "k: [*x]\n",
                "k: [!foo {b: !bar [!baz {c: d}, !e {}], f: !g [!h {i: j}]}]\n".to_owned(),
            ),
        ] {
            assert_eq!(
                expanded(&format!("{target}{alias}")),
                format!("{target}{expected}")
            );
        }
    }

    #[test]
    fn merges_are_expanded_below_their_key() {
        assert_eq!(
            expanded("a: &x\n  b: 1\nc:\n    <<: *x\nd:\n    <<: [*x, *x]\n"),
            "a: &x\n  b: 1\nc:\n    <<:\n      b: 1\nd:\n    <<: [{b: 1}, {b: 1}]\n"
        );
        for (key, copy) in [("&k <<", "<<"), ("&k \"<<\"", "\"<<\"")] {
            assert_eq!(
                expanded(&format!("a: &x\n  {key}: {{b: 1}}\nc: *x\n")),
                format!("a: &x\n  {key}: {{b: 1}}\nc:\n  {copy}: {{b: 1}}\n")
            );
        }
    }

    #[test]
    fn a_bomb_stays_an_alias() {
        let mut bomb = "a0: &a0 [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let all = [before.as_str(); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{all}]\n"));
        }
        bomb.push_str("b: *a8\n");
        let nodes = scan(&bomb).unwrap();
        assert!(expand(&bomb, &nodes, &[nodes.len() - 1]).is_empty());
    }
}
