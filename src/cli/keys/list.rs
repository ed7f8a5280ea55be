//! `keys list`: who can open what, as a table over a tree, or as JSON.
//!
//! Reads metadata alone: no key is used, and nothing is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};
use sops_rs::recipient::Recipient;

use super::roster::Roster;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::rekeying::{Wanted, within};
use crate::cli::report::{Failure, escaped};

/// Say who can open what
///
/// Names come from the config: the `recipients` map, or a comment or anchor beside the recipient. A recipient that the rule
/// for the file does not name is marked with `+`, and one that it names and the file lacks with `-`; `updatekeys` puts
/// files right.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs keys list
  sops-rs keys list secrets/ --json | jq '.files[] | select(.extra != [])'")]
pub(crate) struct List {
    /// Files and folders; the default is this folder
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A recipient, as it is known in the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Person {
    name: Option<String>,
    kind: &'static str,
    identity: String,
}

/// A sealed file and who can open it.
struct File {
    path: String,
    groups: Vec<Vec<Person>>,
    /// How many groups are needed.
    threshold: usize,
    /// Who can open it and is not named by the rule.
    extra: BTreeSet<Person>,
    /// Who is named by the rule and cannot open it.
    missing: BTreeSet<Person>,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::Failed`] for a config that cannot be read, and if the metadata of a file is wrong.
pub(crate) fn run(
    context: &mut Context,
    arguments: &List,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut roster = Roster::new(config);
    let mut files = Vec::new();
    let mut exit = Exit::Success;
    for path in super::sealed_files(context, &arguments.paths)? {
        match read(context, &mut roster, &path)? {
            Ok(file) => files.push(file),
            Err(failure) => {
                context.fail(&failure);
                exit = Exit::Failed;
            }
        }
    }
    let text = if arguments.json {
        format!("{:#}\n", as_json(&files))
    } else {
        as_tables(&files)
    };
    context.print(text.as_bytes())?;
    Ok(exit)
}

/// What a file and its rule say. The outer error is the config's.
fn read(
    context: &mut Context,
    roster: &mut Roster<'_>,
    path: &Path,
) -> Result<Result<File, Failure>, Failure> {
    let metadata = match super::metadata(context, path) {
        Ok(metadata) => metadata,
        Err(failure) => return Ok(Err(failure)),
    };
    let present = Wanted::of(&metadata).groups;
    let mut groups = Vec::new();
    for group in &present {
        let people = group
            .iter()
            .map(|recipient| person(context, roster, path, recipient));
        groups.push(people.collect::<Result<Vec<_>, _>>()?);
    }
    let rule = roster.rule(context, path)?;
    let (mut extra, mut missing) = (BTreeSet::new(), BTreeSet::new());
    if let Some(rule) = rule {
        for recipient in present.iter().flatten() {
            if !within(&rule.groups, recipient) {
                extra.insert(person(context, roster, path, recipient)?);
            }
        }
        for recipient in rule.groups.iter().flatten() {
            if !within(&present, recipient) {
                missing.insert(person(context, roster, path, recipient)?);
            }
        }
    }
    let all = groups.len();
    Ok(Ok(File {
        path: path.display().to_string(),
        threshold: match metadata.shamir_threshold {
            0 => all,
            threshold => threshold.min(all),
        },
        groups,
        extra,
        missing,
    }))
}

fn person(
    context: &mut Context,
    roster: &mut Roster<'_>,
    path: &Path,
    recipient: &Recipient,
) -> Result<Person, Failure> {
    Ok(Person {
        name: roster.name(context, path, recipient)?,
        kind: recipient.kind().name(),
        identity: recipient.identity(),
    })
}

/// In how many files everybody is.
fn counts(files: &[File]) -> BTreeMap<&Person, usize> {
    let mut counts = BTreeMap::new();
    for file in files {
        let people: BTreeSet<&Person> = file.groups.iter().flatten().collect();
        for person in people {
            *counts.entry(person).or_default() += 1;
        }
    }
    counts
}

impl Person {
    /// The name, else the recipient, short enough for a table.
    fn shown(&self) -> String {
        match &self.name {
            Some(name) => escaped(name).into_owned(),
            None => escaped(&shortened(&self.identity)).into_owned(),
        }
    }

    fn as_json(&self) -> Json {
        json!({ "name": self.name, "type": self.kind, "recipient": self.identity })
    }
}

/// The beginning and the end of a long recipient. The comment of an SSH key says more than its digits.
fn shortened(identity: &str) -> String {
    let mut words = identity.split_whitespace();
    if let (Some(kind @ ("ssh-ed25519" | "ssh-rsa")), Some(key)) = (words.next(), words.next()) {
        let comment = words.collect::<Vec<_>>().join(" ");
        return format!("{kind} …{} {comment}", last(key, 8))
            .trim_end()
            .to_owned();
    }
    if identity.starts_with("age1") && identity.chars().count() > 24 {
        let first: String = identity.chars().take(12).collect();
        return format!("{first}…{}", last(identity, 6));
    }
    identity.to_owned()
}

fn last(text: &str, count: usize) -> String {
    let skipped = text.chars().count().saturating_sub(count);
    text.chars().skip(skipped).collect()
}

fn as_tables(files: &[File]) -> String {
    if files.is_empty() {
        return "no sealed files\n".to_owned();
    }
    let mut people = table(["WHO", "TYPE", "RECIPIENT", "FILES"]);
    for (person, count) in counts(files) {
        let name = person.name.as_deref().unwrap_or("(no name)");
        people.add_row([
            escaped(name).into_owned(),
            person.kind.to_owned(),
            escaped(&shortened(&person.identity)).into_owned(),
            count.to_string(),
        ]);
    }
    let mut opened = table(["FILE", "OPENED BY"]);
    for file in files {
        opened.add_row([escaped(&file.path).into_owned(), opened_by(file)]);
    }
    format!("{}\n\n{}\n", trimmed(&people), trimmed(&opened))
}

/// `alice, bob`, or `2 of (alice, bob) (carol) (dave)`; `+` marks who should not, `-` who should and cannot.
fn opened_by(file: &File) -> String {
    let group = |group: &Vec<Person>| {
        let marked = group.iter().map(|person| {
            let mark = if file.extra.contains(person) { "+" } else { "" };
            format!("{mark}{}", person.shown())
        });
        marked.collect::<Vec<_>>().join(", ")
    };
    let groups: Vec<String> = file.groups.iter().map(group).collect();
    let mut text = match groups.as_slice() {
        [one] => one.clone(),
        several => format!("{} of ({})", file.threshold, several.join(") (")),
    };
    for person in &file.missing {
        text.push_str(&format!(", -{}", person.shown()));
    }
    text
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table without blanks at the ends of its lines.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

fn as_json(files: &[File]) -> Json {
    let all = |people: &BTreeSet<Person>| people.iter().map(Person::as_json).collect::<Vec<_>>();
    let counts = counts(files);
    let recipients: Vec<Json> = counts
        .iter()
        .map(|(person, count)| {
            let (name, kind, identity) = (&person.name, person.kind, &person.identity);
            json!({ "name": name, "type": kind, "recipient": identity, "files": count })
        })
        .collect();
    let files: Vec<Json> = files
        .iter()
        .map(|file| {
            let groups = file.groups.iter();
            let groups: Vec<Vec<Json>> = groups
                .map(|group| group.iter().map(Person::as_json).collect())
                .collect();
            json!({
                "file": file.path,
                "threshold": file.threshold,
                "groups": groups,
                "extra": all(&file.extra),
                "missing": all(&file.missing),
            })
        })
        .collect();
    json!({ "recipients": recipients, "files": files })
}
