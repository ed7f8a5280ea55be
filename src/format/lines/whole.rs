//! Whole lines put into a text and taken out of it, with the comments that are theirs.
//!
//! Knows nothing of what is written on a line.

use std::collections::HashMap;

use super::next_line;
use crate::edit::Edit;
use crate::node::{Kind, Node};
use crate::span::Span;

/// The byte at which the line that holds byte `at` begins.
pub(in crate::format) fn line_start(source: &str, at: usize) -> usize {
    let before = source.as_bytes().get(..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1)
}

/// The comments that stand alone on their lines, by the byte behind them, each with the byte at which it begins.
pub(in crate::format) struct CommentLines(HashMap<usize, usize>);

impl CommentLines {
    /// Those of `nodes`. Costs as much as all of them are long.
    pub(in crate::format) fn new(source: &str, nodes: &[Node]) -> Self {
        let comments = nodes.iter().filter(|node| node.kind == Kind::Comment);
        let lines = comments.filter_map(|node| {
            let line = line_start(source, node.span.start());
            let before = source.get(line..node.span.start())?;
            let blanks = before.trim_start_matches('\u{feff}');
            let start = node.span.start() - blanks.len();
            let is_alone = blanks.trim().is_empty();
            is_alone.then(|| (next_line(source, node.span.end()), start))
        });
        Self(lines.collect())
    }

    /// The lines `own`, and the comments that stand directly above them.
    pub(in crate::format) fn with_above(&self, own: Span) -> Span {
        let mut start = own.start();
        while let Some(&comment) = self.0.get(&start).filter(|&&comment| comment < start) {
            start = comment;
        }
        Span::new(start, own.end())
    }
}

/// The lines `own`, and the comments of `nodes` that stand directly above them. For more than one place there is
/// [`CommentLines`].
pub(in crate::format) fn with_comments_above(source: &str, nodes: &[Node], own: Span) -> Span {
    CommentLines::new(source, nodes).with_above(own)
}

/// The edit that takes out whole lines. If they are the last and have no line break, the `line_break` before them goes too.
pub(in crate::format) fn remove_lines(source: &str, line_break: &str, lines: Span) -> Edit {
    let before = source.get(..lines.start()).unwrap_or_default();
    let is_end = lines.end() == source.len() && !source.ends_with('\n');
    let shorter = before
        .strip_suffix(line_break)
        .or_else(|| before.strip_suffix('\n'))
        .filter(|_| is_end)
        .map(str::len);
    Edit::remove(Span::new(shorter.unwrap_or(lines.start()), lines.end()))
}

/// The edit that puts `pieces` of a text, which are whole lines but for the last line break, at byte `at`, where a line
/// begins or the text ends. A missing last line break stays missing.
pub(in crate::format) fn insert_lines(
    source: &str,
    at: usize,
    line_break: &str,
    pieces: &[&str],
) -> Edit {
    let before = source.get(..at).unwrap_or_default();
    let is_behind_unended = !matches!(before, "" | "\u{feff}") && !before.ends_with('\n');
    let (first, last) = if is_behind_unended {
        (line_break, "")
    } else {
        ("", line_break)
    };
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut edit = Edit::new(
        Span::at(at),
        String::with_capacity(length + line_break.len()),
    );
    edit.text.push_str(first);
    for piece in pieces {
        edit.text.push_str(piece);
    }
    edit.text.push_str(last);
    edit
}
