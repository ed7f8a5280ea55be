//! Taking out an entry or item with its own lines and comments.
//!
//! A container that loses its last entry becomes `{}` or `[]`. Knows nothing of content.

use super::layout::Layout;
use crate::edit::Edit;
use crate::format::place::CannotPlace;
use crate::format::yaml::chars::{break_len, is_blank, line_end};
use crate::format::yaml::scan::scalars::{Chomp, Header};
use crate::node::{Kind, Node, NodeId};
use crate::span::Span;

mod flow;

/// Takes out the entry or item `id`, see [`crate::format::place::remove`].
///
/// # Errors
/// [`CannotPlace`] for content that an alias elsewhere stands for.
pub(in crate::format) fn remove(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let layout = Layout { source, nodes };
    let found = layout.node(id).and_then(|node| {
        let parent_id = node.parent?;
        let parent = layout.node(parent_id)?;
        let items = || layout.items(parent_id);
        Some(Removal {
            layout,
            id,
            node,
            parent_id,
            parent,
            start: layout.start(id),
            previous: items().take_while(|&other| other < id).last(),
            next: items().find(|&other| other > id),
        })
    });
    let Some(removal) = found else {
        return Ok(());
    };
    layout.refuse_shared(id)?;
    if removal.parent.flow {
        removal.out_of_flow(edits);
        Ok(())
    } else {
        removal.out_of_block(edits)
    }
}

struct Removal<'a> {
    layout: Layout<'a>,
    id: NodeId,
    node: &'a Node,
    parent_id: NodeId,
    parent: &'a Node,
    /// The first byte of the entry.
    start: usize,
    /// The entries beside it.
    previous: Option<NodeId>,
    next: Option<NodeId>,
}

impl Removal<'_> {
    /// What a container without entries is written as.
    fn nothing(&self) -> &'static str {
        if self.parent.kind == Kind::Sequence {
            "[]"
        } else {
            "{}"
        }
    }

    fn is_only(&self) -> bool {
        self.previous.is_none() && self.next.is_none()
    }

    fn out_of_block(&self, edits: &mut Vec<Edit>) -> Result<(), CannotPlace> {
        let layout = self.layout;
        if layout.column(self.start) != layout.column(self.parent.span.start()) {
            let place = Span::new(self.start, self.node.span.end());
            let message = "the key stands on another line than its `?`";
            return Err(CannotPlace::new(place, message).with_hint("use `sops-rs edit`"));
        }
        let behind = layout.lines_end(self.id);
        let end = behind - layout.break_before(behind);
        if !layout.begins_line(self.start) {
            edits.push(match self.next {
                Some(next) => self.first_of_compact(end, layout.start(next)),
                None => Edit::new(Span::new(self.start, end), self.nothing()),
            });
            return Ok(());
        }
        let lead = layout.lead(self.id);
        if self.is_only() {
            let Some(at) = self.behind_parent() else {
                edits.push(Edit::new(Span::new(lead, end), self.nothing()));
                return Ok(());
            };
            edits.push(Edit::new(Span::at(at), format!(" {}", self.nothing())));
        }
        edits.push(Edit::remove(self.lines(layout.line_start(lead), end)));
        Ok(())
    }

    /// Where an empty container is written in place of the parent; `None` for the root.
    fn behind_parent(&self) -> Option<usize> {
        let mark = self.layout.behind_mark(self.parent_id)?;
        let props = self.parent.props;
        Some(if props.is_empty() { mark } else { props.end() })
    }

    /// The first entry of a collection that begins on the line of a dash: the next one takes its place there, unless
    /// comments stand between.
    fn first_of_compact(&self, end: usize, next: usize) -> Edit {
        let bytes = self.layout.source.as_bytes();
        if self.layout.is_white(Span::new(end, next)) {
            return Edit::remove(Span::new(self.start, next));
        }
        let mut blanks = self.start;
        while blanks > 0 && is_blank(bytes, blanks - 1) {
            blanks -= 1;
        }
        Edit::remove(Span::new(blanks, end))
    }

    /// The lines from `first` to the one that ends at `end`, with the line break that goes with them.
    fn lines(&self, first: usize, end: usize) -> Span {
        let layout = self.layout;
        let bytes = layout.source.as_bytes();
        let header = |node: &Node| Header::parse(bytes, node.span.start() + 1);
        let above = layout.block_above(self.id, first).and_then(header);
        match break_len(bytes, end) {
            // The last line break of a block of text is part of it.
            0 if above.is_some_and(|header| header.chomp != Chomp::Strip) => Span::new(first, end),
            0 => Span::new(first - layout.break_before(first), end),
            broken if above.is_some_and(|header| header.chomp == Chomp::Keep) => {
                Span::new(first, self.behind_blank_lines(end + broken))
            }
            broken => Span::new(first, end + broken),
        }
    }

    /// Behind the empty lines at `line`, which a block above that keeps them would take for its own.
    fn behind_blank_lines(&self, line: usize) -> usize {
        let bytes = self.layout.source.as_bytes();
        let mut behind = line;
        loop {
            let mut at = behind;
            while is_blank(bytes, at) {
                at += 1;
            }
            match break_len(bytes, at) {
                0 if at == bytes.len() => return at,
                0 => return behind,
                length => behind = at + length,
            }
        }
    }

    /// The lines of an entry of a flow collection that shares them with no other, with a line break; it ends at `end`, with its
    /// comma.
    fn own_flow_lines(&self, end: usize) -> Option<Span> {
        let bytes = self.layout.source.as_bytes();
        let last = line_end(bytes, end);
        let is_alone =
            self.layout.begins_line(self.start) && self.layout.next_mark(end, last) == last;
        is_alone.then(|| {
            let first = self.layout.line_start(self.layout.lead(self.id));
            // With the line break that an insertion there puts in: behind it before others, before it behind them.
            match self.next {
                Some(_) => Span::new(first, last + break_len(bytes, last)),
                None => Span::new(first - self.layout.break_before(first), last),
            }
        })
    }
}
