//! Changes of a YAML text: entries and items put in, exchanged and taken out in the layout that is there.
//!
//! `layout` tells where things stand. Whatever an alias stands for is not changed, since other places would change with
//! it. Knows nothing of paths.

use crate::content::Content;
use crate::edit::Edit;
use crate::format::place::CannotPlace;
use crate::node::{Node, NodeId};

mod insert;
mod layout;
mod marks;
mod remove;
mod replace;

pub(in crate::format) use remove::remove;
pub(in crate::format) use replace::replace;

/// Puts `content` into `parent`, see [`crate::format::place::insert`].
///
/// # Errors
/// [`CannotPlace`] if an alias stands for the container, and in a few layouts that have no room.
pub(in crate::format) fn insert(
    source: &str,
    nodes: &[Node],
    parent: NodeId,
    before: Option<NodeId>,
    key: Option<&str>,
    content: &Content<'_>,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotPlace> {
    let layout = layout::Layout { source, nodes };
    insert::Insertion::new(layout, parent, key, content)?.make(before, edits)
}
