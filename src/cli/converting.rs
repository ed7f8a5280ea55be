//! From one format to another on the way through `encrypt` and `decrypt` (spec 7.1, 7.7).
//!
//! Knows what the library needs for it, and the words for what a format cannot hold. Which formats are meant is decided in
//! `target`.

use sops_rs::content::Content;
use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::format::emit::{CannotEmit, OutputFormat};
use sops_rs::ops::convert;
use sops_rs::ops::encrypt::EncryptError;
use sops_rs::value::Value;
use zeroize::Zeroizing;

use super::args::IdentityArgs;
use super::context::Context;
use super::encrypt::cannot_seal;
use super::exit::Exit;
use super::pointing;
use super::report::Failure;
use super::sealed::{Sealed, Source};

/// Opens a sealed file and writes what is in it as `output`, or only the document `number`, counted from 1.
///
/// # Errors
/// The [`Failure`] to report: [`Exit::CannotEmit`] if the output format has no room for something, [`Exit::NoSuchPath`] for a
/// document that is not there.
pub(crate) fn open(
    context: &mut Context,
    source: &Source,
    identity: &IdentityArgs,
    ignore_mac: bool,
    output: OutputFormat,
    number: Option<usize>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let sealed = Sealed::parse(context, source)?;
    let key = sealed.data_key(context, identity)?;
    let (metadata, selection) = (&sealed.metadata, &sealed.selection);
    let opened = convert::open(&sealed.document, metadata, selection, &key, ignore_mac)
        .map_err(|error| sealed.cannot_open(&error))?;
    sealed.warn(context, &opened.warnings);
    let documents = &opened.documents;
    if number.is_none() {
        let several = "choose one with `--document N`, or put them into files of their own";
        return write(&source.name, documents, output, several);
    }
    let number = pointing::number(number, Exit::NoSuchPath)?;
    let chosen = documents
        .get(number)
        .ok_or_else(|| pointing::no_document(&source.name, documents.len(), Exit::NoSuchPath))?;
    write(&source.name, std::slice::from_ref(chosen), output, "")
}

/// A plaintext that is about to be sealed: as it was read, or in another format.
pub(crate) struct Plaintext {
    /// The text, under the name of the file it comes from.
    pub(crate) source: Source,
    /// The values it was made of, if it was converted: they know their types, which the text may not show.
    values: Vec<Value<'static>>,
}

impl Plaintext {
    /// `source` in `format`.
    ///
    /// # Errors
    /// The [`Failure`] to report, [`Exit::CannotEmit`] if the format has no room for something.
    pub(crate) fn new(source: Source, format: Format) -> Result<Self, Failure> {
        if source.format == format {
            let values = Vec::new();
            return Ok(Self { source, values });
        }
        let documents = contents(&source)?;
        let several = "only YAML holds several documents; put them into files of their own";
        let bytes = write(
            &source.name,
            &documents,
            OutputFormat::File(format),
            several,
        )?;
        Ok(Self {
            source: Source {
                name: source.name.clone(),
                format,
                bytes,
            },
            values: convert::values(&documents),
        })
    }

    /// The text as a document that knows the types of its values.
    ///
    /// # Errors
    /// [`Exit::CannotRead`] if it cannot be read.
    pub(crate) fn document(&self) -> Result<Document<'_>, Failure> {
        let document = self.source.document(Exit::CannotRead)?;
        if self.values.is_empty() {
            return Ok(document);
        }
        convert::with_types(document, &self.values)
            .map_err(|error| Failure::new(Exit::CannotRead, error.message))
    }
}

/// What a plaintext holds. It must be one: metadata is never carried over.
fn contents(source: &Source) -> Result<Vec<Content<'_>>, Failure> {
    if source.format == Format::Binary {
        return Ok(vec![convert::of_bytes(source.bytes.clone())]);
    }
    let document = source.document(Exit::CannotRead)?;
    if let Some(node) = document
        .metadata()
        .first()
        .and_then(|&id| document.node(id))
    {
        let sealed = EncryptError::AlreadyEncrypted(node.key.unwrap_or(node.span));
        return Err(cannot_seal(source, None, &sealed));
    }
    document
        .contents()
        .map_err(|error| cannot_seal(source, None, &EncryptError::Leaf(error)))
}

/// `several` is what to do about several documents where there is room for one.
fn write(
    name: &str,
    documents: &[Content<'_>],
    output: OutputFormat,
    several: &str,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    convert::write(output, documents).map_err(|CannotEmit { path, reason }| {
        let what = if path.is_empty() {
            format!("`{name}`")
        } else {
            format!("`{path}` in `{name}`")
        };
        let message = format!("{what} cannot be written as {}: {reason}", output.name());
        Failure::new(Exit::CannotEmit, message).hint(match documents.len() {
            0 | 1 => "choose an `--output-type` that has room for it, or change the file",
            _ => several,
        })
    })
}
