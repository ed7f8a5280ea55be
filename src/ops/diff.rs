//! What is different in two versions of a file, by path: values, their types and places, and who can open them.
//!
//! Values are compared opened where both can be; else tokens are compared, which tells less: a value that was sealed anew
//! looks changed. Shows nothing: what becomes of values is up to the caller.

use crate::document::Document;
use crate::metadata::Metadata;
use crate::node::{Kind, Node, NodeId};
use crate::ops::merge::entries::{Entries, equal};
use crate::ops::merge::three::Three;
use crate::recipient::WrappedKey;
use crate::value::Value;

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Only the new version has it.
    Added,
    /// Only the old version has it.
    Removed,
    /// It has another value.
    Changed,
    /// It has a value of another type, or is another kind of thing.
    Retyped,
    /// It has the same value, at another place among its neighbours.
    Moved,
}

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The entry in the old version.
    pub old: Option<NodeId>,
    /// The entry in the new version.
    pub new: Option<NodeId>,
}

/// The differences between two texts.
#[derive(Debug)]
pub struct Differences {
    /// Each with its path for people, in the order of the new version; what was removed comes last.
    pub changes: Vec<(String, Change)>,
}

/// Compares two plaintexts, or two sealed texts by their tokens. Comments do not count.
#[must_use]
pub fn diff(old: &Document<'_>, new: &Document<'_>) -> Differences {
    let documents = Three {
        base: Some(old),
        ours: Some(new),
        theirs: None,
    };
    let entries = Entries::of(&documents);
    let moved = moved(&entries);
    let mut changes = Vec::new();
    for (id, entry) in entries.all() {
        if entry.parent.is_none() {
            continue;
        }
        let (before, after) = (entry.nodes.base, entry.nodes.ours);
        let node = |document: &Document<'_>, id: Option<NodeId>| {
            id.and_then(|id| document.node(id).copied())
        };
        let what = match (node(old, before), node(new, after)) {
            (None, None) => continue,
            // Of a whole block that came or went, the values are named, and the block only if it has none.
            (None, Some(node)) if is_named(new, after, &node) => What::Added,
            (Some(node), None) if is_named(old, before, &node) => What::Removed,
            (Some(one), Some(other)) => match compare(old, &one, new, &other) {
                Some(what) => what,
                None if moved.get(id) == Some(&true) => What::Moved,
                None => continue,
            },
            _ => continue,
        };
        if is_metadata(old, before) || is_metadata(new, after) {
            continue;
        }
        changes.push((
            entries.path(id),
            Change {
                what,
                old: before,
                new: after,
            },
        ));
    }
    changes.sort_by_key(|(_, change)| (change.new.is_none(), change.new, change.old));
    Differences { changes }
}

/// Whether a node is the metadata of its text, or in it.
fn is_metadata(document: &Document<'_>, id: Option<NodeId>) -> bool {
    let within = |id: NodeId| {
        document.metadata().iter().any(|&entry| {
            let end = document.node(entry).map_or(entry, |node| node.end);
            (entry..end.max(entry + 1)).contains(&id)
        })
    };
    id.is_some_and(within)
}

fn is_named(document: &Document<'_>, id: Option<NodeId>, node: &Node) -> bool {
    let is_empty = |id: NodeId| document.children(id).next().is_none();
    !node.is_container() || id.is_some_and(is_empty)
}

fn compare(old: &Document<'_>, one: &Node, new: &Document<'_>, other: &Node) -> Option<What> {
    match (one.kind, other.kind) {
        (Kind::Scalar, Kind::Scalar) => {
            let (one, other) = (old.plaintext(one).ok()?, new.plaintext(other).ok()?);
            if equal(&one, &other) {
                None
            } else if kind(&one) == kind(&other) {
                Some(What::Changed)
            } else {
                Some(What::Retyped)
            }
        }
        (Kind::Mapping, Kind::Mapping) | (Kind::Sequence, Kind::Sequence) => None,
        (Kind::Alias { .. }, Kind::Alias { .. }) => {
            (one.span.of(old.source()) != other.span.of(new.source())).then_some(What::Changed)
        }
        _ => Some(What::Retyped),
    }
}

/// The word for the type of a value.
#[must_use]
pub fn kind(value: &Value<'_>) -> &'static str {
    value.token_type().map_or("null", crate::value::Type::word)
}

/// Which entries stand at another place among those that both versions have: all but the longest run that does not.
fn moved(entries: &Entries) -> Vec<bool> {
    let mut children: Vec<Vec<(NodeId, NodeId, usize)>> = Vec::new();
    let mut moved = Vec::new();
    for (id, entry) in entries.all() {
        children.push(Vec::new());
        moved.push(false);
        let places = entry.nodes.base.zip(entry.nodes.ours).zip(entry.parent);
        if let Some(((old, new), parent)) = places
            && let Some(siblings) = children.get_mut(parent)
        {
            siblings.push((old, new, id));
        }
    }
    for mut siblings in children {
        siblings.sort_unstable();
        let pairs: Vec<(usize, usize)> = siblings.iter().map(|&(old, new, _)| (old, new)).collect();
        let kept = crate::ops::merge::align::increasing(&pairs);
        let mut kept = kept.into_iter().peekable();
        for (old, new, id) in siblings {
            let stays = kept.next_if_eq(&(old, new)).is_some();
            if let Some(moved) = moved.get_mut(id) {
                *moved = !stays;
            }
        }
    }
    moved
}

/// What is different in who can open a file and by which rule it is sealed: lines for people, each with `+` or `-` before
/// what came or went.
#[must_use]
pub fn diff_metadata(old: &Metadata, new: &Metadata) -> Vec<String> {
    let mut lines = Vec::new();
    let names = |metadata: &Metadata| {
        let several = metadata.groups.len() > 1;
        let name = move |(number, wrapped): (usize, &WrappedKey)| {
            let group = if several {
                format!(" (group {})", number + 1)
            } else {
                String::new()
            };
            format!("{}{group}", wrapped.recipient.identity())
        };
        let numbered = metadata.groups.iter().enumerate();
        let all =
            numbered.flat_map(|(number, group)| group.iter().map(move |wrapped| (number, wrapped)));
        all.map(name).collect::<Vec<String>>()
    };
    let (before, after) = (names(old), names(new));
    lines.extend(
        before
            .iter()
            .filter(|name| !after.contains(name))
            .map(|name| format!("- recipient {name}")),
    );
    lines.extend(
        after
            .iter()
            .filter(|name| !before.contains(name))
            .map(|name| format!("+ recipient {name}")),
    );
    let rule = |metadata: &Metadata| {
        let (kind, text) = metadata.rule.as_ref()?;
        Some(format!("{}: {text}", kind.name()))
    };
    let threshold = |metadata: &Metadata| {
        (metadata.groups.len() > 1)
            .then(|| format!("shamir_threshold: {}", metadata.shamir_threshold))
    };
    let only = |metadata: &Metadata| {
        metadata
            .mac_only_encrypted
            .then(|| "mac_only_encrypted".to_owned())
    };
    for (before, after) in [
        (rule(old), rule(new)),
        (threshold(old), threshold(new)),
        (only(old), only(new)),
    ] {
        if before != after {
            lines.extend(before.map(|before| format!("- {before}")));
            lines.extend(after.map(|after| format!("+ {after}")));
        }
    }
    lines
}

/// The node that an entry has in one of the versions.
#[must_use]
pub fn node<'d>(old: &'d Document<'_>, new: &'d Document<'_>, change: &Change) -> Option<&'d Node> {
    match (change.new, change.old) {
        (Some(id), _) => new.node(id),
        (None, Some(id)) => old.node(id),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{What, diff};
    use crate::document::Document;
    use crate::format::Format;

    fn found(old: &str, new: &str) -> Vec<(String, What)> {
        let [old, new] = [old, new].map(|text| Document::parse(Format::Yaml, text).unwrap());
        diff(&old, &new)
            .changes
            .into_iter()
            .map(|(path, change)| (path, change.what))
            .collect()
    }

    #[test]
    fn every_kind_of_difference_is_told_by_path() {
        for (old, new, expected) in [
            ("a: 1\n", "a: 1 # c\n", vec![]),
            ("a: 1\n", "a: 2\n", vec![("a", What::Changed)]),
            ("a: 1\n", "a: x\n", vec![("a", What::Retyped)]),
            (
                "a: 1\n",
                "a: {b: 1}\n",
                vec![("a.b", What::Added), ("a", What::Retyped)],
            ),
            (
                "a: 1\n",
                "a: 1\nm: {b: 1, c: {}}\n",
                vec![("m.b", What::Added), ("m.c", What::Added)],
            ),
            ("m: {a: 1}\nb: 2\n", "b: 2\n", vec![("m.a", What::Removed)]),
            (
                "a: 1\nb: 2\nc: 3\n",
                "c: 3\na: 1\nb: 2\n",
                vec![("c", What::Moved)],
            ),
            ("l: [a, b]\n", "l: [x, a, b]\n", vec![("l[0]", What::Added)]),
            ("l: [a, b]\n", "l: [a, x]\n", vec![("l[1]", What::Changed)]),
            (
                "l:\n- name: a\n  v: 1\n- name: b\n  v: 2\n",
                "l:\n- name: b\n  v: 3\n",
                vec![
                    ("l[0].v", What::Changed),
                    ("l[0].name", What::Removed),
                    ("l[0].v", What::Removed),
                ],
            ),
        ] {
            let mut found = found(old, new);
            let mut expected: Vec<_> = expected
                .into_iter()
                .map(|(path, what)| (path.to_owned(), what))
                .collect();
            let key = |(path, what): &(String, What)| (path.clone(), format!("{what:?}"));
            found.sort_by_key(key);
            expected.sort_by_key(key);
            assert_eq!(found, expected, "{old:?} {new:?}");
        }
    }
}
