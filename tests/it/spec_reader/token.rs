//! The value token of spec 1: syntax, opening, types.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::time;
use super::tree::Value;

pub(crate) const START: &str = "ENC[AES256_GCM,";

/// The four fields of a token, still encoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) data: String,
    pub(crate) iv: String,
    pub(crate) tag: String,
    pub(crate) kind: String,
    /// What follows the last `]` of the first line, and all further lines.
    pub(crate) rest: String,
}

impl Token {
    /// The expression of spec 1.1, greedy from left to right: `data` runs to the last `,iv:` that still lets the rest match.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let line = text.split('\n').next()?;
        let body = line.strip_prefix("ENC[AES256_GCM,data:")?;
        let end = body.rfind(']')?;
        let (fields, _) = body.split_at_checked(end)?;
        let (fields, kind) = fields.rsplit_once(",type:")?;
        let (fields, tag) = fields.rsplit_once(",tag:")?;
        let (data, iv) = fields.rsplit_once(",iv:")?;
        let rest = text.get(line.len() - body.len() + end + 1..)?;
        let filled = [data, iv, tag, kind].iter().all(|field| !field.is_empty());
        filled.then(|| Self {
            data: data.to_owned(),
            iv: iv.to_owned(),
            tag: tag.to_owned(),
            kind: kind.to_owned(),
            rest: rest.to_owned(),
        })
    }

    /// The plaintext bytes; `Err` says which step failed.
    pub(crate) fn open(&self, key: &[u8; 32], aad: &str) -> Result<Vec<u8>, String> {
        let mut sealed = decode(&self.data)?;
        sealed.extend(decode(&self.tag)?);
        let iv = decode(&self.iv)?;
        let cipher = AesGcm::<Aes256, U32>::new(&(*key).into());
        let nonce: [u8; 32] = iv.try_into().map_err(|_| "IV is not 32 bytes".to_owned())?;
        let payload = Payload {
            msg: &sealed,
            aad: aad.as_bytes(),
        };
        cipher
            .decrypt(&Nonce::<U32>::from(nonce), payload)
            .map_err(|_| format!("GCM failure under {aad:?}"))
    }

    /// What a writer may not do to a token (spec 1.1, 1.2, 12 item 4); `blank_end` allows white space behind it.
    pub(crate) fn faults(&self, blank_end: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, field) in [("data", &self.data), ("iv", &self.iv), ("tag", &self.tag)] {
            if STANDARD.decode(field).is_err() {
                faults.push(format!("{name} is not canonical base64"));
            }
        }
        if decode(&self.iv).is_ok_and(|iv| iv.len() != 32) {
            faults.push("IV is not 32 bytes".to_owned());
        }
        if decode(&self.tag).is_ok_and(|tag| tag.len() != 16) {
            faults.push("tag is not 16 bytes".to_owned());
        }
        if !["str", "int", "float", "bool", "time", "comment"].contains(&self.kind.as_str()) {
            faults.push(format!("type:{} may not be written", self.kind));
        }
        let behind = if blank_end {
            self.rest.trim_end()
        } else {
            &self.rest
        };
        if !behind.is_empty() {
            faults.push("text behind a token".to_owned());
        }
        faults
    }
}

/// Go's non-strict standard decoder: line breaks skipped, padding wanted, any trailing bits.
fn decode(field: &str) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let text: String = field
        .chars()
        .filter(|c| !matches!(c, '\r' | '\n'))
        .collect();
    GeneralPurpose::new(&STANDARD_ALPHABET, config)
        .decode(text)
        .map_err(|_| "not base64".to_owned())
}

/// The value that plaintext bytes have under a type word (spec 1.3, last column).
pub(crate) fn typed(kind: &str, bytes: Vec<u8>) -> Result<Value, String> {
    if matches!(kind, "str" | "comment" | "bytes") {
        return Ok(Value::Str(bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("not a {kind}"))?;
    let value = match kind {
        "int" => text.parse().ok().map(Value::Int),
        "float" => go_float(&text).map(Value::Float),
        "bool" => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(Value::Bool(false)),
            _ => None,
        },
        "time" => time::rfc3339(&text).map(|fields| Value::Time(fields.text(true))),
        _ => return Err(format!("Unknown datatype {kind}")),
    };
    value.ok_or_else(|| format!("not a {kind}"))
}

/// Go's `ParseFloat`, without its hexadecimal form: decimal, `_` between digits, infinities and NaN by name.
pub(crate) fn go_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    if lower == "inf" || lower == "infinity" {
        return Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('_') {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        if !digit(at.checked_sub(1)) || !digit(at.checked_add(1)) {
            return None;
        }
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    number.is_finite().then_some(number)
}
