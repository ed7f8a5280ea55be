//! Changing who can open a sealed file: the same data key wrapped for others, or a new data key for everything.
//!
//! Only what has to change does: recipient lists and threshold in the metadata, and for a new key the tokens, each where
//! it stands. Knows nothing of why somebody is a recipient; that is decided before.

use crate::cipher::{BadKeyLength, Cipher};
use crate::document::Document;
use crate::edit::{BadEdit, Edit, splice};
use crate::format::revise::{Revision, revise};
use crate::format::{self, Format};
use crate::keys::{KeyService, NotWrapped, wrap_all};
use crate::metadata::{Metadata, flat};
use crate::ops::binary::{decrypt as decrypt_binary, reseal};
use crate::ops::decrypt::{DecryptError, Warning, verify};
use crate::ops::encrypt::{EncryptError, new_block, prove, sign};
use crate::ops::open::reseal_leaves;
use crate::random::Random;
use crate::recipient::{Recipient, RecipientKind, WrappedKey};
use crate::secret::DataKey;
use crate::selection::Selection;
use crate::tree::Tree;

mod change;

pub use change::{Change, GroupChange, same};

/// Why a file could not be given to other recipients.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RekeyError {
    /// The file does not open, or its MAC is not right.
    #[error(transparent)]
    Open(#[from] DecryptError),
    /// The new file would not be what it should be: a defect, found before anything was written.
    #[error("internal error: the new metadata did not come through")]
    Metadata,
    /// The resealed file would not open.
    #[error(transparent)]
    Seal(#[from] EncryptError),
    /// The data key has a length that AES does not have.
    #[error(transparent)]
    Key(#[from] BadKeyLength),
    /// The edits contradict each other: a defect.
    #[error("internal error: {0}")]
    Edit(#[from] BadEdit),
}

/// A data key, wrapped for all who shall have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrapped {
    /// The key groups.
    pub groups: Vec<Vec<WrappedKey>>,
    /// How many groups are needed; 0 if the file shall not say.
    pub shamir_threshold: usize,
}

/// What wrapping needs of the outside.
pub struct Wrapping<'a> {
    /// The back ends.
    pub services: &'a [&'a dyn KeyService],
    /// When, RFC 3339 UTC.
    pub created_at: &'a str,
    /// Where the polynomials of shares come from.
    pub random: &'a mut dyn Random,
}

impl std::fmt::Debug for Wrapping<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wrapping({} services)", self.services.len())
    }
}

/// Whether the entries of recipients that stay can stay as they are when the data key does: only if it is whole in them.
/// Shares of different splits do not fit together (spec 6.2).
fn keeps_entries(metadata: &Metadata, groups: &[Vec<Recipient>]) -> bool {
    metadata.groups.len() == 1 && groups.len() == 1
}

/// Whether the data key is needed to give the file to `groups`: not if nobody is added to the only group.
#[must_use]
pub fn needs_key(metadata: &Metadata, groups: &[Vec<Recipient>]) -> bool {
    let old = metadata.groups.first();
    let known = |recipient: &Recipient| {
        old.is_some_and(|old| old.iter().any(|key| same(&key.recipient, recipient)))
    };
    !keeps_entries(metadata, groups) || !groups.iter().flatten().all(known)
}

/// Wraps the data key of a file, which is known unless [`needs_key`] denies it, for `groups`. With one group before and
/// after, the entries of recipients that stay are not made anew, whatever their kind.
///
/// # Errors
/// [`NotWrapped`] with everybody the key cannot be wrapped for.
pub fn wrap_same(
    metadata: &Metadata,
    groups: &[Vec<Recipient>],
    threshold: usize,
    key: Option<&DataKey>,
    wrapping: Wrapping<'_>,
) -> Result<Wrapped, NotWrapped> {
    let (Some(old), [new], true) = (
        metadata.groups.first(),
        groups,
        keeps_entries(metadata, groups),
    ) else {
        let key = key.ok_or(NotWrapped::NoGroups)?;
        return wrap_new(metadata, groups, threshold, key, wrapping);
    };
    let entry = |recipient: &Recipient| old.iter().find(|key| same(&key.recipient, recipient));
    let added: Vec<Recipient> = new.iter().filter(|r| entry(r).is_none()).cloned().collect();
    let mut fresh = Vec::new();
    if let Some(key) = key.filter(|_| !added.is_empty()) {
        let Wrapping {
            services,
            created_at,
            random,
        } = wrapping;
        fresh = wrap_all(&[added], 0, key, created_at, services, random)?.concat();
    }
    let mut fresh = fresh.into_iter();
    let group: Vec<WrappedKey> = new
        .iter()
        .filter_map(|recipient| entry(recipient).cloned().or_else(|| fresh.next()))
        .collect();
    if group.len() < new.len() || group.is_empty() {
        return Err(NotWrapped::EmptyGroup { index: 0 });
    }
    Ok(Wrapped {
        groups: vec![group],
        shamir_threshold: threshold,
    })
}

/// Wraps a key for all of `groups`. Recipients that were in the file before keep the date of their entry, and fields of it
/// that this version does not know.
///
/// # Errors
/// [`NotWrapped`] with everybody the key cannot be wrapped for.
pub fn wrap_new(
    metadata: &Metadata,
    groups: &[Vec<Recipient>],
    threshold: usize,
    key: &DataKey,
    wrapping: Wrapping<'_>,
) -> Result<Wrapped, NotWrapped> {
    let Wrapping {
        services,
        created_at,
        random,
    } = wrapping;
    let mut wrapped = wrap_all(groups, threshold, key, created_at, services, random)?;
    for entry in wrapped.iter_mut().flatten() {
        let before = metadata
            .keys()
            .find(|old| same(&old.recipient, &entry.recipient));
        if let Some(old) = before {
            entry.created_at.clone_from(&old.created_at);
            entry.unknown.clone_from(&old.unknown);
        }
    }
    Ok(Wrapped {
        groups: wrapped,
        // The number that was used is written (spec 6.2).
        shamir_threshold: match (threshold, groups.len()) {
            (0, all @ 2..) => all,
            (given, _) => given,
        },
    })
}

/// The recipients of kinds that this version does not know, as identity strings: they cannot be given another key.
#[must_use]
pub fn unsupported(groups: &[Vec<Recipient>]) -> Vec<String> {
    let unknown = |recipient: &&Recipient| recipient.kind() == RecipientKind::Unknown;
    let unknown = groups.iter().flatten().filter(unknown);
    unknown.map(Recipient::identity).collect()
}

/// The file with its data key wrapped as `wrapped` says. Values, MAC, `lastmodified`, version and all else stay byte for
/// byte (spec 4.6).
///
/// # Errors
/// [`RekeyError`] for defects alone.
pub fn rewrap(
    document: &Document<'_>,
    metadata: &Metadata,
    wrapped: Wrapped,
) -> Result<String, RekeyError> {
    let new = with(metadata, wrapped);
    put_in(document, Vec::new(), metadata, &new)
}

fn with(metadata: &Metadata, wrapped: Wrapped) -> Metadata {
    Metadata {
        groups: wrapped.groups,
        shamir_threshold: wrapped.shamir_threshold,
        ..metadata.clone()
    }
}

/// A new data key and what goes with it.
pub struct NewKey<'a> {
    /// The key.
    pub key: &'a DataKey,
    /// The same, wrapped.
    pub wrapped: Wrapped,
    /// Seconds since 1970, UTC.
    pub now: i64,
    /// Where IVs come from.
    pub random: &'a mut dyn Random,
}

impl std::fmt::Debug for NewKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewKey(…)")
    }
}

/// A file with a new data key.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The whole new text.
    pub text: String,
    /// What was odd, but not wrong.
    pub warnings: Vec<Warning>,
}

/// The file with everything sealed by a new data key, after its MAC was verified. It gets a new MAC and `lastmodified`;
/// the version stays (spec 5.3), and so does the layout, byte for byte.
///
/// # Errors
/// [`RekeyError`]: first everything that decrypting could meet.
pub fn rotate(
    document: &Document<'_>,
    metadata: &Metadata,
    selection: &Selection,
    key: &DataKey,
    new: NewKey<'_>,
) -> Result<Rotated, RekeyError> {
    let (old_cipher, new_cipher) = (Cipher::new(key)?, Cipher::new(new.key)?);
    let mut changed = with(metadata, new.wrapped);
    let (edits, mac, warnings) = if document.format() == Format::Binary {
        let (edits, mac) = reseal(document, metadata, key, &new_cipher, new.random)?;
        (edits, mac, Vec::new())
    } else {
        let leaves = reseal_leaves(document, selection, &old_cipher, &new_cipher, new.random)?;
        verify(&old_cipher, metadata, &leaves.mac).map_err(DecryptError::Mac)?;
        (leaves.edits, leaves.mac, leaves.warnings)
    };
    sign(&mut changed, &new_cipher, &mac, new.now, new.random);
    let text = put_in(document, edits, metadata, &changed)?;
    if document.format() == Format::Binary {
        let again = Document::parse(Format::Binary, &text).map_err(DecryptError::Leaf)?;
        decrypt_binary(&again, &changed, new.key, false)?;
    } else {
        prove(document.format(), &text, &changed, new.key)?;
    }
    Ok(Rotated { text, warnings })
}

/// Applies `edits` to the sealed text, and the difference between the two metadata: in place if that can be done, else as a
/// block that is emitted anew.
fn put_in(
    document: &Document<'_>,
    edits: Vec<Edit>,
    old: &Metadata,
    new: &Metadata,
) -> Result<String, RekeyError> {
    let (format, source, nodes) = (document.format(), document.source(), document.nodes());
    let revision = revision(format, old, new);
    if let Some(fields) = revise(format, source, nodes, document.metadata(), &revision) {
        let edits: Vec<Edit> = edits.iter().cloned().chain(fields).collect();
        if let Ok(text) = splice(source, &edits)
            && reads_as(format, &text, new)
        {
            return Ok(text.to_string());
        }
    }
    let detached = format::detach(format, source, nodes).edits;
    let bare = splice(source, &[edits, detached].concat())?;
    let body = Document::parse(format, &bare).map_err(DecryptError::Leaf)?;
    let block = new_block(&body, new);
    let attached = format::attach(format, &bare, body.nodes(), &block);
    let text = splice(&bare, &attached)?;
    if reads_as(format, &text, new) {
        Ok(text.to_string())
    } else {
        Err(RekeyError::Metadata)
    }
}

fn reads_as(format: Format, text: &str, metadata: &Metadata) -> bool {
    let Ok(document) = Document::parse(format, text) else {
        return false;
    };
    let found = Metadata::of(&document);
    matches!(found, Ok(Some(found)) if found.tree() == metadata.tree())
}

/// What has to change in the text of the metadata, in the fields that its format has.
fn revision(format: Format, old: &Metadata, new: &Metadata) -> Revision {
    let (old, new) = (fields(format, old), fields(format, new));
    let within = |fields: &[(String, Tree)], name: &str| fields.iter().any(|(n, _)| n == name);
    let gone = old.iter().filter(|(name, _)| !within(&new, name));
    let changed = new.iter().filter(|field| !old.contains(field));
    Revision {
        changes: gone
            .map(|(name, _)| (name.clone(), None))
            .chain(changed.map(|(name, value)| (name.clone(), Some(value.clone()))))
            .collect(),
        order: new.iter().map(|(name, _)| name.clone()).collect(),
    }
}

fn fields(format: Format, metadata: &Metadata) -> Vec<(String, Tree)> {
    let tree = metadata.tree();
    match format {
        Format::Dotenv | Format::Ini => flat::flatten(&tree)
            .into_iter()
            .map(|(name, text)| (name, Tree::Str(text)))
            .collect(),
        Format::Yaml | Format::Json | Format::Toml | Format::Binary => match tree {
            Tree::Map(entries) => entries,
            _ => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests;
