//! Where a path leads in a document, or how far it does and what is there instead.
//!
//! Knows nothing of changes. A name that stands twice is never guessed at.

use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, NodeId};
use crate::pointer::{Pointer, Step, shown_key};
use crate::span::Position;
use crate::value::Value;

/// How many of the keys that are there people get to see.
const SHOWN_KEYS: usize = 12;

/// A place that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// What stands there: the entry or item itself, which may be an alias.
    pub id: NodeId,
    /// The first alias that the way there goes through.
    pub alias: Option<NodeId>,
}

/// A path that leads nowhere. Knows key names and kinds, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotFound {
    /// How many steps could be taken.
    pub taken: usize,
    /// Where they end: what stands there, behind all aliases.
    pub at: Located,
    /// Why the next step cannot be taken.
    pub why: Why,
}

impl NotFound {
    /// Whether the place is simply not there; false if something else than the path says is there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(
            self.why,
            Why::NoKey { .. } | Why::NoItem { .. } | Why::InsideOfValue { null: true }
        )
    }
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The mapping has no such key.
    #[error("there is no key `{key}`")]
    NoKey {
        /// The key.
        key: String,
        /// The first keys that are there, long ones cut; behind them a `…` if there are more.
        present: Vec<String>,
    },
    /// The list has no item at this position, or the path asks for the place behind the last.
    #[error("the list has {length} item(s)")]
    NoItem {
        /// The position, counted from 0; `None` for the place behind the last item.
        index: Option<usize>,
        /// Number of items.
        length: usize,
    },
    /// A key is asked of a list.
    #[error("there is a list, which has positions and no key `{0}`")]
    KeyOfList(String),
    /// A position is asked of a mapping.
    #[error("there is a mapping, which has keys and no positions")]
    PositionInMapping,
    /// Something is asked of a value.
    #[error("there is {}, which has nothing inside", if *null { "null" } else { "a single value" })]
    InsideOfValue {
        /// Whether it is null.
        null: bool,
    },
    /// The name stands several times, so it is not clear which is meant.
    #[error("`{key}` stands several times, on lines {} and {}", lines.0, lines.1)]
    Repeated {
        /// The name.
        key: String,
        /// The first two lines on which it stands, counted from 1.
        lines: (usize, usize),
    },
}

/// Follows `pointer` from `root`, which is the root of a document.
///
/// # Errors
/// [`NotFound`] at the first step that cannot be taken.
pub fn locate(
    document: &Document<'_>,
    root: NodeId,
    pointer: &Pointer,
) -> Result<Located, NotFound> {
    let start = Located {
        id: root,
        alias: None,
    };
    let mut places = vec![start];
    for (taken, step) in pointer.steps().iter().enumerate() {
        let mut found = Vec::new();
        let mut failed = None;
        for &at in &places {
            match enter(document, at, step, &mut found) {
                Ok(()) => {}
                Err(why) => {
                    let (id, alias) = followed(document, at);
                    let at = Located { id, alias };
                    failed = failed.or(Some(NotFound { taken, at, why }));
                }
            }
        }
        if let (true, Some(error)) = (found.is_empty(), failed) {
            return Err(match repeated(document, &places) {
                Some(why) => NotFound {
                    taken: taken.saturating_sub(1),
                    why,
                    ..error
                },
                None => error,
            });
        }
        places = found;
    }
    let (taken, at) = (pointer.steps().len(), places.first().copied());
    match (repeated(document, &places), at) {
        (Some(why), Some(at)) => Err(NotFound {
            taken: taken.saturating_sub(1),
            at,
            why,
        }),
        (_, at) => Ok(at.unwrap_or(start)),
    }
}

/// Takes one step. JSON members, variables and sections may have one name several times: all of them are `found`.
fn enter(
    document: &Document<'_>,
    at: Located,
    step: &Step,
    found: &mut Vec<Located>,
) -> Result<(), Why> {
    let (id, alias) = followed(document, at);
    let inside = |id| Located { id, alias };
    match (document.node(id).map(|node| node.kind), step) {
        (Some(Kind::Mapping), Step::Key(key) | Step::Word(key)) => {
            let before = found.len();
            found.extend(entries(document, id, key).map(inside));
            if found.len() > before {
                return Ok(());
            }
            Err(Why::NoKey {
                key: key.clone(),
                present: present(document, id),
            })
        }
        (Some(Kind::Mapping), Step::Index(_) | Step::Append) => Err(Why::PositionInMapping),
        (Some(Kind::Sequence), step) => {
            let index = match step {
                Step::Index(index) => Some(*index),
                Step::Append => None,
                Step::Word(word) if word == "-" => None,
                Step::Word(word) if Step::number(word).is_some() => Step::number(word),
                Step::Word(key) | Step::Key(key) => return Err(Why::KeyOfList(key.clone())),
            };
            match index.and_then(|index| items(document, id).nth(index)) {
                Some(id) => found.push(inside(id)),
                None => {
                    let length = items(document, id).count();
                    return Err(Why::NoItem { index, length });
                }
            }
            Ok(())
        }
        (_, _) => {
            let value = document.node(id).map(|node| document.value(node));
            let null = matches!(value, Some(Ok(Value::Null)));
            Err(Why::InsideOfValue { null })
        }
    }
}

/// The keys of a mapping, for people.
fn present(document: &Document<'_>, id: NodeId) -> Vec<String> {
    let keys = items(document, id).filter_map(|id| document.key(document.node(id)?).ok());
    let mut shown = Vec::new();
    for key in keys {
        if shown.len() == SHOWN_KEYS {
            shown.push("…".to_owned());
            break;
        }
        shown.push(shown_key(&key).into_owned());
    }
    shown
}

/// What stands behind the aliases at a place, and the first of them.
fn followed(document: &Document<'_>, at: Located) -> (NodeId, Option<NodeId>) {
    let Located { mut id, mut alias } = at;
    while let Some(Kind::Alias { target }) = document.node(id).map(|node| node.kind) {
        alias = alias.or(Some(id));
        id = target;
    }
    (id, alias)
}

/// The entries or items of a container, without comments.
pub(super) fn items(document: &Document<'_>, id: NodeId) -> impl Iterator<Item = NodeId> {
    document.children(id).filter(|&child| {
        document
            .node(child)
            .is_some_and(|node| node.kind != Kind::Comment)
    })
}

/// The entries of this name. An INI file has a `DEFAULT` section even if nothing is in it; one that is written counts more.
fn entries<'d>(
    document: &'d Document<'_>,
    id: NodeId,
    name: &str,
) -> impl Iterator<Item = NodeId> + use<'d> {
    let is_named = |&id: &NodeId| {
        let node = document.node(id);
        node.and_then(|node| document.key(node).ok())
            .is_some_and(|key| key == name)
    };
    let mut found: Vec<NodeId> = items(document, id).filter(is_named).collect();
    let is_unwritten = |id: NodeId| {
        let node = document.node(id);
        node.is_some_and(|node| node.is_unwritten_section() && node.end == id + 1)
    };
    if document.format() == Format::Ini && found.len() > 1 {
        found.retain(|&id| !is_unwritten(id));
    }
    found.into_iter()
}

/// Why several places are none.
fn repeated(document: &Document<'_>, places: &[Located]) -> Option<Why> {
    let [first, second, ..] = places else {
        return None;
    };
    let key = |at: &Located| document.node(at.id).and_then(|node| node.key);
    let line = |at: &Located| {
        let start = key(at).map_or(0, |key| key.start());
        Position::of(document.source(), start).line
    };
    let name = document.node(first.id).map(|node| document.key(node));
    Some(Why::Repeated {
        key: name.and_then(Result::ok).unwrap_or_default().into_owned(),
        lines: (line(first), line(second)),
    })
}
