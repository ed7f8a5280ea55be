//! Reads JSON text into nodes, byte by byte and without recursion.
//!
//! Knows the grammar and nothing of what values mean: numbers and escapes are checked here and decoded elsewhere.

use memchr::memchr2;

use crate::format::MAX_DEPTH;
use crate::format::lines::conflict;
use crate::node::{Form, Kind, Node, NodeId, ScanError};
use crate::span::Span;

pub(super) fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    let mut scanner = Scanner {
        source,
        bytes: source.as_bytes(),
        at: 0,
        nodes: Vec::new(),
        open: Vec::new(),
    };
    scanner.document()?;
    Ok(scanner.nodes)
}

/// What may come next inside a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// An entry, or the end of an empty container.
    EntryOrEnd,
    /// An entry: a comma stands before.
    Entry,
    /// A comma, or the end.
    CommaOrEnd,
}

struct Scanner<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<NodeId>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), ScanError> {
        if self.source.starts_with('\u{feff}') {
            let message = "expected an object, found a byte order mark";
            return Err(ScanError::new(Span::new(0, 3), message)
                .with_hint("save the file as UTF-8 without a byte order mark"));
        }
        self.skip_blanks();
        if self.peek() != Some(b'{') {
            return Err(self.unexpected("an object at the top level"));
        }
        self.open(Kind::Mapping, None)?;
        let mut expected = Expected::EntryOrEnd;
        while let Some(&container) = self.open.last() {
            expected = self.step(container, expected)?;
        }
        self.skip_blanks();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("nothing more after the object")),
        }
    }

    /// Reads one entry, one comma or one end of `container`.
    fn step(&mut self, container: NodeId, expected: Expected) -> Result<Expected, ScanError> {
        self.skip_blanks();
        let is_object = self
            .nodes
            .get(container)
            .is_some_and(|node| node.kind == Kind::Mapping);
        let close = if is_object { b'}' } else { b']' };
        match (self.peek(), expected) {
            (Some(b','), Expected::CommaOrEnd) => {
                self.at += 1;
                Ok(Expected::Entry)
            }
            (Some(byte), Expected::EntryOrEnd | Expected::CommaOrEnd) if byte == close => {
                self.at += 1;
                self.close(container);
                Ok(Expected::CommaOrEnd)
            }
            (_, Expected::CommaOrEnd) if is_object => Err(self.unexpected("`,` or `}`")),
            (_, Expected::CommaOrEnd) => Err(self.unexpected("`,` or `]`")),
            _ if is_object => self.member(expected),
            _ => self.value(None, expected),
        }
    }

    fn member(&mut self, expected: Expected) -> Result<Expected, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(match expected {
                Expected::EntryOrEnd => "a key in `\"` or `}`",
                Expected::Entry | Expected::CommaOrEnd => "a key in `\"` after the comma",
            }));
        }
        let key = self.string()?;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` after the key"));
        }
        self.at += 1;
        self.skip_blanks();
        self.value(Some(key), Expected::Entry)
    }

    fn value(&mut self, key: Option<Span>, expected: Expected) -> Result<Expected, ScanError> {
        match self.peek() {
            Some(b'{') => return self.open(Kind::Mapping, key),
            Some(b'[') => return self.open(Kind::Sequence, key),
            Some(b'"') => {
                let span = self.string()?;
                self.scalar(key, span, Form::Double);
            }
            Some(b'-' | b'0'..=b'9') => {
                let span = self.number()?;
                self.scalar(key, span, Form::Plain);
            }
            Some(b't') => self.word(key, "true")?,
            Some(b'f') => self.word(key, "false")?,
            Some(b'n') => self.word(key, "null")?,
            _ if key.is_none() && expected == Expected::EntryOrEnd => {
                return Err(self.unexpected("a value or `]`"));
            }
            _ => return Err(self.unexpected("a value")),
        }
        Ok(Expected::CommaOrEnd)
    }

    fn open(&mut self, kind: Kind, key: Option<Span>) -> Result<Expected, ScanError> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("the nesting is deeper than {MAX_DEPTH} levels");
            return Err(ScanError::new(Span::new(self.at, self.at + 1), message));
        }
        let mut node = Node::new(kind, self.open.last().copied(), Span::at(self.at));
        node.key = key;
        self.open.push(self.nodes.len());
        self.nodes.push(node);
        self.at += 1;
        Ok(Expected::EntryOrEnd)
    }

    fn close(&mut self, container: NodeId) {
        let end = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(container) {
            node.span = Span::new(node.span.start(), self.at);
            node.inner = node.span;
            node.end = end;
        }
        self.open.pop();
    }

    fn scalar(&mut self, key: Option<Span>, span: Span, form: Form) {
        let mut node = Node::new(Kind::Scalar, self.open.last().copied(), span);
        node.key = key;
        node.form = form;
        if form == Form::Double {
            node.inner = Span::new(span.start() + 1, span.end() - 1);
        }
        node.end = self.nodes.len() + 1;
        self.nodes.push(node);
    }

    /// The span of a string with its quotes. Its characters and escapes are checked, not decoded.
    fn string(&mut self) -> Result<Span, ScanError> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let length = memchr2(b'"', b'\\', rest);
            let plain = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
            if let Some(control) = plain.iter().position(|&byte| byte < 0x20) {
                self.at += control;
                return Err(self.unexpected("`\"` or an escape such as `\\n`"));
            }
            let Some(length) = length else {
                self.at = self.bytes.len();
                return Err(self.unexpected("`\"` at the end of the string"));
            };
            self.at += length;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(Span::new(start, self.at));
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        let span = Span::new(start, self.at);
                        return Err(ScanError::new(span, "expected four hex digits after `\\u`"));
                    }
                    self.at += 1;
                }
            }
            _ => {
                let span = Span::new(start, self.at);
                let message = "expected one of `\"\\/bfnrtu` after the backslash";
                return Err(ScanError::new(span, message));
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Span, ScanError> {
        let start = self.at;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        } else if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected("no digit after a leading zero"));
        }
        if self.skip(b'.') {
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            if !self.skip(b'+') {
                self.skip(b'-');
            }
            self.digits()?;
        }
        self.end_of_word("the end of the number")?;
        Ok(Span::new(start, self.at))
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected("a digit"));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, key: Option<Span>, word: &str) -> Result<(), ScanError> {
        let start = self.at;
        for byte in word.bytes() {
            if !self.skip(byte) {
                return Err(self.unexpected(&format!("`{word}`")));
            }
        }
        self.end_of_word(&format!("the end of `{word}`"))?;
        self.scalar(key, Span::new(start, self.at), Form::Plain);
        Ok(())
    }

    /// A value without quotes must be followed by something that cannot belong to it.
    fn end_of_word(&self, expected: &str) -> Result<(), ScanError> {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}') => Ok(()),
            Some(_) => Err(self.unexpected(expected)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The error at the current character. Names kinds of characters, never text of the file.
    fn unexpected(&self, expected: &str) -> ScanError {
        if let Some(error) = conflict(self.source, self.at) {
            return error;
        }
        let next = self
            .source
            .get(self.at..)
            .and_then(|rest| rest.chars().next());
        let length = next.map_or(0, char::len_utf8);
        let found = match next {
            None => "the end of the file",
            Some('{') => "an object",
            Some('[') => "a list",
            Some('"') => "a string",
            Some('}') => "`}`",
            Some(']') => "`]`",
            Some(',') => "`,`",
            Some(':') => "`:`",
            Some('/' | '#') => "a comment",
            Some('\'') => "`'`",
            Some('\n' | '\r') => "a line break",
            Some('\0'..='\u{1f}') => "a control character",
            Some('0'..='9' | '-') => "a number",
            Some('t' | 'f' | 'n') => "a word",
            Some(_) => "something else",
        };
        let span = Span::new(self.at, self.at + length);
        let error = ScanError::new(span, format!("expected {expected}, found {found}"));
        if matches!(next, Some('/' | '#')) {
            return error.with_hint("JSON has no comments; SOPS refuses them");
        }
        error
    }
}
