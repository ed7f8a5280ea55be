//! Sealing one value: AES-GCM with a 32-byte IV, and the `ENC[…]` token (spec 1).
//!
//! Knows nothing of files, paths or selection: the additional data is a string that the caller built.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U1, U8, U12, U16, U24, U32, U48, U64};
use aes_gcm::aes::{Aes128, Aes192, Aes256};
use aes_gcm::{AesGcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::secret::DataKey;
use crate::value::Type;

/// Length in bytes of the IVs we write. SOPS can read other lengths but not edit such files (spec 1.2).
pub const IV_LEN: usize = 32;
/// Length in bytes of a GCM tag.
const TAG_LEN: usize = 16;

/// Standard base64 with padding, as spec 1.1 has it: canonical when written, trailing bits tolerated when read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const START: &str = "ENC[AES256_GCM,data:";

/// The parts of an `ENC[…]` text, still in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    text: &'a str,
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    type_word: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart (spec 1.1). It must stand at the very start of `text`; what follows its last `]` on the first
    /// line is ignored. `None` if this is not a token.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(START)?;
        let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
        let (body, _) = line.rsplit_once(']')?;
        let token = text.get(..START.len() + body.len() + 1)?;
        let (body, type_word) = body.rsplit_once(",type:")?;
        let (body, tag) = body.rsplit_once(",tag:")?;
        let (data, iv) = body.rsplit_once(",iv:")?;
        let parts = [data, iv, tag, type_word];
        let complete = parts.iter().all(|part| !part.is_empty());
        complete.then_some(Self {
            text: token,
            data,
            iv,
            tag,
            type_word,
        })
    }

    /// Whether `text` begins as a token does; cheaper than [`Token::parse`], and true for damaged tokens too.
    #[must_use]
    pub fn starts(text: &str) -> bool {
        text.starts_with(START)
    }

    /// The token itself, without anything that stood behind it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The type it carries; `None` for a word that spec 1.3 does not list.
    #[must_use]
    pub fn kind(&self) -> Option<Type> {
        Type::from_word(self.type_word)
    }

    /// Whether the IV has the length that SOPS can write again (spec 1.2).
    #[must_use]
    pub fn has_standard_iv(&self) -> bool {
        // 32 bytes are 44 characters of base64 with one `=`.
        self.iv.len() == 44 && self.iv.ends_with('=') && !self.iv.ends_with("==")
    }
}

/// Why a token could not be opened. Never says what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not an `ENC[…]` text.
    #[error("it is not an ENC[…] token")]
    NotAToken,
    /// Base64 that does not decode.
    #[error("its base64 is damaged")]
    Base64,
    /// An IV of a length that no known writer uses.
    #[error("its IV has {0} bytes, which is not supported")]
    IvLength(usize),
    /// The tag does not fit: another key, another path, or changed bytes.
    #[error("it was not sealed for this place with this file's key, or it was changed")]
    Forged,
    /// A type word that spec 1.3 does not list.
    #[error("its type is unknown")]
    UnknownType,
    /// The opened bytes do not spell a value of the type.
    #[error(transparent)]
    NotOfType(#[from] crate::value::NotOfType),
}

/// A data key of a length that AES does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data key has {0} bytes; AES takes 16, 24 or 32")]
pub struct BadKeyLength(pub usize);

/// A data key, set up once for many values.
pub struct Cipher {
    block: Block,
}

/// The block cipher that the key's length chooses (spec 1.2), with the key schedule done.
enum Block {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    /// The usual one is kept with its `GHash` key for 32-byte IVs.
    Aes256(Box<AesGcm<Aes256, U32>>, Box<Aes256>),
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    /// Sets the key up.
    ///
    /// # Errors
    /// [`BadKeyLength`] unless the key has 16, 24 or 32 bytes.
    pub fn new(key: &DataKey) -> Result<Self, BadKeyLength> {
        let bytes = key.expose();
        let wrong = |_| BadKeyLength(bytes.len());
        let block = match bytes.len() {
            16 => Block::Aes128(Box::new(Aes128::new_from_slice(bytes).map_err(wrong)?)),
            24 => Block::Aes192(Box::new(Aes192::new_from_slice(bytes).map_err(wrong)?)),
            _ => {
                let aes = Aes256::new_from_slice(bytes).map_err(wrong)?;
                Block::Aes256(Box::new(AesGcm::from(aes.clone())), Box::new(aes))
            }
        };
        Ok(Self { block })
    }

    /// Seals `plaintext` of type `kind` for the place that `additional_data` names. Each `iv` must be used once.
    ///
    /// The result is the token of spec 1.1. An empty plaintext has no token (spec 1.4) and gives the empty string.
    #[must_use]
    pub fn seal(
        &self,
        plaintext: &[u8],
        kind: Type,
        additional_data: &str,
        iv: &[u8; IV_LEN],
    ) -> String {
        if plaintext.is_empty() {
            return String::new();
        }
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG_LEN);
        buffer.extend_from_slice(plaintext);
        let sealed =
            match &self.block {
                Block::Aes256(gcm, _) => {
                    gcm.encrypt_in_place(&(*iv).into(), additional_data.as_bytes(), &mut buffer)
                }
                Block::Aes128(aes) => AesGcm::<Aes128, U32>::from((**aes).clone())
                    .encrypt_in_place(&(*iv).into(), additional_data.as_bytes(), &mut buffer),
                Block::Aes192(aes) => AesGcm::<Aes192, U32>::from((**aes).clone())
                    .encrypt_in_place(&(*iv).into(), additional_data.as_bytes(), &mut buffer),
            };
        if sealed.is_err() {
            // Only beyond 64 GiB, which no text here can have. The plaintext must not become a token.
            return String::new();
        }
        let (data, tag) = buffer.split_at(plaintext.len());
        let mut token = String::with_capacity(START.len() + buffer.len() * 4 / 3 + 74);
        token.push_str(START);
        BASE64.encode_string(data, &mut token);
        token.push_str(",iv:");
        BASE64.encode_string(iv, &mut token);
        token.push_str(",tag:");
        BASE64.encode_string(tag, &mut token);
        token.push_str(",type:");
        token.push_str(kind.word());
        token.push(']');
        token
    }

    /// Opens a token that was sealed for the place that `additional_data` names. Returns the raw bytes.
    ///
    /// # Errors
    /// [`OpenError`], never with anything of the content.
    pub fn open(
        &self,
        token: &Token<'_>,
        additional_data: &str,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        // Exactly enough room for both parts, so that no unwiped copy stays behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(
            (token.data.len() + token.tag.len()) / 4 * 3 + 6,
        ));
        decode(token.data, &mut buffer)?;
        decode(token.tag, &mut buffer)?;
        let mut iv = Vec::with_capacity(IV_LEN + 4);
        decode(token.iv, &mut iv)?;
        let additional_data = additional_data.as_bytes();
        match &self.block {
            Block::Aes256(gcm, aes) => match iv.len() {
                IV_LEN => open_with(&**gcm, &iv, additional_data, &mut buffer)?,
                _ => open_any(&**aes, &iv, additional_data, &mut buffer)?,
            },
            Block::Aes192(aes) => open_any(&**aes, &iv, additional_data, &mut buffer)?,
            Block::Aes128(aes) => open_any(&**aes, &iv, additional_data, &mut buffer)?,
        }
        Ok(buffer)
    }
}

/// Appends the decoded bytes of `text`; Go's decoder skips CR (LF cannot stand in a token).
fn decode(text: &str, into: &mut Vec<u8>) -> Result<(), OpenError> {
    if text.contains('\r') {
        let clean = text.replace('\r', "");
        return BASE64
            .decode_vec(&clean, into)
            .map_err(|_| OpenError::Base64);
    }
    BASE64.decode_vec(text, into).map_err(|_| OpenError::Base64)
}

fn open_with<A: AeadInOut>(
    gcm: &A,
    iv: &[u8],
    additional_data: &[u8],
    buffer: &mut Zeroizing<Vec<u8>>,
) -> Result<(), OpenError> {
    let iv = iv.try_into().map_err(|_| OpenError::IvLength(iv.len()))?;
    let buffer: &mut Vec<u8> = buffer;
    if buffer.len() < TAG_LEN {
        return Err(OpenError::Forged);
    }
    gcm.decrypt_in_place(iv, additional_data, buffer)
        .map_err(|_| OpenError::Forged)
}

/// Opens with the IV lengths that writers are known to have used (spec 1.2).
fn open_any<B>(
    block: &B,
    iv: &[u8],
    additional_data: &[u8],
    buffer: &mut Zeroizing<Vec<u8>>,
) -> Result<(), OpenError>
where
    B: Clone,
    AesGcm<B, U1>: AeadInOut + From<B>,
    AesGcm<B, U8>: AeadInOut + From<B>,
    AesGcm<B, U12>: AeadInOut + From<B>,
    AesGcm<B, U16>: AeadInOut + From<B>,
    AesGcm<B, U24>: AeadInOut + From<B>,
    AesGcm<B, U32>: AeadInOut + From<B>,
    AesGcm<B, U48>: AeadInOut + From<B>,
    AesGcm<B, U64>: AeadInOut + From<B>,
{
    let block = block.clone();
    match iv.len() {
        1 => open_with(&AesGcm::<B, U1>::from(block), iv, additional_data, buffer),
        8 => open_with(&AesGcm::<B, U8>::from(block), iv, additional_data, buffer),
        12 => open_with(&AesGcm::<B, U12>::from(block), iv, additional_data, buffer),
        16 => open_with(&AesGcm::<B, U16>::from(block), iv, additional_data, buffer),
        24 => open_with(&AesGcm::<B, U24>::from(block), iv, additional_data, buffer),
        32 => open_with(&AesGcm::<B, U32>::from(block), iv, additional_data, buffer),
        48 => open_with(&AesGcm::<B, U48>::from(block), iv, additional_data, buffer),
        64 => open_with(&AesGcm::<B, U64>::from(block), iv, additional_data, buffer),
        length => Err(OpenError::IvLength(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cipher, OpenError, Token};
    use crate::secret::DataKey;
    use crate::value::Type;

    fn cipher() -> Cipher {
        Cipher::new(&DataKey::new((0u8..32).collect())).unwrap()
    }

    fn iv() -> [u8; 32] {
        std::array::from_fn(|index| 0x20 + u8::try_from(index).unwrap())
    }

    /// Spec 13: additional data, type, plaintext, token.
    const VECTORS: &[(&str, Type, &[u8], &str)] = &[
        (
            "a:",
            Type::Str,
            b"hello",
            "ENC[AES256_GCM,data:f6SdJOI=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:Aev7PNzF9ifk0oM4U+MGlg==,type:str]",
        ),
        (
            "n:l:",
            Type::Int,
            b"42",
            "ENC[AES256_GCM,data:I/M=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:LXwIVWA0JVlEBSdWliJ+5w==,type:int]",
        ),
        (
            "f:",
            Type::Float,
            b"1.5",
            "ENC[AES256_GCM,data:Ju/E,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:uJBeK8Rb0IhyEwRMiZ5ZVA==,type:float]",
        ),
        (
            "b:",
            Type::Bool,
            b"True",
            "ENC[AES256_GCM,data:Q7OELQ==,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:Xq4LZhlfz3uJ5oyclH/P0A==,type:bool]",
        ),
        (
            ":",
            Type::Comment,
            b" top",
            "ENC[AES256_GCM,data:N7WeOA==,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:0DxMrZ6Js/69Ax9Ea7XApw==,type:comment]",
        ),
        (
            "data:",
            Type::Str,
            b"\x00\xff",
            "ENC[AES256_GCM,data:Fz4=,iv:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,tag:/4Cv+59LK4VQ4OaExfdRdw==,type:str]",
        ),
    ];

    #[test]
    fn the_vectors_of_the_spec_hold_in_both_directions() {
        for (additional_data, kind, plaintext, token) in VECTORS {
            assert_eq!(
                cipher().seal(plaintext, *kind, additional_data, &iv()),
                *token
            );
            let parsed = Token::parse(token).unwrap();
            assert_eq!(parsed.kind(), Some(*kind));
            assert!(parsed.has_standard_iv());
            assert_eq!(
                &*cipher().open(&parsed, additional_data).unwrap(),
                plaintext
            );
        }
    }

    #[test]
    fn another_place_or_a_flipped_bit_is_forged() {
        let token = cipher().seal(b"x", Type::Str, "a:", &iv());
        assert_eq!(
            cipher().open(&Token::parse(&token).unwrap(), "b:"),
            Err(OpenError::Forged)
        );
        let flipped = token
            .replacen("tag:", "tag:A", 1)
            .replacen("==,type", "=,type", 1);
        assert!(
            cipher()
                .open(&Token::parse(&flipped).unwrap(), "a:")
                .is_err()
        );
    }

    #[test]
    fn only_the_start_is_anchored() {
        let token = cipher().seal(b"x", Type::Str, "a:", &iv());
        for behind in ["", "\n", "  ", " ]garbage", "\nmore"] {
            let text = format!("{token}{behind}");
            let parsed = Token::parse(&text).unwrap();
            if behind.contains("]") {
                // The type extends to the last bracket of the line (spec 1.1, greedy).
                assert_eq!(parsed.kind(), None);
            } else {
                assert!(cipher().open(&parsed, "a:").is_ok());
                assert_eq!(parsed.text(), token);
            }
        }
        assert_eq!(Token::parse(&format!(" {token}")), None);
        assert_eq!(
            Token::parse("ENC[AES256_GCM,data:,iv:AA==,tag:AA==,type:str]"),
            None
        );
        assert_eq!(
            Token::parse("ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:]"),
            None
        );
        assert_eq!(Token::parse("ENC[AES256_GCM,data:AA==,iv:AA=="), None);
    }

    #[test]
    fn the_split_between_data_and_tag_does_not_matter() {
        // The first byte of the tag moved to the end of the data.
        let (_, _, _, token) = VECTORS[2];
        let moved = token
            .replace("data:Ju/E", "data:Ju/EuA==")
            .replace("tag:uJBeK8Rb0IhyEwRMiZ5ZVA==", "tag:kF4rxFvQiHITBEyJnllU");
        assert_eq!(
            &*cipher().open(&Token::parse(&moved).unwrap(), "f:").unwrap(),
            b"1.5"
        );
    }

    #[test]
    fn an_empty_value_has_no_token() {
        assert_eq!(cipher().seal(b"", Type::Str, "a:", &iv()), "");
    }

    #[test]
    fn keys_of_other_lengths_are_read_and_refused_as_aes_has_it() {
        for length in [16usize, 24, 32] {
            let cipher = Cipher::new(&DataKey::new(vec![7; length])).unwrap();
            let token = cipher.seal(b"x", Type::Str, "a:", &iv());
            assert_eq!(
                &*cipher.open(&Token::parse(&token).unwrap(), "a:").unwrap(),
                b"x"
            );
        }
        assert!(Cipher::new(&DataKey::new(vec![7; 33])).is_err());
    }
}
