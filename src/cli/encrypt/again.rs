//! Sealing over a sealed file: its data key, its recipients and the tokens of all unchanged values stay.
//!
//! Knows how the old file is opened and compared with what the config says now. Where both files lie is the business of the
//! commands.

use sops_rs::document::Document;
use sops_rs::format::Format;
use sops_rs::metadata::Metadata;
use sops_rs::ops::decrypt::{Decrypted, Opening};
use sops_rs::ops::encrypt::{Previous, Sealer, reencrypt};
use sops_rs::recipient::Recipient;
use sops_rs::secret::DataKey;
use zeroize::Zeroizing;

use super::anew::{cannot_seal, remark, seal_binary};
use crate::cli::args::IdentityArgs;
use crate::cli::context::Context;
use crate::cli::converting::Plaintext;
use crate::cli::creation::Creation;
use crate::cli::entropy::Entropy;
use crate::cli::exit::Exit;
use crate::cli::report::Failure;
use crate::cli::sealed::{Sealed, Source};

/// What came of sealing again over a sealed file.
pub(super) enum Outcome {
    Unchanged,
    Sealed(String),
}

/// Seals with the data key, the recipients and the tokens of `earlier`; `None` if that cannot be opened.
pub(super) fn again(
    context: &mut Context,
    plain: &Plaintext,
    earlier: &Source,
    identity: &IdentityArgs,
    creation: &Creation,
    allow_clear: bool,
) -> Result<Option<Outcome>, Failure> {
    let opened = open_earlier(context, earlier, identity);
    let (sealed, key) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            context.note(&format!(
                "`{}` cannot be opened ({}), so every value is sealed anew",
                earlier.name, failure.message
            ));
            return Ok(None);
        }
    };
    if sealed.document.format() != Format::Binary && sealed.selection != creation.selection {
        context.note(&format!(
            "the rule for `{}` has changed since it was sealed, so every value is sealed anew",
            earlier.name
        ));
        return Ok(None);
    }
    if !same_recipients(&sealed.metadata, creation) {
        context.note(&format!(
            "`{}` keeps its recipients, which are not those of the config",
            earlier.name
        ));
    }
    let sealing = Resealing {
        sealed: &sealed,
        key: &key,
        ignore_mac: false,
        allow_clear,
    };
    let opened = match sealing.open() {
        Ok(opened) => opened,
        Err(failure) => {
            context.note(&format!(
                "`{}` is damaged ({}), so every value is sealed anew",
                earlier.name, failure.message
            ));
            return Ok(None);
        }
    };
    let text = match opened {
        Opened::Values(decrypted) => {
            sealing.reseal_values(context, &plain.source, plain.document()?, decrypted)?
        }
        Opened::Bytes(_) => sealing.reseal(context, &plain.source, opened)?,
    };
    Ok(Some(text.map_or(Outcome::Unchanged, Outcome::Sealed)))
}

fn open_earlier<'a>(
    context: &mut Context,
    earlier: &'a Source,
    identity: &IdentityArgs,
) -> Result<(Sealed<'a>, DataKey), Failure> {
    let sealed = Sealed::parse(context, earlier)?;
    let key = sealed.data_key(context, identity)?;
    Ok((sealed, key))
}

fn same_recipients(metadata: &Metadata, creation: &Creation) -> bool {
    let sorted = |groups: Vec<Vec<String>>| -> Vec<Vec<String>> {
        groups
            .into_iter()
            .map(|mut group| {
                group.sort();
                group
            })
            .collect()
    };
    let of_file = metadata.groups.iter().map(|group| {
        group
            .iter()
            .map(|wrapped| wrapped.recipient.identity())
            .collect()
    });
    let of_config = creation
        .groups
        .iter()
        .map(|group| group.iter().map(Recipient::identity).collect());
    sorted(of_file.collect()) == sorted(of_config.collect())
}

/// Sealing a changed plaintext over the file it came from.
pub(crate) struct Resealing<'a> {
    pub(crate) sealed: &'a Sealed<'a>,
    pub(crate) key: &'a DataKey,
    /// Whether the MAC of the old file does not count.
    pub(crate) ignore_mac: bool,
    pub(crate) allow_clear: bool,
}

/// What the old file held.
pub(crate) enum Opened {
    Values(Decrypted),
    Bytes(Zeroizing<Vec<u8>>),
}

impl Resealing<'_> {
    /// Opens the old file.
    ///
    /// # Errors
    /// The [`Failure`] to report; its place is one in the old file.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        if self.sealed.document.format() == Format::Binary {
            let bytes = self.sealed.decrypt_binary(self.key, self.ignore_mac)?;
            return Ok(Opened::Bytes(bytes));
        }
        let opening = Opening {
            ignore_mac: self.ignore_mac,
            remember: true,
            ..Opening::default()
        };
        self.sealed.decrypt(self.key, opening).map(Opened::Values)
    }

    /// Seals `source` with data key, recipients, metadata and tokens of the old file, which was `opened`. `None` if nothing
    /// would change.
    ///
    /// # Errors
    /// The [`Failure`] to report; its place is one in `source`.
    pub(crate) fn reseal(
        &self,
        context: &mut Context,
        source: &Source,
        opened: Opened,
    ) -> Result<Option<String>, Failure> {
        let decrypted = match opened {
            Opened::Bytes(old) if *old == *source.bytes => return Ok(None),
            Opened::Bytes(_) => {
                let metadata = self.sealed.metadata.clone();
                return seal_binary(context, source, self.key, metadata).map(Some);
            }
            Opened::Values(decrypted) => decrypted,
        };
        self.reseal_values(
            context,
            source,
            source.document(Exit::CannotRead)?,
            decrypted,
        )
    }

    /// The same for a text with values, which is `document`.
    fn reseal_values(
        &self,
        context: &mut Context,
        source: &Source,
        document: Document<'_>,
        decrypted: Decrypted,
    ) -> Result<Option<String>, Failure> {
        let selection = self.sealed.strict_selection()?;
        let previous = Previous {
            document: &self.sealed.document,
            metadata: &self.sealed.metadata,
            decrypted,
        };
        let now = context.now().as_second();
        let mut random = Entropy::new(&mut context.random);
        let mut sealer = Sealer {
            selection: &selection,
            key: self.key,
            allow_clear: self.allow_clear,
            now,
            random: &mut random,
        };
        let encrypted = reencrypt(document, previous, &mut sealer);
        random.check()?;
        let encrypted = encrypted.map_err(|error| cannot_seal(source, Some(&selection), &error))?;
        if let Some(encrypted) = &encrypted {
            remark(context, &source.name, &encrypted.report);
        }
        Ok(encrypted.map(|encrypted| encrypted.text))
    }
}
