//! The rows of a part of a version as what is merged one by one: an entry, or the end of one, with the comments above it.
//!
//! Knows which comments go with which entry. Knows nothing of what becomes of them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::rows::{About, Row, Rows};
use super::three::{Side, Three};

/// A row about an entry or an end, with the comments above it; or the comments at the end of a part, of which every part has
/// one, that may be empty.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) about: About,
    pub(super) above: Vec<usize>,
    pub(super) row: Option<usize>,
}

impl Unit {
    /// The unit about this, with all that is right above it.
    pub(super) fn of(rows: &Rows, about: About) -> Option<Self> {
        let row = rows.about(about)?;
        let is_above = |row: &usize| {
            let about = rows.row(*row).map(|row| row.about);
            matches!(about, Some(About::Comment | About::Blank | About::Other))
        };
        let count = (0..row).rev().take_while(is_above).count();
        Some(Self {
            about,
            above: (row - count..row).collect(),
            row: Some(row),
        })
    }

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
fn split(rows: &Rows, part: Range<usize>) -> Vec<Unit> {
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
    units.push(Unit {
        about: About::Other,
        above,
        row: None,
    });
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
    let pairs = |side: Side| units.get(side).iter().zip(units.get(side).iter().skip(1));
    let in_other: HashMap<About, About> = pairs(side.other())
        .map(|(unit, next)| (unit.about, next.about))
        .collect();
    let mut found = HashSet::new();
    for (unit, next) in pairs(Side::Base) {
        let is_beside = in_other
            .get(&unit.about)
            .is_none_or(|there| *there == next.about);
        let Some(there) = own
            .get(&next.about)
            .filter(|_| is_beside && !own.contains_key(&unit.about))
        else {
            continue;
        };
        let mut both = marks(Side::Base, unit);
        let is_commented = both.iter().any(Option::is_some);
        both.extend(marks(Side::Base, next));
        if is_commented && both == marks(side, there) {
            found.insert(unit.about);
        }
    }
    found
}

/// Gives the comments of a unit to the next one, where `left` says so.
fn hand_on(units: &mut [Unit], left: &HashSet<About>) {
    let mut handed = Vec::new();
    for unit in units.iter_mut() {
        handed.append(&mut unit.above);
        unit.above = std::mem::take(&mut handed);
        if left.contains(&unit.about) {
            handed = std::mem::take(&mut unit.above);
        }
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
