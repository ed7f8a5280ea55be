//! Where scalars end, in all five forms.

use memchr::{memchr, memchr2};

use super::{Scanner, Token, ends_plain_in_flow};
use crate::format::yaml::chars::{break_len, byte, is_blank, is_blankz, is_breakz, line_end};
use crate::node::{Form, ScanError};
use crate::span::Span;

impl Scanner<'_> {
    pub(super) fn fetch_plain(&mut self) -> Result<(), ScanError> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.at;
        let mut end = start;
        let indent = self.indent.map_or(0, |indent| indent + 1);
        loop {
            if self.at == self.line_start && self.document_mark().is_some()
                || byte(self.bytes, self.at) == b'#'
            {
                break;
            }
            let word = self.at;
            self.skip_word();
            if self.at > word {
                end = self.at;
            }
            if !self.skip_space(end, indent)? {
                break;
            }
        }
        if self.line_start > end {
            self.key_allowed = true;
        }
        let span = Span::new(start, end);
        self.queue.push_back(super::Placed {
            token: Token::Scalar(Form::Plain, span),
            span,
        });
        Ok(())
    }

    /// Steps over characters up to a blank, a line break, or what ends a plain scalar.
    fn skip_word(&mut self) {
        let flow = self.in_flow();
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += rest
                .iter()
                .position(|&byte| may_end_word(byte))
                .unwrap_or(rest.len());
            match byte(self.bytes, self.at) {
                b' ' | b'\t' | b'\n' | b'\r' | 0 => return,
                b':' if is_blankz(self.bytes, self.at + 1) => return,
                other if flow && ends_plain_in_flow(other) => return,
                0xC2 | 0xE2 if break_len(self.bytes, self.at) > 0 => return,
                _ => self.at += 1,
            }
        }
    }

    /// Steps over blanks and line breaks behind `end`; whether a plain scalar may go on behind them.
    fn skip_space(&mut self, end: usize, indent: usize) -> Result<bool, ScanError> {
        let from = self.at;
        loop {
            let broken = self.line_start > end;
            if is_blank(self.bytes, self.at) {
                let tab = byte(self.bytes, self.at) == b'\t';
                if tab && broken && self.at - self.line_start < indent {
                    return Err(self
                        .error("a tab cannot indent YAML")
                        .with_hint("indent with spaces"));
                }
                self.at += 1;
            } else if break_len(self.bytes, self.at) > 0 {
                self.take_break();
            } else {
                let dedented = !self.in_flow() && broken && self.at - self.line_start < indent;
                return Ok(self.at > from && !dedented);
            }
        }
    }

    pub(super) fn fetch_quoted(&mut self, form: Form) -> Result<(), ScanError> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.at;
        let end = if form == Form::Single {
            self.single_end(start + 1)
        } else {
            self.double_end(start + 1)?
        };
        let end = end.ok_or_else(|| {
            ScanError::new(Span::new(start, start + 1), "this quote is never closed")
        })?;
        self.check_quoted_lines(start + 1, end)?;
        self.at = end + 1;
        self.push(Token::Scalar(form, Span::new(start + 1, end)), start);
        Ok(())
    }

    /// The closing quote of a single-quoted scalar.
    fn single_end(&self, mut at: usize) -> Option<usize> {
        loop {
            at += memchr(b'\'', self.bytes.get(at..)?)?;
            if byte(self.bytes, at + 1) != b'\'' {
                return Some(at);
            }
            at += 2;
        }
    }

    /// The closing quote of a double-quoted scalar.
    fn double_end(&self, mut at: usize) -> Result<Option<usize>, ScanError> {
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return Ok(None);
            };
            at += found;
            if byte(self.bytes, at) == b'"' {
                return Ok(Some(at));
            }
            at += self.escape_len(at)?;
        }
    }

    /// Length of the escape sequence at `at`, where a backslash stands.
    fn escape_len(&self, at: usize) -> Result<usize, ScanError> {
        let digits = match byte(self.bytes, at + 1) {
            b'0' | b'a' | b'b' | b't' | b'\t' | b'n' | b'v' | b'f' | b'r' | b'e' | b' ' | b'"'
            | b'\'' | b'\\' | b'N' | b'_' | b'L' | b'P' => return Ok(2),
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ if break_len(self.bytes, at + 1) > 0 => return Ok(1 + break_len(self.bytes, at + 1)),
            b'/' => return Err(bad_escape(at, 2, "write `/` without the backslash")),
            _ => {
                return Err(bad_escape(
                    at,
                    1,
                    "double the backslash, or use single quotes",
                ));
            }
        };
        let code = self.bytes.get(at + 2..at + 2 + digits).unwrap_or_default();
        let value = code.iter().try_fold(0u64, |value, &byte| {
            Some(value << 4 | u64::from(char::from(byte).to_digit(16)?))
        });
        let is_char = value
            .and_then(|value| u32::try_from(value).ok())
            .and_then(char::from_u32);
        if code.len() < digits || is_char.is_none() {
            return Err(bad_escape(
                at,
                2,
                "write the character itself, or \\U and eight digits",
            ));
        }
        Ok(2 + digits)
    }

    /// Refuses a document mark inside quotes, and keeps count of lines.
    fn check_quoted_lines(&mut self, start: usize, end: usize) -> Result<(), ScanError> {
        self.at = start;
        let quoted = self.bytes.get(..end).unwrap_or_default();
        loop {
            self.at = line_end(quoted, self.at);
            if self.at >= end {
                return Ok(());
            }
            self.take_break();
            if self.document_mark().is_some() {
                return Err(self
                    .error("a document mark inside quotes")
                    .with_hint("close the quotes before it, or indent it"));
            }
        }
    }

    pub(super) fn fetch_block_scalar(&mut self, form: Form) -> Result<(), ScanError> {
        self.drop_key()?;
        self.key_allowed = true;
        let start = self.at;
        let header = Header::parse(self.bytes, start + 1)
            .ok_or_else(|| self.error("an indentation of 0 is not possible"))?;
        self.at = header.end;
        while is_blank(self.bytes, self.at) {
            self.at += 1;
        }
        if byte(self.bytes, self.at) == b'#' {
            self.take_comment(true);
        }
        if !is_breakz(self.bytes, self.at) {
            return Err(self
                .error("unexpected text behind the header of a block")
                .with_hint("the text of a block begins on the next line"));
        }
        self.take_break();
        let inner = self.block_content(header)?;
        let span = Span::new(start, inner.end().max(header.end));
        let span = if inner.is_empty() {
            Span::new(start, header.end)
        } else {
            span
        };
        self.queue.push_back(super::Placed {
            token: Token::Scalar(form, inner),
            span,
        });
        Ok(())
    }

    fn block_content(&mut self, header: Header) -> Result<Span, ScanError> {
        let start = self.at;
        let mut indent = if header.indent == 0 {
            0
        } else {
            self.indent.unwrap_or(0) + header.indent
        };
        let mut end = start;
        let mut breaks_end = self.block_breaks(&mut indent)?;
        while self.at - self.line_start == indent && self.at < self.bytes.len() {
            self.at = line_end(self.bytes, self.at);
            end = self.at;
            self.take_break();
            breaks_end = self.block_breaks(&mut indent)?;
        }
        Ok(Span::new(
            start,
            if header.chomp == Chomp::Keep {
                breaks_end
            } else {
                end
            },
        ))
    }

    /// Steps over empty lines and the indentation of the next one; returns the end of the last empty line.
    fn block_breaks(&mut self, indent: &mut usize) -> Result<usize, ScanError> {
        let mut end = self.at;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.at - self.line_start < *indent)
                && byte(self.bytes, self.at) == b' '
            {
                self.at += 1;
            }
            let column = self.at - self.line_start;
            deepest = deepest.max(column);
            if (*indent == 0 || column < *indent) && byte(self.bytes, self.at) == b'\t' {
                return Err(self
                    .error("a tab cannot indent YAML")
                    .with_hint("indent with spaces"));
            }
            if break_len(self.bytes, self.at) == 0 {
                break;
            }
            self.take_break();
            end = self.at;
        }
        if *indent == 0 {
            *indent = deepest
                .max(self.indent.map_or(0, |indent| indent + 1))
                .max(1);
        }
        Ok(end)
    }
}

/// Whether a word of a plain scalar may end at this byte.
fn may_end_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0 | b':' | 0xC2 | 0xE2)
        || ends_plain_in_flow(byte)
}

fn bad_escape(at: usize, len: usize, hint: &str) -> ScanError {
    ScanError::new(Span::new(at, at + len), "this escape is not known").with_hint(hint)
}

/// What happens to the line breaks at the end of a block scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::format::yaml) enum Chomp {
    /// One is kept.
    Clip,
    /// `-`: none is kept.
    Strip,
    /// `+`: all are kept.
    Keep,
}

/// What stands behind the `|` or `>` of a block scalar.
#[derive(Clone, Copy, Debug)]
pub(in crate::format::yaml) struct Header {
    pub(in crate::format::yaml) chomp: Chomp,
    /// Indentation of the content below that of the parent; 0 if it is to be found out.
    pub(in crate::format::yaml) indent: usize,
    /// Where it ends.
    pub(in crate::format::yaml) end: usize,
}

impl Header {
    /// Reads the indicators at `at`; `None` for an indentation of 0.
    pub(in crate::format::yaml) fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        let mut header = Self {
            chomp: Chomp::Clip,
            indent: 0,
            end: at,
        };
        for _ in 0..2 {
            match byte(bytes, header.end) {
                b'0' if header.indent == 0 => return None,
                digit @ b'1'..=b'9' if header.indent == 0 => {
                    header.indent = usize::from(digit - b'0');
                }
                b'+' if header.chomp == Chomp::Clip => header.chomp = Chomp::Keep,
                b'-' if header.chomp == Chomp::Clip => header.chomp = Chomp::Strip,
                _ => break,
            }
            header.end += 1;
        }
        Some(header)
    }
}
