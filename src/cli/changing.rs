//! Changing one place of a sealed file: what `set` and `unset` have in common.
//!
//! The file is opened, its plaintext changed, and sealed again with everything unchanged kept, as `edit` does. Knows
//! nothing of where a value comes from.

use std::path::PathBuf;

use clap::Args;
use sops_rs::cipher::Token;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::node::Kind;
use sops_rs::ops::change::{Action, ChangeError, change};
use sops_rs::ops::locate::{NotFound, Why, locate};
use sops_rs::pointer::{Pointer, Step};
use sops_rs::span::Position;
use sops_rs::value::Value;
use zeroize::Zeroizing;

use super::args::{IdentityArgs, InputArgs};
use super::context::Context;
use super::encrypt::{Opened, Resealing};
use super::exit::Exit;
use super::io::{self, Input, Privacy};
use super::pointing;
use super::report::{Failure, typed};
use super::sealed::{Sealed, Source};
use super::target::same_format;

/// Which place of which file.
#[derive(Args, Debug)]
pub(crate) struct ChangeArgs {
    /// The file
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
    /// A file keeps its format: only that is accepted
    #[arg(long, value_name = "FORMAT", value_parser = super::args::format(), hide = true)]
    output_type: Option<Format>,
    /// Change the file even if its MAC is missing or wrong; it gets a new one
    #[arg(long)]
    ignore_mac: bool,
    /// Accept a file in which the rules find nothing to seal
    #[arg(long)]
    allow_clear: bool,
}

impl ChangeArgs {
    /// The path as it was meant.
    ///
    /// # Errors
    /// [`Exit::BadChange`] if it is none.
    pub(crate) fn pointer(&self) -> Result<Pointer, Failure> {
        pointing::parse(&self.path, Exit::BadChange)
    }

    /// Makes the change and writes the file; if everything is so already, nothing is written.
    ///
    /// # Errors
    /// The [`Failure`] to report; the file is then as it was.
    pub(crate) fn apply(
        &self,
        context: &mut Context,
        identity: &IdentityArgs,
        pointer: &Pointer,
        action: Action<'_>,
        absent: Absent,
    ) -> Result<(), Failure> {
        let name = self.file.display().to_string();
        let input = InputArgs::of_file(&self.file, self.input_type);
        let format = same_format(&input, self.output_type, "by changing a value of it")?;
        io::refuse_stream(context, &self.file)?;
        let bytes = io::read(context, &Input::File(self.file.clone()))?;
        let source = Source::new(name, format, bytes);
        let sealed = Sealed::parse(context, &source)?;
        let selection = sealed.strict_selection()?;
        let key = sealed.data_key(context, identity)?;
        let resealing = Resealing {
            sealed: &sealed,
            key: &key,
            ignore_mac: self.ignore_mac,
            allow_clear: self.allow_clear,
        };
        let is_new = action != Action::Unset;
        let opened = resealing.open()?;
        let Opened::Values(decrypted) = &opened else {
            return Err(one_value(&source.name));
        };
        sealed.warn(context, &decrypted.warnings);
        let edited = self.edited(&source, &decrypted.text, pointer, action, absent)?;
        let text = match &edited {
            Some(edited) => resealing.reseal(context, edited, opened)?,
            None => None,
        };
        let Some(text) = text else {
            let name = &source.name;
            context.note(&format!("`{name}` is up to date; nothing was written"));
            return Ok(());
        };
        io::replace(context, &self.file, text.as_bytes(), Privacy::Public)?;
        if is_new && self.is_clear(source.format, &text, pointer) {
            context.note(&format!(
                "`{pointer}` is in clear in `{}`: the rule is {}",
                source.name,
                selection.describe()
            ));
        }
        Ok(())
    }

    /// The plaintext after the change; `None` if it is the same.
    fn edited(
        &self,
        source: &Source,
        plaintext: &str,
        pointer: &Pointer,
        action: Action<'_>,
        absent: Absent,
    ) -> Result<Option<Source>, Failure> {
        let number = pointing::number(self.document, Exit::BadChange)?;
        let document = Document::parse(source.format, plaintext)
            .map_err(|error| Failure::new(Exit::CannotOpen, error.message))?;
        if action != Action::Unset {
            self.refuse_dots(&source.name, &document, number, pointer)?;
        }
        let changed = match (change(&document, number, pointer, action), absent) {
            (Err(ChangeError::NotFound(error)), Absent::IsFine) if error.is_absent() => None,
            (changed, _) => changed
                .map_err(|error| self.refused(&source.name, plaintext, pointer, &error, absent))?,
        };
        Ok(changed.map(|mut text| Source {
            name: source.name.clone(),
            format: source.format,
            bytes: Zeroizing::new(std::mem::take(&mut *text).into_bytes()),
        }))
    }

    /// Refuses to make `crt` in a new `tls` where `data.tls.crt` was typed and there is a `tls.crt`.
    fn refuse_dots(
        &self,
        name: &str,
        document: &Document<'_>,
        number: usize,
        pointer: &Pointer,
    ) -> Result<(), Failure> {
        let root = document.roots().nth(number);
        let Some(Err(error)) = root.map(|root| locate(document, root, pointer)) else {
            return Ok(());
        };
        let is_there = |key: &String| {
            let key = Pointer::new(vec![Step::Key(key.clone())]);
            locate(document, error.at.id, &key).is_ok()
        };
        let missing = pointer.steps().get(error.taken..).unwrap_or_default();
        let dotted = pointing::dotted(missing).find(|key| self.path.contains(key) && is_there(key));
        let Some(key) = dotted else {
            return Ok(());
        };
        let at = pointer.truncated(error.taken);
        let (key, new) = (
            pointing::in_quotes(&[Step::Key(key)]),
            pointing::in_quotes(missing),
        );
        let error = ChangeError::NotFound(error);
        Err(pointing::failure(name, pointer, &error, Exit::BadChange).hint(format!(
            "write `{at}{key}` for the key that is there, `{at}{new}` for new ones inside each other"
        )))
    }

    /// Whether a value stands at this place or below it, and is no token.
    fn is_clear(&self, format: Format, sealed: &str, pointer: &Pointer) -> bool {
        let Ok(document) = Document::parse(format, sealed) else {
            return false;
        };
        let number = self.document.unwrap_or(1).saturating_sub(1);
        let found = document.roots().nth(number);
        let Some(found) = found.and_then(|root| locate(&document, root, pointer).ok()) else {
            return false;
        };
        let end = document.node(found.id).map_or(found.id, |node| node.end);
        let mut below = (found.id..end).filter_map(|id| document.node(id));
        below.any(|node| {
            let is_token = |value: &Value<'_>| matches!(value, Value::Str(text) if Token::starts(text.expose()));
            node.kind == Kind::Scalar
                && document
                    .value(node)
                    .is_ok_and(|value| !value.is_empty() && !is_token(&value))
        })
    }
}

/// What it means if the place is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// An error of this kind.
    Fails(Exit),
    /// There is nothing to do.
    IsFine,
}

/// A binary file has no places; its one value is the file.
fn one_value(name: &str) -> Failure {
    Failure::new(
        Exit::BadChange,
        format!("`{name}` is a binary file: it is one value and has no parts to change"),
    )
    .hint("change it with `sops-rs edit`, or encrypt the new bytes over it")
}

impl ChangeArgs {
    /// Why a change of `plaintext` was not made, in words.
    fn refused(
        &self,
        name: &str,
        plaintext: &str,
        pointer: &Pointer,
        error: &ChangeError,
        absent: Absent,
    ) -> Failure {
        let exit = match absent {
            Absent::Fails(exit) => exit,
            Absent::IsFine => Exit::Failed,
        };
        let wrong = |message: String| Failure::new(Exit::BadChange, message);
        match error {
            ChangeError::CannotPlace(error) => {
                let message = format!("`{pointer}` cannot be changed so: {error}");
                let line = Position::of(plaintext, error.span.start()).line;
                let failure = Failure::new(Exit::CannotEmit, message);
                match &error.hint {
                    Some(hint) => failure
                        .detail(format!("see line {line} of the decrypted file"))
                        .hint(hint),
                    None => failure.hint("give it a value that the format can hold"),
                }
            }
            ChangeError::Reserved(_) => Failure::new(Exit::AlreadyEncrypted, error.to_string())
                .hint("give your own entry another name"),
            ChangeError::ThroughAlias { .. } => wrong(format!(
                "`{pointer}` cannot be changed: {error}"
            ))
            .hint("write the content there in place of the alias first, with `sops-rs edit`"),
            ChangeError::KeyOrPosition { word } => wrong(error.to_string()).hint(format!(
                "write `[{word}]` for a position and `[\"{word}\"]` for a key"
            )),
            ChangeError::NotAnItem => wrong(format!("`{pointer}`: {error}"))
                .hint("leave out --insert, or name an item such as `list[0]`"),
            ChangeError::WholeDocument => wrong(error.to_string())
                .hint("name a place in it; `sops-rs edit` changes all of a file"),
            ChangeError::NotFound(NotFound {
                why: Why::InsideOfValue { null: false },
                taken,
                ..
            }) if exit == Exit::BadChange => {
                pointing::failure(name, pointer, error, exit).hint(format!(
                    "if that value may be lost, take it out first: `sops-rs unset {}{} {}`",
                    self.document
                        .map(|number| format!("--document {number} "))
                        .unwrap_or_default(),
                    typed(name),
                    typed(pointer.truncated(*taken).to_string())
                ))
            }
            ChangeError::NoDocument { .. } => {
                pointing::failure(name, pointer, error, Exit::BadChange)
            }
            ChangeError::NotAsMeant | ChangeError::Edit(_) => {
                Failure::new(Exit::BUG, error.to_string())
                    .detail("nothing was written")
                    .hint("change the value with `sops-rs edit`, and report this without your file")
            }
            _ => pointing::failure(name, pointer, error, exit),
        }
    }
}
