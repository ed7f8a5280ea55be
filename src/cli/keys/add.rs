//! `keys add`: a new person in the config, and in every sealed file of the rules that name them.
//!
//! First the plan, then the question, then the config, then the files. Killed in between, the same command goes on where it
//! stopped: what is done is not planned again.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::config::Change;
use sops_rs::keys::age::check_recipient;
use sops_rs::ops::rekey::same;
use sops_rs::recipient::Recipient;
use zeroize::Zeroizing;

use super::roster::Roster;
use super::{Home, agree, cannot_edit};
use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Input, Privacy};
use crate::cli::many;
use crate::cli::rekeying::{Wanted, refuse_unnamed, rewrapped};
use crate::cli::report::{Failure, escaped};
use crate::cli::sealed::Sealed;

/// Let somebody in
///
/// Puts the person into the config, under their name, and into its creation rules; then every sealed file of those rules can
/// be opened by them. Values and data keys stay as they are.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs keys add carol age1…
  sops-rs keys add carol 'ssh-ed25519 AAAA… carol@laptop' --rule 2
  curl https://github.com/carol.keys | sops-rs keys add --github carol --yes")]
pub(crate) struct Add {
    /// What the person is called
    #[arg(value_name = "NAME", required_unless_present = "github")]
    name: Option<String>,
    /// Their keys, of any type: age or SSH recipients, OpenPGP fingerprints, keys of a KMS
    #[arg(value_name = "RECIPIENT", required_unless_present = "github")]
    recipients: Vec<String>,
    /// Read the SSH keys of this GitHub user from standard input; that is also the name, unless one is given
    #[arg(long, value_name = "USER")]
    github: Option<String>,
    /// Number of a creation rule, from 1; may be repeated; the default is all of them
    #[arg(long = "rule", value_name = "N")]
    rules: Vec<usize>,
    /// Number of the key group, from 1, where rules have several
    #[arg(long, value_name = "N")]
    group: Option<usize>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// A file that the person cannot open yet.
struct Planned {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    wanted: Wanted,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(
    context: &mut Context,
    arguments: &Add,
    config: Option<&Path>,
) -> Result<Exit, Failure> {
    let (name, recipients) = person(context, arguments)?;
    let home = Home::find(context, config)?;
    let text = home.read(context)?;
    let rules = if arguments.rules.is_empty() {
        (1..=home.config(context)?.rule_count()).collect()
    } else {
        arguments.rules.clone()
    };
    if rules.is_empty() {
        let message = format!(
            "`{}` has no creation rules that could name anybody",
            home.name
        );
        return Err(Failure::new(Exit::Failed, message)
            .hint("add one with `path_regex` and a first recipient, such as your own"));
    }
    let new = Change {
        text: &text,
        strictness: home.strictness,
    }
    .add(&name, &recipients, &rules, arguments.group)
    .map_err(|error| cannot_edit(&home.name, &error))?;

    let mut roster = Roster::new(config);
    let mut planned = Vec::new();
    for path in home.files(context)?.0 {
        let Some(rule) = roster.rule(context, &path)? else {
            continue;
        };
        if rules.contains(&rule.rule) {
            planned.extend(plan(context, &path, arguments.group, &recipients)?);
        }
    }
    if new == text && planned.is_empty() {
        context.note(&format!("`{name}` is in already: nothing to do"));
        return Ok(Exit::Success);
    }
    show(context, &home, &name, &recipients, new != text, &planned)?;
    if !arguments.yes && !agree(context)? {
        context.note("nothing was changed");
        return Ok(Exit::Success);
    }
    if new != text {
        io::replace(context, &home.path, new.as_bytes(), Privacy::Public)?;
    }
    let shown = |plan: &Planned| plan.path.display().to_string();
    let names: Vec<String> = planned.iter().map(shown).collect();
    let outcomes = many::open_each(
        context,
        &arguments.identity.services,
        &planned,
        |plan| plan.path.as_path(),
        |own, plan| give(own, arguments, config, plan),
    );
    many::settle(context, &names, outcomes, "changed")?;
    if home.config(context)?.called(&name).is_empty() {
        context.note(&format!(
            "the config has no place for the name `{name}`, since no recipient has a line of its own; to take them out, name the recipients"
        ));
    }
    context.note(&format!("`{name}` can open {} more file(s)", planned.len()));
    Ok(Exit::Success)
}

/// Who is to come in.
fn person(context: &mut Context, arguments: &Add) -> Result<(String, Vec<Recipient>), Failure> {
    let mut recipients = Vec::new();
    for text in &arguments.recipients {
        let recipient = Recipient::parse(text).map_err(|error| {
            Failure::new(Exit::Failed, error.to_string())
                .hint("give an age or SSH recipient, an OpenPGP fingerprint, or a key of a KMS")
        })?;
        recipients.push(recipient);
    }
    if let Some(user) = &arguments.github {
        recipients.extend(from_github(context, user)?);
    }
    for recipient in &recipients {
        if let Recipient::Age { recipient } = recipient {
            check_recipient(recipient).map_err(|error| {
                let message = format!("`{recipient}` cannot be a recipient: {error}");
                Failure::new(Exit::Failed, message).hint("check that it was copied whole")
            })?;
        }
    }
    let name = arguments.name.as_ref().or(arguments.github.as_ref());
    Ok((name.cloned().unwrap_or_default(), recipients))
}

/// The SSH keys on standard input, as GitHub lists them. Keys of types that age does not know are passed over.
fn from_github(context: &mut Context, user: &str) -> Result<Vec<Recipient>, Failure> {
    let bytes = io::read(context, &Input::Stdin)?;
    let text = io::text(&bytes, "the keys on standard input")?;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let usable = check_recipient(line).is_ok() && line.starts_with("ssh-");
        match Recipient::parse_age(line) {
            Ok(recipient) if usable => found.push(recipient),
            _ => {
                let kind = line.split_whitespace().next().unwrap_or_default();
                let kind: String = kind.chars().take(40).collect();
                context.note(&format!("a key of type `{kind}` was passed over: files can be sealed for ssh-ed25519 and ssh-rsa"));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            format!("there is no usable SSH key of `{user}` on standard input"),
        )
        .hint(format!("pipe in what https://github.com/{user}.keys has")));
    }
    Ok(found)
}

/// What has to be done to a file; `None` if all of `recipients` are in it.
fn plan(
    context: &mut Context,
    path: &Path,
    group: Option<usize>,
    recipients: &[Recipient],
) -> Result<Option<Planned>, Failure> {
    let source = super::source(context, path)?;
    let metadata = Sealed::parse(context, &source)?.metadata;
    let mut wanted = Wanted::of(&metadata);
    let index = group.map_or(0, |group| group.saturating_sub(1));
    let Some(members) = wanted.groups.get_mut(index) else {
        let message = format!("`{}` has no key group {}", source.name, index + 1);
        return Err(Failure::new(Exit::Failed, message)
            .hint("bring the file in line with its rule first: `sops-rs updatekeys`"));
    };
    let before = members.len();
    for recipient in recipients {
        if !members.iter().any(|member| same(member, recipient)) {
            members.push(recipient.clone());
        }
    }
    let changes = members.len() > before;
    Ok(changes.then(|| Planned {
        path: path.to_owned(),
        bytes: source.bytes.clone(),
        wanted,
    }))
}

fn show(
    context: &mut Context,
    home: &Home,
    name: &str,
    recipients: &[Recipient],
    config: bool,
    planned: &[Planned],
) -> Result<(), Failure> {
    let mut text = format!("{} joins, with\n", escaped(name));
    for recipient in recipients {
        text.push_str(&format!("  {}\n", escaped(&recipient.identity())));
    }
    if config {
        text.push_str(&format!("in the config `{}`\n", escaped(&home.name)));
    }
    if !planned.is_empty() {
        text.push_str("and can then open\n");
    }
    for plan in planned {
        text.push_str(&format!(
            "  {}\n",
            escaped(&plan.path.display().to_string())
        ));
    }
    context.print(text.as_bytes())
}

/// Gives the key of one file to the new ones, if it still is the file that was planned for.
fn give(
    context: &mut Context,
    arguments: &Add,
    config: Option<&Path>,
    plan: &Planned,
) -> Result<(), Failure> {
    let source = super::unchanged(context, &plan.path, &plan.bytes)?;
    let sealed = Sealed::parse(context, &source)?;
    // With several groups everybody gets a new share. The config names the new ones by now.
    if plan.wanted.groups.len() > 1 {
        let hint = "take them out with `sops-rs updatekeys` first, or name them in the config";
        refuse_unnamed(context, config, &plan.path, &plan.wanted, &[], hint)?;
    }
    let text = rewrapped(context, &sealed, &plan.wanted, &arguments.identity)?;
    io::replace(context, &plan.path, text.as_bytes(), Privacy::Public)
}
