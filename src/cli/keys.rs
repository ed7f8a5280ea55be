//! `keys`: the people behind the recipients. Who can open what, who joins, who leaves.
//!
//! A person is a name in the config. What is done to files is the business of `rekeying`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sops_rs::config::{CannotEdit, Config, Strictness};
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;

use super::context::Context;
use super::creation::{find, load, normal, shown};
use super::exit::Exit;
use super::io::{self, Input};
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::tree;
use super::updatekeys::agreed as agree;

mod add;
mod list;
mod remove;
mod roster;

/// See who can open what; let people in and out
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs keys list
  sops-rs keys add carol age1…
  sops-rs keys remove carol")]
pub(crate) struct Keys {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    List(list::List),
    Add(Box<add::Add>),
    Remove(Box<remove::Remove>),
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Keys,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::List(arguments) => list::run(context, arguments, config),
        Verb::Add(arguments) => add::run(context, arguments, config),
        Verb::Remove(arguments) => remove::run(context, arguments, config),
    }
}

/// The config that governs this folder, and the tree below it.
struct Home {
    /// Where it is.
    path: PathBuf,
    /// The same, for messages.
    name: String,
    strictness: Strictness,
}

impl Home {
    /// Finds it.
    ///
    /// # Errors
    /// [`Exit::Failed`] if there is none.
    fn find(context: &Context, named: Option<&Path>) -> Result<Self, Failure> {
        let here = context.working_dir().join("any");
        let Some((path, strictness)) = find(context, named, &here) else {
            return Err(Failure::new(
                Exit::Failed,
                "there is no config here, nor in a folder above",
            )
            .hint("run `sops-rs init` to make one"));
        };
        Ok(Self {
            name: shown(context, &path),
            path,
            strictness,
        })
    }

    /// The text of the config.
    fn read(&self, context: &mut Context) -> Result<String, Failure> {
        let bytes = io::read(context, &Input::File(self.path.clone()))?;
        Ok(io::text(&bytes, &self.name)?.to_owned())
    }

    fn config(&self, context: &mut Context) -> Result<Config, Failure> {
        load(context, &self.path, self.strictness)
    }

    /// All sealed files in its folder and below: those that it governs, and those of other configs.
    fn files(&self, context: &mut Context) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let folder = match folder.strip_prefix(context.working_dir()) {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
            Ok(below) => below.to_owned(),
            Err(_) => folder.to_owned(),
        };
        let files = tree::files(context, &[folder], true, tree::is_sealed)?;
        let is_own = |file: &PathBuf| {
            let governed = find(context, None, &normal(&context.resolve(file)));
            governed.is_none_or(|(path, _)| path == self.path || !path.starts_with(self.folder()))
        };
        Ok(files.into_iter().partition(is_own))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

/// The sealed files that paths stand for; without any, those of this folder.
fn sealed_files(context: &mut Context, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    tree::files(context, paths, true, tree::is_sealed)
}

fn source(context: &mut Context, path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let bytes = io::read(context, &Input::File(path.to_owned()))?;
    let shown = name.strip_prefix("./").unwrap_or(&name).to_owned();
    Ok(Source::new(shown, Format::of_path(&name), bytes))
}

/// A file that was planned for, unless it is another one by now.
fn unchanged(context: &mut Context, path: &Path, planned: &[u8]) -> Result<Source, Failure> {
    let source = source(context, path)?;
    if source.bytes.as_slice() == planned {
        return Ok(source);
    }
    let message = format!("`{}` was changed since the plan was made", source.name);
    Err(Failure::new(Exit::Failed, message).hint("run the same command again"))
}

/// Who can open a file.
fn metadata(context: &mut Context, path: &Path) -> Result<Metadata, Failure> {
    let source = source(context, path)?;
    Ok(Sealed::parse(context, &source)?.metadata)
}

/// Why the config was left as it is.
fn cannot_edit(name: &str, error: &CannotEdit) -> Failure {
    let failure = Failure::new(Exit::Failed, format!("`{name}` was left as it is: {error}"));
    match error {
        CannotEdit::NoRule { .. } | CannotEdit::NoGroup { .. } | CannotEdit::SeveralGroups { .. } => {
            failure.hint("choose with `--rule` and `--group`")
        }
        CannotEdit::NobodyLeft { .. } => {
            failure.hint("add somebody else to the rule first, or delete the rule")
        }
        CannotEdit::ByHand => failure.hint(
            "change the config in an editor, then run `sops-rs updatekeys -r .`, and `sops-rs rotate -i -r .` if somebody left",
        ),
        CannotEdit::Name | CannotEdit::Config(_) => failure,
    }
}
