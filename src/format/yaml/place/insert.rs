//! New entries and items of a YAML text: on lines of their own in blocks, on the same line in brackets.
//!
//! Knows where a new entry goes so that no comment changes its owner and no block of text its value. What it looks like is
//! said by its neighbours, and written by `emit`.

use std::borrow::Cow;

use super::super::chars::{bom_len, byte, line_end};
use super::super::emit::{behind, entry};
use super::super::merge::is_merge_key;
use super::super::metadata::document_end;
use super::super::scan::scalars::{Chomp, Header};
use super::layout::Layout;
use crate::content::{Content, Entry, Part};
use crate::edit::Edit;
use crate::format::emit::CannotEmit;
use crate::format::place::CannotPlace;
use crate::node::{Form, Kind, Node, NodeId};
use crate::secret::PlainWriter;
use crate::span::Span;
use crate::value::Value;

mod flow;

/// A new entry or item of a container.
pub(super) struct Insertion<'a> {
    layout: Layout<'a>,
    id: NodeId,
    container: &'a Node,
    key: Option<&'a str>,
    content: &'a Content<'a>,
}

impl<'a> Insertion<'a> {
    /// # Errors
    /// [`CannotPlace`] if an alias stands for the container or for something around it.
    pub(super) fn new(
        layout: Layout<'a>,
        id: NodeId,
        key: Option<&'a str>,
        content: &'a Content<'a>,
    ) -> Result<Self, CannotPlace> {
        let container = layout
            .node(id)
            .ok_or_else(|| CannotPlace::new(Span::at(0), "there is no such list or mapping"))?;
        if let Some(line) = layout.alias_of(id) {
            let message = format!("line {line} is an alias of what this belongs to");
            return Err(CannotPlace::new(container.span, message)
                .with_hint("write the content out in place of the alias first"));
        }
        let is_merged =
            container.kind == Kind::Sequence && is_merge_key(layout.source, container.key);
        if is_merged && !matches!(content, Content::Map(_)) {
            let message = "`<<` merges a mapping or a list of mappings only";
            return Err(CannotPlace::new(container.span, message).with_hint("use `sops-rs edit`"));
        }
        Ok(Self {
            layout,
            id,
            container,
            key,
            content,
        })
    }

    /// Adds the edits; the place is before that item, else the end.
    ///
    /// # Errors
    /// [`CannotPlace`] for a key that is in its mapping twice, and where there is no room.
    pub(super) fn make(
        &self,
        before: Option<NodeId>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotPlace> {
        let is_filled = self.layout.items(self.id).next().is_some();
        if self.container.span.is_empty() && self.container.parent.is_none() {
            edits.push(self.first_of_document()?);
        } else if self.container.flow {
            if is_filled || !self.as_block(edits)? {
                self.between_brackets(before, edits)?;
            }
        } else {
            edits.push(match before {
                Some(item) => self.above(item)?,
                None => self.at_end()?,
            });
        }
        Ok(())
    }

    /// Before an item: its line goes above that item and its comments, or takes its place on the line of another dash.
    fn above(&self, item: NodeId) -> Result<Edit, CannotPlace> {
        let at = self.layout.lead(item);
        let column = self.column(item)?;
        let style = self.layout.style(self.id);
        let text = entry(self.key, self.content, column, &style).map_err(|error| self.no(error))?;
        let mut written = PlainWriter::default();
        written.push_str(&text);
        written.repeat(" ", column);
        Ok(edit(at, written))
    }

    /// Behind the lines of the last entry.
    fn at_end(&self) -> Result<Edit, CannotPlace> {
        let last = self.layout.items(self.id).last().unwrap_or(self.id);
        let column = self.column(last)?;
        let at = self.layout.lines_end(last);
        if self.is_open_block(at) {
            let message = "the text ends with a block that has no line break at its end";
            return Err(CannotPlace::new(self.container.span, message)
                .with_hint("end the last line of the file with a line break"));
        }
        self.lines(at, column, "")
    }

    /// A document that holds nothing yet. An empty line keeps its comments from being those of the entry.
    fn first_of_document(&self) -> Result<Edit, CannotPlace> {
        let source = self.layout.source;
        let at = document_end(source, self.container);
        let above = source
            .get(..at)
            .unwrap_or_default()
            .trim_end_matches(['\r', '\n']);
        let line = self.layout.line_start(above.len());
        let is_comment = above
            .get(line..)
            .is_some_and(|line| line.trim_start().starts_with('#'));
        let is_close = source
            .get(above.len()..at)
            .is_some_and(|gap| gap.matches('\n').count() < 2);
        let blank = if is_comment && is_close {
            self.layout.style(self.id).newline
        } else {
            ""
        };
        self.lines(at, 0, blank)
    }

    /// Whole lines at byte `at`, where a line begins or the text ends. A missing last line break stays missing.
    fn lines(&self, at: usize, column: usize, blank: &str) -> Result<Edit, CannotPlace> {
        let is_open =
            at > bom_len(self.layout.source.as_bytes()) && self.layout.line_start(at) != at;
        let mut style = self.layout.style(self.id);
        style.literals = !is_open && self.literals_fit(at);
        let text = entry(self.key, self.content, column, &style).map_err(|error| self.no(error))?;
        let is_nested = !matches!(self.content, Content::Scalar(_));
        self.layout.refuse_tab(at, &text, is_nested)?;
        let mut written = PlainWriter::default();
        if is_open {
            written.push_str(style.newline);
        }
        written.push_str(blank);
        written.repeat(" ", column);
        if is_open {
            written.push_str(text.strip_suffix(style.newline).unwrap_or(&text));
        } else {
            written.push_str(&text);
        }
        Ok(edit(at, written))
    }

    /// Fills `{}` or `[]` among blocks with a block; whether that is possible.
    fn as_block(&self, edits: &mut Vec<Edit>) -> Result<bool, CannotPlace> {
        let (source, span) = (self.layout.source, self.container.span);
        let bytes = source.as_bytes();
        let line = line_end(bytes, span.end());
        let rest = source.get(span.end()..line).unwrap_or_default();
        let touches = !rest.is_empty() && !rest.starts_with([' ', '\t']);
        if span.len() != 2 || touches || !self.container.props.is_empty() {
            return Ok(false);
        }
        let Some(parent) = self.container.parent.and_then(|id| self.layout.node(id)) else {
            let is_alone = rest.is_empty() && self.layout.begins_line(span.start());
            if is_alone {
                let column = self.layout.column(span.start());
                let text = self.lines(span.end(), column, "")?.text;
                let mut edit = Edit::remove(span);
                let lead = text.len() - text.trim_start_matches(['\r', '\n', ' ']).len();
                edit.text =
                    zeroize::Zeroizing::new(text.get(lead..).unwrap_or_default().to_owned());
                edits.push(edit);
            }
            return Ok(is_alone);
        };
        let Some(key) = self.container.key.filter(|_| !parent.flow) else {
            return Ok(false);
        };
        let is_item = parent.kind == Kind::Sequence;
        let mark = Span::new(key.end(), span.start()).of(source);
        let is_usual = mark == if is_item { " " } else { ": " };
        let column = self.layout.column(self.layout.start(self.id));
        let is_beside = column == self.layout.column(key.start());
        if !is_usual || !is_beside || is_item && !rest.is_empty() {
            return Ok(false);
        }
        let mut style = self.layout.style(self.container.parent.unwrap_or_default());
        style.literals = line < bytes.len() && self.literals_fit(self.layout.next_line(line));
        let filled = self.filled();
        let text = behind(is_item, &filled, column, &style).map_err(|error| self.no(error))?;
        let text = text.strip_suffix(style.newline).unwrap_or(&text);
        edits.push(Edit::remove(Span::new(span.start() - 1, span.end())));
        edits.push(Edit::new(Span::at(line), text));
        Ok(true)
    }

    /// The container with the new entry alone.
    fn filled(&self) -> Content<'a> {
        let content = self.content.clone();
        match self.key {
            Some(key) => Content::Map(vec![Part::Item(Entry {
                key: Cow::Borrowed(key),
                content,
            })]),
            None => Content::List(vec![Part::Item(content)]),
        }
    }

    /// The column of the entries, of which `child` is one.
    fn column(&self, child: NodeId) -> Result<usize, CannotPlace> {
        let column = self.layout.column(self.container.span.start());
        if self.layout.column(self.layout.start(child)) == column {
            return Ok(column);
        }
        let message = "a key with its `?` on another line";
        Err(CannotPlace::new(self.container.span, message)
            .with_hint("write the key and its `:` on one line"))
    }

    /// Whether a block of text that ends the file at `at` would get a line break that it has not.
    fn is_open_block(&self, at: usize) -> bool {
        let bytes = self.layout.source.as_bytes();
        let is_last = at == bytes.len() && self.layout.line_start(at) != at;
        let keeps_break = |node: &Node| {
            matches!(node.form, Form::Literal | Form::Folded)
                && node.span.end() == at
                && Header::parse(bytes, node.span.start() + 1)
                    .is_none_or(|header| header.chomp != Chomp::Strip)
        };
        let is_key = |node: &Node| {
            node.key.is_some_and(|key| {
                key.end() == at && key.of(self.layout.source).contains(['|', '>'])
            })
        };
        let mut nodes = self.layout.nodes.iter();
        is_last && nodes.any(|node| keeps_break(node) || is_key(node))
    }

    /// Whether a block of text that ends at `at` stays as it is: the empty lines there would be its own.
    fn literals_fit(&self, at: usize) -> bool {
        let bytes = self.layout.source.as_bytes();
        let mut next = at;
        while next < bytes.len() {
            let end = line_end(bytes, next);
            if !self.layout.is_white(Span::new(next, end)) {
                break;
            }
            if end > next || keeps_breaks(self.content) {
                return false;
            }
            next = self.layout.next_line(next);
        }
        true
    }

    fn no(&self, error: CannotEmit) -> CannotPlace {
        CannotPlace::new(self.container.span, error.reason)
    }

    fn byte(&self, at: usize) -> u8 {
        byte(self.layout.source.as_bytes(), at)
    }
}

/// Whether content that is written as a block ends with a text that keeps all line breaks behind it.
fn keeps_breaks(content: &Content<'_>) -> bool {
    match content {
        Content::Scalar(Value::Str(text)) => text.expose().ends_with("\n\n"),
        Content::Scalar(_) => false,
        Content::List(_) => content.items().last().is_some_and(keeps_breaks),
        Content::Map(_) => {
            let last = content.entries().last();
            last.is_some_and(|entry| keeps_breaks(&entry.content))
        }
    }
}

fn edit(at: usize, text: PlainWriter) -> Edit {
    let mut edit = Edit::remove(Span::at(at));
    edit.text = text.finish();
    edit
}
