//! A half-open range of bytes in a text.
//!
//! Knows nothing of what the text means. Offsets are bytes, never characters; both ends stand on character boundaries
//! of the text the span was cut from, so that a span can always be sliced. Texts are limited to 4 GiB, which keeps the
//! node table small.

/// Half-open byte range `start..end` of a text. Invariant: `start <= end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range from byte `start` up to, not including, byte `end`. A reversed pair becomes empty at `start`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let start = clamp(start);
        Self {
            start,
            end: clamp(end).max(start),
        }
    }

    /// The empty range at byte `offset`.
    #[must_use]
    pub fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// First byte of the range.
    #[must_use]
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte of the range.
    #[must_use]
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end() - self.start()
    }

    /// Whether the range holds no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `other` lies inside this range.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The text under this range; empty if the range was not cut from `source`.
    #[must_use]
    pub fn of(self, source: &str) -> &str {
        source.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// Texts above 4 GiB are refused by every scanner, so nothing real is ever clamped.
fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// Where a byte stands for a person: line and column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line number, from 1. Lines end at LF.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of byte `offset` in `source`. An offset behind the end counts as the end.
    #[must_use]
    pub fn of(source: &str, offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Span};

    #[test]
    fn a_span_slices_its_text_and_nothing_else() {
        assert_eq!(Span::new(2, 5).of("abcdef"), "cde");
        assert_eq!(Span::new(2, 99).of("abc"), "");
        assert_eq!(Span::new(5, 2), Span::at(5));
        assert!(Span::new(1, 5).contains(Span::new(2, 5)));
    }

    #[test]
    fn positions_count_lines_and_characters() {
        assert_eq!(Position::of("a\né: x", 5), Position { line: 2, column: 3 });
        assert_eq!(Position::of("", 7), Position { line: 1, column: 1 });
    }
}
