//! Content as new YAML, in the style people like: blocks, two spaces, quotes where some reader would need them.
//!
//! What is written here is this content for every reader of YAML 1.1 and 1.2, not only for those that read as go-yaml
//! does. The layout can be that of a text around it. Knows nothing of places in a text.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::merge::{MERGE, can_merge};
use super::quote::{double_quoted, is_printable, quoted, should_be_plain, single_quoted};
use super::write::{bare, binary};
use crate::content::{Comment, Content, Entry, MAX_DEPTH, Part};
use crate::format::emit::CannotEmit;
use crate::secret::PlainWriter;
use crate::value::Value;

mod flow;
mod lead;
mod literal;
#[cfg(test)]
mod tests;

pub(super) use flow::{flow, flow_key};
use lead::{Lead, leads};
use literal::Literal;

/// The most bytes that a key has without a `?` before it: readers look no further than 1024 for its colon.
const LONGEST_KEY: usize = 1000;

/// How new text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// What ends a line.
    pub(super) newline: &'static str,
    /// How many columns the entries of a mapping stand behind the key of that mapping, at least 1.
    pub(super) step: usize,
    /// The same for the dashes of a list, which may stand in the column of the key.
    pub(super) dashes: usize,
    /// How many blanks stand behind a dash, at least 1.
    pub(super) gap: usize,
    /// How strings are quoted.
    pub(super) values: Quotes,
    /// How keys are.
    pub(super) keys: Quotes,
    /// Whether text of several lines becomes a block.
    pub(super) literals: bool,
}

/// How strings are quoted. Whatever is asked for, what cannot be written so is written otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    WhereNeeded,
    Single,
    Double,
}

impl Style {
    /// What a text of its own is written in.
    pub(super) const PLAIN: Self = Self {
        newline: "\n",
        step: 2,
        dashes: 2,
        gap: 1,
        values: Quotes::WhereNeeded,
        keys: Quotes::WhereNeeded,
        literals: true,
    };
}

impl Quotes {
    /// A string on one line.
    pub(super) fn spell(self, text: &str, flow: bool) -> Zeroizing<String> {
        match self {
            Self::WhereNeeded if should_be_plain(text, flow) => Zeroizing::new(text.to_owned()),
            Self::WhereNeeded => quoted(text),
            Self::Single => single_quoted(text).unwrap_or_else(|| double_quoted(text)),
            Self::Double => double_quoted(text),
        }
    }

    /// A key on one line. In quotes, a merge key would be a key like any other.
    fn spell_key(self, key: &str, content: &Content<'_>, flow: bool) -> Zeroizing<String> {
        if key == MERGE && can_merge(content) {
            return Zeroizing::new(MERGE.to_owned());
        }
        self.spell(key, flow)
    }
}

/// A whole text: documents behind each other, with `---` between them.
///
/// # Errors
/// [`CannotEmit`] for a key that is in its mapping twice, for a comment with control characters, and below [`MAX_DEPTH`].
pub fn emit(documents: &[Content<'_>]) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = Writer::new(&Style::PLAIN);
    for (number, document) in documents.iter().enumerate() {
        if number > 0 {
            writer.text.push_str("---\n");
        }
        writer.document(document)?;
    }
    Ok(writer.text.finish())
}

/// The entry `key` of a block mapping in `column`, or the item of a block list if there is no key: whole lines, but for
/// the indentation of the first.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it.
pub(super) fn entry(
    key: Option<&str>,
    content: &Content<'_>,
    column: usize,
    style: &Style,
) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = Writer::new(style);
    match key {
        Some(key) => writer.entry(key, content, column, None, 1)?,
        None => writer.item(content, column, None, 1)?,
    }
    Ok(writer.text.finish())
}

/// What stands behind the `:` of a key in `column`, or behind the dash there: with the blank or line break before it, and
/// whole lines.
///
/// # Errors
/// [`CannotEmit`] as [`emit`] has it.
pub(super) fn behind(
    is_item: bool,
    content: &Content<'_>,
    column: usize,
    style: &Style,
) -> Result<Zeroizing<String>, CannotEmit> {
    let mut writer = Writer::new(style);
    if is_item {
        writer.behind_dash(content, column, None, 1)?;
    } else {
        writer.behind_colon(content, column, None, 1)?;
    }
    Ok(writer.text.finish())
}

/// A value on one line, as a block has it.
pub(super) fn inline(value: &Value<'_>, quotes: Quotes, in_flow: bool) -> Zeroizing<String> {
    match value {
        Value::Str(text) => quotes.spell(text.expose(), in_flow),
        Value::Bytes(bytes) => Zeroizing::new(binary(bytes)),
        other => Zeroizing::new(bare(other)),
    }
}

struct Writer<'s> {
    style: &'s Style,
    text: PlainWriter,
}

type Written = Result<(), CannotEmit>;

impl<'s> Writer<'s> {
    fn new(style: &'s Style) -> Self {
        Self {
            style,
            text: PlainWriter::default(),
        }
    }

    fn document(&mut self, content: &Content<'_>) -> Written {
        if is_empty(content) {
            for comment in comments_in(content) {
                self.comment(comment, 0)?;
            }
        }
        match content {
            Content::Map(parts) if !is_empty(content) => self.entries(parts, 0, false, 1),
            Content::List(parts) if !is_empty(content) => self.items(parts, 0, false, 1),
            flat => {
                self.text.push_str(&flow(flat, Quotes::WhereNeeded)?);
                self.end_line(None)
            }
        }
    }

    /// The entries of a mapping in `column`; `begun` says that the first stands on a line that is begun already.
    fn entries(
        &mut self,
        parts: &[Part<'_, Entry<'_>>],
        column: usize,
        begun: bool,
        depth: usize,
    ) -> Written {
        let mut keys = HashSet::new();
        for (number, lead) in leads(parts, |entry| &entry.content).enumerate() {
            let Some(entry) = self.lead(&lead, column, begun && number == 0)? else {
                continue;
            };
            let key = entry.key.as_ref();
            if !keys.insert(key) {
                return Err(CannotEmit::new("the mapping has this key twice").under(key));
            }
            self.entry(key, &entry.content, column, lead.beside, depth)
                .map_err(|error| error.under(key))?;
        }
        Ok(())
    }

    /// The items of a list whose dashes stand in `column`.
    fn items(
        &mut self,
        parts: &[Part<'_, Content<'_>>],
        column: usize,
        begun: bool,
        depth: usize,
    ) -> Written {
        for (number, lead) in leads(parts, |item| item).enumerate() {
            if let Some(item) = self.lead(&lead, column, begun && number == 0)? {
                self.item(item, column, lead.beside, depth)
                    .map_err(|error| error.at(number))?;
            }
        }
        Ok(())
    }

    /// The comments above an entry or item, and the indentation before it.
    fn lead<'p, T>(
        &mut self,
        lead: &Lead<'p, T>,
        column: usize,
        begun: bool,
    ) -> Result<Option<&'p T>, CannotEmit> {
        for comment in &lead.above {
            self.comment(comment, column)?;
        }
        if lead.item.is_some() && !begun {
            self.text.repeat(" ", column);
        }
        Ok(lead.item)
    }

    fn entry(
        &mut self,
        key: &str,
        content: &Content<'_>,
        column: usize,
        beside: Option<&Comment<'_>>,
        depth: usize,
    ) -> Written {
        let spelled = self.style.keys.spell_key(key, content, false);
        if spelled.len() > LONGEST_KEY {
            self.text.push_str("? ");
            self.text.push_str(&spelled);
            self.text.push_str(self.style.newline);
            self.text.repeat(" ", column);
        } else {
            self.text.push_str(&spelled);
        }
        self.text.push_str(":");
        self.behind_colon(content, column, beside, depth)
    }

    fn item(
        &mut self,
        content: &Content<'_>,
        column: usize,
        beside: Option<&Comment<'_>>,
        depth: usize,
    ) -> Written {
        self.text.push_str("-");
        self.behind_dash(content, column, beside, depth)
    }

    /// What follows the colon of a key in `column`.
    fn behind_colon(
        &mut self,
        content: &Content<'_>,
        column: usize,
        beside: Option<&Comment<'_>>,
        depth: usize,
    ) -> Written {
        check_depth(depth)?;
        let style = self.style;
        match content {
            Content::Map(parts) if !is_empty(content) => {
                self.end_line(beside)?;
                self.entries(parts, column + style.step, false, depth + 1)
            }
            Content::List(parts) if !is_empty(content) => {
                self.end_line(beside)?;
                self.items(parts, column + style.dashes, false, depth + 1)
            }
            flat => self.flat(flat, column, 1, beside),
        }
    }

    /// What follows a dash in `column`: a list or mapping begins on its line, unless comments stand before that.
    fn behind_dash(
        &mut self,
        content: &Content<'_>,
        column: usize,
        beside: Option<&Comment<'_>>,
        depth: usize,
    ) -> Written {
        check_depth(depth)?;
        let gap = self.style.gap;
        let inside = column + 1 + gap;
        let begun = beside.is_none() && !begins_with_comment(content);
        if is_empty(content) {
            return self.flat(content, column, gap, beside);
        }
        if begun {
            self.text.repeat(" ", gap);
        } else {
            self.end_line(beside)?;
        }
        match content {
            Content::Map(parts) => self.entries(parts, inside, begun, depth + 1),
            Content::List(parts) => self.items(parts, inside, begun, depth + 1),
            Content::Scalar(_) => Ok(()),
        }
    }

    /// A value or an empty list or mapping, behind a key or dash in `column` and so many blanks.
    fn flat(
        &mut self,
        content: &Content<'_>,
        column: usize,
        gap: usize,
        beside: Option<&Comment<'_>>,
    ) -> Written {
        self.text.repeat(" ", gap);
        if let Content::Scalar(Value::Str(text)) = content
            && let Some(literal) = Literal::of(text.expose()).filter(|_| self.style.literals)
        {
            self.text.push_str(&literal.header(self.style.step));
            self.end_line(beside)?;
            literal.lines(column + self.style.step, self.style.newline, &mut self.text);
            return Ok(());
        }
        match content {
            Content::Scalar(value) => {
                self.text.push_str(&inline(value, self.style.values, false));
            }
            Content::List(_) => self.text.push_str("[]"),
            Content::Map(_) => self.text.push_str("{}"),
        }
        self.end_line(beside)
    }

    /// A comment on lines of its own.
    fn comment(&mut self, comment: &Comment<'_>, column: usize) -> Written {
        for line in comment.text.expose().split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.text.repeat(" ", column);
            self.comment_line(line)?;
            self.text.push_str(self.style.newline);
        }
        Ok(())
    }

    fn comment_line(&mut self, line: &str) -> Written {
        if !line.chars().all(is_printable) {
            return Err(CannotEmit::new(
                "a comment there has control characters, which YAML does not allow",
            ));
        }
        self.text.push_str("#");
        self.text.push_str(line);
        Ok(())
    }

    /// The end of a line, with the comment that stands there.
    fn end_line(&mut self, beside: Option<&Comment<'_>>) -> Written {
        if let Some(comment) = beside {
            self.text.push_str(" ");
            self.comment_line(comment.text.expose())?;
        }
        self.text.push_str(self.style.newline);
        Ok(())
    }
}

fn check_depth(depth: usize) -> Written {
    if depth > MAX_DEPTH {
        return Err(CannotEmit::new(format!(
            "this is nested in more than {MAX_DEPTH} lists and mappings"
        )));
    }
    Ok(())
}

/// Whether it is written on one line: a value, or nothing in brackets.
fn is_empty(content: &Content<'_>) -> bool {
    match content {
        Content::Scalar(_) => true,
        Content::List(_) => content.items().next().is_none(),
        Content::Map(_) => content.entries().next().is_none(),
    }
}

/// The comments in a list or mapping, but not in what is in it.
fn comments_in<'c>(content: &'c Content<'c>) -> Vec<&'c Comment<'c>> {
    fn among<'p, T>(parts: &'p [Part<'p, T>]) -> Vec<&'p Comment<'p>> {
        let comment = |part: &'p Part<'p, T>| match part {
            Part::Comment(comment) => Some(comment),
            Part::Item(_) => None,
        };
        parts.iter().filter_map(comment).collect()
    }
    match content {
        Content::Scalar(_) => Vec::new(),
        Content::List(parts) => among(parts),
        Content::Map(parts) => among(parts),
    }
}

/// Whether the first line of a list or mapping would be a comment.
fn begins_with_comment(content: &Content<'_>) -> bool {
    fn above<T>(parts: &[Part<'_, T>], content: impl Fn(&T) -> &Content<'_>) -> bool {
        leads(parts, content)
            .next()
            .is_some_and(|lead| !lead.above.is_empty())
    }
    match content {
        Content::Scalar(_) => false,
        Content::List(parts) => above(parts, |item| item),
        Content::Map(parts) => above(parts, |entry| &entry.content),
    }
}
