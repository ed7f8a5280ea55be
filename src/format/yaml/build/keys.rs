//! The keys of the mappings that are open, to find duplicates in linear time.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::span::Span;

/// From this many keys on, a mapping gets a hash table.
const FEW: usize = 12;

/// The keys of one open mapping, as the literal text that go-yaml compares.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    few: Vec<(Cow<'a, str>, Span)>,
    many: HashMap<Cow<'a, str>, Span>,
}

impl<'a> Keys<'a> {
    /// Adds the key `text`, which stands at `span`. Returns where the same key stood before, if it did.
    pub(super) fn add(&mut self, text: Cow<'a, str>, span: Span) -> Option<Span> {
        if self.many.is_empty() && self.few.len() < FEW {
            let known = self.few.iter().find(|(known, _)| *known == text);
            let before = known.map(|&(_, before)| before);
            self.few.push((text, span));
            return before;
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(text, span)
    }

    /// Forgets all, but keeps the memory for the next mapping unless it is much.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;
    use crate::span::Span;

    #[test]
    fn duplicates_are_found_in_small_and_large_mappings() {
        let mut keys = Keys::default();
        for number in 0..40usize {
            assert_eq!(keys.add(number.to_string().into(), Span::at(number)), None);
        }
        assert_eq!(keys.add("3".into(), Span::at(99)), Some(Span::at(3)));
        keys.clear();
        assert_eq!(keys.add("3".into(), Span::at(1)), None);
        assert_eq!(keys.add("3".into(), Span::at(2)), Some(Span::at(1)));
    }
}
