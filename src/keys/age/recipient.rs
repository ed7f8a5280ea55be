//! Recipient strings of age: what they are, and what is wrong with them (spec 10.2).

use age::plugin;
use age::ssh::ParseRecipientKeyError;
use age_core::primitives::bech32_decode;

use super::hybrid;

/// Why a string is not a recipient that keys can be wrapped for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// There is nothing.
    #[error("the recipient is empty")]
    Empty,
    /// A private key stands where the public one belongs. The text is not repeated here.
    #[error(
        "this is a secret key, not a recipient: it does not belong in a file that others can read"
    )]
    Secret,
    /// It begins like nothing we know.
    #[error("unknown recipient type (known are age1…, age1pq1…, age1NAME1… and ssh-…)")]
    UnknownType,
    /// The checksum fails.
    #[error("not valid Bech32: mistyped, or a part is missing")]
    Typo,
    /// The text is in order, its content is not.
    #[error("the text is in order, but not a key of this type")]
    NotAKey,
    /// The name between `age1` and the second `1` cannot be that of a program.
    #[error("not the name of a plugin")]
    PluginName,
    /// The SSH public key cannot be read.
    #[error("not a complete SSH public key")]
    Ssh,
    /// age has no use for this type of SSH key.
    #[error("SSH keys of type {0} cannot receive: only ssh-ed25519 and ssh-rsa can")]
    SshType(String),
    /// Below 2048 bits.
    #[error("the RSA key is too small to be safe: 2048 bits are the least")]
    RsaTooSmall,
    /// Above 4096 bits.
    #[error("the RSA key is larger than supported: 4096 bits are the most")]
    RsaTooLarge,
}

/// Checks a recipient string as a config or command line names it; blanks around it do no harm.
///
/// Whether the program of a plugin is there is not checked.
///
/// # Errors
///
/// If no key could be wrapped for it; says what is wrong.
pub fn check_recipient(text: &str) -> Result<(), RecipientError> {
    Recipient::parse(text).map(|_| ())
}

/// A recipient string that was read.
pub(super) enum Recipient {
    /// One that needs no help.
    Native(Box<dyn age::Recipient>),
    /// One that a program serves.
    Plugin(plugin::Recipient),
}

impl Recipient {
    /// Reads a recipient; which kind it is follows from how it begins (spec 10.2).
    pub(super) fn parse(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.is_empty() {
            Err(RecipientError::Empty)
        } else if text.starts_with("age1pq1") {
            Ok(native(hybrid::Recipient::parse(text)?))
        } else if text.starts_with("age1tag1") {
            checked::<age::tag::Recipient>(text)
        } else if text.starts_with("age1tagpq1") {
            checked::<age::tagpq::Recipient>(text)
        } else if text.starts_with("age1") && text.matches('1').count() > 1 {
            is_bech32(text)?;
            text.parse()
                .map(Self::Plugin)
                .map_err(|_| RecipientError::PluginName)
        } else if text.starts_with("age1") {
            checked::<age::x25519::Recipient>(text)
        } else if text.starts_with("ssh-") {
            Ok(native(text.parse::<age::ssh::Recipient>()?))
        } else if is_secret(text) {
            Err(RecipientError::Secret)
        } else {
            Err(ssh_like(text).unwrap_or(RecipientError::UnknownType))
        }
    }
}

fn native(recipient: impl age::Recipient + 'static) -> Recipient {
    Recipient::Native(Box::new(recipient))
}

/// Reads a type whose own errors do not tell a typo from a wrong key.
fn checked<R>(text: &str) -> Result<Recipient, RecipientError>
where
    R: std::str::FromStr + age::Recipient + 'static,
{
    is_bech32(text)?;
    text.parse::<R>()
        .map(native)
        .map_err(|_| RecipientError::NotAKey)
}

fn is_bech32(text: &str) -> Result<(), RecipientError> {
    bech32_decode(text, |_| RecipientError::Typo, |_| Ok(()), |_, _| Ok(()))
}

fn is_secret(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.starts_with("AGE-SECRET-KEY-")
        || upper.starts_with("AGE-PLUGIN-")
        || text.starts_with("-----BEGIN")
}

/// Public keys that OpenSSH has and age does not take.
fn ssh_like(text: &str) -> Option<RecipientError> {
    let kind = text.split_whitespace().next()?;
    let known = kind.starts_with("ecdsa-sha2-") || kind.starts_with("sk-");
    known.then(|| RecipientError::SshType(kind.to_owned()))
}

impl From<hybrid::Malformed> for RecipientError {
    fn from(malformed: hybrid::Malformed) -> Self {
        match malformed {
            hybrid::Malformed::Bech32 => Self::Typo,
            hybrid::Malformed::Other => Self::NotAKey,
        }
    }
}

impl From<ParseRecipientKeyError> for RecipientError {
    fn from(error: ParseRecipientKeyError) -> Self {
        match error {
            ParseRecipientKeyError::RsaModulusTooSmall => Self::RsaTooSmall,
            ParseRecipientKeyError::RsaModulusTooLarge => Self::RsaTooLarge,
            ParseRecipientKeyError::Unsupported(kind) => Self::SshType(kind),
            _ => Self::Ssh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RecipientError, check_recipient};

    const ALICE: &str = "age1mj033j9qcfmlnezuup06wwph659evd55wd8e7k4fakj72knmmaks0uxk6p";

    #[test]
    fn good_recipients() {
        let quantum = include_str!("../../../testdata/age/sops/quantum.age.txt");
        let quantum = quantum
            .lines()
            .nth(1)
            .unwrap()
            .strip_prefix("# public key: ")
            .unwrap();
        for text in [
            ALICE,
            &format!("  {ALICE}\n"),
            quantum,
            include_str!("../../../testdata/age/sops/ssh_ed25519.pub"),
            include_str!("../../../testdata/age/sops/ssh_rsa.pub"),
            // served by age-plugin-yubikey
            "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
        ] {
            assert_eq!(check_recipient(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        use RecipientError::{Empty, Secret, Ssh, SshType, Typo, UnknownType};
        let p256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= me@here";
        for (text, error) in [
            (" ", Empty),
            ("bob", UnknownType),
            (
                "AGE1MJ033J9QCFMLNEZUUP06WWPH659EVD55WD8E7K4FAKJ72KNMMAKS0UXK6P",
                UnknownType,
            ),
            (&ALICE.replace("mj0", "mj9"), Typo),
            (ALICE.get(..40).unwrap(), Typo),
            ("age1pq105meqsyrj48wwqj9", Typo),
            ("age1yubikey1qwt50d05nh5", Typo),
            ("age1tag1qqqq", Typo),
            ("AGE-SECRET-KEY-1QQQ", Secret),
            ("age-secret-key-pq-1qqq", Secret),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", Secret),
            ("ssh-ed25519 AAAAC3Nz", Ssh),
            (p256, SshType("ecdsa-sha2-nistp256".to_owned())),
        ] {
            assert_eq!(check_recipient(text), Err(error), "{text}");
        }
    }

    #[test]
    fn errors_about_secrets_do_not_repeat_them() {
        let error = check_recipient("AGE-SECRET-KEY-1CANARY").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
