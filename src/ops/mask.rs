//! A sealed file for people who may see that a value changed, but not the value: each as its length and a fingerprint.
//!
//! The fingerprint is keyed with the file's data key, so that equal values look alike in all versions and nobody without
//! the key can try values out. Knows nothing of keys of people.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::cipher::{Cipher, Token};
use crate::document::{Document, Step};
use crate::edit::{Edit, splice};
use crate::format;
use crate::node::{Kind, NodeId, ScanError};
use crate::ops::decrypt::DecryptError;
use crate::secret::DataKey;
use crate::span::Span;
use crate::value::{Type, Value, from_bytes};

/// What the key of fingerprints is made of, besides the data key. Changing it changes all fingerprints.
const PURPOSE: &[u8] = b"sops-rs fingerprint v1";

/// Makes fingerprints under one data key.
pub struct Fingerprints {
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints(…)")
    }
}

impl Fingerprints {
    /// Fingerprints under a key that is derived from `key`. `None` if HMAC does not take the key, which it always does.
    #[must_use]
    pub fn new(key: &DataKey) -> Option<Self> {
        let mut derive = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
        derive.update(PURPOSE);
        let derived = zeroize::Zeroizing::new(derive.finalize().into_bytes().to_vec());
        Some(Self {
            key: Hmac::new_from_slice(&derived).ok()?,
        })
    }

    /// What is shown in place of a value: its type or length in characters, and eight digits that are equal for equal
    /// values.
    #[must_use]
    pub fn mask(&self, value: &Value<'_>, kind: Type) -> String {
        let content = zeroize::Zeroizing::new(value.canonical().into_owned());
        let mut mac = self.key.clone();
        mac.update(kind.word().as_bytes());
        mac.update(&[0]);
        mac.update(&content);
        let digest = mac.finalize().into_bytes();
        let mark: String = digest
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let what = match value {
            Value::Str(text) if kind == Type::Comment => {
                format!("comment of {}", text.expose().chars().count())
            }
            Value::Str(text) => format!("len {}", text.expose().chars().count()),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
            _ => kind.word().to_owned(),
        };
        format!("‹{what}, {mark}›")
    }
}

/// The text of a sealed `document`, without its metadata, with a mask in place of every token that opens.
///
/// # Errors
/// [`DecryptError`] if the document cannot be walked or its own edits contradict each other.
pub fn mask(document: &Document<'_>, key: &DataKey) -> Result<String, DecryptError> {
    let cipher = Cipher::new(key)?;
    let Some(fingerprints) = Fingerprints::new(key) else {
        return Ok(document.source().to_owned());
    };
    let source = document.source();
    let mut edits = format::detach(document.format(), source, document.nodes()).edits;
    let mut masked = |id: NodeId, additional_data: &str| -> Result<(), ScanError> {
        let Some(node) = document.node(id) else {
            return Ok(());
        };
        let Value::Str(text) = document.value(node)? else {
            return Ok(());
        };
        let token = Token::parse(text.expose());
        let opened = token
            .as_ref()
            .and_then(|token| Some((token.kind()?, cipher.open(token, additional_data).ok()?)));
        let Some((kind, bytes)) = opened else {
            return Ok(());
        };
        let value = if kind == Type::Comment {
            Some(from_bytes(bytes))
        } else {
            let opened = format::opened(document.format(), kind, bytes).ok();
            opened.map(format::toml::meaning)
        };
        let inner = if node.kind == Kind::Comment {
            node.inner
        } else {
            node.span
        };
        let place = inner.of(source).find("ENC[").map(|at| inner.start() + at);
        if let (Some(value), Some(start)) = (value, place) {
            let end = source
                .get(start..)
                .and_then(|rest| rest.find(']'))
                .map_or(inner.end(), |at| start + at + 1);
            edits.push(Edit::new(
                Span::new(start, end),
                fingerprints.mask(&value, kind),
            ));
        }
        Ok(())
    };
    document.walk(|step| match step {
        Step::Leaf {
            id,
            path,
            alias: None,
            ..
        }
        | Step::Comment {
            id,
            path,
            alias: None,
        } => masked(id, path.additional_data()),
        _ => Ok(()),
    })?;
    Ok(splice(source, &edits)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::Fingerprints;
    use crate::secret::DataKey;
    use crate::value::{Type, Value};

    #[test]
    fn equal_values_look_alike_and_only_under_one_key() {
        let mask = |key: u8, text: &str| {
            Fingerprints::new(&DataKey::new(vec![key; 32]))
                .unwrap()
                .mask(&Value::Str(text.into()), Type::Str)
        };
        assert_eq!(mask(1, "hunter2"), mask(1, "hunter2"));
        assert_ne!(mask(1, "hunter2"), mask(1, "hunter3"));
        assert_ne!(mask(1, "hunter2"), mask(2, "hunter2"));
        assert!(
            mask(1, "grün").starts_with("‹len 4, "),
            "{}",
            mask(1, "grün")
        );
    }
}
