//! How a text can be spelled as a scalar: plain, in quotes, as a block.
//!
//! Knows nothing of places; `write` decides which spelling goes where.

use zeroize::Zeroizing;

use super::chars::{is_blank, is_blankz};
use super::resolve::{Resolved, resolve};
use crate::node::Tag;
use crate::secret::PlainWriter;

mod ambiguous;

use ambiguous::is_ambiguous;

/// Whether the text, written without quotes, is read as exactly this string, by go-yaml and by readers of YAML 1.2.
/// `tagged` says that a tag stands before it, so that no number or word is taken for anything else.
pub(super) fn can_be_plain(text: &str, flow: bool, tagged: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let begins = match first {
        b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
        | b'"' | b'%' | b'@' | b'`' | b' ' | b'\t' => false,
        b'-' | b'?' | b':' => !is_blankz(bytes, 1) && (!flow || first == b'-'),
        b'.' => !text.starts_with("...") || bytes.len() > 3 && !is_blank(bytes, 3),
        b'<' | b'=' => !["<<<<<<<", "======="]
            .iter()
            .any(|mark| text.starts_with(mark)),
        _ => true,
    };
    let document_mark = text == "---" || text.starts_with("--- ") || text.starts_with("---\t");
    let pairs = bytes.windows(2).any(|pair| match pair {
        [b':', b' ' | b'\t'] | [b' ' | b'\t', b'#'] => true,
        [_, b',' | b'[' | b']' | b'{' | b'}' | b'?'] => flow,
        _ => false,
    });
    begins
        && !document_mark
        && !pairs
        && !matches!(last, b' ' | b'\t' | b':')
        && text.chars().all(is_printable)
        && !text.contains('\n')
        && (tagged || is_string_everywhere(text))
}

/// Whether the text, written without quotes, is this string for every reader there is, not only for those that read what
/// is here: what is written anew need not be bare.
pub(super) fn should_be_plain(text: &str, flow: bool) -> bool {
    // Older readers stop at a colon in a flow collection, and at a tab anywhere.
    let is_hard = |byte: u8| byte == b'\t' || flow && byte == b':';
    can_be_plain(text, flow, false) && !is_ambiguous(text) && !text.bytes().any(is_hard)
}

/// Whether the bare text resolves to a string in go-yaml and in the core schema of YAML 1.2.
fn is_string_everywhere(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hex = digits
        .strip_prefix("0x")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let float =
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok();
    !hex && !float && resolve(text, true, Tag::None).is_some_and(|found| found == Resolved::Str)
}

/// Whether the character may stand in a scalar as it is, in every form: no control character, no line break but LF, no
/// byte order mark.
pub(super) fn is_printable(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => false,
        c => !c.is_control(),
    }
}

/// The text in the quotes that need the fewest escapes.
pub(super) fn quoted(text: &str) -> Zeroizing<String> {
    let escapes = text.contains(['"', '\\']) && !text.contains(['\'', '\t']);
    let single = if escapes { single_quoted(text) } else { None };
    single.unwrap_or_else(|| double_quoted(text))
}

/// The text in single quotes; `None` if it cannot be.
pub(super) fn single_quoted(text: &str) -> Option<Zeroizing<String>> {
    let mut room = text.len() + 2;
    for c in text.chars() {
        if c == '\n' || !is_printable(c) {
            return None;
        }
        room += usize::from(c == '\'');
    }
    let mut result = Zeroizing::new(String::with_capacity(room));
    let mut quotes = "'";
    for part in text.split('\'') {
        result.push_str(quotes);
        result.push_str(part);
        quotes = "''";
    }
    result.push('\'');
    Some(result)
}

/// The text in double quotes.
pub(super) fn double_quoted(text: &str) -> Zeroizing<String> {
    let length = |c: char| escape_of(c).map_or(c.len_utf8(), Escape::len);
    let inside: usize = text.chars().map(length).sum();
    let mut result = Zeroizing::new(String::with_capacity(inside + 2));
    result.push('"');
    for c in text.chars() {
        match escape_of(c) {
            None => result.push(c),
            Some(Escape::Short(letter)) => result.extend(['\\', letter]),
            Some(Escape::Hex(mark, digits)) => {
                result.extend(['\\', mark]);
                for digit in (0..digits).rev() {
                    let digit = char::from_digit((u32::from(c) >> (4 * digit)) & 0xF, 16);
                    result.push(digit.unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
    result.push('"');
    result
}

/// How a character stands between double quotes, behind a backslash.
#[derive(Clone, Copy)]
enum Escape {
    Short(char),
    /// A letter, and so many digits of its number.
    Hex(char, usize),
}

impl Escape {
    /// Length in bytes.
    fn len(self) -> usize {
        match self {
            Self::Short(_) => 2,
            Self::Hex(_, digits) => 2 + digits,
        }
    }
}

/// `None` for a character that stands for itself.
fn escape_of(c: char) -> Option<Escape> {
    Some(match c {
        '"' | '\\' => Escape::Short(c),
        '\0' => Escape::Short('0'),
        '\x07' => Escape::Short('a'),
        '\x08' => Escape::Short('b'),
        '\t' => Escape::Short('t'),
        '\n' => Escape::Short('n'),
        '\x0B' => Escape::Short('v'),
        '\x0C' => Escape::Short('f'),
        '\r' => Escape::Short('r'),
        '\x1B' => Escape::Short('e'),
        '\u{85}' => Escape::Short('N'),
        '\u{2028}' => Escape::Short('L'),
        '\u{2029}' => Escape::Short('P'),
        c if is_printable(c) => return None,
        '\0'..='\u{ff}' => Escape::Hex('x', 2),
        _ => Escape::Hex('u', 4),
    })
}

/// Whether the text can be the content of a block.
pub(super) fn can_be_block(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_printable)
}

/// Whether a block with this text needs its indentation said in the header: its first line that is not empty begins with
/// a blank.
pub(super) fn needs_indicator(text: &str) -> bool {
    text.trim_start_matches('\n').starts_with([' ', '\t'])
}

/// Adds the lines of a block, each that is not empty behind `indent` spaces, with `ends` line breaks behind the last.
pub(super) fn block_lines(
    text: &str,
    indent: usize,
    newline: &str,
    ends: usize,
    written: &mut PlainWriter,
) {
    let pad = " ".repeat(indent);
    let mut room = ends * newline.len();
    for (number, line) in text.split('\n').enumerate() {
        room += usize::from(number > 0) * newline.len();
        room += usize::from(!line.is_empty()) * pad.len() + line.len();
    }
    written.reserve(room);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            written.push_str(newline);
        }
        if !line.is_empty() {
            written.push_str(&pad);
            written.push_str(line);
        }
    }
    written.repeat(newline, ends);
}

/// The lines that a folded block must have to be read as `text`: a line break that would become a space is doubled.
pub(super) fn unfold(text: &str) -> Zeroizing<String> {
    let normal = |line: &str| !line.starts_with([' ', '\t']);
    let room = text.len() + text.matches('\n').count();
    let mut result = Zeroizing::new(String::with_capacity(room));
    let mut normal_before = false;
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            result.push('\n');
        }
        if line.is_empty() {
            continue;
        }
        if normal_before && normal(line) {
            result.push('\n');
        }
        normal_before = normal(line);
        result.push_str(line);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{block_lines, can_be_plain, double_quoted, single_quoted, unfold};
    use crate::secret::PlainWriter;

    #[test]
    fn plain_is_what_every_reader_takes_for_this_string() {
        for text in [
            "a b",
            "yes",
            "n",
            "http://x?y",
            "-a",
            ":a",
            "a#b",
            "it's",
            "1:20",
            "<<",
            "=",
            "é😀",
            "a:b",
        ] {
            assert!(can_be_plain(text, false, false), "{text}");
        }
        for text in [
            "",
            "1",
            "0x1F",
            "1e400",
            "true",
            "~",
            "null",
            ".5",
            "2001-01-01",
            "a: b",
            "a #b",
            "- a",
            "-",
            "a:",
            " a",
            "a ",
            "[a",
            "#a",
            "'a",
            "@a",
            "---",
            "--- a",
            "a\nb",
            "a\u{85}",
            "a\u{feff}",
            "%a",
        ] {
            assert!(!can_be_plain(text, false, false), "{text}");
        }
        assert!(can_be_plain("1", false, true));
        assert!(!can_be_plain("a,b", true, false) && !can_be_plain("a?b", true, false));
    }

    #[test]
    fn quotes_escape_only_what_they_must() {
        let single = |text| single_quoted(text).map(|text| text.to_string());
        assert_eq!(single("it's"), Some("'it''s'".to_owned()));
        assert_eq!(single("'"), Some("''''".to_owned()));
        assert_eq!(single(""), Some("''".to_owned()));
        assert_eq!(single("a\nb"), None);
        assert_eq!(
            *double_quoted("a\"\\\n\t\u{7}\u{9f}\u{feff}é😀/"),
            "\"a\\\"\\\\\\n\\t\\a\\x9F\\uFEFFé😀/\""
        );
    }

    /// A text that outgrows its place is moved, and what it leaves behind is not wiped.
    #[test]
    fn no_text_outgrows_its_place() {
        let long = "\"'\n\u{7f}".repeat(99);
        for text in [
            "",
            "'",
            "\n",
            "it's\u{1}\u{feff}\u{85}\t\"é",
            "a'b''",
            &long,
        ] {
            let mut exact = vec![double_quoted(text)];
            exact.extend(single_quoted(text));
            for (newline, ends) in [("\n", 0), ("\r\n", 3)] {
                let mut lines = PlainWriter::default();
                block_lines(text, 20, newline, ends, &mut lines);
                exact.push(lines.finish());
            }
            for written in exact {
                assert_eq!(written.capacity(), written.len(), "{text:?}");
            }
            let breaks = text.matches('\n').count();
            assert_eq!(unfold(text).capacity(), text.len() + breaks, "{text:?}");
        }
    }

    #[test]
    fn a_folded_block_doubles_the_breaks_it_would_fold() {
        assert_eq!(*unfold("a\nb\n\nc\n d\ne"), "a\n\nb\n\n\nc\n d\ne");
    }
}
