//! Whole files as one value: the JSON envelope of the binary store (spec 7.4).
//!
//! Any bytes go in and the same bytes come out. No selection rule applies, and none is written.

use zeroize::Zeroizing;

use crate::cipher::{Cipher, OpenError, Token};
use crate::document::{Document, Path};
use crate::edit::Edit;
use crate::format::{self, binary};
use crate::mac::Mac;
use crate::metadata::Metadata;
use crate::ops::decrypt::{DecryptError, MacError, verify};
use crate::ops::encrypt::{EncryptError, sign};
use crate::random::Random;
use crate::secret::DataKey;
use crate::span::Span;
use crate::value::{Type, Value};

/// The one path of the binary store.
fn path() -> Path {
    let mut path = Path::default();
    path.push("data");
    path
}

/// Seals `bytes` into an envelope. `metadata` brings the wrapped keys; its `lastmodified` and `mac` are set here.
///
/// # Errors
/// [`EncryptError::Key`] if the data key has a length that AES does not have.
pub fn encrypt(
    bytes: &[u8],
    metadata: &mut Metadata,
    key: &DataKey,
    now: i64,
    random: &mut dyn Random,
) -> Result<String, EncryptError> {
    let cipher = Cipher::new(key)?;
    let mut mac = Mac::new(false);
    mac.feed(&Value::Bytes(Zeroizing::new(bytes.to_vec())), true);
    let mut iv = [0; crate::cipher::IV_LEN];
    random.fill(&mut iv);
    let token = cipher.seal(bytes, Type::Str, path().additional_data(), &iv);
    sign(metadata, &cipher, &mac.finish(), now, random);
    Ok(binary::seal(&token, &metadata.tree()))
}

/// Opens an envelope. With `ignore_mac` a wrong MAC is no error.
///
/// # Errors
/// [`DecryptError`] if the envelope has no `data` text, or it does not open, or the MAC is wrong.
pub fn decrypt(
    document: &Document<'_>,
    metadata: &Metadata,
    key: &DataKey,
    ignore_mac: bool,
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let cipher = Cipher::new(key)?;
    let node = binary::data(document.nodes(), document.source())
        .and_then(|id| document.node(id))
        .ok_or_else(|| DecryptError::token(Span::at(0), &path(), OpenError::NotAToken))?;
    let value = document.value(node)?;
    let text = super::open::text_of(&value);
    let bytes = if text.is_empty() {
        Zeroizing::new(Vec::new())
    } else {
        let fail = |error| DecryptError::token(node.span, &path(), error);
        let token = Token::parse(text).ok_or_else(|| fail(OpenError::NotAToken))?;
        cipher
            .open(&token, path().additional_data())
            .map_err(fail)?
    };
    if !ignore_mac {
        let mut mac = Mac::new(metadata.mac_only_encrypted);
        mac.feed(&Value::Bytes(bytes.clone()), true);
        verify(&cipher, metadata, &mac.finish())
            .map_err(|error: MacError| DecryptError::Mac(error))?;
    }
    Ok(bytes)
}

/// The edits that put the sealed bytes under another key, and their MAC, after it was verified.
///
/// # Errors
/// [`DecryptError`] as [`decrypt`] has it.
pub(super) fn reseal(
    document: &Document<'_>,
    metadata: &Metadata,
    key: &DataKey,
    anew: &Cipher,
    random: &mut dyn Random,
) -> Result<(Vec<Edit>, String), DecryptError> {
    let bytes = decrypt(document, metadata, key, false)?;
    let mut iv = [0; crate::cipher::IV_LEN];
    random.fill(&mut iv);
    let token = anew.seal(&bytes, Type::Str, path().additional_data(), &iv);
    let (format, source, nodes) = (document.format(), document.source(), document.nodes());
    let mut edits = Vec::new();
    if let Some(node) = binary::data(nodes, source).and_then(|id| document.node(id)) {
        format::write_token(format, source, node, token, &mut edits);
    }
    let mut mac = Mac::new(metadata.mac_only_encrypted);
    mac.feed(&Value::Bytes(bytes), true);
    Ok((edits, mac.finish()))
}
