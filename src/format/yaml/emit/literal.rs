//! Text of several lines as a literal block.

use crate::format::yaml::quote::{block_lines, can_be_block, needs_indicator};
use crate::secret::PlainWriter;

/// A text that can be a literal block.
pub(super) struct Literal<'t> {
    text: &'t str,
    /// The text without the line breaks at its end.
    content: &'t str,
}

impl<'t> Literal<'t> {
    /// `None` for text on one line, and for text that would not survive: control characters, and blanks at the end of a
    /// line, which editors remove.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let content = text.trim_end_matches('\n');
        let survives = |line: &str| !line.ends_with([' ', '\t']);
        let possible = text.contains('\n')
            && !content.is_empty()
            && can_be_block(text)
            && content.split('\n').all(survives);
        possible.then_some(Self { text, content })
    }

    /// The `|` and what belongs to it; the lines stand `step` columns behind their parent.
    pub(super) fn header(&self, step: usize) -> String {
        let indicator = if needs_indicator(self.text) {
            step.to_string()
        } else {
            String::new()
        };
        let chomp = match self.breaks() {
            0 => "-",
            1 => "",
            _ => "+",
        };
        format!("|{indicator}{chomp}")
    }

    /// The lines in `column`, each ended.
    pub(super) fn lines(&self, column: usize, newline: &str, text: &mut PlainWriter) {
        block_lines(self.content, column, newline, self.breaks().max(1), text);
    }

    /// How many line breaks the text ends with.
    fn breaks(&self) -> usize {
        self.text.len() - self.content.len()
    }
}
