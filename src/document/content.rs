//! A document, or a part of one, as [`Content`]: its values without the text they stood in.
//!
//! Knows that INI hangs its comments behind the keys they are about, and that its first section may be written by nobody.

use crate::content::{Comment, Content, Entry, MAX_DEPTH, Part};
use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::value::Value;

/// What a scalar or comment of a document stands for.
#[derive(Debug)]
pub enum Leaf<'a> {
    /// A value.
    Value(Value<'a>),
    /// The text of a comment.
    Comment(Plain<'a>),
}

impl<'a> Document<'a> {
    /// The content of the node `id`: aliases followed, the metadata left out, every comment before what it is about.
    ///
    /// # Errors
    /// [`ScanError`] for a key that is not a string, a value that cannot be decoded, nesting deeper than
    /// [`MAX_DEPTH`], and aliases that multiply the text beyond reason.
    pub fn content(&self, id: NodeId) -> Result<Content<'a>, ScanError> {
        Builder::new(self, &|_, node| self.leaf(node)).content(id, 0)
    }

    /// The same with the scalars of TOML in their own spelling: a local date is one in TOML alone.
    ///
    /// # Errors
    /// [`ScanError`] as [`Self::content`] has it.
    pub fn content_as_spelled(&self, id: NodeId) -> Result<Content<'a>, ScanError> {
        let read = |_, node: &Node| Ok(leaf(node, self.plaintext(node)?));
        Builder::new(self, &read).content(id, 0)
    }

    /// The content of every document in the text.
    ///
    /// # Errors
    /// [`ScanError`] as [`Self::content`] has it.
    pub fn contents(&self) -> Result<Vec<Content<'a>>, ScanError> {
        self.contents_with(&|_, node| self.leaf(node))
    }

    /// The same with scalars and comments that stand for what `read` says.
    ///
    /// # Errors
    /// Those of `read`, and [`ScanError`] as [`Self::content`] has it.
    pub fn contents_with(&self, read: Read<'_, 'a>) -> Result<Vec<Content<'a>>, ScanError> {
        let mut builder = Builder::new(self, read);
        self.roots().map(|root| builder.content(root, 0)).collect()
    }

    /// What a scalar or comment stands for as it is written.
    ///
    /// # Errors
    /// [`ScanError`] if it cannot be decoded.
    pub fn leaf(&self, node: &Node) -> Result<Leaf<'a>, ScanError> {
        Ok(leaf(node, self.value(node)?))
    }
}

fn leaf<'a>(node: &Node, value: Value<'a>) -> Leaf<'a> {
    match (node.kind, value) {
        (Kind::Comment, Value::Str(text)) => Leaf::Comment(text),
        (_, value) => Leaf::Value(value),
    }
}

/// Reads a scalar or comment.
type Read<'r, 'a> = &'r dyn Fn(NodeId, &Node) -> Result<Leaf<'a>, ScanError>;

struct Builder<'d, 'a> {
    document: &'d Document<'a>,
    read: Read<'d, 'a>,
    /// How many nodes may still be copied, aliases followed.
    budget: usize,
}

impl<'d, 'a> Builder<'d, 'a> {
    fn new(document: &'d Document<'a>, read: Read<'d, 'a>) -> Self {
        Self {
            document,
            read,
            budget: document.copy_budget(),
        }
    }

    fn content(&mut self, id: NodeId, depth: usize) -> Result<Content<'a>, ScanError> {
        let document = self.document;
        let Some(node) = document.node(id) else {
            return Ok(Content::Scalar(Value::Null));
        };
        if depth > MAX_DEPTH {
            let message = format!("the nesting is deeper than {MAX_DEPTH} levels");
            return Err(ScanError::new(node.span, message));
        }
        self.budget = self.budget.checked_sub(1).ok_or_else(|| {
            ScanError::new(node.span, "aliases multiply this document beyond reason")
        })?;
        Ok(match node.kind {
            Kind::Alias { target } => self.content(target, depth + 1)?,
            Kind::Sequence => Content::List(self.list(id, depth + 1)?),
            Kind::Mapping => Content::Map(self.map(id, depth + 1)?),
            Kind::Scalar | Kind::Comment => Content::Scalar(match (self.read)(id, node)? {
                Leaf::Value(value) => value,
                Leaf::Comment(text) => Value::Str(text),
            }),
        })
    }

    fn list(&mut self, id: NodeId, depth: usize) -> Result<Vec<Part<'a, Content<'a>>>, ScanError> {
        let mut parts = Vec::new();
        for (item, node) in self.children(id) {
            let is_leaf = matches!(node.kind, Kind::Scalar | Kind::Comment);
            parts.push(
                match is_leaf.then(|| (self.read)(item, node)).transpose()? {
                    Some(Leaf::Comment(text)) => Part::Comment(Comment {
                        text,
                        inline: node.inline,
                    }),
                    Some(Leaf::Value(value)) => Part::Item(Content::Scalar(value)),
                    None => Part::Item(self.content(item, depth)?),
                },
            );
        }
        Ok(parts)
    }

    fn map(&mut self, id: NodeId, depth: usize) -> Result<Vec<Part<'a, Entry<'a>>>, ScanError> {
        if self.document.format() == Format::Ini {
            return self.ini_map(id, depth);
        }
        let mut parts = Vec::new();
        for (child, node) in self.children(id) {
            parts.push(match node.kind {
                Kind::Comment => Part::Comment(Comment {
                    text: self.comment(child, node)?,
                    inline: node.inline,
                }),
                _ => Part::Item(self.entry(child, node, depth)?),
            });
        }
        Ok(parts)
    }

    fn entry(&mut self, id: NodeId, node: &Node, depth: usize) -> Result<Entry<'a>, ScanError> {
        Ok(Entry {
            key: self.document.key(node)?,
            content: self.content(id, depth)?,
        })
    }

    fn comment(&self, id: NodeId, node: &Node) -> Result<Plain<'a>, ScanError> {
        Ok(match (self.read)(id, node)? {
            Leaf::Comment(text) | Leaf::Value(Value::Str(text)) => text,
            Leaf::Value(_) => Plain::from(""),
        })
    }

    /// The children of a container but the metadata.
    fn children(&self, id: NodeId) -> impl Iterator<Item = (NodeId, &'d Node)> + use<'d, 'a> {
        let document = self.document;
        document
            .children(id)
            .filter(|child| document.metadata().binary_search(child).is_err())
            .filter_map(|child| Some((child, document.node(child)?)))
    }

    /// A section, or all of them: comments that stand above a key or beside it follow it in the table.
    fn ini_map(&mut self, id: NodeId, depth: usize) -> Result<Vec<Part<'a, Entry<'a>>>, ScanError> {
        let mut parts = Vec::new();
        let mut last: Option<(usize, Entry<'a>)> = None;
        for (child, node) in self.children(id) {
            if node.kind != Kind::Comment {
                parts.extend(last.take().map(|(_, entry)| Part::Item(entry)));
                let entry = self.entry(child, node, depth)?;
                if node.is_unwritten_section() && entry.content.entries().next().is_none() {
                    parts.extend(comments(entry.content));
                } else {
                    last = Some((node.key.unwrap_or(node.span).start(), entry));
                }
                continue;
            }
            let text = self.comment(child, node)?;
            if last
                .as_ref()
                .is_some_and(|&(start, _)| !node.inline && node.span.start() > start)
            {
                parts.extend(last.take().map(|(_, entry)| Part::Item(entry)));
            }
            let inline = node.inline && last.is_some();
            parts.extend(
                ini_lines(text.expose()).map(|text| Part::Comment(Comment { text, inline })),
            );
        }
        parts.extend(last.map(|(_, entry)| Part::Item(entry)));
        Ok(parts)
    }
}

/// The comments of a mapping that has nothing else.
fn comments<'a>(content: Content<'a>) -> impl Iterator<Item = Part<'a, Entry<'a>>> {
    let parts = match content {
        Content::Map(parts) => parts,
        Content::Scalar(_) | Content::List(_) => Vec::new(),
    };
    parts.into_iter()
}

/// The lines of an INI comment with the blank behind the mark that SOPS takes off.
fn ini_lines(text: &str) -> impl Iterator<Item = Plain<'static>> {
    text.split('\n').enumerate().map(|(index, line)| {
        let line = match index {
            0 => line.trim(),
            _ => line.trim().trim_start_matches([';', '#', ' ']),
        };
        Plain::owned(if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        })
    })
}
