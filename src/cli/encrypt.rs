//! `encrypt`: seals the values of plaintexts for the recipients and by the rule that options or the config name.

mod again;
mod anew;

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::selection::Selection;

use super::args::{IdentityArgs, InputArgs, KeyArgs, OutputArgs, SelectionArgs};
use super::context::Context;
use super::converting::Plaintext;
use super::creation::{self, Creation, decide, matching_rule};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::many;
use super::report::Failure;
use super::sealed::Source;
use super::target::{Target, input_format, known_path, output_format};
use super::tree::{self, Many, TreeArgs};

pub(crate) use again::{Opened, Resealing};
pub(crate) use anew::{anew, cannot_seal, new_key, not_wrapped, seal_binary};

use again::{Outcome, again};
use anew::already_sealed;

/// Encrypt files
///
/// Who can open it and which values are sealed comes from the options, else from the first rule of the config that
/// matches the file. Layout, quotes, key order and everything else that is not a secret stay as they are.
///
/// If `--output` names a file that is sealed already and that you can open, its data key, its recipients and the sealed
/// text of every unchanged value are kept, so that the diff shows only what changed.
///
/// Several files go in place of themselves, each completely or not at all. In a directory these are the files that a rule
/// of the config matches. What is encrypted already stays as it is, so that the same command finishes what was
/// interrupted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs encrypt --in-place secrets/prod.yaml
  sops-rs encrypt --in-place --recursive secrets/
  sops-rs encrypt --output-type yaml --output secrets.yaml secrets.env
  sops-rs encrypt --age age1… --encrypted-regex '^(data|stringData)$' secret.yaml
  kubectl create secret … -o yaml | sops-rs encrypt --filename-override secrets/x.yaml")]
pub(crate) struct Encrypt {
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
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format(), help_heading = "Output")]
    output_type: Option<Format>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

impl Encrypt {
    /// Puts options that stood before the verb under those behind it.
    pub(crate) fn with_earlier(mut self, earlier: super::args::AnywhereArgs) -> Self {
        self.selection.anywhere = self.selection.anywhere.or(earlier);
        self
    }
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    if !arguments.more.is_empty() || arguments.tree.recursive {
        return run_many(context, arguments, config);
    }
    let input = Input::new(arguments.input.file.clone());
    let target = Target::new(context, &input, &arguments.output)?;
    one(context, arguments, config, &arguments.input, &target)?;
    Ok(Exit::Success)
}

fn run_many(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let in_place = arguments.output.in_place;
    let many = Many::new(
        context,
        &arguments.input,
        &arguments.more,
        &arguments.output,
        in_place,
    )?;
    let recursive = arguments.tree.recursive;
    let files = tree::files(context, &many.paths, recursive, |_, path| !is_control(path))?;
    let name = |path: &PathBuf| path.display().to_string();
    let outcomes = many::each(
        context,
        &arguments.identity.services,
        &files,
        name,
        |own, path| {
            let named = many.paths.contains(path);
            if !named && !is_meant(own, arguments, config, path)? {
                return Ok(false);
            }
            let input = many.input(path);
            if read(own, &input)?.is_sealed() {
                if named {
                    own.note(&format!(
                        "`{}` is encrypted already and stays as it is",
                        path.display()
                    ));
                }
                return Ok(false);
            }
            let target = Target::File(path.clone());
            one(own, arguments, config, &input, &target).map(|()| true)
        },
    );
    let names: Vec<String> = files.iter().map(name).collect();
    let done = many::settle(context, &names, outcomes, "encrypted")?;
    if !done.contains(&true) {
        context.note("there is nothing to encrypt: no rule matches, or it was done before");
    }
    Ok(Exit::Success)
}

/// Whether a file that was found in a directory shall be encrypted: if a rule matches, or if there are no rules at all and the
/// recipients come from options.
fn is_meant(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
    path: &Path,
) -> Result<bool, Failure> {
    if matching_rule(context, config, path)?.is_ok() {
        return Ok(true);
    }
    let file = creation::normal(&context.resolve(path));
    Ok(arguments.keys.names_any() && creation::find(context, config, &file).is_none())
}

/// Whether this is a file that git or this program reads for itself. Encrypted it would be of no use.
pub(crate) fn is_control(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default();
    let configs = creation::NAMES.map(|(name, _)| name);
    name.starts_with(".git") || configs.contains(&name)
}

fn read(context: &mut Context, input: &InputArgs) -> Result<Source, Failure> {
    let format = input_format(input);
    let input = Input::new(input.file.clone());
    let bytes = io::read(context, &input)?;
    Ok(Source::new(input.name(), format, bytes))
}

/// Seals one file into `target`.
fn one(
    context: &mut Context,
    arguments: &Encrypt,
    config: Option<&Path>,
    input: &InputArgs,
    target: &Target,
) -> Result<(), Failure> {
    let Some(path) = known_path(input) else {
        let message = "standard input has no name to look up rules and format by";
        return Err(Failure::new(Exit::Conflict, message).hint("add `--filename-override PATH`"));
    };
    let source = read(context, input)?;
    refuse_sealed(&source)?;
    let mut creation = decide(context, &arguments.keys, &arguments.selection, config, path)?;
    let by_name = || output_format(input, source.format);
    let format = arguments.output_type.unwrap_or_else(by_name);
    if source.format == Format::Binary && format != Format::Binary {
        // Rules mean nothing to a binary file (spec 7.4), whatever it is sealed as.
        creation.selection = Selection::default();
    }
    refuse_nothing(&source)?;
    let plain = Plaintext::new(source, format)?;
    let input = Input::new(input.file.clone());
    let earlier = earlier(context, target, &input, format, &creation)?;
    match seal(context, arguments, &plain, earlier.as_ref(), &creation)? {
        Outcome::Sealed(text) => target.write(context, text.as_bytes(), Privacy::Public),
        Outcome::Unchanged => {
            let name = target.name();
            context.note(&format!("`{name}` is up to date; nothing was written"));
            Ok(())
        }
    }
}

/// Seals again over an earlier file if there is one that can be opened, else for the first time.
fn seal(
    context: &mut Context,
    arguments: &Encrypt,
    plain: &Plaintext,
    earlier: Option<&Source>,
    creation: &Creation,
) -> Result<Outcome, Failure> {
    let allow_clear = arguments.selection.allow_clear;
    if let Some(earlier) = earlier
        && let Some(outcome) = again(
            context,
            plain,
            earlier,
            &arguments.identity,
            creation,
            allow_clear,
        )?
    {
        return Ok(outcome);
    }
    let format = plain.source.format;
    // Found out before anything is wrapped: that may cost a call to a key service.
    if format != Format::Binary {
        plain.document()?;
    }
    let key = new_key(context, &arguments.identity.services, creation, format)?;
    anew::seal(context, plain, &creation.selection, key, allow_clear).map(Outcome::Sealed)
}

/// A YAML file of no bytes has no document at all, not even an empty one (spec 7.2.1).
fn refuse_nothing(source: &Source) -> Result<(), Failure> {
    if source.format == Format::Yaml && source.bytes.is_empty() {
        return Err(
            Failure::new(Exit::NoDocument, format!("`{}` is empty", source.name))
                .hint("write something into it, or start with `sops-rs edit`"),
        );
    }
    Ok(())
}

/// A binary file that is an envelope, too, is sealed already; other formats find out when they are sealed.
fn refuse_sealed(source: &Source) -> Result<(), Failure> {
    if source.format == Format::Binary && source.is_sealed() {
        return Err(already_sealed(&source.name));
    }
    Ok(())
}

/// The sealed file that is about to be replaced by another sealing of the same thing.
///
/// # Errors
/// [`Exit::Failed`] if there is one, but it is damaged: its data key and recipients would be lost without a word.
fn earlier(
    context: &mut Context,
    target: &Target,
    input: &Input,
    format: Format,
    creation: &Creation,
) -> Result<Option<Source>, Failure> {
    // Who names recipients wants these recipients and no others.
    let Target::File(path) = target else {
        return Ok(None);
    };
    if creation.named || *input == Input::File(path.clone()) || !context.resolve(path).is_file() {
        return Ok(None);
    }
    let bytes = io::read(context, &Input::File(path.clone()))?;
    let earlier = Source::new(path.display().to_string(), format, bytes);
    if earlier.format != format {
        return Ok(None);
    }
    match earlier.document(Exit::Failed) {
        Ok(document) => Ok((!document.metadata().is_empty()).then_some(earlier)),
        Err(failure) if looks_sealed(&earlier.bytes) => {
            let name = &earlier.name;
            Err(failure
                .detail(format!("`{name}` is sealed but damaged, and would be lost"))
                .hint(format!("repair it, or remove `{name}` to start anew")))
        }
        Err(_) => Ok(None),
    }
}

/// Whether a text that cannot be read any more has what only sealed files have.
fn looks_sealed(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim_start).any(|line| {
        ["sops:", "\"sops\":", "[sops]", "sops_mac="]
            .iter()
            .any(|mark| line.starts_with(mark))
    })
}
