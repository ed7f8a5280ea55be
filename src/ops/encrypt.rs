//! Encrypting a file: every selected leaf sealed, the MAC made, the metadata put in.
//!
//! Knows nothing of recipients: the data key and the metadata with its wrapped keys arrive ready.

use zeroize::Zeroizing;

use crate::cipher::{BadKeyLength, Cipher, IV_LEN};
use crate::document::Document;
use crate::edit::{BadEdit, Edit, splice};
use crate::format::{self, Format};
use crate::metadata::{Metadata, SOPS_VERSION, flat};
use crate::node::{NodeId, ScanError};
use crate::ops::decrypt::{Decrypted, check};
use crate::ops::open::open_leaves;
use crate::ops::reuse::Reuse;
use crate::ops::seal::{SealedLeaves, expand_aliases, refuse_doubtful, seal_leaves};
use crate::random::Random;
use crate::secret::DataKey;
use crate::selection::Selection;
use crate::span::Span;
use crate::value::{Type, Value, timestamp};

/// A sealed file.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// The whole new text.
    pub text: String,
    /// What was done, for a message.
    pub report: Report,
}

/// What sealing did, for a message. Holds key names, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of values sealed.
    pub sealed: usize,
    /// Number of values and comments that got a fresh token.
    pub fresh: usize,
    /// Number of aliases that had to be written out, because a token cannot be read behind an alias.
    pub expanded_aliases: usize,
    /// Paths of values whose plaintext was already a token.
    pub tokens_as_text: Vec<String>,
}

/// Why a file could not be sealed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// The file has metadata already.
    #[error("the file is already encrypted")]
    AlreadyEncrypted(Span),
    /// A later YAML document has an entry of the metadata's name.
    #[error("a later document has an entry named `sops`")]
    LaterDocumentHasSops(Span),
    /// A key or value that SOPS could not handle.
    #[error(transparent)]
    Leaf(#[from] ScanError),
    /// The text, after its aliases were written out, cannot be read any more.
    #[error("the aliases of this file cannot be written out: {0}")]
    Expansion(ScanError),
    /// A value that must be sealed still stands behind an alias: a defect.
    #[error("internal error: an alias over a sealed value was left")]
    AliasOverSealed(Span),
    /// A comment's token matches `unencrypted_comment_regex`, so it could never be opened again.
    #[error("the rule `unencrypted_comment_regex` matches sealed comments themselves")]
    TokenMatchesRule(Span),
    /// A rule asks this comment what is sealed, and it stands where it may be counted for another entry.
    #[error("the rule asks this comment what is sealed, but it may be counted for another key")]
    DoubtfulComment(Span),
    /// A comment behind an INI section header is to be sealed: a token there would become part of the section's name.
    #[error("a comment behind a section header cannot be sealed")]
    HeaderComment(Span),
    /// The rule selects nothing, though there are values.
    #[error("the rule selects no value of this file, so nothing would be sealed")]
    NothingSealed {
        /// Paths of the first clear values.
        clear: Vec<String>,
    },
    /// What was sealed does not open again: a defect, found before anything was written. Says why, without any value.
    #[error("internal error: the sealed text would not open again: {0}")]
    Unreadable(String),
    /// Writing an alias out would show in clear what is sealed elsewhere.
    #[error("the alias at `{path}` would show in clear what is sealed where it comes from")]
    AliasInClear {
        /// The alias.
        span: Span,
        /// Its keys, joined with dots.
        path: String,
    },
    /// The data key has a length that AES does not have.
    #[error(transparent)]
    Key(#[from] BadKeyLength),
    /// The format's own edits contradict each other: a defect.
    #[error("internal error: {0}")]
    Edit(#[from] BadEdit),
}

/// The things every sealing needs.
pub struct Sealer<'a> {
    /// Which leaves are sealed.
    pub selection: &'a Selection,
    /// The file's data key.
    pub key: &'a DataKey,
    /// Whether a file without a single selected value may be written.
    pub allow_clear: bool,
    /// Seconds since 1970, UTC.
    pub now: i64,
    /// Where IVs come from.
    pub random: &'a mut dyn Random,
}

impl std::fmt::Debug for Sealer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Seals `document` for the first time. `metadata` brings the wrapped keys and the rule; its `lastmodified` and `mac` are
/// set here. The document is taken, so that its nodes go before the sealed text is read again to prove it.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(
    document: Document<'_>,
    metadata: &mut Metadata,
    sealer: &mut Sealer<'_>,
) -> Result<Encrypted, EncryptError> {
    let expanded = prepare(&document, sealer)?;
    let (text, report) = match expanded {
        None => seal(document, metadata, sealer, None, None)?,
        Some((text, aliases)) => {
            let again = reparse(document.format(), &text)?;
            drop(document);
            let (text, mut report) = seal(again, metadata, sealer, None, None)?;
            report.expanded_aliases = aliases;
            (text, report)
        }
    };
    Ok(Encrypted { text, report })
}

/// A sealed file that was opened, to be sealed again with changed plaintext.
#[derive(Debug)]
pub struct Previous<'a> {
    /// The sealed document.
    pub document: &'a Document<'a>,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// What [`crate::ops::decrypt::decrypt`] made of it.
    pub decrypted: Decrypted,
}

/// Seals `document`, the changed plaintext of `previous`: data key, recipients, metadata and the tokens of all unchanged
/// leaves stay (law 4). `None` if nothing at all would change.
///
/// # Errors
/// [`EncryptError`].
pub fn reencrypt(
    document: Document<'_>,
    previous: Previous<'_>,
    sealer: &mut Sealer<'_>,
) -> Result<Option<Encrypted>, EncryptError> {
    let Previous {
        document: old,
        metadata,
        decrypted,
    } = previous;
    // A token may stand in quotes that its value came out of: sealing would not put them back.
    // Where values have types that their text does not show, the tokens tell.
    if !document.has_meanings() && document.source() == *decrypted.text {
        return Ok(None);
    }
    let expanded = prepare(&document, sealer)?;
    let reuse = decrypted.reuse;
    let mut metadata = metadata.clone();
    let again = |document: Document<'_>, aliases: usize| {
        let (text, mut report) = seal(document, &mut metadata, sealer, Some(reuse), Some(old))?;
        report.expanded_aliases = aliases;
        Ok::<_, EncryptError>(Encrypted { text, report })
    };
    let encrypted = match expanded {
        None => again(document, 0)?,
        Some((text, aliases)) => again(reparse(document.format(), &text)?, aliases)?,
    };
    let changed = encrypted.report.fresh > 0 || !same_but_for_the_seal(&encrypted.text, old);
    Ok(changed.then_some(encrypted))
}

/// Checks that the plaintext is one, and writes out its aliases if that is needed.
fn prepare(
    document: &Document<'_>,
    sealer: &Sealer<'_>,
) -> Result<Option<(Zeroizing<String>, usize)>, EncryptError> {
    if let Some(node) = document
        .metadata()
        .first()
        .and_then(|&id| document.node(id))
    {
        let root = document.roots().next();
        return Err(
            if document.format() != Format::Yaml || node.parent == root {
                EncryptError::AlreadyEncrypted(node.key.unwrap_or(node.span))
            } else {
                EncryptError::LaterDocumentHasSops(node.key.unwrap_or(node.span))
            },
        );
    }
    refuse_doubtful(document, sealer.selection)?;
    expand_aliases(document, sealer.selection, sealer.allow_clear)
}

fn reparse(format: Format, text: &str) -> Result<Document<'_>, EncryptError> {
    Document::parse(format, text).map_err(EncryptError::Expansion)
}

/// Seals the leaves, sets `lastmodified` and `mac`, and puts the metadata in: the block of `old` if it can be moved, else
/// a new one.
fn seal(
    document: Document<'_>,
    metadata: &mut Metadata,
    sealer: &mut Sealer<'_>,
    reuse: Option<Reuse>,
    old: Option<&Document<'_>>,
) -> Result<(String, Report), EncryptError> {
    let cipher = Cipher::new(sealer.key)?;
    let SealedLeaves {
        mut edits,
        mac,
        sealed,
        fresh,
        clear,
        tokens_as_text,
    } = seal_leaves(&document, sealer.selection, &cipher, reuse, sealer.random)?;
    if sealed == 0 && !clear.is_empty() && !sealer.allow_clear {
        return Err(EncryptError::NothingSealed { clear });
    }
    sign(metadata, &cipher, &mac, sealer.now, sealer.random);
    let (format, source, nodes) = (document.format(), document.source(), document.nodes());
    let block = match old.and_then(|old| moved_block(old, metadata)) {
        Some(block) => block,
        None => new_block(&document, metadata),
    };
    edits.extend(format::attach(format, source, nodes, &block));
    let text = std::mem::take(&mut *splice(source, &edits)?);
    drop((edits, document));
    prove(format, &text, metadata, sealer.key)?;
    Ok((
        text,
        Report {
            sealed,
            fresh,
            expanded_aliases: 0,
            tokens_as_text,
        },
    ))
}

/// Seals `document`, which stands for no earlier file, with tokens that are kept and the metadata block of `old`.
///
/// # Errors
/// [`EncryptError`].
pub(super) fn seal_anew(
    document: Document<'_>,
    metadata: &mut Metadata,
    sealer: &mut Sealer<'_>,
    reuse: Reuse,
    old: Option<&Document<'_>>,
) -> Result<Encrypted, EncryptError> {
    let expanded = prepare(&document, sealer)?;
    let (text, aliases) = match expanded {
        None => (seal(document, metadata, sealer, Some(reuse), old)?, 0),
        Some((text, aliases)) => {
            let again = reparse(document.format(), &text)?;
            (seal(again, metadata, sealer, Some(reuse), old)?, aliases)
        }
    };
    let (text, mut report) = text;
    report.expanded_aliases = aliases;
    Ok(Encrypted { text, report })
}

/// Seals the leaves of `document` and puts `metadata` in as it is: its MAC is not made, so nobody takes the result for a
/// file in order. Also gives the tokens that it has.
///
/// # Errors
/// [`EncryptError`].
pub(super) fn seal_unsigned(
    document: &Document<'_>,
    metadata: &Metadata,
    sealer: &mut Sealer<'_>,
    reuse: Reuse,
) -> Result<(String, Reuse), EncryptError> {
    let expanded = prepare(document, sealer)?;
    let again;
    let document = match &expanded {
        None => document,
        Some((text, _)) => {
            again = reparse(document.format(), text)?;
            &again
        }
    };
    let cipher = Cipher::new(sealer.key)?;
    let leaves = seal_leaves(
        document,
        sealer.selection,
        &cipher,
        Some(reuse),
        sealer.random,
    )?;
    let mut edits = leaves.edits;
    let block = new_block(document, metadata);
    edits.extend(format::attach(
        document.format(),
        document.source(),
        document.nodes(),
        &block,
    ));
    let text = std::mem::take(&mut *splice(document.source(), &edits)?);
    drop(edits);
    let sealed = Document::parse(document.format(), &text)
        .map_err(|error| EncryptError::Unreadable(error.to_string()))?;
    let opened = open_leaves(&sealed, sealer.selection, &cipher, false, true)
        .map_err(|error| EncryptError::Unreadable(error.to_string()))?;
    drop(sealed);
    Ok((text, opened.reuse))
}

/// Opens what was just sealed, as any reader would, so that no file is ever replaced by one that cannot be opened again.
pub(super) fn prove(
    format: Format,
    text: &str,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<(), EncryptError> {
    let unreadable = |error: &dyn std::fmt::Display| EncryptError::Unreadable(error.to_string());
    let document = Document::parse(format, text).map_err(|error| unreadable(&error))?;
    let found = Metadata::of(&document).map_err(|error| unreadable(&error))?;
    let Some(found) = found.filter(|found| found.tree() == metadata.tree()) else {
        return Err(unreadable(&"the metadata did not come through"));
    };
    let (selection, _) = found.selection();
    check(&document, &found, &selection, key).map_err(|error| unreadable(&error))
}

/// Sets `lastmodified` and seals `mac` with it (spec 4.4).
pub(super) fn sign(
    metadata: &mut Metadata,
    cipher: &Cipher,
    mac: &str,
    now: i64,
    random: &mut dyn Random,
) {
    let mut iv = [0u8; IV_LEN];
    random.fill(&mut iv);
    metadata.lastmodified = timestamp(now);
    metadata.mac = cipher.seal(mac.as_bytes(), Type::Str, &metadata.lastmodified, &iv);
}

/// The metadata in the spelling of the document's format.
pub(super) fn new_block(document: &Document<'_>, metadata: &Metadata) -> String {
    let tree = metadata.tree();
    match document.format() {
        Format::Yaml => format::yaml::emit_metadata(&tree),
        Format::Json | Format::Binary => {
            format::json::emit_metadata(&tree, document.source(), document.nodes())
        }
        Format::Dotenv => format::dotenv::emit_metadata(&flat::flatten(&tree)),
        Format::Ini => format::ini::emit_metadata(&flat::flatten(&tree)),
        Format::Toml => format::toml::emit_metadata(&tree),
    }
}

/// The metadata of a sealed text as it stands there, with new `lastmodified`, `mac` and `version`: whatever else is in it,
/// also what this version does not know, stays byte for byte. `None` if it cannot be moved as it is.
fn moved_block(old: &Document<'_>, metadata: &Metadata) -> Option<String> {
    let (format, source) = (old.format(), old.source());
    let block = format::detach(format, source, old.nodes()).block?;
    let fields = [
        ("lastmodified", &metadata.lastmodified),
        ("mac", &metadata.mac),
        ("version", &metadata.version),
    ];
    let mut edits = Vec::new();
    for (name, value) in fields {
        let node = old.node(field(old, name)?)?;
        if old
            .value(node)
            .is_ok_and(|old| old == Value::Str(value.as_str().into()))
        {
            continue;
        }
        let value = Value::Str(value.as_str().into());
        format::write_value(format, source, node, &value, false, &mut edits).ok()?;
    }
    for edit in &mut edits {
        if !block.contains(edit.span) {
            return None;
        }
        edit.span = Span::new(
            edit.span.start() - block.start(),
            edit.span.end() - block.start(),
        );
    }
    let text = splice(block.of(source), &edits).ok()?;
    let mut text = text.to_string();
    if format != Format::Json && format != Format::Binary && !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}

/// The node of a metadata field that is a plain value.
fn field(document: &Document<'_>, name: &str) -> Option<NodeId> {
    if document.format() == Format::Dotenv {
        return document.metadata().iter().copied().find(|&id| {
            document
                .node(id)
                .and_then(|node| document.key(node).ok())
                .is_some_and(|key| key.strip_prefix("sops_") == Some(name))
        });
    }
    document.entry(*document.metadata().first()?, name)
}

/// Whether `text` is the sealed text of `old` but for `lastmodified` and `mac`, that is, whether nothing was changed.
fn same_but_for_the_seal(text: &str, old: &Document<'_>) -> bool {
    let Ok(new) = Document::parse(old.format(), text) else {
        return false;
    };
    without_seal(&new).is_some_and(|new| Some(new) == without_seal(old))
}

fn without_seal(document: &Document<'_>) -> Option<Zeroizing<String>> {
    let edits: Vec<Edit> = metadata_roots(document)
        .into_iter()
        .filter_map(|id| document.node(id))
        .map(|node| Edit::remove(node.span))
        .collect();
    splice(document.source(), &edits).ok()
}

/// The `lastmodified` and `mac` nodes of every copy of the metadata.
fn metadata_roots(document: &Document<'_>) -> Vec<NodeId> {
    if document.format() == Format::Dotenv {
        return ["lastmodified", "mac"]
            .into_iter()
            .filter_map(|name| field(document, name))
            .collect();
    }
    document
        .metadata()
        .iter()
        .flat_map(|&id| ["lastmodified", "mac"].map(|name| document.entry(id, name)))
        .flatten()
        .collect()
}

/// The version that a file is raised to when it is edited (spec 5.3): ours, if it is newer than the file's.
#[must_use]
pub fn raised_version(version: &str) -> String {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next()?;
        core.split('.').map(|part| part.parse().ok()).collect()
    };
    match (numbers(version), numbers(SOPS_VERSION)) {
        (Some(found), Some(ours)) if found >= ours => version.to_owned(),
        (None, _) => version.to_owned(),
        _ => SOPS_VERSION.to_owned(),
    }
}
