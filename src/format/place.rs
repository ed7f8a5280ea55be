//! Putting content into a plaintext, exchanging it and taking it out, and the one `match` per verb that leads to each
//! format.
//!
//! Every change is a few edits in the style of what stands around it; all other bytes stay. Knows nothing of paths or
//! encryption: the caller finds the node, reads the result again and compares it with what was meant. The text is one
//! without metadata.

use super::lines::bare_text;
use super::{CannotWrite, Format, dotenv, ini, json, toml, yaml};
use crate::content::{Content, Entry, Part};
use crate::edit::Edit;
use crate::node::{Node, NodeId};
use crate::span::Span;
use crate::value::Value;

/// Why a text has no room for a change. Names keys and rules, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CannotPlace {
    /// Where it would have been.
    pub span: Span,
    /// What is in the way, as one lower-case sentence without a full stop.
    pub message: String,
    /// One thing to do, if there is something better than another value.
    pub hint: Option<String>,
}

impl CannotPlace {
    /// There is no room at `span`.
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

    /// The format has no spelling for a value that would stand at `span`.
    #[must_use]
    pub fn unwritable(span: Span, error: CannotWrite) -> Self {
        Self::new(span, error.0)
    }
}

/// Adds the edits that put `content` into the container `parent`: before its child `before`, else at its end. `key` is
/// that of a mapping's new entry; the items of a list have none.
///
/// # Errors
/// [`CannotPlace`] if the format or this text has no room for it.
pub fn insert(
    format: Format,
    source: &str,
    nodes: &[Node],
    (parent, before): (NodeId, Option<NodeId>),
    key: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    match format {
        Format::Yaml => yaml::place::insert(source, nodes, parent, before, key, content, edits),
        Format::Toml => toml::place::insert(source, nodes, parent, before, key, content, edits),
        Format::Json => json::place::insert(source, nodes, parent, before, key, content, edits),
        Format::Dotenv => dotenv::place::insert(source, nodes, before, key, content, edits),
        Format::Ini => ini::place::insert(source, nodes, parent, before, key, content, edits),
        Format::Binary => Err(one_value()),
    }
}

/// Adds the edits that write `content` in place of the entry or item `id`, whose key stays. A scalar in place of a scalar
/// keeps its style.
///
/// # Errors
/// [`CannotPlace`] if the format or this text has no room for it.
pub fn replace(
    format: Format,
    source: &str,
    nodes: &[Node],
    id: NodeId,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    match format {
        Format::Yaml => yaml::place::replace(source, nodes, id, content, edits),
        Format::Toml => toml::place::replace(source, nodes, id, content, edits),
        Format::Json => json::place::replace(source, nodes, id, content, edits),
        Format::Dotenv => dotenv::place::replace(source, nodes, id, content, edits),
        Format::Ini => ini::place::replace(source, nodes, id, content, edits),
        Format::Binary => Err(one_value()),
    }
}

/// Adds the edits that take out the entry or item `id`: its own lines and its own comments, which are those directly above
/// it and beside it, and nothing else. What was the last of a container leaves it empty.
///
/// # Errors
/// [`CannotPlace`] if other parts of the text depend on it.
pub fn remove(
    format: Format,
    source: &str,
    nodes: &[Node],
    id: NodeId,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    match format {
        Format::Yaml => yaml::place::remove(source, nodes, id, edits),
        Format::Toml => toml::place::remove(source, nodes, id, edits),
        Format::Json => json::place::remove(source, nodes, id, edits),
        Format::Dotenv => dotenv::place::remove(source, nodes, id, edits),
        Format::Ini => ini::place::remove(source, nodes, id, edits),
        Format::Binary => Err(one_value()),
    }
}

/// `content` as it is once it was written in this format: dotenv and INI have nothing but texts.
///
/// # Errors
/// [`CannotPlace`] for a value that they have no text for.
pub fn held<'c>(format: Format, content: Content<'c>) -> Result<Content<'c>, CannotPlace> {
    if !matches!(format, Format::Dotenv | Format::Ini) {
        return Ok(content);
    }
    Ok(match content {
        Content::Scalar(value) => {
            let text = bare_text(&value)
                .map_err(|error| CannotPlace::unwritable(Span::at(0), error))?
                .into_owned();
            Content::Scalar(Value::Str(text))
        }
        Content::Map(parts) => {
            let held = |part: Part<'c, Entry<'c>>| match part {
                Part::Item(Entry { key, content }) => {
                    held(format, content).map(|content| Part::Item(Entry { key, content }))
                }
                Part::Comment(comment) => Ok(Part::Comment(comment)),
            };
            Content::Map(parts.into_iter().map(held).collect::<Result<_, _>>()?)
        }
        // There are none; it is refused when it is placed.
        Content::List(parts) => Content::List(parts),
    })
}

/// A binary file has no places.
fn one_value() -> CannotPlace {
    CannotPlace::new(
        Span::at(0),
        "a binary file is one value, which has no parts",
    )
}
