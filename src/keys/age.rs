//! Wraps data keys for age recipients: X25519, hybrid post-quantum, SSH keys and plugins (spec 10.2).
//!
//! Each key is an age file of its own, armored, for one recipient; its payload is the raw key. Knows how identities are
//! tried and in which order; where they are found is the caller's business ([`IdentitySource`]), and so is asking people
//! ([`Prompt`]). The `age` crate draws its own randomness and runs plugin programs.

mod generate;
mod hybrid;
mod identity;
mod locked;
mod plugin;
mod prompt;
mod recipient;
mod xwing;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::plugin::{RecipientPluginV1, ResolveError};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use age_core::format::{FileKey, Stanza};

pub use self::generate::{IdentityType, NewIdentity, generate};
pub use self::identity::{Identities, IdentityError, IdentityProblem, MAX_SOURCE_LEN};
pub use self::prompt::{NoPrompt, Prompt};
pub use self::recipient::{RecipientError, check_recipient};

use self::identity::Turn;
use self::plugin::Announced;
use self::prompt::Asking;
use super::{KeyError, KeyService};
use crate::recipient::{Recipient, WrappedKey};
use crate::secret::DataKey;

/// No data key and no share of one is longer, in bytes.
const MAX_KEY_LEN: usize = 4096;

/// A place where identities come from. It is asked when a key is unwrapped, not before, and each time: it had better
/// remember.
pub trait IdentitySource: Send + Sync {
    /// The identities to try on a key that was wrapped for `recipient`; `None` if there are none, or none of use for it.
    ///
    /// # Errors
    ///
    /// If the source should have identities and cannot give them. Other sources are still tried.
    fn identities(&self, recipient: &str) -> Result<Option<Arc<Identities>>, KeyError>;

    /// Whether asking costs more than reading a file: such sources are asked after all others.
    fn is_slow(&self) -> bool {
        false
    }
}

impl IdentitySource for Arc<Identities> {
    fn identities(&self, _: &str) -> Result<Option<Self>, KeyError> {
        Ok(Some(Self::clone(self)))
    }
}

/// Wraps for age recipients, and unwraps with the identities it is given.
pub struct AgeService {
    sources: Vec<Box<dyn IdentitySource>>,
    prompt: Asking,
    announced: Announced,
}

impl AgeService {
    /// A service that unwraps with the identities of `sources`, in this order, and asks `prompt` if one needs a person.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn IdentitySource>>, prompt: Arc<dyn Prompt>) -> Self {
        Self {
            sources,
            prompt: Asking(prompt),
            announced: Announced::default(),
        }
    }

    /// Asks the sources one after the other, quick ones first, and tries what they have: first identities that are ready,
    /// then plugins, then those under a passphrase.
    fn find_file_key(
        &self,
        recipient: &str,
        stanzas: &[Stanza],
        problems: &mut Vec<KeyError>,
    ) -> Option<FileKey> {
        let mut asked = Vec::new();
        for slow in [false, true] {
            for source in self
                .sources
                .iter()
                .filter(|source| source.is_slow() == slow)
            {
                match source.identities(recipient) {
                    Ok(Some(identities)) => {
                        let turn = Turn::Ready;
                        let found = identities.unwrap(
                            turn,
                            stanzas,
                            &self.prompt,
                            &self.announced,
                            problems,
                        );
                        if found.is_some() {
                            return found;
                        }
                        asked.push(identities);
                    }
                    Ok(None) => {}
                    Err(problem) => problems.push(problem),
                }
            }
        }
        [Turn::Plugin, Turn::Locked].into_iter().find_map(|turn| {
            asked.iter().find_map(|identities| {
                identities.unwrap(turn, stanzas, &self.prompt, &self.announced, problems)
            })
        })
    }
}

impl fmt::Debug for AgeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeService({} sources)", self.sources.len())
    }
}

impl KeyService for AgeService {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::Age { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let Recipient::Age { recipient } = recipient else {
            return Err(KeyError::new("not an age recipient"));
        };
        let parsed = recipient::Recipient::parse(recipient)
            .map_err(|error| KeyError::new("not a valid age recipient").because(error))?;
        match parsed {
            recipient::Recipient::Native(native) => seal(native.as_ref(), key),
            recipient::Recipient::Plugin(plugin) => {
                let name = plugin.plugin().to_owned();
                let service = RecipientPluginV1::new(&name, &[plugin], &[], self.prompt.clone())
                    .map_err(|error| unresolved(&error))?;
                seal(&service, key)
            }
        }
    }

    fn announce(&self, key: &WrappedKey) {
        let Recipient::Age { recipient } = &key.recipient else {
            return;
        };
        let is_plugin = recipient::Recipient::parse(recipient)
            .is_ok_and(|parsed| matches!(parsed, recipient::Recipient::Plugin(_)));
        if !is_plugin {
            return;
        }
        let armored = key.enc.trim_ascii().as_bytes();
        // What does not open now will say why when it is asked for.
        if let Ok(decryptor) = Decryptor::new_buffered(ArmoredReader::new(armored)) {
            let stanzas = Stanzas::default();
            drop(decryptor.decrypt(std::iter::once(&stanzas as &dyn age::Identity)));
            self.announced.add(stanzas.0.into_inner());
        }
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let Recipient::Age { recipient } = recipient else {
            return Ok(None);
        };
        // Blanks around the armor are allowed; the reader of the crate does not skip them.
        let armored = enc.trim_ascii().as_bytes();
        let decryptor = Decryptor::new_buffered(ArmoredReader::new(armored))
            .map_err(|error| KeyError::new("not a valid age file").because(explain(error)))?;
        let search = Search {
            service: self,
            recipient,
            problems: RefCell::default(),
        };
        match decryptor.decrypt(std::iter::once(&search as &dyn age::Identity)) {
            Ok(reader) => read_key(reader).map(Some),
            Err(DecryptError::NoMatchingKeys) => all_of(search.problems.into_inner()),
            Err(error) => Err(explain(error)),
        }
    }
}

/// All identities of a service as one, so that an age file is read once and no identity can stop the others.
struct Search<'a> {
    service: &'a AgeService,
    recipient: &'a str,
    problems: RefCell<Vec<KeyError>>,
}

impl age::Identity for Search<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let mut problems = self.problems.borrow_mut();
        self.service
            .find_file_key(self.recipient, stanzas, &mut problems)
            .map(Ok)
    }
}

/// An identity that opens nothing and notes what it is shown.
#[derive(Default)]
struct Stanzas(RefCell<Vec<Stanza>>);

impl age::Identity for Stanzas {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let copy = |stanza: &Stanza| Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        };
        self.0.borrow_mut().extend(stanzas.iter().map(copy));
        None
    }
}

/// Encrypts `key` to one recipient, armored.
fn seal(recipient: &dyn age::Recipient, key: &DataKey) -> Result<String, KeyError> {
    let armored = (|| -> Result<Vec<u8>, EncryptError> {
        let encryptor = Encryptor::with_recipients(std::iter::once(recipient))?;
        let output = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(output)?;
        writer.write_all(key.expose())?;
        Ok(writer.finish()?.finish()?)
    })();
    let armored = armored.map_err(explain_sealing)?;
    let mut text = String::from_utf8(armored)
        .map_err(|error| KeyError::new("the armor is not text").because(error))?
        .replace("\r\n", "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Reads the payload of an age file.
fn read_key(reader: impl io::Read) -> Result<DataKey, KeyError> {
    // A vector that grows leaves copies of the key behind.
    let mut bytes = Vec::with_capacity(MAX_KEY_LEN + 1);
    let result = reader.take(MAX_KEY_LEN as u64 + 1).read_to_end(&mut bytes);
    let key = DataKey::new(bytes);
    result.map_err(|error| KeyError::new("the age file is damaged").because(error))?;
    if key.expose().len() > MAX_KEY_LEN {
        return Err(KeyError::new("the age file holds more than a key"));
    }
    Ok(key)
}

/// Nobody could open it: not ours if nothing went wrong, else all that did.
fn all_of(problems: Vec<KeyError>) -> Result<Option<DataKey>, KeyError> {
    let mut said: Vec<String> = Vec::new();
    for problem in problems {
        let text = problem.in_full();
        if !said.contains(&text) {
            said.push(text);
        }
    }
    if said.is_empty() {
        Ok(None)
    } else {
        Err(KeyError::new(said.join("; ")))
    }
}

/// Why an age file did not open, in our words.
fn explain(error: DecryptError) -> KeyError {
    match error {
        DecryptError::DecryptionFailed => KeyError::new("decryption failed"),
        DecryptError::ExcessiveWork { required, .. } => KeyError::new(format!(
            "the passphrase would take too long to check: scrypt work factor {required}"
        )),
        DecryptError::InvalidHeader => KeyError::new("the header of the age file is not valid"),
        DecryptError::InvalidMac => KeyError::new("the header of the age file was changed"),
        DecryptError::Io(error) => KeyError::new("the age file cannot be read").because(error),
        DecryptError::KeyDecryptionFailed => KeyError::new("wrong passphrase"),
        DecryptError::NoMatchingKeys => KeyError::new("no identity matches"),
        DecryptError::PluginResolve(error) => unresolved(&error),
        DecryptError::UnknownFormat => KeyError::new("an age file of a version that is not known"),
        other => KeyError::new(plain(&other)),
    }
}

/// Why an age file could not be made, in our words.
fn explain_sealing(error: EncryptError) -> KeyError {
    match error {
        EncryptError::Io(error) => KeyError::new("encryption failed").because(error),
        EncryptError::PluginResolve(error) => unresolved(&error),
        other => KeyError::new(plain(&other)),
    }
}

/// Why there is no plugin.
fn unresolved(error: &ResolveError) -> KeyError {
    match error {
        ResolveError::MissingPlugin { binary_name } => {
            KeyError::new(format!("the program {binary_name} is not on the PATH"))
        }
        ResolveError::InvalidPluginName { name } => {
            KeyError::new(format!("`{name}` is not the name of a plugin"))
        }
        other => KeyError::new(plain(other)),
    }
}

/// The text of an error of the `age` crate on one line, without the invisible marks of its translations.
fn plain(error: &impl fmt::Display) -> String {
    let text: String = error
        .to_string()
        .chars()
        .filter(|c| !matches!(c, '\u{2066}'..='\u{2069}'))
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
