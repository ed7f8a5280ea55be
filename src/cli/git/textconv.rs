//! `git textconv`: what `git diff`, `git log -p` and `git blame` show of a sealed file (gitattributes(5), "Performing text
//! diffs of binary files").
//!
//! A program that fails here ends the whole diff, so this one never does: what cannot be opened is shown sealed, with a
//! line that says why. Nobody is asked anything.

use std::path::{Path, PathBuf};

use clap::Args;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::ops::decrypt::Opening;
use sops_rs::ops::mask::mask;

use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::io::{self, Input};
use crate::cli::report::{Failure, escaped};
use crate::cli::sealed::{Sealed, Source};

/// Show a sealed file for a diff; git calls this
///
/// Values are shown in plain; with --masked, in CI, or if `SOPS_RS_DIFF` is `masked`, as their length and a fingerprint that
/// tells only whether two are equal. What can open the file follows, so that a diff shows it too.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  git config diff.sops.textconv 'sops-rs git textconv'    # what `git install` does
  sops-rs git textconv --masked secrets/prod.yaml")]
pub(crate) struct Textconv {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show lengths and fingerprints in place of values
    #[arg(long)]
    masked: bool,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Runs the command.
///
/// # Errors
/// [`Exit::CannotWrite`] if git does not take the text.
pub(crate) fn run(context: &mut Context, arguments: &Textconv) -> Result<Exit, Failure> {
    context.ask_nobody();
    let input = Input::File(arguments.file.clone());
    let Ok(bytes) = io::read(context, &input) else {
        return Ok(Exit::Success);
    };
    let name = input.name();
    let format = Format::of_path(&name);
    let source = Source::new(name, format, bytes);
    // A file in the history may have been plain, or have conflict markers.
    let document = source.document(Exit::Failed).ok();
    let Some(document) = document.filter(|document| !document.metadata().is_empty()) else {
        context.print(&source.bytes)?;
        return Ok(Exit::Success);
    };
    match shown(context, arguments, &source, document) {
        Ok(text) => context.print(&text)?,
        Err(failure) => {
            // The name is that of a temporary file, another one at each call.
            let message = failure
                .message
                .replace(&format!("`{}`", source.name), "this file");
            let reason = escaped(&message).into_owned();
            context.print(format!("# sops-rs: cannot decrypt: {reason}\n").as_bytes())?;
            // On one line: more would push the first one out of what a diff shows.
            let details: Vec<_> = failure.details().collect();
            if !details.is_empty() {
                context.print(format!("#   {}\n", details.join("; ")).as_bytes())?;
            }
            context.print(&source.bytes)?;
        }
    }
    Ok(Exit::Success)
}

fn shown(
    context: &mut Context,
    arguments: &Textconv,
    source: &Source,
    document: Document<'_>,
) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let sealed = Sealed::of(context, &source.name, document)?;
    let key = sealed.data_key(context, &arguments.identity)?;
    let mut text = if is_masked(context, arguments) {
        let masked = mask(&sealed.document, &key);
        let masked = masked.map_err(|error| Failure::new(Exit::CannotOpen, error.to_string()))?;
        zeroize::Zeroizing::new(masked.into_bytes())
    } else if source.format == Format::Binary {
        sealed.decrypt_binary(&key, true)?
    } else {
        // A wrong MAC is the business of those who use the file; a diff may show what was done to it.
        let opening = Opening {
            ignore_mac: true,
            ..Opening::default()
        };
        let mut decrypted = sealed.decrypt(&key, opening)?;
        zeroize::Zeroizing::new(std::mem::take(&mut *decrypted.text).into_bytes())
    };
    let footer = footer(&sealed.metadata);
    let mut whole = zeroize::Zeroizing::new(Vec::with_capacity(text.len() + footer.len() + 1));
    whole.append(&mut text);
    if !whole.ends_with(b"\n") && !whole.is_empty() {
        whole.push(b'\n');
    }
    whole.extend_from_slice(footer.as_bytes());
    Ok(whole)
}

fn is_masked(context: &Context, arguments: &Textconv) -> bool {
    let wish = context
        .variable("SOPS_RS_DIFF")
        .and_then(|wish| wish.to_str());
    arguments.masked
        || wish == Some("masked")
        || wish != Some("values")
            && context
                .variable("CI")
                .is_some_and(|ci| ci != Path::new("false"))
}

/// Who can open the file and by which rule it is sealed: a line each, so that diffs show what changed.
fn footer(metadata: &Metadata) -> String {
    let mut text = String::new();
    let several = metadata.groups.len() > 1;
    for (number, group) in metadata.groups.iter().enumerate() {
        for wrapped in group {
            let of_group = if several {
                format!(" (group {})", number + 1)
            } else {
                String::new()
            };
            text.push_str(&format!(
                "# sops: opened by {}{of_group}\n",
                escaped(&wrapped.recipient.identity())
            ));
        }
    }
    if several {
        text.push_str(&format!(
            "# sops: needs {} groups\n",
            metadata.shamir_threshold
        ));
    }
    if let Some((kind, rule)) = &metadata.rule {
        text.push_str(&format!("# sops: {}: {}\n", kind.name(), escaped(rule)));
    }
    if metadata.mac_only_encrypted {
        text.push_str("# sops: mac_only_encrypted\n");
    }
    text
}
