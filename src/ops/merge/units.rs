//! The rows of a part of a version as what is merged one by one: an entry, or the end of one, with the comments above it.
//!
//! Knows which comments go with which entry. Knows nothing of what becomes of them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::rows::{About, Row, Rows};
use super::three::{Side, Three};

/// A row about an entry or an end, with the comments above it; or the comments at the end of a part.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) about: About,
    pub(super) above: Vec<usize>,
    pub(super) row: Option<usize>,
}

impl Unit {
    /// All of its rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.above.iter().copied().chain(self.row)
    }
}

/// The units of a part of every version. Where one side removed an entry and left the comments above it, they were about
/// what comes behind it, and are taken to be so in all versions.
pub(super) fn units(rows: &Three<Rows>, part: &Three<Range<usize>>) -> Three<Vec<Unit>> {
    let mut units = Three::of(|side| split(rows.get(side), part.get(side).clone()));
    for side in [Side::Ours, Side::Theirs] {
        let left = left_above(rows, &units, side);
        for side in [Side::Base, side.other()] {
            hand_on(units.get_mut(side), &left);
        }
    }
    units
}

/// The rows of a part of one version as units.
pub(super) fn split(rows: &Rows, part: Range<usize>) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut above = Vec::new();
    for row in part {
        let about = rows.row(row).map_or(About::Other, |row| row.about);
        if matches!(about, About::Entry(_) | About::End(_)) {
            units.push(Unit {
                about,
                above: std::mem::take(&mut above),
                row: Some(row),
            });
        } else {
            above.push(row);
        }
    }
    if !above.is_empty() {
        units.push(Unit {
            about: About::Other,
            above,
            row: None,
        });
    }
    units
}

/// The units of the base that `side` does not have, while it has their comments above what comes behind them.
fn left_above(rows: &Three<Rows>, units: &Three<Vec<Unit>>, side: Side) -> HashSet<About> {
    // A blank row is tied to what it is above of.
    let mark = |row: &Row| (row.about != About::Blank).then_some(row.mark);
    let marks = |side: Side, unit: &Unit| -> Vec<Option<u64>> {
        let rows = unit.above.iter().filter_map(|row| rows.get(side).row(*row));
        rows.map(mark).collect()
    };
    let own = units.get(side).iter().map(|unit| (unit.about, unit));
    let own: HashMap<About, &Unit> = own.collect();
    let behind_in_other: HashMap<About, About> = with_next(units.get(side.other()))
        .map(|(unit, next)| (unit.about, about(next)))
        .collect();
    let mut found = HashSet::new();
    for (unit, next) in with_next(&units.base) {
        let behind = about(next);
        let is_beside = behind_in_other
            .get(&unit.about)
            .is_none_or(|next| *next == behind);
        let Some(there) = own
            .get(&behind)
            .filter(|_| is_beside && !own.contains_key(&unit.about))
        else {
            continue;
        };
        let mut both = marks(Side::Base, unit);
        let is_commented = both.iter().any(Option::is_some);
        both.extend(next.map_or_else(Vec::new, |next| marks(Side::Base, next)));
        if is_commented && both == marks(side, there) {
            found.insert(unit.about);
        }
    }
    found
}

fn with_next(units: &[Unit]) -> impl Iterator<Item = (&Unit, Option<&Unit>)> {
    units
        .iter()
        .zip(units.iter().skip(1).map(Some).chain([None]))
}

/// What a unit is about; the end of a part if there is none.
fn about(unit: Option<&Unit>) -> About {
    unit.map_or(About::Other, |unit| unit.about)
}

/// Gives the comments of a unit to the next one, where `left` says so.
fn hand_on(units: &mut Vec<Unit>, left: &HashSet<About>) {
    let mut handed = Vec::new();
    for unit in units.iter_mut() {
        handed.append(&mut unit.above);
        unit.above = std::mem::take(&mut handed);
        if left.contains(&unit.about) {
            handed = std::mem::take(&mut unit.above);
        }
    }
    if !handed.is_empty() {
        units.push(Unit {
            about: About::Other,
            above: handed,
            row: None,
        });
    }
}

/// The units that the other side does not have here, by the unit before them that both have.
pub(super) fn runs<'u>(
    units: &'u [Unit],
    other: &HashMap<About, usize>,
) -> HashMap<Option<About>, Vec<&'u Unit>> {
    let mut runs: HashMap<Option<About>, Vec<&Unit>> = HashMap::new();
    let mut last = None;
    for unit in units {
        if other.contains_key(&unit.about) {
            last = Some(unit.about);
        } else {
            runs.entry(last).or_default().push(unit);
        }
    }
    runs
}
