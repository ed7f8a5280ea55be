//! The hybrid post-quantum type of age: `age1pq1…` and `AGE-SECRET-KEY-PQ-1…` (C2SP age, `mlkem768x25519`).
//!
//! The file key is sealed by HPKE in base mode over X-Wing, HKDF-SHA256 and ChaCha20-Poly1305. Knows nothing of files; the
//! `age` crate calls it for the stanzas of a header.

use std::collections::HashSet;

use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable as _, HpkeError, Kem, OpModeR, OpModeS, Serializable as _};
use rand_core::OsRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::xwing::{PrivateKey, PublicKey, XWing};

const RECIPIENT_PREFIX: Hrp = Hrp::parse_unchecked("age1pq");
const IDENTITY_PREFIX: Hrp = Hrp::parse_unchecked("age-secret-key-pq-");
const STANZA: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// Length of the sealed file key: with the tag of the cipher.
const BODY_LEN: usize = FILE_KEY_BYTES + 16;

/// Why a string is not a hybrid recipient or identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// The checksum or alphabet of Bech32 is violated.
    Bech32,
    /// It is Bech32 of something else.
    Other,
}

/// The public half: whom to wrap for.
#[derive(Clone, Debug)]
pub(super) struct Recipient(PublicKey);

impl Recipient {
    /// Reads `age1pq1…`.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let bytes = decode(text, RECIPIENT_PREFIX)?;
        PublicKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| Malformed::Other)
    }

    /// Writes `age1pq1…`.
    pub(super) fn encode(&self) -> String {
        bech32_encode(RECIPIENT_PREFIX, &self.0.to_bytes())
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (encapped, body) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing, _>(
            &OpModeS::Base,
            &self.0,
            INFO,
            file_key.expose_secret(),
            &[],
            &mut OsRng,
        )
        .map_err(|_| std::io::Error::other("the post-quantum recipient holds a weak point"))?;
        let stanza = Stanza {
            tag: STANZA.to_owned(),
            args: vec![BASE64_STANDARD_NO_PAD.encode(encapped.to_bytes())],
            body,
        };
        Ok((vec![stanza], HashSet::from(["postquantum".to_owned()])))
    }
}

/// The private half.
#[derive(Clone)]
pub(super) struct Identity(PrivateKey);

impl Identity {
    /// Reads `AGE-SECRET-KEY-PQ-1…`.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let bytes = decode(text, IDENTITY_PREFIX)?;
        PrivateKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| Malformed::Other)
    }

    /// The identity with this seed.
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(PrivateKey::from_seed(seed))
    }

    /// Writes `AGE-SECRET-KEY-PQ-1…`.
    pub(super) fn encode(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        let mut text = Zeroizing::new(bech32_encode(IDENTITY_PREFIX, seed.as_ref()));
        text.make_ascii_uppercase();
        text
    }

    /// Its public half.
    pub(super) fn to_recipient(&self) -> Recipient {
        Recipient(XWing::sk_to_pk(&self.0))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let Some(encapped) = encapped_key(stanza) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.0,
            &encapped,
            INFO,
            &stanza.body,
            &[],
        );
        match opened.map(Zeroizing::new) {
            Ok(bytes) => Some(file_key(&bytes)),
            // Nothing tells a stanza for somebody else from a damaged one.
            Err(HpkeError::OpenError) => None,
            Err(_) => Some(Err(DecryptError::InvalidHeader)),
        }
    }
}

/// The encapsulated key of a stanza of the one allowed form.
fn encapped_key(stanza: &Stanza) -> Option<<XWing as Kem>::EncappedKey> {
    let [argument] = stanza.args.as_slice() else {
        return None;
    };
    if stanza.body.len() != BODY_LEN {
        return None;
    }
    let bytes = BASE64_STANDARD_NO_PAD.decode(argument).ok()?;
    <XWing as Kem>::EncappedKey::from_bytes(&bytes).ok()
}

fn file_key(bytes: &[u8]) -> Result<FileKey, DecryptError> {
    FileKey::try_init_with_mut(|key| {
        if bytes.len() != key.len() {
            return Err(DecryptError::InvalidHeader);
        }
        key.copy_from_slice(bytes);
        Ok(())
    })
}

/// The bytes of a Bech32 string with this prefix; there is no limit to its length.
fn decode(text: &str, prefix: Hrp) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    bech32_decode(
        text,
        |_| Malformed::Bech32,
        |found| {
            if found == prefix {
                Ok(())
            } else {
                Err(Malformed::Other)
            }
        },
        |_, bytes| {
            // A vector that grows leaves copies behind.
            let mut all = Zeroizing::new(Vec::with_capacity(text.len()));
            for mut byte in bytes {
                all.push(byte);
                byte.zeroize();
            }
            Ok(all)
        },
    )
}

#[cfg(test)]
mod tests {
    use age::{Identity as _, Recipient as _};
    use age_core::format::FileKey;
    use age_core::secrecy::ExposeSecret as _;

    use super::{Identity, Malformed, Recipient};

    #[test]
    fn strings_are_those_of_age() {
        let file = include_str!("../../../testdata/age/sops/quantum.age.txt");
        let secret = file.lines().last().unwrap();
        let public = file
            .lines()
            .nth(1)
            .unwrap()
            .strip_prefix("# public key: ")
            .unwrap();
        let identity = Identity::parse(secret).unwrap();
        assert_eq!(identity.encode().as_str(), secret);
        assert_eq!(identity.to_recipient().encode(), public);
        assert_eq!(Recipient::parse(public).unwrap().encode(), public);
    }

    #[test]
    fn malformed_strings() {
        let good = Identity::from_seed(&[7; 32]).to_recipient().encode();
        assert_eq!(good.len(), 1959);
        let typo = good.replacen("age1pq1", "age1pq1q", 1);
        assert!(matches!(Recipient::parse(&typo), Err(Malformed::Bech32)));
        let secret = Identity::from_seed(&[7; 32]).encode();
        assert!(matches!(Recipient::parse(&secret), Err(Malformed::Other)));
        assert!(matches!(Identity::parse(&good), Err(Malformed::Other)));
        assert!(matches!(Identity::parse(""), Err(Malformed::Bech32)));
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_by_its_key_alone() {
        let (mine, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let file_key = FileKey::new(Box::new([9; 16]));
        let (stanzas, labels) = mine.to_recipient().wrap_file_key(&file_key).unwrap();
        assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["postquantum"]);
        let unwrapped = mine.unwrap_stanza(&stanzas[0]).unwrap().unwrap();
        assert_eq!(unwrapped.expose_secret(), file_key.expose_secret());
        assert!(other.unwrap_stanza(&stanzas[0]).is_none());
    }
}
