//! Changes of a JSON text: members and items put in, exchanged and taken out in the layout that is there.
//!
//! Knows how commas, line breaks and indentation go along. What is put in stands on lines of its own where its neighbours
//! do. Knows nothing of what is in the values.

use super::Escapes;
use super::emit::{Style, write, write_entry};
use crate::content::Content;
use crate::edit::Edit;
use crate::format::emit::CannotEmit;
use crate::format::lines::line_break;
use crate::format::place::CannotPlace;
use crate::node::{Node, NodeId, children};
use crate::secret::PlainWriter;
use crate::span::Span;

/// Puts `content` into `parent`, see [`crate::format::place::insert`].
///
/// # Errors
/// [`CannotPlace`] for a value that JSON cannot hold.
pub(in crate::format) fn insert(
    source: &str,
    nodes: &[Node],
    parent: NodeId,
    before: Option<NodeId>,
    key: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let text = Text { source, nodes };
    let Some(container) = nodes.get(parent) else {
        return Ok(());
    };
    let inside = container.span.start() + 1;
    let gap = text.gap(parent);
    let style = text.style(parent, gap.contains('\n'));
    let mut written = PlainWriter::default();
    let entry = |written: &mut PlainWriter| {
        write_entry(written, key, content, &style, indent_of(&gap))
            .map_err(|error| unwritable(Span::at(0), error))
    };
    let member = |id: NodeId| nodes.get(id).map(|node| (start(node), node.span.end()));
    let mut previous = None;
    let mut next = None;
    for id in children(nodes, parent) {
        if Some(id) == before {
            next = member(id);
            break;
        }
        previous = member(id);
    }
    let at = match (previous, next) {
        (Some((_, end)), _) => {
            written.push_str(",");
            written.push_str(&gap);
            entry(&mut written)?;
            end
        }
        (None, Some((first, _))) => {
            entry(&mut written)?;
            written.push_str(",");
            written.push_str(&gap);
            first
        }
        (None, None) => {
            let blank = text.blank(Span::new(inside, container.span.end() - 1));
            // The line of the closing bracket, if it is not one already.
            let close = text.line_indent(container.span.start());
            written.push_str(if gap.contains('\n') || blank {
                &gap
            } else {
                ""
            });
            entry(&mut written)?;
            if gap.contains('\n') && !blank {
                written.push_str(style.line_break);
                written.push_str(close);
            }
            inside
        }
    };
    edits.push(edit(Span::at(at), written));
    Ok(())
}

/// Writes `content` in place of the value `id`, see [`crate::format::place::replace`].
///
/// # Errors
/// [`CannotPlace`] for a value that JSON cannot hold.
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
    let is_filled = node.is_container() && node.end > id + 1;
    let on_lines = if is_filled {
        node.span.of(source).contains('\n')
    } else {
        let gap = node.parent.map(|parent| text.gap(parent));
        gap.is_some_and(|gap| gap.contains('\n'))
    };
    let style = text.style(id, on_lines);
    let mut written = PlainWriter::default();
    write(&mut written, content, &style, text.line_indent(start(node)))
        .map_err(|error| unwritable(node.span, error))?;
    edits.push(edit(node.span, written));
    Ok(())
}

/// Takes out the member or item `id` with one comma, see [`crate::format::place::remove`].
///
/// # Errors
/// None: nothing in JSON depends on another place.
pub(in crate::format) fn remove(
    _source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let Some((node, parent)) = nodes
        .get(id)
        .and_then(|node| Some((node, node.parent.and_then(|parent| nodes.get(parent))?)))
    else {
        return Ok(());
    };
    let siblings = || node.parent.into_iter().flat_map(|id| children(nodes, id));
    let previous = siblings().take_while(|&other| other < id).last();
    let next = siblings().find(|&other| other > id);
    let node_of = |id: Option<NodeId>| id.and_then(|id| nodes.get(id));
    edits.push(Edit::remove(match (node_of(previous), node_of(next)) {
        (Some(previous), _) => Span::new(previous.span.end(), node.span.end()),
        (None, Some(next)) => Span::new(start(node), start(next)),
        (None, None) => Span::new(parent.span.start() + 1, parent.span.end() - 1),
    }));
    Ok(())
}

fn unwritable(place: Span, error: CannotEmit) -> CannotPlace {
    CannotPlace::new(place, error.reason)
}

fn edit(place: Span, written: PlainWriter) -> Edit {
    let mut edit = Edit::remove(place);
    edit.text = written.finish();
    edit
}

/// Where a member or item begins.
fn start(node: &Node) -> usize {
    node.key.map_or(node.span.start(), Span::start)
}

/// The blanks behind the last line break of a gap.
fn indent_of(gap: &str) -> &str {
    gap.rsplit('\n').next().unwrap_or_default()
}

struct Text<'a> {
    source: &'a str,
    nodes: &'a [Node],
}

impl<'a> Text<'a> {
    fn between(&self, from: usize, to: usize) -> &'a str {
        self.source.get(from..to).unwrap_or_default()
    }

    /// Whether there are blanks here, and nothing else.
    fn blank(&self, span: Span) -> bool {
        let text = span.of(self.source);
        !text.is_empty() && text.trim_ascii().is_empty()
    }

    /// The blanks at the beginning of the line that holds byte `at`.
    fn line_indent(&self, at: usize) -> &'a str {
        let before = self.between(0, at);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let text = line.trim_start_matches([' ', '\t']);
        line.get(..line.len() - text.len()).unwrap_or_default()
    }

    /// What stands, or would stand, before an entry of `parent`: behind a comma, else behind the bracket.
    fn gap(&self, parent: NodeId) -> String {
        let Some(container) = self.nodes.get(parent) else {
            return String::new();
        };
        let mut ends = children(self.nodes, parent).filter_map(|id| self.nodes.get(id));
        let Some(first) = ends.next() else {
            return self.gap_of_empty(parent, container);
        };
        let behind_bracket = self.between(container.span.start() + 1, start(first));
        let mut last = first;
        let mut behind_comma = None;
        for node in ends {
            let between = self.between(last.span.end(), start(node));
            behind_comma = between.trim_ascii_start().strip_prefix(',');
            last = node;
        }
        match behind_comma {
            Some(gap) => gap.to_owned(),
            None if behind_bracket.contains('\n') => behind_bracket.to_owned(),
            None => self.blank_behind_comma().to_owned(),
        }
    }

    /// An empty container is filled on lines if its neighbours stand on lines; for the outermost, if it has lines.
    fn gap_of_empty(&self, parent: NodeId, container: &Node) -> String {
        let inside =
            Span::new(container.span.start() + 1, container.span.end() - 1).of(self.source);
        let own_line = container.parent.is_some_and(|outer| {
            let first = self.nodes.get(outer + 1).map_or(0, start);
            let outer = self.nodes.get(outer).map_or(0, |node| node.span.start());
            self.between(outer, first).contains('\n')
        });
        let is_root = parent == 0;
        if inside.contains('\n') || own_line || is_root {
            let indent = self.line_indent(container.span.start());
            return format!("{}{indent}{}", line_break(self.source), self.step());
        }
        inside.to_owned()
    }

    /// One step of indentation: how far the first member of the text stands in.
    fn step(&self) -> &'a str {
        let first = self.nodes.get(1);
        let indent = first.map_or("", |node| self.line_indent(start(node)));
        let own_line = first.is_some_and(|node| self.between(0, start(node)).contains('\n'));
        if own_line && !indent.is_empty() {
            indent
        } else {
            "  "
        }
    }

    /// Between the key and the value of the nearest member: in `near`, around it, or anywhere.
    fn colon(&self, near: NodeId) -> &'a str {
        let colon = |node: &Node| {
            let text = self.between(node.key?.end(), node.span.start());
            (!text.contains('\n') && !text.is_empty()).then_some(text)
        };
        let inside = children(self.nodes, near).filter_map(|id| self.nodes.get(id));
        let mut around = self.nodes.get(near);
        let outwards = std::iter::from_fn(|| {
            let node = around?;
            around = node.parent.and_then(|parent| self.nodes.get(parent));
            Some(node)
        });
        let found = inside.take(1).chain(outwards).find_map(colon);
        found
            .or_else(|| self.nodes.iter().find_map(colon))
            .unwrap_or(": ")
    }

    /// Nothing in a text that is as tight as can be, else one blank.
    fn blank_behind_comma(&self) -> &'static str {
        if self.colon(0) == ":" { "" } else { " " }
    }

    fn style(&self, near: NodeId, on_lines: bool) -> Style<'a> {
        Style {
            colon: self.colon(near),
            blank: self.blank_behind_comma(),
            line_break: line_break(self.source),
            step: on_lines.then(|| self.step()),
            escapes: Escapes::Needed,
        }
    }
}
