//! Merging who can open a file, and by which rule it is sealed.
//!
//! A recipient that one side removed is gone, and one that a side added is there. Nothing is wrapped here: what the result
//! lacks is named.

use super::plaintext::{Conflict, ConflictKind};
use super::three::{Side, Three};
use crate::metadata::Metadata;
use crate::recipient::{Recipient, WrappedKey};

/// The metadata of a merge.
#[derive(Clone, Debug)]
pub struct MergedMetadata {
    /// Without `lastmodified` and `mac`. Where both sides contradict each other, it has what ours has.
    pub metadata: Metadata,
    /// The recipients whose entry above has no wrapped key yet.
    pub missing: Missing,
    /// Recipients that one side removed, as identity strings: they know the data key still.
    pub removed: Vec<String>,
    /// The fields that both sides changed to different things.
    pub conflicts: Vec<Conflict>,
}

/// For whom the data key has to be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// For nobody.
    Nobody,
    /// For those in the one group whose `enc` is empty.
    Some,
    /// For everybody: shares of different splits do not fit together.
    All,
}

/// Merges metadata. `key` says whose data key the result has, `same_key` whether that is also the other side's. Without a
/// `base` nothing is known to be removed.
#[must_use]
pub(super) fn merge(
    base: Option<&Metadata>,
    ours: &Metadata,
    theirs: &Metadata,
    key: Side,
    same_key: bool,
) -> MergedMetadata {
    let sides = Three {
        base,
        ours: Some(ours),
        theirs: Some(theirs),
    };
    let mut conflicts = Vec::new();
    let mut chosen = |path: &str, side: Option<Side>| {
        side.unwrap_or_else(|| {
            conflicts.push(Conflict {
                path: format!("sops.{path}"),
                kind: ConflictKind::BothChanged,
            });
            Side::Ours
        })
    };
    let of = |side: Side| if side == Side::Theirs { theirs } else { ours };
    let rule = Three::of(|side| sides.get(side).map(|found| &found.rule));
    let rule_name = ours
        .rule
        .as_ref()
        .or(theirs.rule.as_ref())
        .map_or("rule", |(kind, _)| kind.name());
    let rule = of(chosen(rule_name, without_base(rule).choose()))
        .rule
        .clone();
    let only = Three::of(|side| sides.get(side).map(|found| found.mac_only_encrypted));
    let only = of(chosen("mac_only_encrypted", without_base(only).choose())).mac_only_encrypted;
    let unknown = Three::of(|side| sides.get(side).map(|found| &found.unknown));
    let unknown = of(chosen("unknown", without_base(unknown).choose()))
        .unknown
        .clone();
    let thresholds = Three::of(|side| sides.get(side).map(|found| found.shamir_threshold));
    let threshold = of(chosen(
        "shamir_threshold",
        without_base(thresholds).choose(),
    ))
    .shamir_threshold;
    let single = Side::ALL
        .iter()
        .all(|side| sides.get(*side).is_none_or(|found| found.groups.len() == 1));
    let mut removed = Vec::new();
    let (groups, missing) = if single {
        let (group, missing) = one_group(base, ours, theirs, key, same_key, &mut removed);
        if group.is_empty() {
            // Each side removed whom the other kept.
            chosen("recipients", None);
            (of(key).groups.clone(), Missing::Nobody)
        } else {
            (vec![group], missing)
        }
    } else {
        let names = Three::of(|side| sides.get(side).map(identities));
        let side = chosen("key_groups", without_base(names).choose());
        let split_alike = side == key
            || identities(of(key)) == identities(of(side)) && same_threshold(ours, theirs);
        if split_alike && threshold == of(key).shamir_threshold {
            (of(key).groups.clone(), Missing::Nobody)
        } else {
            (of(side).groups.clone(), Missing::All)
        }
    };
    MergedMetadata {
        metadata: Metadata {
            groups,
            shamir_threshold: threshold,
            lastmodified: String::new(),
            mac: String::new(),
            version: newer(&ours.version, &theirs.version).to_owned(),
            rule,
            mac_only_encrypted: only,
            unknown,
        },
        missing,
        removed,
        conflicts,
    }
}

/// Where there is no base, what both have alike is no change.
fn without_base<T: PartialEq + Clone>(mut sides: Three<Option<T>>) -> Three<Option<T>> {
    if sides.base.is_none() && sides.ours == sides.theirs {
        sides.base.clone_from(&sides.ours);
    }
    sides
}

fn same_threshold(ours: &Metadata, theirs: &Metadata) -> bool {
    ours.shamir_threshold == theirs.shamir_threshold
}

/// The recipients of every group, sorted.
fn identities(metadata: &Metadata) -> Vec<Vec<String>> {
    let group = |group: &Vec<WrappedKey>| {
        let mut names: Vec<String> = group.iter().map(name).collect();
        names.sort_unstable();
        names
    };
    metadata.groups.iter().map(group).collect()
}

fn name(wrapped: &WrappedKey) -> String {
    match &wrapped.recipient {
        // Two entries of a kind that is not known are the same only if they are equal.
        Recipient::Unknown { .. } => format!("{:?}", wrapped.recipient),
        known => format!("{}:{}", known.kind().name(), known.identity()),
    }
}

/// Merges the recipients of files that have one group each: ours, then those that theirs added.
fn one_group(
    base: Option<&Metadata>,
    ours: &Metadata,
    theirs: &Metadata,
    key: Side,
    same_key: bool,
    removed: &mut Vec<String>,
) -> (Vec<WrappedKey>, Missing) {
    let group = |metadata: &Metadata| metadata.groups.concat();
    let (ours, theirs) = (group(ours), group(theirs));
    let base = base.map(group).unwrap_or_default();
    let find = |group: &[WrappedKey], wrapped: &WrappedKey| {
        let wanted = name(wrapped);
        group.iter().find(|other| name(other) == wanted).cloned()
    };
    let mut merged = Vec::new();
    let mut missing = Missing::Nobody;
    let all = ours.iter().map(|wrapped| (Side::Ours, wrapped));
    let added = theirs
        .iter()
        .filter(|wrapped| find(&ours, wrapped).is_none());
    for (side, wrapped) in all.chain(added.map(|wrapped| (Side::Theirs, wrapped))) {
        let other = if side == Side::Ours { &theirs } else { &ours };
        let there = find(other, wrapped);
        if there.is_none() && find(&base, wrapped).is_some() {
            removed.push(wrapped.recipient.identity());
            continue;
        }
        let usable = match (same_key || side == key, there) {
            (true, _) => Some(wrapped.clone()),
            (false, there) => there,
        };
        merged.push(usable.unwrap_or_else(|| {
            missing = Missing::Some;
            WrappedKey {
                enc: String::new(),
                ..wrapped.clone()
            }
        }));
    }
    (merged, missing)
}

/// The newer of two versions; the first if they cannot be compared.
fn newer<'v>(one: &'v str, other: &'v str) -> &'v str {
    let numbers = |text: &str| -> Vec<u64> {
        let text = text.strip_prefix('v').unwrap_or(text);
        text.split(['.', '-', '+'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    if numbers(other) > numbers(one) {
        other
    } else {
        one
    }
}
