//! Identities under a passphrase: whole identity files, and SSH private keys.
//!
//! The passphrase is asked for when it may help, and once: what came of it is kept. Knows nothing of where it comes from.

use std::io::Read as _;
use std::sync::OnceLock;

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Identity as _, scrypt, ssh};
use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::explain;
use super::identity::{Identities, MAX_SOURCE_LEN, Turn};
use super::plugin::Announced;
use super::prompt::Asking;
use crate::keys::KeyError;

/// How often a passphrase may be tried.
const MAX_ATTEMPTS: u8 = 3;
/// The scrypt work factor (log2) above which age itself refuses.
const MAX_WORK_FACTOR: u8 = 22;

/// Identities that need a passphrase.
pub(super) struct Locked {
    origin: String,
    sealed: Sealed,
    unlocked: OnceLock<Result<Unlocked, KeyError>>,
}

/// What the passphrase protects.
pub(super) enum Sealed {
    /// An age file whose payload is an identity file.
    File(Zeroizing<Vec<u8>>),
    /// An SSH private key, and how to know stanzas for it without the passphrase.
    Ssh {
        /// The key.
        key: Box<ssh::EncryptedKey>,
        /// Its stanzas.
        stanza: SshStanza,
    },
}

enum Unlocked {
    File(Identities),
    Ssh(Box<ssh::Identity>),
}

impl Locked {
    pub(super) fn new(origin: &str, sealed: Sealed) -> Self {
        Self {
            origin: origin.to_owned(),
            sealed,
            unlocked: OnceLock::new(),
        }
    }

    /// Tries the identities, asking for the passphrase if that may help and was not done before.
    pub(super) fn unwrap(
        &self,
        stanzas: &[Stanza],
        prompt: &Asking,
        announced: &Announced,
    ) -> Option<Result<FileKey, KeyError>> {
        if !self.may_open(stanzas) {
            return None;
        }
        match self.unlocked.get_or_init(|| self.unlock(prompt)) {
            Ok(Unlocked::File(identities)) => {
                let mut problems = Vec::new();
                [Turn::Ready, Turn::Plugin]
                    .into_iter()
                    .find_map(|turn| {
                        identities.unwrap(turn, stanzas, prompt, announced, &mut problems)
                    })
                    .map(Ok)
                    .or_else(|| problems.into_iter().next().map(Err))
            }
            Ok(Unlocked::Ssh(identity)) => identity
                .unwrap_stanzas(stanzas)
                .map(|result| result.map_err(explain)),
            Err(error) => Some(Err(error.clone())),
        }
    }

    /// Whether there is a point in asking for the passphrase.
    fn may_open(&self, stanzas: &[Stanza]) -> bool {
        match &self.sealed {
            // An identity file cannot hold SSH keys.
            Sealed::File(_) => stanzas.iter().any(|stanza| !stanza.tag.starts_with("ssh-")),
            Sealed::Ssh { stanza, .. } => stanzas.iter().any(|other| stanza.matches(other)),
        }
    }

    fn unlock(&self, prompt: &Asking) -> Result<Unlocked, KeyError> {
        let origin = &self.origin;
        for attempt in 1..=MAX_ATTEMPTS {
            let Some(passphrase) = prompt.passphrase(origin, attempt) else {
                return Err(KeyError::new(if attempt == 1 {
                    format!("{origin}: needs a passphrase, and there is nobody to ask for it")
                } else {
                    format!("{origin}: wrong passphrase")
                }));
            };
            match self.open(passphrase) {
                Err(DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed) => {}
                Err(error) => {
                    return Err(KeyError::new(format!("{origin}: cannot be unlocked"))
                        .because(explain(error)));
                }
                Ok(Opened::Ssh(identity)) => return Ok(Unlocked::Ssh(identity)),
                Ok(Opened::File(content)) => {
                    let identities = Identities::parse_unlocked(origin, &content)?;
                    return Ok(Unlocked::File(identities));
                }
            }
        }
        Err(KeyError::new(format!(
            "{origin}: wrong passphrase, {MAX_ATTEMPTS} times"
        )))
    }

    fn open(&self, passphrase: SecretString) -> Result<Opened, DecryptError> {
        match &self.sealed {
            Sealed::File(content) => open_file(content, passphrase).map(Opened::File),
            Sealed::Ssh { key, .. } => key
                .decrypt(passphrase)
                .map(|key| Opened::Ssh(Box::new(key.into()))),
        }
    }
}

enum Opened {
    File(Zeroizing<Vec<u8>>),
    Ssh(Box<ssh::Identity>),
}

/// Decrypts an age file, armored or not, that is encrypted with a passphrase.
pub(super) fn open_file(
    content: &[u8],
    passphrase: SecretString,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(content))?;
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))?;
    // The payload is shorter than the file. A vector that grows leaves copies behind.
    let limit = content.len().min(MAX_SOURCE_LEN);
    let mut text = Zeroizing::new(Vec::with_capacity(limit + 1));
    reader
        .take(u64::try_from(limit).unwrap_or(u64::MAX))
        .read_to_end(&mut text)?;
    Ok(text)
}

/// How stanzas for an SSH key look: their type, and the first four bytes of the SHA-256 of the public key in Base64.
pub(super) struct SshStanza {
    tag: String,
    key_tag: String,
}

impl SshStanza {
    /// The stanzas for a private key, which holds its public key in clear.
    pub(super) fn of(identity: &ssh::Identity) -> Option<Self> {
        let public = ssh::Recipient::try_from(identity.clone()).ok()?.to_string();
        let (tag, encoded) = public.split_once(' ')?;
        let hash = Sha256::digest(BASE64_STANDARD.decode(encoded).ok()?);
        let key_tag = BASE64_STANDARD_NO_PAD.encode(hash.get(..4)?);
        Some(Self {
            tag: tag.to_owned(),
            key_tag,
        })
    }

    fn matches(&self, stanza: &Stanza) -> bool {
        stanza.tag == self.tag && stanza.args.first() == Some(&self.key_tag)
    }
}
