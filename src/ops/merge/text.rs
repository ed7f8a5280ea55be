//! The result as text: rows put together again, their holes filled, with markers where the sides contradict each other.
//!
//! Knows how rows are written in each format. Knows nothing of why a row is there: the weave has decided.

use std::ops::Range;

use zeroize::Zeroizing;

use super::entries::{Documents, Entries};
use super::fate::{Fate, Fates};
use super::rows::{Row, Rows, without_comma};
use super::three::{Side, Three};
use super::weave::Piece;
use crate::document::Document;
use crate::edit::{Edit, splice};
use crate::format::{self, Format};
use crate::node::NodeId;
use crate::span::Span;

/// A row of the result, or what each side has instead.
pub(super) enum Line {
    Clean(Zeroizing<String>),
    Clash(Clash),
}

/// What each side has in a place where they contradict each other.
pub(super) struct Clash {
    pub(super) rows: Three<Vec<Zeroizing<String>>>,
    /// The entries in dispute, as paths for people.
    pub(super) paths: Vec<String>,
}

impl Line {
    /// The rows of one side's choice.
    fn rows(&self, side: Side) -> impl Iterator<Item = &str> {
        let (clean, clash) = match self {
            Self::Clean(row) => (Some(row), None),
            Self::Clash(clash) => (None, Some(clash.rows.get(side))),
        };
        clean
            .into_iter()
            .chain(clash.into_iter().flatten())
            .map(|row| row.as_str())
    }
}

/// What is needed to write rows.
pub(super) struct Writer<'m, 'd, 's> {
    pub(super) documents: &'m Documents<'d, 's>,
    pub(super) entries: &'m Entries,
    pub(super) fates: &'m Fates,
    pub(super) rows: &'m Three<Rows>,
}

impl Writer<'_, '_, '_> {
    /// The lines of these pieces; `None` if a value has no spelling where it has to stand.
    pub(super) fn lines(&self, pieces: &[Piece]) -> Option<Vec<Line>> {
        let mut lines = Vec::with_capacity(pieces.len());
        for piece in pieces {
            lines.push(match piece {
                Piece::Clash(parts) => self.clash(parts),
                Piece::Row(side, row) => self.row(*side, *row)?,
            });
        }
        Some(lines)
    }

    /// All of every version, against each other.
    pub(super) fn whole(&self) -> Line {
        self.clash(&Three::of(|side| 0..self.rows.get(side).list.len()))
    }

    fn clash(&self, parts: &Three<Range<usize>>) -> Line {
        let rows = Three::of(|side| {
            let rows = parts.get(side).clone();
            rows.filter_map(|row| {
                let row = self.rows.get(side).row(row)?;
                let source = (*self.documents.get(side))?.source();
                Some(Zeroizing::new(row.span.of(source).to_owned()))
            })
            .collect()
        });
        let entries = |side: Side| {
            let all = self.rows.get(side);
            let rows = all.list.get(parts.get(side).clone()).unwrap_or_default();
            rows.iter().flat_map(|row| all.entries_of(row))
        };
        let mut paths: Vec<String> = Side::ALL
            .into_iter()
            .flat_map(entries)
            .filter(|entry| self.fates.of(**entry) == Fate::Clash)
            .map(|entry| self.entries.path(*entry))
            .collect();
        paths.sort();
        paths.dedup();
        Line::Clash(Clash { rows, paths })
    }

    fn row(&self, side: Side, number: usize) -> Option<Line> {
        let rows = self.rows.get(side);
        let row = rows.row(number)?;
        let entry = |node: &NodeId| self.entries.of_node(side, *node);
        let fate = |node: &NodeId| entry(node).map_or(Fate::Clash, |entry| self.fates.of(entry));
        let leaves = rows.leaves_of(row);
        let clashes = leaves.iter().any(|leaf| fate(leaf) == Fate::Clash);
        let filled = |clash: Side| {
            // A value of another type has no spelling behind the tag that is here.
            let own = self.rows.get(clash);
            let own = own.about(row.about).and_then(|place| own.row(place));
            let own = own.filter(|_| leaves.iter().any(|leaf| !self.same_tag(side, clash, leaf)));
            let (side, row) = own.map_or((side, row), |own| (clash, own));
            self.filled(side, row, |leaf| match fate(leaf) {
                Fate::Kept(side) => Some(side),
                Fate::Clash => Some(clash),
                Fate::Gone => None,
            })
        };
        if !clashes {
            return filled(side).map(Line::Clean);
        }
        // Where the base has no such value, both added the row.
        let in_base = leaves
            .iter()
            .filter(|leaf| fate(leaf) == Fate::Clash)
            .all(|leaf| {
                let nodes = entry(leaf)
                    .and_then(|entry| self.entries.get(entry))
                    .map(|entry| entry.nodes);
                nodes.is_some_and(|nodes| nodes.base.is_some())
            });
        let disputed = leaves.iter().filter(|leaf| fate(leaf) == Fate::Clash);
        let paths = disputed.filter_map(|leaf| Some(self.entries.path(entry(leaf)?)));
        let rows = Three {
            base: if in_base {
                vec![filled(Side::Base)?]
            } else {
                Vec::new()
            },
            ours: vec![filled(Side::Ours)?],
            theirs: vec![filled(Side::Theirs)?],
        };
        Some(Line::Clash(Clash {
            rows,
            paths: paths.collect(),
        }))
    }

    /// Whether a value has the same tag on two sides, or is only on one.
    fn same_tag(&self, one: Side, other: Side, leaf: &NodeId) -> bool {
        let entry = self.entries.of_node(one, *leaf);
        let nodes = entry.and_then(|entry| Some(self.entries.get(entry)?.nodes));
        let tag = |side: Side| {
            let node = nodes.and_then(|nodes| *nodes.get(side))?;
            Some((*self.documents.get(side))?.node(node)?.tag)
        };
        match (tag(one), tag(other)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    /// The text of a row with the values that `choose` takes from each side.
    fn filled(
        &self,
        side: Side,
        row: &Row,
        choose: impl Fn(&NodeId) -> Option<Side>,
    ) -> Option<Zeroizing<String>> {
        let document = (*self.documents.get(side))?;
        let source = document.source();
        let mut edits = Vec::new();
        for leaf in self.rows.get(side).leaves_of(row) {
            let from = choose(leaf)?;
            if from != side {
                self.fill(side, document, row, *leaf, from, &mut edits)?;
            }
        }
        if edits.is_empty() {
            return Some(Zeroizing::new(row.span.of(source).to_owned()));
        }
        for edit in &mut edits {
            let start = edit.span.start().checked_sub(row.span.start())?;
            edit.span = Span::new(start, edit.span.end() - row.span.start());
        }
        splice(row.span.of(source), &edits).ok()
    }

    /// The edits that put the value of `from` in place of that of `side`: as it is written there if the rows are the same
    /// but for values, else in the style that is here.
    fn fill(
        &self,
        side: Side,
        document: &Document<'_>,
        row: &Row,
        leaf: NodeId,
        from: Side,
        edits: &mut Vec<Edit>,
    ) -> Option<()> {
        let entry = self.entries.get(self.entries.of_node(side, leaf)?)?;
        let here = document.node(leaf)?;
        let other = (*self.documents.get(from))?;
        let id = (*entry.nodes.get(from))?;
        let there = other.node(id)?;
        if here.span.of(document.source()) == there.span.of(other.source()) {
            return Some(());
        }
        let row_there = self.rows.get(from).at(there.span.start());
        if row_there.is_some_and(|other| other.mark == row.mark) {
            edits.push(Edit::new(here.span, there.span.of(other.source())));
            return Some(());
        }
        let value = other.plaintext(there).ok()?;
        let before = edits.len();
        let ends_text = here.span.end() == document.source().len();
        format::write_value(
            document.format(),
            document.source(),
            here,
            &value,
            ends_text,
            edits,
        )
        .ok()?;
        // An empty value stands right behind the `:` or `-`, or behind a `=` with a blank before it.
        let behind = document
            .source()
            .get(..here.span.start())
            .unwrap_or_default();
        let is_close = match document.format() {
            Format::Yaml => behind.ends_with([':', '-']),
            Format::Ini => behind.ends_with(" ="),
            _ => false,
        };
        if is_close && here.span.is_empty() {
            for edit in edits.iter_mut().skip(before) {
                edit.text = Zeroizing::new([" ", edit.text.as_str()].concat());
            }
        }
        Some(())
    }
}

/// How the result is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) crlf: bool,
    pub(super) ended: bool,
    pub(super) mark: bool,
}

impl Layout {
    /// The layout that the merge has, from those of all versions.
    pub(super) fn of(documents: &Documents<'_, '_>, format: Format) -> Self {
        let sources = Three::of(|side| documents.get(side).map(|document| document.source()));
        let ask = |question: fn(&str) -> bool| {
            let found = Three::of(|side| {
                sources
                    .get(side)
                    .filter(|text| !text.is_empty())
                    .map(question)
            });
            // One that is empty says nothing. Where the base does not decide, it is so if it is so in all.
            let side = found
                .base
                .and(found.choose())
                .and_then(|side| *found.get(side));
            let all = || {
                [found.ours, found.theirs]
                    .into_iter()
                    .flatten()
                    .reduce(|one, other| one && other)
            };
            side.or_else(all)
        };
        Self {
            format,
            crlf: format != Format::Dotenv && ask(|text| text.contains("\r\n")).unwrap_or(false),
            ended: ask(|text| text.ends_with('\n')).unwrap_or(true),
            mark: format != Format::Dotenv
                && ask(|text| text.starts_with('\u{feff}')).unwrap_or(false),
        }
    }

    /// That of a text which is not made of rows.
    pub(super) fn verbatim() -> Self {
        Self {
            format: Format::Binary,
            crlf: false,
            ended: false,
            mark: false,
        }
    }

    fn newline(self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }

    /// The text of one side's choice.
    pub(super) fn text(self, lines: &[Line], side: Side) -> Zeroizing<String> {
        let rows: Vec<&str> = lines.iter().flat_map(|line| line.rows(side)).collect();
        let commas = self.commas(&rows);
        let mut text = Page::new(self);
        for (row, comma) in rows.into_iter().zip(commas) {
            text.row(row, comma);
        }
        text.finish()
    }

    /// The text with markers around what the sides contradict each other in.
    pub(super) fn marked(self, lines: &[Line], markers: &Markers) -> Zeroizing<String> {
        let mut text = Page::new(self);
        let commas = Three::of(|side| {
            let rows: Vec<&str> = lines.iter().flat_map(|line| line.rows(side)).collect();
            self.commas(&rows)
        });
        let mut next = Three::<usize>::default();
        let mut parts = Parts::default();
        for line in lines {
            let mut take = |side: Side, row| {
                let at = next.get_mut(side);
                let comma = commas.get(side).get(*at).copied().flatten();
                *at += 1;
                (row, comma)
            };
            match line {
                Line::Clean(row) => {
                    let row = Three::of(|side| take(side, row.as_str()));
                    // What is chosen behind it decides whether it has a comma: then it is a part of that.
                    parts.open |= row.ours != row.theirs;
                    if parts.open {
                        for side in Side::ALL {
                            parts.rows.get_mut(side).push(*row.get(side));
                        }
                    } else {
                        parts.end(&mut text, markers);
                        text.row(row.ours.0, row.ours.1);
                    }
                }
                Line::Clash(clash) => {
                    parts.open = false;
                    for side in Side::ALL {
                        let rows = clash.rows.get(side).iter().map(|row| row.as_str());
                        let part = parts.rows.get_mut(side);
                        part.extend(rows.map(|row| take(side, row)));
                    }
                }
            }
        }
        parts.end(&mut text, markers);
        text.ended |= lines.iter().any(|line| matches!(line, Line::Clash(_)));
        text.finish()
    }

    /// Whether rows must have a comma at their end, or must not; only JSON cares.
    fn commas(self, rows: &[&str]) -> Vec<Option<bool>> {
        if self.format != Format::Json {
            return vec![None; rows.len()];
        }
        let mut next: Option<char> = None;
        let mut commas = vec![None; rows.len()];
        for (row, comma) in rows.iter().zip(commas.iter_mut()).rev() {
            let comes = row.trim_start().chars().next();
            let row = without_comma(row).trim_start();
            let opens = row.is_empty() || row.ends_with(['{', '[', ':']);
            let closes = next.is_none_or(|next| matches!(next, '}' | ']' | ',' | ':'));
            *comma = (!row.is_empty()).then_some(!opens && !closes);
            next = comes.or(next);
        }
        commas
    }
}

/// What is to stand between markers.
#[derive(Default)]
struct Parts<'r> {
    /// The rows of every side, and whether they have a comma.
    rows: Three<Vec<(&'r str, Option<bool>)>>,
    /// Whether what comes next belongs to it.
    open: bool,
}

impl Parts<'_> {
    /// Writes what there is, and begins anew.
    fn end(&mut self, text: &mut Page, markers: &Markers) {
        let rows = std::mem::take(&mut self.rows);
        if Side::ALL.iter().all(|side| rows.get(*side).is_empty()) {
            return;
        }
        for (mark, side) in [("<", Side::Ours), ("|", Side::Base), ("=", Side::Theirs)] {
            text.row(&markers.line(mark), None);
            for (row, comma) in rows.get(side) {
                text.row(row, *comma);
            }
        }
        text.row(&markers.line(">"), None);
    }
}

/// The lines between which a contradiction stands.
#[derive(Clone, Debug)]
pub struct Markers {
    /// How many characters they begin with; git's have 7.
    pub size: usize,
    /// What the version that is merged into is called.
    pub ours: String,
    /// What the version that both come from is called.
    pub base: String,
    /// What the version that is merged is called.
    pub theirs: String,
}

impl Markers {
    /// The line that begins with this mark, without its end.
    pub(super) fn line(&self, mark: &str) -> String {
        let label = match mark {
            "<" => &self.ours,
            "|" => &self.base,
            ">" => &self.theirs,
            _ => return mark.repeat(self.size),
        };
        // A `=` would make a dotenv variable of it, a line break anything.
        let label = label.replace(['=', '\n', '\r'], " ");
        format!("{} {label}", mark.repeat(self.size))
    }
}

/// A text that is being written.
struct Page {
    text: Zeroizing<String>,
    /// Whether a byte order mark is still to come.
    mark: bool,
    newline: &'static str,
    ended: bool,
    /// Whether the text ends with a line break, or is empty.
    fresh: bool,
    /// Whether line breaks stay as they are.
    verbatim: bool,
}

impl Page {
    fn new(layout: Layout) -> Self {
        Self {
            text: Zeroizing::new(String::new()),
            mark: layout.mark,
            newline: layout.newline(),
            ended: layout.ended,
            fresh: true,
            verbatim: matches!(layout.format, Format::Binary | Format::Dotenv),
        }
    }

    fn row(&mut self, row: &str, comma: Option<bool>) {
        let bare = without_comma(row);
        let has_comma = row.trim_end().ends_with(',');
        let (row, behind) = match comma {
            Some(false) if has_comma => (bare, ""),
            Some(true) if !has_comma => (row, ","),
            _ => (row, ""),
        };
        if std::mem::take(&mut self.mark) {
            self.push("\u{feff}");
        }
        if !self.fresh {
            self.push(self.newline);
        }
        for (number, part) in row.split('\n').enumerate() {
            if number > 0 {
                self.push(self.newline);
            }
            let bare = if self.verbatim {
                None
            } else {
                part.strip_suffix('\r')
            };
            self.push(bare.unwrap_or(part));
        }
        self.push(behind);
        self.fresh = row.ends_with('\n');
    }

    /// Adds text; a buffer that has to grow is wiped.
    fn push(&mut self, text: &str) {
        if self.text.capacity() - self.text.len() < text.len() {
            let room = (self.text.len() + text.len()).saturating_mul(2).max(4096);
            let mut larger = Zeroizing::new(String::with_capacity(room));
            larger.push_str(&self.text);
            self.text = larger;
        }
        self.text.push_str(text);
    }

    fn finish(mut self) -> Zeroizing<String> {
        if self.ended && !self.fresh {
            self.push(self.newline);
        }
        self.text
    }
}
