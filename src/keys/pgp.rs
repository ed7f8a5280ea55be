//! Wraps data keys for OpenPGP keys and unwraps them, through the program `gpg` (spec 10.3).
//!
//! Each wrapped key is an armored message of its own; its payload is the raw key. Secret keys stay where gpg has them: with
//! its agent, on a card. Knows how gpg is called and what its answers mean. Does not read OpenPGP itself, does not know
//! where the program is found or whether somebody can be asked ([`Gpg`] says so), and never sees a passphrase.

mod program;
mod status;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use self::program::{Ran, run};
use self::status::{Said, refused_to_unwrap, refused_to_wrap, what_is_wrong_with};
use super::{KeyError, KeyService};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// No data key and no share of one is longer, in bytes.
const MAX_KEY_LEN: usize = 4096;
/// No message that holds a key is longer, in bytes; one to a single recipient has about a thousand.
const MAX_MESSAGE_LEN: usize = 1 << 20;
/// More than the list of one key takes, in bytes.
const MAX_LIST_LEN: usize = 1 << 16;
/// How an armored message begins (RFC 9580, 6.2).
const ARMOR: &str = "-----BEGIN PGP MESSAGE-----";

/// How gpg is run.
#[derive(Clone)]
pub struct Gpg {
    /// The program: a path, or a name that is searched on the `PATH` of `environment`.
    pub program: OsString,
    /// Its whole environment. gpg looks for `GNUPGHOME` and `HOME`, and asks on `GPG_TTY` or `DISPLAY`.
    pub environment: BTreeMap<OsString, OsString>,
    /// Whether gpg may ask somebody for a passphrase or PIN. If not, keys that need one fail at once, unless the agent
    /// remembers it.
    pub may_ask: bool,
}

impl fmt::Debug for Gpg {
    /// Says which program it is: the environment can hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpg({})", self.program.display())
    }
}

/// Why gpg did not do what was asked. It is the source of the [`KeyError`]s of a [`PgpService`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpgProblem {
    /// There is no such program.
    #[error("there is no program `{program}`; SOPS_GPG_EXEC can name another")]
    NotFound {
        /// The program, as it was named.
        program: String,
    },
    /// The program does not run.
    #[error("`{program}` cannot be run: {reason}")]
    CannotRun {
        /// The program, as it was named.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// The key ring has no key for the recipient.
    #[error("it has no public key for this recipient")]
    NoPublicKey,
    /// The key, or all its parts that encrypt, have expired.
    #[error("the key has expired")]
    Expired,
    /// The key, or all its parts that encrypt, were revoked.
    #[error("the key was revoked")]
    Revoked,
    /// The user has disabled the key.
    #[error("the key is disabled")]
    Disabled,
    /// The key is of another use.
    #[error("the key cannot encrypt")]
    CannotEncrypt,
    /// More than one key fits.
    #[error("more than one key fits")]
    Ambiguous,
    /// The recipient is named by something that is not proof of identity, and the user has not vouched for the key.
    #[error("nothing proves that the key is this recipient's")]
    NotTrusted,
    /// A passphrase or PIN is needed, and no way to ask for it works.
    #[error("the key needs a passphrase or PIN, and nobody can be asked for it here")]
    NobodyToAsk,
    /// The passphrase or PIN was wrong.
    #[error("wrong passphrase or PIN")]
    WrongPassphrase,
    /// Somebody was asked for it and said no.
    #[error("the question for the passphrase or PIN was cancelled")]
    Cancelled,
    /// The key is on a card that is not there or does not work.
    #[error("the card that holds the key cannot be used")]
    NoCard,
    /// Secret keys are with the agent, which does not answer.
    #[error("its agent cannot be reached")]
    NoAgent,
    /// The key ring cannot be read: perhaps its folder does not exist.
    #[error("its key ring cannot be read")]
    NoKeyRing,
    /// What should hold a wrapped key does not.
    #[error("the wrapped key is damaged, or no OpenPGP message")]
    NoMessage,
    /// It ended with success, and its output is not what was asked for.
    #[error("its output is not what was asked for")]
    BadOutput,
    /// Anything else: what it said last.
    #[error("{0}")]
    Other(String),
}

impl From<GpgProblem> for KeyError {
    fn from(problem: GpgProblem) -> Self {
        Self::new("gpg").because(problem)
    }
}

/// Wraps and unwraps with gpg.
#[derive(Clone, Debug)]
pub struct PgpService(Gpg);

impl PgpService {
    /// A service that runs this gpg.
    #[must_use]
    pub fn new(gpg: Gpg) -> Self {
        Self(gpg)
    }

    /// Runs gpg with `arguments`, its status lines among its messages.
    fn gpg(&self, arguments: &[&str], input: &[u8], limit: usize) -> Result<Ran, GpgProblem> {
        let with_status = [&["--status-fd", "2"], arguments].concat();
        run(&self.0, &with_status, input, limit)
    }

    /// Encrypts as SOPS does, but nobody is asked whether a key is to be trusted, and none is made trusted: gpg writes
    /// down what SOPS's `--trusted-key` says, and from then on that key may vouch for others.
    fn encrypt(&self, recipient: &str, key: &DataKey, trust: &[&str]) -> Result<Ran, GpgProblem> {
        let mut arguments = vec!["--batch", "--no-tty", "--no-default-recipient", "--yes"];
        arguments.extend(["--encrypt", "-a", "-r", recipient, "--no-encrypt-to"]);
        arguments.extend(trust);
        self.gpg(&arguments, key.expose(), MAX_MESSAGE_LEN)
    }

    /// Why nothing was encrypted for `recipient`; `None` if it was.
    fn refusal(&self, ran: &Ran, recipient: &str) -> Option<GpgProblem> {
        if ran.status.success() {
            return None;
        }
        let said = refused_to_wrap(&Said::parse(&ran.messages), ran.status);
        Some(said.unwrap_or_else(|| self.why_unusable(recipient)))
    }

    /// Why the key of `recipient` cannot be used, by the list that gpg makes for machines.
    fn why_unusable(&self, recipient: &str) -> GpgProblem {
        let arguments = [
            "--batch",
            "--no-tty",
            "--with-colons",
            "--list-keys",
            "--",
            recipient,
        ];
        match self.gpg(&arguments, b"", MAX_LIST_LEN) {
            Ok(ran) => what_is_wrong_with(&String::from_utf8_lossy(&ran.output)),
            Err(problem) => problem,
        }
    }
}

impl KeyService for PgpService {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::Pgp { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let Recipient::Pgp { fingerprint } = recipient else {
            return Err(KeyError::new("not an OpenPGP recipient"));
        };
        // A file may name what a config may not, such as an option.
        Recipient::parse_pgp(fingerprint)
            .map_err(|error| KeyError::new("not a valid OpenPGP recipient").because(error))?;
        let mut ran = self.encrypt(fingerprint, key, &[])?;
        let mut problem = self.refusal(&ran, fingerprint);
        if problem == Some(GpgProblem::NotTrusted) && names_one_key(fingerprint) {
            ran = self.encrypt(fingerprint, key, &["--trust-model", "always"])?;
            problem = self.refusal(&ran, fingerprint);
        }
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let armored = std::str::from_utf8(&ran.output).map(str::trim_ascii);
        match armored {
            Ok(text) if !ran.is_cut && text.starts_with(ARMOR) => Ok(text.to_owned()),
            _ => Err(GpgProblem::BadOutput.into()),
        }
    }

    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        if !self.handles(recipient) {
            return Ok(None);
        }
        if enc.len() > MAX_MESSAGE_LEN {
            return Err(KeyError::new("too long for a wrapped key"));
        }
        // A signature in a hostile file must not make gpg look for keys on the network.
        let mut arguments = vec!["--no-auto-key-retrieve"];
        if !self.0.may_ask {
            arguments.extend(["--batch", "--no-tty", "--pinentry-mode", "error"]);
        }
        arguments.push("-d");
        let mut ran = self.gpg(&arguments, enc.as_bytes(), MAX_KEY_LEN)?;
        if ran.is_cut {
            return Err(KeyError::new("the message holds more than a key"));
        }
        if !ran.status.success() {
            let problem = refused_to_unwrap(&Said::parse(&ran.messages), ran.status);
            return problem.map_or(Ok(None), |problem| Err(problem.into()));
        }
        if ran.output.is_empty() {
            return Err(GpgProblem::BadOutput.into());
        }
        Ok(Some(DataKey::new(std::mem::take(&mut ran.output))))
    }
}

/// Whether a recipient is a fingerprint or a long key ID, perhaps of a subkey: whoever wrote it down meant that key and no
/// other. Anything else, such as an address, takes the user's trust in the key.
fn names_one_key(recipient: &str) -> bool {
    let digits = recipient.strip_suffix('!').unwrap_or(recipient);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    digits.len() >= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(all(test, unix))]
mod tests;
