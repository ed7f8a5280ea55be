//! Reads INI text into nodes, line by line.
//!
//! Knows sections, keys and comments; values are read in the neighbouring file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::unquoted;
use super::value::{self, Reading};
use crate::format::lines::{conflict, next_line};
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::span::{Position, Span};

pub(super) fn scan(source: &str) -> Result<Vec<Node>, ScanError> {
    let mut root = Node::new(Kind::Mapping, None, Span::new(0, source.len()));
    root.end = 1;
    let mut default = Node::new(Kind::Mapping, Some(0), Span::at(0));
    default.key = Some(Span::at(0));
    let mut scanner = Scanner {
        source,
        nodes: vec![root, default],
        section: 1,
        comments: Vec::new(),
        adjacent: false,
        keys: HashMap::new(),
    };
    scanner.document()?;
    Ok(scanner.nodes)
}

struct Scanner<'a> {
    source: &'a str,
    nodes: Vec<Node>,
    section: NodeId,
    /// Comments that wait for the key or section they stand above.
    comments: Vec<Node>,
    /// Whether the next comment line continues the last comment.
    adjacent: bool,
    /// The keys of the section, and where they stand.
    keys: HashMap<&'a str, usize>,
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Result<(), ScanError> {
        let mut at = if self.source.starts_with('\u{feff}') {
            3
        } else {
            0
        };
        while at < self.source.len() {
            at = self.line(at)?;
        }
        self.place_comments();
        self.close_section();
        let end = self.nodes.len();
        if let Some(root) = self.nodes.first_mut() {
            root.end = end;
        }
        Ok(())
    }

    /// Reads what begins on the line at byte `at`, and returns the line behind it.
    fn line(&mut self, at: usize) -> Result<usize, ScanError> {
        if let Some(error) = conflict(self.source, at) {
            return Err(error);
        }
        let next = next_line(self.source, at);
        let line = self.source.get(at..next).unwrap_or_default();
        let content = line.trim_start();
        let start = at + line.len() - content.len();
        let content = content.trim_end();
        match content.chars().next() {
            None => self.adjacent = false,
            Some('#' | ';') => self.comment_line(content, start),
            Some('[') => self.header(content, start)?,
            Some(_) => return self.key_line(content, start),
        }
        Ok(next)
    }

    /// A line of its own that is a comment. It continues the comment above unless one of the two is a token or the one
    /// above is empty: such lines have to stay apart to be read.
    fn comment_line(&mut self, content: &str, start: usize) {
        let line = Span::new(start, start + content.len());
        let node = comment(content, start);
        let is_token = is_token(node.inner.of(self.source));
        match self.comments.last_mut() {
            Some(above) if self.adjacent && !is_token => {
                above.span = Span::new(above.span.start(), line.end());
                above.inner = Span::new(above.inner.start(), line.end());
            }
            _ => self.comments.push(node),
        }
        self.adjacent = !is_token
            && self
                .comments
                .last()
                .is_some_and(|comment| !comment.inner.is_empty());
    }

    fn header(&mut self, content: &str, start: usize) -> Result<(), ScanError> {
        let line = Span::new(start, start + content.len());
        let Some(close) = content.rfind(']') else {
            return Err(ScanError::new(line, "this section header has no `]`"));
        };
        if close == 1 {
            return Err(ScanError::new(line, "this section has no name"));
        }
        let name = Span::new(start + 1, start + close);
        if name.of(self.source) == "sops" {
            // Comments above the metadata were at the end of the file before it was sealed.
            self.place_comments();
        }
        self.close_section();
        let mut node = Node::new(Kind::Mapping, Some(0), Span::new(start, start + close + 1));
        node.key = Some(name);
        self.section = self.nodes.len();
        self.keys.clear();
        self.push(node);
        self.place_comments();
        let behind = content.get(close + 1..).unwrap_or_default();
        if let Some(mark) = behind.find(['#', ';']) {
            let text = behind.get(mark..).unwrap_or_default();
            let mut node = inline_comment(text, start + close + 1 + mark, self.section);
            node.behind_header = true;
            self.push(node);
        }
        Ok(())
    }

    fn key_line(&mut self, content: &str, start: usize) -> Result<usize, ScanError> {
        let (name, delimiter) = self.key_name(content, start)?;
        let Reading {
            form,
            span,
            inner,
            comment: behind,
            next,
        } = value::read(self.source, delimiter + 1)?;
        let mut node = Node::new(Kind::Scalar, Some(self.section), span);
        node.key = Some(name);
        node.form = form;
        node.inner = inner;
        self.check_key(name)?;
        self.push(node);
        self.place_comments();
        if let Some(behind) = behind {
            let text = behind.of(self.source);
            self.push(inline_comment(text, behind.start(), self.section));
        }
        Ok(next)
    }

    /// The span of a key with its quotes, and the place of the delimiter behind it.
    fn key_name(&self, content: &str, start: usize) -> Result<(Span, usize), ScanError> {
        let line = Span::new(start, start + content.len());
        // The library counts the line break, which is why a bare `"""=x` is not a triple quote.
        let line_length = next_line(self.source, start) - start;
        let quote = match content {
            _ if content.starts_with("\"\"\"") && line_length > 6 => "\"\"\"",
            _ if content.starts_with('"') => "\"",
            _ if content.starts_with('`') => "`",
            _ => "",
        };
        let mut name_end = 0;
        if !quote.is_empty() {
            let inside = content.get(quote.len()..).unwrap_or_default();
            let Some(length) = inside.find(quote) else {
                return Err(ScanError::new(
                    line,
                    format!("this key has no closing {quote}"),
                ));
            };
            name_end = length + 2 * quote.len();
        }
        let behind = content.get(name_end..).unwrap_or_default();
        let Some(delimiter) = behind.find(['=', ':']).map(|at| name_end + at) else {
            let number = Position::of(self.source, start).line;
            let message = format!("line {number} has neither `=` nor `:`");
            return Err(ScanError::new(line, message));
        };
        if quote.is_empty() {
            name_end = content
                .get(..delimiter)
                .unwrap_or_default()
                .trim_end()
                .len();
        }
        Ok((Span::new(start, start + name_end), start + delimiter))
    }

    fn check_key(&mut self, span: Span) -> Result<(), ScanError> {
        let name = unquoted(span.of(self.source));
        if name.is_empty() {
            return Err(ScanError::new(span, "this key is empty"));
        }
        if name == "-" {
            return Err(
                ScanError::new(span, "a key named `-` would be lost by SOPS")
                    .with_hint("give the key a name"),
            );
        }
        match self.keys.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(span.start());
                Ok(())
            }
            Entry::Occupied(entry) => {
                let line = |at| Position::of(self.source, at).line;
                let (first, second) = (line(*entry.get()), line(span.start()));
                let message = format!(
                    "the key `{name}` stands twice in its section, on lines {first} and {second}"
                );
                Err(ScanError::new(span, message).with_hint("keep only the one that counts"))
            }
        }
    }

    fn push(&mut self, mut node: Node) {
        node.end = self.nodes.len() + 1;
        if let Some(section) = self.nodes.get_mut(self.section) {
            let end = section.span.end().max(node.span.end());
            section.span = Span::new(section.span.start(), end);
        }
        self.nodes.push(node);
    }

    /// Hands the waiting comments to the section.
    fn place_comments(&mut self) {
        self.adjacent = false;
        for mut node in std::mem::take(&mut self.comments) {
            node.parent = Some(self.section);
            node.end = self.nodes.len() + 1;
            self.nodes.push(node);
        }
    }

    fn close_section(&mut self) {
        let end = self.nodes.len();
        if let Some(section) = self.nodes.get_mut(self.section) {
            section.end = end;
            section.inner = section.span;
        }
    }
}

/// A comment that begins with its mark at byte `start`. Marks of one kind and blanks before its text are not part of it.
fn comment(content: &str, start: usize) -> Node {
    let stripped = if content.starts_with(';') {
        content.trim_start_matches([';', ' '])
    } else {
        content.trim_start_matches(['#', ' '])
    };
    let end = start + content.len();
    let mut node = Node::new(Kind::Comment, None, Span::new(start, end));
    node.inner = Span::new(end - stripped.len(), end);
    node
}

/// A comment behind a header or a value of `section`.
fn inline_comment(content: &str, start: usize, section: NodeId) -> Node {
    let mut node = comment(content, start);
    node.parent = Some(section);
    node.inline = true;
    node
}

/// Whether a comment's text is a token.
fn is_token(text: &str) -> bool {
    text.starts_with("ENC[AES256_GCM,") && text.ends_with(']')
}
