//! How a text can be spelled as a scalar: plain, in quotes, as a block.
//!
//! Knows nothing of places; `write` decides which spelling goes where.

use super::chars::{is_blank, is_blankz};
use zeroize::Zeroizing;

use super::resolve::{Resolved, resolve};
use crate::node::Tag;

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

/// The text between single quotes; `None` if it cannot be.
pub(super) fn single(text: &str) -> Option<String> {
    let possible = text.chars().all(|c| c != '\n' && is_printable(c));
    possible.then(|| text.replace('\'', "''"))
}

/// The text between double quotes.
pub(super) fn double(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\0' => "\\0",
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\x0B' => "\\v",
            '\x0C' => "\\f",
            '\r' => "\\r",
            '\x1B' => "\\e",
            '\u{85}' => "\\N",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            c if is_printable(c) => {
                result.push(c);
                continue;
            }
            c => {
                let code = u32::from(c);
                let long = if code < 0x100 {
                    format!("\\x{code:02X}")
                } else {
                    format!("\\u{code:04X}")
                };
                result.push_str(&long);
                continue;
            }
        };
        result.push_str(short);
    }
    result
}

/// The text in the quotes that need the fewest escapes.
pub(super) fn quoted(text: &str) -> Zeroizing<String> {
    let escapes = text.contains(['"', '\\']) && !text.contains(['\'', '\t']);
    let inside = single(text).filter(|_| escapes).map(Zeroizing::new);
    match inside {
        Some(inside) => between("'", &inside),
        None => double_quoted(text),
    }
}

/// The text in double quotes.
pub(super) fn double_quoted(text: &str) -> Zeroizing<String> {
    between("\"", &Zeroizing::new(double(text)))
}

/// The text in single quotes; `None` if it cannot be.
pub(super) fn single_quoted(text: &str) -> Option<Zeroizing<String>> {
    let inside = Zeroizing::new(single(text)?);
    Some(between("'", &inside))
}

fn between(mark: &str, inside: &str) -> Zeroizing<String> {
    Zeroizing::new([mark, inside, mark].concat())
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

/// The lines of a block, each that is not empty behind `indent` spaces, without the last line break.
pub(super) fn block_lines(text: &str, indent: usize, newline: &str) -> String {
    let pad = " ".repeat(indent);
    let mut result = String::with_capacity(text.len() * 2);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            result.push_str(newline);
        }
        if !line.is_empty() {
            result.push_str(&pad);
            result.push_str(line);
        }
    }
    result
}

/// The lines that a folded block must have to be read as `text`: a line break that would become a space is doubled.
pub(super) fn unfold(text: &str) -> String {
    let normal = |line: &str| !line.starts_with([' ', '\t']);
    let mut result = String::with_capacity(text.len() + 16);
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
    use super::{can_be_plain, double, single, unfold};

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
        assert_eq!(single("it's"), Some("it''s".to_owned()));
        assert_eq!(single("a\nb"), None);
        assert_eq!(
            double("a\"\\\n\t\u{7}\u{9f}\u{feff}é😀/"),
            "a\\\"\\\\\\n\\t\\a\\x9F\\uFEFFé😀/"
        );
    }

    #[test]
    fn a_folded_block_doubles_the_breaks_it_would_fold() {
        assert_eq!(unfold("a\nb\n\nc\n d\ne"), "a\n\nb\n\n\nc\n d\ne");
    }
}
