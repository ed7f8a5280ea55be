//! The three versions of a merge: opened, merged, and sealed again.
//!
//! Knows where the versions come from only as bytes. Nothing of the plaintext leaves this but to what it is handed to.

use std::path::Path;

use sops_rs::format::Format;
use sops_rs::keys::wrap_all;
use sops_rs::metadata::Metadata;
use sops_rs::ops::decrypt::{Decrypted, Opening};
use sops_rs::ops::encrypt::{EncryptError, Sealer};
use sops_rs::ops::merge::metadata::Missing;
use sops_rs::ops::merge::plaintext::{Conflict, ConflictKind};
use sops_rs::ops::merge::{Ancestor, Markers, Merge, Version};
use sops_rs::ops::reuse::Reuse;
use sops_rs::recipient::{Recipient, WrappedKey};
use sops_rs::secret::DataKey;
use sops_rs::value::timestamp;
use zeroize::Zeroizing;

use super::args::{IdentityArgs, KeyServiceArgs};
use super::context::Context;
use super::encrypt::not_wrapped;
use super::entropy::Entropy;
use super::exit::Exit;
use super::rekeying::{Wanted, refuse_unnamed};
use super::report::Failure;
use super::sealed::{Sealed, Source};
use super::services::Services;

/// The versions of one file.
pub(crate) struct Versions {
    /// What both come from; `None` if both added the file.
    pub(crate) base: Option<Source>,
    pub(crate) ours: Source,
    pub(crate) theirs: Source,
}

/// A merge of one file.
pub(crate) struct Ready<'a> {
    pub(crate) merge: Merge<'a>,
    /// The name of the file.
    name: String,
}

impl Versions {
    /// Opens and merges the versions, and hands the merge on.
    ///
    /// # Errors
    /// The [`Failure`] to report, or that of `then`: a version cannot be opened, its MAC is wrong, or its key cannot be
    /// wrapped for a recipient that the other side added.
    pub(crate) fn merge<R>(
        &self,
        context: &mut Context,
        identity: &IdentityArgs,
        then: impl FnOnce(&mut Context, Ready<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        refuse_two_formats(&self.ours, &self.theirs)?;
        let ours = Sealed::parse(context, &self.ours)?;
        let theirs = Sealed::parse(context, &self.theirs)?;
        let our_key = ours.data_key(context, identity)?;
        let their_key = key_of(context, identity, &theirs, &[(&ours, &our_key)])?;
        let our_text = open(&ours, &our_key)?;
        let their_text = open(&theirs, &their_key)?;
        let known = [(&ours, &our_key), (&theirs, &their_key)];
        let base = self
            .base
            .as_ref()
            .map(|source| open_base(context, identity, source, &known));
        let ancestor = match &base {
            None => Ancestor::Empty,
            Some(Ok((sealed, key))) => match open(sealed, key) {
                Ok(decrypted) => Ancestor::Known(version(sealed, key, decrypted)),
                Err(failure) => unknown(context, &failure),
            },
            Some(Err(failure)) => unknown(context, failure),
        };
        let merge = Merge::of(
            ancestor,
            version(&ours, &our_key, our_text),
            version(&theirs, &their_key, their_text),
        )
        .map_err(|error| Failure::new(Exit::CannotRead, error.message))?;
        for removed in &merge.metadata.removed {
            context.note(&format!(
                "{removed} can no longer open `{}`, but knows its data key: give it a new one",
                self.ours.name
            ));
        }
        let name = self.ours.name.clone();
        then(context, Ready { merge, name })
    }
}

impl Ready<'_> {
    /// Wraps the data key for those whom the other side added, if that is needed, and the config names them. To be done
    /// before anything is sealed.
    ///
    /// # Errors
    /// The [`Failure`] to report.
    pub(crate) fn wrap(
        &mut self,
        context: &mut Context,
        services: &KeyServiceArgs,
        config: Option<&Path>,
    ) -> Result<(), Failure> {
        let all = match self.merge.metadata.missing {
            Missing::Nobody => return Ok(()),
            Missing::Some => false,
            Missing::All => true,
        };
        let metadata = &self.merge.metadata.metadata;
        let given = Wanted {
            groups: without_key(metadata, all),
            threshold: metadata.shamir_threshold,
        };
        let hint = "if they shall have it, name them in the config and run `sops-rs merge`; else keep your side: `git checkout --ours`";
        refuse_unnamed(context, config, Path::new(&self.name), &given, &[], hint)?;
        wrap_missing(context, services, &mut self.merge, all, &given.groups)
    }

    /// Seals the result of a clean merge.
    ///
    /// # Errors
    /// The [`Failure`] to report.
    pub(crate) fn seal(self, context: &mut Context) -> Result<String, Failure> {
        let name = self.name;
        let merge = self.merge;
        with_sealer(
            context,
            &name,
            &merge.metadata.metadata.clone(),
            merge.key,
            |sealer| merge.seal(sealer),
        )
    }

    /// Seals a text that a person made of the merge.
    ///
    /// # Errors
    /// The [`Failure`] to report.
    pub(crate) fn seal_text(&self, context: &mut Context, text: &str) -> Result<String, Failure> {
        let merge = &self.merge;
        with_sealer(
            context,
            &self.name,
            &merge.metadata.metadata,
            merge.key,
            |sealer| merge.seal_text(text, sealer),
        )
    }

    /// The result with sealed conflicts between markers.
    ///
    /// # Errors
    /// The [`Failure`] to report.
    pub(crate) fn seal_marked(
        &self,
        context: &mut Context,
        markers: &Markers,
    ) -> Result<String, Failure> {
        let merge = &self.merge;
        with_sealer(
            context,
            &self.name,
            &merge.metadata.metadata,
            merge.key,
            |sealer| merge.seal_marked(markers, sealer),
        )
    }

    /// A line for each conflict: the path and what was done, never a value.
    pub(crate) fn summary(&self) -> Vec<String> {
        self.merge.conflicts().map(described).collect()
    }
}

fn described(conflict: &Conflict) -> String {
    let what = match conflict.kind {
        ConflictKind::BothChanged => "changed on both sides",
        ConflictKind::BothAdded => "added on both sides",
        ConflictKind::RemovedByOurs => "removed on our side, changed on theirs",
        ConflictKind::RemovedByTheirs => "changed on our side, removed on theirs",
        ConflictKind::Text => "comments, order or layout changed on both sides",
    };
    if conflict.path.is_empty() {
        what.to_owned()
    } else {
        format!("{}  {what}", conflict.path)
    }
}

fn version<'a>(sealed: &'a Sealed<'_>, key: &'a DataKey, decrypted: Decrypted) -> Version<'a> {
    Version {
        document: &sealed.document,
        metadata: &sealed.metadata,
        key,
        decrypted,
    }
}

fn unknown<'a>(context: &mut Context, failure: &Failure) -> Ancestor<'a> {
    context.warn(&format!(
        "the version that both sides come from cannot be opened ({}), so every difference is a conflict",
        failure.message
    ));
    Ancestor::Unknown
}

fn open_base<'a>(
    context: &mut Context,
    identity: &IdentityArgs,
    source: &'a Source,
    known: &[(&Sealed<'_>, &DataKey)],
) -> Result<(Sealed<'a>, DataKey), Failure> {
    let sealed = Sealed::parse(context, source)?;
    let format = sealed.document.format();
    if known
        .iter()
        .any(|(other, _)| other.document.format() != format)
    {
        let message = format!("it is sealed as {}, unlike its successors", format.name());
        return Err(Failure::new(Exit::CannotRead, message));
    }
    let key = key_of(context, identity, &sealed, known)?;
    Ok((sealed, key))
}

/// What SOPS has sealed as binary, and this program as TOML, has nothing to compare.
fn refuse_two_formats(ours: &Source, theirs: &Source) -> Result<(), Failure> {
    if ours.format == theirs.format {
        return Ok(());
    }
    let (one, other) = (ours.format.name(), theirs.format.name());
    let message = format!("our version is sealed as {one}, theirs as {other}");
    Err(Failure::new(Exit::CannotRead, message)
        .hint("take one side: `git checkout --ours FILE` or `--theirs`"))
}

/// The data key of a version: most often that of another one, which was wrapped alike.
fn key_of(
    context: &mut Context,
    identity: &IdentityArgs,
    sealed: &Sealed<'_>,
    known: &[(&Sealed<'_>, &DataKey)],
) -> Result<DataKey, Failure> {
    let shared = |other: &Sealed<'_>| {
        let entries =
            |sealed: &Sealed<'_>| sealed.metadata.groups.first().cloned().unwrap_or_default();
        let single = sealed.metadata.groups.len() == 1 && other.metadata.groups.len() == 1;
        sealed.metadata.groups == other.metadata.groups
            || single
                && entries(sealed)
                    .iter()
                    .any(|wrapped| entries(other).contains(wrapped))
    };
    match known.iter().find(|(other, _)| shared(other)) {
        Some((_, key)) => Ok((*key).clone()),
        None => sealed.data_key(context, identity),
    }
}

/// Opens a version and verifies its MAC.
fn open(sealed: &Sealed<'_>, key: &DataKey) -> Result<Decrypted, Failure> {
    if sealed.document.format() == Format::Binary {
        let mut bytes = sealed.decrypt_binary(key, false)?;
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            Failure::new(
                Exit::CannotRead,
                "binary files that are not text cannot be merged",
            )
            .hint("take one side: `git checkout --ours FILE` or `--theirs`")
        })?;
        return Ok(Decrypted {
            text: Zeroizing::new(text),
            warnings: Vec::new(),
            reuse: Reuse::default(),
        });
    }
    let opening = Opening {
        remember: true,
        ..Opening::default()
    };
    sealed.decrypt(key, opening)
}

/// Who has no wrapped key in merged metadata, or `all`, group by group.
fn without_key(metadata: &Metadata, all: bool) -> Vec<Vec<Recipient>> {
    let of_group = |group: &Vec<WrappedKey>| {
        let missing = group.iter().filter(|key| all || key.enc.is_empty());
        missing.map(|key| key.recipient.clone()).collect()
    };
    metadata.groups.iter().map(of_group).collect()
}

/// Wraps the data key for those that have none in the merged metadata, or for `all`.
fn wrap_missing(
    context: &mut Context,
    services: &KeyServiceArgs,
    merge: &mut Merge<'_>,
    all: bool,
    groups: &[Vec<Recipient>],
) -> Result<(), Failure> {
    let metadata = &mut merge.metadata.metadata;
    let created_at = timestamp(context.now().as_second());
    let services = Services::of(context, services);
    let mut random = Entropy::new(&mut context.random);
    let wrapped = wrap_all(
        groups,
        metadata.shamir_threshold,
        merge.key,
        &created_at,
        &services.list(),
        &mut random,
    );
    random.check()?;
    if let Some(warning) = services.warning() {
        context.warn(warning);
    }
    let wrapped = wrapped.map_err(|error| not_wrapped(&error))?;
    if all {
        metadata.groups = wrapped;
    } else {
        let mut fresh = wrapped.into_iter().flatten();
        for entry in metadata
            .groups
            .iter_mut()
            .flatten()
            .filter(|entry| entry.enc.is_empty())
        {
            if let Some(fresh) = fresh.next() {
                *entry = fresh;
            }
        }
    }
    merge.metadata.missing = Missing::Nobody;
    Ok(())
}

fn with_sealer(
    context: &mut Context,
    name: &str,
    metadata: &Metadata,
    key: &DataKey,
    seal: impl FnOnce(&mut Sealer<'_>) -> Result<String, EncryptError>,
) -> Result<String, Failure> {
    let selection = metadata.strict_selection().map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the rule in the metadata of `{name}` is invalid: {error}"),
        )
    })?;
    let now = context.now().as_second();
    let mut random = Entropy::new(&mut context.random);
    let mut sealer = Sealer {
        selection: &selection,
        key,
        // What was sealed before may be clear in part.
        allow_clear: true,
        now,
        random: &mut random,
    };
    let sealed = seal(&mut sealer);
    random.check()?;
    sealed.map_err(|error| {
        Failure::new(
            Exit::CannotSeal,
            format!("cannot seal the merge of `{name}`: {error}"),
        )
    })
}
