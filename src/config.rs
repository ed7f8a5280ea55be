//! The config file: which files are sealed for whom, and by which rule (spec 8).
//!
//! Text in, rules out. Knows nothing of the disk: where the file is found, and which path is asked about, is told by the
//! caller. One schema for `.sops-rs.yaml` and `.sops.yaml`; the first is read strictly.

use crate::recipient::{BadRecipient, Recipient, RecipientKind};
use crate::selection::{BadPattern, Pattern, RuleKind, Selection};
use crate::span::Position;

mod field;
mod glob;
mod keys;
mod lines;
mod names;
mod people;
mod read;
mod yaml;

pub use glob::git_patterns;
pub use lines::rule_lines;
pub use people::{CannotEdit, Change};

/// What happens to keys nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// An error: for `.sops-rs.yaml`.
    Strict,
    /// A warning: for `.sops.yaml`, which other programs read too.
    Lenient,
}

/// A config that was read. Rules are checked when they are reached, so that one bad rule does not spoil the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    creation_rules: Option<Vec<CreationRule>>,
    destination_rules: Vec<DestinationRule>,
    stores: Stores,
    names: names::Names,
}

/// A rule as it stands in the config.
#[derive(Clone, Debug, PartialEq)]
struct CreationRule {
    path_regex: String,
    groups: Vec<keys::Group>,
    shamir_threshold: usize,
    /// The selection fields that are not empty.
    selection: Vec<(RuleKind, String)>,
    mac_only_encrypted: bool,
}

/// A rule for publishing as it stands in the config.
#[derive(Clone, Debug, PartialEq)]
struct DestinationRule {
    path_regex: String,
    destinations: Vec<Destination>,
    omit_extensions: bool,
    recreation_rule: Option<CreationRule>,
}

/// Where published files go (spec 8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A bucket of AWS S3.
    S3 {
        /// Its name.
        bucket: String,
        /// What the name of every object begins with; may be empty.
        prefix: String,
    },
    /// A bucket of Google Cloud Storage.
    Gcs {
        /// Its name.
        bucket: String,
        /// What the name of every object begins with; may be empty.
        prefix: String,
    },
    /// The key-value store of a HashiCorp Vault.
    Vault {
        /// Path in the store.
        path: String,
        /// Address of the server; empty for that of the environment.
        address: String,
        /// Mount of the store.
        mount: String,
        /// Version of the store: 1 or 2.
        version: u8,
    },
}

/// How whole files are laid out when they are printed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stores {
    /// Blanks a level of YAML is indented by.
    pub yaml_indent: usize,
    /// How JSON is indented.
    pub json_indent: JsonIndent,
    /// How the JSON envelope of a binary file is indented.
    pub json_binary_indent: JsonIndent,
}

/// The indentation of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonIndent {
    /// One tab a level.
    Tab,
    /// So many blanks a level.
    Blanks(usize),
}

impl Default for Stores {
    fn default() -> Self {
        Self {
            yaml_indent: 4,
            json_indent: JsonIndent::Tab,
            json_binary_indent: JsonIndent::Tab,
        }
    }
}

/// What a creation rule says about a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// Number of the rule, from 1.
    pub rule: usize,
    /// The recipients, group by group; duplicates are removed. A group may be empty, which cannot be sealed for.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed to open the file; 0 if the rule does not say.
    pub shamir_threshold: usize,
    /// What is sealed.
    pub selection: Selection,
}

/// What a destination rule says about a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Number of the rule, from 1.
    pub rule: usize,
    /// Where the file goes.
    pub destination: Destination,
    /// Whether the file's suffix is left out of its published name.
    pub omit_extensions: bool,
    /// For whom, and by which rule, it is sealed again; `None` to publish it as it is.
    pub recreation: Option<Matched>,
}

/// Something that is odd, but does not keep the config from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A key that nobody knows.
    UnknownKey {
        /// Its path.
        field: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A rule with `key_groups` has keys beside them, which do not count.
    HiddenKeys {
        /// Path of the rule.
        field: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownKey { field, suggestion } => {
                f.write_str(&unknown_key(field, suggestion.as_deref()))
            }
            Self::HiddenKeys { field } => {
                write!(
                    f,
                    "`{field}` has `key_groups`: the keys beside them do not count"
                )
            }
        }
    }
}

fn unknown_key(field: &str, suggestion: Option<&str>) -> String {
    match suggestion {
        Some(suggestion) => format!("unknown key `{field}`; did you mean `{suggestion}`?"),
        None => format!("unknown key `{field}`"),
    }
}

/// Why a config cannot be read, or does not answer. Rules are numbered from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// More than 1 MiB.
    #[error("the config is larger than 1 MiB")]
    TooLarge,
    /// Not YAML, a duplicate key, or aliases without end.
    #[error("{message}")]
    Syntax {
        /// Where, if that is known.
        position: Option<Position>,
        /// What is wrong, as the YAML reader says it.
        message: String,
    },
    /// A key that nobody knows, in a config that is read strictly.
    #[error("{}", unknown_key(.field, .suggestion.as_deref()))]
    UnknownKey {
        /// Its path.
        field: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A value of the wrong type.
    #[error("`{field}` must be {expected}")]
    Type {
        /// Its path.
        field: String,
        /// What it must be, with its article.
        expected: &'static str,
    },
    /// The config has no creation rules: as if there were no config.
    #[error("the config has no creation rules")]
    NoCreationRules,
    /// No rule matches the path.
    #[error("no creation rule matches `{path}`")]
    NoMatch {
        /// The path that was tested.
        path: String,
        /// What it was tested against, rule by rule.
        patterns: Vec<String>,
    },
    /// No destination rule matches the path.
    #[error("no destination rule matches `{path}`")]
    NoDestination {
        /// The path that was tested.
        path: String,
    },
    /// A rule that was reached has an invalid `path_regex`.
    #[error("rule {rule}: `path_regex`: {source}")]
    PathRegex {
        /// Number of the rule.
        rule: usize,
        /// What is wrong with it.
        source: BadPattern,
    },
    /// A rule that matched has an invalid selection.
    #[error("rule {rule}: `{}`: {source}", .field.name())]
    Selection {
        /// Number of the rule.
        rule: usize,
        /// The field.
        field: RuleKind,
        /// What is wrong with it.
        source: BadPattern,
    },
    /// A rule that matched has more than one selection field.
    #[error("rule {rule} has both `{}` and `{}`; only one is allowed", .fields.0.name(), .fields.1.name())]
    SeveralSelections {
        /// Number of the rule.
        rule: usize,
        /// Two of them.
        fields: (RuleKind, RuleKind),
    },
    /// A name that could be taken for a recipient, or for a list.
    #[error(
        "`{field}`: a name begins with a letter or digit, and has none but letters, digits, blanks and `._-+@`"
    )]
    Name {
        /// Path of the name.
        field: String,
    },
    /// A name stands among keys of one kind and means one of another.
    #[error("`{field}`: `{name}` is a key of type {}; put the name under `recipients`", .kind.name())]
    OtherKind {
        /// Path of the field.
        field: String,
        /// The name.
        name: String,
        /// What it means.
        kind: RecipientKind,
    },
    /// A rule that matched names something that is no recipient.
    #[error("`{field}`: {source}")]
    Recipient {
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        source: BadRecipient,
    },
    /// A destination rule that matched has no destination, or several.
    #[error(
        "destination rule {rule} has {found} destinations; it needs one of `s3_bucket`, `gcs_bucket` and `vault_path`"
    )]
    Destinations {
        /// Number of the rule.
        rule: usize,
        /// How many it has.
        found: usize,
    },
}

impl Config {
    /// Reads a config. Only the first YAML document counts.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not YAML of this schema; what is wrong inside a rule is an error when the rule is asked.
    pub fn parse(text: &str, strictness: Strictness) -> Result<(Self, Vec<Warning>), ConfigError> {
        read::read(text, &yaml::parse(text)?, strictness)
    }

    /// Whether there are creation rules at all. An empty list is there, and matches nothing; a missing or null one is
    /// as if there were no config (spec 8.3).
    #[must_use]
    pub fn has_creation_rules(&self) -> bool {
        self.creation_rules.is_some()
    }

    /// The `path_regex` of every creation rule, in order; empty for rules that match any path.
    pub fn path_rules(&self) -> impl Iterator<Item = &str> {
        let rules = self.creation_rules.iter().flatten();
        rules.map(|rule| rule.path_regex.as_str())
    }

    /// Every creation rule, in order: its `path_regex`, and what it would say about a file that it matches.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Result<Matched, ConfigError>)> {
        let rules = self.creation_rules.iter().flatten().zip(1..);
        rules.map(|(rule, number)| {
            let said = rule.compiled(number).and_then(|_| rule.matched(number));
            (rule.path_regex.as_str(), said)
        })
    }

    /// What a recipient is called: its name under `recipients`, else the comment or anchor beside it in the config.
    #[must_use]
    pub fn name_of(&self, recipient: &Recipient) -> Option<&str> {
        self.names.of(recipient)
    }

    /// Everybody whom a creation rule or the `recipients` map names, some perhaps more than once. A group of a rule that
    /// has something wrong in it is passed over.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        let rules = self.creation_rules.iter().flatten();
        let groups = rules.flat_map(|rule| rule.groups.iter().flatten());
        groups.flatten().chain(self.names.recipients())
    }

    /// Everybody who is called `name`, by [`Self::name_of`]; nobody if the name is not known.
    #[must_use]
    pub fn called(&self, name: &str) -> Vec<Recipient> {
        self.names.called(name)
    }

    /// The layout of printed files.
    #[must_use]
    pub fn stores(&self) -> Stores {
        self.stores
    }

    /// What the first matching creation rule says about `path`: relative to the folder of the config if the file is
    /// below it, else absolute; with `/` on every system.
    ///
    /// # Errors
    /// [`ConfigError`] if there is no such rule, or if a rule that was reached is wrong.
    pub fn rule_for(&self, path: &str) -> Result<Matched, ConfigError> {
        let rules = self
            .creation_rules
            .as_ref()
            .ok_or(ConfigError::NoCreationRules)?;
        for (rule, number) in rules.iter().zip(1..) {
            let pattern = rule.compiled(number)?;
            if pattern.is_none_or(|pattern| pattern.is_match(path)) {
                return rule.matched(number);
            }
        }
        let patterns = rules.iter().map(|rule| rule.path_regex.clone()).collect();
        Err(ConfigError::NoMatch {
            path: path.to_owned(),
            patterns,
        })
    }

    /// What the first matching destination rule says about `path`, as given by the user. An invalid regular expression
    /// matches nothing here (spec 8.4).
    ///
    /// # Errors
    /// [`ConfigError`] if there is no such rule, or if the rule is wrong.
    pub fn destination_for(&self, path: &str) -> Result<Publication, ConfigError> {
        let matches = |rule: &DestinationRule| {
            rule.path_regex.is_empty() || Pattern::lenient(&rule.path_regex).0.is_match(path)
        };
        let found = self
            .destination_rules
            .iter()
            .zip(1..)
            .find(|(rule, _)| matches(rule));
        let Some((rule, number)) = found else {
            return Err(ConfigError::NoDestination {
                path: path.to_owned(),
            });
        };
        let [destination] = rule.destinations.as_slice() else {
            let found = rule.destinations.len();
            return Err(ConfigError::Destinations {
                rule: number,
                found,
            });
        };
        let recreation = rule
            .recreation_rule
            .as_ref()
            .map(|rule| rule.matched(number));
        Ok(Publication {
            rule: number,
            destination: destination.clone(),
            omit_extensions: rule.omit_extensions,
            recreation: recreation.transpose()?,
        })
    }
}

impl CreationRule {
    /// What paths are tested against; `None` for a rule that matches any.
    fn compiled(&self, rule: usize) -> Result<Option<Pattern>, ConfigError> {
        if self.path_regex.is_empty() {
            return Ok(None);
        }
        let pattern = Pattern::strict(&self.path_regex);
        pattern
            .map(Some)
            .map_err(|source| ConfigError::PathRegex { rule, source })
    }

    fn matched(&self, rule: usize) -> Result<Matched, ConfigError> {
        let selection = match self.selection.as_slice() {
            [] => Selection::default(),
            [(field, text)] => {
                Selection::strict(*field, text).map_err(|source| ConfigError::Selection {
                    rule,
                    field: *field,
                    source,
                })?
            }
            [(one, _), (other, _), ..] => {
                return Err(ConfigError::SeveralSelections {
                    rule,
                    fields: (*one, *other),
                });
            }
        };
        Ok(Matched {
            rule,
            groups: self.groups.iter().cloned().collect::<Result<_, _>>()?,
            shamir_threshold: self.shamir_threshold,
            selection: selection.with_mac_only_encrypted(self.mac_only_encrypted),
        })
    }
}

#[cfg(test)]
mod tests;
