//! Blocks of text (`|`, `>`): a token as the only line of one, and a text as its lines, or as those of a new one.
//!
//! Says `None` where a text cannot be a block that reads back as this text. Knows nothing of what is written then, nor of types.

use std::borrow::Cow;

use super::{edit, newline};
use crate::edit::Edit;
use crate::format::yaml::chars::{break_len, byte, is_blank, line_end, line_start};
use crate::format::yaml::quote::{block_lines, can_be_block, needs_indicator, unfold};
use crate::format::yaml::scalar::{content_indent, decode, parent_indent};
use crate::format::yaml::scan::scalars::{Chomp, Header};
use crate::node::{Form, Node};
use crate::secret::{Plain, PlainWriter, wipe};
use crate::span::Span;

/// The token as the only line of a block. No line breaks may follow it, so `+` becomes `-`.
pub(super) fn token(source: &str, node: &Node, token: &str, edits: &mut Vec<Edit>) {
    let Some(block) = Block::of(source, node) else {
        edits.push(Edit::new(node.inner, token));
        return;
    };
    // The empty text has no line.
    let columns = if token.is_empty() { 0 } else { block.indent };
    let indent = " ".repeat(columns);
    let text_end = content_end(source, node.inner);
    if block.header.chomp != Chomp::Keep {
        let text = Span::new(node.inner.start(), text_end);
        edits.push(Edit::new(text, format!("{indent}{token}")));
        return;
    }
    let header = Span::new(node.span.start(), block.header.end);
    edits.push(Edit::new(header, header.of(source).replace('+', "-")));
    // Of the line breaks that go, the last one stays: it is the one that opening leaves alone.
    let broken = last_break(source, text_end, node.inner.end());
    edits.push(Edit::new(node.inner, format!("{indent}{token}{broken}")));
}

/// The last line break between two places.
fn last_break(source: &str, from: usize, to: usize) -> &str {
    let (mut at, mut last) = (from, "");
    while at < to {
        let len = break_len(source.as_bytes(), at);
        if len > 0 {
            last = source.get(at..at + len).unwrap_or_default();
        }
        at += len.max(1);
    }
    last
}

/// Where the last line of a block's content ends, before the line breaks that `+` keeps.
fn content_end(source: &str, inner: Span) -> usize {
    let bytes = source.as_bytes();
    let (mut at, mut end) = (inner.start(), inner.start());
    while at < inner.end() {
        let line = line_end(bytes, at).min(inner.end());
        let blank = bytes
            .get(at..line)
            .is_some_and(|line| line.iter().all(|&byte| byte == b' '));
        if !blank || end == inner.start() && line < inner.end() {
            end = line;
        }
        at = line + break_len(bytes, line).max(1);
    }
    end
}

/// A block scalar's header and indentation.
struct Block {
    header: Header,
    parent: usize,
    indent: usize,
}

impl Block {
    fn of(source: &str, node: &Node) -> Option<Self> {
        let header = Header::parse(source.as_bytes(), node.span.start() + 1)?;
        let parent = parent_indent(source, node.span, node.key);
        let found = content_indent(source, header, node.span, node.inner, node.key);
        let all_blank = node
            .inner
            .of(source)
            .chars()
            .all(|c| matches!(c, ' ' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'));
        let indent = if header.indent == 0 && all_blank {
            parent + 2
        } else {
            found
        };
        Some(Self {
            header,
            parent,
            indent,
        })
    }
}

/// Writes into the block that is there; `None`, and no edit, if the text cannot be a block.
pub(super) fn text(
    source: &str,
    node: &Node,
    text: &str,
    ends_text: bool,
    edits: &mut Vec<Edit>,
) -> Option<()> {
    let block = Block::of(source, node)?;
    let folded = node.form == Form::Folded;
    let lines = if folded {
        Plain::Owned(unfold(text))
    } else {
        Plain::Borrowed(text)
    };
    let header = Span::new(node.span.start(), block.header.end);
    let place = Place {
        start: node.inner.start(),
        end: node.inner.end(),
        parent: block.parent,
        indent: block.indent,
        explicit: block.header.indent > 0,
        sign_first: matches!(byte(source.as_bytes(), node.span.start() + 1), b'+' | b'-'),
        chomp: Some(block.header.chomp),
        ends_text,
    };
    let mark = if folded { '>' } else { '|' };
    let lines = lines.expose();
    let written = (!folded || folds_to(lines, text))
        .then(|| place.write(source, mark, lines))
        .flatten()
        .or_else(|| place.write(source, '|', text))?;
    let mut lines = PlainWriter::default();
    written.lines(&mut lines);
    if written.header != header.of(source) {
        edits.push(Edit::new(header, written.header));
    }
    edits.push(edit(node.inner, lines.finish()));
    Some(())
}

/// How far SOPS moves the lines of a block in below the key.
pub(super) const STEP: usize = 4;

/// Writes a literal block where a plain scalar was, its lines so many columns behind their key, or two behind their dash.
pub(in crate::format::yaml) fn new(
    source: &str,
    node: &Node,
    text: &str,
    step: usize,
    ends_text: bool,
) -> Option<Edit> {
    let bytes = source.as_bytes();
    if !text.contains('\n') || line_end(bytes, node.span.end()) != node.span.end() {
        return None;
    }
    let key = node.key?;
    let dash = key.of(source) == "-" && is_blank(bytes, key.end());
    let parent = parent_indent(source, node.span, node.key);
    let place = Place {
        start: node.span.end(),
        end: node.span.end(),
        parent,
        indent: parent + if dash { 2 } else { step },
        explicit: false,
        sign_first: false,
        chomp: None,
        ends_text,
    };
    let written = place.write(source, '|', text)?;
    let mut text = PlainWriter::default();
    text.push_str(&written.header);
    text.push_str(written.newline);
    written.lines(&mut text);
    Some(edit(node.span, text.finish()))
}

/// Where a block is written.
struct Place {
    /// What its lines replace.
    start: usize,
    end: usize,
    parent: usize,
    indent: usize,
    /// Whether the header says the indentation already.
    explicit: bool,
    /// Whether the header says how the text ends before it says the indentation.
    sign_first: bool,
    chomp: Option<Chomp>,
    ends_text: bool,
}

/// A block as it is to be written: its header stands before a line break, or a comment and that.
struct Written<'t> {
    header: String,
    /// The text without the line breaks at its end.
    content: &'t str,
    indent: usize,
    newline: &'static str,
    /// How many line breaks stand behind the last line.
    ends: usize,
}

impl Written<'_> {
    fn lines(&self, text: &mut PlainWriter) {
        block_lines(self.content, self.indent, self.newline, self.ends, text);
    }
}

impl Place {
    /// The block with this mark and these lines; `None` if it could not be read back.
    fn write<'t>(&self, source: &str, mark: char, text: &'t str) -> Option<Written<'t>> {
        let bytes = source.as_bytes();
        let content = text.trim_end_matches('\n');
        let breaks = text.len() - content.len();
        let chomp = self.chomp(breaks, content.is_empty());
        // A comment behind could be taken for the first line.
        let lineless = content.is_empty() && self.comment_behind(bytes);
        let indicator = if self.explicit || lineless || needs_indicator(text) {
            let columns = self.indent.checked_sub(self.parent)?;
            if !(1..=9).contains(&columns) {
                return None;
            }
            columns.to_string()
        } else {
            String::new()
        };
        let blank_behind = chomp == Chomp::Keep && self.blank_line_behind(bytes);
        // A line feed behind a lone carriage return would be one line break with it.
        let after_return = byte(bytes, self.start.saturating_sub(1)) == b'\r';
        if !can_be_block(text) || blank_behind || after_return || self.ends_text && breaks > 0 {
            return None;
        }
        let sign = match chomp {
            Chomp::Clip => "",
            Chomp::Strip => "-",
            Chomp::Keep => "+",
        };
        // The line break behind the block, if it is not replaced too, ends its last line.
        let replaced_break = line_start(bytes, self.end) == self.end;
        let needed = match chomp {
            Chomp::Keep => breaks,
            _ if replaced_break || break_len(bytes, self.end) > 0 => 1,
            Chomp::Clip | Chomp::Strip => breaks,
        };
        let header = if self.sign_first {
            format!("{mark}{sign}{indicator}")
        } else {
            format!("{mark}{indicator}{sign}")
        };
        Some(Written {
            header,
            content,
            indent: self.indent,
            newline: self.newline(source),
            ends: needed.saturating_sub(usize::from(break_len(bytes, self.end) > 0)),
        })
    }

    /// The line break of the header and of the last line, if they are the same, else that of the text.
    fn newline(&self, source: &str) -> &'static str {
        let (before, behind) = source.split_at_checked(self.end).unwrap_or((source, ""));
        let header = break_at_end(source.get(..self.start).unwrap_or_default());
        let line = behind.split_inclusive('\n').next().unwrap_or_default();
        // What stands behind the end of a sealed text goes with the metadata.
        let last = break_at_end(before)
            .or(break_at_end(line))
            .filter(|_| !self.ends_text);
        match (header, last) {
            (Some(header), Some(last)) if header != last => newline(source),
            (header, last) => header.or(last).unwrap_or_else(|| newline(source)),
        }
    }

    /// The chomping that gives this number of line breaks at the end.
    fn chomp(&self, breaks: usize, empty: bool) -> Chomp {
        match (breaks, self.chomp) {
            (0, Some(Chomp::Clip)) if self.ends_text => Chomp::Clip,
            (0, _) => Chomp::Strip,
            (1, Some(Chomp::Clip) | None) if !empty => Chomp::Clip,
            _ => Chomp::Keep,
        }
    }

    /// Whether an indented comment is the line that follows.
    fn comment_behind(&self, bytes: &[u8]) -> bool {
        let start = self.end + break_len(bytes, self.end);
        let mut at = start;
        while byte(bytes, at) == b' ' {
            at += 1;
        }
        at > start && byte(bytes, at) == b'#'
    }

    /// Whether an empty line follows, which `+` would make part of the value.
    fn blank_line_behind(&self, bytes: &[u8]) -> bool {
        let mut at = self.end + break_len(bytes, self.end);
        while byte(bytes, at) == b' ' {
            at += 1;
        }
        break_len(bytes, at) > 0
    }
}

/// Whether a folded block with these lines is read as `text`.
fn folds_to(lines: &str, text: &str) -> bool {
    let header = ">1+\n";
    let mut block = PlainWriter::default();
    block.push_str(header);
    block_lines(lines, 1, "\n", 0, &mut block);
    let block = block.finish();
    let (span, inner) = (
        Span::new(0, block.len()),
        Span::new(header.len(), block.len()),
    );
    let read = decode(&block, Form::Folded, span, inner, None);
    let is_same = read == text;
    if let Cow::Owned(read) = read {
        wipe(read);
    }
    is_same
}

/// How many columns the lines of a block stand behind its parent.
pub(in crate::format::yaml) fn step(source: &str, node: &Node) -> Option<usize> {
    let block = Block::of(source, node)?;
    block.indent.checked_sub(block.parent)
}

/// The line break that a text ends with.
fn break_at_end(text: &str) -> Option<&'static str> {
    match text {
        text if text.ends_with("\r\n") => Some("\r\n"),
        text if text.ends_with('\n') => Some("\n"),
        _ => None,
    }
}
