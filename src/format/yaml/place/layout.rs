//! Where entries and items stand in a YAML text: their lines, their column, the comments that are theirs, and the style of
//! what stands around them.
//!
//! A block entry owns the lines from its key or dash to its last one, the comments directly above it in its column, the
//! one beside it, and those below it that stand further in. Changes nothing.

use super::super::chars::{break_len, byte, column, is_blank, line_end, line_start};
use super::super::emit::{Quotes, Style};
use super::super::write::{block, newline};
use crate::node::{Form, Kind, Node, NodeId, children};
use crate::span::{Position, Span};
use crate::value::Value;

/// A text with its nodes.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: &'a [Node],
}

impl<'a> Layout<'a> {
    pub(super) fn node(self, id: NodeId) -> Option<&'a Node> {
        self.nodes.get(id)
    }

    /// The entries or items of a container, without comments.
    pub(super) fn items(self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let is_item = move |id: &NodeId| {
            self.node(*id)
                .is_some_and(|node| node.kind != Kind::Comment)
        };
        children(self.nodes, id).filter(is_item)
    }

    /// The first byte of an entry or item: its `?`, key or dash, else its anchor or tag, else its content.
    pub(super) fn start(self, id: NodeId) -> usize {
        let Some(node) = self.node(id) else {
            return self.source.len();
        };
        let Some(key) = node.key else {
            return node.props.start().min(node.span.start());
        };
        let mut at = key.start();
        while at > 0 && is_blank(self.source.as_bytes(), at - 1) {
            at -= 1;
        }
        let is_explicit =
            at > 0 && at < key.start() && byte(self.source.as_bytes(), at - 1) == b'?';
        if is_explicit { at - 1 } else { key.start() }
    }

    /// The byte behind the content of an entry or item. Behind a block of text this is the begin of a line.
    pub(super) fn end(self, id: NodeId) -> usize {
        self.node(id).map_or(0, |node| {
            let key = node.key.map_or(0, Span::end);
            node.span.end().max(node.props.end()).max(key)
        })
    }

    /// Whether nothing is written where the value of an entry or item would stand.
    pub(super) fn is_empty(self, id: NodeId) -> bool {
        let is_empty = |node: &Node| node.span.is_empty() && node.props.is_empty();
        self.node(id).is_some_and(is_empty)
    }

    /// The column of byte `at`, in characters from 0.
    pub(super) fn column(self, at: usize) -> usize {
        column(self.source.as_bytes(), at)
    }

    /// The first byte of the line that holds byte `at`.
    pub(super) fn line_start(self, at: usize) -> usize {
        line_start(self.source.as_bytes(), at)
    }

    /// The byte behind the line that holds byte `at`, with its line break; `at` itself if a line begins there and the one
    /// before it was ended.
    pub(super) fn line_behind(self, at: usize) -> usize {
        if at > 0 && self.line_start(at) == at {
            return at;
        }
        self.next_line(at)
    }

    /// The byte behind the line break of the line that holds byte `at`.
    pub(super) fn next_line(self, at: usize) -> usize {
        let end = line_end(self.source.as_bytes(), at);
        end + break_len(self.source.as_bytes(), end)
    }

    /// Whether only blanks stand before byte `at` on its line.
    pub(super) fn begins_line(self, at: usize) -> bool {
        self.is_white(Span::new(self.line_start(at), at))
    }

    /// Whether nothing but blanks and line breaks is here.
    pub(super) fn is_white(self, span: Span) -> bool {
        span.of(self.source)
            .trim_start_matches([' ', '\t', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
            .is_empty()
    }

    /// The byte behind the lines of a block entry or item, with the comment beside it and those below it that stand
    /// further in than it does.
    pub(super) fn lines_end(self, id: NodeId) -> usize {
        let own = self.column(self.start(id));
        let mut end = self.line_behind(self.end(id));
        let mut at = end;
        while at < self.source.len() && self.line_start(at) == at {
            let line = line_end(self.source.as_bytes(), at);
            let text = self.source.get(at..line).unwrap_or_default();
            let bare = text.trim_start_matches([' ', '\t']);
            let is_inside = bare.starts_with('#') && text.len() - bare.len() > own;
            if !is_inside && !bare.is_empty() {
                break;
            }
            at = line + break_len(self.source.as_bytes(), line);
            if is_inside {
                end = at;
            }
            if at == line {
                break;
            }
        }
        end
    }

    /// The `#` of the first of the comments that stand directly above an entry or item, in its column; else where it
    /// begins itself, as it also does if something stands before it on its line.
    pub(super) fn lead(self, id: NodeId) -> usize {
        let mut start = self.start(id);
        if !self.begins_line(start) {
            return start;
        }
        let own = self.column(start);
        // What looks like a comment may be the last line of a text.
        let floor = self.end_before(id);
        loop {
            let line = self.line_start(start);
            if line <= floor {
                return start;
            }
            let above = self.line_start(before_break(self.source, line));
            let text = self.source.get(above..line).unwrap_or_default();
            let mark = above + text.len() - text.trim_start_matches([' ', '\t']).len();
            let is_own = byte(self.source.as_bytes(), mark) == b'#' && self.column(mark) == own;
            if !is_own || mark < floor || above == line {
                return start;
            }
            start = mark;
        }
    }

    /// Where the content before an entry or item ends: that of the one before it, else what leads to its container.
    fn end_before(self, id: NodeId) -> usize {
        let Some(parent) = self.node(id).and_then(|node| node.parent) else {
            return 0;
        };
        let before = self.items(parent).take_while(|&other| other < id).last();
        before.map_or_else(
            || {
                let node = self.node(parent);
                let key = node.and_then(|node| node.key).map_or(0, Span::end);
                let props = node.map_or(0, |node| node.props.end());
                let props = if node.is_some_and(|node| node.props.is_empty()) {
                    0
                } else {
                    props
                };
                key.max(props)
            },
            |before| self.end(before),
        )
    }

    /// The line, counted from 1, of an alias of this node or of something it stands in.
    pub(super) fn alias_of(self, id: NodeId) -> Option<usize> {
        let is_in =
            |target: NodeId| target <= id && self.node(target).is_some_and(|node| id < node.end);
        let alias = self.nodes.iter().find(|node| match node.kind {
            Kind::Alias { target } => is_in(target),
            _ => false,
        })?;
        Some(Position::of(self.source, alias.span.start()).line)
    }

    /// Where a tab stands in the empty lines at `at`, where a line begins. Only a plain text can have it behind itself.
    pub(super) fn tab_below(self, at: usize) -> Option<usize> {
        let bytes = self.source.as_bytes();
        let mut next = at;
        while next < bytes.len() {
            let end = line_end(bytes, next);
            let line = Span::new(next, end);
            if !self.is_white(line) {
                return None;
            }
            if let Some(tab) = line.of(self.source).find('\t') {
                return Some(next + tab);
            }
            next = self.next_line(next);
        }
        None
    }

    /// What new text in the container `id` looks like: as its neighbours do, else as the text does elsewhere.
    pub(super) fn style(self, id: NodeId) -> Style {
        let step = self.step(id, Kind::Mapping);
        let dashes = self.step(id, Kind::Sequence);
        let step = step
            .or(dashes.filter(|&dashes| dashes > 0))
            .or_else(|| self.block_step())
            .unwrap_or(Style::PLAIN.step);
        Style {
            newline: newline(self.source),
            step,
            dashes: dashes.unwrap_or(step),
            gap: self.gap(id),
            values: self.quotes(id, |node| self.value_quotes(node)),
            keys: self.quotes(id, |node| self.key_quotes(node)),
            literals: true,
        }
    }

    /// How far a block of this kind stands behind its key: in the container `near`, else anywhere.
    fn step(self, near: NodeId, kind: Kind) -> Option<usize> {
        let step = |node: &Node| {
            let key = node.key.filter(|_| node.kind == kind && !node.flow)?;
            let is_entry = self.node(node.parent?)?.kind == Kind::Mapping;
            // The column of an entry is that of its mapping.
            let parent = self.node(node.parent?).filter(|_| is_entry)?;
            let below = self.line_start(node.span.start()) > key.end();
            let column = self.column(node.span.start());
            column
                .checked_sub(self.column(parent.span.start()))
                .filter(|_| below)
        };
        let inside = self.nodes.get(near..self.node(near)?.end)?;
        let found = inside.iter().find_map(step);
        let found = found.or_else(|| self.nodes.iter().find_map(step))?;
        (kind == Kind::Sequence || found > 0).then_some(found)
    }

    /// How far the text of the first block with text stands behind its key.
    fn block_step(self) -> Option<usize> {
        let is_block = |node: &Node| matches!(node.form, Form::Literal | Form::Folded);
        let is_filled = |node: &Node| !self.is_white(node.inner);
        let mut nodes = self.nodes.iter();
        let node = nodes.find(|node| is_block(node) && is_filled(node))?;
        block::step(self.source, node).filter(|&step| step > 0)
    }

    /// The quotes that all children of a container have that have any, else all that stand anywhere in it.
    fn quotes(self, id: NodeId, of: impl Fn(&Node) -> Option<Quotes>) -> Quotes {
        let of = |id: NodeId| of(self.node(id)?);
        let end = self.node(id).map_or(id, |node| node.end);
        agreed(self.items(id).filter_map(of), Quotes::WhereNeeded)
            .or_else(|| agreed((id + 1..end).filter_map(of), Quotes::WhereNeeded))
            .unwrap_or(Quotes::WhereNeeded)
    }

    /// How many blanks all dashes of a list have behind them that have anything on their line; else those in it; else those
    /// of the text.
    fn gap(self, id: NodeId) -> usize {
        let of = |id: NodeId| self.gap_behind(self.node(id)?);
        let end = self.node(id).map_or(id, |node| node.end);
        let plain = Style::PLAIN.gap;
        agreed(self.items(id).filter_map(of), plain)
            .or_else(|| agreed((id + 1..end).filter_map(of), plain))
            .or_else(|| agreed((0..self.nodes.len()).filter_map(of), plain))
            .unwrap_or(plain)
    }

    /// The blanks between the dash of an item and what stands on its line.
    fn gap_behind(self, node: &Node) -> Option<usize> {
        let dash = node.key?;
        let is_dash = self.node(node.parent?)?.kind == Kind::Sequence;
        let behind = self.source.get(dash.end()..)?;
        let blanks = behind.len() - behind.trim_start_matches(' ').len();
        let next = behind.as_bytes().get(blanks)?;
        let is_there = !matches!(next, b'\t' | b'\r' | b'\n' | b'#');
        (is_dash && blanks > 0 && is_there).then_some(blanks)
    }

    /// How a string is quoted; `None` for what is no string on one line.
    fn value_quotes(self, node: &Node) -> Option<Quotes> {
        match (node.kind, node.form) {
            (Kind::Scalar, Form::Double) => Some(Quotes::Double),
            (Kind::Scalar, Form::Single) => Some(Quotes::Single),
            (Kind::Scalar, Form::Plain) => {
                let value = super::super::value(self.source, node).ok()?;
                matches!(value, Value::Str(_)).then_some(Quotes::WhereNeeded)
            }
            _ => None,
        }
    }

    /// How a key is quoted; `None` for what has no key of its own.
    fn key_quotes(self, node: &Node) -> Option<Quotes> {
        let parent = self.node(node.parent?)?;
        let key = node.key.filter(|_| parent.kind == Kind::Mapping)?;
        Some(match byte(self.source.as_bytes(), key.start()) {
            b'"' => Quotes::Double,
            b'\'' => Quotes::Single,
            _ => Quotes::WhereNeeded,
        })
    }
}

/// What all of these are, `else_` if they differ; `None` if there are none.
fn agreed<T: PartialEq>(mut found: impl Iterator<Item = T>, else_: T) -> Option<T> {
    let first = found.next()?;
    Some(if found.all(|other| other == first) {
        first
    } else {
        else_
    })
}

/// The byte before the line break that ends at `at`, within the line above.
fn before_break(source: &str, at: usize) -> usize {
    let before = source.get(..at).unwrap_or_default();
    let last = before.chars().next_back().map_or(0, char::len_utf8);
    let shorter = at - last;
    if source.get(shorter..at) == Some("\n") && before.ends_with("\r\n") {
        shorter - 1
    } else {
        shorter
    }
}
