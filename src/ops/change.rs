//! Changing one place of a plaintext: a value set, put into a list, or taken out.
//!
//! A path is looked up, the format gives the edits, and the text they make is read again and compared with what was
//! meant: whatever a format's own rules do to a change, either it is exactly this one or nothing is written. Knows
//! nothing of encryption; the text is one without metadata.

use zeroize::Zeroizing;

use crate::content::{Content, Entry, MAX_DEPTH, Part};
use crate::document::Document;
use crate::edit::{BadEdit, splice};
use crate::format::place::{self, CannotPlace};
use crate::format::{self, Format};
use crate::node::{Kind, Node, NodeId, ScanError};
use crate::ops::locate::{Located, NotFound, Why, locate};
use crate::pointer::{Pointer, Step};
use crate::span::{Position, Span};

pub mod json;
mod meant;

/// At the begin of a text it tells the encoding and is no part of what the text says.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What shall become of a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<'c> {
    /// It has this content afterwards. What is missing on the way there is made.
    Set(Content<'c>),
    /// This item stands before the one that is there.
    Insert(Content<'c>),
    /// It is not there afterwards.
    Unset,
}

/// Why a change cannot be made. Knows key names and kinds, never a value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The file has fewer documents.
    #[error("the file has {found} document(s)")]
    NoDocument {
        /// How many it has.
        found: usize,
    },
    /// The path is that of the whole document.
    #[error("the path is empty, which is the whole document")]
    WholeDocument,
    /// The path leads nowhere, and nothing can be made there.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// An item can be inserted before another item only.
    #[error("only an item of a list can have another put before it")]
    NotAnItem,
    /// Only what is there can be taken out.
    #[error("the place behind the last item is no item")]
    NothingToUnset,
    /// A list that is made anew begins at its first position.
    #[error("a new list begins at position 0, not at {index}")]
    NoItemYet {
        /// The position that was asked for.
        index: usize,
    },
    /// A number could be a key or a position, and nothing is there to tell.
    #[error("`{word}` could be a key or a position, and nothing is there to tell")]
    KeyOrPosition {
        /// The number.
        word: String,
    },
    /// The name is that of the metadata.
    #[error("`{0}` is the name of the file's own metadata")]
    Reserved(String),
    /// The way goes through an alias, so other places would change too.
    #[error("line {line} is an alias of line {anchor}: other places have the same content")]
    ThroughAlias {
        /// The line of the alias, counted from 1.
        line: usize,
        /// The line of what it stands for.
        anchor: usize,
    },
    /// What the place and the content make is deeper than [`MAX_DEPTH`].
    #[error("that would be nested in more than {MAX_DEPTH} lists and mappings")]
    TooDeep,
    /// The text has no room for it.
    #[error(transparent)]
    CannotPlace(#[from] CannotPlace),
    /// A part of the text that SOPS could not handle.
    #[error(transparent)]
    Leaf(#[from] ScanError),
    /// The text would mean something else than was meant: a defect, found before anything was written.
    #[error("internal error: the change would not be the one that was meant")]
    NotAsMeant,
    /// The format's own edits contradict each other: a defect.
    #[error("internal error: {0}")]
    Edit(#[from] BadEdit),
}

/// Makes one change of the document number `number`, counted from 0. `None` if everything is so already.
///
/// # Errors
/// [`ChangeError`].
pub fn change(
    document: &Document<'_>,
    number: usize,
    pointer: &Pointer,
    action: Action<'_>,
) -> Result<Option<Zeroizing<String>>, ChangeError> {
    let root = root(document, number)?;
    if pointer.is_root() {
        return Err(ChangeError::WholeDocument);
    }
    if let Action::Set(content) | Action::Insert(content) = &action {
        refuse_reserved(document.format(), pointer)?;
        if pointer.steps().len() + content.depth() > MAX_DEPTH {
            return Err(ChangeError::TooDeep);
        }
    }
    let action = held(document.format(), action)?;
    let Some(placing) = plan(document, root, pointer, action)? else {
        return Ok(None);
    };
    let (format, source, nodes) = (document.format(), document.source(), document.nodes());
    let mut edits = Vec::new();
    match &placing {
        Placing::Insert {
            parent,
            before,
            key,
            content,
        } => {
            let at = (*parent, *before);
            place::insert(
                format,
                source,
                nodes,
                at,
                key.as_deref(),
                content,
                &mut edits,
            )?;
        }
        Placing::Replace { id, content } => {
            place::replace(format, source, nodes, *id, content, &mut edits)?;
        }
        Placing::Remove { id } => place::remove(format, source, nodes, *id, &mut edits)?,
    }
    let text = splice(source, &edits)?;
    if meant::is_as_meant(document, &placing, &text)? {
        return Ok(Some(text));
    }
    if text.starts_with(BYTE_ORDER_MARK) && !source.starts_with(BYTE_ORDER_MARK) {
        let message = "what would then come first begins with U+FEFF, which no reader keeps there";
        return Err(CannotPlace::new(Span::at(0), message)
            .with_hint("take that character out first")
            .into());
    }
    Err(ChangeError::NotAsMeant)
}

/// The root of the document number `number`, counted from 0.
///
/// # Errors
/// [`ChangeError::NoDocument`] if there is none.
pub fn root(document: &Document<'_>, number: usize) -> Result<NodeId, ChangeError> {
    let found = document.roots().count();
    let root = document.roots().nth(number);
    root.ok_or(ChangeError::NoDocument { found })
}

/// The name of the metadata cannot be used: the file could not be read any more (spec 5.4).
fn refuse_reserved(format: Format, pointer: &Pointer) -> Result<(), ChangeError> {
    match pointer.steps().first() {
        Some(Step::Key(key)) if format::is_metadata_key(format, key) => {
            Err(ChangeError::Reserved(key.clone()))
        }
        _ => Ok(()),
    }
}

/// The action with its content as the format holds it.
fn held(format: Format, action: Action<'_>) -> Result<Action<'_>, ChangeError> {
    Ok(match action {
        Action::Set(content) => Action::Set(place::held(format, content)?),
        Action::Insert(content) => Action::Insert(place::held(format, content)?),
        Action::Unset => Action::Unset,
    })
}

/// A change in terms of nodes.
enum Placing<'c> {
    Insert {
        parent: NodeId,
        before: Option<NodeId>,
        key: Option<String>,
        content: Content<'c>,
    },
    Replace {
        id: NodeId,
        content: Content<'c>,
    },
    Remove {
        id: NodeId,
    },
}

/// What is to be done; `None` if nothing is.
fn plan<'c>(
    document: &Document<'_>,
    root: NodeId,
    pointer: &Pointer,
    action: Action<'c>,
) -> Result<Option<Placing<'c>>, ChangeError> {
    let found = locate(document, root, pointer);
    let at = match (&found, &action) {
        (Ok(located), _) => located,
        (Err(error), Action::Set(_) | Action::Insert(_)) => &error.at,
        (Err(error), Action::Unset) => {
            return Err(match error.why {
                Why::NoItem { index: None, .. } => ChangeError::NothingToUnset,
                _ => error.clone().into(),
            });
        }
    };
    refuse_alias(document, at)?;
    let parent = document.node(at.id).and_then(|node| node.parent);
    match (found, action) {
        (Ok(Located { id, .. }), Action::Unset) => Ok(removed(document, id)),
        (Ok(Located { id, .. }), Action::Set(content)) => {
            let is_equal = meant::equal(&document.content(id)?, &content);
            Ok((!is_equal).then_some(Placing::Replace { id, content }))
        }
        (Ok(Located { id, .. }), Action::Insert(content)) => match parent {
            Some(parent) if is_list(document, parent) => Ok(Some(Placing::Insert {
                parent,
                before: Some(id),
                key: None,
                content,
            })),
            _ => Err(ChangeError::NotAnItem),
        },
        (Err(error), Action::Unset) => Err(error.into()),
        (Err(error), Action::Set(content)) => made(pointer, error, content).map(Some),
        (Err(error), Action::Insert(content)) => {
            let is_last = error.taken + 1 == pointer.steps().len();
            match error.why {
                Why::NoItem { .. } if is_last => made(pointer, error, content).map(Some),
                Why::NoItem { .. } => Err(error.into()),
                _ => Err(ChangeError::NotAnItem),
            }
        }
    }
}

/// The section of an INI file that stands above all headers is always there; it can only be emptied.
fn removed<'c>(document: &Document<'_>, id: NodeId) -> Option<Placing<'c>> {
    if !is_unwritten(document, id) {
        return Some(Placing::Remove { id });
    }
    let content = Content::empty_map();
    let is_empty = document.node(id).is_none_or(|node| node.end == id + 1);
    (!is_empty).then_some(Placing::Replace { id, content })
}

/// Whether this is the section of an INI file that stands above all headers.
fn is_unwritten(document: &Document<'_>, id: NodeId) -> bool {
    let is_ini = document.format() == Format::Ini;
    let node = document.node(id).filter(|_| is_ini);
    node.is_some_and(Node::is_unwritten_section)
}

fn is_list(document: &Document<'_>, id: NodeId) -> bool {
    document
        .node(id)
        .is_some_and(|node| node.kind == Kind::Sequence)
}

/// What is made where a path ends too early.
fn made<'c>(
    pointer: &Pointer,
    error: NotFound,
    content: Content<'c>,
) -> Result<Placing<'c>, ChangeError> {
    let behind = |taken: usize| pointer.steps().get(taken..).unwrap_or_default();
    let id = error.at.id;
    let insert = |key, content| Placing::Insert {
        parent: id,
        before: None,
        key,
        content,
    };
    match &error.why {
        Why::NoKey { key, .. } => {
            let content = wrapped(behind(error.taken + 1), content)?;
            Ok(insert(Some(key.clone()), content))
        }
        Why::NoItem { index, length } if index.is_none_or(|index| index == *length) => {
            let content = wrapped(behind(error.taken + 1), content)?;
            Ok(insert(None, content))
        }
        Why::InsideOfValue { null: true } => Ok(Placing::Replace {
            id,
            content: wrapped(behind(error.taken), content)?,
        }),
        _ => Err(error.into()),
    }
}

/// `content` in the mappings and lists that `steps` lead through.
fn wrapped<'c>(steps: &[Step], content: Content<'c>) -> Result<Content<'c>, ChangeError> {
    let mut content = content;
    for step in steps.iter().rev() {
        content = match step {
            Step::Key(key) => Content::Map(vec![Part::Item(Entry {
                key: key.clone().into(),
                content,
            })]),
            Step::Index(0) | Step::Append => Content::List(vec![Part::Item(content)]),
            Step::Word(word) if word == "-" => Content::List(vec![Part::Item(content)]),
            Step::Word(word) => return Err(ChangeError::KeyOrPosition { word: word.clone() }),
            Step::Index(index) => {
                return Err(ChangeError::NoItemYet { index: *index });
            }
        };
    }
    Ok(content)
}

/// What stands behind an alias stands elsewhere, too.
fn refuse_alias(document: &Document<'_>, at: &Located) -> Result<(), ChangeError> {
    let Some(node) = at.alias.and_then(|alias| document.node(alias)) else {
        return Ok(());
    };
    let line = |at: usize| Position::of(document.source(), at).line;
    let target = match node.kind {
        Kind::Alias { target } => document.node(target).map(|node| node.props.start()),
        _ => None,
    };
    Err(ChangeError::ThroughAlias {
        line: line(node.span.start()),
        anchor: line(target.unwrap_or_default()),
    })
}
