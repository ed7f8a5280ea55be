//! Which entry of one version is which of another: by key in mappings; in lists by an identity such as `name`, else by
//! content.
//!
//! Knows documents, not their text. Nothing here depends on which side is called ours.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::align::{align, align_evenly};
use super::three::{Side, Three};
use crate::document::Document;
use crate::node::{Kind, Node, NodeId};
use crate::value::Value;

/// Number of an entry, the same in all versions.
pub(in crate::ops) type EntryId = usize;

/// Keys by whose value an item of a list is known, the best first.
const IDENTITIES: [&str; 4] = ["name", "id", "key", "metadata.name"];

/// The versions; `None` is one that is empty.
pub(in crate::ops) type Documents<'d, 's> = Three<Option<&'d Document<'s>>>;

/// A document, an entry of a mapping, or an item of a list, in the versions that have it.
#[derive(Debug)]
pub(in crate::ops) struct Entry {
    /// The container; `None` for a document.
    pub(in crate::ops) parent: Option<EntryId>,
    /// Where it stands.
    pub(in crate::ops) nodes: Three<Option<NodeId>>,
    /// How many containers it stands in.
    pub(in crate::ops) depth: usize,
    /// The document that it is in.
    pub(in crate::ops) document: EntryId,
    /// Its key, or its place in a list in brackets; empty for documents.
    name: String,
}

/// All entries of all versions.
#[derive(Debug)]
pub(in crate::ops) struct Entries {
    list: Vec<Entry>,
    of_node: Three<Vec<Option<EntryId>>>,
    /// A number for the content of every node.
    prints: Three<Vec<u64>>,
}

impl Entries {
    /// Finds the entries of three versions.
    pub(in crate::ops) fn of(documents: &Documents<'_, '_>) -> Self {
        let count = |side| {
            documents
                .get(side)
                .map_or(0, |found: &Document<'_>| found.nodes().len())
        };
        let mut entries = Self {
            list: Vec::new(),
            of_node: Three::of(|side| vec![None; count(side)]),
            prints: Three::default(),
        };
        let prints = Three::of(|side| documents.get(side).map_or_else(Vec::new, fingerprints));
        let roots = Three::of(|side| {
            documents
                .get(side)
                .map_or_else(Vec::new, |found| found.roots().collect())
        });
        // A file with one document has the same one in all versions.
        let single = Side::ALL.iter().all(|side| roots.get(*side).len() <= 1);
        let documents_of = if single {
            vec![Three::of(|side| roots.get(side).first().copied())]
        } else {
            by_content(documents, &roots, &prints)
        };
        for nodes in documents_of {
            entries.add(None, nodes, String::new());
        }
        // Entries are added behind those whose container they are in.
        let mut next = 0;
        while next < entries.list.len() {
            entries.descend(next, documents, &prints);
            next += 1;
        }
        entries.prints = prints;
        entries
    }

    fn add(&mut self, parent: Option<EntryId>, nodes: Three<Option<NodeId>>, name: String) {
        let id = self.list.len();
        for side in Side::ALL {
            let place = nodes
                .get(side)
                .and_then(|node| self.of_node.get_mut(side).get_mut(node));
            if let Some(place) = place {
                *place = Some(id);
            }
        }
        let depth = parent
            .and_then(|parent| self.get(parent))
            .map_or(0, |entry| entry.depth + 1);
        let document = parent
            .and_then(|parent| self.get(parent))
            .map_or(id, |entry| entry.document);
        self.list.push(Entry {
            document,
            parent,
            nodes,
            depth,
            name,
        });
    }

    /// Adds what is directly in the container `id`.
    fn descend(&mut self, id: EntryId, documents: &Documents<'_, '_>, prints: &Three<Vec<u64>>) {
        let Some(nodes) = self.get(id).map(|entry| entry.nodes) else {
            return;
        };
        let node = |side: Side| (*documents.get(side))?.node((*nodes.get(side))?);
        let children = Three::of(|side| {
            let of_kind = |kind| node(side).filter(|found| found.kind == kind).map(|_| ());
            let all = || match (documents.get(side), nodes.get(side)) {
                (Some(document), Some(node)) => entries_of(document, *node),
                _ => Vec::new(),
            };
            (
                of_kind(Kind::Mapping).map(|()| all()),
                of_kind(Kind::Sequence).map(|()| all()),
            )
        });
        let keyed = Three::of(|side| children.get(side).0.clone().unwrap_or_default());
        for (name, nodes) in by_key(documents, &keyed) {
            self.add(Some(id), nodes, name);
        }
        let items = Three::of(|side| children.get(side).1.clone().unwrap_or_default());
        for nodes in by_content(documents, &items, prints) {
            let place = Side::ALL.into_iter().rev().find_map(|side| {
                let node = (*nodes.get(side))?;
                items.get(side).binary_search(&node).ok()
            });
            let name = format!("[{}]", place.unwrap_or(0));
            self.add(Some(id), nodes, name);
        }
    }

    /// One entry.
    pub(in crate::ops) fn get(&self, id: EntryId) -> Option<&Entry> {
        self.list.get(id)
    }

    /// All entries with their numbers; a container before what is in it.
    pub(in crate::ops) fn all(&self) -> impl DoubleEndedIterator<Item = (EntryId, &Entry)> {
        self.list.iter().enumerate()
    }

    /// The entry that a node of one version is; `None` for comments.
    pub(in crate::ops) fn of_node(&self, side: Side, node: NodeId) -> Option<EntryId> {
        self.of_node.get(side).get(node).copied().flatten()
    }

    /// A number for the content of a node: the same for equal content.
    pub(in crate::ops) fn content(&self, side: Side, node: NodeId) -> u64 {
        self.prints.get(side).get(node).copied().unwrap_or(0)
    }

    /// The path for people.
    pub(in crate::ops) fn path(&self, id: EntryId) -> String {
        let mut names = Vec::new();
        let mut next = Some(id);
        while let Some(entry) = next.and_then(|id| self.get(id)) {
            if !entry.name.is_empty() {
                names.push(entry.name.as_str());
            }
            next = entry.parent;
        }
        let mut path = String::new();
        for name in names.into_iter().rev() {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            path.push_str(name);
        }
        path
    }

    /// Its key; empty for items of lists, whose place says nothing.
    pub(in crate::ops) fn key(&self, id: EntryId) -> &str {
        let name = self.get(id).map_or("", |entry| entry.name.as_str());
        if name.starts_with('[') { "" } else { name }
    }
}

fn entries_of(document: &Document<'_>, id: NodeId) -> Vec<NodeId> {
    let is_comment = |id: &NodeId| {
        document
            .node(*id)
            .is_some_and(|node| node.kind == Kind::Comment)
    };
    document.children(id).filter(|id| !is_comment(id)).collect()
}

/// The entries of a mapping by their keys. A key that stands several times is told apart by its number.
fn by_key(
    documents: &Documents<'_, '_>,
    children: &Three<Vec<NodeId>>,
) -> Vec<(String, Three<Option<NodeId>>)> {
    let mut found: Vec<(String, Three<Option<NodeId>>)> = Vec::new();
    let mut known: HashMap<(String, usize), usize> = HashMap::new();
    for side in Side::ALL {
        let Some(document) = documents.get(side) else {
            continue;
        };
        let mut times: HashMap<String, usize> = HashMap::new();
        for &id in children.get(side) {
            let Some(node) = document.node(id) else {
                continue;
            };
            let written = || node.key.unwrap_or_default().of(document.source()).into();
            let key = document
                .key(node)
                .unwrap_or_else(|_| written())
                .into_owned();
            let time = times.entry(key.clone()).or_default();
            *time += 1;
            let place = *known.entry((key.clone(), *time)).or_insert_with(|| {
                found.push((key, Three::default()));
                found.len() - 1
            });
            if let Some((_, nodes)) = found.get_mut(place) {
                *nodes.get_mut(side) = Some(id);
            }
        }
    }
    found
}

/// The items of a list that are the same.
fn by_content(
    documents: &Documents<'_, '_>,
    items: &Three<Vec<NodeId>>,
    prints: &Three<Vec<u64>>,
) -> Vec<Three<Option<NodeId>>> {
    let identities = IDENTITIES
        .iter()
        .find_map(|key| identities(documents, items, key));
    let by_name = identities.is_some();
    let marks = identities.unwrap_or_else(|| {
        let print = |side: Side, id: &NodeId| prints.get(side).get(*id).copied().unwrap_or(0);
        Three::of(|side| items.get(side).iter().map(|id| print(side, id)).collect())
    });
    let item = |side: Side, at: usize| items.get(side).get(at).copied();
    let mut found: Vec<Three<Option<NodeId>>> = (0..items.base.len())
        .map(|at| Three {
            base: item(Side::Base, at),
            ..Three::default()
        })
        .collect();
    let mut new = Three::<Vec<usize>>::default();
    for side in [Side::Ours, Side::Theirs] {
        let partners = if by_name {
            same(&marks.base, marks.get(side))
        } else {
            let partners = align(&marks.base, marks.get(side));
            with_edited(partners, marks.get(side).len(), |base, other| {
                similar(
                    documents,
                    prints,
                    side,
                    item(Side::Base, base),
                    item(side, other),
                )
            })
        };
        let mut taken = vec![false; marks.get(side).len()];
        for (nodes, partner) in found.iter_mut().zip(partners) {
            if let Some(partner) = partner {
                *nodes.get_mut(side) = item(side, partner);
                if let Some(taken) = taken.get_mut(partner) {
                    *taken = true;
                }
            }
        }
        *new.get_mut(side) = (0..taken.len())
            .filter(|at| taken.get(*at) == Some(&false))
            .collect();
    }
    // What both added alike is one item.
    let of = |side: Side| -> Vec<u64> {
        new.get(side)
            .iter()
            .filter_map(|at| marks.get(side).get(*at).copied())
            .collect()
    };
    let partners = if by_name {
        same(&of(Side::Ours), &of(Side::Theirs))
    } else {
        align_evenly(&of(Side::Ours), &of(Side::Theirs))
    };
    let mut shared = vec![false; new.theirs.len()];
    for (at, partner) in new.ours.iter().zip(partners) {
        let theirs = partner.and_then(|partner| {
            if let Some(shared) = shared.get_mut(partner) {
                *shared = true;
            }
            item(Side::Theirs, *new.theirs.get(partner)?)
        });
        found.push(Three {
            base: None,
            ours: item(Side::Ours, *at),
            theirs,
        });
    }
    for (at, shared) in new.theirs.iter().zip(shared) {
        if !shared {
            found.push(Three {
                theirs: item(Side::Theirs, *at),
                ..Three::default()
            });
        }
    }
    found
}

/// For each of `one` where it stands in `other`, in any order.
fn same(one: &[u64], other: &[u64]) -> Vec<Option<usize>> {
    let places: HashMap<u64, usize> = other
        .iter()
        .enumerate()
        .map(|(at, mark)| (*mark, at))
        .collect();
    one.iter().map(|mark| places.get(mark).copied()).collect()
}

/// Between two items that are the same, as many items as before are the same items, edited, as far as they are `similar`.
fn with_edited(
    mut partners: Vec<Option<usize>>,
    count: usize,
    similar: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    let anchors: Vec<(usize, usize)> = partners
        .iter()
        .enumerate()
        .filter_map(|(at, partner)| Some((at, (*partner)?)))
        .chain([(partners.len(), count)])
        .collect();
    let (mut from, mut from_other) = (0, 0);
    for (to, to_other) in anchors {
        if to.saturating_sub(from) == to_other.saturating_sub(from_other) {
            for (at, other) in (from..to).zip(from_other..to_other) {
                if let Some(partner) = partners.get_mut(at).filter(|_| similar(at, other)) {
                    *partner = Some(other);
                }
            }
        }
        (from, from_other) = (to + 1, to_other + 1);
    }
    partners
}

/// Whether an item can be another one, edited: both are values, or half of what is in them is the same.
fn similar(
    documents: &Documents<'_, '_>,
    prints: &Three<Vec<u64>>,
    side: Side,
    base: Option<NodeId>,
    other: Option<NodeId>,
) -> bool {
    let found = |side: Side, id: Option<NodeId>| {
        let document = (*documents.get(side))?;
        Some((document, id?, document.node(id?)?))
    };
    let (Some(one), Some(other)) = (found(Side::Base, base), found(side, other)) else {
        return false;
    };
    if one.2.kind != other.2.kind {
        return false;
    }
    if !one.2.is_container() {
        return true;
    }
    let parts =
        |side: Side, (document, id, _): (&Document<'_>, NodeId, &Node)| -> Vec<(String, u64)> {
            let part = |child: NodeId| {
                let key = document
                    .node(child)
                    .and_then(|child| document.key(child).ok());
                let print = prints.get(side).get(child).copied().unwrap_or(0);
                (
                    key.map(std::borrow::Cow::into_owned).unwrap_or_default(),
                    print,
                )
            };
            entries_of(document, id).into_iter().map(part).collect()
        };
    let (one, other) = (parts(Side::Base, one), parts(side, other));
    let known: std::collections::HashSet<&(String, u64)> = one.iter().collect();
    let shared = other.iter().filter(|part| known.contains(part)).count();
    shared * 2 >= one.len().max(other.len())
}

/// The value of `key` in every item; `None` if one has none, or two the same.
fn identities(
    documents: &Documents<'_, '_>,
    items: &Three<Vec<NodeId>>,
    key: &str,
) -> Option<Three<Vec<u64>>> {
    let mut found = Three::<Vec<u64>>::default();
    for side in Side::ALL {
        let Some(document) = documents.get(side) else {
            continue;
        };
        let mut seen = std::collections::HashSet::new();
        for &item in items.get(side) {
            document
                .node(item)
                .filter(|node| node.kind == Kind::Mapping)?;
            let mut place = item;
            for key in key.split('.') {
                place = document.entry(place, key)?;
            }
            let node = document.node(place)?;
            let mark = scalar_print(document, node).filter(|_| node.kind == Kind::Scalar)?;
            if !seen.insert(mark) {
                return None;
            }
            found.get_mut(side).push(mark);
        }
    }
    Some(found)
}

fn scalar_print(document: &Document<'_>, node: &Node) -> Option<u64> {
    let mut hash = DefaultHasher::new();
    let value = document.plaintext(node).ok()?;
    value
        .token_type()
        .map(crate::value::Type::word)
        .hash(&mut hash);
    value.canonical().hash(&mut hash);
    Some(hash.finish())
}

/// A number for the content of every node: equal content has equal numbers.
fn fingerprints(document: &Document<'_>) -> Vec<u64> {
    let mut prints = vec![0; document.nodes().len()];
    for (id, node) in document.nodes().iter().enumerate().rev() {
        let print = match node.kind {
            Kind::Comment => continue,
            Kind::Scalar => scalar_print(document, node).unwrap_or(0),
            Kind::Alias { .. } => {
                let mut hash = DefaultHasher::new();
                node.span.of(document.source()).hash(&mut hash);
                hash.finish()
            }
            Kind::Mapping | Kind::Sequence => {
                let mut hash = DefaultHasher::new();
                (node.kind == Kind::Mapping).hash(&mut hash);
                for child in entries_of(document, id) {
                    let key = document.node(child).filter(|_| node.kind == Kind::Mapping);
                    key.and_then(|child| document.key(child).ok())
                        .hash(&mut hash);
                    prints.get(child).hash(&mut hash);
                }
                hash.finish()
            }
        };
        if let Some(place) = prints.get_mut(id) {
            *place = print;
        }
    }
    prints
}

/// Whether two values are the same, in type and content.
pub(in crate::ops) fn equal(one: &Value<'_>, other: &Value<'_>) -> bool {
    one.token_type() == other.token_type() && one.canonical() == other.canonical()
}
