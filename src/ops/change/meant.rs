//! Whether a changed text is what was meant: the same tree with the one change and nothing else.
//!
//! Knows nothing of how texts are edited: it compares what is read from the old one and from the new one.

use std::borrow::Cow;

use super::{ChangeError, Placing, is_unwritten};
use crate::content::{Content, Entry, Part};
use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, Node, NodeId};
use crate::ops::locate::items;
use crate::value::Value;

/// Whether `text` is read as `document` with the change made, comments included.
pub(super) fn is_as_meant(
    document: &Document<'_>,
    placing: &Placing<'_>,
    text: &str,
) -> Result<bool, ChangeError> {
    let Ok(changed) = Document::parse(document.format(), text) else {
        return Ok(false);
    };
    let mut expected = contents(document)?;
    if apply(document, placing, &mut expected).is_none() {
        return Ok(false);
    }
    let mut found = contents(&changed)?;
    if document.format() == Format::Toml {
        // The parts of a table may stand anywhere, so its entries have no order of their own.
        for tree in expected.iter_mut().chain(&mut found) {
            sort(tree);
        }
    }
    let is_equal = expected.len() == found.len()
        && expected
            .iter()
            .zip(&found)
            .all(|(one, other)| equal(one, other));
    Ok(is_equal && keeps_comments(document, placing, &changed))
}

/// All documents of a file. The section of INI keys before any header is there even if it is empty, as in the node table.
fn contents<'a>(document: &Document<'a>) -> Result<Vec<Content<'a>>, ChangeError> {
    let mut contents = document.contents()?;
    let default = items(document, 0).next();
    let is_empty = default.is_some_and(|id| items(document, id).next().is_none());
    if let (Format::Ini, true, Some(Content::Map(parts))) =
        (document.format(), is_empty, contents.first_mut())
        && default.is_some_and(|id| is_unwritten(document, id))
    {
        let (key, content) = (Cow::Borrowed("DEFAULT"), Content::empty_map());
        parts.insert(0, Part::Item(Entry { key, content }));
    }
    Ok(contents)
}

/// Makes the change in the trees. What it finds no place for stays away, and is then found to be missing.
fn apply<'c>(
    document: &Document<'_>,
    placing: &Placing<'c>,
    trees: &mut [Content<'c>],
) -> Option<()> {
    match placing {
        Placing::Replace { id, content } => {
            *descend(trees, &route(document, *id)?)? = content.clone();
        }
        Placing::Remove { id } => {
            let route = route(document, *id)?;
            let (&last, above) = route.split_last()?;
            match descend(trees, above)? {
                Content::List(parts) => drop(parts.remove(part(parts, last)?)),
                Content::Map(parts) => drop(parts.remove(part(parts, last)?)),
                Content::Scalar(_) => return None,
            }
        }
        Placing::Insert {
            parent,
            before,
            key,
            content,
        } => {
            let before = before.and_then(|id| route(document, id)?.last().copied());
            let content = content.clone();
            match descend(trees, &route(document, *parent)?)? {
                Content::List(parts) => parts.insert(place(parts, before), Part::Item(content)),
                Content::Map(parts) => {
                    let key = key.clone()?.into();
                    let entry = Entry { key, content };
                    parts.insert(place(parts, before), Part::Item(entry));
                }
                Content::Scalar(_) => return None,
            }
        }
    }
    Some(())
}

/// Brings the entries of all mappings into the order of their keys, without comments.
fn sort(content: &mut Content<'_>) {
    match content {
        Content::Map(parts) => {
            parts.retain(|part| part.item().is_some());
            parts.sort_by(|one, other| {
                let keys = (one.item(), other.item());
                keys.0
                    .map(|entry| &entry.key)
                    .cmp(&keys.1.map(|entry| &entry.key))
            });
            for part in parts {
                if let Part::Item(entry) = part {
                    sort(&mut entry.content);
                }
            }
        }
        Content::List(parts) => {
            for part in parts {
                if let Part::Item(item) = part {
                    sort(item);
                }
            }
        }
        Content::Scalar(_) => {}
    }
}

/// The way to a node: which document, then which item or entry at every level.
fn route(document: &Document<'_>, id: NodeId) -> Option<Vec<usize>> {
    let mut route = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let parent = document.node(id)?.parent;
        route.push(match parent {
            Some(parent) => items(document, parent)
                .take_while(|&other| other < id)
                .count(),
            None => document.roots().take_while(|&other| other < id).count(),
        });
        next = parent;
    }
    route.reverse();
    Some(route)
}

fn descend<'t, 'c>(trees: &'t mut [Content<'c>], route: &[usize]) -> Option<&'t mut Content<'c>> {
    let (&number, route) = route.split_first()?;
    let mut at = trees.get_mut(number)?;
    for &number in route {
        at = match at {
            Content::List(parts) => nth_item(parts, number)?,
            Content::Map(parts) => &mut nth_item(parts, number)?.content,
            Content::Scalar(_) => return None,
        };
    }
    Some(at)
}

fn nth_item<'p, T>(parts: &'p mut [Part<'_, T>], number: usize) -> Option<&'p mut T> {
    let mut items = parts.iter_mut().filter_map(|part| match part {
        Part::Item(item) => Some(item),
        Part::Comment(_) => None,
    });
    items.nth(number)
}

/// Which part the item or entry of this number is, comments counted.
fn part<T>(parts: &[Part<'_, T>], number: usize) -> Option<usize> {
    let items = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.item().is_some());
    items.map(|(index, _)| index).nth(number)
}

/// Before which part a new one goes: the item of this number, or the end.
fn place<T>(parts: &[Part<'_, T>], before: Option<usize>) -> usize {
    let found = before.and_then(|number| part(parts, number));
    found.unwrap_or(parts.len())
}

/// Whether the comments are those that were there, but for such as belonged to what is gone.
fn keeps_comments(document: &Document<'_>, placing: &Placing<'_>, changed: &Document<'_>) -> bool {
    let (before, after) = (comments(document), comments(changed));
    let may_go = match placing {
        Placing::Insert { .. } => false,
        Placing::Replace { id, .. } => document.node(*id).is_some_and(Node::is_container),
        Placing::Remove { .. } => true,
    };
    let mut rest = before.iter();
    let are_old = after.iter().all(|text| rest.any(|old| old == text));
    are_old && (may_go || before.len() == after.len())
}

/// The texts of all comments, in the order in which they stand.
fn comments<'a>(document: &Document<'a>) -> Vec<&'a str> {
    let nodes = document.nodes().iter();
    let mut comments: Vec<&Node> = nodes.filter(|node| node.kind == Kind::Comment).collect();
    comments.sort_by_key(|node| node.span);
    let source = document.source();
    comments.iter().map(|node| node.span.of(source)).collect()
}

/// Whether two contents are the same but for comments.
pub(super) fn equal(one: &Content<'_>, other: &Content<'_>) -> bool {
    match (one, other) {
        (Content::Scalar(one), Content::Scalar(other)) => is_same(one, other),
        (Content::List(_), Content::List(_)) => {
            let mut pairs = one.items().zip(other.items());
            one.items().count() == other.items().count()
                && pairs.all(|(one, other)| equal(one, other))
        }
        (Content::Map(_), Content::Map(_)) => {
            let mut pairs = one.entries().zip(other.entries());
            one.entries().count() == other.entries().count()
                && pairs
                    .all(|(one, other)| one.key == other.key && equal(&one.content, &other.content))
        }
        _ => false,
    }
}

/// Whether two values are of one type and have one text; NaN is the same as NaN.
fn is_same(one: &Value<'_>, other: &Value<'_>) -> bool {
    one.token_type() == other.token_type() && one.canonical() == other.canonical()
}
