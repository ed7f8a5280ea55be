//! Follows a walk over a document and tells which leaves and comments the selection picks.
//!
//! Every key and every comment is tested once, where it is met; what was found is kept on a stack beside the open
//! containers. The cost is constant for each step.

use crate::document::{Document, Path, Step};
use crate::node::{NodeId, ScanError};
use crate::secret::Plain;
use crate::value::Value;

use super::{Rule, Selection};

/// The state of one walk.
#[derive(Debug)]
pub struct Tracker<'s> {
    rule: &'s Rule,
    open: Vec<Container>,
}

/// What is known inside an open container.
#[derive(Clone, Copy, Debug, Default)]
struct Container {
    /// Whether the rule holds for everything in it: because of a key, or of a comment before it.
    below: bool,
    /// Whether the rule matches one of its comments that count for its next entry (spec 3.5).
    next: bool,
}

impl<'s> Tracker<'s> {
    /// A tracker at the start of a walk.
    #[must_use]
    pub fn new(selection: &'s Selection) -> Self {
        Self {
            rule: selection.rule(),
            open: Vec::new(),
        }
    }

    /// Takes the next step of [`Document::walk`]: whether the leaf or comment is selected for sealing, `None` for a
    /// container. Must be called for every step, in order. Comments are tested as they stand in the text of `document`.
    ///
    /// # Errors
    /// [`ScanError`] if the text of a comment cannot be decoded.
    pub fn step(
        &mut self,
        step: &Step<'_>,
        document: &Document<'_>,
    ) -> Result<Option<bool>, ScanError> {
        self.follow(step, |id| {
            let value = document
                .node(id)
                .map(|node| document.value(node))
                .transpose()?;
            Ok(match value {
                Some(Value::Str(text)) => text,
                _ => Plain::Borrowed(""),
            })
        })
    }

    fn follow<'t, E>(
        &mut self,
        step: &Step<'_>,
        comment_text: impl FnOnce(NodeId) -> Result<Plain<'t>, E>,
    ) -> Result<Option<bool>, E> {
        let around = self.open.last().copied().unwrap_or_default();
        let holds = around.below || around.next;
        match *step {
            Step::Enter { path, keyed, .. } => {
                let below = holds || self.key_matches(path, keyed);
                self.open.push(Container { below, next: false });
                Ok(None)
            }
            Step::Leave { .. } => {
                self.open.pop();
                self.end_entry();
                Ok(None)
            }
            Step::Leaf { path, keyed, .. } => {
                let holds = holds || self.key_matches(path, keyed);
                self.end_entry();
                Ok(Some(self.selects(holds)))
            }
            Step::Comment { id, .. } => {
                let Some(pattern) = self.comment_pattern() else {
                    return Ok(Some(self.selects(around.below)));
                };
                let matches = pattern.is_match(comment_text(id)?.expose());
                if let Some(container) = self.open.last_mut() {
                    container.next |= matches;
                }
                // A comment that asks for sealing does not seal itself; one that asks for clearness is clear.
                let itself = matches && matches!(self.rule, Rule::UnencryptedCommentRegex(_));
                Ok(Some(self.selects(holds || itself)))
            }
        }
    }

    /// The comments before an entry stop counting when it ends.
    fn end_entry(&mut self) {
        if let Some(container) = self.open.last_mut() {
            container.next = false;
        }
    }

    /// Whether the rule looks at keys and matches the last one, if that is new in `path`.
    fn key_matches(&self, path: &Path, keyed: bool) -> bool {
        path.last()
            .is_some_and(|key| keyed && self.rule.matches_key(key))
    }

    fn comment_pattern(&self) -> Option<&'s super::Pattern> {
        match self.rule {
            Rule::UnencryptedCommentRegex(pattern) | Rule::EncryptedCommentRegex(pattern) => {
                Some(pattern)
            }
            Rule::All
            | Rule::UnencryptedSuffix(_)
            | Rule::EncryptedSuffix(_)
            | Rule::UnencryptedRegex(_)
            | Rule::EncryptedRegex(_) => None,
        }
    }

    /// What it means for sealing that the rule holds, or not.
    fn selects(&self, holds: bool) -> bool {
        match self.rule {
            Rule::All => true,
            Rule::EncryptedSuffix(_) | Rule::EncryptedRegex(_) | Rule::EncryptedCommentRegex(_) => {
                holds
            }
            Rule::UnencryptedSuffix(_)
            | Rule::UnencryptedRegex(_)
            | Rule::UnencryptedCommentRegex(_) => !holds,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::Tracker;
    use crate::document::{Path, Step};
    use crate::secret::Plain;
    use crate::selection::{RuleKind, Selection};

    /// Walks a document written as words and lists what is sealed: `name{` and `name[` open a mapping or list, `{` and
    /// `[` do so without a key, `}` closes, `#text` is a comment, `=` is a list item, any other word a key with a value.
    fn sealed<'d>(selection: &Selection, document: &'d str) -> Vec<&'d str> {
        let mut tracker = Tracker::new(selection);
        let mut path = Path::default();
        let mut keyed_stack = Vec::new();
        let mut found = Vec::new();
        for word in document.split(' ') {
            let mut step = |step: &Step<'_>| {
                let text = |_| Ok::<_, Infallible>(Plain::Borrowed(word.trim_start_matches('#')));
                let Ok(selected) = tracker.follow(step, text);
                selected
            };
            let selected = if word.starts_with('#') {
                step(&Step::Comment {
                    id: 0,
                    path: &path,
                    alias: None,
                })
            } else if word == "=" {
                step(&Step::Leaf {
                    id: 0,
                    path: &path,
                    keyed: false,
                    alias: None,
                })
            } else if word == "}" {
                assert_eq!(step(&Step::Leave { id: 0 }), None);
                if keyed_stack.pop().unwrap() {
                    path.pop();
                }
                None
            } else if let Some(key) = word.strip_suffix(['{', '[']) {
                let keyed = !key.is_empty();
                if keyed {
                    path.push(key);
                }
                keyed_stack.push(keyed);
                step(&Step::Enter {
                    id: 0,
                    path: &path,
                    keyed,
                })
            } else {
                path.push(word);
                let selected = step(&Step::Leaf {
                    id: 0,
                    path: &path,
                    keyed: true,
                    alias: None,
                });
                path.pop();
                selected
            };
            if selected == Some(true) {
                found.push(word);
            }
        }
        assert!(keyed_stack.is_empty(), "{document}");
        found
    }

    fn rule(kind: RuleKind, text: &str) -> Selection {
        Selection::strict(kind, text).unwrap()
    }

    #[test]
    fn the_default_rule_clears_the_suffix_and_all_below_it() {
        let selection = Selection::default();
        assert_eq!(
            sealed(&selection, "{ #c a b_unencrypted c }"),
            ["#c", "a", "c"]
        );
        assert_eq!(
            sealed(&selection, "{ m_unencrypted{ #c a n{ b } } z }"),
            ["z"]
        );
        assert_eq!(
            sealed(&selection, "{ l_unencrypted[ = { a } } l[ = } }"),
            ["="]
        );
        assert_eq!(
            sealed(&selection, "{ _unencrypted_ A_UNENCRYPTED }").len(),
            2
        );
    }

    #[test]
    fn encrypted_rules_seal_the_match_and_all_below_it() {
        let selection = rule(RuleKind::EncryptedRegex, "^data$");
        assert_eq!(
            sealed(&selection, "{ #top a data{ #c b m{ d } } e }"),
            ["#c", "b", "d"]
        );
        assert_eq!(sealed(&selection, "{ l[ { data } } }"), ["data"]);
        assert_eq!(sealed(&selection, "{ data[ #c = } #d }"), ["#c", "="]);
        let selection = rule(RuleKind::EncryptedSuffix, "word");
        assert_eq!(
            sealed(&selection, "{ #top password wordy m{ #c x } }"),
            ["password"]
        );
    }

    #[test]
    fn a_regex_is_matched_against_one_key_at_a_time() {
        let selection = rule(RuleKind::UnencryptedRegex, "^a:?b?$");
        assert_eq!(sealed(&selection, "{ x{ ab b } a{ b } c }"), ["b", "c"]);
        assert_eq!(
            sealed(&rule(RuleKind::EncryptedRegex, "a.*b"), "{ a{ b } }"),
            [""; 0]
        );
    }

    #[test]
    fn a_comment_counts_for_the_next_entry_and_all_below_it() {
        let selection = rule(RuleKind::EncryptedCommentRegex, "seal");
        assert_eq!(sealed(&selection, "{ a #seal b c }"), ["b"]);
        assert_eq!(
            sealed(&selection, "{ #seal m{ #x b n{ c } } d }"),
            ["#x", "b", "c"]
        );
        assert_eq!(sealed(&selection, "{ l[ #seal = = } d }"), ["="]);
        assert_eq!(sealed(&selection, "{ l[ #seal } d }"), [""; 0]);
        assert_eq!(sealed(&selection, "{ #seal } { a }"), [""; 0]);
    }

    #[test]
    fn the_comment_that_asks_for_sealing_stays_clear_and_the_next_does_not() {
        let selection = rule(RuleKind::EncryptedCommentRegex, "seal");
        assert_eq!(
            sealed(&selection, "{ #seal #second a #third b }"),
            ["#second", "a"]
        );
        assert_eq!(sealed(&selection, "{ #seal #seal a }"), ["#seal", "a"]);
        assert_eq!(sealed(&selection, "{ #first #seal a }"), ["a"]);
        assert_eq!(sealed(&selection, "{ #seal m{ #seal a } }"), ["#seal", "a"]);
    }

    #[test]
    fn the_comment_that_asks_for_clearness_is_clear_itself() {
        let selection = rule(RuleKind::UnencryptedCommentRegex, "clear");
        assert_eq!(
            sealed(&selection, "{ #x #clear #y a #z b }"),
            ["#x", "#z", "b"]
        );
        assert_eq!(sealed(&selection, "{ #clear m{ a #x } b }"), ["b"]);
    }

    #[test]
    fn an_empty_container_uses_up_the_comment_before_it() {
        let selection = rule(RuleKind::EncryptedCommentRegex, "seal");
        assert_eq!(sealed(&selection, "{ #seal m{ } a }"), [""; 0]);
    }

    #[test]
    fn everything_is_sealed_in_a_binary_file() {
        assert_eq!(sealed(&Selection::all(), "{ data x_unencrypted }").len(), 2);
    }
}
