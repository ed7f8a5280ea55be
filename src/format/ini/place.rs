//! Changes of an INI text: keys and sections put in, exchanged and taken out, each with its own comment lines.
//!
//! Knows where lines begin and end and what belongs together. How they are written is in `place/layout.rs`.

use self::layout::{Pieces, scalar};
use super::{value, write_value};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::lines::whole::{insert_lines, line_start, remove_lines, with_comments_above};
use crate::format::lines::{line_break, next_line};
use crate::format::place::CannotPlace;
use crate::node::{Kind, Node, NodeId, children};
use crate::span::Span;

mod layout;

/// Puts a key into a section, or a section behind the last, see [`crate::format::place::insert`].
///
/// # Errors
/// [`CannotPlace`] for what INI cannot hold: anything but sections of values, and names and values that would not be
/// read back.
pub(in crate::format) fn insert(
    source: &str,
    nodes: &[Node],
    parent: NodeId,
    before: Option<NodeId>,
    name: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let text = Text { source, nodes };
    let name = name.unwrap_or_default();
    let mut pieces = Pieces::default();
    let before = before.and_then(|id| Some((id, nodes.get(id)?)));
    let at = if parent == 0 {
        let at = text.end_of_sections();
        if text.has_empty_lines(at) {
            pieces.push(text.line_break());
        }
        pieces.section(&text, name, content, Span::at(at))?;
        at
    } else {
        let at = match before {
            Some((id, next)) if next.kind == Kind::Scalar => text.lines_of(id).start(),
            _ => text.end_of_section(parent),
        };
        pieces.line(&text, &text.layout(parent), name, content, Span::at(at))?;
        at
    };
    if at == source.len() && goes_on(source) {
        let message = "the text ends with `\\`, which joins the next line to the last";
        return Err(CannotPlace::new(Span::at(at), message)
            .with_hint("take the `\\` out, or put the value in quotes"));
    }
    if at == source.len() && source.ends_with('\r') {
        let message = "the text ends with half a line break, a carriage return alone";
        return Err(CannotPlace::new(Span::at(at), message)
            .with_hint("end the last line of the file with a line break"));
    }
    edits.push(insert_lines(source, at, text.line_break(), &pieces.all()));
    Ok(())
}

/// Writes another value, or all keys of a section anew, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] as [`insert`] gives it.
pub(in crate::format) fn replace(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let text = Text { source, nodes };
    let Some(node) = nodes.get(id) else {
        return Ok(());
    };
    if node.kind != Kind::Mapping {
        let value = scalar(content, node.span)?;
        let edit = write_value(source, node, value)
            .map_err(|error| CannotPlace::unwritable(node.span, error))?;
        edits.push(edit);
        return Ok(());
    }
    let layout = text.layout(id);
    let mut pieces = Pieces::default();
    pieces.lines(&text, &layout, content, node.span)?;
    let pieces = pieces.all();
    let old = Span::new(text.start_of_keys(id), text.end_of_section(id));
    edits.push(if pieces.is_empty() {
        remove_lines(source, text.line_break(), old)
    } else if old.is_empty() {
        insert_lines(source, old.start(), text.line_break(), &pieces)
    } else {
        let is_ended = old.of(source).ends_with('\n');
        let mut edit = insert_lines(
            "",
            0,
            if is_ended { text.line_break() } else { "" },
            &pieces,
        );
        edit.span = old;
        edit
    });
    Ok(())
}

/// Takes out a key, or a section with one of the empty lines around it, see [`crate::format::place::remove`].
///
/// # Errors
/// None: nothing in INI depends on another place.
pub(in crate::format) fn remove(
    source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let text = Text { source, nodes };
    let Some(node) = nodes.get(id) else {
        return Ok(());
    };
    let mut lines = text.lines_of(id);
    if node.kind == Kind::Mapping && !text.is_unwritten(id) {
        let is_first = lines.start() == text.start();
        let above = text.line_start(lines.start().saturating_sub(1));
        if is_first && text.is_empty_line(lines.end()) {
            lines = Span::new(lines.start(), next_line(source, lines.end()));
        } else if !is_first
            && text.is_empty_line(above)
            && !goes_on(source.get(..above).unwrap_or_default())
            && !text.would_join(above, lines.end())
        {
            lines = Span::new(above, lines.end());
        }
    }
    if !lines.is_empty() {
        edits.push(remove_lines(source, text.line_break(), lines));
    }
    Ok(())
}

/// Whether the last line of `text` is one that goes on in the next. A comment does not, nor does a header, unless it is what a
/// value goes on in.
fn goes_on(text: &str) -> bool {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines = text.rsplit('\n').map(str::trim);
    let mut open = lines.take_while(|line| line.ends_with('\\'));
    open.any(|line| !line.starts_with([';', '#', '[']))
}

struct Text<'a> {
    source: &'a str,
    nodes: &'a [Node],
}

impl<'a> Text<'a> {
    fn line_break(&self) -> &'static str {
        line_break(self.source)
    }

    fn keys(&self, section: NodeId) -> impl Iterator<Item = &Node> {
        let keys = children(self.nodes, section).filter_map(|id| self.nodes.get(id));
        keys.filter(|node| node.kind == Kind::Scalar)
    }

    /// Whether this is the section of the keys before any header.
    fn is_unwritten(&self, section: NodeId) -> bool {
        let node = self.nodes.get(section);
        node.is_some_and(Node::is_unwritten_section)
    }

    /// Where the first line begins: behind a byte order mark.
    fn start(&self) -> usize {
        let mark = self.source.starts_with('\u{feff}');
        if mark { '\u{feff}'.len_utf8() } else { 0 }
    }

    /// Where the line that holds byte `at` begins.
    fn line_start(&self, at: usize) -> usize {
        line_start(self.source, at).max(self.start())
    }

    /// Whether a line without content begins at byte `at`.
    fn is_empty_line(&self, at: usize) -> bool {
        let line = self.source.get(at..next_line(self.source, at));
        at < self.source.len() && line.is_some_and(|line| line.trim().is_empty())
    }

    /// Whether comments would become one if everything from byte `start` to byte `end` were taken out.
    fn would_join(&self, start: usize, end: usize) -> bool {
        let is_comment = |at: usize| {
            let line = self.source.get(at..next_line(self.source, at));
            line.is_some_and(|line| line.trim_start().starts_with(['#', ';']))
        };
        is_comment(self.line_start(start.saturating_sub(1))) && is_comment(end)
    }

    /// The byte behind the lines of a key. A value that ends in a backslash uses up the empty line behind it.
    fn end_of_key(&self, node: &Node) -> usize {
        let end = next_line(self.source, node.span.end());
        let is_open = node.span.of(self.source).ends_with('\\');
        if is_open && value::is_continued(self.source, node) {
            next_line(self.source, end)
        } else {
            end
        }
    }

    /// Where the first key of a section stands, or would stand.
    fn start_of_keys(&self, section: NodeId) -> usize {
        let name = self.nodes.get(section).and_then(|node| node.key);
        match name.filter(|name| !name.is_empty()) {
            Some(name) => next_line(self.source, name.end()),
            None => self.start(),
        }
    }

    /// Behind the last key of a section, or its header.
    fn end_of_section(&self, section: NodeId) -> usize {
        match self.keys(section).last() {
            Some(last) => self.end_of_key(last),
            None => self.start_of_keys(section),
        }
    }

    /// Behind everything but the empty lines at the end of the file.
    fn end_of_sections(&self) -> usize {
        let ends = self.nodes.iter().skip(1).map(|node| match node.kind {
            Kind::Scalar => self.end_of_key(node),
            _ if node.span.is_empty() => 0,
            _ => next_line(self.source, node.span.end()),
        });
        ends.max()
            .filter(|&end| end > 0)
            .unwrap_or(self.source.len())
    }

    /// Whether a new section at byte `at` stands behind an empty line, as the last one does.
    fn has_empty_lines(&self, at: usize) -> bool {
        let is_header = |&id: &NodeId| !self.is_unwritten(id);
        let last = children(self.nodes, 0).filter(is_header).last();
        let is_behind_comment = self.nodes.iter().any(|node| {
            node.kind == Kind::Comment && next_line(self.source, node.span.end()) == at
        });
        let start = last.map_or(0, |id| self.lines_of(id).start());
        let above = self.line_start(start.saturating_sub(1));
        at > self.start()
            && (start <= self.start() || is_behind_comment || self.is_empty_line(above))
    }

    /// The lines of a key or section with the comments directly above.
    fn lines_of(&self, id: NodeId) -> Span {
        let Some(node) = self.nodes.get(id) else {
            return Span::at(0);
        };
        let start = node.key.map_or(node.span.start(), Span::start);
        let own = match node.kind {
            Kind::Mapping if self.is_unwritten(id) => {
                return Span::new(self.start_of_keys(id), self.end_of_section(id));
            }
            Kind::Mapping => Span::new(self.line_start(start), self.end_of_section(id)),
            _ => Span::new(self.line_start(start), self.end_of_key(node)),
        };
        with_comments_above(self.source, self.nodes, own)
    }
}
