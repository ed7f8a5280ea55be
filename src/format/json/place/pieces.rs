//! New JSON in the style of what stands around it, in pieces.
//!
//! Knows how containers are laid out, on one line or on several; knows nothing of where the text goes.

use zeroize::Zeroizing;

use crate::content::Content;
use crate::edit::Edit;
use crate::format::json::{Escapes, quote, spell};
use crate::format::place::CannotPlace;
use crate::span::Span;

/// How new content is spelled.
pub(super) struct Style<'a> {
    /// Between a key and its value: `: ` for most people.
    pub(super) colon: &'a str,
    /// Behind a comma on one line.
    pub(super) blank: &'static str,
    pub(super) line_break: &'static str,
    /// One step of indentation; `None` for containers on one line.
    pub(super) step: Option<&'a str>,
}

/// A new text in pieces, so that no buffer ever moves and leaves a copy of a secret behind.
#[derive(Default)]
pub(super) struct Pieces(Vec<Zeroizing<String>>);

impl Pieces {
    pub(super) fn push(&mut self, text: &str) {
        self.0.push(Zeroizing::new(text.to_owned()));
    }

    pub(super) fn at(self, span: Span) -> Edit {
        let length = self.0.iter().map(|piece| piece.len()).sum();
        let mut edit = Edit::remove(span);
        edit.text = Zeroizing::new(String::with_capacity(length));
        for piece in &self.0 {
            edit.text.push_str(piece);
        }
        edit
    }

    pub(super) fn entry(
        &mut self,
        key: Option<&str>,
        content: &Content<'_>,
        style: &Style<'_>,
        indent: &str,
    ) -> Result<(), CannotPlace> {
        if let Some(key) = key {
            self.push(&quote(key, Escapes::Needed));
            self.push(style.colon);
        }
        self.content(content, style, indent, Span::at(0))
    }

    /// A value; its lines, if there are several, are indented by `indent`.
    pub(super) fn content(
        &mut self,
        content: &Content<'_>,
        style: &Style<'_>,
        indent: &str,
        place: Span,
    ) -> Result<(), CannotPlace> {
        let (open, close) = match content {
            Content::Scalar(value) => {
                let text = spell(value, Escapes::Needed)
                    .map_err(|error| CannotPlace::unwritable(place, error))?;
                self.0.push(Zeroizing::new(text));
                return Ok(());
            }
            Content::Map(_) => ("{", "}"),
            Content::List(_) => ("[", "]"),
        };
        let deeper = format!("{indent}{}", style.step.unwrap_or_default());
        let items = content.items().map(|item| (None, item));
        let entries = content
            .entries()
            .map(|entry| (Some(&*entry.key), &entry.content));
        let mut separator = "";
        self.push(open);
        for (key, inner) in items.chain(entries) {
            self.push(separator);
            if style.step.is_some() {
                self.push(style.line_break);
                self.push(&deeper);
            } else if !separator.is_empty() {
                self.push(style.blank);
            }
            self.entry(key, inner, style, &deeper)?;
            separator = ",";
        }
        if style.step.is_some() && !separator.is_empty() {
            self.push(style.line_break);
            self.push(indent);
        }
        self.push(close);
        Ok(())
    }
}
