//! `git merge-driver`: what git calls to merge a sealed file (gitattributes(5), "Defining a custom merge driver").
//!
//! The result replaces the temporary file that git reads it from. It is sealed, conflicts too: git stores it in the object
//! database, and rerere may record it. Exit 0 is a clean merge and 1 a conflict; anything else would end the whole merge.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::ops::merge::{Markers, Side, without_key};

use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Input, Privacy};
use crate::cli::report::{Failure, typed};
use crate::cli::sealed::Source;
use crate::cli::versions::{Ready, Versions};

/// Merge one file; git calls this
///
/// `git install` configures it. Values merge by their place in the file, the text around them by line, in memory; what is
/// written is sealed, conflicts too. A file that cannot be opened is left as it is on your side, as a conflict.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs git merge-driver %O %A %B %L %P    # git puts the names of files in these places")]
pub(crate) struct MergeDriver {
    /// The version that both sides come from (%O); empty if both added the file
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The version that is merged into, and the place for the result (%A)
    #[arg(value_name = "OURS")]
    ours: PathBuf,
    /// The version that is merged (%B)
    #[arg(value_name = "THEIRS")]
    theirs: PathBuf,
    /// How long git's conflict markers are (%L)
    #[arg(value_name = "SIZE", default_value = "7")]
    size: String,
    /// The path of the file in the repository (%P)
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// What the three versions are called (%S, %X, %Y); git before 2.46 does not say
    #[arg(value_name = "LABEL", num_args = 0..=3)]
    labels: Vec<String>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// How much longer our markers are than git's: rerere passes over what it does not know as its own.
const LONGER: usize = 4;

/// Runs the command. Whatever fails is a conflict to git.
///
/// # Errors
/// None.
pub(crate) fn run(
    context: &mut Context,
    arguments: &MergeDriver,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let name = arguments.path.as_ref().map_or_else(
        || arguments.ours.display().to_string(),
        |path| path.display().to_string(),
    );
    match merge(context, arguments, config, &name) {
        Ok(true) => Ok(Exit::Success),
        Ok(false) => Ok(Exit::Failed),
        Err(failure) => {
            context.fail(&failure.detail(format!(
                "`{name}` was not merged; it is as it was on our side"
            )));
            Ok(Exit::Failed)
        }
    }
}

/// Merges; whether the result is clean.
fn merge(
    context: &mut Context,
    arguments: &MergeDriver,
    config: Option<&Path>,
    name: &str,
) -> Result<bool, Failure> {
    let format = Format::of_path(name);
    let read = |context: &mut Context, path: &PathBuf| {
        let bytes = io::read(context, &Input::File(path.clone()))?;
        Ok::<_, Failure>(Source::new(name.to_owned(), format, bytes))
    };
    let base = read(context, &arguments.base)?;
    let ours = read(context, &arguments.ours)?;
    let theirs = read(context, &arguments.theirs)?;
    if let (Ok(base), Ok(ours), Ok(theirs)) = (text(&base), text(&ours), text(&theirs)) {
        match without_key(base, ours, theirs) {
            Some(Side::Theirs) => {
                write(context, arguments, theirs)?;
                return Ok(true);
            }
            Some(_) => return Ok(true),
            None => {}
        }
    }
    if !ours.is_sealed() && !theirs.is_sealed() && (base.bytes.is_empty() || !base.is_sealed()) {
        return plain(context, arguments);
    }
    let versions = Versions {
        base: (!base.bytes.is_empty()).then_some(base),
        ours,
        theirs,
    };
    versions.merge(context, &arguments.identity, |context, ready| {
        finish(context, arguments, config, name, ready)
    })
}

fn finish(
    context: &mut Context,
    arguments: &MergeDriver,
    config: Option<&Path>,
    name: &str,
    mut ready: Ready<'_>,
) -> Result<bool, Failure> {
    ready.wrap(context, &arguments.identity.services, config)?;
    if ready.merge.is_clean() {
        let text = ready.seal(context)?;
        write(context, arguments, &text)?;
        return Ok(true);
    }
    let summary = ready.summary();
    let count = summary.len();
    let mut failure = Failure::new(Exit::Failed, format!("{count} conflict(s) in `{name}`"));
    for line in summary {
        failure = failure.detail(line);
    }
    let markers = markers(arguments, name, count);
    match ready.seal_marked(context, &markers) {
        Ok(text) => write(context, arguments, &text)?,
        Err(_) => failure = failure.detail("it is as it was on our side"),
    }
    context.fail(&failure.hint(format!("resolve with `sops-rs merge {}`", typed(name))));
    Ok(false)
}

fn markers(arguments: &MergeDriver, name: &str, count: usize) -> Markers {
    let label = |at: usize, otherwise: &str| {
        let given = arguments
            .labels
            .get(at)
            .filter(|label| !label.is_empty() && !label.starts_with('%'));
        given.map_or_else(|| otherwise.to_owned(), Clone::clone)
    };
    let ours = label(1, "ours");
    Markers {
        size: arguments.size.parse().unwrap_or(7_usize).clamp(1, 100) + LONGER,
        ours: format!(
            "{ours} ({count} conflict(s); run: sops-rs merge {})",
            typed(name)
        ),
        base: label(0, "base"),
        theirs: label(2, "theirs"),
    }
}

fn text(source: &Source) -> Result<&str, Failure> {
    io::text(&source.bytes, &source.name)
}

fn write(context: &mut Context, arguments: &MergeDriver, text: &str) -> Result<(), Failure> {
    io::replace(context, &arguments.ours, text.as_bytes(), Privacy::Public)
}

/// Merges what is not sealed on any side, as git would without this driver.
fn plain(context: &Context, arguments: &MergeDriver) -> Result<bool, Failure> {
    let mut git = std::process::Command::new("git");
    git.env_clear()
        .envs(context.environment())
        .current_dir(context.working_dir());
    git.args(["merge-file", "--quiet"]);
    git.arg(format!(
        "--marker-size={}",
        arguments.size.parse().unwrap_or(7_usize)
    ));
    git.args([&arguments.ours, &arguments.base, &arguments.theirs]);
    let status = git
        .status()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot run git: {error}")))?;
    Ok(status.success())
}
