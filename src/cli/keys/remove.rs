//! `keys remove`: somebody leaves. Every file they could open gets a new data key that they do not have, and the values
//! that they could read are listed: those have to be changed where they come from.
//!
//! The list is printed before anything is changed, and the config is changed last: killed in between, the same command
//! does the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::config::Change;
use sops_rs::ops::inventory::sealed_values;
use sops_rs::ops::rekey::same;
use sops_rs::recipient::Recipient;
use zeroize::Zeroizing;

use super::{Home, agree, cannot_edit};
use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::creation::{find, normal, shown};
use crate::cli::exit::Exit;
use crate::cli::io::{self, Privacy};
use crate::cli::many;
use crate::cli::rekeying::{Wanted, refuse_unnamed, rotated, threshold};
use crate::cli::report::{Failure, escaped};
use crate::cli::sealed::Sealed;

/// Take somebody out
///
/// Every sealed file below the config that they could open gets a new data key, and the config forgets them. Lists the
/// values they could read, by file and path: whoever has read a value knows it still, and old versions stay in the history
/// of git, so those values have to be changed where they come from.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs keys remove carol
  sops-rs keys remove age1… --yes > to-change.txt")]
pub(crate) struct Remove {
    /// Names from the config, or recipients
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Give new keys also to recipients that the config does not name
    #[arg(long)]
    keep_unknown: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// A file that they can open.
struct Planned {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    wanted: Wanted,
    /// What they could read, by path.
    values: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Remove,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let home = Home::find(context, config)?;
    let text = home.read(context)?;
    let gone = people(context, &home, &arguments.names)?;
    let new = Change {
        text: &text,
        strictness: home.strictness,
    }
    .remove(&gone)
    .map_err(|error| cannot_edit(&home.name, &error))?;
    let mut planned = Vec::new();
    let (own, others) = home.files(context)?;
    for path in own {
        planned.extend(plan(context, &path, &gone)?);
    }
    warn_of_others(context, &others, &gone);
    if new == text && planned.is_empty() {
        context.note("nobody to remove: neither the config nor a file names them");
        return Ok(Exit::Success);
    }
    show(context, &home, arguments, &gone, new != text, &planned)?;
    if !arguments.yes && !agree(context)? {
        context.note("nothing was changed");
        return Ok(Exit::Success);
    }
    let shown = |plan: &Planned| plan.path.display().to_string();
    let names: Vec<String> = planned.iter().map(shown).collect();
    let outcomes = many::open_each(
        context,
        &arguments.identity.services,
        &planned,
        |plan| plan.path.as_path(),
        |own, plan| take(own, arguments, config, plan),
    );
    many::settle(context, &names, outcomes, "given a new data key")?;
    if new != text {
        io::replace(context, &home.path, new.as_bytes(), Privacy::Public)?;
    }
    let (files, values) = (
        planned.len(),
        planned.iter().map(|plan| plan.values.len()).sum::<usize>(),
    );
    context.note(&format!(
        "{files} file(s) have a new data key; {values} value(s) have to be changed at their source"
    ));
    Ok(Exit::Success)
}

/// Everybody who is meant.
fn people(context: &mut Context, home: &Home, names: &[String]) -> Result<Vec<Recipient>, Failure> {
    let config = home.config(context)?;
    let mut gone = Vec::new();
    for name in names {
        let mut called = config.called(name);
        if called.is_empty() {
            called.extend(Recipient::parse(name));
        }
        if called.is_empty() {
            let message = format!(
                "`{}` is no name in `{}`, and no recipient",
                escaped(name),
                home.name
            );
            return Err(
                Failure::new(Exit::Failed, message).hint("`sops-rs keys list` says who is there")
            );
        }
        gone.extend(called);
    }
    let also = config.recipients().filter(|recipient| {
        let meant = gone.iter().any(|gone| is_meant(gone, recipient));
        meant && !gone.contains(recipient)
    });
    let also: Vec<Recipient> = also.cloned().collect();
    gone.extend(also);
    Ok(gone)
}

/// Tells of files that they can open and that another config governs: these are left as they are.
fn warn_of_others(context: &mut Context, files: &[PathBuf], gone: &[Recipient]) {
    let mut configs: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        let opens = super::metadata(context, path).is_ok_and(|metadata| {
            let mut all = metadata.keys();
            all.any(|key| gone.iter().any(|gone| is_meant(gone, &key.recipient)))
        });
        let found = find(context, None, &normal(&context.resolve(path)));
        if let Some((config, _)) = found.filter(|_| opens) {
            *configs.entry(shown(context, &config)).or_default() += 1;
        }
    }
    for (config, count) in configs {
        context.warn(&format!(
            "{count} file(s) that they can open are left as they are, since `{config}` governs them: run the same command there"
        ));
    }
}

/// What has to be done to a file; `None` if none of them can open it.
fn plan(
    context: &mut Context,
    path: &Path,
    gone: &[Recipient],
) -> Result<Option<Planned>, Failure> {
    let source = super::source(context, path)?;
    let sealed = Sealed::parse(context, &source)?;
    let mut wanted = Wanted::of(&sealed.metadata);
    let goes = |recipient: &Recipient| gone.iter().any(|gone| is_meant(gone, recipient));
    if !wanted.groups.iter().flatten().any(goes) {
        return Ok(None);
    }
    for group in &mut wanted.groups {
        group.retain(|recipient| !goes(recipient));
    }
    if wanted.groups.iter().any(Vec::is_empty) {
        let message = format!(
            "nobody else could open `{}`, or one of its key groups",
            source.name
        );
        return Err(Failure::new(Exit::Failed, message)
            .hint("add somebody first: `sops-rs keys add`, or remove the file"));
    }
    wanted.threshold = threshold(&sealed.metadata, wanted.groups.len(), 0);
    let values = sealed_values(&sealed.document);
    Ok(Some(Planned {
        path: path.to_owned(),
        bytes: source.bytes.clone(),
        wanted,
        values,
    }))
}

/// A key of AWS is meant with every context and profile, and an SSH key with every remark behind it: who leaves leaves in
/// all of them.
fn is_meant(gone: &Recipient, recipient: &Recipient) -> bool {
    let ssh_key = |recipient: &Recipient| match recipient {
        Recipient::Age { recipient } if recipient.starts_with("ssh-") => {
            let words: Vec<String> = recipient.split_whitespace().map(str::to_owned).collect();
            words.get(..2).map(<[String]>::to_vec)
        }
        _ => None,
    };
    match (gone, recipient) {
        _ if ssh_key(gone).is_some() => ssh_key(gone) == ssh_key(recipient),
        (Recipient::Kms { arn, .. }, Recipient::Kms { arn: other, .. }) => arn == other,
        _ => same(gone, recipient),
    }
}

/// Prints what they could read, by file. This is the data of the command; what happens is told on standard error.
fn show(
    context: &mut Context,
    home: &Home,
    arguments: &Remove,
    gone: &[Recipient],
    config: bool,
    planned: &[Planned],
) -> Result<(), Failure> {
    let names = arguments.names.join(", ");
    context.note(&format!(
        "{names} will be taken out of {} file(s){}",
        planned.len(),
        if config {
            format!(" and out of `{}`", home.name)
        } else {
            String::new()
        }
    ));
    for recipient in gone {
        context.note(&format!("that is `{}`", recipient.identity()));
    }
    if planned.is_empty() {
        return Ok(());
    }
    context.note("what they could read, to be changed where it comes from:");
    let mut text = String::new();
    for plan in planned {
        let path = plan.path.display().to_string();
        for (value, count) in counted(&plan.values) {
            let value = if value.is_empty() {
                "the whole file"
            } else {
                value
            };
            let times = if count > 1 {
                format!(" ({count} times)")
            } else {
                String::new()
            };
            text.push_str(&format!("{}: {}{times}\n", escaped(&path), escaped(value)));
        }
    }
    context.print(text.as_bytes())
}

/// The paths, each once: documents of one file can have the same.
fn counted(values: &[String]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let mut listed: Vec<(&str, usize)> = Vec::with_capacity(counts.len());
    for value in values {
        if let Some(count) = counts.remove(value.as_str()) {
            listed.push((value, count));
        }
    }
    listed
}

/// Gives one file a new data key, if it still is the file that was planned for.
fn take(
    context: &mut Context,
    arguments: &Remove,
    config: Option<&Path>,
    plan: &Planned,
) -> Result<(), Failure> {
    let source = super::unchanged(context, &plan.path, &plan.bytes)?;
    let sealed = Sealed::parse(context, &source)?;
    if !arguments.keep_unknown {
        let hint = "`sops-rs updatekeys` takes them out, `--keep-unknown` keeps them";
        refuse_unnamed(context, config, &plan.path, &plan.wanted, &[], hint)?;
    }
    let text = rotated(context, &sealed, &plan.wanted, &arguments.identity)?;
    io::replace(context, &plan.path, text.as_bytes(), Privacy::Public)
}
