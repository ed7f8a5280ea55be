//! `decrypt`: opens a sealed file, verifies its MAC, and writes the plaintext to where it was asked for.

use clap::Args;
use sops_rs::format::Format;
use sops_rs::ops::decrypt::Opening;
use zeroize::Zeroizing;

use super::args::{IdentityArgs, InputArgs, OutputArgs};
use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::target::{Target, same_format};

/// Open a sealed file
///
/// Verifies that no value was changed and writes the plaintext to standard output, to `--output`, or in place of the
/// file. Everything that is not a secret stays as it is: layout, quotes, comments, order.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs decrypt secrets.yaml
  sops-rs decrypt --in-place secrets.yaml
  git show HEAD:secrets.yaml | sops-rs decrypt --input-type yaml")]
pub(crate) struct Decrypt {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Open the file even if its MAC is missing or wrong
    #[arg(long)]
    ignore_mac: bool,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Decrypt) -> Result<Exit, Failure> {
    let input = Input::new(arguments.input.file.clone());
    let target = Target::new(&input, &arguments.output)?;
    let format = same_format(&arguments.input, arguments.output.output_type)?;
    let source = Source {
        name: input.name(),
        format,
        bytes: io::read(context, &input)?,
    };
    let plaintext = open(context, &source, arguments)?;
    target.write(context, &plaintext, Privacy::Private)?;
    Ok(Exit::Success)
}

fn open(
    context: &mut Context,
    source: &Source,
    arguments: &Decrypt,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let sealed = Sealed::parse(context, source)?;
    let key = sealed.data_key(context, &arguments.identity)?;
    if source.format == Format::Binary {
        return sealed.decrypt_binary(&key, arguments.ignore_mac);
    }
    let opening = Opening {
        ignore_mac: arguments.ignore_mac,
        ..Opening::default()
    };
    let mut decrypted = sealed.decrypt(&key, opening)?;
    sealed.warn(context, &decrypted.warnings);
    Ok(Zeroizing::new(
        std::mem::take(&mut *decrypted.text).into_bytes(),
    ))
}
