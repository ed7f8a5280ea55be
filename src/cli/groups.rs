//! `groups add` and `groups delete`: key groups of one file (spec 9.9 without its traps).

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sops_rs::format::Format;

use super::args::{IdentityArgs, KeyArgs};
use super::context::Context;
use super::creation::{check, named_recipients};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::rekeying::{Wanted, refuse_unnamed, rewrapped, threshold};
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::target::Target;

/// Add or delete key groups of a file
///
/// With several groups the data key is split: a person, or a service, of each of so many groups is needed to open the file
/// as its threshold says.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs groups add -i -f secrets.yaml --age age1…
  sops-rs groups delete -i -f secrets.yaml 2")]
pub(crate) struct Groups {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Add(Box<Add>),
    Delete(Delete),
}

/// The file, and where the result goes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Input and output")]
struct FileArgs {
    /// The sealed file
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Format of the file; the default is what its name says
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    /// Replace the file by the result
    #[arg(short, long)]
    in_place: bool,
    /// Give a share also to recipients of the other groups that the config does not name
    #[arg(long)]
    keep_unknown: bool,
}

/// Add a group behind the others
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs groups add -i -f secrets.yaml --age age1…,age1… --shamir-secret-sharing-threshold 2")]
struct Add {
    #[command(flatten)]
    file: FileArgs,
    /// age recipients of the group
    #[arg(short, long, value_name = "RECIPIENTS", value_delimiter = ',')]
    age: Vec<String>,
    /// Fingerprints of OpenPGP keys
    #[arg(short, long, value_name = "FINGERPRINTS", value_delimiter = ',')]
    pgp: Vec<String>,
    /// ARNs of AWS KMS keys
    #[arg(short, long, value_name = "ARNS", value_delimiter = ',')]
    kms: Vec<String>,
    /// Profile of the AWS config that the KMS keys are used with
    #[arg(long, value_name = "PROFILE")]
    aws_profile: Option<String>,
    /// AWS KMS encryption context, as `KEY:VALUE` pairs
    #[arg(long, value_name = "PAIRS")]
    encryption_context: Option<String>,
    /// Resource ids of Google Cloud KMS keys
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    gcp_kms: Vec<String>,
    /// HuaweiCloud KMS keys, as `REGION:UUID`
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    hckms: Vec<String>,
    /// URLs of Azure Key Vault keys
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    azure_kv: Vec<String>,
    /// URIs of HashiCorp Vault or `OpenBao` transit keys
    #[arg(long, value_name = "URIS", value_delimiter = ',')]
    hc_vault_transit: Vec<String>,
    /// Number of key groups that are needed to open the file; the default is what it says, and all if it has had one group
    #[arg(long, value_name = "N")]
    shamir_secret_sharing_threshold: Option<usize>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Delete a group
///
/// If one group remains, it has the data key whole again. Whoever was in the deleted group may have kept the data key:
/// `rotate` makes a new one.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  sops-rs groups delete -i -f secrets.yaml 2")]
struct Delete {
    #[command(flatten)]
    file: FileArgs,
    /// Number of the group, counted from 0
    #[arg(value_name = "INDEX")]
    index: usize,
    /// Number of key groups that are needed to open the file; the default is what it says
    #[arg(long, value_name = "N")]
    shamir_secret_sharing_threshold: Option<usize>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Groups,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Add(arguments) => {
            let group = named_recipients(&arguments.keys(), "--")?;
            if group.is_empty() {
                return Err(Failure::new(Exit::Failed, "the new group would be empty")
                    .hint("name its recipients, for example with `--age`"));
            }
            check(std::slice::from_ref(&group))?;
            let asked = arguments.shamir_secret_sharing_threshold;
            change(
                context,
                config,
                &arguments.file,
                &arguments.identity,
                asked,
                |_, wanted| {
                    wanted.groups.push(group);
                    Ok(wanted.groups.len() - 1)
                },
            )
        }
        Verb::Delete(arguments) => {
            let asked = arguments.shamir_secret_sharing_threshold;
            change(
                context,
                config,
                &arguments.file,
                &arguments.identity,
                asked,
                |name, wanted| delete(name, wanted, arguments.index, asked),
            )
        }
    }
}

impl Add {
    fn keys(&self) -> KeyArgs {
        KeyArgs {
            age: self.age.clone(),
            pgp: self.pgp.clone(),
            kms: self.kms.clone(),
            aws_profile: self.aws_profile.clone(),
            encryption_context: self.encryption_context.clone(),
            gcp_kms: self.gcp_kms.clone(),
            hckms: self.hckms.clone(),
            azure_kv: self.azure_kv.clone(),
            hc_vault_transit: self.hc_vault_transit.clone(),
            shamir_secret_sharing_threshold: None,
        }
    }
}

/// Does `change`, which gives the index of the group that it adds or takes out. The others get new shares, if the config
/// names them: anybody who can write to the repository can write himself into a file.
fn change(
    context: &mut Context,
    config: Option<&Path>,
    file: &FileArgs,
    identity: &IdentityArgs,
    asked: Option<usize>,
    change: impl FnOnce(&str, &mut Wanted) -> Result<usize, Failure>,
) -> Result<Exit, Failure> {
    let input = Input::new(Some(file.file.clone()));
    if file.in_place {
        io::refuse_stream(context, &file.file)?;
    }
    let of_name = || Format::of_path(&file.file.to_string_lossy());
    let format = file.input_type.unwrap_or_else(of_name);
    let source = Source::new(input.name(), format, io::read(context, &input)?);
    let sealed = Sealed::parse(context, &source)?;
    let mut wanted = Wanted::of(&sealed.metadata);
    let at = change(&source.name, &mut wanted)?;
    let number = asked.unwrap_or(0);
    wanted.threshold = threshold(&sealed.metadata, wanted.groups.len(), number);
    if !file.keep_unknown {
        let mut others = Wanted::of(&sealed.metadata);
        others
            .groups
            .resize(others.groups.len().max(at + 1), Vec::new());
        if let Some(group) = others.groups.get_mut(at) {
            group.clear();
        }
        // What the command line asks for is meant.
        others.threshold = if asked.is_some() { 0 } else { wanted.threshold };
        let hint = "`sops-rs updatekeys` takes them out, `--keep-unknown` keeps them";
        refuse_unnamed(context, config, &file.file, &others, &[], hint)?;
    }
    let text = rewrapped(context, &sealed, &wanted, identity)?;
    let target = if file.in_place {
        Target::File(file.file.clone())
    } else {
        Target::Stdout
    };
    target.write(context, text.as_bytes(), Privacy::Public)?;
    Ok(Exit::Success)
}

/// Takes the group out, if the others are enough; gives its index.
fn delete(
    name: &str,
    wanted: &mut Wanted,
    index: usize,
    asked: Option<usize>,
) -> Result<usize, Failure> {
    let count = wanted.groups.len();
    if index >= count {
        let message = format!("`{name}` has {count} key group(s), and none of number {index}");
        let failure = Failure::new(Exit::Failed, message);
        let groups = wanted.groups.iter().enumerate();
        let failure = groups.fold(failure, |failure, (number, group)| {
            let names: Vec<String> = group.iter().map(|recipient| recipient.identity()).collect();
            failure.detail(format!("{number}: {}", names.join(", ")))
        });
        return Err(failure.hint("groups are counted from 0"));
    }
    if count == 1 {
        let message =
            format!("`{name}` has one key group only; without it nobody could open the file");
        return Err(Failure::new(Exit::Failed, message).hint("add another group first"));
    }
    let needed = asked.unwrap_or(wanted.threshold);
    if needed > count - 1 {
        let message = format!(
            "{} group(s) would be left, and {needed} are needed",
            count - 1
        );
        return Err(Failure::new(Exit::Failed, message)
            .hint("give a lower number with `--shamir-secret-sharing-threshold`"));
    }
    wanted.groups.remove(index);
    Ok(index)
}
