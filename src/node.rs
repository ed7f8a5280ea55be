//! The node table: what a scanner finds in a text.
//!
//! A document is a flat list of [`Node`]s in the order in which SOPS walks its tree (spec 3.2): a container before its
//! entries, an inline comment before the entry it stands beside, everything else as it stands in the text. Nodes know
//! where they stand and how they are written; decoding is left to the formats and done when somebody asks.

use crate::span::Span;

/// Index of a node in its table.
pub type NodeId = usize;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys with values; its entries are the nodes that name it as parent.
    Mapping,
    /// A list of items.
    Sequence,
    /// A single value.
    Scalar,
    /// A comment.
    Comment,
    /// A YAML alias; `target` is the anchored node, which stands earlier in the table and is not one of the alias's
    /// ancestors.
    Alias {
        /// The node whose content stands here too.
        target: NodeId,
    },
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// Without quotes: a YAML plain scalar, a JSON number or word, a dotenv or INI value.
    #[default]
    Plain,
    /// Between `'`.
    Single,
    /// Between `"`.
    Double,
    /// A YAML `|` block.
    Literal,
    /// A YAML `>` block.
    Folded,
    /// Between INI back-quotes.
    Backtick,
    /// Between INI `"""`.
    Triple,
}

/// A YAML tag, as far as it matters to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tag {
    /// No tag, or the bare `!` before a scalar.
    #[default]
    None,
    /// `!!str`
    Str,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!bool`
    Bool,
    /// `!!null`
    Null,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`
    Merge,
    /// Anything else, such as `!Ref`: the scalar is its literal text.
    Other,
}

/// One node of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The container it is an entry or item of; `None` for the root of a document. Always smaller than the node's own id.
    pub parent: Option<NodeId>,
    /// One past the last node of its subtree.
    pub end: NodeId,
    /// The key of a mapping's entry as it is written, quotes included. For a block sequence item: its `-`.
    /// For a comment, an item of a flow sequence, and a root: `None`.
    pub key: Option<Span>,
    /// A YAML anchor and tag before the content, from the first of the two to the end of the second; empty at the
    /// content if there are none.
    pub props: Span,
    /// All of the content: a scalar with its quotes or block header, a container from its first to its last byte, a
    /// comment from its `#` or `;` to its end. Line breaks and blanks behind it are not included.
    pub span: Span,
    /// The part that a token replaces and that a value is decoded from: inside the quotes; a block scalar from the byte
    /// after its header's line break to the end of its content; a comment's text behind the mark.
    pub inner: Span,
    /// How a scalar is written; `Plain` for all else.
    pub form: Form,
    /// The YAML tag.
    pub tag: Tag,
    /// Whether the node stands inside, or is, a YAML flow collection.
    pub flow: bool,
    /// For a comment: whether it stands behind something on its line.
    pub inline: bool,
    /// For a comment: whether it stands behind an INI section header, where no token can stand.
    pub behind_header: bool,
}

impl Node {
    /// A node with everything but its place left empty.
    #[must_use]
    pub fn new(kind: Kind, parent: Option<NodeId>, span: Span) -> Self {
        Self {
            kind,
            parent,
            end: 0,
            key: None,
            props: Span::at(span.start()),
            span,
            inner: span,
            form: Form::Plain,
            tag: Tag::None,
            flow: false,
            inline: false,
            behind_header: false,
        }
    }

    /// Of an INI file: whether it is the section of the keys before any header, for which nothing is written.
    #[must_use]
    pub fn is_unwritten_section(&self) -> bool {
        self.kind == Kind::Mapping && self.key.is_some_and(Span::is_empty)
    }

    /// Whether it is a mapping or a sequence.
    #[must_use]
    pub fn is_container(&self) -> bool {
        matches!(self.kind, Kind::Mapping | Kind::Sequence)
    }
}

/// The direct entries or items of the container `id`, comments included.
pub fn children(nodes: &[Node], id: NodeId) -> impl Iterator<Item = NodeId> {
    siblings(nodes, id + 1, nodes.get(id).map_or(0, |node| node.end))
}

/// The node `first` and those behind it, up to `end`, that do not stand in one another.
pub fn siblings(nodes: &[Node], first: NodeId, end: NodeId) -> impl Iterator<Item = NodeId> {
    let mut next = first;
    std::iter::from_fn(move || {
        let id = next;
        let node = nodes.get(id).filter(|_| id < end)?;
        next = node.end.max(id + 1);
        Some(id)
    })
}

/// Why a text is not a document of its format. Knows the place and the rule, never the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScanError {
    /// Where the trouble is.
    pub span: Span,
    /// What is wrong, as one lower-case sentence without a full stop. Holds no text of the file but key names.
    pub message: String,
    /// What to do about it, if there is something better than "fix it".
    pub hint: Option<String>,
}

impl ScanError {
    /// An error at `span`.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds one thing to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
