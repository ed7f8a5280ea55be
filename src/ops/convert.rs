//! From one format to another: a sealed file as content with the types its tokens name, and content as a text in another
//! format, to be sealed there or not (spec 7.7).
//!
//! Nothing is written that does not read back as what was meant. Sealing is the business of `encrypt`, which takes the text
//! like any other.

use std::collections::{HashMap, HashSet};

use zeroize::Zeroizing;

use crate::cipher::Cipher;
use crate::content::{Content, Entry, Part};
use crate::document::content::Leaf;
use crate::document::{Document, Step};
use crate::format::Format;
use crate::format::emit::{CannotEmit, OutputFormat, came_through, emit};
use crate::metadata::Metadata;
use crate::node::{NodeId, ScanError};
use crate::ops::binary;
use crate::ops::decrypt::{DecryptError, Warning, verify};
use crate::ops::open::open_values;
use crate::secret::DataKey;
use crate::selection::Selection;
use crate::value::{Value, from_bytes};

/// The content of a sealed file.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Its documents, without the metadata.
    pub documents: Vec<Content<'a>>,
    /// What was odd, but not wrong.
    pub warnings: Vec<Warning>,
}

/// Opens `document` with its data `key` and verifies its MAC, unless `ignore_mac`. Values have the types that their tokens
/// name, whether or not the format of the file has such types.
///
/// # Errors
/// [`DecryptError`] as [`crate::ops::decrypt::decrypt`] has it.
pub fn open<'a>(
    document: &Document<'a>,
    metadata: &Metadata,
    selection: &Selection,
    key: &DataKey,
    ignore_mac: bool,
) -> Result<Opened<'a>, DecryptError> {
    if document.format() == Format::Binary {
        let bytes = binary::decrypt(document, metadata, key, ignore_mac)?;
        return Ok(Opened {
            documents: vec![of_bytes(bytes)],
            warnings: Vec::new(),
        });
    }
    let cipher = Cipher::new(key)?;
    let opened = open_values(document, selection, &cipher)?;
    if !ignore_mac {
        verify(&cipher, metadata, &opened.mac).map_err(DecryptError::Mac)?;
    }
    let documents = document.contents_with(&|id, node| match opened.values.get(&id) {
        Some(Leaf::Value(value)) => Ok(Leaf::Value(value.clone())),
        Some(Leaf::Comment(text)) => Ok(Leaf::Comment(text.clone())),
        None => document.leaf(node),
    })?;
    Ok(Opened {
        documents,
        warnings: opened.warnings,
    })
}

/// The content of a binary file: its bytes under the key `data` (spec 7.4).
#[must_use]
pub fn of_bytes(bytes: Zeroizing<Vec<u8>>) -> Content<'static> {
    Content::Map(vec![Part::Item(Entry {
        key: "data".into(),
        content: Content::Scalar(from_bytes(bytes)),
    })])
}

/// Writes `documents` as a whole text of another format, and reads it again before it is believed.
///
/// # Errors
/// [`CannotEmit`] at the first thing that the format has no room for, for keys that stand twice in a mapping, and for those
/// that belong to the metadata.
pub fn write(
    format: OutputFormat,
    documents: &[Content<'_>],
) -> Result<Zeroizing<Vec<u8>>, CannotEmit> {
    documents.iter().try_for_each(check_keys)?;
    let written = emit(format, documents)?;
    match format {
        OutputFormat::Shell | OutputFormat::File(Format::Binary) => {}
        OutputFormat::File(format) => prove(format, &written, documents)?,
    }
    Ok(written)
}

/// Refuses keys that repeat: most readers take one of them and lose the others.
fn check_keys(content: &Content<'_>) -> Result<(), CannotEmit> {
    let mut items = content.items().enumerate();
    items.try_for_each(|(position, item)| check_keys(item).map_err(|error| error.at(position)))?;
    let mut seen = HashSet::new();
    content.entries().try_for_each(|entry| {
        let result = if seen.insert(&entry.key) {
            check_keys(&entry.content)
        } else {
            Err(CannotEmit::new("this key stands twice in its mapping"))
        };
        result.map_err(|error| error.under(&entry.key))
    })
}

/// Reads `written` again and compares it with what was meant.
fn prove(format: Format, written: &[u8], documents: &[Content<'_>]) -> Result<(), CannotEmit> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let reason = format!("internal error: what was written does not read back: {error}");
        CannotEmit::new(reason)
    };
    let text = std::str::from_utf8(written).map_err(|error| unreadable(&error))?;
    let document = Document::parse(format, text).map_err(|error| unreadable(&error))?;
    let reserved = document
        .metadata()
        .first()
        .and_then(|&id| document.node(id));
    if let Some(node) = reserved {
        let key = document.key(node).map_err(|error| unreadable(&error))?;
        let reason = "this key is that of the metadata of a sealed file";
        return Err(CannotEmit::new(reason).under(&key));
    }
    let read = document.contents().map_err(|error| unreadable(&error))?;
    if read.len() != documents.len() {
        return Err(unreadable(&"another number of documents"));
    }
    documents
        .iter()
        .zip(&read)
        .try_for_each(|(meant, read)| compare(format, meant, read))
}

fn compare(format: Format, meant: &Content<'_>, read: &Content<'_>) -> Result<(), CannotEmit> {
    let differ = || {
        let reason = "internal error: what was written reads back as something else";
        Err(CannotEmit::new(reason))
    };
    match (meant, read) {
        (Content::Scalar(meant), Content::Scalar(read)) if came_through(format, meant, read) => {
            Ok(())
        }
        (Content::List(_), Content::List(_)) => {
            if meant.items().count() != read.items().count() {
                return differ();
            }
            let mut items = meant.items().zip(read.items()).enumerate();
            items.try_for_each(|(position, (meant, read))| {
                compare(format, meant, read).map_err(|error| error.at(position))
            })
        }
        (Content::Map(_), Content::Map(_)) => {
            if meant.entries().count() != read.entries().count() {
                return differ();
            }
            // TOML has the values of a table before the tables in it.
            let by_key: HashMap<&str, &Entry<'_>> = match format {
                Format::Toml => read.entries().map(|entry| (&*entry.key, entry)).collect(),
                _ => HashMap::new(),
            };
            let mut entries = meant.entries().zip(read.entries());
            entries.try_for_each(|(meant, read)| {
                let read = by_key.get(&*meant.key).copied().unwrap_or(read);
                let result = if meant.key == read.key {
                    compare(format, &meant.content, &read.content)
                } else {
                    differ()
                };
                result.map_err(|error| error.under(&meant.key))
            })
        }
        _ => differ(),
    }
}

/// Every scalar of `documents`, in the order of the walk.
#[must_use]
pub fn values(documents: &[Content<'_>]) -> Vec<Value<'static>> {
    fn collect(content: &Content<'_>, found: &mut Vec<Value<'static>>) {
        match content {
            Content::Scalar(value) => found.push(value.clone().into_owned()),
            Content::List(_) => content.items().for_each(|item| collect(item, found)),
            Content::Map(_) => content
                .entries()
                .for_each(|entry| collect(&entry.content, found)),
        }
    }
    let mut found = Vec::new();
    for content in documents {
        collect(content, &mut found);
    }
    found
}

/// Tells `document`, which [`write()`] made, what [`values`] it was made of, if its format has no types for them: their tokens
/// name the types all the same.
///
/// # Errors
/// [`ScanError`] if the document cannot be walked.
pub fn with_types<'t>(
    document: Document<'t>,
    values: &[Value<'static>],
) -> Result<Document<'t>, ScanError> {
    if !matches!(
        document.format(),
        Format::Json | Format::Dotenv | Format::Ini
    ) {
        return Ok(document);
    }
    let mut values = values.iter();
    let mut meanings: HashMap<NodeId, Value<'static>> = HashMap::new();
    document.walk(|step| {
        if let Step::Leaf { id, .. } = step
            && let Some(value) = values.next()
        {
            meanings.insert(id, value.clone());
        }
        Ok::<(), ScanError>(())
    })?;
    Ok(document.with_meanings(meanings))
}

#[cfg(test)]
mod tests;
