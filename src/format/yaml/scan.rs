//! From characters to tokens: where keys, values, scalars and blocks begin and end.
//!
//! Follows go-yaml v3 to the letter (spec 7.2.1), which follows libyaml: simple keys are recognised when their `:` comes,
//! indentation makes block tokens. Tokens are spans; nothing is decoded, nothing is copied. Knows nothing of grammar:
//! which token may follow which is decided in `build`.

use std::collections::VecDeque;

use super::chars::{bom_len, break_len, byte, char_count, is_blank, is_blankz, is_word, line_end};
use crate::format::MAX_DEPTH;
use crate::format::lines::{marker_len, unresolved};
use crate::node::{Form, ScanError};
use crate::span::Span;

pub(super) mod directive;
pub(super) mod scalars;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// End of the text.
    StreamEnd,
    /// `%YAML`; whether the version is 1.1 or 1.2 was checked.
    Version,
    /// `%TAG`; the text is read again by the builder.
    TagDirective,
    /// `---`
    DocumentStart,
    /// `...`
    DocumentEnd,
    /// A block sequence begins in this column.
    BlockSequence(u32),
    /// A block mapping begins in this column; its first key follows.
    BlockMapping(u32),
    /// A block collection ends.
    BlockEnd,
    /// `[`
    FlowSequence,
    /// `]`
    FlowSequenceEnd,
    /// `{`
    FlowMapping,
    /// `}`
    FlowMappingEnd,
    /// `- `
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `?`, or the place where a key without it begins.
    Key,
    /// `:`
    Value,
    /// `*name`
    Alias,
    /// `&name`
    Anchor,
    /// `!tag`
    Tag,
    /// A scalar in this form; the span that holds its text.
    Scalar(Form, Span),
    /// A place where a key may begin, at this flow level, until it is known whether a `:` follows.
    Maybe(u32),
    /// As `Key`, but it also begins a block mapping in this column.
    FirstKey(u32),
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// A comment and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment {
    /// From the `#` to the end of the line.
    pub(super) span: Span,
    /// Column of the `#` in characters, from 0.
    pub(super) column: usize,
    /// Whether anything but blanks stands before it on its line.
    pub(super) inline: bool,
    /// Whether it directly follows the token that was read last, which is not a `-`.
    pub(super) line: bool,
}

/// A place where a key may have begun.
#[derive(Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    number: usize,
    at: usize,
    line_start: usize,
    column: usize,
}

/// An implicit key must end within this many characters.
const MAX_KEY: usize = 1024;
/// go-yaml looks this many bytes ahead for a further comment line.
const COMMENT_LOOKAHEAD: usize = 512;

/// The scanner. `next` yields the tokens; `comments` collects the comments on the way.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line_start: usize,
    /// A place on this line and its column, so that no byte is counted twice.
    counted: (usize, usize),
    queue: VecDeque<Placed>,
    taken: usize,
    keys: Vec<SimpleKey>,
    key_allowed: bool,
    indent: Option<usize>,
    indents: Vec<Option<usize>>,
    /// Comments read and not yet placed by the builder.
    pub(super) comments: VecDeque<Comment>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let bytes = source.as_bytes();
        let start = bom_len(bytes);
        Self {
            bytes,
            at: start,
            line_start: start,
            counted: (start, 0),
            queue: VecDeque::new(),
            taken: 0,
            keys: vec![SimpleKey::default()],
            key_allowed: true,
            indent: None,
            indents: Vec::new(),
            comments: VecDeque::new(),
        }
    }

    /// The next token. Not to be called again after [`Token::StreamEnd`].
    pub(super) fn next(&mut self) -> Result<Placed, ScanError> {
        loop {
            match self.queue.front() {
                Some(&Placed {
                    token: Token::Maybe(level),
                    ..
                }) => {
                    if self.may_be_key(level)? {
                        self.fetch()?;
                        continue;
                    }
                    self.queue.pop_front();
                    self.taken += 1;
                }
                Some(&placed) => {
                    self.queue.pop_front();
                    self.taken += 1;
                    return Ok(placed);
                }
                None => self.fetch()?,
            }
        }
    }

    /// Whether the `Maybe` token at the head of the queue can still become a key.
    fn may_be_key(&mut self, level: u32) -> Result<bool, ScanError> {
        let level = level as usize;
        let Some(key) = self.keys.get(level).copied() else {
            return Ok(false);
        };
        if !key.possible || key.number != self.taken {
            return Ok(false);
        }
        self.key_is_valid(level)
    }

    fn fetch(&mut self) -> Result<(), ScanError> {
        self.skip_to_token()?;
        if self.at >= self.bytes.len() {
            // No key of the last line can find its `:` any more.
            self.begin_line();
            self.unroll(None);
            self.drop_key()?;
            self.key_allowed = false;
            self.push(Token::StreamEnd, self.at);
            return Ok(());
        }
        if !self.in_flow() {
            let column = self.column();
            self.unroll(Some(column));
        }
        if self.at == self.line_start {
            if byte(self.bytes, self.at) == b'%' {
                return self.fetch_directive();
            }
            if let Some(token) = self.document_mark() {
                self.unroll(None);
                self.drop_key()?;
                self.key_allowed = false;
                let start = self.at;
                self.at += 3;
                self.push(token, start);
                return Ok(());
            }
            self.refuse_conflict_marker()?;
        }
        self.fetch_content()?;
        if !matches!(
            self.queue.back(),
            Some(Placed {
                token: Token::BlockEntry,
                ..
            })
        ) {
            self.line_comment();
        }
        Ok(())
    }

    fn fetch_content(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let next_ends = is_blankz(self.bytes, start + 1);
        match byte(self.bytes, start) {
            b'[' => self.open_flow(Token::FlowSequence),
            b'{' => self.open_flow(Token::FlowMapping),
            b']' => self.close_flow(Token::FlowSequenceEnd),
            b'}' => self.close_flow(Token::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.take(Token::FlowEntry, 1);
                Ok(())
            }
            b'-' if next_ends => self.fetch_block_entry(),
            b'?' if next_ends || self.in_flow() => self.fetch_key(),
            b':' if next_ends || self.in_flow() => self.fetch_value(),
            b'*' => self.fetch_name(Token::Alias),
            b'&' => self.fetch_name(Token::Anchor),
            b'!' => self.fetch_tag(),
            b'|' if !self.in_flow() => self.fetch_block_scalar(Form::Literal),
            b'>' if !self.in_flow() => self.fetch_block_scalar(Form::Folded),
            b'\'' => self.fetch_quoted(Form::Single),
            b'"' => self.fetch_quoted(Form::Double),
            b'\t' => Err(self
                .error("a tab cannot indent YAML")
                .with_hint("indent with spaces")),
            b'%' | b'@' | b'`' | b'|' | b'>' => Err(self
                .error("this character cannot begin a value")
                .with_hint("put the value in quotes")),
            _ => self.fetch_plain(),
        }
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    fn error(&self, message: &str) -> ScanError {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = 1 + rest
            .iter()
            .skip(1)
            .take_while(|&&byte| byte & 0xC0 == 0x80)
            .count();
        let len = if rest.is_empty() { 0 } else { len };
        ScanError::new(Span::new(self.at, self.at + len), message)
    }

    fn push(&mut self, token: Token, start: usize) {
        self.queue.push_back(Placed {
            token,
            span: Span::new(start, self.at),
        });
    }

    /// Pushes a token of `len` bytes here.
    fn take(&mut self, token: Token, len: usize) {
        let start = self.at;
        self.at += len;
        self.push(token, start);
    }

    /// Column in characters, from 0.
    fn column(&mut self) -> usize {
        let (from, columns) = self.counted;
        let added = char_count(self.bytes.get(from..self.at).unwrap_or_default());
        self.counted = (self.at, columns + added);
        columns + added
    }

    /// Steps over the line break here.
    fn take_break(&mut self) {
        self.at += break_len(self.bytes, self.at);
        self.begin_line();
    }

    /// Says that a line begins here.
    fn begin_line(&mut self) {
        self.line_start = self.at;
        self.counted = (self.at, 0);
    }

    fn document_mark(&self) -> Option<Token> {
        if !is_blankz(self.bytes, self.at + 3) {
            return None;
        }
        match self.bytes.get(self.at..self.at + 3)? {
            b"---" => Some(Token::DocumentStart),
            b"..." => Some(Token::DocumentEnd),
            _ => None,
        }
    }

    /// A version-control conflict would otherwise be read as a scalar, or lead to a confusing message.
    fn refuse_conflict_marker(&self) -> Result<(), ScanError> {
        let len = marker_len(self.bytes.get(self.at..).unwrap_or_default());
        if len > 0 {
            return Err(unresolved(Span::new(self.at, self.at + len)));
        }
        Ok(())
    }

    fn skip_to_token(&mut self) -> Result<(), ScanError> {
        loop {
            let tabs = self.in_flow() || !self.key_allowed;
            while byte(self.bytes, self.at) == b' ' || tabs && byte(self.bytes, self.at) == b'\t' {
                self.at += 1;
            }
            if byte(self.bytes, self.at) == b'#' {
                self.comment_lines();
            }
            if break_len(self.bytes, self.at) == 0 {
                return Ok(());
            }
            self.take_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Reads the comment here and those on the lines below it. go-yaml accepts tabs before the latter.
    fn comment_lines(&mut self) {
        loop {
            self.take_comment(false);
            let mut peek = self.at + break_len(self.bytes, self.at);
            while peek < self.at + COMMENT_LOOKAHEAD {
                let width = if is_blank(self.bytes, peek) {
                    1
                } else {
                    break_len(self.bytes, peek)
                };
                if width == 0 {
                    break;
                }
                peek += width;
            }
            if byte(self.bytes, peek) != b'#' || peek >= self.at + COMMENT_LOOKAHEAD {
                return;
            }
            while self.at < peek {
                if break_len(self.bytes, self.at) > 0 {
                    self.take_break();
                } else {
                    self.at += 1;
                }
            }
        }
    }

    /// Reads a comment that follows the last token on its line.
    fn line_comment(&mut self) {
        if self
            .queue
            .back()
            .is_none_or(|last| last.span.end() <= self.line_start)
        {
            return;
        }
        let mut peek = self.at;
        while is_blank(self.bytes, peek) && peek < self.at + COMMENT_LOOKAHEAD {
            peek += 1;
        }
        if byte(self.bytes, peek) == b'#' && peek < self.at + COMMENT_LOOKAHEAD {
            self.at = peek;
            self.take_comment(true);
        }
    }

    fn take_comment(&mut self, line: bool) {
        let (start, column) = (self.at, self.column());
        self.at = line_end(self.bytes, start);
        let before = self.bytes.get(self.line_start..start).unwrap_or_default();
        let inline = line || before.iter().any(|byte| !matches!(byte, b' ' | b'\t'));
        self.comments.push_back(Comment {
            span: Span::new(start, self.at),
            column,
            inline,
            line,
        });
    }

    /// Ends the blocks that are deeper than `column`; all blocks for `None`.
    fn unroll(&mut self, column: Option<usize>) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            self.push(Token::BlockEnd, self.at);
            self.indent = self.indents.pop().flatten();
        }
    }

    /// Begins a block in `column` if it is deeper than the current one; whether it did.
    fn roll(&mut self, column: usize) -> Result<bool, ScanError> {
        if self.in_flow() || self.indent >= Some(column) {
            return Ok(false);
        }
        self.indents.push(self.indent);
        self.indent = Some(column);
        if self.indents.len() > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        Ok(true)
    }

    /// Notes that a key may begin here.
    fn save_key(&mut self) -> Result<(), ScanError> {
        if !self.key_allowed {
            return Ok(());
        }
        let column = if self.in_flow() { 0 } else { self.column() };
        let required = !self.in_flow() && self.indent == Some(column);
        self.drop_key()?;
        let level = self.keys.len() - 1;
        let number = self.taken + self.queue.len();
        if let Some(slot) = self.keys.last_mut() {
            let (at, line_start) = (self.at, self.line_start);
            *slot = SimpleKey {
                possible: true,
                required,
                number,
                at,
                line_start,
                column,
            };
        }
        self.push(
            Token::Maybe(u32::try_from(level).unwrap_or(u32::MAX)),
            self.at,
        );
        Ok(())
    }

    /// Gives up the possible key of this flow level.
    fn drop_key(&mut self) -> Result<(), ScanError> {
        match self.keys.last_mut() {
            Some(key) if key.possible && key.required => Err(no_colon(*key)),
            Some(key) => {
                key.possible = false;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether the possible key of `level` is still on one line and short enough.
    fn key_is_valid(&mut self, level: usize) -> Result<bool, ScanError> {
        let Some(key) = self.keys.get_mut(level).filter(|key| key.possible) else {
            return Ok(false);
        };
        let text = self.bytes.get(key.at..self.at).unwrap_or_default();
        let long = text.len() > MAX_KEY && (text.len() > 4 * MAX_KEY || char_count(text) > MAX_KEY);
        if key.line_start == self.line_start && !long {
            return Ok(true);
        }
        if key.required {
            return Err(no_colon(*key));
        }
        key.possible = false;
        Ok(false)
    }

    fn open_flow(&mut self, token: Token) -> Result<(), ScanError> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        if self.keys.len() > MAX_DEPTH + 1 {
            return Err(self.error("nested too deeply"));
        }
        self.key_allowed = true;
        self.take(token, 1);
        Ok(())
    }

    fn close_flow(&mut self, token: Token) -> Result<(), ScanError> {
        self.drop_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.take(token, 1);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), ScanError> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.error("a list item cannot begin here"));
            }
            let column = self.column();
            if self.roll(column)? {
                self.push(Token::BlockSequence(narrow(column)), self.at);
            }
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.take(Token::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), ScanError> {
        if !self.in_flow() {
            if !self.key_allowed {
                return Err(self.error("a key cannot begin here"));
            }
            let column = self.column();
            if self.roll(column)? {
                self.push(Token::BlockMapping(narrow(column)), self.at);
            }
        }
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.take(Token::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), ScanError> {
        let level = self.keys.len() - 1;
        if self.key_is_valid(level)? {
            let Some(key) = self.keys.last_mut() else {
                return Ok(());
            };
            key.possible = false;
            let key = *key;
            let token = if self.roll(key.column)? {
                Token::FirstKey(narrow(key.column))
            } else {
                Token::Key
            };
            let place = key
                .number
                .checked_sub(self.taken)
                .and_then(|at| self.queue.get_mut(at));
            if let Some(place) = place {
                place.token = token;
            }
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return Err(self
                        .error("a `:` cannot stand here")
                        .with_hint("put a value that holds `: ` in quotes"));
                }
                let column = self.column();
                if self.roll(column)? {
                    self.push(Token::BlockMapping(narrow(column)), self.at);
                }
            }
            self.key_allowed = !self.in_flow();
        }
        self.take(Token::Value, 1);
        Ok(())
    }

    fn fetch_name(&mut self, token: Token) -> Result<(), ScanError> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.at;
        let mut end = start + 1;
        while is_word(byte(self.bytes, end)) {
            end += 1;
        }
        let ends = is_blankz(self.bytes, end)
            || matches!(
                byte(self.bytes, end),
                b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`'
            );
        if end == start + 1 || !ends {
            let message = if token == Token::Anchor {
                "this is not an anchor"
            } else {
                "this is not an alias"
            };
            return Err(ScanError::new(Span::new(start, end), message).with_hint(
                "names have letters, digits, `-` and `_`; put a value that begins with `*` or `&` in quotes",
            ));
        }
        let glued = matches!(byte(self.bytes, end), b'?' | b':') && !is_blankz(self.bytes, end + 1);
        if token == Token::Anchor && glued {
            // go-yaml ends the name here; by YAML 1.2 it goes on.
            let message = "a blank is missing behind this anchor";
            return Err(ScanError::new(Span::new(start, end), message)
                .with_hint("put a value that begins with `&` in quotes"));
        }
        self.at = end;
        self.push(token, start);
        Ok(())
    }
}

/// A column for a token; texts are limited to 4 GiB.
fn narrow(column: usize) -> u32 {
    u32::try_from(column).unwrap_or(u32::MAX)
}

fn no_colon(key: SimpleKey) -> ScanError {
    ScanError::new(Span::at(key.at), "a key without its `:`")
        .with_hint("a key and its `:` stand on one line, at most 1024 characters apart")
}

/// Whether the byte ends a plain scalar inside a flow collection.
fn ends_plain_in_flow(byte: u8) -> bool {
    matches!(byte, b',' | b'?' | b'[' | b']' | b'{' | b'}')
}
