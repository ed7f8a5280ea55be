//! Content in place of what stands behind a key or dash of a block.

use zeroize::Zeroizing;

use super::Exchange;
use crate::content::Content;
use crate::edit::Edit;
use crate::format::place::CannotPlace;
use crate::format::yaml::chars::{break_len, byte, is_blank, line_end};
use crate::format::yaml::emit::behind;
use crate::format::yaml::scan::scalars::Header;
use crate::node::{Form, Kind};
use crate::span::Span;
use crate::value::Value;

/// What goes: some of the line of the key, and lines below it. What stands between the two is a comment that stays.
#[derive(Clone, Copy)]
struct Old {
    /// On the line of the key, from its colon or dash.
    head: Span,
    /// From the end of that line to the end of another.
    rest: Span,
}

impl Exchange<'_> {
    pub(super) fn in_block(&self, edits: &mut Vec<Edit>) -> Result<(), CannotPlace> {
        let layout = self.layout;
        let Some(mark) = layout.behind_mark(self.id) else {
            return Err(self.refused("the key has no `:` behind it"));
        };
        let props = self.props();
        let keeps_props = props.len() == self.node.props.len();
        let has_props = !self.node.props.is_empty();
        let from = if keeps_props && has_props {
            self.node.props.end()
        } else {
            mark
        };
        let old = self.old(from)?;
        let text = self.new_text(old)?;
        let is_nested = !matches!(self.content, Content::Scalar(_));
        let behind = layout.next_line(old.rest.end());
        layout.refuse_tab(behind, &text, is_nested)?;
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let head = head.strip_suffix('\r').unwrap_or(head);
        if keeps_props || props.is_empty() {
            edits.push(self.head(old, head, rest.is_empty()));
        } else {
            edits.push(Edit::new(old.head, [" ", props, head].concat()));
        }
        edits.extend(self.comment_gap(old, head, props));
        let newline = self.style().newline;
        let rest = rest.strip_suffix(newline).unwrap_or(rest);
        let newline = if rest.is_empty() { "" } else { newline };
        edits.push(Edit::new(old.rest, [newline, rest].concat()));
        Ok(())
    }

    /// A blank before a comment that stays: in place of blanks with a tab if nothing else is left on the line, since no reader
    /// takes a tab directly behind a dash; and where the comment stood directly behind the header of a block.
    fn comment_gap(&self, old: Old, head: &str, props: &str) -> Option<Edit> {
        let kept = self.layout.between(old.head.end(), old.rest.start());
        let blanks = kept.len() - kept.trim_start_matches([' ', '\t']).len();
        let gap = Span::new(old.head.end(), old.head.end() + blanks);
        let is_bare = head.is_empty() && props.is_empty() && blanks < kept.len();
        let has_tab = is_bare && gap.of(self.layout.source).contains('\t');
        // Behind anything but a header, `touches_comment` finds it.
        let is_header = matches!(self.node.form, Form::Literal | Form::Folded);
        let touches = is_header && kept.starts_with('#');
        (has_tab || touches).then(|| Edit::new(gap, " "))
    }

    /// The edit on the line of the key; blanks that align a value on one line stay.
    fn head(&self, old: Old, head: &str, is_flat: bool) -> Edit {
        let start = self.node.span.start();
        let blanks = self.layout.between(old.head.start(), start);
        let is_blank = !blanks.is_empty() && blanks.trim_matches([' ', '\t']).is_empty();
        let bare = head.trim_start_matches(' ');
        if is_blank && is_flat && start <= old.head.end() && bare != head {
            return Edit::new(Span::new(start, old.head.end()), bare);
        }
        Edit::new(old.head, head)
    }

    /// What stands behind byte `from`, which is behind the mark, anchor and tag.
    fn old(&self, from: usize) -> Result<Old, CannotPlace> {
        let (layout, node) = (self.layout, self.node);
        let bytes = layout.source.as_bytes();
        let old = |to: usize, end: usize| {
            let line = line_end(bytes, to);
            Old {
                head: Span::new(from, to),
                rest: Span::new(line, end.max(line)),
            }
        };
        if node.is_container() && !node.flow {
            let behind = layout.lines_end(self.id);
            let end = behind - layout.break_before(behind);
            let is_beside = |at: usize| layout.line_start(at) <= from;
            let to = if is_beside(node.span.start()) {
                end
            } else if is_beside(node.props.end()) {
                node.props.end().max(from)
            } else {
                from
            };
            return Ok(old(to, end));
        }
        self.refuse_comment(from)?;
        let header = matches!(node.form, Form::Literal | Form::Folded)
            .then(|| Header::parse(bytes, node.span.start() + 1))
            .flatten();
        let Some(header) = header else {
            return Ok(old(node.span.end().max(from), 0));
        };
        let behind = layout.line_behind(node.span.end());
        Ok(old(header.end, behind - layout.break_before(behind)))
    }

    fn refuse_comment(&self, from: usize) -> Result<(), CannotPlace> {
        if self.layout.has_comment(from, self.node.span.start()) {
            return Err(self.refused("a comment stands between the key and its value"));
        }
        Ok(())
    }

    /// What stands behind the mark from then on: the rest of its line, and more lines.
    fn new_text(&self, old: Old) -> Result<Zeroizing<String>, CannotPlace> {
        let is_filled = |content: &Content<'_>| {
            content.items().next().is_some() || content.entries().next().is_some()
        };
        if self.node.flow && self.layout.items(self.id).next().is_some() && is_filled(self.content)
        {
            let text = self.flow_text()?;
            return Ok(Zeroizing::new([" ", text.as_str()].concat()));
        }
        let mut style = self.style();
        let is_item = self.parent.kind == Kind::Sequence;
        let kept = self.layout.between(old.head.end(), old.rest.start());
        let begins_here = is_item && kept.trim_ascii().is_empty() && self.props().is_empty();
        if is_item {
            (style.step, style.dashes) = (2, 2);
        }
        style.literals = self.has_room_for_literals(old);
        let column = self.layout.column(self.layout.start(self.id));
        behind(begins_here, self.content, column, &style).map_err(|error| self.unwritable(error))
    }

    /// Whether text at the end of the content can be a block: what follows must not become part of it.
    fn has_room_for_literals(&self, old: Old) -> bool {
        let bytes = self.layout.source.as_bytes();
        let last = last_text(self.content);
        let end = old.rest.end();
        let next = end + break_len(bytes, end);
        let mut at = next;
        while is_blank(bytes, at) {
            at += 1;
        }
        if next == end {
            return !last.ends_with('\n');
        }
        if self.layout.lines_end(self.id) > next {
            return !last.contains('\n');
        }
        let is_empty_line = break_len(bytes, at) > 0 || at > next && byte(bytes, at) == 0;
        // Blanks alone can be as far in as a block's text, and are then part of it.
        let is_text = at > next && last.contains('\n');
        !(is_empty_line && (is_text || last.ends_with("\n\n")))
    }
}

/// The text that a content ends with, if it ends with text.
fn last_text<'c>(content: &'c Content<'_>) -> &'c str {
    let mut content = content;
    loop {
        let last = match content {
            Content::Scalar(Value::Str(text)) => return text.expose(),
            Content::Scalar(_) => None,
            Content::List(_) => content.items().last(),
            Content::Map(_) => content.entries().last().map(|entry| &entry.content),
        };
        match last {
            Some(last) => content = last,
            None => return "",
        }
    }
}
