//! `git …`: what git itself calls, and how a clone is told to call it.
//!
//! Knows which subcommands there are. Knows nothing of what they do.

use clap::{Args, Subcommand};

use super::context::Context;
use super::exit::Exit;
use super::report::Failure;

mod install;
mod merge_driver;
mod textconv;

pub(crate) use install::{SETTINGS, listed, uncovered};

/// Make git diff and merge sealed files as if they were plain
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs git install    # in every clone, once")]
pub(crate) struct Git {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Install(install::Install),
    Uninstall(install::Uninstall),
    Textconv(textconv::Textconv),
    MergeDriver(merge_driver::MergeDriver),
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Git,
    config: Option<&std::path::Path>,
) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Install(arguments) => install::run(context, arguments, config),
        Verb::Uninstall(arguments) => install::undo(context, arguments),
        Verb::Textconv(arguments) => textconv::run(context, arguments),
        Verb::MergeDriver(arguments) => merge_driver::run(context, arguments, config),
    }
}
