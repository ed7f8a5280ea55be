//! The text of a mapping's key, from the key as it is written: with its anchor, tag and quotes.

use std::borrow::Cow;

use super::chars::{break_len, byte, is_blank, is_blankz, is_word, line_end};
use super::resolve::{Resolved, resolve};
use super::scalar;
use super::scan::scalars::Header;
use super::tag::Directives;
use crate::node::{Form, Node, ScanError, Tag};
use crate::secret::wipe;
use crate::span::Span;
use crate::value::{Value, from_bytes};

/// See [`super::key()`].
pub(super) fn decode<'a>(source: &'a str, node: &Node) -> Result<Cow<'a, str>, ScanError> {
    let Some(shown) = node.key else {
        return Ok(Cow::Borrowed(""));
    };
    let (tag, span) = undress(source, shown);
    let (form, inner) = match span.of(source).as_bytes() {
        [b'"', ..] => (
            Form::Double,
            Span::new(span.start() + 1, span.end().saturating_sub(1)),
        ),
        [b'\'', ..] => (
            Form::Single,
            Span::new(span.start() + 1, span.end().saturating_sub(1)),
        ),
        [b'|', ..] => (Form::Literal, block_inner(source, span)),
        [b'>', ..] => (Form::Folded, block_inner(source, span)),
        _ => (Form::Plain, span),
    };
    let text = scalar::decode(source, form, span, inner, None);
    match resolve(&text, form == Form::Plain, tag) {
        Some(Resolved::Str) => Ok(text),
        Some(Resolved::Bytes(bytes)) => match from_bytes(bytes) {
            Value::Str(decoded) => Ok(Cow::Owned(decoded.expose().to_owned())),
            _ => Err(not_a_string(shown)),
        },
        _ => {
            if let Cow::Owned(text) = text {
                wipe(text);
            }
            Err(not_a_string(shown))
        }
    }
}

/// The tag of the key under `span`, and its content without anchor and tag.
pub(super) fn undress(source: &str, span: Span) -> (Tag, Span) {
    let bytes = source.as_bytes().get(..span.end()).unwrap_or_default();
    let (mut tag, mut at) = (Tag::None, span.start());
    loop {
        let mark = byte(bytes, at);
        if mark != b'&' && mark != b'!' {
            return (tag, Span::new(at, span.end()));
        }
        let mut end = at + 1;
        let ends = |at| {
            if mark == b'&' {
                !is_word(byte(bytes, at))
            } else {
                is_blankz(bytes, at)
            }
        };
        while !ends(end) {
            end += 1;
        }
        if mark == b'!' {
            let word = source.get(at..end).unwrap_or_default();
            tag = Directives::default().resolve(word).unwrap_or(Tag::Other);
        }
        at = skip_space(bytes, end);
    }
}

/// End of the blanks, line breaks and comments at `at`.
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    loop {
        if is_blank(bytes, at) {
            at += 1;
        } else if byte(bytes, at) == b'#' {
            at = line_end(bytes, at);
        } else if break_len(bytes, at) > 0 {
            at += break_len(bytes, at);
        } else {
            return at;
        }
    }
}

/// The content of a block scalar: all behind its header's line.
fn block_inner(source: &str, span: Span) -> Span {
    let bytes = source.as_bytes();
    let start = Header::parse(bytes, span.start() + 1).map_or(span.end(), |header| header.end);
    let line = line_end(bytes, start);
    let start = line + break_len(bytes, line);
    Span::new(start, span.end().max(start))
}

fn not_a_string(span: Span) -> ScanError {
    ScanError::new(span, "a key that is not a string").with_hint("put the key in quotes")
}

#[cfg(test)]
mod tests {
    use crate::format::yaml::{key, scan};

    fn keys(source: &str) -> Vec<Result<String, String>> {
        let nodes = scan(source).unwrap();
        let entries = nodes.iter().filter(|node| node.key.is_some());
        entries
            .map(|node| match key(source, node) {
                Ok(key) => Ok(key.into_owned()),
                Err(error) => Err(error.message),
            })
            .collect()
    }

    #[test]
    fn keys_are_read_in_every_spelling() {
        for (source, expected) in [
            ("a b: 1", "a b"),
            ("\"a\\x41\": 1", "aA"),
            ("'it''s' : 1", "it's"),
            ("? a\n  b\n: 1", "a b"),
            ("? |\n  a\n  b\n: 1", "a\nb\n"),
            ("!!str 5: 1", "5"),
            ("&x !foo 5: 1", "5"),
            ("!!binary aGk=: 1", "hi"),
            ("yes: 1", "yes"),
            ("{a, b: 1}", "a"),
            ("{\"a\":1}", "a"),
        ] {
            assert_eq!(keys(source)[0], Ok(expected.to_owned()), "{source:?}");
        }
    }

    #[test]
    fn keys_that_are_not_strings_are_refused_when_asked_for() {
        for source in [
            "1: a",
            "true: a",
            "~: a",
            "{? : a}",
            "1.5: a",
            "2001-01-01: a",
            "!!int \"7\": a",
        ] {
            assert_eq!(
                keys(source),
                [Err("a key that is not a string".to_owned())],
                "{source:?}"
            );
        }
    }
}
