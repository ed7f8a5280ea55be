//! Lets what one side moved be moved in all versions, so that nothing else that was done there or beside it is in its way.
//!
//! Where one side put the entries of a container into another order, the rows of the other versions are put into that order
//! too, before any rows are compared. An entry takes its comments with it, and what the other side added stays with its
//! neighbours. Where both sides moved things, each in its own way, nothing is put anywhere.
//!
//! Knows which rows belong to an entry. Knows nothing of what becomes of them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::align::increasing;
use super::entries::{Documents, Entries, EntryId};
use super::rows::{About, Rows};
use super::three::{Side, Three};
use crate::document::Document;
use crate::format::Format;
use crate::node::Kind;

/// The rows in the order that one side gave them; `None` if there is nothing to follow.
pub(super) fn follow(
    rows: &Three<Rows>,
    documents: &Documents<'_, '_>,
    entries: &Entries,
) -> Option<Three<Rows>> {
    let children = Three::of(|side| children(documents, entries, side));
    let mut orders = Three::<HashMap<EntryId, Vec<EntryId>>>::default();
    for (container, _) in entries.all() {
        let of = |side: Side| {
            let found = children.get(side).get(&container);
            found.map_or(&[][..], Vec::as_slice)
        };
        let moved = |side: Side| !alike(of(Side::Base), of(side));
        let leader = match (moved(Side::Ours), moved(Side::Theirs)) {
            (true, false) => Side::Ours,
            (false, true) => Side::Theirs,
            (true, true) if alike(of(Side::Ours), of(Side::Theirs)) => Side::Ours,
            _ => continue,
        };
        let is_list = is_list(documents, entries, container);
        let leading = without_disputed(of(leader), of(Side::Base), of(leader.other()));
        for side in [Side::Base, leader.other()] {
            let order = ordered(of(side), &leading, is_list);
            if order != of(side) {
                orders.get_mut(side).insert(container, order);
            }
        }
    }
    let mut found = Three::of(|_| None);
    for side in Side::ALL {
        let Some(document) = *documents.get(side) else {
            continue;
        };
        let mover = Mover {
            rows: rows.get(side),
            document,
            side,
            entries,
            children: children.get(side),
            orders: orders.get(side),
        };
        *found.get_mut(side) = mover.moved();
    }
    let is_moved = Side::ALL.iter().any(|side| found.get(*side).is_some());
    is_moved.then(|| {
        Three::of(|side| match found.get_mut(side).take() {
            Some(order) => rows.get(side).in_order(&order),
            None => rows.get(side).clone(),
        })
    })
}

/// What is in every container of one version, as it stands in the text.
fn children(
    documents: &Documents<'_, '_>,
    entries: &Entries,
    side: Side,
) -> HashMap<EntryId, Vec<EntryId>> {
    let mut found: HashMap<EntryId, Vec<EntryId>> = HashMap::new();
    let count = documents
        .get(side)
        .map_or(0, |document| document.nodes().len());
    for entry in (0..count).filter_map(|node| entries.of_node(side, node)) {
        if let Some(parent) = entries.get(entry).and_then(|entry| entry.parent) {
            found.entry(parent).or_default().push(entry);
        }
    }
    found
}

/// Whether what both have is in one order.
fn alike(one: &[EntryId], other: &[EntryId]) -> bool {
    let shared = |from: &[EntryId], with: &[EntryId]| -> Vec<EntryId> {
        let with: HashSet<&EntryId> = with.iter().collect();
        let shared = from.iter().filter(|entry| with.contains(entry));
        shared.copied().collect()
    };
    one == other || shared(one, other) == shared(other, one)
}

fn is_list(documents: &Documents<'_, '_>, entries: &Entries, container: EntryId) -> bool {
    let base = entries.get(container).and_then(|entry| entry.nodes.base);
    let node = documents
        .base
        .and_then(|document: &Document<'_>| document.node(base?));
    node.is_some_and(|node| node.kind == Kind::Sequence)
}

/// The order of the leader without what it moved and the other side removed: nothing may take such an entry away without a
/// word. Who moved most of what there is has sorted it, and says nothing about a single entry.
fn without_disputed(leader: &[EntryId], base: &[EntryId], other: &[EntryId]) -> Vec<EntryId> {
    let (shared, unmoved) = unmoved(base, leader);
    let other: HashSet<&EntryId> = other.iter().collect();
    let is_disputed = |entry: &&EntryId| {
        shared.contains(*entry) && !unmoved.contains(*entry) && !other.contains(*entry)
    };
    let is_sorted = is_sorted(&shared, &unmoved);
    let kept = leader
        .iter()
        .filter(|entry| is_sorted || !is_disputed(entry));
    kept.copied().collect()
}

/// Whether most of what is shared was moved.
fn is_sorted(shared: &HashSet<EntryId>, unmoved: &HashSet<EntryId>) -> bool {
    unmoved.len() * 2 <= shared.len()
}

/// What both have, and of that the most that are in the order of both.
fn unmoved(own: &[EntryId], leader: &[EntryId]) -> (HashSet<EntryId>, HashSet<EntryId>) {
    let there: HashMap<EntryId, usize> = leader.iter().copied().zip(0..).collect();
    let place = |(at, entry): (usize, &EntryId)| Some((at, *there.get(entry)?));
    let shared: Vec<(usize, usize)> = own.iter().enumerate().filter_map(place).collect();
    let entries = |pairs: &[(usize, usize)]| {
        let entries = pairs.iter().filter_map(|(at, _)| own.get(*at));
        entries.copied().collect()
    };
    (entries(&shared), entries(&increasing(&shared)))
}

/// Where something stands that the leader does not have.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Start,
    Before(EntryId),
    Behind(EntryId),
    End,
}

/// The entries of `own` in the order of `leader`. What only `own` has stays beside that neighbour which was not moved, or
/// behind the one before it if most were; the beginning is never moved, and of a list the end is not either: what is
/// appended to a list is to be its last.
fn ordered(own: &[EntryId], leader: &[EntryId], is_list: bool) -> Vec<EntryId> {
    let (shared, unmoved) = unmoved(own, leader);
    if unmoved.len() == shared.len() {
        return own.to_vec();
    }
    let is_sorted = is_sorted(&shared, &unmoved);
    let mut runs: HashMap<Place, Vec<EntryId>> = HashMap::new();
    let mut before = None;
    let mut run = Vec::new();
    for next in own.iter().copied().map(Some).chain([None]) {
        if let Some(entry) = next.filter(|entry| !shared.contains(entry)) {
            run.push(entry);
            continue;
        }
        let place = match (before, next) {
            (None, _) => Place::Start,
            (Some(_), None) if is_list => Place::End,
            (Some(before), _) if is_sorted || unmoved.contains(&before) => Place::Behind(before),
            (_, None) => Place::End,
            (_, Some(next)) if unmoved.contains(&next) => Place::Before(next),
            (Some(before), _) => Place::Behind(before),
        };
        runs.entry(place).or_default().append(&mut run);
        before = next;
    }
    let mut take = |place: Place| runs.remove(&place).unwrap_or_default();
    let mut order = take(Place::Start);
    for entry in leader.iter().filter(|entry| shared.contains(entry)) {
        order.extend(take(Place::Before(*entry)));
        order.push(*entry);
        order.extend(take(Place::Behind(*entry)));
    }
    order.extend(take(Place::End));
    order
}

/// Puts the rows of one version into another order.
struct Mover<'m> {
    rows: &'m Rows,
    document: &'m Document<'m>,
    side: Side,
    entries: &'m Entries,
    children: &'m HashMap<EntryId, Vec<EntryId>>,
    /// What is in a container, in its new order, where that is another one.
    orders: &'m HashMap<EntryId, Vec<EntryId>>,
}

/// What is to be put down next.
enum Task {
    Rows(Range<usize>),
    /// The rows of a container, without the one it begins in.
    Inside(EntryId, Range<usize>),
}

impl Mover<'_> {
    /// The numbers of the rows in their new order; `None` if nothing moves.
    fn moved(&self) -> Option<Vec<usize>> {
        if self.orders.is_empty() {
            return None;
        }
        let mut tasks = self.documents();
        tasks.reverse();
        let mut order = Vec::with_capacity(self.rows.list.len());
        while let Some(task) = tasks.pop() {
            match task {
                Task::Rows(rows) => order.extend(rows),
                Task::Inside(container, rows) => {
                    let mut inside = self.inside(container, rows);
                    inside.reverse();
                    tasks.append(&mut inside);
                }
            }
        }
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let is_whole = sorted.into_iter().eq(0..self.rows.list.len());
        is_whole.then_some(order)
    }

    /// All rows: those of every document, and what is between documents.
    fn documents(&self) -> Vec<Task> {
        let bounds: Vec<usize> = (0..self.rows.list.len())
            .filter(|row| self.is_bound(*row))
            .collect();
        let mut tasks = Vec::new();
        let mut done = 0;
        for root in self.document.roots() {
            let Some(entry) = self.entries.of_node(self.side, root) else {
                continue;
            };
            let Some(first) = self.with_rows(entry).first().map(|(_, row)| *row) else {
                continue;
            };
            let behind = bounds.partition_point(|bound| *bound < first);
            let before = behind.checked_sub(1).and_then(|place| bounds.get(place));
            let from = before.map_or(0, |bound| bound + 1).max(done);
            let to = bounds.get(behind).copied().unwrap_or(self.rows.list.len());
            if first < from || to <= first {
                continue;
            }
            tasks.push(Task::Rows(done..from));
            tasks.push(Task::Inside(entry, from..to));
            done = to;
        }
        tasks.push(Task::Rows(done..self.rows.list.len()));
        tasks
    }

    /// Whether a row is between two documents.
    fn is_bound(&self, row: usize) -> bool {
        let text = self.text(row);
        self.document.format() == Format::Yaml
            && (text.starts_with("---") || text.starts_with("..."))
    }

    /// What is in a container and begins in a row of its own.
    fn with_rows(&self, container: EntryId) -> Vec<(EntryId, usize)> {
        let all = self.children.get(&container);
        let with_row = |entry: &EntryId| Some((*entry, self.rows.about(About::Entry(*entry))?));
        all.into_iter().flatten().filter_map(with_row).collect()
    }

    /// The rows of a container, as it has them or in its new order.
    fn inside(&self, container: EntryId, rows: Range<usize>) -> Vec<Task> {
        let found = self.with_rows(container);
        let end = self.end(container, rows.end);
        let (Some(&(_, first)), Some(&(_, last)), Some(end)) = (found.first(), found.last(), end)
        else {
            return vec![Task::Rows(rows)];
        };
        let in_text = found.is_sorted_by_key(|(_, row)| *row);
        if !in_text || first < rows.start || end <= last {
            return vec![Task::Rows(rows)];
        }
        let head = self.behind_header(container, self.above(first, rows.start, first)..first);
        let tail = self.above(end, last + 1, last);
        let mut blocks = Vec::with_capacity(found.len());
        let mut start = head;
        for (number, &(entry, row)) in found.iter().enumerate() {
            let next = found.get(number + 1).map(|(_, next)| *next);
            let end = next.map_or(tail, |next| self.above(next, row + 1, next));
            blocks.push((
                entry,
                [
                    Task::Rows(start..row + 1),
                    Task::Inside(entry, row + 1..end),
                ],
            ));
            start = end;
        }
        let own = self.children.get(&container);
        let headless = own.and_then(|own| own.first()).filter(|first| {
            // The section before the first header of an INI file.
            self.document.format() == Format::Ini && found.iter().all(|(entry, _)| entry != *first)
        });
        let mut tasks = vec![match headless {
            Some(section) => Task::Inside(*section, rows.start..head),
            None => Task::Rows(rows.start..head),
        }];
        let has_all = own.map(Vec::len) == Some(found.len() + usize::from(headless.is_some()));
        match self.orders.get(&container).filter(|_| has_all) {
            Some(order) => {
                let mut blocks: HashMap<EntryId, [Task; 2]> = blocks.into_iter().collect();
                tasks.extend(
                    order
                        .iter()
                        .filter_map(|entry| blocks.remove(entry))
                        .flatten(),
                );
            }
            None => tasks.extend(blocks.into_iter().flat_map(|(_, block)| block)),
        }
        tasks.push(Task::Rows(tail..rows.end));
        tasks
    }

    /// Where the rows of a container end: before the one with its bracket, if it has one. `None` if that is no row of its own.
    fn end(&self, container: EntryId, end: usize) -> Option<usize> {
        let node = self.entries.get(container)?.nodes;
        let node = self.document.node((*node.get(self.side))?)?;
        if node.flow || self.document.format() == Format::Json {
            self.rows
                .about(About::End(container))
                .filter(|row| *row < end)
        } else {
            Some(end)
        }
    }

    /// Where the comments begin that stand above the row `end`, not before `floor`. Those further to the right than `beside`
    /// are of what is before them.
    fn above(&self, end: usize, floor: usize, beside: usize) -> usize {
        let indent = |row: usize| {
            let text = self.text(row);
            text.len() - text.trim_start_matches(' ').len()
        };
        let is_of_it = |row: &usize| match self.rows.row(*row).map(|row| row.about) {
            Some(About::Blank) => true,
            Some(About::Comment) => {
                self.document.format() != Format::Yaml || indent(*row) <= indent(beside)
            }
            _ => false,
        };
        end - (floor..end).rev().take_while(is_of_it).count()
    }

    /// Of the comments above the first entry of a document, those that belong to it and not to the file: those behind the
    /// last blank row.
    fn behind_header(&self, container: EntryId, above: Range<usize>) -> usize {
        let about = |row: usize| self.rows.row(row).map(|row| row.about);
        let in_document = self
            .entries
            .get(container)
            .is_some_and(|entry| entry.parent.is_none());
        let comment = above
            .clone()
            .find(|row| about(*row) == Some(About::Comment));
        let blank = above
            .clone()
            .rev()
            .find(|row| about(*row) == Some(About::Blank));
        match (comment, blank) {
            (Some(comment), Some(blank)) if in_document && comment < blank => blank + 1,
            _ => above.start,
        }
    }

    fn text(&self, row: usize) -> &str {
        let row = self.rows.row(row);
        row.map_or("", |row| row.span.of(self.document.source()))
    }
}
