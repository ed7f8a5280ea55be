//! New entries and items between brackets, with their commas.

use zeroize::Zeroizing;

use super::{Insertion, edit};
use crate::edit::Edit;
use crate::format::place::CannotPlace;
use crate::format::yaml::chars::{is_blank, line_end};
use crate::format::yaml::emit::{flow, flow_key};
use crate::node::NodeId;
use crate::secret::PlainWriter;
use crate::span::Span;

impl Insertion<'_> {
    /// Adds the edits for a collection in brackets.
    pub(super) fn between_brackets(
        &self,
        before: Option<NodeId>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotPlace> {
        if !matches!(self.byte(self.container.span.start()), b'{' | b'[') {
            let message = "a pair in a list has no room for another key";
            return Err(CannotPlace::new(self.container.span, message)
                .with_hint("put the pair in braces first"));
        }
        let text = self.spelled()?;
        match (before, self.layout.items(self.id).last()) {
            (Some(item), _) => edits.push(self.before(item, &text)),
            (None, Some(last)) => self.behind(last, &text, edits)?,
            (None, None) => edits.push(self.alone(&text)),
        }
        Ok(())
    }

    /// The entry or item on one line.
    fn spelled(&self) -> Result<Zeroizing<String>, CannotPlace> {
        let style = self.layout.style(self.id);
        let mut text = PlainWriter::default();
        if let Some(key) = self.key {
            text.push_str(&flow_key(key, self.content, style.keys));
        }
        text.push_str(&flow(self.content, style.values).map_err(|error| self.no(error))?);
        Ok(text.finish())
    }

    fn before(&self, item: NodeId, text: &str) -> Edit {
        let at = self.layout.lead(item);
        let mut written = PlainWriter::default();
        written.push_str(text);
        written.push_str(",");
        match self.indent(self.layout.start(item)) {
            Some(indent) => {
                written.push_str(self.layout.style(self.id).newline);
                written.push_str(indent);
            }
            None => written.push_str(" "),
        }
        edit(at, written)
    }

    /// Behind the last entry, and behind the comment beside it if it has a line of its own.
    fn behind(&self, last: NodeId, text: &str, edits: &mut Vec<Edit>) -> Result<(), CannotPlace> {
        let (end, comma) = self.end(last);
        if self.byte(end) == b'#' {
            let message = "a comment stands directly behind what comes before it";
            return Err(CannotPlace::new(Span::at(end), message)
                .with_hint("put a blank before the `#` first"));
        }
        let mut written = PlainWriter::default();
        let Some(indent) = self.indent(self.layout.start(last)) else {
            written.push_str(comma);
            written.push_str(" ");
            written.push_str(text);
            edits.push(edit(end, written));
            return Ok(());
        };
        let bytes = self.layout.source.as_bytes();
        let mut at = end;
        while is_blank(bytes, at) {
            at += 1;
        }
        let has_comma = self.byte(at) == b',';
        let line = line_end(bytes, at);
        let close = self.container.span.end() - 1;
        // Where the bracket stands on this line, there is no room for a comment, so none is there.
        let at = if line > close { end } else { line };
        let ends_with_comma = has_comma && at == line;
        if !ends_with_comma {
            edits.push(Edit::new(Span::at(end), comma));
        }
        written.push_str(self.layout.style(self.id).newline);
        written.push_str(indent);
        written.push_str(text);
        if ends_with_comma {
            written.push_str(",");
        }
        edits.push(edit(at, written));
        Ok(())
    }

    /// The byte behind an entry, and the comma to put there. A `:` without a value needs a blank between the two; there are
    /// two if there was none, so that taking the new entry out again can tell.
    fn end(&self, id: NodeId) -> (usize, &'static str) {
        let is_empty = self.layout.is_empty(id);
        let mark = self.layout.behind_mark(id).filter(|_| is_empty);
        let bytes = self.layout.source.as_bytes();
        match mark {
            Some(mark) if is_blank(bytes, mark) => (mark + 1, ","),
            Some(mark) => (mark, "  ,"),
            None if self.layout.ends_with_mark(id) => (self.layout.end(id), " ,"),
            None => (self.layout.end(id), ","),
        }
    }

    /// Between brackets that hold nothing but blanks and comments.
    fn alone(&self, text: &str) -> Edit {
        let open = self.container.span.start() + 1;
        let inside = Span::new(open, self.container.span.end() - 1);
        let mut written = PlainWriter::default();
        let blanks = inside.of(self.layout.source);
        if self.layout.is_white(inside) && blanks.contains('\n') {
            let style = self.layout.style(self.id);
            let line = self.layout.line_start(open);
            let outer = self.layout.source.get(line..open).unwrap_or_default();
            written.push_str(style.newline);
            written.repeat(" ", outer.len() - outer.trim_start_matches(' ').len());
            written.repeat(" ", style.step);
        } else if self.layout.is_white(inside) {
            written.push_str(blanks);
        }
        written.push_str(text);
        // Without a blank before it, a `#` is part of a text.
        if self.byte(open) == b'#' {
            written.push_str(" ");
        }
        edit(open, written)
    }

    /// What stands before byte `at` on its line, if that are blanks.
    fn indent(&self, at: usize) -> Option<&str> {
        let line = self.layout.line_start(at);
        let indent = self.layout.source.get(line..at)?;
        indent
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'\t'))
            .then_some(indent)
    }
}
