//! Which leaves of a document are sealed (spec 3.4, 3.5).
//!
//! A [`Selection`] is the rule, compiled once; a [`Tracker`] follows a walk and answers for every leaf and comment.
//! Knows paths and comment texts; knows nothing of values, keys or ciphertext.

use regex::{Regex, RegexBuilder};

mod re2;
mod tracker;

pub use tracker::Tracker;

/// Compiled size of a pattern, in bytes, above which it is refused.
const SIZE_LIMIT: usize = 1 << 20;

/// What is said of a translated pattern that the `regex` crate refuses; no pattern is known to lead here.
const UNSUPPORTED: &str = "the pattern is not supported";

/// A regular expression of Go's dialect. Unanchored; matched against one key, comment or path at a time.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    /// `None`: invalid, and never matches.
    regex: Option<Regex>,
}

impl Pattern {
    /// A pattern for what we write, where a mistake must not pass.
    ///
    /// # Errors
    /// [`BadPattern`] if Go would not compile it, or if it is too large.
    pub fn strict(source: &str) -> Result<Self, BadPattern> {
        let translated = re2::translate(source)?;
        let regex = RegexBuilder::new(&translated)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| {
                let reason = match error {
                    regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled",
                    _ => UNSUPPORTED,
                };
                BadPattern {
                    pattern: source.to_owned(),
                    offset: 0,
                    reason: reason.to_owned(),
                }
            })?;
        Ok(Self {
            source: source.to_owned(),
            regex: Some(regex),
        })
    }

    /// A pattern found in a sealed file: an invalid one never matches, as in SOPS, and is reported (spec 3.4).
    #[must_use]
    pub fn lenient(source: &str) -> (Self, Option<BadPattern>) {
        match Self::strict(source) {
            Ok(pattern) => (pattern, None),
            Err(error) => (
                Self {
                    source: source.to_owned(),
                    regex: None,
                },
                Some(error),
            ),
        }
    }

    /// The text it was made from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it consists of; `None` if it is invalid.
    pub(crate) fn syntax(&self) -> Option<regex_syntax::hir::Hir> {
        self.regex
            .as_ref()
            .and_then(|regex| regex_syntax::parse(regex.as_str()).ok())
    }

    /// Whether it matches anywhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex
            .as_ref()
            .is_some_and(|regex| regex.is_match(text))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({})", self.source)
    }
}

/// A regular expression that Go would not compile, or that is beyond our limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression `{pattern}`: {reason} (at byte {offset})")]
pub struct BadPattern {
    /// The expression.
    pub pattern: String,
    /// Where the trouble is, in bytes from the start of the expression.
    pub offset: usize,
    /// What is wrong, as one lower-case clause.
    pub reason: String,
}

/// The six fields that can hold a rule (spec 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleKind {
    /// `encrypted_comment_regex`
    EncryptedCommentRegex,
    /// `encrypted_regex`
    EncryptedRegex,
    /// `encrypted_suffix`
    EncryptedSuffix,
    /// `unencrypted_comment_regex`
    UnencryptedCommentRegex,
    /// `unencrypted_regex`
    UnencryptedRegex,
    /// `unencrypted_suffix`
    UnencryptedSuffix,
}

impl RuleKind {
    /// All kinds, sorted by name.
    pub const ALL: [Self; 6] = [
        Self::EncryptedCommentRegex,
        Self::EncryptedRegex,
        Self::EncryptedSuffix,
        Self::UnencryptedCommentRegex,
        Self::UnencryptedRegex,
        Self::UnencryptedSuffix,
    ];

    /// The field's name in metadata and config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EncryptedCommentRegex => "encrypted_comment_regex",
            Self::EncryptedRegex => "encrypted_regex",
            Self::EncryptedSuffix => "encrypted_suffix",
            Self::UnencryptedCommentRegex => "unencrypted_comment_regex",
            Self::UnencryptedRegex => "unencrypted_regex",
            Self::UnencryptedSuffix => "unencrypted_suffix",
        }
    }
}

/// What decides whether a leaf is sealed. A suffix is never empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Everything is sealed: the one value of a binary file.
    All,
    /// Clear if a key of the path ends so.
    UnencryptedSuffix(String),
    /// Sealed only if a key of the path ends so.
    EncryptedSuffix(String),
    /// Clear if it matches a key of the path.
    UnencryptedRegex(Pattern),
    /// Sealed only if it matches a key of the path.
    EncryptedRegex(Pattern),
    /// Clear if it matches an active comment.
    UnencryptedCommentRegex(Pattern),
    /// Sealed only if it matches an active comment.
    EncryptedCommentRegex(Pattern),
}

impl Rule {
    /// The rule of a field with a text that is not empty. `compile` makes the pattern of the regex kinds.
    fn compile<E>(
        kind: RuleKind,
        text: &str,
        compile: impl FnOnce(&str) -> Result<Pattern, E>,
    ) -> Result<Self, E> {
        Ok(match kind {
            RuleKind::EncryptedCommentRegex => Self::EncryptedCommentRegex(compile(text)?),
            RuleKind::EncryptedRegex => Self::EncryptedRegex(compile(text)?),
            RuleKind::EncryptedSuffix => Self::EncryptedSuffix(text.to_owned()),
            RuleKind::UnencryptedCommentRegex => Self::UnencryptedCommentRegex(compile(text)?),
            RuleKind::UnencryptedRegex => Self::UnencryptedRegex(compile(text)?),
            RuleKind::UnencryptedSuffix => Self::UnencryptedSuffix(text.to_owned()),
        })
    }

    /// Whether it looks at keys and matches this one, which it does wherever the key stands in a path.
    #[must_use]
    pub fn matches_key(&self, key: &str) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) | Self::EncryptedSuffix(suffix) => {
                key.ends_with(suffix.as_str())
            }
            Self::UnencryptedRegex(pattern) | Self::EncryptedRegex(pattern) => {
                pattern.is_match(key)
            }
            Self::All | Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_) => false,
        }
    }

    /// The field and text that say this in metadata; `None` for [`Rule::All`], which has no field.
    #[must_use]
    pub fn field(&self) -> Option<(RuleKind, &str)> {
        Some(match self {
            Self::All => return None,
            Self::UnencryptedSuffix(suffix) => (RuleKind::UnencryptedSuffix, suffix),
            Self::EncryptedSuffix(suffix) => (RuleKind::EncryptedSuffix, suffix),
            Self::UnencryptedRegex(pattern) => (RuleKind::UnencryptedRegex, pattern.source()),
            Self::EncryptedRegex(pattern) => (RuleKind::EncryptedRegex, pattern.source()),
            Self::UnencryptedCommentRegex(pattern) => {
                (RuleKind::UnencryptedCommentRegex, pattern.source())
            }
            Self::EncryptedCommentRegex(pattern) => {
                (RuleKind::EncryptedCommentRegex, pattern.source())
            }
        })
    }
}

/// Which leaves are sealed, and whether the clear ones are part of the MAC.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    rule: Rule,
    mac_only_encrypted: bool,
}

impl Default for Selection {
    /// What holds if nobody says anything: all but what is under a key that ends in `_unencrypted`.
    fn default() -> Self {
        Self {
            rule: Rule::UnencryptedSuffix(Self::DEFAULT_SUFFIX.to_owned()),
            mac_only_encrypted: false,
        }
    }
}

impl Selection {
    /// The suffix of the default rule (spec 3.4).
    pub const DEFAULT_SUFFIX: &'static str = "_unencrypted";

    /// Every leaf: the selection of a binary file.
    #[must_use]
    pub fn all() -> Self {
        Self {
            rule: Rule::All,
            mac_only_encrypted: false,
        }
    }

    /// The selection of one field, for what we write. An empty text means that the field is not set: the default rule.
    ///
    /// # Errors
    /// [`BadPattern`] if the text is a regular expression that Go would not compile.
    pub fn strict(kind: RuleKind, text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rule = Rule::compile(kind, text, Pattern::strict)?;
        Ok(Self {
            rule,
            mac_only_encrypted: false,
        })
    }

    /// The selection of one field found in a sealed file. An invalid regular expression never matches, and is reported.
    #[must_use]
    pub fn lenient(kind: RuleKind, text: &str) -> (Self, Option<BadPattern>) {
        if text.is_empty() {
            return (Self::default(), None);
        }
        let mut warning = None;
        let rule = Rule::compile(kind, text, |text| {
            let (pattern, bad) = Pattern::lenient(text);
            warning = bad;
            Ok::<_, std::convert::Infallible>(pattern)
        });
        let Ok(rule) = rule;
        (
            Self {
                rule,
                mac_only_encrypted: false,
            },
            warning,
        )
    }

    /// The same selection with another answer to whether the MAC covers the sealed leaves only (spec 4.2).
    #[must_use]
    pub fn with_mac_only_encrypted(mut self, only: bool) -> Self {
        self.mac_only_encrypted = only;
        self
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether the MAC covers the sealed leaves only.
    #[must_use]
    pub fn mac_only_encrypted(&self) -> bool {
        self.mac_only_encrypted
    }

    /// The rule for a message: `encrypted_regex: ^(data|stringData)$`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.rule.field() {
            None => "everything is encrypted".to_owned(),
            Some((kind, text)) => format!("{}: {text}", kind.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Rule, RuleKind, Selection};

    #[test]
    fn says_its_rule_as_a_config_would() {
        let selection = Selection::strict(RuleKind::EncryptedRegex, "^(data|stringData)$").unwrap();
        assert_eq!(selection.describe(), "encrypted_regex: ^(data|stringData)$");
        assert_eq!(
            Selection::default().describe(),
            "unencrypted_suffix: _unencrypted"
        );
        assert_eq!(Selection::all().describe(), "everything is encrypted");
    }

    #[test]
    fn every_kind_keeps_its_field() {
        for kind in RuleKind::ALL {
            let (selection, warning) = Selection::lenient(kind, "x");
            assert_eq!(selection.rule().field(), Some((kind, "x")));
            assert_eq!(warning, None);
            assert_eq!(Selection::strict(kind, "x"), Ok(selection));
            assert_eq!(Selection::strict(kind, ""), Ok(Selection::default()));
        }
        assert!(RuleKind::ALL.is_sorted_by_key(|kind| kind.name()));
    }

    #[test]
    fn an_invalid_regex_never_matches_on_read_and_is_refused_on_write() {
        let (selection, warning) = Selection::lenient(RuleKind::EncryptedRegex, "a(b");
        let Rule::EncryptedRegex(pattern) = selection.rule() else {
            panic!("wrong rule")
        };
        assert!(!pattern.is_match("a(b"));
        assert_eq!(pattern.source(), "a(b");
        let warning = warning.unwrap();
        assert_eq!(warning.offset, 1);
        assert_eq!(
            Selection::strict(RuleKind::EncryptedRegex, "a(b"),
            Err(warning)
        );
        assert_eq!(
            Pattern::strict("a(b").unwrap_err().to_string(),
            "invalid regular expression `a(b`: missing closing `)` (at byte 1)"
        );
    }
}
