//! `unset`: takes one value out of a sealed file (spec 9.5 without its traps).

use clap::Args;
use sops_rs::ops::change::Action;

use super::args::IdentityArgs;
use super::changing::{Absent, ChangeArgs};
use super::context::Context;
use super::exit::Exit;
use super::report::Failure;

/// Take one value, list item, mapping or list out of a sealed file
///
/// Its own lines go, with the comments directly above it and beside it, and nothing else. All other values keep their
/// sealed text.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs unset prod.yaml db.password
  sops-rs unset prod.yaml '[\"hosts\"][0]'")]
pub(crate) struct Unset {
    #[command(flatten)]
    place: ChangeArgs,
    /// If there is no such value, that is fine
    #[arg(long)]
    idempotent: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Unset) -> Result<Exit, Failure> {
    let pointer = arguments.place.pointer()?;
    let absent = if arguments.idempotent {
        Absent::IsFine
    } else {
        Absent::Fails(Exit::Failed)
    };
    arguments.place.apply(
        context,
        &arguments.identity,
        &pointer,
        Action::Unset,
        absent,
    )?;
    Ok(Exit::Success)
}
