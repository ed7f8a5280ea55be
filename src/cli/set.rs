//! `set`: one value of a sealed file (spec 9.5 without its traps).
//!
//! Knows where a value comes from: the command line, a file, standard input, or the system's random source.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use sops_rs::content::Content;
use sops_rs::ops::change::Action;
use sops_rs::ops::change::json::JsonValue;
use sops_rs::secret::Plain;
use sops_rs::value::Value;
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::changing::{Absent, ChangeArgs};
use super::context::Context;
use super::entropy::Entropy;
use super::exit::Exit;
use super::generate::Recipe;
use super::io::{self, Input};
use super::report::Failure;

/// Set one value in a sealed file
///
/// VALUE is JSON: `"text"`, `5`, `true`, `{"a": 1}`, `["x"]`; with `--string` it is the text itself. What is missing on
/// the way to it is made, in the style of what stands around it. All other values keep their sealed text, and if the value
/// is there already, nothing is written.
///
/// A secret on the command line can be seen by other users of this computer and stays in the shell's history: use
/// `--value-stdin`, `--value-file` or `--generate` for it.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("source").args(["value_file", "value_stdin", "generate"]))]
#[command(after_help = "Examples:
  sops-rs set prod.yaml db.port 5432
  sops-rs set prod.yaml db.password --generate 32
  pass show db | sops-rs set prod.yaml db.password --value-stdin --string
  sops-rs set prod.yaml 'hosts[]' '\"db2.example.com\"'
  sops-rs set prod.yaml '[\"data\"][\"tls.crt\"]' --string --value-file tls.crt")]
pub(crate) struct Set {
    #[command(flatten)]
    place: ChangeArgs,
    /// The value as JSON; the file that holds it with `--value-file`
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<Typed>,
    /// More than one word: never right, but nothing that should be shown in a message
    #[arg(hide = true, allow_hyphen_values = true)]
    more: Vec<Typed>,
    /// The value is text as it stands, and no JSON. One line loses its line break; several lines are kept to the byte
    #[arg(long)]
    string: bool,
    /// Read the value from the file that VALUE names
    #[arg(long)]
    value_file: bool,
    /// Read the value from standard input
    #[arg(long)]
    value_stdin: bool,
    /// Make up a value and show it to nobody: `32` letters and digits, `hex:64`, `symbols:24`, `digits:6`, `base64:32`
    /// (bytes), `words:8`
    #[arg(long, value_name = "WHAT", conflicts_with = "string")]
    generate: Option<Recipe>,
    /// Put the value into a list before the item at PATH, in place of replacing that
    #[arg(long)]
    insert: bool,
    /// Accepted because SOPS has it: what is there already is never written again
    #[arg(long)]
    idempotent: bool,
    /// Accepted because SOPS has it; means nothing, there or here
    #[arg(long, value_name = "N", hide = true)]
    shamir_secret_sharing_threshold: Option<usize>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// A value that was typed. It is wiped on drop, and `Debug` does not show it.
#[derive(Clone)]
struct Typed(Zeroizing<String>);

impl FromStr for Typed {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(…)")
    }
}

/// Runs the command.
///
/// # Errors
/// The [`Failure`] to report.
pub(crate) fn run(context: &mut Context, arguments: &Set) -> Result<Exit, Failure> {
    let pointer = arguments.place.pointer()?;
    let text = arguments.text(context)?;
    let json;
    let content = if arguments.string || arguments.generate.is_some() {
        Content::Scalar(Value::Str(Plain::Borrowed(&text)))
    } else {
        json = JsonValue::new(&text);
        json.content().map_err(|error| {
            Failure::new(Exit::BadChange, format!("the value is not JSON: {error}"))
                .detail(format!(
                    "at its character {}",
                    characters(&text, error.at) + 1
                ))
                .hint(json_hint(&text))
        })?
    };
    let action = if arguments.insert {
        Action::Insert(content)
    } else {
        Action::Set(content)
    };
    let absent = Absent::Fails(Exit::BadChange);
    arguments
        .place
        .apply(context, &arguments.identity, &pointer, action, absent)?;
    if let Some(recipe) = arguments.generate {
        context.note(&format!(
            "`{pointer}` has a new value of {recipe}, {} bits of randomness",
            recipe.bits()
        ));
    }
    Ok(Exit::Success)
}

/// What to do about a text that is no JSON.
fn json_hint(text: &str) -> &'static str {
    if text.trim_start().starts_with(['{', '[']) {
        "correct it there; inside of lists and mappings, too, text and keys stand in double quotes"
    } else {
        "write text in quotes, such as '\"text\"'; `set --string` takes it as it is"
    }
}

fn characters(text: &str, bytes: usize) -> usize {
    text.get(..bytes).unwrap_or(text).chars().count()
}

impl Set {
    /// The text of the value.
    fn text(&self, context: &mut Context) -> Result<Zeroizing<String>, Failure> {
        if !self.more.is_empty() {
            let message = "more than one VALUE was given";
            return Err(Failure::new(Exit::Conflict, message)
                .hint("put the value in quotes, as one argument"));
        }
        match (&self.value, self.value_stdin, self.generate) {
            (Some(_), true, _) | (Some(_), _, Some(_)) => Err(Failure::new(
                Exit::Conflict,
                "a VALUE was given besides the option that says where it comes from",
            )
            .hint("leave out one of the two")),
            (None, false, None) => Err(Failure::new(Exit::NoFile, "no value was given")
                .hint("add it as JSON, or use `--value-stdin` or `--generate`")),
            (_, _, Some(recipe)) => {
                let mut random = Entropy::new(&mut context.random);
                let text = recipe.make(&mut random);
                random.check()?;
                Ok(text)
            }
            (None, true, None) => self.read(context, &Input::Stdin),
            (Some(file), false, None) if self.value_file => {
                self.read(context, &Input::File(PathBuf::from(file.0.as_str())))
            }
            (Some(value), false, None) => Ok(value.0.clone()),
        }
    }

    /// The text of a file or of standard input.
    fn read(&self, context: &mut Context, input: &Input) -> Result<Zeroizing<String>, Failure> {
        let bytes = io::read(context, input)?;
        let text = io::text(&bytes, &input.name()).map_err(|failure| {
            failure.hint("a value is text: encode other bytes first, for example with `base64`")
        })?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_line = self.string && !line.contains('\n');
        Ok(Zeroizing::new(if is_line { line } else { text }.to_owned()))
    }
}
