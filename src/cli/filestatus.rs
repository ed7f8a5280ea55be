//! `filestatus`: says whether a file is sealed, without opening it (spec 9.10).

use std::path::PathBuf;

use clap::Args;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;

use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input};
use super::report::Failure;
use super::sealed::{Source, bad_metadata};

/// Say whether a file is sealed
///
/// Prints `{"encrypted":true}` or `{"encrypted":false}`. Needs no key.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs filestatus secrets.yaml")]
pub(crate) struct Filestatus {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file; the default is what its name says
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report: the file cannot be read, is not of its format, or has wrong metadata.
pub(crate) fn run(context: &mut Context, arguments: &Filestatus) -> Result<Exit, Failure> {
    let input = Input::new(Some(arguments.file.clone()));
    let format = arguments
        .input_type
        .unwrap_or_else(|| Format::of_path(&input.name()));
    let source = Source::new(input.name(), format, io::read(context, &input)?);
    let encrypted = is_encrypted(&source)?;
    context.print(format!("{{\"encrypted\":{encrypted}}}\n").as_bytes())?;
    Ok(Exit::Success)
}

/// Sealed means: there is metadata with a version and a MAC.
fn is_encrypted(source: &Source) -> Result<bool, Failure> {
    let document = match source.document(Exit::Failed) {
        Ok(document) => document,
        // Any bytes are a plaintext of the binary format; only an envelope is JSON.
        Err(_) if source.format == Format::Binary => return Ok(false),
        Err(failure) => return Err(failure),
    };
    match Metadata::of(&document) {
        Ok(metadata) => {
            Ok(metadata.is_some_and(|found| !found.version.is_empty() && !found.mac.is_empty()))
        }
        Err(error) if error.field == "version" => Ok(false),
        Err(error) => Err(bad_metadata(&source.name, &document, &error)),
    }
}
