//! What becomes of every entry, whatever the text around it: kept with the value of one side, gone, or in dispute.
//!
//! Knows values, kinds and which entries belong together. Knows nothing of rows, comments or order.

use super::entries::{Documents, Entries, EntryId, equal};
use super::three::{Side, Three, agreed};
use crate::format::Format;
use crate::node::{Kind, Node, NodeId, Tag};

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays, with the value of this side.
    Kept(Side),
    /// It was removed.
    Gone,
    /// The sides contradict each other.
    Clash,
}

/// The fates of all entries.
#[derive(Debug)]
pub(super) struct Fates {
    list: Vec<Fate>,
    in_place: Vec<bool>,
}

impl Fates {
    /// Decides. Without a base, everything in which the two differ is in dispute.
    pub(super) fn of_all(documents: &Documents<'_, '_>, entries: &Entries, has_base: bool) -> Self {
        let mut list: Vec<Fate> = entries
            .all()
            .map(|(_, entry)| decide(documents, entries, &entry.nodes, has_base))
            .collect();
        let both = |nodes: &Three<Option<NodeId>>| {
            let is_scalar = |side: Side| kind(documents, nodes, side) == Some(Kind::Scalar);
            is_scalar(Side::Ours) && is_scalar(Side::Theirs)
        };
        let in_place = entries.all().map(|(_, entry)| both(&entry.nodes)).collect();
        // A container cannot go while the other side changed something in it.
        for (id, entry) in entries.all().rev() {
            let stays = list.get(id).is_some_and(|fate| *fate != Fate::Gone);
            let around = entry.parent.and_then(|parent| list.get_mut(parent));
            if let Some(around) = around.filter(|around| stays && **around == Fate::Gone) {
                *around = Fate::Clash;
            }
        }
        let mut fates = Self { list, in_place };
        fates.dispute_emptied(documents, entries);
        fates
    }

    /// A collection in blocks that each side took a part of, so that nothing is left, has no spelling.
    fn dispute_emptied(&mut self, documents: &Documents<'_, '_>, entries: &Entries) {
        // Whether ours has something in it, and theirs, and the result.
        let mut children = vec![[false; 3]; self.list.len()];
        for (id, entry) in entries.all() {
            if let Some([ours, theirs, result]) =
                entry.parent.and_then(|parent| children.get_mut(parent))
            {
                *ours |= entry.nodes.ours.is_some();
                *theirs |= entry.nodes.theirs.is_some();
                *result |= self.of(id) != Fate::Gone;
            }
        }
        for (id, entry) in entries.all().filter(|(_, entry)| entry.parent.is_some()) {
            let Fate::Kept(side) = self.of(id) else {
                continue;
            };
            let node = node(documents, &entry.nodes, side);
            let in_blocks = node.is_some_and(|node| {
                let format = documents.get(side).map(|document| document.format());
                node.is_container() && !node.flow && format == Some(Format::Yaml)
            });
            if in_blocks
                && children.get(id) == Some(&[true, true, false])
                && let Some(fate) = self.list.get_mut(id)
            {
                *fate = Fate::Clash;
            }
        }
    }

    /// What becomes of an entry.
    pub(super) fn of(&self, entry: EntryId) -> Fate {
        self.list.get(entry).copied().unwrap_or(Fate::Clash)
    }

    /// Whether it is a value on both sides, so that a clash concerns the value alone.
    pub(super) fn is_in_place(&self, entry: EntryId) -> bool {
        self.in_place.get(entry).copied().unwrap_or(false)
    }
}

fn node<'d>(
    documents: &Documents<'d, '_>,
    nodes: &Three<Option<NodeId>>,
    side: Side,
) -> Option<&'d Node> {
    documents
        .get(side)
        .and_then(|document| document.node((*nodes.get(side))?))
}

fn kind(documents: &Documents<'_, '_>, nodes: &Three<Option<NodeId>>, side: Side) -> Option<Kind> {
    node(documents, nodes, side).map(|node| match node.kind {
        // What it stands for has another number in every version.
        Kind::Alias { .. } => Kind::Alias { target: 0 },
        kind => kind,
    })
}

fn decide(
    documents: &Documents<'_, '_>,
    entries: &Entries,
    nodes: &Three<Option<NodeId>>,
    has_base: bool,
) -> Fate {
    let kinds = Three::of(|side| kind(documents, nodes, side));
    let all = |wanted: Kind| {
        Side::ALL
            .iter()
            .all(|side| kinds.get(*side).is_none_or(|kind| kind == wanted))
    };
    if kinds.ours == kinds.theirs && matches!(kinds.ours, Some(Kind::Mapping | Kind::Sequence)) {
        return Fate::Kept(Side::Ours);
    }
    if !all(Kind::Scalar) {
        // What is in a collection has fates of its own. Things of different kinds are compared as a whole.
        let of_a_kind = all(Kind::Mapping) || all(Kind::Sequence);
        let things = Three::of(|side| {
            let content = if of_a_kind {
                0
            } else {
                entries.content(side, (*nodes.get(side))?)
            };
            kinds.get(side).map(|kind| (kind, content))
        });
        return match things.choose() {
            _ if !has_base && things.ours != things.theirs => Fate::Clash,
            Some(side) if things.get(side).is_some() => Fate::Kept(side),
            Some(_) => Fate::Gone,
            None => Fate::Clash,
        };
    }
    let same = |one: Side, other: Side| same(documents, nodes, one, other);
    if !has_base {
        return if same(Side::Ours, Side::Theirs) {
            Fate::Kept(Side::Ours)
        } else {
            Fate::Clash
        };
    }
    let chosen =
        if spelling(documents, nodes, Side::Theirs) == spelling(documents, nodes, Side::Base) {
            Side::Ours
        } else if spelling(documents, nodes, Side::Ours) == spelling(documents, nodes, Side::Base) {
            Side::Theirs
        } else if same(Side::Ours, Side::Theirs) {
            let written = |side| spelling(documents, nodes, side).map_or("", |(text, _)| text);
            agreed(written(Side::Ours), written(Side::Theirs))
        } else if same(Side::Theirs, Side::Base) {
            Side::Ours
        } else if same(Side::Ours, Side::Base) {
            Side::Theirs
        } else {
            return Fate::Clash;
        };
    if nodes.get(chosen).is_some() {
        Fate::Kept(chosen)
    } else {
        Fate::Gone
    }
}

/// A value as it is written, with its tag; `None` if the side does not have it.
fn spelling<'d>(
    documents: &Documents<'d, '_>,
    nodes: &Three<Option<NodeId>>,
    side: Side,
) -> Option<(&'d str, Tag)> {
    let document = (*documents.get(side))?;
    let node = document.node((*nodes.get(side))?)?;
    Some((node.span.of(document.source()), node.tag))
}

/// Whether two sides have the same value, or both none.
fn same(
    documents: &Documents<'_, '_>,
    nodes: &Three<Option<NodeId>>,
    one: Side,
    other: Side,
) -> bool {
    let value = |side: Side| {
        let document = (*documents.get(side))?;
        Some(document.plaintext(node(documents, nodes, side)?).ok())
    };
    match (value(one), value(other)) {
        (None, None) => true,
        (Some(Some(one)), Some(Some(other))) => equal(&one, &other),
        _ => false,
    }
}
