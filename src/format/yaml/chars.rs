//! What YAML 1.1 says about single characters: blanks, line breaks and the characters a text may hold at all.
//!
//! Works on bytes; a place behind the end counts as NUL, which no text may hold. Knows nothing of tokens.

use memchr::memchr2;

use crate::node::ScanError;
use crate::span::Span;

/// The byte at `at`; NUL behind the end.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Length in bytes of the line break at `at`: LF, CR, CRLF, U+0085, U+2028 or U+2029; 0 if there is none.
pub(super) fn break_len(bytes: &[u8], at: usize) -> usize {
    match byte(bytes, at) {
        b'\n' => 1,
        b'\r' if byte(bytes, at + 1) == b'\n' => 2,
        b'\r' => 1,
        0xC2 if byte(bytes, at + 1) == 0x85 => 2,
        0xE2 if byte(bytes, at + 1) == 0x80 && matches!(byte(bytes, at + 2), 0xA8 | 0xA9) => 3,
        _ => 0,
    }
}

/// Whether a space or a tab stands at `at`.
pub(super) fn is_blank(bytes: &[u8], at: usize) -> bool {
    matches!(byte(bytes, at), b' ' | b'\t')
}

/// Whether a blank, a line break or the end of the text is at `at`.
pub(super) fn is_blankz(bytes: &[u8], at: usize) -> bool {
    match byte(bytes, at) {
        b' ' | b'\t' | b'\n' | b'\r' | 0 => true,
        0xC2 | 0xE2 => break_len(bytes, at) > 0,
        _ => false,
    }
}

/// Whether a line break or the end of the text is at `at`.
pub(super) fn is_breakz(bytes: &[u8], at: usize) -> bool {
    byte(bytes, at) == 0 || break_len(bytes, at) > 0
}

/// Whether the byte may be part of an anchor's name, a tag handle or a directive's name.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// First line break or end of text at or behind `from`.
pub(super) fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let mut end = memchr2(b'\n', b'\r', rest).map_or(bytes.len(), |found| from + found);
    let line = bytes.get(from..end).unwrap_or_default();
    if !line.is_ascii() {
        let mut at = from;
        while let Some(found) = memchr2(0xC2, 0xE2, bytes.get(at..end).unwrap_or_default()) {
            at += found;
            if break_len(bytes, at) > 0 {
                end = at;
                break;
            }
            at += 1;
        }
    }
    end
}

/// Start of the line that `at` stands on; behind the byte order mark on the first line.
pub(super) fn line_start(bytes: &[u8], at: usize) -> usize {
    let mut start = at.min(bytes.len());
    loop {
        let Some(before) = start.checked_sub(1) else {
            return bom_len(bytes);
        };
        let ended = match byte(bytes, before) {
            b'\n' => true,
            // Between CR and LF there is no line.
            b'\r' => byte(bytes, start) != b'\n',
            0x85 => before > 0 && byte(bytes, before - 1) == 0xC2,
            0xA8 | 0xA9 => before > 1 && break_len(bytes, before - 2) == 3,
            _ => false,
        };
        if ended {
            return start;
        }
        start = before;
    }
}

/// Column of `at` in characters, from 0.
pub(super) fn column(bytes: &[u8], at: usize) -> usize {
    char_count(bytes.get(line_start(bytes, at)..at).unwrap_or_default())
}

/// Number of characters in a piece of UTF-8.
pub(super) fn char_count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// Length of the byte order mark at the start: 3 or 0.
pub(super) fn bom_len(bytes: &[u8]) -> usize {
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        3
    } else {
        0
    }
}

/// Refuses characters that no YAML text may hold (spec 7.2.1), and a byte order mark behind the start: go-yaml takes
/// it for one at places that depend on the size of its buffer.
pub(super) fn check(source: &str) -> Result<(), ScanError> {
    let bytes = source.as_bytes();
    let mut from = bom_len(bytes);
    for chunk in bytes.get(from..).unwrap_or_default().chunks(64) {
        let suspicious = chunk.iter().fold(false, |found, &byte| {
            found | !(0x20..0x7F).contains(&byte) & !matches!(byte, b'\t' | b'\n' | b'\r')
        });
        if suspicious {
            check_slowly(bytes, from, from + chunk.len())?;
        }
        from += chunk.len();
    }
    Ok(())
}

fn check_slowly(bytes: &[u8], from: usize, to: usize) -> Result<(), ScanError> {
    for at in from..to {
        let (second, third) = (byte(bytes, at + 1), byte(bytes, at + 2));
        let len = match byte(bytes, at) {
            b'\t' | b'\n' | b'\r' => continue,
            0..0x20 | 0x7F => 1,
            0xC2 if second < 0xA0 && second != 0x85 => 2,
            0xEF if second == 0xBF && third >= 0xBE => 3,
            0xEF if second == 0xBB && third == 0xBF => {
                let span = Span::new(at, at + 3);
                return Err(
                    ScanError::new(span, "a byte order mark in the middle of the text")
                        .with_hint("remove it, or write it as \"\\uFEFF\" in double quotes"),
                );
            }
            _ => continue,
        };
        let span = Span::new(at, at + len);
        return Err(
            ScanError::new(span, "control characters are not allowed in YAML")
                .with_hint("write it as an escape in double quotes, such as \"\\x07\""),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{break_len, check, column, line_end, line_start};

    #[test]
    fn there_are_six_line_breaks() {
        for (text, len) in [
            ("\n", 1),
            ("\r", 1),
            ("\r\n", 2),
            ("\u{85}", 2),
            ("\u{2028}", 3),
            ("\u{2029}", 3),
            ("é", 0),
            ("", 0),
        ] {
            assert_eq!(break_len(text.as_bytes(), 0), len, "{text:?}");
        }
        assert_eq!(line_end("é–\u{2028}x".as_bytes(), 0), 5);
        assert_eq!(line_start("a\u{85}bc".as_bytes(), 4), 3);
        assert_eq!(line_start("\u{feff}bc".as_bytes(), 4), 3);
        assert_eq!(column("a\r\né: x".as_bytes(), 7), 3);
    }

    #[test]
    fn control_characters_are_refused_where_they_stand() {
        for text in [
            "a\u{7}",
            "a\u{0}",
            "a\u{7f}",
            "a\u{80}",
            "a\u{fffe}",
            "a\u{ffff}",
            "a\u{feff}",
        ] {
            assert_eq!(check(text).unwrap_err().span.start(), 1, "{text:?}");
        }
        for text in ["\u{feff}a", "a\t\u{85}\u{a0}\u{2028}\u{fffd}😀"] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }
}
