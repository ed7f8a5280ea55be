//! Merging two versions of a plaintext that come from a third: values by their place, the text around them by line.
//!
//! Every version is cut into rows in which values are holes. The rows are merged as lines are; the holes are filled by what
//! became of each entry, wherever it stands. So two changes of neighbouring values, or a value here and a comment beside it
//! there, never contradict each other. Nothing depends on which version is called ours. A result is read again: if it does
//! not hold exactly the entries it should, the merge is a contradiction, not a guess.
//!
//! Knows nothing of encryption.

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::document::{Document, Path, Step};
use crate::node::{Kind, Node, ScanError};
use crate::ops::reuse::Mark;
use crate::value::Type;

use super::entries::{Documents, Entries, EntryId};
use super::fate::{Fate, Fates};
use super::rows::Rows;
use super::text::{Clash, Layout, Line, Markers, Writer};
use super::three::{Side, Three};
use super::weave::Weaver;

/// What both versions come from.
#[derive(Clone, Copy, Debug)]
pub enum Base<'d, 's> {
    /// This version.
    Known(&'d Document<'s>),
    /// Nothing: both added the file.
    Empty,
    /// It cannot be opened: every difference is a contradiction.
    Unknown,
}

/// Two versions merged.
#[derive(Debug)]
pub struct Merged {
    lines: Vec<Line>,
    layout: Layout,
    /// The entries that the versions contradict each other in, as paths for people; empty if there are none.
    pub conflicts: Vec<Conflict>,
}

/// A contradiction. Names the place, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The keys, joined with dots; empty for the text between entries.
    pub path: String,
    /// What was done on both sides.
    pub kind: ConflictKind,
}

/// What two versions did that contradicts each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// Both changed it, to different values.
    BothChanged,
    /// Both added it, with different values.
    BothAdded,
    /// Ours removed what theirs changed.
    RemovedByOurs,
    /// Theirs removed what ours changed.
    RemovedByTheirs,
    /// Both changed comments, order or structure at one place.
    Text,
}

impl Merged {
    /// Whether there are no contradictions.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lines.iter().all(|line| matches!(line, Line::Clean(_)))
    }

    /// Decides contradictions for `side`: those in the entry `path` and below it, or all of them. Returns how many there
    /// were.
    pub fn take(&mut self, side: Side, path: Option<&str>) -> usize {
        let wanted = |found: &str| {
            path.is_none_or(|path| {
                found == path
                    || found
                        .strip_prefix(path)
                        .is_some_and(|below| below.starts_with('.'))
            })
        };
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut taken = 0;
        for line in std::mem::take(&mut self.lines) {
            match line {
                Line::Clash(mut clash)
                    if path.is_none()
                        || !clash.paths.is_empty()
                            && clash.paths.iter().all(|path| wanted(path)) =>
                {
                    taken += 1;
                    lines.extend(
                        std::mem::take(clash.rows.get_mut(side))
                            .into_iter()
                            .map(Line::Clean),
                    );
                    self.conflicts
                        .retain(|conflict| !clash.paths.contains(&conflict.path));
                }
                line => lines.push(line),
            }
        }
        self.lines = lines;
        if self.is_clean() {
            self.conflicts.clear();
        }
        taken
    }

    /// The result, with every contradiction decided for `side`.
    #[must_use]
    pub fn text(&self, side: Side) -> Zeroizing<String> {
        self.layout.text(&self.lines, side)
    }

    /// The result with contradictions between markers, as git writes them.
    #[must_use]
    pub fn marked(&self, markers: &Markers) -> Zeroizing<String> {
        self.layout.marked(&self.lines, markers)
    }
}

/// Merges `ours` and `theirs`. All are plaintexts of one format, without metadata.
#[must_use]
pub fn merge(base: Base<'_, '_>, ours: &Document<'_>, theirs: &Document<'_>) -> Merged {
    let has_base = !matches!(base, Base::Unknown);
    let documents = Three {
        base: match base {
            Base::Known(document) => Some(document),
            Base::Empty | Base::Unknown => None,
        },
        ours: Some(ours),
        theirs: Some(theirs),
    };
    let layout = Layout::of(&documents, ours.format());
    let entries = Entries::of(&documents);
    let fates = Fates::of_all(&documents, &entries, has_base);
    let rows = Three::of(|side| {
        let rows = |document: &&Document<'_>| Rows::of(document, side, &entries);
        documents.get(side).as_ref().map(rows).unwrap_or_default()
    });
    let weaver = Weaver {
        rows: &rows,
        entries: &entries,
        fates: &fates,
    };
    let pieces = if has_base {
        weaver.weave()
    } else {
        weaver.weave_without_base()
    };
    let writer = Writer {
        documents: &documents,
        entries: &entries,
        fates: &fates,
        rows: &rows,
    };
    let mut merged = Merged {
        lines: writer
            .lines(&pieces)
            .unwrap_or_else(|| vec![writer.whole()]),
        layout,
        conflicts: Vec::new(),
    };
    if merged.is_clean() && !holds_what_it_should(&merged, &documents, &entries, &fates) {
        merged.lines = vec![writer.whole()];
    }
    if !merged.is_clean() {
        merged.conflicts = conflicts(&entries, &fates);
    }
    merged
}

/// Every entry in dispute; the text, if it is in none of them.
fn conflicts(entries: &Entries, fates: &Fates) -> Vec<Conflict> {
    let mut found: Vec<Conflict> = entries
        .all()
        .filter(|(id, _)| fates.of(*id) == Fate::Clash)
        .map(|(id, entry)| {
            let nodes = entry.nodes;
            let kind = match (nodes.base, nodes.ours, nodes.theirs) {
                (_, None, _) => ConflictKind::RemovedByOurs,
                (_, _, None) => ConflictKind::RemovedByTheirs,
                (None, ..) => ConflictKind::BothAdded,
                _ => ConflictKind::BothChanged,
            };
            Conflict {
                path: entries.path(id),
                kind,
            }
        })
        .collect();
    found.dedup();
    if found.is_empty() {
        found.push(Conflict {
            path: String::new(),
            kind: ConflictKind::Text,
        });
    }
    found
}

/// Reads the result again: it must hold the values that are to be kept, each at its place, and no others.
fn holds_what_it_should(
    merged: &Merged,
    documents: &Documents<'_, '_>,
    entries: &Entries,
    fates: &Fates,
) -> bool {
    let text = merged.text(Side::Ours);
    let Ok(result) = Document::parse(merged.layout.format, &text) else {
        return false;
    };
    let Some(found) = values(&result) else {
        return false;
    };
    let mut expected = Vec::with_capacity(found.len());
    // Documents are numbered among those that stay.
    let stays = |id: &EntryId| fates.of(*id) != Fate::Gone;
    let roots = entries.all().filter(|(_, entry)| entry.parent.is_none());
    let roots = roots.map(|(id, _)| id).filter(stays);
    let numbers: HashMap<EntryId, usize> = roots.zip(0..).collect();
    for (id, entry) in entries.all() {
        let Fate::Kept(side) = fates.of(id) else {
            continue;
        };
        let leaf = documents.get(side).and_then(|document| {
            let id = (*entry.nodes.get(side))?;
            let node = document.node(id).filter(|node| node.kind == Kind::Scalar)?;
            Some((document, id, node))
        });
        let Some((document, id, node)) = leaf else {
            continue;
        };
        let number = numbers.get(&entry.document).copied();
        let place = number.zip(document.path(id).ok());
        match place.map(|(number, path)| mark(document, node, &path, number)) {
            Some(Ok(mark)) => expected.push(mark),
            None | Some(Err(_)) => return false,
        }
    }
    expected.sort_unstable();
    expected == found
}

/// Place, type and content of a value in the document of this number.
fn mark(
    document: &Document<'_>,
    node: &Node,
    path: &Path,
    number: usize,
) -> Result<Mark, ScanError> {
    let value = document.value(node)?;
    // No value is an empty comment, so that may stand for null.
    let kind = value.token_type().unwrap_or(Type::Comment);
    let content = Zeroizing::new(value.canonical().into_owned());
    let place = format!("{number} {}", path.additional_data());
    Ok(Mark::of(&place, kind, &content))
}

/// The marks of all values of a document, sorted; `None` if one cannot be read.
fn values(document: &Document<'_>) -> Option<Vec<Mark>> {
    let mut found = Vec::new();
    let (mut depth, mut number) = (0_usize, 0_usize);
    document
        .walk(|step| {
            match step {
                Step::Enter { .. } => depth += 1,
                Step::Leave { .. } => {
                    depth -= 1;
                    number += usize::from(depth == 0);
                }
                Step::Leaf {
                    id,
                    path,
                    alias: None,
                    ..
                } => {
                    if let Some(node) = document.node(id) {
                        found.push(mark(document, node, path, number)?);
                    }
                }
                Step::Leaf { .. } | Step::Comment { .. } => {}
            }
            Ok::<(), ScanError>(())
        })
        .ok()?;
    found.sort_unstable();
    Some(found)
}

/// Merges two texts that have no entries: what one side changed, or all of both.
#[must_use]
pub fn merge_whole(base: Option<&str>, ours: &str, theirs: &str) -> Merged {
    let sides = Three {
        base,
        ours: Some(ours),
        theirs: Some(theirs),
    };
    let row = |side: Side| {
        let text = *sides.get(side);
        text.map(|text| Zeroizing::new(text.to_owned()))
    };
    let line = match sides.choose() {
        Some(side) => Line::Clean(row(side).unwrap_or_default()),
        None => Line::Clash(Clash {
            rows: Three::of(|side| row(side).into_iter().collect()),
            paths: Vec::new(),
        }),
    };
    let clash = matches!(line, Line::Clash(_)).then(|| Conflict {
        path: String::new(),
        kind: ConflictKind::BothChanged,
    });
    Merged {
        lines: vec![line],
        layout: Layout::verbatim(),
        conflicts: clash.into_iter().collect(),
    }
}

#[cfg(test)]
#[path = "plaintext_tests.rs"]
mod tests;
