//! The text of a scalar: quotes, escapes, folding and block indentation undone (spec 7.2.1).
//!
//! Trusts that the scanner accepted the scalar. Text that needs no change is borrowed.

use std::borrow::Cow;

use memchr::memchr2;

use super::chars::{break_len, byte, column, is_blank, line_end};
use super::scan::scalars::{Chomp, Header};
use crate::node::Form;
use crate::span::Span;

/// The text of a scalar of this form: `span` with its quotes or header, `inner` without; `key` is where the key or dash
/// before it begins, from which a block's indentation counts.
pub(super) fn decode<'a>(
    source: &'a str,
    form: Form,
    span: Span,
    inner: Span,
    key: Option<Span>,
) -> Cow<'a, str> {
    let text = inner.of(source);
    match form {
        Form::Single if needs_folding(text) || text.contains("''") => Cow::Owned(fold(text, form)),
        Form::Double if needs_folding(text) || text.contains('\\') => Cow::Owned(fold(text, form)),
        Form::Literal | Form::Folded => Cow::Owned(block(source, form, span, inner, key)),
        _ if needs_folding(text) => Cow::Owned(fold(text, form)),
        _ => Cow::Borrowed(text),
    }
}

/// Whether there is a line break in the text.
pub(super) fn needs_folding(text: &str) -> bool {
    line_end(text.as_bytes(), 0) < text.len()
}

/// A flow scalar over several lines: blanks around line breaks go, a single break becomes a space.
fn fold(text: &str, form: Form) -> String {
    let bytes = text.as_bytes();
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let special = match byte(bytes, at) {
            b'\\' if form == Form::Double => Some(escape(text, at, &mut result)),
            b'\'' if form == Form::Single => {
                result.push('\'');
                Some((at + 2, false))
            }
            _ => None,
        };
        let (start, joined) = special.unwrap_or((at, false));
        at = start;
        let space_end = space_end(bytes, at);
        if joined || line_end(bytes.get(..space_end).unwrap_or_default(), at) < space_end {
            fold_space(text, at, space_end, joined, &mut result);
            at = space_end;
        } else if special.is_none() {
            let end = at
                + text
                    .get(at..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(1, char::len_utf8);
            let end = end.max(space_end);
            result.push_str(text.get(at..end).unwrap_or_default());
            at = end;
        }
    }
    result
}

/// End of the blanks and line breaks at `at`.
fn space_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let len = if is_blank(bytes, at) {
            1
        } else {
            break_len(bytes, at)
        };
        if len == 0 {
            return at;
        }
        at += len;
    }
}

/// Folds white space that holds a line break, or that follows an escaped one (`joined`).
fn fold_space(text: &str, from: usize, to: usize, joined: bool, result: &mut String) {
    let bytes = text.as_bytes();
    let mut breaks = Vec::new();
    let mut at = from;
    while at < to {
        let len = break_len(bytes, at);
        if len > 0 {
            breaks.push(normal_break(text, at, len));
        }
        at += len.max(1);
    }
    match breaks.as_slice() {
        _ if joined => breaks.iter().for_each(|text| result.push_str(text)),
        ["\n"] => result.push(' '),
        ["\n", more @ ..] => more.iter().for_each(|text| result.push_str(text)),
        all => all.iter().for_each(|text| result.push_str(text)),
    }
}

/// What the line break of `len` bytes at `at` is in a value: LF, but U+2028 and U+2029 stay.
fn normal_break(text: &str, at: usize, len: usize) -> &str {
    if len == 3 {
        text.get(at..at + len).unwrap_or_default()
    } else {
        "\n"
    }
}

/// Decodes the escape at `at`; returns where it ends and whether it was an escaped line break.
fn escape(text: &str, at: usize, result: &mut String) -> (usize, bool) {
    let bytes = text.as_bytes();
    let (c, digits) = match byte(bytes, at + 1) {
        b'0' => ('\0', 0),
        b'a' => ('\x07', 0),
        b'b' => ('\x08', 0),
        b't' | b'\t' => ('\t', 0),
        b'n' => ('\n', 0),
        b'v' => ('\x0B', 0),
        b'f' => ('\x0C', 0),
        b'r' => ('\r', 0),
        b'e' => ('\x1B', 0),
        b'N' => ('\u{85}', 0),
        b'_' => ('\u{A0}', 0),
        b'L' => ('\u{2028}', 0),
        b'P' => ('\u{2029}', 0),
        b'x' => ('\0', 2),
        b'u' => ('\0', 4),
        b'U' => ('\0', 8),
        other => {
            let len = break_len(bytes, at + 1);
            if len > 0 {
                return (at + 1 + len, true);
            }
            (char::from(other), 0)
        }
    };
    let code = text.get(at + 2..at + 2 + digits).unwrap_or_default();
    let coded = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    result.push(coded.unwrap_or(c));
    (at + 2 + digits, false)
}

/// The text of a `|` or `>` block.
fn block(source: &str, form: Form, span: Span, inner: Span, key: Option<Span>) -> String {
    let bytes = source.as_bytes();
    let Some(header) = Header::parse(bytes, span.start() + 1) else {
        return String::new();
    };
    let end = inner.end();
    let indent = content_indent(source, header, span, inner, key);
    let (mut result, mut at) = (String::with_capacity(inner.len()), inner.start());
    let (mut pending, mut breaks, mut was_blank) = ("", String::new(), false);
    while at < end {
        let line = skip_indent(bytes, at, indent);
        let line_end = line_end(bytes, line).min(end);
        let len = break_len(bytes, line_end);
        if line == line_end {
            if len > 0 {
                breaks.push_str(normal_break(source, line_end, len));
            }
        } else {
            let blank = is_blank(bytes, line);
            if form == Form::Folded && !was_blank && !blank && pending == "\n" {
                if breaks.is_empty() {
                    result.push(' ');
                }
            } else {
                result.push_str(pending);
            }
            result.push_str(&breaks);
            breaks.clear();
            was_blank = blank;
            result.push_str(source.get(line..line_end).unwrap_or_default());
            pending = if len > 0 {
                normal_break(source, line_end, len)
            } else {
                ""
            };
        }
        at = (line_end + len).max(at + 1);
    }
    if header.chomp != Chomp::Strip {
        result.push_str(pending);
    }
    if header.chomp == Chomp::Keep {
        result.push_str(&breaks);
    }
    result
}

fn skip_indent(bytes: &[u8], from: usize, indent: usize) -> usize {
    let mut at = from;
    while at < from + indent && byte(bytes, at) == b' ' {
        at += 1;
    }
    at
}

/// Indentation of a block's content in columns: said by its header, or that of its first line that is not empty.
pub(super) fn content_indent(
    source: &str,
    header: Header,
    span: Span,
    inner: Span,
    key: Option<Span>,
) -> usize {
    if header.indent > 0 {
        return parent_indent(source, span, key) + header.indent;
    }
    let bytes = source.as_bytes();
    let mut at = inner.start();
    let mut deepest = 0;
    while at < inner.end() {
        let text = skip_indent(bytes, at, usize::MAX - at);
        deepest = deepest.max(text - at);
        let len = break_len(bytes, text);
        if len == 0 {
            break;
        }
        at = text + len;
    }
    deepest
}

/// The column from which an indentation indicator counts: that of the key, of the dash, or of the `:` of an explicit
/// key.
pub(super) fn parent_indent(source: &str, span: Span, key: Option<Span>) -> usize {
    let Some(key) = key else { return 0 };
    let bytes = source.as_bytes();
    let mut at = key.end();
    while is_blank(bytes, at) {
        at += 1;
    }
    if byte(bytes, at) == b':' || key.of(source) == "-" {
        return column(bytes, key.start());
    }
    // The `:` of an explicit key begins a line further down.
    while let Some(found) = memchr2(b':', b'#', bytes.get(at..span.start()).unwrap_or_default()) {
        at += found;
        if byte(bytes, at) == b':' {
            return column(bytes, at);
        }
        at = line_end(bytes, at);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::node::Form;
    use crate::span::Span;

    fn flow(text: &str, form: Form) -> String {
        let all = Span::new(0, text.len());
        decode(text, form, all, all, None).into_owned()
    }

    #[test]
    fn flow_scalars_fold_their_lines() {
        for (text, expected) in [
            ("a b", "a b"),
            ("a \t\n  b", "a b"),
            ("a\n\n \n b", "a\n\nb"),
            ("a\r\nb", "a b"),
            ("a\u{85}b", "a b"),
            ("a\u{2028}b", "a\u{2028}b"),
            ("a\n\u{2028}b", "a\u{2028}b"),
            ("a  b\n\tc", "a  b c"),
        ] {
            assert_eq!(flow(text, Form::Plain), expected, "{text:?}");
            assert_eq!(flow(text, Form::Single), expected, "{text:?}");
            assert_eq!(flow(text, Form::Double), expected, "{text:?}");
        }
        assert_eq!(flow("it''s '' \n x", Form::Single), "it's ' x");
        assert_eq!(flow(" \n ", Form::Single), " ");
    }

    #[test]
    fn double_quotes_have_escapes() {
        assert_eq!(
            flow(
                r#"\0\a\b\t\n\v\f\r\e\"\'\\\N\_\L\P\x41\u00e9\U0001F600\ "#,
                Form::Double
            ),
            "\0\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}\"'\\\u{85}\u{a0}\u{2028}\u{2029}Aé😀 "
        );
        assert_eq!(flow("a \\\n   b", Form::Double), "a b");
        assert_eq!(flow("a\\\n\n   b", Form::Double), "a\nb");
        assert_eq!(flow("a\\n\n   b", Form::Double), "a\n b");
    }
}
