//! What becomes of every entry, whatever the text around it: kept with the value of one side, gone, or in dispute.

use super::entries::{Documents, Entries, EntryId, equal};
use super::three::{Side, Three, agreed};
use crate::node::{Kind, Node, NodeId};

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
            .map(|(_, entry)| decide(documents, &entry.nodes, has_base))
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
        Self { list, in_place }
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

fn decide(documents: &Documents<'_, '_>, nodes: &Three<Option<NodeId>>, has_base: bool) -> Fate {
    let kinds = Three::of(|side| kind(documents, nodes, side));
    let is_value = |kind: &Option<Kind>| matches!(kind, None | Some(Kind::Scalar));
    if !is_value(&kinds.base) || !is_value(&kinds.ours) || !is_value(&kinds.theirs) {
        return match kinds.choose() {
            _ if !has_base && kinds.ours != kinds.theirs => Fate::Clash,
            Some(side) if kinds.get(side).is_some() => Fate::Kept(side),
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
            let written = |side| spelling(documents, nodes, side).unwrap_or_default();
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

/// A value as it is written; `None` if the side does not have it.
fn spelling<'d>(
    documents: &Documents<'d, '_>,
    nodes: &Three<Option<NodeId>>,
    side: Side,
) -> Option<&'d str> {
    let document = (*documents.get(side))?;
    Some(
        document
            .node((*nodes.get(side))?)?
            .span
            .of(document.source()),
    )
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
        Some(document.value(node(documents, nodes, side)?).ok())
    };
    match (value(one), value(other)) {
        (None, None) => true,
        (Some(Some(one)), Some(Some(other))) => equal(&one, &other),
        _ => false,
    }
}
