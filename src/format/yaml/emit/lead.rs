//! Which comments stand above an entry or item, and which beside it.

use super::{comments_in, is_empty};
use crate::content::{Comment, Content, Part};

/// An entry or item with its comments; behind the last one there may be comments alone.
pub(super) struct Lead<'p, T> {
    /// Comments on lines of their own before it.
    pub(super) above: Vec<&'p Comment<'p>>,
    /// The comment on its own line, which is one line.
    pub(super) beside: Option<&'p Comment<'p>>,
    pub(super) item: Option<&'p T>,
}

/// The entries or items of `parts`, each with the comments before it in the list of parts. `content` tells what an entry
/// leads to: the comments in brackets that hold nothing else go above the entry.
pub(super) fn leads<'p, T>(
    parts: &'p [Part<'p, T>],
    content: impl Fn(&'p T) -> &'p Content<'p>,
) -> impl Iterator<Item = Lead<'p, T>> {
    let mut parts = parts.iter();
    std::iter::from_fn(move || {
        let mut lead = Lead {
            above: Vec::new(),
            beside: None,
            item: None,
        };
        for part in parts.by_ref() {
            match part {
                Part::Comment(comment) => lead.add(comment),
                Part::Item(item) => {
                    lead.close(content(item));
                    lead.item = Some(item);
                    return Some(lead);
                }
            }
        }
        lead.above.extend(lead.beside.take());
        (!lead.above.is_empty()).then_some(lead)
    })
}

impl<'p, T> Lead<'p, T> {
    /// Only one comment has room beside an entry.
    fn add(&mut self, comment: &'p Comment<'p>) {
        let has_room = comment.inline && !comment.text.expose().contains('\n');
        if has_room && self.beside.is_none() {
            self.beside = Some(comment);
        } else {
            self.above.push(comment);
        }
    }

    fn close(&mut self, content: &'p Content<'p>) {
        if is_empty(content) {
            self.above.extend(comments_in(content));
        }
    }
}
