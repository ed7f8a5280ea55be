//! A document: a text with its node table.
//!
//! Knows how to walk the leaves in the order SOPS hashes them, and where the metadata stands. Knows nothing of keys,
//! rules or encryption.

pub mod content;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::format::{self, Format};
use crate::node::{self, Kind, Node, NodeId, ScanError};
use crate::pointer::shown_key;
use crate::span::Span;
use crate::tree::Tree;
use crate::value::Value;

/// A text and the nodes found in it.
pub struct Document<'a> {
    source: &'a str,
    format: Format,
    nodes: Vec<Node>,
    metadata: Vec<NodeId>,
    meant: HashMap<NodeId, Value<'static>>,
}

/// The keys that lead to a place, without list positions: what SOPS authenticates and its rules look at (spec 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    joined: String,
    starts: Vec<usize>,
}

impl Path {
    /// The additional data of a leaf here: every key followed by `:` (spec 2). For the top level of a document, where
    /// only comments can stand, it is a lone `:`.
    #[must_use]
    pub fn additional_data(&self) -> &str {
        if self.joined.is_empty() {
            ":"
        } else {
            &self.joined
        }
    }

    /// The last key; `None` at the top level.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        let start = *self.starts.last()?;
        self.joined.get(start..self.joined.len().checked_sub(1)?)
    }

    /// The keys, outermost first.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .copied()
            .chain([self.joined.len()]);
        self.starts
            .iter()
            .zip(ends)
            .filter_map(|(&start, end)| self.joined.get(start..end.checked_sub(1)?))
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether this is the top level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Goes down into `key`.
    pub fn push(&mut self, key: &str) {
        self.starts.push(self.joined.len());
        self.joined.push_str(key);
        self.joined.push(':');
    }

    /// Goes up again.
    pub fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.joined.truncate(start);
        }
    }

    /// Additional data of this place and of everything above it, innermost first, ending with `:`.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .copied()
            .chain([self.joined.len()]);
        let ends: Vec<usize> = if self.is_empty() {
            Vec::new()
        } else {
            ends.collect()
        };
        ends.into_iter()
            .rev()
            .filter_map(|end| self.joined.get(..end))
            .chain([":"])
    }
}

impl std::fmt::Display for Path {
    /// The keys joined with dots, for people: long ones are cut.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, key) in self.keys().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&shown_key(key))?;
        }
        Ok(())
    }
}

/// One step of a walk.
#[derive(Debug)]
pub enum Step<'s> {
    /// A mapping or list begins. The path already includes its key.
    Enter {
        /// The container, or the alias that stands for one.
        id: NodeId,
        /// The path of the container.
        path: &'s Path,
        /// Whether a key was pushed for it; false for list items and roots.
        keyed: bool,
    },
    /// The container entered last has ended. The path still includes its key.
    Leave {
        /// The container.
        id: NodeId,
    },
    /// A scalar. The path includes its key, if it has one of its own.
    Leaf {
        /// The scalar.
        id: NodeId,
        /// Its path.
        path: &'s Path,
        /// Whether the last key of the path is its own; false for list items.
        keyed: bool,
        /// The outermost alias through which the walk came here, if it did.
        alias: Option<NodeId>,
    },
    /// A comment. The path is that of its container.
    Comment {
        /// The comment.
        id: NodeId,
        /// Its container's path.
        path: &'s Path,
        /// The outermost alias through which the walk came here, if it did.
        alias: Option<NodeId>,
    },
}

/// Aliases may multiply the nodes of a text by this much at most; go-yaml has a limit of the same kind (spec 7.2.1).
const ALIAS_FACTOR: usize = 10;
/// How many times the size of the text the paths of all its leaves together may be long: each is authenticated with its
/// leaf, so nested long keys would cost more than linear time.
const PATHS_FACTOR: usize = 64;
/// Bytes of paths that are always allowed.
const PATHS_FLOOR: usize = 16 << 20;
/// Copies that are always allowed, however small the text.
const ALIAS_FLOOR: usize = 100_000;

impl<'a> Document<'a> {
    /// Scans `source`.
    ///
    /// # Errors
    /// [`ScanError`] if the text is not a document of this format.
    pub fn parse(format: Format, source: &'a str) -> Result<Self, ScanError> {
        if u32::try_from(source.len()).is_err() {
            return Err(ScanError::new(Span::at(0), "the file is larger than 4 GiB"));
        }
        let nodes = format::scan(format, source)?;
        let mut document = Self {
            source,
            format,
            nodes,
            metadata: Vec::new(),
            meant: HashMap::new(),
        };
        document.metadata = document.find_metadata();
        Ok(document)
    }

    /// The text.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The format it was scanned as.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The node table.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node; `None` if there is none of that number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The roots: one for every YAML document, one for every other file.
    pub fn roots(&self) -> impl Iterator<Item = NodeId> {
        node::siblings(&self.nodes, 0, self.nodes.len())
    }

    /// The direct entries or items of a container, comments included.
    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        node::children(&self.nodes, id)
    }

    /// The decoded key of an entry.
    ///
    /// # Errors
    /// [`ScanError`] if the key is not a string.
    pub fn key(&self, node: &Node) -> Result<Cow<'a, str>, ScanError> {
        format::key(self.format, self.source, node)
    }

    /// The decoded value of a scalar, or the text of a comment.
    ///
    /// # Errors
    /// [`ScanError`] if the scalar has no value SOPS could handle.
    pub fn value(&self, node: &Node) -> Result<Value<'a>, ScanError> {
        format::value(self.format, self.source, node)
    }

    /// What a token of this scalar holds and the MAC hashes: its value; in TOML the way it is spelled.
    ///
    /// # Errors
    /// [`ScanError`] as [`Self::value`] has it.
    pub fn plaintext(&self, node: &Node) -> Result<Value<'a>, ScanError> {
        format::plaintext(self.format, self.source, node)
    }

    /// Says what scalars stand for of which the format shows less than they are: a number in a dotenv file is a text to
    /// whoever reads it, but its token has the type of a number (spec 7.7).
    #[must_use]
    pub fn with_meanings(mut self, meant: HashMap<NodeId, Value<'static>>) -> Self {
        self.meant = meant;
        self
    }

    /// Whether [`Self::with_meanings`] said what scalars stand for, so that it is not their text that tells.
    #[must_use]
    pub fn has_meanings(&self) -> bool {
        !self.meant.is_empty()
    }

    /// What a scalar stands for, if [`Self::with_meanings`] said so.
    #[must_use]
    pub fn meaning(&self, id: NodeId) -> Option<&Value<'static>> {
        self.meant.get(&id)
    }

    /// The entry `key` of the mapping `parent`. Entries whose key is not a string are passed over.
    #[must_use]
    pub fn entry(&self, parent: NodeId, key: &str) -> Option<NodeId> {
        self.children(parent)
            .find(|&id| self.has_key(id, |name| name == key))
    }

    /// The path of a node, found by climbing. For a comment it is the path of its container.
    ///
    /// # Errors
    /// [`ScanError`] if a key on the way is not a string.
    pub fn path(&self, id: NodeId) -> Result<Path, ScanError> {
        let mut keys = Vec::new();
        let mut next = Some(id);
        while let Some(node) = next.and_then(|id| self.nodes.get(id)) {
            if node.kind != Kind::Comment && self.is_entry(node) {
                keys.push(self.key(node)?);
            }
            next = node.parent;
        }
        let mut path = Path::default();
        for key in keys.iter().rev() {
            path.push(key);
        }
        Ok(path)
    }

    /// The metadata entries at the top level: `sops` of every document, or all `sops_…` lines of a dotenv file.
    #[must_use]
    pub fn metadata(&self) -> &[NodeId] {
        &self.metadata
    }

    fn find_metadata(&self) -> Vec<NodeId> {
        let is_metadata = |name: &str| format::is_metadata_key(self.format, name);
        self.roots()
            .flat_map(|root| self.children(root))
            .filter(|&id| self.has_key(id, is_metadata))
            .collect()
    }

    fn has_key(&self, id: NodeId, accept: impl Fn(&str) -> bool) -> bool {
        let Some(node) = self.nodes.get(id) else {
            return false;
        };
        node.key.is_some()
            && node.kind != Kind::Comment
            && self.is_entry(node)
            && self.key(node).is_ok_and(|name| accept(&name))
    }

    /// Whether `node` is an entry of a mapping, so that its `key` is a key and not a dash.
    fn is_entry(&self, node: &Node) -> bool {
        node.parent
            .and_then(|parent| self.nodes.get(parent))
            .is_some_and(|parent| parent.kind == Kind::Mapping)
    }

    /// A node and all below it as plain data. Comments are left out, aliases are followed, keys that are not strings and
    /// values that cannot be decoded stay as they are written. For metadata only: it copies what it reads.
    #[must_use]
    pub fn tree(&self, id: NodeId) -> Tree {
        self.tree_within(id, &mut self.copy_budget(), 0)
    }

    fn tree_within(&self, id: NodeId, budget: &mut usize, depth: usize) -> Tree {
        let Some(node) = self.nodes.get(id) else {
            return Tree::Null;
        };
        if *budget == 0 || depth > 100 {
            return Tree::Null;
        }
        *budget -= 1;
        match node.kind {
            Kind::Comment => Tree::Null,
            Kind::Alias { target } => self.tree_within(target, budget, depth + 1),
            Kind::Sequence => Tree::List(
                self.children(id)
                    .filter(|&item| !self.is_comment(item))
                    .map(|item| self.tree_within(item, budget, depth + 1))
                    .collect(),
            ),
            Kind::Mapping => Tree::Map(
                self.children(id)
                    .filter_map(|item| Some((item, self.nodes.get(item)?)))
                    .filter(|(item, _)| !self.is_comment(*item))
                    .map(|(item, entry)| {
                        let as_written = || entry.key.unwrap_or_default().of(self.source);
                        let key = self.key(entry).unwrap_or_else(|_| as_written().into());
                        let key = key.into_owned();
                        (key, self.tree_within(item, budget, depth + 1))
                    })
                    .collect(),
            ),
            Kind::Scalar => match self.value(node) {
                Ok(Value::Bool(value)) => Tree::Bool(value),
                Ok(Value::Int(value)) => Tree::Int(value),
                Ok(Value::Float(value)) => Tree::Float(value),
                Ok(Value::Time(_)) => Tree::Time(node.inner.of(self.source).to_owned()),
                Ok(Value::Str(text)) => Tree::Str(text.expose().to_owned()),
                Ok(Value::Null) => Tree::Null,
                // Not understood, but not to be lost: as it stands in the text.
                Ok(Value::Bytes(_) | Value::Lexeme(..)) | Err(_) => {
                    Tree::Str(node.inner.of(self.source).to_owned())
                }
            },
        }
    }

    fn is_comment(&self, id: NodeId) -> bool {
        self.nodes
            .get(id)
            .is_some_and(|node| node.kind == Kind::Comment)
    }

    fn copy_budget(&self) -> usize {
        self.nodes
            .len()
            .saturating_mul(ALIAS_FACTOR)
            .max(ALIAS_FLOOR)
    }

    /// Walks all leaves and comments but the metadata, in the order in which SOPS hashes them (spec 3.2). Aliases are
    /// followed: what they stand for is visited at their own path.
    ///
    /// # Errors
    /// The first error of `visit`, or a [`ScanError`] for a key that is not a string and for aliases that multiply the
    /// text beyond reason.
    pub fn walk<E: From<ScanError>>(
        &self,
        mut visit: impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut budget = self.copy_budget();
        let mut paths = self
            .source
            .len()
            .saturating_mul(PATHS_FACTOR)
            .max(PATHS_FLOOR);
        let mut path = Path::default();
        let mut stack: Vec<Frame> = Vec::new();
        for root in self.roots() {
            self.open(root, root, None, false, &mut stack, &path, &mut visit)?;
            while let Some(frame) = stack.last_mut() {
                let (id, alias) = (frame.next, frame.alias);
                let Some(node) = self.nodes.get(id).filter(|_| id < frame.end) else {
                    visit(Step::Leave { id: frame.id })?;
                    if frame.keyed {
                        path.pop();
                    }
                    stack.pop();
                    continue;
                };
                frame.next = node.end.max(id + 1);
                if alias.is_some() {
                    budget = budget.checked_sub(1).ok_or_else(|| {
                        ScanError::new(node.span, "aliases multiply this document beyond reason")
                    })?;
                }
                if !node.is_container() {
                    paths = paths.checked_sub(path.joined.len()).ok_or_else(|| {
                        ScanError::new(
                            node.span,
                            "the keys above this value are too many and too long",
                        )
                    })?;
                }
                if stack.len() == 1 && self.metadata.binary_search(&id).is_ok() {
                    continue;
                }
                self.visit_node(id, node, alias, &mut stack, &mut path, &mut visit)?;
            }
        }
        Ok(())
    }

    fn visit_node<E: From<ScanError>>(
        &self,
        id: NodeId,
        node: &Node,
        alias: Option<NodeId>,
        stack: &mut Vec<Frame>,
        path: &mut Path,
        visit: &mut impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if node.kind == Kind::Comment {
            return visit(Step::Comment { id, path, alias });
        }
        let keyed = self.is_entry(node);
        if keyed {
            path.push(&self.key(node)?);
        }
        // Follow an alias to the end of its chain; scanners make no circles.
        let (mut content, mut alias) = (id, alias);
        while let Some(Node {
            kind: Kind::Alias { target },
            ..
        }) = self.nodes.get(content)
        {
            alias = alias.or(Some(id));
            content = *target;
        }
        if self.nodes.get(content).is_some_and(Node::is_container) {
            return self.open(id, content, alias, keyed, stack, path, visit);
        }
        visit(Step::Leaf {
            id: content,
            path,
            keyed,
            alias,
        })?;
        if keyed {
            path.pop();
        }
        Ok(())
    }

    /// Enters the container `content`, which stands at `id` (itself, or an alias of it).
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one walk, passed on by one function"
    )]
    fn open<E>(
        &self,
        id: NodeId,
        content: NodeId,
        alias: Option<NodeId>,
        keyed: bool,
        stack: &mut Vec<Frame>,
        path: &Path,
        visit: &mut impl FnMut(Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(node) = self.nodes.get(content) else {
            return Ok(());
        };
        visit(Step::Enter { id, path, keyed })?;
        stack.push(Frame {
            id,
            next: content + 1,
            end: node.end,
            alias,
            keyed,
        });
        Ok(())
    }
}

/// An open container of a walk.
struct Frame {
    id: NodeId,
    next: NodeId,
    end: NodeId,
    alias: Option<NodeId>,
    keyed: bool,
}

impl std::fmt::Debug for Document<'_> {
    /// The shape, and nothing of the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Document({}, {} nodes)",
            self.format.name(),
            self.nodes.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn additional_data_ends_with_a_colon() {
        let mut path = Path::default();
        assert_eq!(path.additional_data(), ":");
        path.push("a");
        path.push("b:c");
        assert_eq!(path.additional_data(), "a:b:c:");
        assert_eq!(path.last(), Some("b:c"));
        assert_eq!(path.keys().collect::<Vec<_>>(), ["a", "b:c"]);
        assert_eq!(path.to_string(), "a.b:c");
        assert_eq!(path.prefixes().collect::<Vec<_>>(), ["a:b:c:", "a:", ":"]);
        path.pop();
        assert_eq!(path.additional_data(), "a:");
        path.push(&"ä".repeat(61));
        assert_eq!(path.to_string(), format!("a.{}…", "ä".repeat(60)));
    }
}
