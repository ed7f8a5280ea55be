//! Merging two versions of a sealed file that come from a third: opened, merged as plaintext, sealed again.
//!
//! Values are compared opened, so that a file that was sealed anew without a change is no change. A value that one side
//! left alone keeps the text of its token; the other side's token is taken over where the data key is the same. Conflicts
//! are sealed too: nothing of the plaintext leaves this module but to an editor. Knows nothing of git.

use zeroize::Zeroizing;

use crate::cipher::{Cipher, IV_LEN};
use crate::document::Document;
use crate::format::Format;
use crate::metadata::Metadata;
use crate::node::ScanError;
use crate::ops::binary;
use crate::ops::decrypt::Decrypted;
use crate::ops::encrypt::{EncryptError, Encrypted, Sealer, seal_anew, seal_unsigned};
use crate::ops::reuse::Reuse;
use crate::secret::DataKey;
use crate::value::{Type, timestamp};

pub(super) mod align;
pub(super) mod entries;
mod fate;
mod follow;
pub mod metadata;
pub mod plaintext;
mod rows;
mod text;
pub(super) mod three;
mod units;
mod weave;

pub use text::Markers;
pub use three::Side;

use align::align;
use metadata::{MergedMetadata, Missing};
use plaintext::{Base, Conflict, Merged, merge_whole};

/// A version of a file, opened and verified.
#[derive(Debug)]
pub struct Version<'a> {
    /// The sealed document.
    pub document: &'a Document<'a>,
    /// Its metadata.
    pub metadata: &'a Metadata,
    /// Its data key.
    pub key: &'a DataKey,
    /// Its plaintext, with its tokens remembered.
    pub decrypted: Decrypted,
}

/// What both versions come from.
#[derive(Debug)]
pub enum Ancestor<'a> {
    /// This version.
    Known(Version<'a>),
    /// Nothing: both added the file.
    Empty,
    /// It cannot be opened: every difference is a conflict.
    Unknown,
}

/// Which side's text is the result as it stands, where that can be told without a key: both are the same, or one of them is
/// what both come from.
#[must_use]
pub fn without_key(base: &str, ours: &str, theirs: &str) -> Option<Side> {
    if ours == theirs || base == theirs {
        Some(Side::Ours)
    } else if base == ours {
        Some(Side::Theirs)
    } else {
        None
    }
}

/// A merge that is done but for the sealing.
#[derive(Debug)]
pub struct Merge<'a> {
    /// The plaintext.
    pub plaintext: Merged,
    /// The metadata. Where keys are [`Missing`], they have to be wrapped before anything is sealed.
    pub metadata: MergedMetadata,
    /// The data key of the result.
    pub key: &'a DataKey,
    format: Format,
    reuse: Reuse,
    ours: Whole<'a>,
    theirs: Whole<'a>,
}

/// A version as a whole, to see whether the result is just that.
struct Whole<'a> {
    document: &'a Document<'a>,
    metadata: &'a Metadata,
    plaintext: Zeroizing<String>,
}

impl std::fmt::Debug for Whole<'_> {
    /// The shape, and nothing of the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.document.fmt(f)
    }
}

impl<'a> Merge<'a> {
    /// Merges. The data key is ours, unless theirs was rotated and ours was not.
    ///
    /// # Errors
    /// [`ScanError`] if the plaintext of a version cannot be read, which no version that was sealed has.
    pub fn of(
        base: Ancestor<'a>,
        ours: Version<'a>,
        theirs: Version<'a>,
    ) -> Result<Self, ScanError> {
        let format = ours.document.format();
        let same_key = ours.key == theirs.key;
        let rotated = match &base {
            Ancestor::Known(base) => base.key == ours.key && !same_key,
            Ancestor::Empty | Ancestor::Unknown => false,
        };
        let key_side = if rotated { Side::Theirs } else { Side::Ours };
        let base_metadata = match &base {
            Ancestor::Known(base) => Some(base.metadata),
            Ancestor::Empty | Ancestor::Unknown => None,
        };
        let metadata = metadata::merge(
            base_metadata,
            ours.metadata,
            theirs.metadata,
            key_side,
            same_key,
        );
        let plaintext =
            merge_plaintexts(format, &base, &ours.decrypted.text, &theirs.decrypted.text)?;
        let key = if rotated { theirs.key } else { ours.key };
        let mut reuse = Reuse::default();
        if !rotated {
            reuse = ours.decrypted.reuse;
        }
        if rotated || same_key {
            reuse = reuse.or(theirs.decrypted.reuse);
        }
        if let Ancestor::Known(base) = base
            && base.key == key
        {
            reuse = reuse.or(base.decrypted.reuse);
        }
        let whole = |document, metadata, plaintext| Whole {
            document,
            metadata,
            plaintext,
        };
        Ok(Self {
            plaintext,
            metadata,
            key,
            format,
            reuse,
            ours: whole(ours.document, ours.metadata, ours.decrypted.text),
            theirs: whole(theirs.document, theirs.metadata, theirs.decrypted.text),
        })
    }

    /// Whether there are no conflicts.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.plaintext.is_clean() && self.metadata.conflicts.is_empty()
    }

    /// All conflicts, those of the metadata last.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.plaintext
            .conflicts
            .iter()
            .chain(&self.metadata.conflicts)
    }

    /// Decides conflicts for `side`: those in the entry `path` and below it, or all of them. The fields of the metadata
    /// stand below `sops`. Returns how many there were.
    pub fn take(&mut self, side: Side, path: Option<&str>) -> usize {
        let theirs = self.theirs.metadata;
        let before = self.metadata.conflicts.len();
        let merged = &mut self.metadata;
        merged.conflicts.retain(|conflict| {
            let Some(field) = conflict
                .path
                .strip_prefix("sops.")
                .filter(|_| path.is_none_or(|path| path == conflict.path))
            else {
                return true;
            };
            if side == Side::Theirs {
                match field {
                    "mac_only_encrypted" => {
                        merged.metadata.mac_only_encrypted = theirs.mac_only_encrypted;
                    }
                    "shamir_threshold" => {
                        merged.metadata.shamir_threshold = theirs.shamir_threshold;
                        merged.missing = Missing::All;
                    }
                    "unknown" => merged.metadata.unknown.clone_from(&theirs.unknown),
                    "recipients" | "key_groups" => {
                        merged.metadata.groups.clone_from(&theirs.groups);
                        merged.missing = Missing::All;
                    }
                    _ => merged.metadata.rule.clone_from(&theirs.rule),
                }
            }
            false
        });
        before - self.metadata.conflicts.len() + self.plaintext.take(side, path)
    }

    /// The sealed result of a clean merge. If it is what one side has already, that is left as it is.
    ///
    /// # Errors
    /// [`EncryptError`].
    pub fn seal(self, sealer: &mut Sealer<'_>) -> Result<String, EncryptError> {
        let text = self.plaintext.text(Side::Ours);
        for side in [&self.ours, &self.theirs] {
            if *side.plaintext == *text && self.has_metadata_of(side.metadata) {
                return Ok(side.document.source().to_owned());
            }
        }
        self.seal_text(&text, sealer)
    }

    /// Seals a text that was made of this merge, by hand.
    ///
    /// # Errors
    /// [`EncryptError`].
    pub fn seal_text(&self, text: &str, sealer: &mut Sealer<'_>) -> Result<String, EncryptError> {
        let mut metadata = self.metadata.metadata.clone();
        if self.format == Format::Binary {
            return binary::encrypt(
                text.as_bytes(),
                &mut metadata,
                self.key,
                sealer.now,
                sealer.random,
            );
        }
        let document = Document::parse(self.format, text)?;
        let old = has_metadata(&metadata, self.ours.metadata).then_some(self.ours.document);
        let Encrypted { text, .. } =
            seal_anew(document, &mut metadata, sealer, self.reuse.clone(), old)?;
        Ok(text)
    }

    /// Whether the result has this metadata, but for the seal.
    fn has_metadata_of(&self, other: &Metadata) -> bool {
        self.metadata.missing == Missing::Nobody && has_metadata(&self.metadata.metadata, other)
    }

    /// The result with sealed conflicts between markers. No reader takes it for a file in order: its MAC is that of nothing.
    ///
    /// # Errors
    /// [`EncryptError`] if one of the versions of a conflict cannot be sealed.
    pub fn seal_marked(
        &self,
        markers: &Markers,
        sealer: &mut Sealer<'_>,
    ) -> Result<String, EncryptError> {
        let mut metadata = self.metadata.metadata.clone();
        metadata.lastmodified = timestamp(sealer.now);
        let mut iv = [0; IV_LEN];
        sealer.random.fill(&mut iv);
        metadata.mac = Cipher::new(self.key)?.seal(
            b"unresolved conflict",
            Type::Str,
            &metadata.lastmodified,
            &iv,
        );
        let mut sealed = |side: Side, metadata: &Metadata, reuse: Reuse| {
            let text = self.plaintext.text(side);
            if self.format == Format::Binary {
                return Err(EncryptError::Unreadable("binary".to_owned()));
            }
            let document = Document::parse(self.format, &text)?;
            seal_unsigned(&document, metadata, sealer, reuse)
        };
        let (ours, tokens) = sealed(Side::Ours, &metadata, self.reuse.clone())?;
        let mut theirs_metadata = metadata.clone();
        if !self.metadata.conflicts.is_empty() {
            theirs_metadata.rule.clone_from(&self.theirs.metadata.rule);
            theirs_metadata.mac_only_encrypted = self.theirs.metadata.mac_only_encrypted;
            theirs_metadata.shamir_threshold = self.theirs.metadata.shamir_threshold;
        }
        let (theirs, more) = sealed(
            Side::Theirs,
            &theirs_metadata,
            self.reuse.clone().or(tokens.clone()),
        )?;
        let base = sealed(
            Side::Base,
            &metadata,
            self.reuse.clone().or(tokens).or(more),
        );
        let base = base.map_or_else(|_| String::new(), |(text, _)| text);
        Ok(marked(&base, &ours, &theirs, markers))
    }
}

fn has_metadata(one: &Metadata, other: &Metadata) -> bool {
    let seal = |metadata: &Metadata| Metadata {
        lastmodified: String::new(),
        mac: String::new(),
        version: String::new(),
        ..metadata.clone()
    };
    seal(one) == seal(other)
}

fn merge_plaintexts(
    format: Format,
    base: &Ancestor<'_>,
    ours: &str,
    theirs: &str,
) -> Result<Merged, ScanError> {
    let known = match base {
        Ancestor::Known(base) => Some(base.decrypted.text.as_str()),
        Ancestor::Empty | Ancestor::Unknown => None,
    };
    if format == Format::Binary {
        return Ok(merge_whole(known, ours, theirs));
    }
    let (ours, theirs) = (
        Document::parse(format, ours)?,
        Document::parse(format, theirs)?,
    );
    let known = known
        .map(|text| Document::parse(format, text))
        .transpose()?;
    let base = match (&known, base) {
        (Some(base), _) => Base::Known(base),
        (None, Ancestor::Unknown) => Base::Unknown,
        (None, _) => Base::Empty,
    };
    Ok(plaintext::merge(base, &ours, &theirs))
}

/// Three texts as one, with markers where ours and theirs differ.
fn marked(base: &str, ours: &str, theirs: &str, markers: &Markers) -> String {
    let lines =
        |text: &'_ str| -> Vec<String> { text.split_inclusive('\n').map(str::to_owned).collect() };
    let (base, ours, theirs) = (lines(base), lines(ours), lines(theirs));
    let numbers = |lines: &[String]| -> Vec<u64> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let number = |line: &String| {
            let mut hash = DefaultHasher::new();
            line.hash(&mut hash);
            hash.finish()
        };
        lines.iter().map(number).collect()
    };
    let to_theirs = align(&numbers(&ours), &numbers(&theirs));
    let to_base = align(&numbers(&ours), &numbers(&base));
    let mut text = String::new();
    let (mut at, mut at_base, mut at_theirs) = (0, 0, 0);
    let ends = [(Some(theirs.len()), Some(base.len()))];
    let partners = to_theirs.into_iter().zip(to_base).chain(ends).enumerate();
    for (number, (partner, in_base)) in partners {
        let Some(partner) = partner else { continue };
        let base_to = in_base.unwrap_or(at_base);
        let part = |lines: &[String], from: usize, to: usize| {
            let mut part: String = lines.get(from..to).unwrap_or_default().concat();
            if !part.is_empty() && !part.ends_with('\n') {
                part.push('\n');
            }
            part
        };
        if at < number || at_theirs < partner {
            for (mark, part) in [
                ("<", part(&ours, at, number)),
                ("|", part(&base, at_base, base_to)),
                ("=", part(&theirs, at_theirs, partner)),
                (">", String::new()),
            ] {
                if mark == ">" {
                    text.push_str(&part);
                }
                text.push_str(&markers.line(mark));
                text.push('\n');
                text.push_str(&part);
            }
        }
        text.push_str(ours.get(number).map_or("", String::as_str));
        (at, at_theirs) = (number + 1, partner + 1);
        at_base = in_base.map_or(at_base, |place| place + 1);
    }
    text
}
