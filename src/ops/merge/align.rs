//! Which rows of two versions are the same: the longest common run of what is unique in both, and what adjoins it.
//!
//! Works on numbers; what they stand for is the caller's business. The cost is that of sorting.

use std::collections::HashMap;

/// Between two anchors it is looked for anchors again, this many times: what is not unique in the whole may be there.
const ROUNDS: usize = 8;

/// For each of `one` its partner in `other`; partners are equal and in the same order.
pub(super) fn align(one: &[u64], other: &[u64]) -> Vec<Option<usize>> {
    let mut partners = vec![None; one.len()];
    let mut gaps = vec![(0, one.len(), 0, other.len())];
    for _ in 0..ROUNDS {
        let mut left = Vec::new();
        for gap in gaps {
            let gap = trim(one, other, gap, &mut partners);
            let anchors = anchors(one, other, gap);
            if anchors.is_empty() {
                continue;
            }
            let (mut from_one, mut from_other, to_one, to_other) = (gap.0, gap.2, gap.1, gap.3);
            for (at_one, at_other) in anchors {
                if let Some(partner) = partners.get_mut(at_one) {
                    *partner = Some(at_other);
                }
                left.push((from_one, at_one, from_other, at_other));
                (from_one, from_other) = (at_one + 1, at_other + 1);
            }
            left.push((from_one, to_one, from_other, to_other));
        }
        gaps = left;
    }
    partners
}

/// The same, with the same pairs if `one` and `other` are exchanged: among several longest runs it is always the same one.
pub(super) fn align_evenly(one: &[u64], other: &[u64]) -> Vec<Option<usize>> {
    if one <= other {
        return align(one, other);
    }
    let mut partners = vec![None; one.len()];
    for (at_other, at_one) in align(other, one).into_iter().enumerate() {
        if let Some(partner) = at_one.and_then(|at_one| partners.get_mut(at_one)) {
            *partner = Some(at_other);
        }
    }
    partners
}

/// A part of both: from and to in one, from and to in the other.
type Gap = (usize, usize, usize, usize);

/// Pairs what is equal at the beginning and the end of a gap; returns what is left.
fn trim(one: &[u64], other: &[u64], gap: Gap, partners: &mut [Option<usize>]) -> Gap {
    let (mut from_one, mut to_one, mut from_other, mut to_other) = gap;
    let mut pair = |at_one: usize, at_other: usize| {
        if let Some(partner) = partners.get_mut(at_one) {
            *partner = Some(at_other);
        }
    };
    while from_one < to_one && from_other < to_other && one.get(from_one) == other.get(from_other) {
        pair(from_one, from_other);
        (from_one, from_other) = (from_one + 1, from_other + 1);
    }
    while from_one < to_one
        && from_other < to_other
        && one.get(to_one - 1) == other.get(to_other - 1)
    {
        pair(to_one - 1, to_other - 1);
        (to_one, to_other) = (to_one - 1, to_other - 1);
    }
    (from_one, to_one, from_other, to_other)
}

/// The longest run, in the order of both, of what stands once in each part.
fn anchors(
    one: &[u64],
    other: &[u64],
    (from_one, to_one, from_other, to_other): Gap,
) -> Vec<(usize, usize)> {
    let mut seen: HashMap<u64, (usize, Option<usize>, usize)> = HashMap::new();
    for (at, key) in one.iter().enumerate().take(to_one).skip(from_one) {
        let entry = seen.entry(*key).or_insert((0, None, at));
        entry.0 += 1;
        entry.2 = at;
    }
    let mut again: HashMap<u64, usize> = HashMap::new();
    for (at, key) in other.iter().enumerate().take(to_other).skip(from_other) {
        if let Some(entry) = seen.get_mut(key) {
            entry.1 = Some(at);
            *again.entry(*key).or_default() += 1;
        }
    }
    let unique = |key: &u64| again.get(key) == Some(&1);
    let mut pairs: Vec<(usize, usize)> = seen
        .iter()
        .filter(|(key, (count, ..))| *count == 1 && unique(key))
        .filter_map(|(_, &(_, at_other, at_one))| Some((at_one, at_other?)))
        .collect();
    pairs.sort_unstable();
    increasing(&pairs)
}

/// The longest part of `pairs`, which are in the order of the first, that is in the order of the second too.
pub(in crate::ops) fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // The last pair of the best run of each length, and for every pair the one before it in its run.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let second = |at: usize| pairs.get(at).map_or(usize::MAX, |pair| pair.1);
    for (number, pair) in pairs.iter().enumerate() {
        let place = ends.partition_point(|&end| second(end) < pair.1);
        before.push(
            place
                .checked_sub(1)
                .and_then(|place| ends.get(place).copied()),
        );
        match ends.get_mut(place) {
            Some(end) => *end = number,
            None => ends.push(number),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(at) = next {
        run.extend(pairs.get(at).copied());
        next = before.get(at).copied().flatten();
    }
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use super::align;

    fn pairs(one: &str, other: &str) -> String {
        let numbers = |text: &str| text.bytes().map(u64::from).collect::<Vec<_>>();
        let partners = align(&numbers(one), &numbers(other));
        let show = |(at, partner): (usize, &Option<usize>)| match partner {
            Some(partner) => {
                assert_eq!(one.as_bytes()[at], other.as_bytes()[*partner]);
                char::from(one.as_bytes()[at])
            }
            None => '.',
        };
        let ordered: Vec<_> = partners.iter().flatten().collect();
        assert!(ordered.is_sorted());
        partners.iter().enumerate().map(show).collect()
    }

    #[test]
    fn what_is_the_same_is_found_in_order() {
        assert_eq!(pairs("abc", "abc"), "abc");
        assert_eq!(pairs("abc", "xaybz"), "ab.");
        assert_eq!(pairs("abcd", "dabc"), "abc.");
        assert_eq!(pairs("", "a"), "");
        assert_eq!(pairs("a  b  c", "a  x  b  c"), "a  b  c");
        assert_eq!(pairs("  a  ", "  b  "), "  .  ");
        // Unique only between the anchors.
        assert_eq!(pairs("1q2q3", "1xq2yq3"), "1q2q3");
    }
}
