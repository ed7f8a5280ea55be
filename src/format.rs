//! The formats a document can have, and the one `match` per verb that leads to each of them.
//!
//! A format turns text into nodes, a node into its key and value, and a value or token into an [`Edit`] that writes it in
//! the style that is there. It knows nothing of encryption, keys or rules. The set is closed, so there is no trait: the
//! matches below are the table of contents.
//!
//! Every function is total: any text may come in, and an error or a result comes out, in linear time.

use std::borrow::Cow;

use crate::edit::Edit;
use crate::node::{Form, Node, NodeId, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::{NotOfType, Type, Value};
use zeroize::Zeroizing;

pub mod binary;
pub mod dotenv;
pub mod emit;
pub mod ini;
pub mod json;
mod lines;
pub mod place;
pub mod revise;
pub mod shell;
#[cfg(test)]
mod testing;
pub mod toml;
pub mod yaml;

/// The deepest nesting of mappings and lists that is read. go-yaml and Go's JSON reader stop at the same depth.
pub const MAX_DEPTH: usize = 10_000;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// YAML as go-yaml v3 reads it (spec 7.2).
    Yaml,
    /// JSON (spec 7.3).
    Json,
    /// Lines of `KEY=value` (spec 7.5).
    Dotenv,
    /// Sections of `key = value` (spec 7.6).
    Ini,
    /// TOML 1.0, which SOPS does not have (spec 15).
    Toml,
    /// Any bytes; sealed as a JSON envelope (spec 7.4).
    Binary,
}

impl Format {
    /// All formats, in the order in which messages list them.
    pub const ALL: [Self; 6] = [
        Self::Yaml,
        Self::Json,
        Self::Dotenv,
        Self::Ini,
        Self::Toml,
        Self::Binary,
    ];

    /// The format that a path's suffix names (spec 7.1): `.yaml`, `.yml`, `.json`, `.env`, `.ini`, and our
    /// `.toml`; all else is binary.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        if path.ends_with(".yaml") || path.ends_with(".yml") {
            Self::Yaml
        } else if path.ends_with(".json") {
            Self::Json
        } else if path.ends_with(".env") {
            Self::Dotenv
        } else if path.ends_with(".ini") {
            Self::Ini
        } else if path.ends_with(".toml") {
            Self::Toml
        } else {
            Self::Binary
        }
    }

    /// The name used by `--input-type` and `--output-type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
            Self::Toml => "toml",
            Self::Binary => "binary",
        }
    }

    /// The format of that name; `None` for any other word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// A value cannot be written in this format. Names the kind of value and the rule, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CannotWrite(pub String);

impl CannotWrite {
    /// A TOML spelling in another format: only what it means can be written there.
    fn lexeme() -> Self {
        Self("the spelling of a TOML value cannot be written here".to_owned())
    }
}

/// Whether a top-level entry of this name is part of the metadata (spec 5.4).
#[must_use]
pub fn is_metadata_key(format: Format, key: &str) -> bool {
    match format {
        Format::Dotenv => key.starts_with("sops_"),
        Format::Yaml | Format::Json | Format::Ini | Format::Toml | Format::Binary => key == "sops",
    }
}

/// Finds every node of `source`. A sealed binary file is JSON; a plain one has no nodes and is not scanned.
///
/// Roots are the nodes without a parent: one mapping for every YAML document, exactly one for all other formats. The
/// `sops` entry is an ordinary entry here.
///
/// # Errors
/// [`ScanError`] at the first place where SOPS would refuse the text (spec 7), or where it would read something that we
/// cannot write back.
pub fn scan(format: Format, source: &str) -> Result<Vec<Node>, ScanError> {
    match format {
        Format::Yaml => yaml::scan(source),
        Format::Json | Format::Binary => json::scan(source),
        Format::Dotenv => dotenv::scan(source),
        Format::Ini => ini::scan(source),
        Format::Toml => toml::scan(source),
    }
}

/// The decoded key of a mapping's entry: after unescaping, as it goes into paths.
///
/// # Errors
/// [`ScanError`] if the key is not a string (spec 2).
pub fn key<'a>(format: Format, source: &'a str, node: &Node) -> Result<Cow<'a, str>, ScanError> {
    match format {
        Format::Yaml => yaml::key(source, node),
        Format::Json | Format::Binary => json::key(source, node),
        Format::Dotenv => Ok(dotenv::key(source, node)),
        Format::Ini => Ok(ini::key(source, node)),
        Format::Toml => Ok(toml::key(source, node)),
    }
}

/// The decoded value of a scalar, or the text of a comment (without its mark, as spec 3.6 defines it).
///
/// # Errors
/// [`ScanError`] if the scalar has no value that SOPS could handle: an integer above 2^63-1, a tag that does not fit.
pub fn value<'a>(format: Format, source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    match format {
        Format::Yaml => yaml::value(source, node),
        Format::Json | Format::Binary => json::value(source, node),
        Format::Dotenv => Ok(dotenv::value(source, node)),
        Format::Ini => Ok(ini::value(source, node)),
        Format::Toml => toml::value(source, node),
    }
}

/// What a token of this scalar holds and the MAC hashes: its value; in TOML the way the value is spelled (spec 15.2).
///
/// # Errors
/// [`ScanError`] as [`value`] has it.
pub fn plaintext<'a>(format: Format, source: &'a str, node: &Node) -> Result<Value<'a>, ScanError> {
    match format {
        Format::Toml => toml::plaintext(source, node),
        _ => value(format, source, node),
    }
}

/// The plaintext that a token of type `kind` held, as [`plaintext`] would give it.
///
/// # Errors
/// [`NotOfType`] if the bytes are none of that type; `kind` must not be a comment.
pub fn opened(
    format: Format,
    kind: Type,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Value<'static>, NotOfType> {
    match format {
        Format::Toml => toml::opened(kind, bytes),
        _ => Value::parse(kind, bytes),
    }
}

/// The text that stands in a file of this format for a typed value, if it is read back as text: every value of dotenv and
/// INI, a time in JSON. `None` for a value whose type the text shows.
#[must_use]
pub fn as_text<'v>(format: Format, value: &'v Value<'_>) -> Option<Plain<'v>> {
    match (format, value) {
        (Format::Dotenv | Format::Ini, value) => lines::bare_text(value).ok(),
        (Format::Json | Format::Binary, Value::Time(time)) => Some(Plain::from(time.as_str())),
        _ => None,
    }
}

/// Adds the edits that put `token` (an `ENC[…]` text on one line) in place of a scalar's value or a comment's text, keeping
/// quotes, block headers and anchors, and removing tags that would keep SOPS from loading it (spec 12.1). The token is
/// taken, not copied: there is one for every value of the file.
pub fn write_token(
    format: Format,
    source: &str,
    node: &Node,
    token: String,
    edits: &mut Vec<Edit>,
) {
    match format {
        Format::Yaml => yaml::write_token(source, node, token, edits),
        Format::Json | Format::Binary => edits.push(json::write_token(node, token)),
        Format::Dotenv => edits.push(dotenv::write_token(node, token)),
        Format::Ini => edits.push(ini::write_token(node, token)),
        Format::Toml => edits.push(toml::write_token(node, token)),
    }
}

/// Adds the edits that write `value` in place of a scalar, or a text in place of a comment's text, in the style that is
/// there if the value can be written so, else in the nearest that can. The inverse of [`write_token`].
///
/// `ends_text` says that nothing, not even a line break, will follow in the finished text (it matters to a block scalar
/// that ends a file without a final newline).
///
/// # Errors
/// [`CannotWrite`] if the format has no spelling for the value.
pub fn write_value(
    format: Format,
    source: &str,
    node: &Node,
    value: &Value<'_>,
    ends_text: bool,
    edits: &mut Vec<Edit>,
) -> Result<(), CannotWrite> {
    match format {
        Format::Yaml => return yaml::write_value(source, node, value, ends_text, edits),
        Format::Json | Format::Binary => edits.push(json::write_value(source, node, value)?),
        Format::Dotenv => edits.push(dotenv::write_value(source, node, value)?),
        Format::Ini => edits.push(ini::write_value(source, node, value)?),
        Format::Toml => edits.push(toml::write_value(source, node, value)?),
    }
    Ok(())
}

/// How the token at `node` is quoted, where its quotes do not say how its value was written: SOPS writes every token of YAML
/// without quotes on the line of its key, whatever its value needs.
#[must_use]
pub fn token_quotes(format: Format, node: &Node) -> Option<Form> {
    match format {
        Format::Yaml => yaml::token_quotes(node),
        // Quotes stay, or say what the type is.
        Format::Json | Format::Binary | Format::Dotenv | Format::Ini | Format::Toml => None,
    }
}

/// The edit that puts `token` in place of a scalar with this `value`, in the quotes `form` and on one line. `None` if it has them
/// already, and unless such a token opens to the very bytes that stand there now.
#[must_use]
pub fn write_token_as(
    format: Format,
    source: &str,
    node: &Node,
    value: &Value<'_>,
    form: Form,
    token: &str,
) -> Option<Edit> {
    match format {
        Format::Yaml => yaml::write_token_as(source, node, value, form, token),
        Format::Json | Format::Binary | Format::Dotenv | Format::Ini | Format::Toml => None,
    }
}

/// The edit that turns a list item which is a comment token (spec 3.6: SOPS writes comments in lists so) back into a
/// comment with this text, or removes it where the format has no comments.
#[must_use]
pub fn write_item_comment(
    format: Format,
    source: &str,
    nodes: &[Node],
    node: &Node,
    text: &str,
) -> Edit {
    match format {
        Format::Yaml => yaml::write_item_comment(source, node, text),
        Format::Json | Format::Binary => json::remove_item(source, nodes, node),
        // These formats have no lists, or no such tokens.
        Format::Dotenv | Format::Ini | Format::Toml => Edit::remove(Span::at(node.span.start())),
    }
}

/// The comments that SOPS may count for another entry than they stand at, in order: a rule that asks comments what is
/// sealed must not depend on them (spec 3.5, 7.2.4, 7.6).
#[must_use]
pub fn doubtful_comments(format: Format, source: &str, nodes: &[Node]) -> Vec<NodeId> {
    match format {
        Format::Yaml => yaml::doubtful_comments(source, nodes),
        Format::Ini => ini::header_comments(nodes),
        Format::Toml => toml::doubtful_comments(source, nodes),
        Format::Json | Format::Binary | Format::Dotenv => Vec::new(),
    }
}

/// The edits that add the metadata `block` to `source` at its place (spec 5.4): the last entry of every YAML document's
/// mapping, the last member, section or lines elsewhere.
///
/// `block` is what [`yaml::emit_metadata`] and its likes return, or what [`detach`] found: lines with LF, the last one
/// ended. The line ends of the file are used where the format allows. A missing final newline stays missing: the block
/// then ends without one, and [`detach`] understands that sign.
///
/// For JSON and binary, `block` is the member from `"sops"` to its closing brace, its lines indented as they stand and
/// without a line break at the end. It goes on a line of its own if the last member has one, else behind it.
#[must_use]
pub fn attach(format: Format, source: &str, nodes: &[Node], block: &str) -> Vec<Edit> {
    match format {
        Format::Yaml => yaml::attach(source, nodes, block),
        Format::Json | Format::Binary => json::attach(source, nodes, block),
        Format::Dotenv => dotenv::attach(source, block),
        Format::Ini => ini::attach(source, block),
        Format::Toml => toml::attach(source, block),
    }
}

/// The metadata found in a sealed text, and the edits that take it out.
#[derive(Clone, Debug, Default)]
pub struct Detached {
    /// Edits that leave exactly the text that [`attach`] was given.
    pub edits: Vec<Edit>,
    /// The metadata as text that [`attach`] takes, cut from the first place; line ends are LF. `None` if it cannot be
    /// moved as it is (an indented YAML document, metadata lines that do not stand together): then it must be emitted anew.
    pub block: Option<Span>,
}

/// Finds the metadata entries of a sealed text; no edits if there are none.
#[must_use]
pub fn detach(format: Format, source: &str, nodes: &[Node]) -> Detached {
    match format {
        Format::Yaml => yaml::detach(source, nodes),
        Format::Json | Format::Binary => json::detach(source, nodes),
        Format::Dotenv => dotenv::detach(source, nodes),
        Format::Ini => ini::detach(source, nodes),
        Format::Toml => toml::detach(source, nodes),
    }
}
