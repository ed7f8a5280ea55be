//! `decrypt`: opens sealed files, verifies their MACs, and writes the plaintext to where it was asked for.

use std::path::PathBuf;

use clap::Args;
use sops_rs::format::Format;
use sops_rs::format::emit::OutputFormat;
use sops_rs::ops::decrypt::Opening;
use zeroize::Zeroizing;

use super::args::{IdentityArgs, InputArgs, OutputArgs};
use super::context::Context;
use super::converting;
use super::exit::Exit;
use super::get::Wanted;
use super::io::{self, Input, Privacy};
use super::many;
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::target::{Target, input_format, output_format};
use super::tree::{self, Many, TreeArgs};

/// Open sealed files
///
/// Verifies that no value was changed and writes the plaintext to standard output, to `--output`, or in place of the
/// file. Everything that is not a secret stays as it is: layout, quotes, comments, order.
///
/// In another format than the file's, values keep their types, and comments stay where there can be some. What the format
/// cannot hold is an error that names the key. `shell` gives commands that set variables, for `eval`; `env` is dotenv.
///
/// Several files go in place of themselves or below `--output-dir`; each is written completely or not at all. What is not
/// encrypted is left as it is by `--in-place`, so that the same command finishes what was interrupted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs decrypt secrets.yaml
  sops-rs decrypt --in-place secrets.yaml
  sops-rs decrypt --recursive --output-dir /run/secrets .
  sops-rs decrypt --output-type json secrets.yaml | jq .db
  eval \"$(sops-rs decrypt --output-type shell secrets.env)\"
  git show HEAD:secrets.yaml | sops-rs decrypt --input-type yaml")]
pub(crate) struct Decrypt {
    #[command(flatten)]
    input: InputArgs,
    /// More files, or directories with `--recursive`
    #[arg(value_name = "FILES")]
    more: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Format of the output; the default is what the file name says, else that of the input
    #[arg(long, value_name = "FORMAT", value_parser = super::args::output_format(), help_heading = "Output")]
    output_type: Option<OutputFormat>,
    /// Write each file below this directory, under the path that it has from here
    #[arg(long, value_name = "DIR", conflicts_with_all = ["in_place", "output"])]
    output_dir: Option<PathBuf>,
    /// Only the value at this place, as `get` gives it: `a.b[0]`, `["a"]["b"][0]` or `/a/b/0`
    #[arg(long, value_name = "PATH", conflicts_with_all = ["in_place", "more", "recursive", "output_dir"])]
    extract: Option<String>,
    /// Only this document of a YAML file, counted from 1; `--extract` takes the first by default
    #[arg(long, value_name = "N", conflicts_with_all = ["in_place", "more", "recursive", "output_dir"])]
    document: Option<usize>,
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
    let several = !arguments.more.is_empty() || arguments.tree.recursive;
    if several || arguments.output_dir.is_some() {
        return run_many(context, arguments);
    }
    let input = Input::new(arguments.input.file.clone());
    let target = Target::new(context, &input, &arguments.output)?;
    one(context, arguments, &arguments.input, &target)?;
    Ok(Exit::Success)
}

fn run_many(context: &mut Context, arguments: &Decrypt) -> Result<Exit, Failure> {
    let in_place = arguments.output.in_place || arguments.output_dir.is_some();
    let many = Many::new(
        context,
        &arguments.input,
        &arguments.more,
        &arguments.output,
        in_place,
    )?;
    let recursive = arguments.tree.recursive;
    let files = tree::files(context, &many.paths, recursive, tree::is_sealed)?;
    let name = |path: &PathBuf| path.display().to_string();
    let outcomes = many::open_each(
        context,
        &arguments.identity.services,
        &files,
        |path| path.as_path(),
        |own, path| {
            let input = many.input(path);
            let target = match &arguments.output_dir {
                Some(folder) => Target::File(folder.join(tree::from_here(own, path))),
                None if is_plain(own, &input)? => {
                    own.note(&format!(
                        "`{}` is not encrypted and stays as it is",
                        path.display()
                    ));
                    return Ok(());
                }
                None => Target::File(path.clone()),
            };
            one(own, arguments, &input, &target)
        },
    );
    let names: Vec<String> = files.iter().map(name).collect();
    if files.is_empty() {
        context.note("there is no sealed file");
    }
    many::settle(context, &names, outcomes, "decrypted")?;
    Ok(Exit::Success)
}

/// Whether this is a text in order that was never encrypted.
fn is_plain(context: &mut Context, input: &InputArgs) -> Result<bool, Failure> {
    let source = read(context, input)?;
    Ok(match source.document(Exit::Failed) {
        Ok(document) => document.metadata().is_empty(),
        Err(_) => source.format == Format::Binary,
    })
}

fn read(context: &mut Context, input: &InputArgs) -> Result<Source, Failure> {
    let format = input_format(input);
    let input = Input::new(input.file.clone());
    let bytes = io::read(context, &input)?;
    Ok(Source::new(input.name(), format, bytes))
}

/// Opens one file into `target`.
fn one(
    context: &mut Context,
    arguments: &Decrypt,
    input: &InputArgs,
    target: &Target,
) -> Result<(), Failure> {
    let source = read(context, input)?;
    let by_name = || OutputFormat::File(output_format(input, source.format));
    let output = arguments.output_type.unwrap_or_else(by_name);
    let path = arguments.extract.as_ref().filter(|path| !path.is_empty());
    let wanted = path.map(|path| Wanted::new(path, arguments.document, Some(output)));
    let wanted = wanted.transpose()?;
    let number = arguments.document;
    let (identity, ignore_mac) = (&arguments.identity, arguments.ignore_mac);
    let plaintext = match wanted {
        Some(wanted) => wanted.of(&source, open(context, &source, identity, ignore_mac)?)?,
        None if output == OutputFormat::File(source.format) && number.is_none() => {
            open(context, &source, identity, ignore_mac)?
        }
        None => converting::open(context, &source, identity, ignore_mac, output, number)?,
    };
    if let (Target::File(path), Some(_)) = (target, &arguments.output_dir) {
        io::make_parents(context, path)?;
    }
    target.write(context, &plaintext, Privacy::Private)
}

/// All of a file in plaintext.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn open(
    context: &mut Context,
    source: &Source,
    identity: &IdentityArgs,
    ignore_mac: bool,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let sealed = Sealed::parse(context, source)?;
    let key = sealed.data_key(context, identity)?;
    if source.format == Format::Binary {
        return sealed.decrypt_binary(&key, ignore_mac);
    }
    let opening = Opening {
        ignore_mac,
        ..Opening::default()
    };
    let mut decrypted = sealed.decrypt(&key, opening)?;
    sealed.warn(context, &decrypted.warnings);
    Ok(Zeroizing::new(
        std::mem::take(&mut *decrypted.text).into_bytes(),
    ))
}
