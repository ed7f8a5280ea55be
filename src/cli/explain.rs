//! `explain`: which config and which rule are for a file, and why; who can open it, what is sealed in it, and what becomes of
//! an attempt to open it.
//!
//! Gathers facts, which are JSON as they are, and has them put into words. Changes nothing, and shows no value.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sops_rs::config::Matched;
use sops_rs::format::Format;
use sops_rs::ops::rekey::Change;
use sops_rs::recipient::Recipient;
use sops_rs::selection::Selection;

use self::content::Content;
use self::opening::Opening;
use self::people::{Drift, Groups};
use self::rule::{Ruling, Said};
use super::args::IdentityArgs;
use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input};
use super::rekeying::Wanted;
use super::report::Failure;
use super::sealed::{Sealed, Source};

mod content;
mod opening;
mod people;
mod rule;
mod text;

/// Say which rule is for a file and why, who can open it, and what is sealed
///
/// The file may be sealed, plain, or not there yet. Of a sealed file it also says where it differs from its rule, which of
/// your identities were tried and what came of it, and whether the MAC holds. Shows no value.
///
/// Ends with 0 if there was an answer, whatever it is.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs explain secrets/prod.yaml
  sops-rs explain new/secrets.yaml          # which rule will be for it?
  sops-rs explain --no-open --json secrets/prod.yaml | jq .drift")]
pub(crate) struct Explain {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file; the default is what its name says
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// Use no key, and say nothing of identities and the MAC
    #[arg(long)]
    no_open: bool,
    /// Print JSON; docs/explain.md describes it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Whether a file is there, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Sealed,
    Plain,
    Missing,
}

/// Everything that is said of a file.
#[derive(Debug, Serialize)]
struct Explanation {
    file: String,
    state: State,
    format: &'static str,
    /// What the metadata says of itself.
    metadata: Option<Stamp>,
    #[serde(flatten)]
    ruling: Ruling,
    /// Those of the file; of a file that is not sealed, those of its rule.
    recipients: Option<Groups>,
    /// Variables that name recipients, which `encrypt` would take in place of the rule's.
    named_by_environment: Vec<String>,
    drift: Option<Drift>,
    content: Option<Content>,
    opening: Option<Opening>,
}

/// When and how a file was sealed.
#[derive(Debug, Serialize)]
struct Stamp {
    version: String,
    lastmodified: String,
    /// Seconds since then; `None` for a time that is none, and negative for one that is to come.
    age: Option<i64>,
    mac_only_encrypted: bool,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report: the file cannot be read, is not of its format, or has wrong metadata.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Explain,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let explanation = explain(context, arguments, config)?;
    let text = if arguments.json {
        let json = serde_json::to_string_pretty(&explanation);
        let json = json.map_err(|error| Failure::new(Exit::CannotWrite, error.to_string()))?;
        format!("{json}\n")
    } else {
        text::render(&explanation, context.now())
    };
    context.print(text.as_bytes())?;
    Ok(Exit::Success)
}

fn explain(
    context: &mut Context,
    arguments: &Explain,
    config: Option<&Path>,
) -> Result<Explanation, Failure> {
    let Input::File(path) = Input::new(Some(arguments.file.clone())) else {
        return Err(Failure::new(Exit::NoFile, "standard input has no rule")
            .hint("name a file; it need not exist"));
    };
    let name = path.display().to_string();
    let (ruling, said) = rule::of(context, config, &path);
    let format = arguments
        .input_type
        .unwrap_or_else(|| Format::of_path(&name));
    let mut explanation = Explanation {
        file: name.clone(),
        state: State::Missing,
        format: format.name(),
        metadata: None,
        ruling,
        recipients: None,
        named_by_environment: Vec::new(),
        drift: None,
        content: None,
        opening: None,
    };
    // Whatever else there is to say of it, reading it will.
    if let Ok(false) = context.resolve(&path).try_exists() {
        explain_plain(context, &mut explanation, &said, None)?;
        return Ok(explanation);
    }
    let bytes = io::read(context, &Input::File(path))?;
    let source = Source::new(name, format, bytes);
    explanation.format = source.format.name();
    if is_plain(&source)? {
        explanation.state = State::Plain;
        explain_plain(context, &mut explanation, &said, Some(&source))?;
    } else {
        explanation.state = State::Sealed;
        let sealed = Sealed::parse(context, &source)?;
        explain_sealed(context, &mut explanation, &said, &sealed)?;
        if !arguments.no_open {
            explanation.opening = Some(opening::of(context, &sealed, &said, &arguments.identity)?);
        }
    }
    Ok(explanation)
}

/// Whether there is no metadata. Any bytes are a plaintext of the binary format.
fn is_plain(source: &Source) -> Result<bool, Failure> {
    match source.document(Exit::Failed) {
        Ok(document) => Ok(document.metadata().is_empty()),
        Err(_) if source.format == Format::Binary => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// A file that will be sealed by its rule, if there is one.
fn explain_plain(
    context: &Context,
    explanation: &mut Explanation,
    said: &Said,
    source: Option<&Source>,
) -> Result<(), Failure> {
    explanation.named_by_environment = people::named_by_environment(context);
    let Some(rule) = &said.rule else {
        return Ok(());
    };
    explanation.recipients = Some(Groups::of(said, &rule.groups, rule.shamir_threshold));
    if let Some(source) = source {
        explanation.content = Some(Content::of_plain(source, &rule.selection)?);
    }
    Ok(())
}

fn explain_sealed(
    context: &Context,
    explanation: &mut Explanation,
    said: &Said,
    sealed: &Sealed<'_>,
) -> Result<(), Failure> {
    let metadata = &sealed.metadata;
    explanation.metadata = Some(Stamp {
        version: metadata.version.clone(),
        lastmodified: metadata.lastmodified.clone(),
        age: text::age(&metadata.lastmodified, context.now()),
        mac_only_encrypted: metadata.mac_only_encrypted,
    });
    let present = Wanted::of(metadata);
    explanation.recipients = Some(Groups::of(said, &present.groups, present.threshold));
    explanation.drift = said.rule.as_ref().map(|rule| drift(said, sealed, rule));
    explanation.content = Some(Content::of_sealed(sealed)?);
    Ok(())
}

/// Where a sealed file is not what its rule says.
fn drift(said: &Said, sealed: &Sealed<'_>, rule: &Matched) -> Drift {
    let metadata = &sealed.metadata;
    let names_somebody = rule.groups.iter().all(|group| !group.is_empty());
    let change = names_somebody.then(|| {
        let wanted = Wanted::by_rule(metadata, rule, false);
        Change::of(metadata, &wanted.groups, wanted.threshold)
    });
    let all: Vec<&Recipient> = metadata
        .keys()
        .map(|key| &key.recipient)
        .chain(rule.groups.iter().flatten())
        .collect();
    let is_binary = sealed.document.format() == Format::Binary;
    let selections: Option<(&Selection, &Selection)> =
        (!is_binary).then_some((&sealed.selection, &rule.selection));
    Drift::of(said, &all, change.as_ref(), selections)
}
