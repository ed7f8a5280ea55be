//! Recipients as people know them, and where those of a file are not those of its rule.

use clap::{Args as _, Command};
use serde::Serialize;
use sops_rs::ops::rekey::Change;
use sops_rs::recipient::Recipient;
use sops_rs::selection::Selection;

use super::rule::Said;
use crate::cli::args::KeyArgs;
use crate::cli::context::Context;

/// A recipient and what it is called.
#[derive(Debug, Serialize)]
pub(super) struct Person {
    pub(super) name: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) recipient: String,
}

/// Who can open a file.
#[derive(Debug, Serialize)]
pub(super) struct Groups {
    /// How many groups are needed.
    pub(super) threshold: usize,
    pub(super) groups: Vec<Vec<Person>>,
}

/// Where a sealed file is not what its rule says.
#[derive(Debug, Default, Serialize)]
pub(super) struct Drift {
    pub(super) groups: Vec<GroupDrift>,
    pub(super) threshold: Option<Differs<usize>>,
    pub(super) selection: Option<Differs<String>>,
}

/// Who is in one of the file and its rule, and not in the other.
#[derive(Debug, Serialize)]
pub(super) struct GroupDrift {
    /// Number of the group, from 1.
    pub(super) group: usize,
    /// Whom the rule names, and who cannot open the file.
    pub(super) missing: Vec<Person>,
    /// Who can open the file, and whom the rule does not name.
    pub(super) extra: Vec<Person>,
}

/// What the file says, and what the rule says.
#[derive(Debug, Serialize)]
pub(super) struct Differs<T> {
    pub(super) file: T,
    pub(super) rule: T,
}

impl Person {
    pub(super) fn of(said: &Said, recipient: &Recipient) -> Self {
        Self {
            name: said.name(recipient),
            kind: recipient.kind().name(),
            recipient: recipient.identity(),
        }
    }
}

impl Groups {
    /// A `threshold` of 0 means all groups.
    pub(super) fn of(said: &Said, groups: &[Vec<Recipient>], threshold: usize) -> Self {
        let person = |recipient: &Recipient| Person::of(said, recipient);
        let all = groups.len();
        Self {
            threshold: match threshold {
                0 => all,
                asked => asked.min(all),
            },
            groups: groups
                .iter()
                .map(|group| group.iter().map(person).collect())
                .collect(),
        }
    }
}

impl Drift {
    /// From what `updatekeys` would do, and from the selections of the file and the rule. `all` are the recipients of both.
    pub(super) fn of(
        said: &Said,
        all: &[&Recipient],
        change: Option<&Change>,
        selections: Option<(&Selection, &Selection)>,
    ) -> Self {
        let people = |identities: &[String]| -> Vec<Person> {
            let known = |identity: &String| all.iter().find(|one| one.identity() == *identity);
            let known = identities.iter().filter_map(known);
            known.map(|recipient| Person::of(said, recipient)).collect()
        };
        let mut drift = Self::default();
        for (group, number) in change.iter().flat_map(|change| &change.groups).zip(1..) {
            if !group.added.is_empty() || !group.removed.is_empty() {
                drift.groups.push(GroupDrift {
                    group: number,
                    missing: people(&group.added),
                    extra: people(&group.removed),
                });
            }
        }
        let thresholds = change.map(|change| change.threshold);
        drift.threshold = thresholds
            .filter(|(file, rule)| file != rule)
            .map(|(file, rule)| Differs { file, rule });
        drift.selection = selections
            .filter(|(file, rule)| file != rule)
            .map(|(file, rule)| Differs {
                file: described(file),
                rule: described(rule),
            });
        drift
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.threshold.is_none() && self.selection.is_none()
    }
}

/// A selection with the scope of the MAC, which is part of it.
fn described(selection: &Selection) -> String {
    let scope = if selection.mac_only_encrypted() {
        ", mac_only_encrypted: true"
    } else {
        ""
    };
    format!("{}{scope}", selection.describe())
}

/// The variables that are set and stand for an option that names recipients.
pub(super) fn named_by_environment(context: &Context) -> Vec<String> {
    let options = KeyArgs::augment_args(Command::new("options"));
    let variables = options
        .get_arguments()
        .filter_map(|option| option.get_env());
    let names = variables.filter_map(|name| name.to_str());
    let set = names.filter(|name| context.variable(name).is_some());
    set.map(str::to_owned).collect()
}
