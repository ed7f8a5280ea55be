//! Replacing spans of a text: the one way by which this program produces output from a file.
//!
//! Knows nothing of formats or secrets. Bytes outside the edited spans are copied, always.

use zeroize::Zeroizing;

use crate::span::Span;

/// Replace the bytes under `span` by `text`. An empty span inserts.
#[derive(Clone)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// What stands there afterwards. May be plaintext, so it is wiped on drop.
    pub text: Zeroizing<String>,
}

impl Edit {
    /// Replace `span` by `text`.
    #[must_use]
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Self {
            span,
            text: Zeroizing::new(text.into()),
        }
    }

    /// Remove `span`.
    #[must_use]
    pub fn remove(span: Span) -> Self {
        Self::new(span, "")
    }
}

impl std::fmt::Debug for Edit {
    /// The place, and nothing of the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Edit({:?})", self.span)
    }
}

/// The edits do not fit the text or each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    /// Two edits claim the same byte.
    #[error("two edits overlap at byte {}", .0.start())]
    Overlap(Span),
    /// An edit reaches beyond the text or cuts a character in two.
    #[error("an edit at byte {} does not fit the text", .0.start())]
    OutOfText(Span),
}

/// Applies `edits` to `source`. They may come in any order; insertions at one place are applied in the order given, and
/// before a replacement that starts there.
///
/// # Errors
/// [`BadEdit`] if two edits overlap, or one does not lie on character boundaries inside `source`.
pub fn splice(source: &str, edits: &[Edit]) -> Result<Zeroizing<String>, BadEdit> {
    let order = in_order(source, edits)?;
    let added: usize = order.iter().map(|edit| edit.text.len()).sum();
    let removed: usize = order.iter().map(|edit| edit.span.len()).sum();
    // Exact, so that the buffer never moves and leaves an unwiped copy behind.
    let mut result = Zeroizing::new(String::with_capacity(
        (source.len() + added).saturating_sub(removed),
    ));
    let mut done = 0;
    for edit in order {
        result.push_str(source.get(done..edit.span.start()).unwrap_or_default());
        result.push_str(&edit.text);
        done = edit.span.end();
    }
    result.push_str(source.get(done..).unwrap_or_default());
    Ok(result)
}

/// Whether [`splice`] would take these edits.
///
/// # Errors
/// [`BadEdit`] as [`splice`] would give it.
pub fn check(source: &str, edits: &[Edit]) -> Result<(), BadEdit> {
    in_order(source, edits).map(drop)
}

/// The edits by their place; each fits the text and comes behind the one before.
fn in_order<'e>(source: &str, edits: &'e [Edit]) -> Result<Vec<&'e Edit>, BadEdit> {
    let mut order: Vec<&Edit> = edits.iter().collect();
    order.sort_by_key(|edit| (edit.span.start(), edit.span.end()));
    let mut done = 0;
    for edit in &order {
        let (start, end) = (edit.span.start(), edit.span.end());
        if start < done {
            return Err(BadEdit::Overlap(edit.span));
        }
        if !source.is_char_boundary(start) || !source.is_char_boundary(end) {
            return Err(BadEdit::OutOfText(edit.span));
        }
        done = end;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::{BadEdit, Edit, splice};
    use crate::span::Span;

    #[test]
    fn no_edit_is_the_identity() {
        assert_eq!(*splice("a: é\r\n", &[]).unwrap(), "a: é\r\n");
    }

    #[test]
    fn bytes_outside_the_edits_are_kept() {
        let edits = [
            Edit::new(Span::new(4, 5), "long"),
            Edit::remove(Span::new(0, 1)),
            Edit::new(Span::at(4), "+"),
        ];
        assert_eq!(*splice("abcdef", &edits).unwrap(), "bcd+longf");
    }

    #[test]
    fn overlaps_and_split_characters_are_refused() {
        let overlap = [Edit::remove(Span::new(0, 3)), Edit::remove(Span::new(2, 4))];
        assert_eq!(
            splice("abcdef", &overlap).unwrap_err(),
            BadEdit::Overlap(Span::new(2, 4))
        );
        let split = [Edit::remove(Span::new(0, 1))];
        assert_eq!(
            splice("é", &split).unwrap_err(),
            BadEdit::OutOfText(Span::new(0, 1))
        );
        let beyond = [Edit::remove(Span::new(1, 9))];
        assert_eq!(
            splice("a", &beyond).unwrap_err(),
            BadEdit::OutOfText(Span::new(1, 9))
        );
    }
}
