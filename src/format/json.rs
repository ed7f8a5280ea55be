//! JSON as SOPS reads it (spec 7.3).
//!
//! Knows how a value is spelled and where it goes. The text is read in `json/scan.rs`, the metadata member is in
//! `json/metadata.rs`. Knows nothing of the binary envelope but that it is JSON.

use std::borrow::Cow;

use super::CannotWrite;
use crate::edit::Edit;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::Value;

mod emit;
mod metadata;
pub(super) mod place;
mod scan;

pub use emit::emit;
pub(super) use metadata::emit_member;
pub use metadata::{attach, detach, emit_metadata};

/// Finds every node. The top level must be an object; everything that is not JSON is refused, trailing text and a byte
/// order mark included (spec 12.2). Duplicate keys are kept.
///
/// # Errors
/// [`ScanError`] at the first byte that is not JSON.
pub fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    scan::scan(source)
}

/// The decoded key of a member.
///
/// # Errors
/// [`ScanError`] if the node has no key.
pub fn key<'a>(source: &'a str, node: &Node) -> Result<Cow<'a, str>, ScanError> {
    let span = node
        .key
        .ok_or_else(|| ScanError::new(node.span, "this value has no key"))?;
    let quoted = span.of(source);
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(quoted);
    Ok(if inner.contains('\\') {
        Cow::Owned(unescape(inner))
    } else {
        Cow::Borrowed(inner)
    })
}

/// The decoded value of a scalar: integers of 64 bits, every other number as a double (spec 7.3).
///
/// # Errors
/// [`ScanError`] for a number beyond the range of a double.
pub fn value<'a>(source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    let text = node.inner.of(source);
    if node.form == Form::Double {
        return Ok(Value::Str(if text.contains('\\') {
            Plain::owned(unescape(text))
        } else {
            Plain::from(text)
        }));
    }
    Ok(match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        number => match (number.parse::<i64>(), number.parse::<f64>()) {
            (Ok(integer), _) => Value::Int(integer),
            (Err(_), Ok(double)) if double.is_finite() => Value::Float(double),
            _ => {
                let message = "expected a number in the range of a double";
                return Err(ScanError::new(node.span, message));
            }
        },
    })
}

/// Undoes escapes; half a surrogate pair becomes U+FFFD. The text never grows, so the buffer is never moved and leaves
/// no copy behind.
fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        result.push_str(plain);
        let (decoded, behind) = decode_escape(escape);
        result.push(decoded);
        rest = behind;
    }
    result.push_str(rest);
    result
}

/// One escape behind its backslash, and the text behind it.
fn decode_escape(escape: &str) -> (char, &str) {
    let mut behind = escape.chars();
    let decoded = match behind.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return decode_unicode(behind.as_str()),
        Some(other) => other,
        None => char::REPLACEMENT_CHARACTER,
    };
    (decoded, behind.as_str())
}

/// The four digits behind `\u`, with the low half of a surrogate pair if it follows.
fn decode_unicode(text: &str) -> (char, &str) {
    let (first, behind) = hex_unit(text);
    if let Ok(decoded) = char::try_from(first) {
        return (decoded, behind);
    }
    let pair = behind
        .strip_prefix("\\u")
        .map(hex_unit)
        .and_then(|(second, behind)| {
            let decoded =
                char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?]);
            Some((decoded.into_iter().next()?.ok()?, behind))
        });
    pair.unwrap_or((char::REPLACEMENT_CHARACTER, behind))
}

fn hex_unit(text: &str) -> (u32, &str) {
    let (digits, behind) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xFFFD), behind)
}

/// Puts `token` between the quotes that are there, or in quotes in place of another literal (spec 12.2).
#[must_use]
pub fn write_token(node: &Node, token: String) -> Edit {
    match node.form {
        Form::Double => Edit::new(node.inner, token),
        _ => Edit::new(node.span, format!("\"{token}\"")),
    }
}

/// Writes `value` in place of a literal: text with the fewest escapes, doubles so that they read back as doubles,
/// instants as text.
///
/// # Errors
/// [`CannotWrite`] for NaN, infinities, and bytes that are not UTF-8.
pub fn write_value(_source: &str, node: &Node, value: &Value<'_>) -> Result<Edit, CannotWrite> {
    Ok(Edit::new(node.span, spell(value, Escapes::Needed)?))
}

/// The literal of a value.
fn spell(value: &Value<'_>, escapes: Escapes) -> Result<String, CannotWrite> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) if value.is_finite() => float_text(*value),
        Value::Float(_) => {
            return Err(CannotWrite(
                "JSON has no spelling for NaN and infinities".to_owned(),
            ));
        }
        Value::Time(value) => quote(value.as_str(), escapes),
        Value::Str(text) => quote(text.expose(), escapes),
        Value::Bytes(_) => {
            return Err(CannotWrite(
                "JSON cannot hold bytes that are not UTF-8".to_owned(),
            ));
        }
        Value::Lexeme(..) => return Err(CannotWrite::lexeme()),
    })
}

/// Which characters of a string are escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// Those that JSON asks for.
    Needed,
    /// The line breaks of Unicode as well, which older readers of JavaScript stumble over.
    LineBreaks,
    /// All that Go's encoder escapes (spec 7.3).
    Sops,
}

/// A string literal.
fn quote(text: &str, escapes: Escapes) -> String {
    let length = text
        .chars()
        .map(|c| escape_of(c, escapes).map_or(c.len_utf8(), Escape::len))
        .sum();
    let mut result = String::with_capacity(usize::saturating_add(length, 2));
    result.push('"');
    for c in text.chars() {
        match escape_of(c, escapes) {
            None => result.push(c),
            Some(Escape::Short(letter)) => result.extend(['\\', letter]),
            Some(Escape::Hex(code)) => {
                result.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    result.push(char::from_digit((code >> shift) & 0xF, 16).unwrap_or('0'));
                }
            }
        }
    }
    result.push('"');
    result
}

enum Escape {
    Short(char),
    Hex(u32),
}

impl Escape {
    /// Length in bytes.
    fn len(self) -> usize {
        match self {
            Self::Short(_) => 2,
            Self::Hex(_) => 6,
        }
    }
}

fn escape_of(c: char, escapes: Escapes) -> Option<Escape> {
    Some(match c {
        '"' | '\\' => Escape::Short(c),
        '\u{8}' => Escape::Short('b'),
        '\u{c}' => Escape::Short('f'),
        '\n' => Escape::Short('n'),
        '\r' => Escape::Short('r'),
        '\t' => Escape::Short('t'),
        '\0'..='\u{1f}' => Escape::Hex(u32::from(c)),
        '\u{2028}' | '\u{2029}' if escapes != Escapes::Needed => Escape::Hex(u32::from(c)),
        '<' | '>' | '&' if escapes == Escapes::Sops => Escape::Hex(u32::from(c)),
        _ => return None,
    })
}

/// Removes an item of a list with one neighbouring comma and the blanks between.
///
/// Neighbouring comment tokens are removed as one: the edit of the first takes all of them, the edits of the others are
/// empty. So the edits of several items never overlap, as long as every comment token of a list is removed.
#[must_use]
pub fn remove_item(source: &str, nodes: &[Node], node: &Node) -> Edit {
    let id = nodes.partition_point(|other| other.span.start() < node.span.start());
    let is_part = |id: NodeId| {
        nodes
            .get(id)
            .filter(|other| other.parent == node.parent && is_comment_token(source, other))
    };
    let mut end = node.span.end();
    if is_comment_token(source, node) {
        if id.checked_sub(1).and_then(is_part).is_some() {
            return Edit::remove(Span::at(0));
        }
        end = (id..)
            .map_while(is_part)
            .last()
            .map_or(end, |last| last.span.end());
    }
    Edit::remove(with_comma(source, Span::new(node.span.start(), end)))
}

/// Whether a scalar is a token that stands for a comment (spec 3.6).
fn is_comment_token(source: &str, node: &Node) -> bool {
    let text = node.inner.of(source);
    node.kind == Kind::Scalar
        && text.starts_with("ENC[AES256_GCM,")
        && text.ends_with(",type:comment]")
}

/// `items` of a list with the comma and blanks that have to go with them.
fn with_comma(source: &str, items: Span) -> Span {
    let before = source.get(..items.start()).unwrap_or_default();
    let behind = source.get(items.end()..).unwrap_or_default();
    let after_blanks = behind.trim_ascii_start();
    if let Some(rest) = after_blanks.strip_prefix(',') {
        return Span::new(items.start(), source.len() - rest.trim_ascii_start().len());
    }
    match before.trim_ascii_end().strip_suffix(',') {
        Some(rest) => Span::new(rest.len(), items.end()),
        None => Span::new(
            before.trim_ascii_end().len(),
            source.len() - after_blanks.len(),
        ),
    }
}

/// The shortest digits that read back as this double, in the spelling of ECMAScript, which SOPS writes (spec 7.3): an
/// exponent only below 1e-6 and from 1e21 on. Always with a point or an exponent, so that it stays a float.
fn float_text(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return format!("{number:e}");
    }
    let text = number.to_string();
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

#[cfg(test)]
mod tests;
