//! Content written as a whole new text: what conversions and extraction end in.
//!
//! The one `match` that leads to the emitter of each format. An emitter decides how things are spelled and laid out; what
//! a format cannot hold is an error that names the key. Nothing is known here of where the content came from, nor of
//! encryption: the metadata of a sealed file is added to the text afterwards.

use zeroize::Zeroizing;

use super::lines::bare_text;
use super::{CannotWrite, Format, binary, dotenv, ini, json, shell, toml, yaml};
use crate::content::{Content, Part};
use crate::pointer::shown_key;
use crate::value::Value;

/// What content can be written as: the formats of files, and what only other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A format that is also read.
    File(Format),
    /// Commands for a POSIX shell that set variables.
    Shell,
}

impl OutputFormat {
    /// The name used by `--output-type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File(format) => format.name(),
            Self::Shell => "shell",
        }
    }
}

/// Content that a format has no room for. Knows the place and the rule, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotEmit {
    /// The keys and positions that lead to it, as in `a.b[0]`, long keys cut; empty for the document as a whole.
    pub path: String,
    /// Why not, as a lower-case phrase without a full stop.
    pub reason: String,
}

impl CannotEmit {
    /// A reason that holds for the place where it is found; [`Self::under`] then says where that is.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            reason: reason.into(),
        }
    }

    /// The same, seen from the mapping in which the place is below `key`.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        self.path = self.behind(shown_key(key).into_owned());
        self
    }

    /// The same, seen from the list in which the place is in the item at `position`, counted from 0.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.path = self.behind(format!("[{position}]"));
        self
    }

    fn behind(&self, mut shown: String) -> String {
        if !self.path.is_empty() && !self.path.starts_with('[') {
            shown.push('.');
        }
        shown + &self.path
    }
}

impl std::fmt::Display for CannotEmit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for CannotEmit {}

impl From<CannotWrite> for CannotEmit {
    fn from(CannotWrite(reason): CannotWrite) -> Self {
        Self::new(reason)
    }
}

/// Writes `documents` as a whole text of this format.
///
/// # Errors
/// [`CannotEmit`] at the first thing that the format has no room for: more than one document outside YAML, lists and
/// mappings where there are only values, a key or value without a spelling.
pub fn emit(
    format: OutputFormat,
    documents: &[Content<'_>],
) -> Result<Zeroizing<Vec<u8>>, CannotEmit> {
    let mut text = match format {
        OutputFormat::File(Format::Binary) => return binary::emit(documents),
        OutputFormat::File(Format::Yaml) => yaml::emit(documents)?,
        OutputFormat::File(Format::Json) => json::emit(documents)?,
        OutputFormat::File(Format::Dotenv) => dotenv::emit(documents)?,
        OutputFormat::File(Format::Ini) => ini::emit(documents)?,
        OutputFormat::File(Format::Toml) => toml::emit(documents)?,
        OutputFormat::Shell => shell::emit(documents)?,
    };
    Ok(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

/// Whether a scalar that was written as `meant` and is read as `read` came through: in a format that has no type for it, as
/// its text.
#[must_use]
pub fn came_through(format: Format, meant: &Value<'_>, read: &Value<'_>) -> bool {
    let as_text = |text: &str| matches!(read, Value::Str(read) if read.expose() == text);
    match (format, meant) {
        (Format::Dotenv | Format::Ini, _) => {
            bare_text(meant).is_ok_and(|text| as_text(text.expose()))
        }
        (Format::Json, Value::Time(time)) => as_text(time.as_str()),
        _ => meant.token_type() == read.token_type() && meant.canonical() == read.canonical(),
    }
}

/// The one document of a format that has no more; `what` names the format for a message.
pub(super) fn only<'d, 'c>(
    documents: &'d [Content<'c>],
    what: &str,
) -> Result<&'d Content<'c>, CannotEmit> {
    match documents {
        [document] => Ok(document),
        [] => Err(CannotEmit::new("there is no document")),
        _ => Err(CannotEmit::new(format!(
            "{what} holds one document, and here are {}",
            documents.len()
        ))),
    }
}

/// The single value of an entry of a format that has no others; `what` names the format for a message.
pub(super) fn single<'d, 'c>(
    content: &'d Content<'c>,
    what: &str,
) -> Result<&'d Value<'c>, CannotEmit> {
    let kind = match content {
        Content::Scalar(value) => return Ok(value),
        Content::List(_) => "a list",
        Content::Map(_) => "a mapping",
    };
    Err(CannotEmit::new(format!(
        "{what} has no place for {kind} here, only for single values"
    )))
}

/// The parts of a document that must be a mapping; `what` names the format for a message.
pub(super) fn entries<'d, 'c>(
    content: &'d Content<'c>,
    what: &str,
) -> Result<&'d [Part<'c, crate::content::Entry<'c>>], CannotEmit> {
    match content {
        Content::Map(parts) => Ok(parts),
        Content::Scalar(_) | Content::List(_) => Err(CannotEmit::new(format!(
            "{what} consists of keys with values, and here are none"
        ))),
    }
}
