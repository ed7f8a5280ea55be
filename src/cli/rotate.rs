//! `rotate`: a new data key for a file, and recipients that come or go with it (spec 9.4 without its traps).

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::format::Format;
use sops_rs::recipient::Recipient;

use super::args::{IdentityArgs, InputArgs, KeyArgs, OutputArgs};
use super::context::Context;
use super::creation::{check, named_recipients};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::many;
use super::rekeying::{Wanted, refuse_unnamed, rotated, within};
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::target::{Target, same_format};
use super::tree::{self, TreeArgs};

/// Seal files anew with a new data key
///
/// Who was removed from a file knows its old data key still: after this it opens nothing that is written from now on.
/// Every value gets a new token; layout, quotes, comments and everything else stay as they are.
///
/// Only recipients that the rule for the file names, or that are added here, get the new key: anybody who can write to the
/// repository can write himself into a file. Without a rule for it, all whom the config names are meant. Others are listed
/// and nothing is written, unless `--keep-unknown` lets them stay or `--rm-…` takes them out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs rotate --in-place secrets/prod.yaml
  sops-rs rotate -i -r --rm-age age1… --add-age age1… secrets/")]
pub(crate) struct Rotate {
    /// Files, or directories with `--recursive`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
    /// Format of the files; the default is what their names say
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// Name that rules and formats go by, in place of the file's own
    #[arg(long, value_name = "PATH")]
    filename_override: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// The same as --input-type: a file keeps its format
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format(), hide = true)]
    output_type: Option<Format>,
    #[command(flatten)]
    recipients: RecipientArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Who comes and who goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Recipients")]
struct RecipientArgs {
    /// Add age recipients to the first group
    #[arg(long, value_name = "RECIPIENTS", value_delimiter = ',')]
    add_age: Vec<String>,
    /// Remove age recipients
    #[arg(long, value_name = "RECIPIENTS", value_delimiter = ',')]
    rm_age: Vec<String>,
    /// Add OpenPGP keys
    #[arg(long, value_name = "FINGERPRINTS", value_delimiter = ',')]
    add_pgp: Vec<String>,
    /// Remove OpenPGP keys
    #[arg(long, value_name = "FINGERPRINTS", value_delimiter = ',')]
    rm_pgp: Vec<String>,
    /// Add AWS KMS keys
    #[arg(long, value_name = "ARNS", value_delimiter = ',')]
    add_kms: Vec<String>,
    /// Remove AWS KMS keys, whatever their role and context if none is given
    #[arg(long, value_name = "ARNS", value_delimiter = ',')]
    rm_kms: Vec<String>,
    /// AWS KMS encryption context of added keys, as `KEY:VALUE` pairs
    #[arg(long, value_name = "PAIRS")]
    encryption_context: Option<String>,
    /// Add Google Cloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    add_gcp_kms: Vec<String>,
    /// Remove Google Cloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    rm_gcp_kms: Vec<String>,
    /// Add HuaweiCloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    add_hckms: Vec<String>,
    /// Remove HuaweiCloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    rm_hckms: Vec<String>,
    /// Add Azure Key Vault keys
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    add_azure_kv: Vec<String>,
    /// Remove Azure Key Vault keys
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    rm_azure_kv: Vec<String>,
    /// Add HashiCorp Vault or `OpenBao` transit keys
    #[arg(long, value_name = "URIS", value_delimiter = ',')]
    add_hc_vault_transit: Vec<String>,
    /// Remove HashiCorp Vault or `OpenBao` transit keys
    #[arg(long, value_name = "URIS", value_delimiter = ',')]
    rm_hc_vault_transit: Vec<String>,
    /// Give the new key also to recipients that neither the config nor an option names
    #[arg(long)]
    keep_unknown: bool,
    /// Remove recipients of kinds that this version does not know
    #[arg(long)]
    rm_unsupported: bool,
}

/// The same, read.
struct Asked {
    added: Vec<Recipient>,
    removed: Vec<Recipient>,
    keep_unknown: bool,
    rm_unsupported: bool,
}

impl RecipientArgs {
    fn read(&self) -> Result<Asked, Failure> {
        let added = KeyArgs {
            age: self.add_age.clone(),
            pgp: self.add_pgp.clone(),
            kms: self.add_kms.clone(),
            encryption_context: self.encryption_context.clone(),
            gcp_kms: self.add_gcp_kms.clone(),
            hckms: self.add_hckms.clone(),
            azure_kv: self.add_azure_kv.clone(),
            hc_vault_transit: self.add_hc_vault_transit.clone(),
            ..KeyArgs::default()
        };
        let removed = KeyArgs {
            age: self.rm_age.clone(),
            pgp: self.rm_pgp.clone(),
            kms: self.rm_kms.clone(),
            gcp_kms: self.rm_gcp_kms.clone(),
            hckms: self.rm_hckms.clone(),
            azure_kv: self.rm_azure_kv.clone(),
            hc_vault_transit: self.rm_hc_vault_transit.clone(),
            ..KeyArgs::default()
        };
        let added = named_recipients(&added, "--add-")?;
        check(std::slice::from_ref(&added))?;
        Ok(Asked {
            added,
            removed: named_recipients(&removed, "--rm-")?,
            keep_unknown: self.keep_unknown,
            rm_unsupported: self.rm_unsupported,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Rotate,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let asked = arguments.recipients.read()?;
    let recursive = arguments.tree.recursive;
    let files = tree::files(context, &arguments.files, recursive, tree::is_sealed)?;
    if files.len() > 1 {
        refuse_one_for_many(arguments)?;
    }
    let name = |path: &PathBuf| path.display().to_string();
    let outcomes = many::open_each(
        context,
        &arguments.identity.services,
        &files,
        |path| path.as_path(),
        |own, path| rotate(own, arguments, config, &asked, path),
    );
    let names: Vec<String> = files.iter().map(name).collect();
    let found = many::settle(context, &names, outcomes, "rotated")?;
    for (index, recipient) in asked.removed.iter().enumerate() {
        if !found.iter().flatten().any(|&found| found == index) {
            let identity = recipient.identity();
            context.warn(&format!(
                "`{identity}` was no recipient, so nobody was removed"
            ));
        }
    }
    match files.len() {
        0 => context.note("there is no sealed file"),
        1 => {}
        number => context.note(&format!("{number} file(s) have a new data key")),
    }
    Ok(Exit::Success)
}

/// Options that mean one file, though there are many.
fn refuse_one_for_many(arguments: &Rotate) -> Result<(), Failure> {
    let conflict = |message, hint: &str| Err(Failure::new(Exit::Conflict, message).hint(hint));
    if !arguments.output.in_place {
        let message = "many files have no place to go to";
        return conflict(message, "add `--in-place` to replace each of them");
    }
    if arguments.filename_override.is_some() {
        let message = "one name cannot stand for many files";
        return conflict(message, "leave out `--filename-override`");
    }
    Ok(())
}

/// Rotates one file; says which of those to be removed it had, by their position.
fn rotate(
    context: &mut Context,
    arguments: &Rotate,
    config: Option<&Path>,
    asked: &Asked,
    path: &Path,
) -> Result<Vec<usize>, Failure> {
    let input = Input::new(Some(path.to_owned()));
    let target = Target::new(context, &input, &arguments.output)?;
    let known = arguments.filename_override.as_deref().unwrap_or(path);
    let named = InputArgs {
        file: Some(path.to_owned()),
        input_type: arguments.input_type,
        filename_override: arguments.filename_override.clone(),
    };
    let format = same_format(&named, arguments.output_type, "while its key is changed")?;
    let source = Source::new(input.name(), format, io::read(context, &input)?);
    let sealed = Sealed::parse(context, &source)?;
    let mut wanted = Wanted::of(&sealed.metadata);
    let removed = remove(&mut wanted, asked);
    add(&mut wanted, &asked.added);
    if !asked.keep_unknown {
        let hint = "take them out with `--rm-age` or the like, run `sops-rs updatekeys`, or add `--keep-unknown`";
        refuse_unnamed(context, config, known, &wanted, &asked.added, hint)?;
    }
    let text = rotated(context, &sealed, &wanted, &arguments.identity)?;
    target.write(context, text.as_bytes(), Privacy::Public)?;
    Ok(removed)
}

/// Takes out who shall go; which of them were there.
fn remove(wanted: &mut Wanted, asked: &Asked) -> Vec<usize> {
    let mut found = Vec::new();
    for group in &mut wanted.groups {
        group.retain(|recipient| {
            let meant = asked
                .removed
                .iter()
                .position(|removed| is_meant(removed, recipient));
            found.extend(meant);
            let unsupported = matches!(recipient, Recipient::Unknown { .. });
            meant.is_none() && !(unsupported && asked.rm_unsupported)
        });
    }
    found
}

/// Whether `--rm-…` with `named` means this recipient. SOPS wants role and context of a KMS key repeated to the letter, and
/// removes nobody without a word if they are not.
fn is_meant(named: &Recipient, recipient: &Recipient) -> bool {
    match (named, recipient) {
        (
            Recipient::Kms { arn, role, .. },
            Recipient::Kms {
                arn: other,
                role: other_role,
                ..
            },
        ) => arn == other && (role.is_empty() || role == other_role),
        _ => sops_rs::ops::rekey::same(named, recipient),
    }
}

/// Puts who comes into the first group.
fn add(wanted: &mut Wanted, added: &[Recipient]) {
    let new: Vec<Recipient> = added
        .iter()
        .filter(|recipient| !within(&wanted.groups, recipient))
        .cloned()
        .collect();
    if let Some(first) = wanted.groups.first_mut() {
        first.extend(new);
    }
}
