//! What the formats made of lines have in common: conflict markers, line ends, metadata at the end, and values as bare text.
//!
//! Knows nothing of keys, quotes or sections.

use super::CannotWrite;
use crate::edit::Edit;
use crate::node::ScanError;
use crate::secret::Plain;
use crate::span::Span;
use crate::value::{Value, to_seconds};

pub(super) mod whole;

/// Length of the conflict marker of a version control system that a line begins with: seven or more equal characters,
/// alone or before a blank; 0 if there is none.
pub(super) fn marker_len(line: &[u8]) -> usize {
    let Some(mark) = line.first().filter(|mark| b"<=>|".contains(mark)) else {
        return 0;
    };
    let len = line.iter().take_while(|byte| *byte == mark).count();
    let alone = line
        .get(len)
        .is_none_or(|behind| b" \t\r\n".contains(behind));
    if len >= 7 && alone { len } else { 0 }
}

/// The error for a conflict marker that begins at byte `at`; `None` if there is none, or not at the start of a line.
pub(super) fn conflict(source: &str, at: usize) -> Option<ScanError> {
    let before = source.get(..at)?;
    if !before.is_empty() && !before.ends_with('\n') {
        return None;
    }
    let len = marker_len(source.as_bytes().get(at..)?);
    (len > 0).then(|| unresolved(Span::new(at, at + len)))
}

/// The error for a conflict marker.
pub(super) fn unresolved(marker: Span) -> ScanError {
    ScanError::new(marker, "unresolved merge conflict")
        .with_hint("resolve it with `sops-rs merge FILE`, or by hand, and remove the marker lines")
}

/// The byte behind the line that holds byte `at`: behind its line feed, or the end of the text.
pub(super) fn next_line(source: &str, at: usize) -> usize {
    let rest = source.as_bytes().get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(source.len(), |length| at + length + 1)
}

/// The first byte of the line that holds byte `at`.
pub(super) fn line_start(source: &str, at: usize) -> usize {
    let before = source.as_bytes().get(..at).unwrap_or(source.as_bytes());
    memchr::memrchr(b'\n', before).map_or(0, |line_feed| line_feed + 1)
}

/// The line break of a file: that of its first line.
pub(super) fn line_break(source: &str) -> &'static str {
    let first = source.get(..next_line(source, 0)).unwrap_or_default();
    if first.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

/// Replaces all of `from` in one buffer of the final size, so that no copy of a secret is left behind.
pub(super) fn replace(text: &str, from: &str, to: &str) -> String {
    let count = text.matches(from).count();
    let removed = count.saturating_mul(from.len());
    let added = count.saturating_mul(to.len());
    let mut result = String::with_capacity((text.len() + added).saturating_sub(removed));
    for (index, part) in text.split(from).enumerate() {
        if index > 0 {
            result.push_str(to);
        }
        result.push_str(part);
    }
    result
}

/// The edit that adds the lines `block` behind an empty line at the end, with the line breaks of the file. A missing final
/// line break stays missing; [`without_block`] understands that sign.
pub(super) fn append_block(source: &str, block: &str) -> Edit {
    let line_break = line_break(source);
    let block = block
        .strip_suffix('\n')
        .unwrap_or(block)
        .replace('\n', line_break);
    let text = if source.is_empty() {
        format!("{block}{line_break}")
    } else if source.ends_with('\n') {
        format!("{line_break}{block}{line_break}")
    } else {
        format!("{line_break}{line_break}{block}")
    };
    Edit::new(Span::at(source.len()), text)
}

/// The edit that takes out the lines `block`, with the empty line above them. If they end the file without a line break, the
/// line break before them goes too.
pub(super) fn without_block(source: &str, block: Span) -> Edit {
    let above = source.get(..block.start()).unwrap_or_default();
    let mut kept = above;
    let mut line_break = last_line_break(above);
    let rest = without(above, line_break);
    if rest.is_empty() || rest.ends_with('\n') {
        kept = rest;
        // The two breaks that `append_block` adds are of one kind, so a CR before the first may be the user's.
        if line_break == "\r\n" {
            line_break = last_line_break(rest);
        }
    }
    if block.end() == source.len() && !source.ends_with('\n') {
        kept = without(kept, line_break);
    }
    Edit::remove(Span::new(kept.len(), block.end()))
}

/// The line break at the end of `text`.
fn last_line_break(text: &str) -> &'static str {
    if text.ends_with("\r\n") { "\r\n" } else { "\n" }
}

fn without<'a>(text: &'a str, line_break: &str) -> &'a str {
    text.strip_suffix(line_break).unwrap_or(text)
}

/// A value as text without quotes (spec 7.5, 7.6).
///
/// # Errors
/// [`CannotWrite`] for null, which would read back as text, and for bytes that are not UTF-8.
pub(super) fn bare_text<'v>(value: &'v Value<'_>) -> Result<Plain<'v>, CannotWrite> {
    Ok(match value {
        Value::Str(text) => Plain::from(text.expose()),
        Value::Bool(value) => Plain::from(if *value { "true" } else { "false" }),
        Value::Int(value) => Plain::owned(value.to_string()),
        Value::Float(value) => Plain::owned(float_text(*value)),
        Value::Time(value) => {
            to_seconds(value.as_str()).map_or(Plain::from(value.as_str()), Plain::owned)
        }
        Value::Null => {
            return Err(CannotWrite(
                "null cannot be written here; use an empty text".to_owned(),
            ));
        }
        Value::Bytes(_) => {
            return Err(CannotWrite(
                "bytes that are not UTF-8 cannot be written here".to_owned(),
            ));
        }
        Value::Lexeme(..) => return Err(CannotWrite::lexeme()),
    })
}

/// Go's `%G` with the shortest digits, but at least one decimal (spec 7.5): `1.0`, `1E+10`.
fn float_text(number: f64) -> String {
    if !number.is_finite() {
        return crate::value::float_text(number);
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i32 = exponent.parse().unwrap_or_default();
    // Go switches to an exponent at the sixth power of ten when it prints the shortest digits.
    if (-4..6).contains(&power) {
        return format!("{number:?}");
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", power.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::{conflict, line_break, next_line};

    #[test]
    fn markers_stand_at_the_start_of_a_line_and_alone() {
        for (source, at, found) in [
            ("<<<<<<< ours", 0, true),
            ("a\n=======", 2, true),
            ("a\n>>>>>>>\r\n", 2, true),
            (" =======", 1, false),
            ("========", 0, true),
            ("<<<<<<<<<<< HEAD (1 conflict)", 0, true),
            ("<<<<<<<=", 0, false),
            ("=======a", 0, false),
            ("<<<<<<", 0, false),
        ] {
            assert_eq!(conflict(source, at).is_some(), found, "{source}");
        }
    }

    #[test]
    fn lines_end_at_line_feeds_only() {
        assert_eq!((next_line("a\rb\nc", 0), next_line("a\rb\nc", 4)), (4, 5));
        assert_eq!(
            (
                line_break("a\r\nb\n"),
                line_break("a\nb\r\n"),
                line_break("")
            ),
            ("\r\n", "\n", "\n")
        );
    }
}
