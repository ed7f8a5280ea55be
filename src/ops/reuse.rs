//! What a sealed file holds that can be kept: the tokens of unchanged leaves.
//!
//! Law 4: a leaf whose place, type and value are unchanged keeps the text of its token in every write path but rotate.
//! Knows nothing of documents. Plaintext is kept only as a digest.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sha2::{Digest as _, Sha256};

use crate::cipher::Token;
use crate::node::Form;
use crate::value::Type;

/// How the token of a comment ends.
const COMMENT: &str = ",type:comment]";

/// What a token stands for: a digest of the place, the type and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark([u8; 32]);

impl Mark {
    /// The mark of `plaintext`, in its canonical form (spec 1.5), of type `kind` at the place `additional_data` names.
    #[must_use]
    pub fn of(additional_data: &str, kind: Type, plaintext: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.word());
        hash.update(additional_data.len().to_le_bytes());
        hash.update(additional_data);
        hash.update(plaintext);
        Self(hash.finalize().into())
    }
}

/// A token that can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its text.
    pub token: String,
    /// How it was quoted, if the opened text may not show that.
    pub quotes: Option<Form>,
}

/// The tokens of one sealed file by what they stand for, in the order in which they stand there.
#[derive(Clone, Default)]
pub struct Reuse {
    /// No token for those that SOPS could not write again (another IV length): they are sealed anew.
    tokens: Vec<(Mark, Option<Kept>)>,
    /// Tokens of other files with the same data key, for leaves that this one does not have.
    others: Vec<(Mark, Option<Kept>)>,
    /// What a typed value stands for in a text that does not show its type.
    texts: HashMap<Mark, Mark>,
    /// How tokens were quoted at the places of these numbers: for new values there.
    places: Vec<(u64, Form)>,
}

impl Reuse {
    /// Remembers `token`, the next one of the file, which stands for `mark`. `quotes` are its own, if the opened text may not
    /// show them.
    pub fn remember(&mut self, mark: Mark, token: &Token<'_>, quotes: Option<Form>) {
        let kept = token.has_standard_iv().then(|| Kept {
            token: token.text().to_owned(),
            quotes,
        });
        self.tokens.push((mark, kept));
    }

    /// Remembers the quotes of the token at the place `additional_data` names. Of several there, as in a list, the first counts.
    pub fn quoted_at(&mut self, additional_data: &str, quotes: Form) {
        let place = number(additional_data);
        if self.places.last().is_none_or(|(last, _)| *last != place) {
            self.places.push((place, quotes));
        }
    }

    /// Remembers that the text of what stands for `mark` is read back as `text`, since the format shows no such types.
    pub fn read_as(&mut self, mark: Mark, text: Mark) {
        self.texts.insert(mark, text);
    }

    /// For a file that is sealed again from its text and not from typed values: the text alone says what is unchanged.
    #[must_use]
    pub fn by_text(mut self) -> Self {
        for (mark, _) in self.tokens.iter_mut().chain(&mut self.others) {
            if let Some(text) = self.texts.get(mark) {
                *mark = *text;
            }
        }
        self
    }

    /// Also knows the tokens of another file with the same data key; those of this one come first.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.others.extend(other.tokens);
        self.others.extend(other.others);
        self.texts.extend(other.texts);
        self.places.extend(other.places);
        self
    }

    /// Finds the tokens of the changed file, of which `marks` are all that is to be sealed, in order.
    ///
    /// Items of a list have the same mark if they are equal. What is unchanged before the first and behind the last change
    /// keeps its own token; between the two, equal items get theirs in order. So it is with equal comments.
    #[must_use]
    pub fn plan(self, mut marks: Vec<Mark>) -> Plan {
        let same = |((old, _), new): &(&(Mark, Option<Kept>), &Mark)| old == *new;
        let mut planned = self.tokens;
        let shorter = planned.len().min(marks.len());
        let mut before = planned.iter().zip(&marks).take_while(same).count();
        let ends = planned.iter().rev().zip(marks.iter().rev());
        let behind = ends.take_while(same).count();
        // Where both could have them, comments go with the value that they stand before.
        let is_comment = |(_, kept): &(Mark, Option<Kept>)| {
            kept.as_ref()
                .is_some_and(|kept| kept.token.ends_with(COMMENT))
        };
        while before + behind > shorter && planned.get(before - 1).is_some_and(is_comment) {
            before -= 1;
        }
        let behind = behind.min(shorter - before);
        let mut old = planned.split_off(before);
        let mut new = marks.split_off(before);
        let unchanged = old.split_off(old.len() - behind);
        new.truncate(new.len() - behind);
        let mut between: HashMap<Mark, VecDeque<Option<Kept>>> = HashMap::new();
        for (mark, token) in old {
            between.entry(mark).or_default().push_back(token);
        }
        planned.extend(new.into_iter().map(|mark| {
            let token = between.get_mut(&mark).and_then(VecDeque::pop_front);
            (mark, token.flatten())
        }));
        planned.extend(unchanged);
        let mut others: HashMap<Mark, VecDeque<Kept>> = HashMap::new();
        for (mark, token) in self.others {
            others.entry(mark).or_default().extend(token);
        }
        for (mark, token) in &mut planned {
            let other = || others.get_mut(mark).and_then(VecDeque::pop_front);
            *token = token.take().or_else(other);
        }
        Plan {
            planned: planned.into(),
            // The first of several at one place.
            places: self.places.into_iter().rev().collect(),
        }
    }
}

impl std::fmt::Debug for Reuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reuse({} leaves)", self.tokens.len())
    }
}

/// The tokens of a file that is sealed again, in the order in which they are asked for.
#[derive(Debug, Default)]
pub struct Plan {
    planned: VecDeque<(Mark, Option<Kept>)>,
    places: HashMap<u64, Form>,
}

impl Plan {
    /// The token that the next leaf keeps, if it had one. `mark` must be the next one of those that were planned.
    pub fn take(&mut self, mark: Mark) -> Option<Kept> {
        let (planned, token) = self.planned.pop_front()?;
        token.filter(|_| planned == mark)
    }

    /// How a token was quoted at the place `additional_data` names, if the opened text may not show that.
    #[must_use]
    pub fn quoted_at(&self, additional_data: &str) -> Option<Form> {
        self.places.get(&number(additional_data)).copied()
    }
}

/// A number for a place. Two places may have the same one: it decides about quotes alone.
fn number(additional_data: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    additional_data.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Mark, Plan, Reuse};
    use crate::cipher::{Cipher, Token};
    use crate::secret::DataKey;
    use crate::value::Type;

    const SHORT_IV: &str =
        "ENC[AES256_GCM,data:I/M=,iv:ICEiIyQlJicoKSor,tag:LXwIVWA0JVlEBSdWliJ+5w==,type:int]";

    fn mark(item: char) -> Mark {
        Mark::of("a:", Type::Str, item.to_string().as_bytes())
    }

    /// The list `before` was sealed and is now `after`: which token each item gets, by its position in `before`.
    fn kept(before: &str, after: &str) -> Vec<Option<u8>> {
        let cipher = Cipher::new(&DataKey::new(vec![1; 32])).unwrap();
        let mut reuse = Reuse::default();
        let mut tokens = Vec::new();
        for (number, item) in (0u8..).zip(before.chars()) {
            let kind = if item == 'c' {
                Type::Comment
            } else {
                Type::Str
            };
            let token = cipher.seal(b"x", kind, "a:", &[number; 32]);
            reuse.remember(mark(item), &Token::parse(&token).unwrap(), None);
            tokens.push(token);
        }
        let mut plan = reuse.plan(after.chars().map(mark).collect());
        let mut take = |item| plan.take(mark(item)).map(|kept| kept.token);
        let position = |token: String| {
            (0u8..)
                .zip(&tokens)
                .find(|(_, old)| **old == token)
                .map(|(number, _)| number)
        };
        after
            .chars()
            .map(|item| take(item).and_then(position))
            .collect()
    }

    #[test]
    fn the_same_place_type_and_value_have_the_same_mark() {
        let mark = |place, kind, text: &str| Mark::of(place, kind, text.as_bytes());
        assert_eq!(mark("a:", Type::Int, "42"), mark("a:", Type::Int, "42"));
        assert_ne!(mark("a:", Type::Int, "42"), mark("b:", Type::Int, "42"));
        assert_ne!(mark("a:", Type::Int, "42"), mark("a:", Type::Str, "42"));
        assert_ne!(mark("a:", Type::Int, "42"), mark("a:", Type::Int, "43"));
        assert_ne!(mark("a:", Type::Str, "b"), mark("a:b", Type::Str, ""));
    }

    #[test]
    fn what_is_unchanged_keeps_its_token_among_equals() {
        assert_eq!(kept("aaa", "aaa"), [Some(0), Some(1), Some(2)]);
        assert_eq!(kept("aaa", "xaa"), [None, Some(1), Some(2)]);
        assert_eq!(kept("aaa", "axa"), [Some(0), None, Some(2)]);
        assert_eq!(kept("abc", "xabc"), [None, Some(0), Some(1), Some(2)]);
        assert_eq!(kept("aab", "ab"), [Some(0), Some(2)]);
        assert_eq!(kept("abc", "cba"), [Some(2), Some(1), Some(0)]);
        assert_eq!(kept("ab", "aab").iter().flatten().count(), 2);
        assert_eq!(kept("", "a"), [None]);
        assert!(kept("a", "").is_empty());
    }

    /// Comments are `c`; their tokens say so.
    #[test]
    fn a_comment_keeps_its_token_with_its_value() {
        assert_eq!(kept("cqcm", "cm"), [Some(2), Some(3)]);
        assert_eq!(kept("cqcm", "cq"), [Some(0), Some(1)]);
        assert_eq!(kept("cqcmcn", "cqcn"), [Some(0), Some(1), Some(4), Some(5)]);
        assert_eq!(
            kept("cqcm", "cxcqcm"),
            [None, None, Some(0), Some(1), Some(2), Some(3)]
        );
        assert_eq!(kept("ccq", "cq"), [Some(1), Some(2)]);
        assert_eq!(kept("c", "cc").iter().flatten().count(), 1);
        assert_eq!(kept("cc", "").len(), 0);
    }

    #[test]
    fn a_typed_token_is_kept_for_its_type_or_for_its_text() {
        let cipher = Cipher::new(&DataKey::new(vec![1; 32])).unwrap();
        let token = cipher.seal(b"True", Type::Bool, "a:", &[1; 32]);
        let typed = Mark::of("a:", Type::Bool, b"True");
        let text = Mark::of("a:", Type::Str, b"true");
        let mut reuse = Reuse::default();
        reuse.remember(typed, &Token::parse(&token).unwrap(), None);
        reuse.read_as(typed, text);
        let take = |reuse: Reuse, mark| {
            let kept = reuse.plan(vec![mark]).take(mark);
            kept.map(|kept| kept.token)
        };
        assert_eq!(take(reuse.clone(), typed), Some(token.clone()));
        assert_eq!(take(reuse.clone(), text), None);
        assert_eq!(take(reuse.clone().by_text(), text), Some(token.clone()));
        assert_eq!(
            take(Reuse::default().or(reuse).by_text(), text),
            Some(token)
        );
    }

    #[test]
    fn a_token_that_sops_cannot_write_is_sealed_anew() {
        let mut reuse = Reuse::default();
        reuse.remember(mark('a'), &Token::parse(SHORT_IV).unwrap(), None);
        assert_eq!(reuse.plan(vec![mark('a')]).take(mark('a')), None);
    }

    #[test]
    fn a_leaf_that_was_not_planned_gets_nothing() {
        let mut plan = Plan::default();
        assert_eq!(plan.take(mark('a')), None);
        let token =
            Cipher::new(&DataKey::new(vec![1; 32]))
                .unwrap()
                .seal(b"x", Type::Str, "a:", &[1; 32]);
        let mut reuse = Reuse::default();
        reuse.remember(mark('a'), &Token::parse(&token).unwrap(), None);
        let mut plan = reuse.plan(vec![mark('a')]);
        assert_eq!(plan.take(mark('b')), None);
    }
}
