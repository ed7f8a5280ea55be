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

use crate::document::{Document, Step};
use crate::node::{Kind, NodeId, ScanError};
use crate::ops::reuse::Mark;
use crate::value::Type;

use super::entries::{Documents, Entries, EntryId};
use super::fate::{Fate, Fates};
use super::follow::follow;
use super::rows::Rows;
use super::text::{Clash, Layout, Line, Markers, Writer};
use super::three::{Side, Three};
use super::weave::{Care, Weaver};

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
pub struct Merged {
    lines: Vec<Line>,
    layout: Layout,
    /// The entries that the versions contradict each other in, as paths for people; empty if there are none.
    pub conflicts: Vec<Conflict>,
}

impl std::fmt::Debug for Merged {
    /// How much there is, and nothing of the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (lines, conflicts) = (self.lines.len(), self.conflicts.len());
        write!(f, "Merged({lines} rows, {conflicts} conflicts)")
    }
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

    /// The same with the sides exchanged.
    fn turned(mut self) -> Self {
        for line in &mut self.lines {
            if let Line::Clash(Clash { rows, .. }) = line {
                std::mem::swap(&mut rows.ours, &mut rows.theirs);
            }
        }
        for conflict in &mut self.conflicts {
            conflict.kind = match conflict.kind {
                ConflictKind::RemovedByOurs => ConflictKind::RemovedByTheirs,
                ConflictKind::RemovedByTheirs => ConflictKind::RemovedByOurs,
                kind => kind,
            };
        }
        self
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
    let sources = Three {
        base: match base {
            Base::Known(document) => Some(document.source()),
            Base::Empty | Base::Unknown => None,
        },
        ours: Some(ours.source()),
        theirs: Some(theirs.source()),
    };
    if sources.choose().is_some() {
        // One side changed nothing, or both the same: the result is a version as it stands, to the last blank.
        return merge_whole(sources.base, ours.source(), theirs.source());
    }
    // Where there is a choice, as in the order of what both moved, the texts make it and not the direction.
    if ours.source() <= theirs.source() {
        merge_in_order(base, ours, theirs)
    } else {
        merge_in_order(base, theirs, ours).turned()
    }
}

/// Merges two versions that both changed something; the text of `ours` sorts first.
fn merge_in_order(base: Base<'_, '_>, ours: &Document<'_>, theirs: &Document<'_>) -> Merged {
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
    let merger = Merger {
        documents: &documents,
        entries: &entries,
        fates: &fates,
        layout,
        has_base,
    };
    let moved = follow(&rows, &documents, &entries);
    // The first way without a contradiction is taken, else the first that loses nothing.
    let mut found = None;
    for care in [Care::Units, Care::Hunks] {
        for rows in moved.iter().chain([&rows]) {
            match merger.merge(rows, care) {
                Some(merged) if merged.is_clean() => return merged,
                merged => found = found.or(merged),
            }
        }
        if found.is_some() {
            break;
        }
    }
    let mut merged = found.unwrap_or_else(|| merger.whole(&rows));
    merged.conflicts = conflicts(&entries, &fates);
    merged
}

/// All that is known of three versions before their rows are compared.
struct Merger<'m, 'd, 's> {
    documents: &'m Documents<'d, 's>,
    entries: &'m Entries,
    fates: &'m Fates,
    layout: Layout,
    has_base: bool,
}

impl Merger<'_, '_, '_> {
    /// The result with these rows; `None` if it would not hold what it should.
    fn merge(&self, rows: &Three<Rows>, care: Care) -> Option<Merged> {
        let weaver = Weaver {
            rows,
            entries: self.entries,
            fates: self.fates,
            documents: self.documents,
            care,
        };
        let pieces = if self.has_base {
            weaver.weave()
        } else {
            weaver.weave_without_base()
        };
        let merged = self.merged(self.writer(rows).lines(&pieces)?);
        let holds = if merged.is_clean() {
            holds_what_it_should(&merged, self.documents, self.entries, self.fates)
        } else {
            // Whoever decides for one side loses nothing that neither side removed.
            [Side::Ours, Side::Theirs]
                .into_iter()
                .all(|side| loses_nothing(&merged, side, self.documents, self.entries, self.fates))
        };
        holds.then_some(merged)
    }

    /// All of every version, against each other.
    fn whole(&self, rows: &Three<Rows>) -> Merged {
        self.merged(vec![self.writer(rows).whole()])
    }

    fn merged(&self, lines: Vec<Line>) -> Merged {
        Merged {
            lines,
            layout: self.layout,
            conflicts: Vec::new(),
        }
    }

    fn writer<'r>(&'r self, rows: &'r Three<Rows>) -> Writer<'r, 'r, 'r> {
        Writer {
            documents: self.documents,
            entries: self.entries,
            fates: self.fates,
            rows,
        }
    }
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

/// Reads the result again: it must hold the values that are to be kept, each at its place, and no others; and aliases
/// must stand for what they stood for.
fn holds_what_it_should(
    merged: &Merged,
    documents: &Documents<'_, '_>,
    entries: &Entries,
    fates: &Fates,
) -> bool {
    let text = merged.text(Side::Ours);
    let result = Document::parse(merged.layout.format, &text).ok();
    let found = result.as_ref().and_then(contents);
    let expected = expected(documents, entries, fates);
    found.is_some_and(|found| Some(found) == expected)
}

/// Whether the result, decided for one side, can be read and has every entry that is kept whatever is decided.
fn loses_nothing(
    merged: &Merged,
    side: Side,
    documents: &Documents<'_, '_>,
    entries: &Entries,
    fates: &Fates,
) -> bool {
    let text = merged.text(side);
    let Ok(result) = Document::parse(merged.layout.format, &text) else {
        return false;
    };
    let mut found: HashMap<String, usize> = HashMap::new();
    let counted = result.walk(|step| {
        if let Step::Leaf {
            path, alias: None, ..
        } = step
        {
            *found.entry(path.additional_data().to_owned()).or_default() += 1;
        }
        Ok::<(), ScanError>(())
    });
    if counted.is_err() {
        return false;
    }
    for (id, entry) in entries.all() {
        // What this side does not have may be in a conflict that is decided against it.
        if !matches!(fates.of(id), Fate::Kept(_)) || entry.nodes.get(side).is_none() {
            continue;
        }
        let leaf = documents.get(side).and_then(|document| {
            let node = (*entry.nodes.get(side))?;
            let is_leaf = document.node(node)?.kind == Kind::Scalar;
            is_leaf.then(|| document.path(node).ok()).flatten()
        });
        let Some(path) = leaf else { continue };
        match found.get_mut(path.additional_data()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => return false,
        }
    }
    true
}

/// The marks of the values and aliases of every document, sorted, and the documents in any order.
type Contents = Vec<Vec<Mark>>;

/// What the result is to hold; `None` if an entry cannot be read.
fn expected(documents: &Documents<'_, '_>, entries: &Entries, fates: &Fates) -> Option<Contents> {
    let mut all: HashMap<EntryId, Vec<Mark>> = HashMap::new();
    for (id, entry) in entries.all() {
        let Fate::Kept(side) = fates.of(id) else {
            continue;
        };
        if entry.parent.is_none() {
            all.entry(id).or_default();
        }
        let Some(document) = documents.get(side) else {
            continue;
        };
        let Some(node) = *entry.nodes.get(side) else {
            continue;
        };
        let mark = match document.node(node)?.kind {
            Kind::Alias { .. } => alias_mark(documents, &entry.nodes)?,
            _ => mark(document, node)?,
        };
        if let Some(mark) = mark {
            all.entry(entry.document).or_default().push(mark);
        }
    }
    Some(sorted(all.into_values()))
}

/// The mark of an alias: it is to stand for what it stood for on the side that changed that, also where the change is not
/// in the alias but in the key of the anchor.
#[expect(
    clippy::option_option,
    reason = "nothing is not the same as unreadable"
)]
fn alias_mark(
    documents: &Documents<'_, '_>,
    nodes: &Three<Option<NodeId>>,
) -> Option<Option<Mark>> {
    let marks = Three::of(|side| mark((*documents.get(side))?, (*nodes.get(side))?));
    *marks.get(marks.choose()?)
}

/// What a text holds; `None` if a value cannot be read.
fn contents(document: &Document<'_>) -> Option<Contents> {
    // Keys that are not strings, and the like.
    document.walk(|_| Ok::<(), ScanError>(())).ok()?;
    let mut all = Vec::new();
    for root in document.roots() {
        let end = document.node(root)?.end;
        let mut marks = Vec::new();
        for id in root + 1..end {
            marks.extend(mark(document, id)?);
        }
        all.push(marks);
    }
    Some(sorted(all.into_iter()))
}

fn sorted(all: impl Iterator<Item = Vec<Mark>>) -> Contents {
    let mut all: Contents = all
        .map(|mut marks| {
            marks.sort_unstable();
            marks
        })
        .collect();
    all.sort_unstable();
    all
}

/// Place, type and content of a value; place of an alias, and of what it stands for. `Some(None)` for what is neither,
/// `None` if it cannot be read.
#[expect(
    clippy::option_option,
    reason = "nothing is not the same as unreadable"
)]
fn mark(document: &Document<'_>, id: NodeId) -> Option<Option<Mark>> {
    let node = document.node(id)?;
    let place = |id: NodeId| document.path(id).ok();
    Some(match node.kind {
        Kind::Scalar => {
            let value = document.plaintext(node).ok()?;
            // No value is an empty comment, so that may stand for null.
            let kind = value.token_type().unwrap_or(Type::Comment);
            let content = Zeroizing::new(value.canonical().into_owned());
            Some(Mark::of(place(id)?.additional_data(), kind, &content))
        }
        Kind::Alias { target } => {
            let target = place(target)?;
            let target = format!("*{}", target.additional_data());
            Some(Mark::of(
                place(id)?.additional_data(),
                Type::Comment,
                target.as_bytes(),
            ))
        }
        Kind::Mapping | Kind::Sequence | Kind::Comment => None,
    })
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
