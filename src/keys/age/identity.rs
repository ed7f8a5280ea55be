//! Identities of age: reading them from text, and trying them on the stanzas of an age file (spec 10.2).
//!
//! Knows the content of identity files and of SSH private keys; not where they are found. What needs a passphrase is kept
//! as it is (see `locked`) until nothing else has helped.

use std::fmt;

use age::plugin;
use age::ssh;
use age_core::format::{FileKey, Stanza};
use age_core::primitives::bech32_decode;
use zeroize::Zeroizing;

use super::locked::{Locked, Sealed, SshStanza};
use super::plugin::Announced;
use super::prompt::Asking;
use super::{explain, hybrid};
use crate::keys::KeyError;

/// The most that is read of a source of identities, in bytes: 16 MiB (spec 10.2).
pub const MAX_SOURCE_LEN: usize = 16 << 20;
/// No SSH private key is longer, in bytes.
const MAX_SSH_LEN: usize = 1 << 16;

/// The identities of one source.
pub struct Identities {
    entries: Vec<Entry>,
}

enum Entry {
    /// Can be tried at no cost.
    Ready(Box<dyn age::Identity + Send + Sync>),
    /// A program tries it, and may ask a person.
    Plugin(plugin::Identity),
    /// Needs a passphrase first.
    Locked(Locked),
}

/// When an identity is tried: what disturbs nobody comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Ready,
    Plugin,
    Locked,
}

impl Identities {
    /// Reads the content of an identity file: one identity a line, or several separated by blanks; empty lines and those
    /// that start with `#` do not count. Or an age file that a passphrase opens to such a text. `origin` is what errors
    /// and prompts call the source.
    ///
    /// # Errors
    ///
    /// If there is anything else in it, or nothing. Errors name the line, never what is in it.
    pub fn parse(origin: &str, content: &[u8]) -> Result<Self, IdentityError> {
        let error = |problem| IdentityError::new(origin, problem);
        if content.len() > MAX_SOURCE_LEN {
            return Err(error(IdentityProblem::TooLong));
        }
        if content.starts_with(b"age-encryption") || content.starts_with(b"-----BEGIN AGE") {
            let sealed = Sealed::File(Zeroizing::new(content.to_vec()));
            return Ok(Self {
                entries: vec![Entry::Locked(Locked::new(origin, sealed))],
            });
        }
        Self::parse_unlocked(origin, content)
    }

    /// Reads an identity file that is not under a passphrase.
    pub(super) fn parse_unlocked(origin: &str, content: &[u8]) -> Result<Self, IdentityError> {
        let error = |problem| IdentityError::new(origin, problem);
        let text = std::str::from_utf8(content).map_err(|_| error(IdentityProblem::NotText))?;
        let mut entries = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.lines().zip(1..) {
            if line.starts_with('#') {
                continue;
            }
            for word in line.split_whitespace() {
                let at_line = |problem| IdentityError {
                    line: Some(number),
                    ..error(problem)
                };
                entries.push(Entry::parse(word).map_err(at_line)?);
            }
        }
        if entries.is_empty() {
            return Err(error(IdentityProblem::Empty));
        }
        Ok(Self { entries })
    }

    /// Reads an SSH private key, Ed25519 or RSA: in the format of OpenSSH, with or without a passphrase, or in PKCS#1
    /// without one. `origin` is what errors and prompts call the source.
    ///
    /// # Errors
    ///
    /// If it is anything else.
    pub fn parse_ssh(origin: &str, content: &[u8]) -> Result<Self, IdentityError> {
        let error = |problem| IdentityError::new(origin, problem);
        if content.len() > MAX_SSH_LEN {
            return Err(error(IdentityProblem::TooLong));
        }
        let text = std::str::from_utf8(content).map_err(|_| error(IdentityProblem::NotText))?;
        let identity = ssh::Identity::from_buffer(text.trim_start().as_bytes(), None)
            .map_err(|_| error(IdentityProblem::NotSsh))?;
        let entry = match &identity {
            ssh::Identity::Unencrypted(_) => Entry::Ready(Box::new(identity)),
            ssh::Identity::Encrypted(key) => {
                let stanza =
                    SshStanza::of(&identity).ok_or_else(|| error(IdentityProblem::NotSsh))?;
                let sealed = Sealed::Ssh {
                    key: Box::new(key.clone()),
                    stanza,
                };
                Entry::Locked(Locked::new(origin, sealed))
            }
            ssh::Identity::Unsupported(kind) => return Err(error(kind.into())),
        };
        Ok(Self {
            entries: vec![entry],
        })
    }

    /// Tries those identities whose `turn` it is. Problems that may explain a failure are added to `problems`.
    pub(super) fn unwrap(
        &self,
        turn: Turn,
        stanzas: &[Stanza],
        prompt: &Asking,
        announced: &Announced,
        problems: &mut Vec<KeyError>,
    ) -> Option<FileKey> {
        for entry in self.entries.iter().filter(|entry| entry.turn() == turn) {
            let result = match entry {
                Entry::Ready(identity) => identity
                    .unwrap_stanzas(stanzas)
                    .map(|result| result.map_err(explain)),
                Entry::Plugin(identity) => announced.unwrap(identity, stanzas, prompt),
                Entry::Locked(locked) => locked.unwrap(stanzas, prompt, announced),
            };
            match result {
                Some(Ok(file_key)) => return Some(file_key),
                Some(Err(problem)) => problems.push(problem),
                None => {}
            }
        }
        None
    }
}

impl fmt::Debug for Identities {
    /// Says how many there are, and nothing about them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.entries.len())
    }
}

impl Entry {
    fn turn(&self) -> Turn {
        match self {
            Self::Ready(_) => Turn::Ready,
            Self::Plugin(_) => Turn::Plugin,
            Self::Locked(_) => Turn::Locked,
        }
    }

    /// Reads one identity string.
    fn parse(word: &str) -> Result<Self, IdentityProblem> {
        if word.starts_with("AGE-SECRET-KEY-PQ-1") {
            hybrid::Identity::parse(word)
                .map(|identity| Self::Ready(Box::new(identity)))
                .map_err(|_| bech32_problem(word))
        } else if word.starts_with("AGE-SECRET-KEY-1") {
            word.parse::<age::x25519::Identity>()
                .map(|identity| Self::Ready(Box::new(identity)))
                .map_err(|_| bech32_problem(word))
        } else if word.starts_with("AGE-PLUGIN-") {
            word.parse()
                .map(Self::Plugin)
                .map_err(|_| bech32_problem(word))
        } else if word.starts_with("age1") || word.starts_with("ssh-") {
            Err(IdentityProblem::Recipient)
        } else {
            Err(IdentityProblem::UnknownType)
        }
    }
}

/// Tells a typo from a wrong key.
fn bech32_problem(word: &str) -> IdentityProblem {
    bech32_decode(word, |_| (), |_| Ok(()), |_, _| Ok(()))
        .map_or(IdentityProblem::Typo, |()| IdentityProblem::NotAKey)
}

/// A source of identities that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct IdentityError {
    /// What the source is called.
    pub origin: String,
    /// The line that is wrong, from 1, if it is one line.
    pub line: Option<usize>,
    /// What is wrong. Never the content.
    pub problem: IdentityProblem,
}

impl IdentityError {
    /// An error that concerns the source as a whole.
    fn new(origin: &str, problem: IdentityProblem) -> Self {
        Self {
            origin: origin.to_owned(),
            line: None,
            problem,
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            line,
            problem,
        } = self;
        match line {
            Some(line) => write!(f, "{origin}, line {line}: {problem}"),
            None => write!(f, "{origin}: {problem}"),
        }
    }
}

impl From<IdentityError> for KeyError {
    fn from(error: IdentityError) -> Self {
        Self::new(error.to_string())
    }
}

/// What is wrong with a source of identities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProblem {
    /// No identity in it.
    #[error("there is no identity in it")]
    Empty,
    /// Larger than anything of its kind.
    #[error("too large")]
    TooLong,
    /// Not UTF-8.
    #[error("not text")]
    NotText,
    /// Begins like nothing we know.
    #[error(
        "not an age identity (known are AGE-SECRET-KEY-1…, AGE-SECRET-KEY-PQ-1… and AGE-PLUGIN-…)"
    )]
    UnknownType,
    /// The public half.
    #[error("this is a recipient; the identity that belongs to it is needed here")]
    Recipient,
    /// The checksum fails.
    #[error("not valid Bech32: mistyped, or a part is missing")]
    Typo,
    /// The text is in order, its content is not.
    #[error("the text is in order, but not a key of this type")]
    NotAKey,
    /// Not in a format of SSH private keys that age knows.
    #[error("not an SSH private key in the format of OpenSSH")]
    NotSsh,
    /// The old format with a passphrase.
    #[error(
        "an SSH key in the old PEM format with a passphrase: convert it with `ssh-keygen -p -f FILE`"
    )]
    OldSsh,
    /// A cipher or type of key that is not supported.
    #[error("an SSH key of a kind that is not supported: {0}")]
    UnsupportedSsh(String),
}

impl From<&ssh::UnsupportedKey> for IdentityProblem {
    fn from(kind: &ssh::UnsupportedKey) -> Self {
        match kind {
            ssh::UnsupportedKey::EncryptedPem => Self::OldSsh,
            ssh::UnsupportedKey::EncryptedSsh(name)
            | ssh::UnsupportedKey::Hardware(name)
            | ssh::UnsupportedKey::Type(name) => Self::UnsupportedSsh(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use age_core::primitives::bech32_encode;
    use bech32::Hrp;

    use super::{Identities, IdentityError, IdentityProblem};

    const ALICE: &str = include_str!("../../../testdata/age/sops/alice.age.txt");
    const QUANTUM: &str = include_str!("../../../testdata/age/sops/quantum.age.txt");
    const SSH: &[u8] = include_bytes!("../../../testdata/age/sops/ssh_ed25519");

    fn count(text: &str) -> usize {
        Identities::parse("keys.txt", text.as_bytes())
            .unwrap()
            .entries
            .len()
    }

    fn error(text: &[u8]) -> IdentityError {
        Identities::parse("keys.txt", text).unwrap_err()
    }

    fn encode(prefix: &str, bytes: &[u8]) -> String {
        bech32_encode(Hrp::parse(prefix).unwrap(), bytes).to_uppercase()
    }

    fn secret(file: &str) -> &str {
        file.lines().last().unwrap()
    }

    #[test]
    fn files_of_age_keygen_and_several_identities_on_a_line() {
        assert_eq!(count(ALICE), 1);
        assert_eq!(count(&format!("{ALICE}\n\n{QUANTUM}")), 2);
        assert_eq!(count(&format!("{} {}", secret(ALICE), secret(QUANTUM))), 2);
        assert_eq!(count(&format!("\u{feff}{}\r\n#\r\n", secret(ALICE))), 1);
        assert_eq!(count(&encode("AGE-PLUGIN-YUBIKEY-", b"anything")), 1);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_not_repeated() {
        let text = format!("# comment\n{}\nAGE-SECRET-KEY-1CANARY\n", secret(ALICE));
        let error = error(text.as_bytes());
        assert_eq!(
            error.to_string(),
            "keys.txt, line 3: not valid Bech32: mistyped, or a part is missing"
        );
        assert!(!format!("{error:?}").contains("CANARY"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        use IdentityProblem::{Empty, NotAKey, NotText, Recipient, TooLong, Typo, UnknownType};
        let swapped = secret(ALICE).replacen("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1", 1);
        for (text, problem) in [
            ("", Empty),
            ("# nothing\n\n", Empty),
            ("hello", UnknownType),
            (
                "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p",
                Recipient,
            ),
            (&swapped, Typo),
            (&encode("age-secret-key-", &[7; 31]), NotAKey),
            (&encode("age-secret-key-pq-", &[7; 33]), NotAKey),
        ] {
            let found = error(text.as_bytes()).problem;
            assert!(
                found == problem || (problem == NotAKey && found == Typo),
                "{text}: {found}"
            );
        }
        assert_eq!(error(b"\xff\xfe").problem, NotText);
        assert_eq!(
            error(&vec![b'#'; super::MAX_SOURCE_LEN + 1]).problem,
            TooLong
        );
    }

    #[test]
    fn ssh_keys() {
        assert!(Identities::parse_ssh("id", SSH).is_ok());
        let spaced = [b"\n\n", SSH].concat();
        assert!(Identities::parse_ssh("id", &spaced).is_ok());
        for (text, problem) in [
            (&SSH[..100], IdentityProblem::NotSsh),
            (b"ssh-ed25519 AAAA", IdentityProblem::NotSsh),
            (b"", IdentityProblem::NotSsh),
            (&[b'-'; 70_000], IdentityProblem::TooLong),
        ] {
            assert_eq!(
                Identities::parse_ssh("id", text).unwrap_err().problem,
                problem
            );
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let identities = Identities::parse("keys.txt", ALICE.as_bytes()).unwrap();
        assert_eq!(format!("{identities:?}"), "Identities(1)");
    }
}
