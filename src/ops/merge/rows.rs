//! The rows of a text: its lines, where a value that has several lines is part of one row, and where values count as
//! holes. Rows are what is merged by line; the values in the holes are merged by their place.
//!
//! Knows lines and what begins and ends in them. Knows nothing of how versions differ.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use super::entries::{Entries, EntryId};
use super::three::Side;
use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, NodeId};
use crate::span::Span;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum About {
    /// An entry that begins in it: the first one.
    Entry(EntryId),
    /// The end of a collection that began in an earlier row.
    End(EntryId),
    /// A comment.
    Comment,
    /// Nothing at all.
    Blank,
    /// Anything else, such as `---`.
    Other,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its text without the line break.
    pub(super) span: Span,
    /// Equal for rows that are the same but for their values.
    pub(super) mark: u64,
    pub(super) about: About,
    /// Its values, among [`Rows::leaves`].
    pub(super) leaves: Range<usize>,
    /// Whether all entries that begin in it are these, and there are no others.
    pub(super) entries: Range<usize>,
}

/// The rows of one version.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) list: Vec<Row>,
    /// All values, as they stand in the text.
    pub(super) leaves: Vec<NodeId>,
    /// All entries, as they begin in the text.
    pub(super) entries: Vec<EntryId>,
    /// Which row is about what.
    places: HashMap<About, usize>,
    /// Where the rows stand in the text; empty as long as they are in its order.
    in_text: Vec<usize>,
}

impl Rows {
    /// The rows of the version on this side.
    pub(super) fn of(document: &Document<'_>, side: Side, entries: &Entries) -> Self {
        let mut marks = Marks::of(document, side, entries);
        let mut rows = Self::default();
        let source = document.source();
        let mut at = mark_len(document.format(), source);
        while at < source.len() {
            let (row, next) = marks.row(at, &mut rows);
            at = next;
            let place = rows.list.len();
            if matches!(row.about, About::Entry(_) | About::End(_)) {
                rows.places.entry(row.about).or_insert(place);
            }
            rows.list.push(row);
        }
        rows.tie(entries);
        rows
    }

    /// Ties blank rows to the entry behind them, and what is between documents to the document behind it. All of a kind look
    /// the same; so the one above an entry is not taken for the one above another.
    fn tie(&mut self, entries: &Entries) {
        let mut next = None;
        for row in self.list.iter_mut().rev() {
            let tied = match row.about {
                About::Entry(entry) | About::End(entry) => {
                    next = Some((row.about, entries.get(entry).map(|entry| entry.document)));
                    continue;
                }
                About::Blank => next.map(|(about, _)| about),
                About::Other => next.and_then(|(_, document)| document).map(About::Entry),
                About::Comment => continue,
            };
            let mut hash = DefaultHasher::new();
            (row.mark, tied).hash(&mut hash);
            row.mark = hash.finish();
        }
    }

    pub(super) fn row(&self, at: usize) -> Option<&Row> {
        self.list.get(at)
    }

    /// The same rows in the order of these numbers, which are all of theirs.
    pub(super) fn in_order(&self, order: &[usize]) -> Self {
        let mut in_text = vec![0; order.len()];
        for (place, row) in order.iter().enumerate() {
            if let Some(old) = in_text.get_mut(*row) {
                *old = place;
            }
        }
        let moved = |(about, row): (&About, &usize)| Some((*about, *in_text.get(*row)?));
        Self {
            list: order
                .iter()
                .filter_map(|row| self.row(*row).cloned())
                .collect(),
            leaves: self.leaves.clone(),
            entries: self.entries.clone(),
            places: self.places.iter().filter_map(moved).collect(),
            in_text,
        }
    }

    /// The row that holds this byte of the text.
    pub(super) fn at(&self, offset: usize) -> Option<&Row> {
        let is_before = |row: &Row| row.span.start() <= offset;
        if self.in_text.is_empty() {
            let behind = self.list.partition_point(is_before);
            return self.list.get(behind.checked_sub(1)?);
        }
        let is_before = |place: &usize| self.row(*place).is_some_and(is_before);
        let behind = self.in_text.partition_point(is_before);
        self.row(*self.in_text.get(behind.checked_sub(1)?)?)
    }

    /// The row that is about an entry or the end of one.
    pub(super) fn about(&self, about: About) -> Option<usize> {
        self.places.get(&about).copied()
    }

    /// The values of a row.
    pub(super) fn leaves_of(&self, row: &Row) -> &[NodeId] {
        self.leaves.get(row.leaves.clone()).unwrap_or_default()
    }

    /// The entries that begin in a row.
    pub(super) fn entries_of(&self, row: &Row) -> &[EntryId] {
        self.entries.get(row.entries.clone()).unwrap_or_default()
    }
}

/// Length of a byte order mark at the start, which is no part of the first row. In a dotenv file it is part of a key.
fn mark_len(format: Format, source: &str) -> usize {
    if format != Format::Dotenv && source.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    }
}

/// What is needed to tell rows: where values, entries and ends stand, in the order of the text.
struct Marks<'d> {
    source: &'d str,
    json: bool,
    dotenv: bool,
    leaves: Vec<(Span, NodeId)>,
    next_leaf: usize,
    starts: Vec<(usize, EntryId)>,
    next_start: usize,
    ends: Vec<(usize, usize, EntryId)>,
    next_end: usize,
}

impl<'d> Marks<'d> {
    fn of(document: &Document<'d>, side: Side, entries: &Entries) -> Self {
        let json = matches!(document.format(), Format::Json | Format::Binary);
        let (mut leaves, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (id, node) in document.nodes().iter().enumerate() {
            // The brackets of a document stand in rows too.
            let has_rows = node.parent.is_some() || json && node.is_container();
            let Some(entry) = entries.of_node(side, id).filter(|_| has_rows) else {
                continue;
            };
            let start = node
                .key
                .map_or(node.props.start().min(node.span.start()), Span::start);
            // The section before the first header of an INI file stands nowhere.
            if !node.is_container() || !node.key.is_some_and(Span::is_empty) {
                starts.push((start, entry));
            }
            if node.kind == Kind::Scalar {
                leaves.push((node.span, id));
            } else if node.is_container() && (node.flow || json) {
                ends.push((node.span.end().saturating_sub(1), start, entry));
            }
        }
        leaves.sort_unstable_by_key(|(span, _)| (span.start(), span.end()));
        starts.sort_by_key(|(at, _)| *at);
        ends.sort_by_key(|(at, ..)| *at);
        Self {
            source: document.source(),
            json,
            dotenv: document.format() == Format::Dotenv,
            leaves,
            next_leaf: 0,
            starts,
            next_start: 0,
            ends,
            next_end: 0,
        }
    }

    /// The row that begins at `start`, and where the next one does.
    fn row(&mut self, start: usize, rows: &mut Rows) -> (Row, usize) {
        let mut hash = DefaultHasher::new();
        let first_leaf = rows.leaves.len();
        let (mut end, mut done) = (line_end(self.source, start), start);
        while let Some(&(span, id)) = self
            .leaves
            .get(self.next_leaf)
            .filter(|(span, _)| span.start() <= end)
        {
            self.next_leaf += 1;
            skeleton(
                self.source.get(done..span.start()).unwrap_or_default(),
                &mut hash,
            );
            0u8.hash(&mut hash);
            rows.leaves.push(id);
            done = span.end();
            if span.end() > end {
                let ended = self
                    .source
                    .get(..done)
                    .is_some_and(|text| text.ends_with('\n'));
                end = if ended {
                    done
                } else {
                    line_end(self.source, done)
                };
            }
        }
        let mut rest = self.source.get(done..end).unwrap_or_default();
        if !self.dotenv {
            rest = rest.trim_end_matches('\r');
        }
        if self.json {
            // A comma at the end of a line belongs to the place, not to the entry; blanks behind it do not.
            let text = rest.trim_end();
            let (_, blanks) = rest.split_at_checked(text.len()).unwrap_or_default();
            blanks.hash(&mut hash);
            rest = text.strip_suffix(',').unwrap_or(text);
        }
        skeleton(rest, &mut hash);
        let first_entry = rows.entries.len();
        while let Some(&(_, entry)) = self.starts.get(self.next_start).filter(|(at, _)| *at < end) {
            self.next_start += 1;
            entry.hash(&mut hash);
            rows.entries.push(entry);
        }
        let mut ended = None;
        while let Some(&(_, begun, entry)) =
            self.ends.get(self.next_end).filter(|(at, ..)| *at < end)
        {
            self.next_end += 1;
            if begun < start {
                entry.hash(&mut hash);
                ended = ended.or(Some(entry));
            }
        }
        let text = self.source.get(start..end).unwrap_or_default();
        let about = match (rows.entries.get(first_entry), ended) {
            (Some(&entry), _) => About::Entry(entry),
            (None, Some(entry)) => About::End(entry),
            (None, None) if text.trim().is_empty() => About::Blank,
            (None, None) if text.trim_start().starts_with(['#', ';']) => About::Comment,
            (None, None) => About::Other,
        };
        let next = if text.ends_with('\n') {
            end
        } else {
            self.source.len().min(end + 1)
        };
        // In a dotenv file it is part of the value.
        let text = if self.dotenv {
            text
        } else {
            text.trim_end_matches('\r')
        };
        let row = Row {
            span: Span::new(start, start + text.len()),
            mark: hash.finish(),
            about,
            leaves: first_leaf..rows.leaves.len(),
            entries: first_entry..rows.entries.len(),
        };
        (row, next)
    }
}

/// A line of JSON without blanks, and a comma, at its end.
pub(super) fn without_comma(line: &str) -> &str {
    let line = line.trim_end();
    line.strip_suffix(',').unwrap_or(line).trim_end()
}

/// Where the line that holds `at` ends, before its line feed.
fn line_end(source: &str, at: usize) -> usize {
    let rest = source.get(at..).unwrap_or_default();
    rest.find('\n').map_or(source.len(), |newline| at + newline)
}

/// Text between values, the same for all kinds of line breaks.
fn skeleton(text: &str, hash: &mut DefaultHasher) {
    for part in text.split('\r') {
        part.as_bytes().iter().for_each(|byte| byte.hash(hash));
    }
}
