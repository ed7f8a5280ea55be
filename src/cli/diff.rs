//! `diff`: what is different in two versions of a sealed file, by path.
//!
//! Versions are files, or what git has: `REV:path`, `:path` for the index. Shows lengths and fingerprints unless values are
//! asked for, and works on tokens alone where no key is at hand.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::node::{Kind, NodeId};
use sops_rs::ops::decrypt::Opening;
use sops_rs::ops::diff::{Change, What, diff, diff_metadata, kind};
use sops_rs::ops::mask::Fingerprints;
use sops_rs::secret::DataKey;
use sops_rs::value::{Type, Value};
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::exit::Exit;
use super::io::{self, Input};
use super::report::{Failure, escaped};
use super::repository::Repository;
use super::sealed::{Sealed, Source};

/// Say what is different in two versions of a file, by path
///
/// A version is a file, `REV:path` for what git has in a revision, or `:path` for what is staged. With one version, it is
/// compared with what git has in HEAD. Values are shown as their length and a fingerprint; equal values have equal ones.
/// Without a key, tokens are compared: a value that was sealed anew looks changed then. Ends with 0 if there is no
/// difference and with 1 if there is one.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  sops-rs diff secrets/prod.yaml
  sops-rs diff HEAD~3:secrets/prod.yaml secrets/prod.yaml
  sops-rs diff --values staging.yaml prod.yaml")]
pub(crate) struct Diff {
    /// The old version; with one version alone, that is the new one
    #[arg(value_name = "OLD")]
    old: String,
    /// The new version
    #[arg(value_name = "NEW")]
    new: Option<String>,
    /// Show values in plain
    #[arg(long)]
    values: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Format of both; the default is what their names say
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format())]
    input_type: Option<Format>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// One version as it is compared: opened if it is sealed and can be.
struct Version {
    text: Zeroizing<String>,
    metadata: Option<Metadata>,
    key: Option<DataKey>,
    /// Why it is compared sealed.
    sealed: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Diff) -> Result<Exit, Failure> {
    let (old_name, new_name) = match &arguments.new {
        Some(new) => (arguments.old.clone(), new.clone()),
        None => (head(context, &arguments.old)?, arguments.old.clone()),
    };
    let new = read(context, arguments, &new_name)?;
    let old = read(context, arguments, &old_name)?;
    let format = new.format;
    if old.format != format {
        return Err(
            Failure::new(Exit::Conflict, "the two versions have different formats")
                .hint("say which it is with `--input-type`"),
        );
    }
    let mut one = open(context, arguments, &old)?;
    let mut other = open(context, arguments, &new)?;
    // An opened text and a sealed one have nothing in common.
    if one.sealed.is_some() != other.sealed.is_some()
        && one.metadata.is_some()
        && other.metadata.is_some()
    {
        one = as_it_stands(&old, one)?;
        other = as_it_stands(&new, other)?;
    }
    if let Some(reason) = one.sealed.as_ref().or(other.sealed.as_ref()) {
        context.note(&format!("compared by tokens, not by values: {reason}"));
    }
    let who = match (&one.metadata, &other.metadata) {
        (Some(before), Some(after)) => diff_metadata(before, after),
        (None, Some(_)) => vec!["+ the file is sealed".to_owned()],
        (Some(_), None) => vec!["- the file is no longer sealed".to_owned()],
        (None, None) => Vec::new(),
    };
    if format == Format::Binary {
        return binary(context, arguments, &one, &other, &who);
    }
    let before = Document::parse(format, &one.text)
        .map_err(|error| Failure::scan(&old_name, format, &one.text, &error))?;
    let after = Document::parse(format, &other.text)
        .map_err(|error| Failure::scan(&new_name, format, &other.text, &error))?;
    let differences = diff(&before, &after);
    let shown = Shown {
        values: arguments.values,
        tokens: one.sealed.is_some(),
        fingerprints: other
            .key
            .as_ref()
            .or(one.key.as_ref())
            .and_then(Fingerprints::new),
    };
    let changes: Vec<(String, What, Option<String>, Option<String>)> = differences
        .changes
        .iter()
        .map(|(path, change)| {
            let Change { what, old, new } = *change;
            (
                path.clone(),
                what,
                shown.of(&before, old),
                shown.of(&after, new),
            )
        })
        .collect();
    let text = if arguments.json {
        as_json(&changes, &who, shown.tokens)
    } else {
        as_text(&changes, &who)
    };
    context.print(text.as_bytes())?;
    Ok(if changes.is_empty() && who.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    })
}

/// The name of what git has of a file in HEAD.
fn head(context: &Context, file: &str) -> Result<String, Failure> {
    let path = context.resolve(Path::new(file));
    let repository = Repository::around(context, Path::new(file));
    let top = repository.top(context)?;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let within = real(&path).strip_prefix(real(&top)).map(Path::to_owned);
    let within = within
        .map_err(|_| Failure::new(Exit::Failed, format!("`{file}` is not in the work tree")))?;
    Ok(format!("HEAD:{}", within.display()))
}

/// Reads a version: a file if there is one of that name, else something of git.
fn read(context: &mut Context, arguments: &Diff, name: &str) -> Result<Source, Failure> {
    let path = PathBuf::from(name);
    let is_file = context.resolve(&path).is_file();
    let bytes = match name.split_once(':') {
        Some(_) if !is_file => Repository::here(context).blob(context, name)?,
        _ => io::read(context, &Input::new(Some(path))).map_err(|failure| {
            if failure.exit == Exit::NoFile {
                failure.hint("what git has is written `REV:path`, and `:path` for what is staged")
            } else {
                failure
            }
        })?,
    };
    let format = arguments
        .input_type
        .unwrap_or_else(|| Format::of_path(name));
    Ok(Source::new(name.to_owned(), format, bytes))
}

fn open(context: &mut Context, arguments: &Diff, source: &Source) -> Result<Version, Failure> {
    if !source.is_sealed() {
        let text = match io::text(&source.bytes, &source.name) {
            Ok(text) => text.to_owned(),
            Err(_) if source.format == Format::Binary => {
                String::from_utf8_lossy(&source.bytes).into_owned()
            }
            Err(failure) => return Err(failure),
        };
        return Ok(Version {
            text: Zeroizing::new(text),
            metadata: None,
            key: None,
            sealed: None,
        });
    }
    let sealed = Sealed::parse(context, source)?;
    let metadata = Some(sealed.metadata.clone());
    let key = match sealed.data_key(context, &arguments.identity) {
        Ok(key) => key,
        Err(failure) => {
            let text = Zeroizing::new(sealed.document.source().to_owned());
            return Ok(Version {
                text,
                metadata,
                key: None,
                sealed: Some(failure.message),
            });
        }
    };
    let text = if source.format == Format::Binary {
        let mut bytes = sealed.decrypt_binary(&key, false)?;
        Zeroizing::new(
            String::from_utf8(std::mem::take(&mut *bytes))
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        )
    } else {
        sealed.decrypt(&key, Opening::default())?.text
    };
    Ok(Version {
        text,
        metadata,
        key: Some(key),
        sealed: None,
    })
}

/// The same version by its tokens.
fn as_it_stands(source: &Source, version: Version) -> Result<Version, Failure> {
    let text = Zeroizing::new(io::text(&source.bytes, &source.name)?.to_owned());
    let sealed = version
        .sealed
        .or_else(|| Some("the other version cannot be opened".to_owned()));
    Ok(Version {
        text,
        sealed,
        ..version
    })
}

fn binary(
    context: &mut Context,
    arguments: &Diff,
    one: &Version,
    other: &Version,
    who: &[String],
) -> Result<Exit, Failure> {
    let same = *one.text == *other.text;
    let changes = if same {
        Vec::new()
    } else {
        vec![("(the whole file)".to_owned(), What::Changed, None, None)]
    };
    let text = if arguments.json {
        as_json(&changes, who, one.sealed.is_some())
    } else {
        as_text(&changes, who)
    };
    context.print(text.as_bytes())?;
    Ok(if same && who.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    })
}

/// How values are shown.
struct Shown {
    values: bool,
    tokens: bool,
    fingerprints: Option<Fingerprints>,
}

impl Shown {
    /// What is shown of a node; nothing of collections.
    fn of(&self, document: &Document<'_>, id: Option<NodeId>) -> Option<String> {
        let node = document.node(id?)?;
        if node.kind != Kind::Scalar {
            return Some(match node.kind {
                Kind::Mapping => "a mapping".to_owned(),
                Kind::Sequence => "a list".to_owned(),
                _ => node.span.of(document.source()).to_owned(),
            });
        }
        let value = document.value(node).ok()?;
        let text = String::from_utf8_lossy(&value.canonical()).into_owned();
        Some(match (&self.fingerprints, &value) {
            (_, Value::Null) => "null".to_owned(),
            _ if self.tokens => {
                if text.starts_with("ENC[") {
                    "sealed".to_owned()
                } else {
                    "clear".to_owned()
                }
            }
            _ if self.values => escaped(&text).into_owned(),
            (Some(fingerprints), value) => {
                fingerprints.mask(value, value.token_type().unwrap_or(Type::Str))
            }
            (None, value) => kind(value).to_owned(),
        })
    }
}

type Row = (String, What, Option<String>, Option<String>);

fn word(what: What) -> &'static str {
    match what {
        What::Added => "added",
        What::Removed => "removed",
        What::Changed => "changed",
        What::Retyped => "retyped",
        What::Moved => "moved",
    }
}

fn as_text(changes: &[Row], who: &[String]) -> String {
    let width = changes
        .iter()
        .map(|(path, ..)| path.chars().count().min(48))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (path, what, old, new) in changes {
        let mark = match what {
            What::Added => '+',
            What::Removed => '-',
            What::Changed | What::Retyped => '~',
            What::Moved => '>',
        };
        let shown = match (what, old, new) {
            (What::Added, _, Some(new)) => new.clone(),
            (What::Removed, Some(old), _) => old.clone(),
            (What::Moved, ..) => "moved".to_owned(),
            (_, Some(old), Some(new)) => format!("{old} -> {new}"),
            _ => String::new(),
        };
        text.push_str(format!("{mark} {:width$}  {shown}", escaped(path)).trim_end());
        text.push('\n');
    }
    for line in who {
        text.push_str(&escaped(line));
        text.push('\n');
    }
    text
}

fn as_json(changes: &[Row], who: &[String], by_tokens: bool) -> String {
    let changes: Vec<Json> = changes
        .iter()
        .map(|(path, what, old, new)| json!({ "path": path, "change": word(*what), "old": old, "new": new }))
        .collect();
    let all = json!({ "by_tokens": by_tokens, "changes": changes, "metadata": who });
    format!("{all:#}\n")
}
