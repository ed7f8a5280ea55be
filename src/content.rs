//! Plaintext content without a text: what is put into a document, and what is taken out of one to be written in another
//! format.
//!
//! Knows the shape of a document and nothing of any format. It holds secrets: they are wiped on drop, and `Debug` shows the shape and the kinds of values alone.
//!
//! It is a tree and is walked by recursion, so whoever builds it stops at [`MAX_DEPTH`].

use std::borrow::Cow;

use crate::secret::Plain;
use crate::value::Value;

/// The deepest nesting of lists and mappings that content has: far above what a file of people has, and far below what a
/// stack holds.
pub const MAX_DEPTH: usize = 256;

/// A value, a list or a mapping, with the comments in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'a> {
    /// A single value.
    Scalar(Value<'a>),
    /// A list: its items in order.
    List(Vec<Part<'a, Self>>),
    /// A mapping: its entries in order. Keys may repeat only where the format that is read allows it.
    Map(Vec<Part<'a, Entry<'a>>>),
}

/// A key with its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The decoded key.
    pub key: Cow<'a, str>,
    /// What it leads to.
    pub content: Content<'a>,
}

/// What a list or mapping consists of, in the order in which SOPS walks its tree (spec 3.2): a comment stands before what
/// it is about, an inline one too.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a, T> {
    /// A comment.
    Comment(Comment<'a>),
    /// An item or entry.
    Item(T),
}

/// A comment without its mark.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment<'a> {
    /// The text as spec 3.6 defines it: everything behind the `#`, blanks included. One line, but for INI, where several
    /// lines may be one comment.
    pub text: Plain<'a>,
    /// Whether it stands on the line of the part that follows, behind it.
    pub inline: bool,
}

impl<'a> Content<'a> {
    /// An empty mapping.
    #[must_use]
    pub fn empty_map() -> Self {
        Self::Map(Vec::new())
    }

    /// How many lists and mappings are inside each other at most: 0 for a value, 1 for a list of values.
    #[must_use]
    pub fn depth(&self) -> usize {
        let inside = self.entries().map(|entry| &entry.content);
        let deepest = self.items().chain(inside).map(Self::depth).max();
        match self {
            Self::Scalar(_) => 0,
            Self::List(_) | Self::Map(_) => 1 + deepest.unwrap_or(0),
        }
    }

    /// The items of a list, comments passed over; none if it is no list.
    pub fn items(&self) -> impl Iterator<Item = &Self> {
        let parts = match self {
            Self::List(parts) => parts.as_slice(),
            Self::Scalar(_) | Self::Map(_) => &[],
        };
        parts.iter().filter_map(Part::item)
    }

    /// The entries of a mapping, comments passed over; none if it is no mapping.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        let parts = match self {
            Self::Map(parts) => parts.as_slice(),
            Self::Scalar(_) | Self::List(_) => &[],
        };
        parts.iter().filter_map(Part::item)
    }
}

impl<T> Part<'_, T> {
    /// The item or entry; `None` for a comment.
    pub fn item(&self) -> Option<&T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Comment(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comment, Content, Entry, Part};
    use crate::secret::Plain;
    use crate::value::Value;

    #[test]
    fn debug_shows_the_shape_and_no_secret() {
        let comment = Comment {
            text: Plain::owned(" CANARY".to_owned()),
            inline: false,
        };
        let text = |text: &str| Content::Scalar(Value::Str(Plain::owned(text.to_owned())));
        let entry = Entry {
            key: "user".into(),
            content: Content::List(vec![Part::Item(text("CANARY"))]),
        };
        let content = Content::Map(vec![Part::Comment(comment), Part::Item(entry)]);
        let shown = format!("{content:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
        assert!(
            shown.contains("user") && shown.contains("Str(…)"),
            "{shown}"
        );
        assert_eq!(content.entries().count(), 1);
        let lists = content.entries().flat_map(|entry| entry.content.items());
        assert_eq!(lists.count(), 1);
    }
}
