//! Which rows the result has, and in which order.
//!
//! Rows that are the same in all versions stay. Between them, what one side changed is taken; where both did, the rows are
//! merged one by one as the entries they are about, so that neighbours do not conflict and what both added is kept.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::align::align;
use super::entries::{Documents, Entries, Entry, EntryId};
use super::fate::{Fate, Fates};
use super::rows::{About, Row, Rows};
use super::three::{Side, Three};
use super::units::{Unit, runs, units};
use crate::node::NodeId;

/// A piece of the result.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A row of one side, with every value merged.
    Row(Side, usize),
    /// Rows that the sides changed in ways that contradict each other, of each side.
    Clash(Three<Range<usize>>),
}

/// What is known of the three versions.
pub(super) struct Weaver<'m> {
    pub(super) rows: &'m Three<Rows>,
    pub(super) entries: &'m Entries,
    pub(super) fates: &'m Fates,
    /// The versions that the rows are of.
    pub(super) documents: &'m Documents<'m, 'm>,
    pub(super) care: Care,
}

/// What is done with rows that both sides changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// They are merged as the entries they are about.
    Units,
    /// They contradict each other.
    Hunks,
}

impl Weaver<'_> {
    /// The result.
    pub(super) fn weave(&self) -> Vec<Piece> {
        let marks = Three::of(|side| marks(&self.rows.get(side).list));
        let ours = align(&marks.base, &marks.ours);
        let theirs = align(&marks.base, &marks.theirs);
        let mut pieces = Vec::new();
        let mut from = Three::<usize>::default();
        let partners = ours.iter().zip(&theirs).enumerate();
        for (base, (ours, theirs)) in partners {
            let (Some(ours), Some(theirs)) = (*ours, *theirs) else {
                continue;
            };
            if !self.stays(base) {
                continue;
            }
            let to = Three { base, ours, theirs };
            self.changed(&between(&from, &to), &marks, &mut pieces);
            pieces.push(Piece::Row(Side::Ours, ours));
            from = Three {
                base: base + 1,
                ours: ours + 1,
                theirs: theirs + 1,
            };
        }
        let to = Three::of(|side| marks.get(side).len());
        self.changed(&between(&from, &to), &marks, &mut pieces);
        pieces
    }

    /// Two versions without a common one: every difference is a clash.
    pub(super) fn weave_without_base(&self) -> Vec<Piece> {
        let marks = Three::of(|side| marks(&self.rows.get(side).list));
        let mut pieces = Vec::new();
        let (mut from, mut from_theirs) = (0, 0);
        let ends = [(marks.ours.len(), Some(marks.theirs.len()))];
        let partners = align(&marks.ours, &marks.theirs)
            .into_iter()
            .enumerate()
            .chain(ends);
        for (ours, theirs) in partners {
            let Some(theirs) = theirs else { continue };
            if from < ours || from_theirs < theirs {
                pieces.push(Piece::Clash(Three {
                    base: 0..0,
                    ours: from..ours,
                    theirs: from_theirs..theirs,
                }));
            }
            if ours < marks.ours.len() {
                pieces.push(Piece::Row(Side::Ours, ours));
            }
            (from, from_theirs) = (ours + 1, theirs + 1);
        }
        pieces
    }

    /// Whether a row that all versions have can stay: what begins in it is in dispute as a value at most.
    fn stays(&self, base: usize) -> bool {
        let row = self.rows.base.row(base);
        let begun = row
            .map(|row| self.rows.base.entries_of(row))
            .unwrap_or_default();
        begun
            .iter()
            .all(|&entry| self.fates.of(entry) != Fate::Clash || self.fates.is_in_place(entry))
    }

    /// The rows between two that stay.
    fn changed(
        &self,
        hunk: &Three<Range<usize>>,
        marks: &Three<Vec<u64>>,
        pieces: &mut Vec<Piece>,
    ) {
        let part = Three::of(|side| {
            marks
                .get(side)
                .get(hunk.get(side).clone())
                .unwrap_or_default()
        });
        if Side::ALL.iter().all(|side| part.get(*side).is_empty()) {
            return;
        }
        let taken = part.choose().map(|side| {
            hunk.get(side)
                .clone()
                .map(|row| Piece::Row(side, row))
                .collect::<Vec<_>>()
        });
        let woven = match self.care {
            Care::Units => taken.or_else(|| self.units(hunk)),
            Care::Hunks => taken,
        };
        match woven.filter(|woven| self.holds(hunk, woven)) {
            Some(woven) => pieces.extend(woven),
            None => self.clash(hunk.clone(), pieces),
        }
    }

    /// Rows that contradict each other, without the first ones as far as both sides have changed them alike.
    fn clash(&self, mut hunk: Three<Range<usize>>, pieces: &mut Vec<Piece>) {
        let first = |side: Side, hunk: &Three<Range<usize>>| {
            let row = hunk.get(side).clone().next();
            row.and_then(|row| self.rows.get(side).row(row))
        };
        while let (Some(ours), Some(theirs)) =
            (first(Side::Ours, &hunk), first(Side::Theirs, &hunk))
        {
            let is_whole = matches!(ours.about, About::Entry(_) | About::End(_));
            let begun = self.rows.ours.entries_of(ours);
            let is_kept = |entry: &EntryId| matches!(self.fates.of(*entry), Fate::Kept(_));
            let in_base = first(Side::Base, &hunk).filter(|row| row.about == ours.about);
            let is_new = self.rows.base.about(ours.about).is_none();
            if ours.mark != theirs.mark
                || !is_whole
                || !begun.iter().all(is_kept)
                || !(is_new || in_base.is_some())
            {
                break;
            }
            pieces.push(Piece::Row(Side::Ours, hunk.ours.start));
            hunk.ours.start += 1;
            hunk.theirs.start += 1;
            hunk.base.start += usize::from(in_base.is_some());
        }
        pieces.push(Piece::Clash(hunk));
    }

    /// Whether rows do to entries what is to become of them: nothing is dropped that the other side changed, and nothing
    /// stays that was removed.
    fn holds(&self, hunk: &Three<Range<usize>>, woven: &[Piece]) -> bool {
        let begun = |side: Side, row: usize| {
            let rows = self.rows.get(side);
            rows.row(row)
                .map(|row| rows.entries_of(row))
                .unwrap_or_default()
        };
        let stays = woven.iter().all(|piece| match piece {
            Piece::Row(side, row) => {
                begun(*side, *row)
                    .iter()
                    .all(|&entry| match self.fates.of(entry) {
                        Fate::Kept(_) => true,
                        Fate::Gone => false,
                        Fate::Clash => self.fates.is_in_place(entry),
                    })
            }
            Piece::Clash(_) => true,
        });
        let kept: HashSet<EntryId> = woven
            .iter()
            .filter_map(|piece| match piece {
                Piece::Row(side, row) => Some(begun(*side, *row)),
                Piece::Clash(_) => None,
            })
            .flatten()
            .copied()
            .collect();
        let dropped = hunk.base.clone().flat_map(|row| begun(Side::Base, row));
        stays
            && dropped
                .filter(|entry| !kept.contains(entry))
                .all(|&entry| self.fates.of(entry) != Fate::Clash)
    }

    /// Merges rows as the entries they are about; `None` if they contradict each other.
    fn units(&self, hunk: &Three<Range<usize>>) -> Option<Vec<Piece>> {
        let units = units(self.rows, hunk);
        let places = Three::of(|side| {
            let numbered = units.get(side).iter().enumerate();
            numbered
                .map(|(at, unit)| (unit.about, at))
                .collect::<HashMap<About, usize>>()
        });
        // Both have the same entries in the same order, or one of them has the order of the base.
        let order = |side: Side, with: Side| -> Vec<About> {
            let both = |unit: &&Unit| places.get(with).contains_key(&unit.about);
            units
                .get(side)
                .iter()
                .filter(both)
                .map(|unit| unit.about)
                .collect()
        };
        let keeps = |side: Side| order(side, Side::Base) == order(Side::Base, side);
        let one_order = order(Side::Ours, Side::Theirs) == order(Side::Theirs, Side::Ours);
        let first = match (keeps(Side::Ours), keeps(Side::Theirs)) {
            _ if one_order => Side::Ours,
            (true, false) => Side::Theirs,
            (false, true) => Side::Ours,
            // Both added them, in two orders: either will do, as long as it is the same in both directions.
            (true, true) => {
                let ranks = |side: Side| {
                    units
                        .get(side)
                        .iter()
                        .map(move |unit| self.rank(side, unit))
                };
                if ranks(Side::Ours).le(ranks(Side::Theirs)) {
                    Side::Ours
                } else {
                    Side::Theirs
                }
            }
            (false, false) => return None,
        };
        let second = first.other();
        let base = Part {
            units: &units.base,
            places: &places.base,
        };
        let follows = runs(units.get(second), places.get(first));
        let mut pieces = Vec::new();
        let mut run: Vec<&Unit> = Vec::new();
        let mut last = None;
        for unit in units.get(first) {
            let Some(place) = places.get(second).get(&unit.about) else {
                run.push(unit);
                continue;
            };
            self.join(&run, first, follows.get(&last), second, &base, &mut pieces)?;
            run.clear();
            last = Some(unit.about);
            let other = units.get(second).get(*place)?;
            let in_base = self.in_base(unit.about, &base);
            let mut sides = Three {
                base: in_base.as_deref(),
                ..Three::default()
            };
            *sides.get_mut(first) = Some(unit);
            *sides.get_mut(second) = Some(other);
            self.both(&sides, &mut pieces)?;
        }
        self.join(&run, first, follows.get(&last), second, &base, &mut pieces)?;
        Some(pieces)
    }

    /// Adds what only one side has at a place: first what stands deeper, then by name, so that it does not matter which
    /// side is which.
    fn join(
        &self,
        run: &[&Unit],
        side: Side,
        other: Option<&Vec<&Unit>>,
        other_side: Side,
        base: &Part<'_>,
        pieces: &mut Vec<Piece>,
    ) -> Option<()> {
        let one = self.wanted(run, side, base)?;
        let two = self.wanted(
            other.map(Vec::as_slice).unwrap_or_default(),
            other_side,
            base,
        )?;
        let (mut one, mut two) = (one.into_iter().peekable(), two.into_iter().peekable());
        loop {
            let (from, unit) = match (one.peek(), two.peek()) {
                (Some(a), Some(b)) if self.rank(side, a) <= self.rank(other_side, b) => {
                    (side, one.next())
                }
                (_, Some(_)) => (other_side, two.next()),
                (Some(_), None) => (side, one.next()),
                (None, None) => return Some(()),
            };
            let unit = unit?;
            pieces.extend(unit.rows().map(|row| Piece::Row(from, row)));
        }
    }

    /// By what two runs of one place are ordered: document, depth, key, text. Says nothing of sides.
    fn rank(&self, side: Side, unit: &Unit) -> Rank<'_> {
        let (entry, below) = match unit.about {
            About::Entry(entry) => (entry, 0),
            About::End(entry) => (entry, 1),
            // What stands at the end stays there.
            About::Comment | About::Blank | About::Other => {
                return (true, Some(NodeId::MAX), "", Reverse(0), "", "");
            }
        };
        let found = self.entries.get(entry);
        let document = found.and_then(|found| self.entries.get(found.document));
        let base = document.and_then(|document| document.nodes.base);
        let depth = found.map_or(0, |entry| entry.depth + below);
        (
            base.is_none(),
            base,
            self.text(side, document.filter(|_| base.is_none())),
            Reverse(depth),
            self.entries.key(entry),
            self.text(side, found),
        )
    }

    /// The text of an entry on one side.
    fn text(&self, side: Side, entry: Option<&Entry>) -> &str {
        let document = *self.documents.get(side);
        let node = entry.and_then(|entry| document?.node((*entry.nodes.get(side))?));
        match (document, node) {
            (Some(document), Some(node)) => node.span.of(document.source()),
            _ => "",
        }
    }

    /// Those units of one side that the result has here; `None` if that cannot be told.
    fn wanted<'u>(&self, run: &[&'u Unit], side: Side, base: &Part<'_>) -> Option<Vec<&'u Unit>> {
        let mut wanted = Vec::new();
        for unit in run {
            let entry = match unit.about {
                About::Entry(entry) | About::End(entry) => entry,
                // All sides have this.
                About::Comment | About::Blank | About::Other => return None,
            };
            let elsewhere = self.rows.get(side.other()).about(unit.about).is_some();
            let in_base = self.rows.base.about(unit.about);
            match self.fates.of(entry) {
                Fate::Gone if self.has_comments_of_base(side, unit, base) => {}
                Fate::Gone | Fate::Clash => return None,
                Fate::Kept(_) if !elsewhere && in_base.is_none() => wanted.push(*unit),
                // Moved by the other side: it stands there, if it is unchanged here.
                Fate::Kept(_) if elsewhere && base.unit(unit.about).is_some() => {
                    let mark =
                        |side: Side, at: usize| self.rows.get(side).row(at).map(|row| row.mark);
                    let unchanged = mark(side, unit.row?) == mark(Side::Base, in_base?);
                    if !unchanged || !self.has_comments_of_base(side, unit, base) {
                        return None;
                    }
                }
                Fate::Kept(_) => return None,
            }
        }
        Some(wanted)
    }

    /// Whether the comments above a unit are those that the base has above it.
    fn has_comments_of_base(&self, side: Side, unit: &Unit, base: &Part<'_>) -> bool {
        let base = self.in_base(unit.about, base);
        let base = base.as_ref().map_or(&[][..], |unit| &unit.above);
        self.marks(side, &unit.above) == self.marks(Side::Base, base)
    }

    /// A unit of the base, wherever that has it.
    fn in_base<'u>(&self, about: About, base: &Part<'u>) -> Option<Cow<'u, Unit>> {
        let elsewhere = || Unit::of(&self.rows.base, about).map(Cow::Owned);
        base.unit(about).map(Cow::Borrowed).or_else(elsewhere)
    }

    fn marks(&self, side: Side, rows: &[usize]) -> Vec<u64> {
        let rows = rows.iter().filter_map(|row| self.rows.get(side).row(*row));
        rows.map(|row| row.mark).collect()
    }

    /// Adds a unit that both sides have here.
    fn both(&self, units: &Three<Option<&Unit>>, pieces: &mut Vec<Piece>) -> Option<()> {
        let mark = |side: Side, row: usize| self.rows.get(side).row(row).map(|row| row.mark);
        // Blank rows belong to the place, comments to the entry: one side may move it, and the other edit them.
        let is_blank = |side: Side, row: &usize| {
            let row = self.rows.get(side).row(*row);
            row.is_some_and(|row| row.about == About::Blank)
        };
        let above = Three::of(|side| {
            let above = units.get(side).map_or(&[][..], |unit| &unit.above);
            let blanks = above.iter().take_while(|row| is_blank(side, row)).count();
            above.split_at_checked(blanks).unwrap_or_default()
        });
        for part in [
            Three::of(|side| above.get(side).0),
            Three::of(|side| above.get(side).1),
        ] {
            let side = Three::of(|side| self.marks(side, part.get(side))).choose()?;
            pieces.extend(part.get(side).iter().map(|row| Piece::Row(side, *row)));
        }
        let row = Three::of(|side| units.get(side).and_then(|unit| mark(side, unit.row?)));
        let side = row.choose()?;
        pieces.extend(
            units
                .get(side)
                .and_then(|unit| unit.row)
                .map(|row| Piece::Row(side, row)),
        );
        Some(())
    }
}

/// What the base has in a part.
struct Part<'u> {
    units: &'u [Unit],
    places: &'u HashMap<About, usize>,
}

impl<'u> Part<'u> {
    fn unit(&self, about: About) -> Option<&'u Unit> {
        self.places.get(&about).and_then(|at| self.units.get(*at))
    }
}

/// See [`Weaver::rank`].
type Rank<'t> = (
    bool,
    Option<NodeId>,
    &'t str,
    Reverse<usize>,
    &'t str,
    &'t str,
);

fn marks(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.mark).collect()
}

fn between(from: &Three<usize>, to: &Three<usize>) -> Three<Range<usize>> {
    Three::of(|side| *from.get(side)..*to.get(side))
}
