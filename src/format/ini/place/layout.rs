//! How the keys of a section are laid out, and lines written so.
//!
//! Knows indentation, delimiters, equal signs below each other and quotes. What is written is read again with the scanner
//! before it is believed.

use zeroize::Zeroizing;

use super::Text;
use crate::content::Content;
use crate::format::ini::{key, scan, value, value as value_of};
use crate::format::lines::bare_text;
use crate::format::lines::whole::line_start;
use crate::format::place::CannotPlace;
use crate::node::{Form, Kind, Node, NodeId};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::Value;

/// The value of a key; there is nothing else that a key could have.
pub(super) fn scalar<'c>(
    content: &'c Content<'c>,
    place: Span,
) -> Result<&'c Value<'c>, CannotPlace> {
    match content {
        Content::Scalar(value) => Ok(value),
        Content::List(_) | Content::Map(_) => {
            let message =
                "an INI file holds sections of values, and neither lists nor deeper mappings";
            Err(CannotPlace::new(place, message)
                .with_hint("give each value a key of its own, or keep the text of it in one"))
        }
    }
}

/// How the keys of a section are laid out.
pub(super) struct Layout {
    indent: String,
    /// The column of the delimiters, in characters from the start of the line, if they stand below each other.
    column: Option<usize>,
    /// Blanks and the delimiter behind a key.
    before: String,
    /// Blanks before a value.
    after: String,
    /// The quotes that all values have.
    form: Form,
}

impl<'a> Text<'a> {
    /// The layout of the keys of a section; if it has none, that of the first key anywhere.
    pub(super) fn layout(&self, section: NodeId) -> Layout {
        let keys: Vec<Written<'a>> = self
            .keys(section)
            .filter_map(|node| self.written(node))
            .collect();
        let mut columns = keys.iter().map(|key| key.column);
        let first = columns.next();
        let is_aligned = columns.all(|column| Some(column) == first);
        let has_padding = keys.iter().any(|key| key.before.len() > 2);
        let unpadded = |key: Written<'a>| Written {
            before: key
                .before
                .get(key.before.len().saturating_sub(2)..)
                .unwrap_or(" ="),
            ..key
        };
        let anywhere = || {
            self.nodes
                .iter()
                .find_map(|node| self.written(node))
                .map(unpadded)
        };
        let like = keys.last().copied().or_else(anywhere);
        let form = like.map_or(Form::Plain, |key| key.form);
        // The others are there for what stands between them.
        let is_style = matches!(form, Form::Single | Form::Double);
        let valued = |key: &&Written<'a>| key.has_value;
        Layout {
            indent: like.map_or("", |key| key.indent).to_owned(),
            column: first.filter(|_| is_aligned && has_padding),
            before: like.map_or(" =", |key| key.before).to_owned(),
            after: keys
                .iter()
                .rfind(valued)
                .or(like.as_ref())
                .map_or(" ", |key| key.after)
                .to_owned(),
            form: if is_style && keys.iter().all(|key| key.form == form) {
                form
            } else {
                Form::Plain
            },
        }
    }

    fn written(&self, node: &Node) -> Option<Written<'a>> {
        let name = node.key.filter(|_| node.kind == Kind::Scalar)?;
        let start = line_start(self.source, name.start());
        let behind = self.source.get(name.end()..node.span.end())?;
        let delimiter = name.end() + behind.find(['=', ':'])? + 1;
        let after = self.source.get(delimiter..node.span.start())?;
        Some(Written {
            indent: self
                .source
                .get(start..name.start())?
                .trim_start_matches('\u{feff}'),
            before: self.source.get(name.end()..delimiter)?,
            after: if after.contains('\n') { " " } else { after },
            column: self.source.get(start..delimiter)?.chars().count(),
            form: node.form,
            has_value: !node.span.is_empty(),
        })
    }
}

/// A key as it stands in the text.
#[derive(Clone, Copy)]
struct Written<'a> {
    indent: &'a str,
    /// Up to and with the delimiter.
    before: &'a str,
    after: &'a str,
    /// Characters of the line up to and with the delimiter.
    column: usize,
    form: Form,
    has_value: bool,
}

/// Lines in pieces, so that no buffer ever moves and leaves a copy of a secret behind. The last one is not ended.
#[derive(Default)]
pub(super) struct Pieces(Vec<Zeroizing<String>>);

impl Pieces {
    pub(super) fn push(&mut self, text: &str) {
        self.0.push(Zeroizing::new(text.to_owned()));
    }

    pub(super) fn all(&self) -> Vec<&str> {
        self.0.iter().map(|piece| piece.as_str()).collect()
    }

    /// A header and its keys.
    pub(super) fn section(
        &mut self,
        text: &Text<'_>,
        name: &str,
        content: &Content<'_>,
        place: Span,
    ) -> Result<(), CannotPlace> {
        if matches!(content, Content::Scalar(_)) {
            let message = "a value at the top level of an INI file needs a section";
            return Err(CannotPlace::new(place, message).with_hint(format!(
                "write `[\"SECTION\"][\"{name}\"]`; what stands above all sections is in `DEFAULT`"
            )));
        }
        let header = format!("[{name}]");
        let is_read = scan(&header).is_ok_and(|nodes| match nodes.as_slice() {
            [_, _, section] => key(&header, section) == name,
            _ => false,
        });
        if !is_read {
            let message = "the name of an INI section cannot be empty or hold line breaks";
            return Err(CannotPlace::new(place, message));
        }
        self.push(&header);
        if content.entries().next().is_some() || matches!(content, Content::List(_)) {
            self.push(text.line_break());
            self.lines(text, &text.layout(0), content, place)?;
        }
        Ok(())
    }

    /// The keys of a section.
    pub(super) fn lines(
        &mut self,
        text: &Text<'_>,
        layout: &Layout,
        content: &Content<'_>,
        place: Span,
    ) -> Result<(), CannotPlace> {
        if !matches!(content, Content::Map(_)) {
            let message = "an INI section can only be replaced by a mapping";
            return Err(CannotPlace::new(place, message));
        }
        for (index, entry) in content.entries().enumerate() {
            if index > 0 {
                self.push(text.line_break());
            }
            self.line(text, layout, &entry.key, &entry.content, place)?;
        }
        Ok(())
    }

    /// One key, which reads back as it was meant and as nothing else.
    pub(super) fn line(
        &mut self,
        text: &Text<'_>,
        layout: &Layout,
        name: &str,
        content: &Content<'_>,
        place: Span,
    ) -> Result<(), CannotPlace> {
        let unwritable = |error| CannotPlace::unwritable(place, error);
        let wanted = bare_text(scalar(content, place)?).map_err(unwritable)?;
        let wanted = wanted.expose();
        let forms = [
            layout.form,
            Form::Plain,
            Form::Double,
            Form::Backtick,
            Form::Triple,
        ];
        let Some(spelled) = value::spell(wanted, forms, text.line_break()) else {
            return Err(CannotPlace::new(place, "no INI quotes can hold this text"));
        };
        for quote in ["", "`", "\"\"\"", "\""] {
            let quoted = format!("{}{quote}{name}{quote}", layout.indent);
            let mut before = layout.before.clone();
            if let Some(column) = layout.column {
                let delimiter = before.split_off(before.len().saturating_sub(1));
                let length = quoted.chars().count();
                before = " ".repeat(column.saturating_sub(length + 1).max(1)) + &delimiter;
            }
            let pieces = [quoted.as_str(), &before, &layout.after, &spelled];
            if reads_back(&pieces, name, wanted) {
                pieces.iter().for_each(|piece| self.push(piece));
                return Ok(());
            }
        }
        let message =
            "an INI key cannot be empty or `-`, nor hold line breaks or all kinds of quotes";
        Err(CannotPlace::new(place, message))
    }
}

/// Whether a line is read as one key of this name and value.
fn reads_back(pieces: &[&str], name: &str, wanted: &str) -> bool {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    let mut line = Zeroizing::new(String::with_capacity(length));
    for piece in pieces {
        line.push_str(piece);
    }
    let Ok(nodes) = scan(&line) else {
        return false;
    };
    match nodes.as_slice() {
        [_, _, node] if node.kind == Kind::Scalar => {
            let read = value_of(&line, node);
            key(&line, node) == name && read == Value::Str(Plain::from(wanted))
        }
        _ => false,
    }
}
