//! `%` directives and tags: only their extent and syntax.
//!
//! What a tag means is decided in `tag`.

use super::{Scanner, Token};
use crate::format::yaml::chars::{byte, is_blank, is_blankz, is_breakz, is_word};
use crate::node::ScanError;
use crate::span::Span;

impl Scanner<'_> {
    pub(super) fn fetch_directive(&mut self) -> Result<(), ScanError> {
        self.unroll(None);
        self.drop_key()?;
        self.key_allowed = false;
        let start = self.at;
        let name_end = word_end(self.bytes, start + 1);
        let token = match self.bytes.get(start + 1..name_end) {
            Some(b"YAML") if is_blankz(self.bytes, name_end) => {
                self.at = skip_blanks(self.bytes, name_end);
                self.take_version(start)?;
                Token::Version
            }
            Some(b"TAG") if is_blankz(self.bytes, name_end) => {
                self.at = skip_blanks(self.bytes, name_end);
                self.take_tag_directive(start)?;
                Token::TagDirective
            }
            _ => return Err(unknown(start, name_end)),
        };
        self.push(token, start);
        self.at = skip_blanks(self.bytes, self.at);
        if byte(self.bytes, self.at) == b'#' {
            self.take_comment(false);
        }
        if !is_breakz(self.bytes, self.at) {
            return Err(self.error("unexpected text behind a directive"));
        }
        self.take_break();
        Ok(())
    }

    /// `1.1`, or `1.2`, which SOPS could not load but which changes nothing in what we read.
    fn take_version(&mut self, start: usize) -> Result<(), ScanError> {
        let version = self.bytes.get(self.at..self.at + 3).unwrap_or_default();
        if !matches!(version, b"1.1" | b"1.2") || byte(self.bytes, self.at + 3).is_ascii_digit() {
            return Err(ScanError::new(
                Span::new(start, self.at),
                "this version of YAML is not known",
            )
            .with_hint("use `%YAML 1.1`, or no such line"));
        }
        self.at += 3;
        Ok(())
    }

    fn take_tag_directive(&mut self, start: usize) -> Result<(), ScanError> {
        let handle_end = handle_end(self.bytes, self.at);
        let handle = self.bytes.get(self.at..handle_end).unwrap_or_default();
        let prefix = skip_blanks(self.bytes, handle_end);
        let end = uri_end(self.bytes, prefix);
        let good = handle.first() == Some(&b'!')
            && handle.last() == Some(&b'!')
            && prefix > handle_end
            && end.is_some_and(|end| end > prefix && is_blankz(self.bytes, end));
        match end {
            Some(end) if good => {
                self.at = end;
                Ok(())
            }
            _ => Err(ScanError::new(
                Span::new(start, prefix),
                "this is not a tag directive",
            )),
        }
    }

    pub(super) fn fetch_tag(&mut self) -> Result<(), ScanError> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.at;
        let end = tag_end(self.bytes, start)
            .filter(|&end| is_blankz(self.bytes, end))
            .ok_or_else(|| {
                ScanError::new(Span::new(start, start + 1), "this is not a tag")
                    .with_hint("put a value that begins with `!` in quotes")
            })?;
        self.at = end;
        self.push(Token::Tag, start);
        Ok(())
    }
}

fn unknown(start: usize, end: usize) -> ScanError {
    ScanError::new(Span::new(start, end), "unknown directive")
        .with_hint("put a value that begins with `%` in quotes")
}

/// End of the tag that begins at `start`; `None` if it is none.
fn tag_end(bytes: &[u8], start: usize) -> Option<usize> {
    if byte(bytes, start + 1) == b'<' {
        let end = uri_end(bytes, start + 2)?;
        return (end > start + 2 && byte(bytes, end) == b'>').then_some(end + 1);
    }
    let handle = handle_end(bytes, start);
    let end = uri_end(bytes, handle)?;
    let named = handle > start + 1 && byte(bytes, handle - 1) == b'!';
    (!named || end > handle).then_some(end)
}

/// End of the tag handle at `start`: `!`, `!!`, `!name!`, or as much of a tag as could be one.
pub(in crate::format::yaml) fn handle_end(bytes: &[u8], start: usize) -> usize {
    if byte(bytes, start) != b'!' {
        return start;
    }
    let end = word_end(bytes, start + 1);
    if byte(bytes, end) == b'!' {
        end + 1
    } else {
        end
    }
}

fn word_end(bytes: &[u8], mut at: usize) -> usize {
    while is_word(byte(bytes, at)) {
        at += 1;
    }
    at
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while is_blank(bytes, at) {
        at += 1;
    }
    at
}

/// End of the characters of a URI; `None` for a `%` escape that is not UTF-8.
fn uri_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match byte(bytes, at) {
            b'%' => at = escape_end(bytes, at)?,
            b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',' | b'.' | b'!'
            | b'~' | b'*' | b'\'' | b'(' | b')' | b'[' | b']' => at += 1,
            other if is_word(other) => at += 1,
            _ => return Some(at),
        }
    }
}

/// End of one character written as `%XX` octets.
fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    let width = match octet(bytes, at)? {
        0..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0..0xF8 => 4,
        _ => return None,
    };
    (1..width)
        .all(|index| octet(bytes, at + 3 * index).is_some_and(|octet| octet & 0xC0 == 0x80))
        .then_some(at + 3 * width)
}

/// The octet written as `%XX` at `at`.
pub(in crate::format::yaml) fn octet(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at| {
        char::from(byte(bytes, at))
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    (byte(bytes, at) == b'%').then_some(())?;
    Some(digit(at + 1)? << 4 | digit(at + 2)?)
}
