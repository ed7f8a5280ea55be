//! `updatekeys`: gives sealed files to the recipients that the rules of the config name (spec 9.8).
//!
//! First a plan for all files, then the question, then the work. With `--check` there is the plan alone.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::ops::rekey::Change;
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::creation::{check, matching_rule, refuse_empty_groups};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::many::{self, Outcome};
use super::rekeying::{Wanted, describe, rewrapped};
use super::report::{Failure, escaped};
use super::sealed::{Sealed, Source};
use super::tree::{self, TreeArgs};

/// Give sealed files to the recipients that the config names
///
/// Shows who gains and who loses access, then asks. The data key and the values stay as they are, and so do the entries of
/// recipients that stay: the diff shows only who came and who went. Whoever is removed knows the data key still; `rotate`
/// makes a new one.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs updatekeys secrets/prod.yaml
  sops-rs updatekeys --recursive --yes .
  sops-rs updatekeys --recursive --check .    # in CI")]
pub(crate) struct Updatekeys {
    /// Sealed files, or directories with `--recursive`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
    /// Format of the files; the default is what their names say
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only say what would change, and end with 1 if anything would; nothing is opened or written
    #[arg(long)]
    check: bool,
    /// Keep recipients that the config does not name
    #[arg(long)]
    keep_unknown: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// What is to become of one file.
struct Planned {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    wanted: Wanted,
    change: Change,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Updatekeys,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let recursive = arguments.tree.recursive;
    let files = tree::files(context, &arguments.files, recursive, tree::is_sealed)?;
    let name = |path: &PathBuf| path.display().to_string();
    let names: Vec<String> = files.iter().map(name).collect();
    let plans = many::each(
        context,
        &arguments.identity.services,
        &files,
        name,
        |own, path| plan(own, arguments, config, path),
    );
    let changes = plans
        .iter()
        .flatten()
        .filter(|plan| !plan.change.is_empty());
    let changes: Vec<&Planned> = changes.collect();
    let differ = changes.len();
    let unchanged = plans.iter().flatten().count() - differ;
    show(context, &changes)?;
    say_unchanged(context, &files, unchanged);
    if arguments.check {
        let plans = many::settle(context, &names, plans, "checked")?;
        return checked(differ, plans.len());
    }
    if differ > 0 && !arguments.yes && !agreed(context)? {
        many::settle(context, &names, plans, "compared with its rule")?;
        return Ok(Exit::Success);
    }
    let updated = many::open_each(
        context,
        &arguments.identity.services,
        &changes,
        |plan| plan.path.as_path(),
        |own, plan| update(own, arguments, plan),
    );
    let loses = |plan: &&Planned| plan.change.groups.iter().any(|g| !g.removed.is_empty());
    let removed = changes.iter().any(loses);
    let outcomes = merged(plans, updated);
    many::settle(context, &names, outcomes, "updated")?;
    say_written(context, &files, differ);
    if removed {
        context.note("who was removed still knows the data key: `sops-rs rotate` makes a new one");
    }
    Ok(Exit::Success)
}

/// Compares one file with its rule.
fn plan(
    context: &mut Context,
    arguments: &Updatekeys,
    config: Option<&Path>,
    path: &Path,
) -> Result<Planned, Failure> {
    let source = read(context, arguments, path)?;
    let sealed = Sealed::parse(context, &source)?;
    let rule = matching_rule(context, config, path)??;
    refuse_empty_groups(context, config, path, &rule)?;
    check(&rule.groups)?;
    let wanted = Wanted::by_rule(&sealed.metadata, &rule, arguments.keep_unknown);
    let change = Change::of(&sealed.metadata, &wanted.groups, wanted.threshold);
    Ok(Planned {
        path: path.to_owned(),
        wanted,
        change,
        bytes: source.bytes,
    })
}

fn read(context: &mut Context, arguments: &Updatekeys, path: &Path) -> Result<Source, Failure> {
    if !arguments.check {
        io::refuse_stream(context, path)?;
    }
    let of_name = || Format::of_path(&path.to_string_lossy());
    let format = arguments.input_type.unwrap_or_else(of_name);
    let bytes = io::read(context, &Input::new(Some(path.to_owned())))?;
    Ok(Source::new(path.display().to_string(), format, bytes))
}

/// Prints the plan: each change once, with the files it is for.
fn show(context: &mut Context, plans: &[&Planned]) -> Result<(), Failure> {
    let mut kinds: Vec<(&Change, Vec<&Path>)> = Vec::new();
    for plan in plans {
        match kinds.iter_mut().find(|(change, _)| **change == plan.change) {
            Some((_, paths)) => paths.push(&plan.path),
            None => kinds.push((&plan.change, vec![&plan.path])),
        }
    }
    for (change, paths) in kinds {
        let mut text = match paths.as_slice() {
            [_] if plans.len() == 1 => {
                "The following changes will be made to the file's groups:\n".to_owned()
            }
            paths => format!(
                "The following changes will be made to the groups of {} file(s):\n",
                paths.len()
            ),
        };
        for path in paths.iter().filter(|_| plans.len() > 1) {
            text.push_str(&format!("  {}\n", escaped(&path.display().to_string())));
        }
        text.push_str(&describe(change));
        context.print(text.as_bytes())?;
    }
    Ok(())
}

fn say_unchanged(context: &mut Context, files: &[PathBuf], unchanged: usize) {
    match (files, unchanged) {
        ([path], 1) => {
            let path = absolute(context, path);
            context.note(&format!("File {path} already up to date"));
        }
        ([], _) => context.note("there is no sealed file"),
        (_, 0) => {}
        (_, number) => context.note(&format!("{number} file(s) already up to date")),
    }
}

fn say_written(context: &mut Context, files: &[PathBuf], written: usize) {
    match (files, written) {
        ([path], 1) => {
            let path = absolute(context, path);
            context.note(&format!("File {path} written with new keys"));
        }
        (_, 0) => {}
        (_, number) => context.note(&format!("{number} file(s) written with new keys")),
    }
}

fn absolute(context: &Context, path: &Path) -> String {
    context.resolve(path).display().to_string()
}

fn checked(differ: usize, total: usize) -> Result<Exit, Failure> {
    if differ == 0 {
        return Ok(Exit::Success);
    }
    let message =
        format!("{differ} of {total} file(s) have other recipients than their rule names");
    Err(Failure::new(Exit::Failed, message).hint("run `sops-rs updatekeys` without `--check`"))
}

/// Asks until there is an answer.
pub(crate) fn agreed(context: &mut Context) -> Result<bool, Failure> {
    loop {
        let answer = context.ask("Is this okay? (y/n):")?;
        let Some(answer) = answer else {
            let message = "nobody answered, so nothing was written";
            return Err(
                Failure::new(Exit::Failed, message).hint("add `--yes` to skip the question")
            );
        };
        match answer.trim() {
            "y" | "Y" => return Ok(true),
            "n" | "N" => return Ok(false),
            _ => {}
        }
    }
}

/// Does what was planned for one file, if it still is the file that was planned for.
fn update(context: &mut Context, arguments: &Updatekeys, plan: &Planned) -> Result<(), Failure> {
    let source = read(context, arguments, &plan.path)?;
    if source.bytes != plan.bytes {
        let message = format!("`{}` was changed since the plan was made", source.name);
        return Err(Failure::new(Exit::Failed, message).hint("run the same command again"));
    }
    let sealed = Sealed::parse(context, &source)?;
    let text = rewrapped(context, &sealed, &plan.wanted, &arguments.identity)?;
    io::replace(context, &plan.path, text.as_bytes(), Privacy::Public)
}

/// What came of each file: of the plan, and of the work on those that differed, in the same order.
fn merged(plans: Vec<Outcome<Planned>>, updated: Vec<Outcome<()>>) -> Vec<Outcome<()>> {
    let mut updated = updated.into_iter();
    plans
        .into_iter()
        .map(|plan| match plan {
            Ok(plan) if plan.change.is_empty() => Ok(()),
            Ok(_) => updated.next().unwrap_or(Ok(())),
            Err(failure) => Err(failure),
        })
        .collect()
}
