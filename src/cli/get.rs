//! `get`, and `decrypt --extract`: one value of a sealed file (spec 9.5 without its traps).
//!
//! The whole file is opened and its MAC verified before anything of it is given.

use std::path::PathBuf;

use clap::Args;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::format::emit::OutputFormat;
use sops_rs::ops::change::ChangeError;
use sops_rs::ops::extract::{extract, extract_as_spelled, spell};
use sops_rs::pointer::{Pointer, Step};
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::decrypt;
use super::exit::Exit;
use super::io::{self, Input};
use super::pointing;
use super::report::Failure;
use super::sealed::Source;

/// Print one value of a sealed file
///
/// Text comes as it is, without quotes and without a line break behind it; numbers, truth values and null as the output
/// format writes them; a list or mapping as a file of its own.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs get prod.yaml db.password
  sops-rs get prod.yaml '[\"data\"][\"tls.crt\"]' > tls.crt
  sops-rs get prod.yaml hosts --output-type json")]
pub(crate) struct Get {
    /// The file; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The place: `a.b[0]`, `["a"]["b"][0]` or `/a/b/0`
    #[arg(value_name = "PATH")]
    path: String,
    /// Which document of a YAML file, counted from 1; the default is the first
    #[arg(long, value_name = "N")]
    document: Option<usize>,
    /// Format of the file; the default is what its name says
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// Format of the output; the default is that of the file
    #[arg(long, value_name = "FORMAT", value_parser = super::args::output_format())]
    output_type: Option<OutputFormat>,
    /// Name that formats go by, in place of the file's own
    #[arg(long, value_name = "PATH")]
    filename_override: Option<PathBuf>,
    /// Open the file even if its MAC is missing or wrong
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Which part of a file is wanted, and as what.
#[derive(Debug)]
pub(crate) struct Wanted {
    pointer: Pointer,
    /// The number of the document, counted from 0; `None` is the first, or the whole file for an empty path.
    number: Option<usize>,
    output: Option<OutputFormat>,
}

impl Wanted {
    /// Reads a path. `document` counts from 1; the output is in the format of the file unless another is given.
    ///
    /// # Errors
    /// [`Exit::NoSuchPath`] if it is none.
    pub(crate) fn new(
        path: &str,
        document: Option<usize>,
        output: Option<OutputFormat>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            pointer: pointing::parse(path, Exit::NoSuchPath)?,
            number: match document {
                Some(_) => Some(pointing::number(document, Exit::NoSuchPath)?),
                None => None,
            },
            output,
        })
    }

    /// The part of an opened file: `plaintext` is all of `source`.
    ///
    /// # Errors
    /// [`Exit::NoSuchPath`] if it is not there, [`Exit::CannotEmit`] if the output format has no room for it.
    pub(crate) fn of(
        &self,
        source: &Source,
        plaintext: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let name = &source.name;
        if self.pointer.is_root() && self.number.is_none() && self.output.is_none() {
            return Ok(plaintext);
        }
        if source.format == Format::Binary {
            return match self.pointer.steps() {
                [Step::Key(key)] if key == "data" => Ok(plaintext),
                _ => Err(Failure::new(
                    Exit::NoSuchPath,
                    format!("`{name}` is a binary file: it is one value and has no parts"),
                )
                .hint("its bytes are at `[\"data\"]`")),
            };
        }
        let text = io::text(&plaintext, name)?;
        let document = Document::parse(source.format, text)
            .map_err(|error| Failure::new(Exit::CannotOpen, error.message))?;
        let wrong =
            |error: ChangeError| pointing::failure(name, &self.pointer, &error, Exit::NoSuchPath);
        let (own, number) = (OutputFormat::File(source.format), self.number.unwrap_or(0));
        let output = self.output.unwrap_or(own);
        let content = if output == own {
            extract_as_spelled(&document, number, &self.pointer)
        } else {
            extract(&document, number, &self.pointer)
        };
        let content = content.map_err(wrong)?;
        spell(&content, output).map_err(|error| {
            let place = pointing::place(&self.pointer);
            let message = format!("{place} cannot be written as {}: {error}", output.name());
            Failure::new(Exit::CannotEmit, message).hint("choose another `--output-type`")
        })
    }
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Get) -> Result<Exit, Failure> {
    let wanted = Wanted::new(&arguments.path, arguments.document, arguments.output_type)?;
    let input = Input::new(Some(arguments.file.clone()));
    let name = arguments
        .filename_override
        .as_ref()
        .unwrap_or(&arguments.file);
    let of_name = || Format::of_path(&name.to_string_lossy());
    let format = arguments.input_type.unwrap_or_else(of_name);
    let bytes = io::read(context, &input)?;
    let source = Source::new(input.name(), format, bytes);
    let plaintext = decrypt::open(context, &source, &arguments.identity, arguments.ignore_mac)?;
    let part = wanted.of(&source, plaintext)?;
    context.print(&part)?;
    Ok(Exit::Success)
}
