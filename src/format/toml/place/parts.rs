//! Which lines of a TOML text belong to which table.
//!
//! TOML scatters: the parts of one table may stand anywhere. Here every value is at home under a header, or at the top.

use toml_writer::ToTomlKey as _;

use super::super::key;
use crate::format::lines::whole::CommentLines;
use crate::format::lines::{line_start, next_line};
use crate::node::{Kind, Node, NodeId, children};
use crate::span::Span;

/// How a container is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The table of the keys before any header.
    Root,
    /// `[key]`, or one `[[key]]`.
    Header,
    /// All of `[[key]]`.
    Tables,
    /// `a.b = 1` makes `a` one.
    Dotted,
    /// `[a.b]` makes `a` one.
    Prefix,
    /// `[1, 2]` or `{ a = 1 }`.
    Inline,
    /// None at all.
    Value,
}

/// A text with what stands where.
pub(super) struct Parts<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: &'a [Node],
    /// For every node: the header or root under which it is written; `None` inside of inline tables and arrays.
    homes: Vec<Option<NodeId>>,
    /// All headers, in the order in which they stand.
    headers: Vec<Span>,
    /// For every header and root: behind the last value under it, or the header.
    ends: Vec<Option<usize>>,
    comments: CommentLines,
}

impl<'a> Parts<'a> {
    /// Costs as much as the text is long; what is asked afterwards does not go over all of it again for every header.
    pub(super) fn new(source: &'a str, nodes: &'a [Node]) -> Self {
        let headers = nodes.iter().filter(|node| has_header(source, node));
        let mut headers: Vec<Span> = headers.map(|node| node.inner).collect();
        headers.sort();
        let mut parts = Self {
            source,
            nodes,
            homes: homes(source, nodes),
            headers,
            ends: Vec::new(),
            comments: CommentLines::new(source, nodes),
        };
        parts.ends = parts.ends_of_parts();
        parts
    }

    fn ends_of_parts(&self) -> Vec<Option<usize>> {
        let mut ends = vec![None; self.nodes.len()];
        for id in 0..self.nodes.len() {
            let table = match self.shape(id) {
                Shape::Header => Some(id),
                _ => self
                    .homes
                    .get(id)
                    .copied()
                    .flatten()
                    .filter(|_| self.has_lines(id)),
            };
            if let Some(end) = table.and_then(|table| ends.get_mut(table)) {
                *end = (*end).max(Some(self.lines(id).end()));
            }
        }
        ends
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&'a Node> {
        self.nodes.get(id)
    }

    pub(super) fn shape(&self, id: NodeId) -> Shape {
        let Some(node) = self.node(id) else {
            return Shape::Value;
        };
        match node.kind {
            Kind::Mapping | Kind::Sequence if node.flow => Shape::Inline,
            Kind::Sequence => Shape::Tables,
            Kind::Mapping if node.parent.is_none() => Shape::Root,
            Kind::Mapping if has_header(self.source, node) => Shape::Header,
            Kind::Mapping => {
                let key = node.key.unwrap_or_default();
                let before = self
                    .headers
                    .partition_point(|header| header.start() <= key.start());
                let header = before
                    .checked_sub(1)
                    .and_then(|last| self.headers.get(last));
                if header.is_some_and(|header| header.contains(key)) {
                    Shape::Prefix
                } else {
                    Shape::Dotted
                }
            }
            _ => Shape::Value,
        }
    }

    /// The entries and items of a container, without comments.
    pub(super) fn items(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'a> {
        let nodes = self.nodes;
        children(nodes, id)
            .filter(move |&id| nodes.get(id).is_some_and(|node| node.kind != Kind::Comment))
    }

    /// Whether dotted keys stand in an inline table.
    pub(super) fn has_dotted(&self, id: NodeId) -> bool {
        self.items(id).any(|id| self.shape(id) == Shape::Dotted)
    }

    /// Where the subtree of a node ends in the table.
    fn below(&self, id: NodeId) -> std::ops::Range<NodeId> {
        id..self.node(id).map_or(id, |node| node.end)
    }

    /// Whether a node is a value with lines of its own.
    pub(super) fn has_lines(&self, id: NodeId) -> bool {
        let is_home = self.homes.get(id).copied().flatten().is_some();
        let shape = self.shape(id);
        let is_comment = self.node(id).is_some_and(|node| node.kind == Kind::Comment);
        is_home && !is_comment && matches!(shape, Shape::Value | Shape::Inline)
    }

    /// The lines of a value, or of a header.
    pub(super) fn lines(&self, id: NodeId) -> Span {
        let Some(node) = self.node(id) else {
            return Span::at(0);
        };
        let (start, end) = if has_header(self.source, node) {
            (node.inner.start(), node.inner.end())
        } else {
            (
                node.key.map_or(node.span.start(), Span::start),
                node.span.end(),
            )
        };
        Span::new(line_start(self.source, start), next_line(self.source, end))
    }

    /// Behind the last value under a header, or the header; behind the last value before all headers.
    pub(super) fn end_of_part(&self, table: NodeId) -> Option<usize> {
        self.ends.get(table).copied().flatten()
    }

    /// Behind everything in a node.
    pub(super) fn end(&self, id: NodeId) -> Option<usize> {
        let parts = self
            .below(id)
            .filter(|&id| self.has_lines(id) || self.shape(id) == Shape::Header);
        parts.map(|id| self.lines(id).end()).max()
    }

    /// The headers in a node, its own included.
    pub(super) fn headers(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.below(id).filter(|&id| self.shape(id) == Shape::Header)
    }

    /// The lines of a header and all values under it, with the comments above.
    pub(super) fn part(&self, header: NodeId) -> Span {
        let start = self.lines(header).start();
        let end = self.end_of_part(header).unwrap_or(start);
        self.with_comments(Span::new(start, end))
    }

    /// Whole lines with the comments directly above them.
    pub(super) fn with_comments(&self, lines: Span) -> Span {
        self.comments.with_above(lines)
    }

    /// Where the first header in a node begins, or the comments above it.
    pub(super) fn first_header(&self, id: NodeId) -> Option<usize> {
        self.headers(id).map(|id| self.part(id).start()).min()
    }

    /// The path of a table as a header has it.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut keys = Vec::new();
        let mut next = Some(id);
        while let Some(node) = next.and_then(|id| self.node(id)) {
            if node.key.is_some() {
                keys.push(key(self.source, node).as_ref().to_toml_key());
            }
            next = node.parent;
        }
        keys.reverse();
        keys.join(".")
    }

    /// Whether a line without content begins at byte `at`.
    pub(super) fn is_empty_line(&self, at: usize) -> bool {
        let line = self.source.get(at..next_line(self.source, at));
        at < self.source.len() && line.is_some_and(|line| line.trim().is_empty())
    }
}

/// For every node, the header or root under which it is written.
fn homes(source: &str, nodes: &[Node]) -> Vec<Option<NodeId>> {
    let mut homes: Vec<Option<NodeId>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let home = node.parent.and_then(|parent| {
            let above = nodes.get(parent)?;
            if above.flow {
                None
            } else if above.parent.is_none() || has_header(source, above) {
                Some(parent)
            } else {
                homes.get(parent).copied().flatten()
            }
        });
        homes.push(home);
    }
    homes
}

/// Whether a table begins with a header of its own.
fn has_header(source: &str, node: &Node) -> bool {
    node.kind == Kind::Mapping
        && !node.flow
        && node.inner.of(source).starts_with('[')
        && node.parent.is_some()
}
