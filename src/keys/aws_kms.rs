//! Wraps data keys with AWS KMS (spec 10.4), through the AWS SDK.
//!
//! Knows what is asked of KMS. How the user logs in is told by the SDK's own variables and files (`login`), what went
//! wrong is put into words by `explain`. Nothing of the SDK is touched before a recipient is tried.

mod explain;
mod login;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use self::login::{Access, Login, User, Who};
use super::online::block_on;
use super::{KeyError, KeyService};
use crate::recipient::Recipient;
use crate::secret::DataKey;

/// Standard base64 with padding: canonical when written, trailing bits tolerated when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// STS takes no longer name for a session (API `AssumeRole`, `RoleSessionName`).
const MAX_SESSION_NAME: usize = 64;

/// Wraps and unwraps with the keys of AWS KMS that the user may use.
pub struct AwsKms {
    session_name: String,
    known: Mutex<Known>,
}

/// What was found out, so that it happens once.
#[derive(Default)]
struct Known {
    /// Those whose credentials may serve for keys of other regions, too.
    users: HashMap<Who, User>,
    logins: HashMap<Access, Login>,
}

impl AwsKms {
    /// A service for the user of this machine, whose name is noted wherever a role is assumed. Reads nothing yet.
    #[must_use]
    pub fn new(host_name: &str) -> Self {
        Self {
            session_name: session_name(host_name),
            known: Mutex::default(),
        }
    }

    /// The login for a recipient, made the first time it is needed.
    fn login(&self, key: &Key<'_>) -> Result<Login, KeyError> {
        let (partition, region) = place(key.arn)?;
        let who = Who {
            partition: partition.to_owned(),
            profile: key.profile.to_owned(),
            role: key.role.to_owned(),
        };
        let access = Access {
            who,
            region: region.to_owned(),
        };
        let mut known = self.known();
        if let Some(login) = known.logins.get(&access) {
            return Ok(login.clone());
        }
        let user = match known.users.get(&access.who) {
            Some(user) => user.clone(),
            // Reads files and nothing else, so that others do not wait for long.
            None => block_on(User::prepare(&access, &self.session_name))??,
        };
        known.users.insert(access.who.clone(), user.clone());
        let login = user.login(access.clone());
        known.logins.insert(access, login.clone());
        Ok(login)
    }

    /// Why a request failed. Keys of other regions log in anew: what keeps this one from it may be its region.
    fn failed<E>(&self, login: &Login, error: &SdkError<E>) -> KeyError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.known().users.remove(&login.access.who);
        login.explain(error)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsKms({})", self.session_name)
    }
}

impl KeyService for AwsKms {
    fn handles(&self, recipient: &Recipient) -> bool {
        matches!(recipient, Recipient::Kms { .. })
    }

    fn wrap(&self, recipient: &Recipient, key: &DataKey) -> Result<String, KeyError> {
        let Some(kms) = Key::of(recipient) else {
            return Err(KeyError::new("not a key of AWS KMS"));
        };
        let login = self.login(&kms)?;
        // The SDK copies the key into its request, and does not wipe it there.
        let request = login
            .client
            .encrypt()
            .key_id(kms.arn)
            .set_encryption_context(kms.context())
            .plaintext(Blob::new(key.expose()));
        let answer =
            block_on(Box::pin(request.send()))?.map_err(|error| self.failed(&login, &error))?;
        match answer.ciphertext_blob {
            Some(blob) if !blob.as_ref().is_empty() => Ok(BASE64.encode(blob)),
            _ => Err(KeyError::new("the answer of AWS KMS holds no wrapped key")),
        }
    }

    /// Never `Ok(None)`: who is named with a key of KMS is expected to be able to log in.
    fn unwrap(&self, recipient: &Recipient, enc: &str) -> Result<Option<DataKey>, KeyError> {
        let Some(kms) = Key::of(recipient) else {
            return Ok(None);
        };
        let blob = BASE64
            .decode(enc.trim_ascii())
            .map_err(|_| KeyError::new("the wrapped key is not base64"))?;
        let login = self.login(&kms)?;
        let request = login
            .client
            .decrypt()
            .key_id(kms.arn)
            .set_encryption_context(kms.context())
            .ciphertext_blob(Blob::new(blob));
        let answer =
            block_on(Box::pin(request.send()))?.map_err(|error| self.failed(&login, &error))?;
        // Takes over the bytes that the SDK decoded, to be wiped; its buffers of the network are out of reach.
        match answer.plaintext.map(Blob::into_inner) {
            Some(key) if !key.is_empty() => Ok(Some(DataKey::new(key))),
            _ => Err(KeyError::new("the answer of AWS KMS holds no key")),
        }
    }
}

/// A recipient of this kind, taken apart.
struct Key<'a> {
    arn: &'a str,
    role: &'a str,
    context: &'a [(String, String)],
    profile: &'a str,
}

impl<'a> Key<'a> {
    fn of(recipient: &'a Recipient) -> Option<Self> {
        let Recipient::Kms {
            arn,
            role,
            context,
            aws_profile,
        } = recipient
        else {
            return None;
        };
        Some(Self {
            arn,
            role,
            context,
            profile: aws_profile,
        })
    }

    /// The encryption context as the API has it; nothing if it is empty.
    fn context(&self) -> Option<HashMap<String, String>> {
        let pairs = self.context.iter().cloned();
        Some(pairs.collect()).filter(|pairs: &HashMap<_, _>| !pairs.is_empty())
    }
}

/// Partition and region of the ARN of a key or alias: `arn:<partition>:kms:<region>:<account>:key/<id>`.
fn place(arn: &str) -> Result<(&str, &str), KeyError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        // It becomes part of a host name, and files are written by others: nothing else may come in by it.
        ["arn", partition, "kms", region, _, key]
            if (key.starts_with("key/") || key.starts_with("alias/"))
                && !region.is_empty()
                && region
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-') =>
        {
            Ok((partition, region))
        }
        _ => Err(KeyError::new(
            "not the ARN of a key: it must be like `arn:aws:kms:<region>:<account>:key/<id>`",
        )),
    }
}

/// `sops@` and the name of the machine, without the characters that spec 10.4 strips (hyphens are among them) and those
/// that STS refuses, cut to what STS takes.
fn session_name(host_name: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "=,.@_".contains(*c);
    "sops@"
        .chars()
        .chain(host_name.chars().filter(allowed))
        .take(MAX_SESSION_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{AwsKms, place, session_name};
    use crate::keys::KeyService as _;
    use crate::recipient::Recipient;

    #[test]
    fn the_region_stands_in_the_arn() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/1";
        assert_eq!(place(key).unwrap(), ("aws", "eu-west-1"));
        let alias = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a:b";
        assert_eq!(place(alias).unwrap(), ("aws-us-gov", "us-gov-west-1"));
    }

    #[test]
    fn an_arn_cannot_name_another_host() {
        for arn in [
            "arn:aws:kms:evil.example/:1:key/1",
            "arn:aws:kms:evil.example#:1:key/1",
            "arn:aws:kms::1:key/1",
            "arn:aws:kms:eu-west-1:1:secret/1",
            "arn:aws:s3:eu-west-1:1:key/1",
            "eu-west-1",
            "",
        ] {
            assert!(place(arn).is_err(), "{arn}");
        }
    }

    #[test]
    fn a_session_is_named_for_the_machine() {
        assert_eq!(session_name("build-7.example"), "sops@build7.example");
        assert_eq!(session_name("a[b]c\\d^e f+g"), "sops@abcdefg");
        assert_eq!(session_name("naïve"), "sops@nave");
        assert_eq!(session_name(""), "sops@");
        assert_eq!(session_name(&"h".repeat(99)).len(), 64);
    }

    #[test]
    fn a_damaged_entry_is_refused_before_anybody_is_asked() {
        let recipient = |arn: &str| Recipient::Kms {
            arn: arn.to_owned(),
            role: String::new(),
            context: Vec::new(),
            aws_profile: String::new(),
        };
        let service = AwsKms::new("host");
        let said = |arn: &str, enc: &str| {
            let error = service.unwrap(&recipient(arn), enc).unwrap_err();
            error.in_full()
        };
        assert_eq!(
            said("arn:aws:kms:eu-west-1:1:key/1", "no base64"),
            "the wrapped key is not base64"
        );
        assert!(said("key/1", "AAAA").starts_with("not the ARN of a key"));
        let age = Recipient::parse_age("age1x").unwrap();
        assert!(!service.handles(&age));
        assert!(service.unwrap(&age, "AAAA").unwrap().is_none());
    }
}
