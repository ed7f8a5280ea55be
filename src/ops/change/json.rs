//! A value that was typed as JSON: `5`, `"text"`, `{"a": [true]}` (spec 9.5).
//!
//! Read by the scanner of JSON files, so that numbers keep their type and keys their order. Errors say where and never
//! what.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::content::Content;
use crate::document::Document;
use crate::format::Format;
use crate::node::{Form, Kind, NodeId, ScanError};
use crate::span::Span;
use crate::value::Value;

/// The scanner reads files, which are objects.
const BEFORE: &str = "{\"\":";
const BEHIND: &str = "}";

const MORE: &str = "expected nothing more behind the value";

/// A text that should be one JSON value.
pub struct JsonValue(Zeroizing<String>);

/// A text is not a JSON value. Knows where and why, never the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadJson {
    /// The byte of the text at which it goes wrong.
    pub at: usize,
    /// What is wrong, as one lower-case sentence without a full stop.
    pub message: String,
}

impl JsonValue {
    /// Takes a copy of `text`, which is wiped on drop.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let length = BEFORE.len() + text.len() + BEHIND.len();
        let mut whole = Zeroizing::new(String::with_capacity(length));
        for part in [BEFORE, text, BEHIND] {
            whole.push_str(part);
        }
        Self(whole)
    }

    /// The value: integers stay integers, all other numbers are doubles.
    ///
    /// # Errors
    /// [`BadJson`] for a text that is no JSON value, or more than one; for integers beyond 64 bits, for a key that stands
    /// twice in an object, and for nesting deeper than [`crate::content::MAX_DEPTH`].
    pub fn content(&self) -> Result<Content<'_>, BadJson> {
        let length = self.0.len() - BEFORE.len() - BEHIND.len();
        let bad = |error: ScanError| {
            let at = error.span.start().saturating_sub(BEFORE.len());
            let message = match at < length {
                true => error.message,
                false if self.closes_early() => MORE.to_owned(),
                false => "the value ends too early".to_owned(),
            };
            let at = at.min(length);
            BadJson { at, message }
        };
        let document = Document::parse(Format::Json, &self.0).map_err(bad)?;
        let fail = |at: Span, message: String| Err(bad(ScanError::new(at, message)));
        let name = |id: NodeId| {
            let key = document.node(id).and_then(|node| node.key);
            key.unwrap_or_default()
        };
        if let Some(second) = document.children(0).nth(1) {
            return fail(name(second), MORE.to_owned());
        }
        for (id, node) in document.nodes().iter().enumerate() {
            let digits = node.inner.of(&self.0).trim_start_matches('-');
            let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
            let is_number = node.kind == Kind::Scalar && node.form == Form::Plain;
            if is_number && is_integer && matches!(document.value(node), Ok(Value::Float(_))) {
                return fail(node.span, "this integer has more than 64 bits".to_owned());
            }
            let mut names = HashSet::new();
            for child in document.children(id).filter(|_| node.kind == Kind::Mapping) {
                let key = document.node(child).map(|child| document.key(child));
                let key = key.and_then(Result::ok).unwrap_or_default();
                if names.contains(&key) {
                    return fail(
                        name(child),
                        format!("the key `{key}` stands twice in one object"),
                    );
                }
                names.insert(key);
            }
        }
        document.content(1).map_err(bad)
    }

    /// Whether a bracket too many closes what stands around the value.
    fn closes_early(&self) -> bool {
        let text = self.0.strip_suffix(BEHIND).unwrap_or(&self.0);
        Document::parse(Format::Json, text).is_ok()
    }
}

impl std::fmt::Debug for JsonValue {
    /// Says that there is a value, and nothing about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonValue(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::JsonValue;
    use crate::content::{Content, MAX_DEPTH};
    use crate::value::Value;

    #[test]
    fn numbers_keep_their_type() {
        for (text, expected) in [
            ("5", Value::Int(5)),
            (" -9223372036854775808\n", Value::Int(i64::MIN)),
            ("5.0", Value::Float(5.0)),
            ("1e3", Value::Float(1000.0)),
            ("true", Value::Bool(true)),
            ("null", Value::Null),
            ("\"a\\nb\"", Value::Str("a\nb".into())),
        ] {
            let value = JsonValue::new(text);
            assert!(value.content() == Ok(Content::Scalar(expected)), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_one_json_value_is_refused_without_being_shown() {
        for (text, at, message) in [
            ("", 0, "ends too early"),
            ("CANARY", 0, "expected a value"),
            ("\"CANARY", 7, "ends too early"),
            ("[\"CANARY\"", 9, "ends too early"),
            ("1,\"CANARY\":2", 2, "nothing more"),
            ("1}CANARY", 2, "nothing more"),
            ("1}", 2, "nothing more"),
            ("{\"a\": 1}}", 9, "nothing more"),
            ("{\"a\": 1", 7, "ends too early"),
            ("{\"a\": 1, \"a\": 2}", 9, "`a` stands twice"),
            ("9223372036854775808", 0, "64 bits"),
            ("{\"n\": -9223372036854775809}", 6, "64 bits"),
            ("1e999", 0, "range of a double"),
            ("'CANARY'", 0, "expected a value"),
        ] {
            let value = JsonValue::new(text);
            let error = value.content().expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(!error.to_string().contains("CANARY"), "{error}");
        }
        let deep = MAX_DEPTH + 2;
        let deep = JsonValue::new(&("[".repeat(deep) + &"]".repeat(deep)));
        let error = deep.content().unwrap_err();
        assert!(error.message.contains("deeper than"), "{error}");
    }
}
