//! Adding people to a config and taking them out again, without touching the rest of its text.
//!
//! What is written is read again and compared with what was meant: a layout that cannot be edited with confidence is left
//! to the user. Knows no file but the config; who has to be wrapped a new key is the business of others.

use std::collections::HashSet;

use crate::edit::splice;
use crate::recipient::{Recipient, RecipientKind};

use super::{Config, ConfigError, Strictness, names};

mod add;
mod remove;
mod text;

/// Why a config was not changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CannotEdit {
    /// It cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no rule of this number.
    #[error("there is no creation rule {rule}")]
    NoRule {
        /// The number, from 1.
        rule: usize,
    },
    /// A rule has several key groups, and no group was named.
    #[error("rule {rule} has {groups} key groups; say in which")]
    SeveralGroups {
        /// Number of the rule, from 1.
        rule: usize,
        /// How many it has.
        groups: usize,
    },
    /// A rule has no key group of this number.
    #[error("rule {rule} has no key group {group}")]
    NoGroup {
        /// Number of the rule, from 1.
        rule: usize,
        /// Number of the group, from 1.
        group: usize,
    },
    /// A rule would be left without anybody.
    #[error("rule {rule} would have nobody left who can open its files")]
    NobodyLeft {
        /// Number of the rule, from 1.
        rule: usize,
    },
    /// The name could be taken for something else.
    #[error(
        "a name begins with a letter or digit, has nothing but those, blanks and `._-+@`, at most 60 of them, and is no recipient"
    )]
    Name,
    /// It is written in a way that is not edited here.
    #[error("the config is written in a way that has to be changed by hand")]
    ByHand,
}

/// A config and what is to be done to it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The text of the config.
    pub text: &'a str,
    /// How it is read.
    pub strictness: Strictness,
}

impl Change<'_> {
    /// The config with `recipients` under `name` and in each of `rules` (from 1), there in the key group `group` (from 1),
    /// which may be left out for rules with one. In `.sops-rs.yaml` the name goes into the `recipients` map and into the
    /// rules; a `.sops.yaml`, which SOPS reads as well, gets the recipients themselves, with the name as a comment.
    ///
    /// # Errors
    /// [`CannotEdit`]; nothing is changed by half.
    pub fn add(
        self,
        name: &str,
        recipients: &[Recipient],
        rules: &[usize],
        group: Option<usize>,
    ) -> Result<String, CannotEdit> {
        let (config, _) = Config::parse(self.text, self.strictness)?;
        if !names::is_name(name) || name.chars().count() > names::MAX_LABEL {
            return Err(CannotEdit::Name);
        }
        let recipients = &distinct(recipients);
        let mut meant = config.clone();
        for &rule in rules {
            let number = config.group_of(rule, group)?;
            let mut all = meant.creation_rules.iter_mut().flatten();
            let found = all.nth(rule - 1).ok_or(CannotEdit::NoRule { rule })?;
            let group = found.groups.get_mut(number).ok_or(CannotEdit::ByHand)?;
            let group = group.as_mut().map_err(|error| error.clone())?;
            extend(group, recipients);
        }
        if self.strictness == Strictness::Strict {
            let mut all = meant.names.get(name).unwrap_or_default().to_vec();
            extend(&mut all, recipients);
            meant.names.set(name, all);
        }
        let edits = add::edits(self, &config, name, recipients, rules, group)?;
        let text = splice(self.text, &edits).map_err(|_| CannotEdit::ByHand)?;
        self.checked(text.as_str().to_owned(), meant)
    }

    /// The config without `gone`: out of all rules, lists of anchors, and the `recipients` map.
    ///
    /// # Errors
    /// [`CannotEdit`]; nothing is changed by half.
    pub fn remove(self, gone: &[Recipient]) -> Result<String, CannotEdit> {
        let (config, _) = Config::parse(self.text, self.strictness)?;
        let mut meant = config.clone();
        let gone: HashSet<_> = gone.iter().map(key).collect();
        let stays = |recipient: &Recipient| !gone.contains(&key(recipient));
        for (found, rule) in meant.creation_rules.iter_mut().flatten().zip(1..) {
            for group in found
                .groups
                .iter_mut()
                .filter_map(|group| group.as_mut().ok())
            {
                let before = group.len();
                group.retain(stays);
                if group.is_empty() && before > 0 {
                    return Err(CannotEdit::NobodyLeft { rule });
                }
            }
        }
        let destinations = meant.destination_rules.iter_mut();
        let again = destinations.filter_map(|rule| rule.recreation_rule.as_mut());
        for group in again.flat_map(|rule| rule.groups.iter_mut().flatten()) {
            group.retain(stays);
        }
        meant.names.retain(stays);
        let edits = remove::edits(self, &config, &gone)?;
        let text = splice(self.text, &edits).map_err(|_| CannotEdit::ByHand)?;
        self.checked(text.as_str().to_owned(), meant)
    }

    /// The text, if it means what was meant, in everything that a config says.
    fn checked(self, text: String, meant: Config) -> Result<String, CannotEdit> {
        let Ok((config, _)) = Config::parse(&text, self.strictness) else {
            return Err(CannotEdit::ByHand);
        };
        let same = meaning(config) == meaning(meant);
        same.then_some(text).ok_or(CannotEdit::ByHand)
    }
}

impl Config {
    /// The number of creation rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.creation_rules.as_ref().map_or(0, Vec::len)
    }

    /// The group `index` (from 0) of a rule (from 1).
    fn group(&self, rule: usize, index: usize) -> Option<&super::keys::Group> {
        let rule = self
            .creation_rules
            .iter()
            .flatten()
            .nth(rule.checked_sub(1)?)?;
        rule.groups.get(index)
    }

    /// Which group of a rule (from 1) is meant by `group` (from 1): its index, from 0.
    fn group_of(&self, rule: usize, group: Option<usize>) -> Result<usize, CannotEdit> {
        let rules = self.creation_rules.as_deref().unwrap_or_default();
        let found = rule.checked_sub(1).and_then(|index| rules.get(index));
        let groups = found.ok_or(CannotEdit::NoRule { rule })?.groups.len();
        match group {
            None if groups > 1 => Err(CannotEdit::SeveralGroups { rule, groups }),
            None => Ok(0),
            Some(group) if (1..=groups).contains(&group) => Ok(group - 1),
            Some(group) => Err(CannotEdit::NoGroup { rule, group }),
        }
    }
}

/// What makes two recipients the same one.
type Key = (RecipientKind, String);

fn key(recipient: &Recipient) -> Key {
    (recipient.kind(), recipient.identity())
}

/// Each recipient once.
fn distinct(recipients: &[Recipient]) -> Vec<Recipient> {
    let mut found = Vec::new();
    extend(&mut found, recipients);
    found
}

/// Adds those who are not there yet.
fn extend(group: &mut Vec<Recipient>, recipients: &[Recipient]) {
    let mut known: HashSet<_> = group.iter().map(key).collect();
    let new = recipients.iter().filter(|new| known.insert(key(new)));
    group.extend(new.cloned());
}

/// Recipients by name.
type ByName = Vec<(String, Vec<Key>)>;

/// What a config says, comparable: who is in each group and has which name, and all the rest. The order in which recipients
/// are written does not matter (spec 9.8).
fn meaning(mut config: Config) -> (Config, Vec<Vec<Key>>, ByName) {
    let keys = |recipients: &[Recipient]| {
        let mut keys: Vec<Key> = recipients.iter().map(key).collect();
        keys.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        keys
    };
    let destinations = config.destination_rules.iter_mut();
    let again = destinations.filter_map(|rule| rule.recreation_rule.as_mut());
    let rules = config.creation_rules.iter_mut().flatten().chain(again);
    let mut groups = Vec::new();
    for group in rules.flat_map(|rule| rule.groups.iter_mut()) {
        let found = std::mem::replace(group, Ok(Vec::new()));
        groups.push(keys(&found.unwrap_or_default()));
    }
    let names = std::mem::take(&mut config.names);
    let names = names
        .entries()
        .map(|(name, all)| (name.to_owned(), keys(all)));
    let names = names.collect();
    (config, groups, names)
}

#[cfg(test)]
mod tests;
