//! Decrypting a file: every leaf opened, the MAC verified, the metadata taken out.
//!
//! Knows nothing of recipients: the data key arrives unwrapped. Plaintext leaves this module only when the MAC is right,
//! unless the caller asks for a file whose MAC is not (law 8).

use zeroize::Zeroizing;

use crate::cipher::{BadKeyLength, Cipher, OpenError, Token};
use crate::document::{Document, Path};
use crate::edit::{self, BadEdit, splice};
use crate::format::{self, CannotWrite};
use crate::mac;
use crate::metadata::Metadata;
use crate::node::ScanError;
use crate::ops::open::{OpenedLeaves, open_leaves};
use crate::ops::reuse::Reuse;
use crate::secret::DataKey;
use crate::selection::Selection;
use crate::span::Span;
use crate::value::{from_bytes, to_seconds};

/// An opened file.
pub struct Decrypted {
    /// The plaintext, without the metadata.
    pub text: Zeroizing<String>,
    /// What was odd, but not wrong.
    pub warnings: Vec<Warning>,
    /// The tokens of the file, if they were to be remembered.
    pub reuse: Reuse,
}

impl std::fmt::Debug for Decrypted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decrypted({} warnings)", self.warnings.len())
    }
}

/// Something odd that does not stop the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The rules say this comment is sealed, but it is plain text. Anybody who can write the file can write comments.
    CommentInClear(Span),
    /// This comment token opens at no place near it; it was left as it is.
    CommentNotOpened(Span),
    /// This comment opened to something that cannot stand in a comment; it was left as it is.
    CommentNotText(Span),
}

/// Why a file could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// A key or clear value that SOPS could not handle.
    #[error(transparent)]
    Leaf(#[from] ScanError),
    /// A value that is not the token it should be.
    #[error("cannot open the value of `{path}`: {error}")]
    Token {
        /// The value.
        span: Span,
        /// Its keys, joined with dots.
        path: String,
        /// What is wrong with it.
        error: OpenError,
    },
    /// An opened value has no spelling in the file's format.
    #[error("cannot write the value of `{path}`: {error}")]
    CannotWrite {
        /// The value.
        span: Span,
        /// Its keys, joined with dots.
        path: String,
        /// Why not.
        error: CannotWrite,
    },
    /// The MAC is missing, cannot be opened, or is another one.
    #[error("{0}")]
    Mac(MacError),
    /// The data key has a length that AES does not have.
    #[error(transparent)]
    Key(#[from] BadKeyLength),
    /// The format's own edits contradict each other: a defect.
    #[error("internal error: {0}")]
    Edit(#[from] BadEdit),
}

impl DecryptError {
    /// A value at `span` that is not the token it should be.
    pub(super) fn token(span: Span, path: &Path, error: OpenError) -> Self {
        Self::Token {
            span,
            path: path.to_string(),
            error,
        }
    }
}

/// What is wrong with a MAC (spec 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// The file has none.
    #[error("the file has no MAC")]
    Missing,
    /// It does not open: it was changed, or `lastmodified` was.
    #[error("the file's MAC cannot be opened: {0}")]
    Unreadable(OpenError),
    /// Values were changed, added, removed or moved.
    #[error("the file's values do not match its MAC")]
    Mismatch,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Whether a missing or wrong MAC is no error.
    pub ignore_mac: bool,
    /// Whether the metadata stays in the text.
    pub keep_metadata: bool,
    /// Whether the tokens are remembered, for sealing the file again.
    pub remember: bool,
}

/// Opens `document` with its data `key`.
///
/// # Errors
/// [`DecryptError`]: first any value that does not open, then the MAC, as SOPS orders them (spec 4.5).
pub fn decrypt(
    document: &Document<'_>,
    metadata: &Metadata,
    selection: &Selection,
    key: &DataKey,
    opening: Opening,
) -> Result<Decrypted, DecryptError> {
    let opened = open(document, metadata, selection, key, opening)?;
    Ok(Decrypted {
        text: splice(document.source(), &opened.edits)?,
        warnings: opened.warnings,
        reuse: opened.reuse,
    })
}

/// Whether [`decrypt`] would open `document`. Makes no plaintext of the whole.
///
/// # Errors
/// [`DecryptError`] as [`decrypt`] would give it.
pub fn check(
    document: &Document<'_>,
    metadata: &Metadata,
    selection: &Selection,
    key: &DataKey,
) -> Result<(), DecryptError> {
    let opened = open(document, metadata, selection, key, Opening::default())?;
    Ok(edit::check(document.source(), &opened.edits)?)
}

/// The edits that open `document`, its MAC verified.
fn open(
    document: &Document<'_>,
    metadata: &Metadata,
    selection: &Selection,
    key: &DataKey,
    opening: Opening,
) -> Result<OpenedLeaves, DecryptError> {
    let (format, source) = (document.format(), document.source());
    let detached = format::detach(format, source, document.nodes());
    let metadata_at_end = detached
        .edits
        .iter()
        .any(|edit| edit.span.end() == source.len());
    let ends_text = metadata_at_end && !opening.keep_metadata && !source.ends_with('\n');
    let cipher = Cipher::new(key)?;
    let mut opened = open_leaves(document, selection, &cipher, ends_text, opening.remember)?;
    if !opening.ignore_mac {
        verify(&cipher, metadata, &opened.mac).map_err(DecryptError::Mac)?;
    }
    if !opening.keep_metadata {
        opened.edits.extend(detached.edits);
    }
    Ok(opened)
}

/// Compares the MAC of the tree with the one in the metadata.
///
/// # Errors
/// [`MacError`] unless they are equal.
pub(super) fn verify(cipher: &Cipher, metadata: &Metadata, computed: &str) -> Result<(), MacError> {
    if metadata.mac.is_empty() {
        return Err(MacError::Missing);
    }
    let token = Token::parse(&metadata.mac).ok_or(MacError::Unreadable(OpenError::NotAToken))?;
    // The metadata was read, so the timestamp is one; the fallback only keeps this function total.
    let additional_data = to_seconds(&metadata.lastmodified).unwrap_or_default();
    let stored = cipher
        .open(&token, &additional_data)
        .map_err(MacError::Unreadable)?;
    let stored = from_bytes(stored);
    if mac::equal(super::open::text_of(&stored), computed) {
        Ok(())
    } else {
        Err(MacError::Mismatch)
    }
}
