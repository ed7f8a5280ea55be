//! One INI value: where it ends, how it is quoted, and how a text is spelled so that it reads back equal (spec 7.6).
//!
//! Knows nothing of keys and sections. What is written is read again with the same code before it is believed.

use zeroize::Zeroizing;

use crate::format::lines::next_line;
use crate::node::{Form, Kind, Node, ScanError};
use crate::span::Span;

/// What stands behind a delimiter.
pub(super) struct Reading {
    pub(super) form: Form,
    pub(super) span: Span,
    pub(super) inner: Span,
    /// From the mark of a comment behind the value to the end of its line, outer blanks not included.
    pub(super) comment: Option<Span>,
    /// The line that is read next.
    pub(super) next: usize,
}

/// Reads the value that begins at or behind byte `at`, which is behind a key's delimiter.
///
/// # Errors
/// [`ScanError`] if a quoted value has no end.
pub(super) fn read(source: &str, at: usize) -> Result<Reading, ScanError> {
    let next = next_line(source, at);
    let line = source.get(at..next).unwrap_or_default();
    let content = line.trim_start();
    let start = at + line.len() - content.len();
    if content.is_empty() {
        // The token of a value that comes later goes behind one blank, if there is one.
        let blank = usize::from(line.starts_with([' ', '\t']));
        return Ok(plain(Span::at(at + blank), None, next));
    }
    if content.starts_with("\"\"\"") {
        return quoted(source, start, "\"\"\"", Form::Triple);
    }
    if content.starts_with('`') {
        return quoted(source, start, "`", Form::Backtick);
    }
    let content = content.trim_end();
    if content.ends_with('\\') {
        return Ok(continued(source, start, next));
    }
    let Some(mark) = content.find(['#', ';']) else {
        return Ok(unquoted(content, start, None, next));
    };
    let comment = Span::new(start + mark, start + content.len());
    let before = content.get(..mark).unwrap_or_default().trim_end();
    Ok(unquoted(before, start, Some(comment), next))
}

fn plain(span: Span, comment: Option<Span>, next: usize) -> Reading {
    Reading {
        form: Form::Plain,
        span,
        inner: span,
        comment,
        next,
    }
}

/// A value on one line: one pair of quotes around it goes if that quote occurs nowhere else.
fn unquoted(text: &str, start: usize, comment: Option<Span>, next: usize) -> Reading {
    let mut reading = plain(Span::new(start, start + text.len()), comment, next);
    for (quote, form) in [('\'', Form::Single), ('"', Form::Double)] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if inner.is_some_and(|inner| !inner.contains(quote)) {
            reading.form = form;
            reading.inner = Span::new(start + 1, start + text.len() - 1);
        }
    }
    reading
}

/// A value between `quote`s: up to the last one on its line, or else up to the last one on the first later line that
/// has one and does not end in a backslash behind it.
fn quoted(source: &str, start: usize, quote: &str, form: Form) -> Result<Reading, ScanError> {
    let inside = start + quote.len();
    let mut at = inside;
    while at < source.len() {
        let next = next_line(source, at);
        let line = source.get(at..next).unwrap_or_default();
        if let Some(position) = line.rfind(quote) {
            let behind = line.get(position + quote.len()..).unwrap_or_default();
            if at == inside || !behind.trim().ends_with('\\') {
                let close = at + position;
                let end = close + quote.len();
                return Ok(Reading {
                    form,
                    span: Span::new(start, end),
                    inner: Span::new(inside, close),
                    comment: comment_in(behind, end),
                    next,
                });
            }
        }
        at = next;
    }
    Err(ScanError::new(
        Span::new(start, inside),
        format!("this value has no closing {quote}"),
    ))
}

/// The comment in `text`, which stands at byte `at`.
fn comment_in(text: &str, at: usize) -> Option<Span> {
    let mark = text.find(['#', ';'])?;
    Some(Span::new(at + mark, at + text.trim_end().len()))
}

/// A value whose lines end in backslashes, up to the first that does not. An empty line ends it too and is used up.
fn continued(source: &str, start: usize, next: usize) -> Reading {
    let first = source.get(start..next).unwrap_or_default();
    let mut end = start + first.trim_end().len();
    let mut at = next;
    while at < source.len() {
        let next = next_line(source, at);
        let line = source.get(at..next).unwrap_or_default().trim_end();
        let line_end = at + line.len();
        at = next;
        if line.trim_start().is_empty() {
            break;
        }
        end = line_end;
        if !line.ends_with('\\') {
            break;
        }
    }
    plain(Span::new(start, end), None, at)
}

/// Whether a plain value consists of continued lines: it holds a line break, or ends in a backslash with nothing behind
/// it on its line.
pub(super) fn is_continued(source: &str, node: &Node) -> bool {
    let text = node.inner.of(source);
    node.form == Form::Plain
        && (text.contains('\n')
            || text.ends_with('\\') && {
                let end = node.inner.end();
                source
                    .get(end..next_line(source, end))
                    .is_some_and(|rest| rest.trim().is_empty())
            })
}

/// The text of continued lines: each trimmed, the backslashes and line breaks taken out.
pub(super) fn join(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        // The blanks before the first backslash belong to the value, as do those before the others.
        let line = if index == 0 {
            line.trim_end()
        } else {
            line.trim()
        };
        result.push_str(line.strip_suffix('\\').unwrap_or(line));
    }
    result
}

/// `text` in the first of `forms` in which it reads back equal; `behind` is what stands behind it on its line.
pub(super) fn spell(
    text: &str,
    forms: impl IntoIterator<Item = Form>,
    behind: &str,
) -> Option<Zeroizing<String>> {
    forms.into_iter().find_map(|form| {
        let quote = match form {
            Form::Single => "'",
            Form::Double => "\"",
            Form::Backtick => "`",
            Form::Triple => "\"\"\"",
            Form::Plain | Form::Literal | Form::Folded => "",
        };
        let length = 2 * quote.len() + text.len();
        let mut written = Zeroizing::new(String::with_capacity(length + behind.len()));
        for part in [quote, text, quote, behind] {
            written.push_str(part);
        }
        if !reads_back(&written, text, length) {
            return None;
        }
        written.truncate(length);
        Some(written)
    })
}

/// Whether the value at the start of `written` is `text`, ends at byte `length`, and uses up nothing but its own lines.
fn reads_back(written: &str, text: &str, length: usize) -> bool {
    let Ok(reading) = read(written, 0) else {
        return false;
    };
    let mut node = Node::new(Kind::Scalar, None, reading.span);
    node.form = reading.form;
    node.inner = reading.inner;
    let whole = reading.span == Span::new(0, length) || text.is_empty() && length == 0;
    whole && reading.inner.of(written) == text && !is_continued(written, &node)
}
