//! The `sops` block of a file: who can open it, when it was sealed, and by which rule (spec 5).
//!
//! Turns a [`Tree`] into typed records with the leniency of SOPS, and back into exactly the tree SOPS writes. Knows
//! nothing of text: formats make and print the tree. What it does not understand it keeps.

use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::selection::{BadPattern, RuleKind, Selection};
use crate::tree::Tree;

pub mod flat;
mod found;
mod nested;
mod weak;

/// The version that is written into new files: that of the SOPS this program follows.
pub const SOPS_VERSION: &str = "3.13.2";

/// The metadata of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// The key groups: each holds one share of the data key, or the whole of it if there is only one group (spec 6).
    /// There is at least one key in all of them together.
    pub groups: Vec<Vec<WrappedKey>>,
    /// How many groups are needed; 0 if the file does not say.
    pub shamir_threshold: usize,
    /// When the file was sealed last: RFC 3339, as it stands in the file.
    pub lastmodified: String,
    /// The token of the MAC; may be empty.
    pub mac: String,
    /// The version of the program that made the file.
    pub version: String,
    /// The rule as the file has it; `None` if it has none. The text is not empty.
    pub rule: Option<(RuleKind, String)>,
    /// Whether the MAC covers the sealed leaves only (spec 4.2).
    pub mac_only_encrypted: bool,
    /// Top-level entries that this version does not know, as they stand.
    pub unknown: Vec<(String, Tree)>,
}

/// What is wrong with the metadata, and in which field of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MetadataError {
    /// The field as a path, such as `age[0].recipient`; empty for the whole.
    pub field: String,
    /// What is wrong.
    pub problem: MetadataProblem,
}

impl std::fmt::Display for MetadataError {
    /// Continues a sentence that names the metadata.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            write!(f, "it {}", self.problem)
        } else {
            write!(f, "`{}` {}", self.field, self.problem)
        }
    }
}

/// The ways in which metadata can be wrong. The texts continue a sentence that begins with the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataProblem {
    /// A value of another type, which cannot be converted.
    #[error("is {found}, not {expected}")]
    Type {
        /// What there should be, with its article.
        expected: &'static str,
        /// What there is, with its article.
        found: &'static str,
    },
    /// A YAML timestamp without quotes, which SOPS refuses (spec 5.2).
    #[error("is a timestamp without quotes")]
    UnquotedTimestamp,
    /// Missing or not RFC 3339.
    #[error("is not an RFC 3339 time")]
    NotATime,
    /// Missing, or empty.
    #[error("is missing")]
    Missing,
    /// Not a semantic version.
    #[error("is not a version like 3.13.2")]
    NotAVersion,
    /// Not `region:uuid`.
    #[error("is not of the form region:uuid")]
    NotAHckmsKey,
    /// Nobody can open the file.
    #[error("names no recipients")]
    NoRecipients,
    /// Flat names that do not fit together (dotenv, INI).
    #[error("cannot be put together: {0}")]
    Names(#[from] flat::FlatError),
    /// More than one of the six selection fields.
    #[error("has both `{}` and `{}`; only one is allowed", .0.name(), .1.name())]
    SeveralRules(RuleKind, RuleKind),
}

impl Metadata {
    /// Reads the `sops` mapping with the leniency of SOPS (spec 5.2).
    ///
    /// A list under an unknown name whose items all have `enc` is taken for recipients of an unknown kind, if the file
    /// has no `key_groups` in use.
    ///
    /// # Errors
    /// [`MetadataError`] for the first field SOPS would refuse.
    pub fn read(tree: &Tree) -> Result<Self, MetadataError> {
        nested::read(tree)
    }

    /// The tree that SOPS would write: keys sorted at every level, empty fields left out where SOPS leaves them out
    /// (spec 5.1).
    #[must_use]
    pub fn tree(&self) -> Tree {
        nested::tree(self)
    }

    /// The selection for reading the file; an invalid regular expression never matches, and is reported.
    #[must_use]
    pub fn selection(&self) -> (Selection, Option<BadPattern>) {
        let (selection, bad) = match &self.rule {
            None => (Selection::default(), None),
            Some((kind, text)) => Selection::lenient(*kind, text),
        };
        (
            selection.with_mac_only_encrypted(self.mac_only_encrypted),
            bad,
        )
    }

    /// The selection for sealing values of the file.
    ///
    /// # Errors
    /// [`BadPattern`] if its regular expression is invalid: SOPS would leave in clear what it should seal.
    pub fn strict_selection(&self) -> Result<Selection, BadPattern> {
        let selection = match &self.rule {
            None => Selection::default(),
            Some((kind, text)) => Selection::strict(*kind, text)?,
        };
        Ok(selection.with_mac_only_encrypted(self.mac_only_encrypted))
    }

    /// All keys of all groups.
    pub fn keys(&self) -> impl Iterator<Item = &WrappedKey> {
        self.groups.iter().flatten()
    }
}

/// The metadata list a recipient stands in.
fn list_name(recipient: &Recipient) -> &str {
    match recipient {
        Recipient::Unknown { list, .. } => list,
        known => known.kind().name(),
    }
}

/// Whether `name` is a field of the metadata that SOPS knows, in whatever case.
fn is_known(name: &str) -> bool {
    const SCALARS: [&str; 6] = [
        "key_groups",
        "lastmodified",
        "mac",
        "mac_only_encrypted",
        "shamir_threshold",
        "version",
    ];
    let lists = RecipientKind::LOAD_ORDER.map(RecipientKind::name);
    let rules = RuleKind::ALL.map(RuleKind::name);
    lists
        .into_iter()
        .chain(rules)
        .chain(SCALARS)
        .any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
