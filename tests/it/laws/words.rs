//! The laws of the small things: splices, paths, tokens, values.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use sops_rs::cipher::{Cipher, Token};
use sops_rs::document::Path;
use sops_rs::edit::{BadEdit, Edit, splice};
use sops_rs::secret::{DataKey, Plain};
use sops_rs::span::Span;
use sops_rs::value::{Time, Type, Value};
use zeroize::Zeroizing;

use super::cases;

/// Texts with characters of every length.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect())
}

/// A text in pieces: what stays and, behind it, what is replaced by what.
fn pieces() -> impl Strategy<Value = Vec<(String, String, String)>> {
    proptest::collection::vec((text(), text(), text()), 0..6)
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(|text| Value::Str(Plain::owned(text))),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| sops_rs::value::from_bytes(Zeroizing::new(bytes))),
        (0..9999, 1..=12, 1..=28, 0..24, 0..60, 0..60, 0..1_000_000_000_u32, -23..24).prop_map(
            |(year, month, day, hour, minute, second, nanos, zone)| {
                let sign = if zone < 0 { '-' } else { '+' };
                let text = format!(
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}{sign}{:02}:30",
                    i32::abs(zone)
                );
                Time::parse(&text).map_or(Value::Null, Value::Time)
            }
        ),
        Just(Value::Float(-0.0)),
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    /// Law 1.
    #[test]
    fn no_edit_changes_nothing(text in text()) {
        prop_assert_eq!(&*splice(&text, &[]).unwrap(), &text);
    }

    /// Law 1: what is outside the edits is there afterwards, in whatever order they come.
    #[test]
    fn a_splice_keeps_what_it_does_not_replace(pieces in pieces(), last in text(), turn in 0..6_usize) {
        let (mut source, mut want, mut edits) = (String::new(), String::new(), Vec::new());
        for (kept, old, new) in &pieces {
            source.push_str(kept);
            want.push_str(kept);
            let start = source.len();
            source.push_str(old);
            // Two insertions at one place come in the order given, so they are not turned round.
            if old.is_empty() {
                continue;
            }
            edits.push(Edit::new(Span::new(start, source.len()), new.clone()));
            want.push_str(new);
        }
        source.push_str(&last);
        want.push_str(&last);
        let middle = turn.min(edits.len());
        edits.rotate_left(middle);
        prop_assert_eq!(&*splice(&source, &edits).unwrap(), &want);
    }

    #[test]
    fn edits_that_do_not_fit_are_refused_and_never_applied(text in text(), start in 0..60_usize, length in 1..60_usize) {
        let span = Span::new(start, start + length);
        let fits = text.get(start..start + length).is_some();
        let result = splice(&text, &[Edit::remove(span)]);
        prop_assert_eq!(result.is_ok(), fits);
        if fits {
            let twice = splice(&text, &[Edit::remove(span), Edit::remove(span)]);
            prop_assert_eq!(twice.err(), Some(BadEdit::Overlap(span)));
        }
    }

    /// Spec 2: every key and a colon.
    #[test]
    fn additional_data_is_every_key_and_a_colon(keys in proptest::collection::vec(text(), 1..6)) {
        let mut path = Path::default();
        for key in &keys {
            path.push(key);
        }
        let joined: String = keys.iter().map(|key| format!("{key}:")).collect();
        prop_assert_eq!(path.additional_data(), joined);
        prop_assert_eq!(path.keys().collect::<Vec<_>>(), keys.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert_eq!(path.last(), keys.last().map(String::as_str));
        for _ in &keys {
            path.pop();
        }
        prop_assert_eq!(path.additional_data(), ":");
    }

    /// Spec 1.1: what is printed is read, with its type, and opens at its place and nowhere else.
    #[test]
    fn a_token_is_read_as_it_was_printed(
        bytes in proptest::collection::vec(any::<u8>(), 1..80),
        place in text(),
        iv in any::<[u8; 32]>(),
        kind in 0..7_usize,
        behind in "(\n.*)?",
    ) {
        let kinds = [Type::Str, Type::Int, Type::Float, Type::Bool, Type::Time, Type::Comment, Type::Bytes];
        let cipher = Cipher::new(&DataKey::new(vec![3; 32])).unwrap();
        let printed = cipher.seal(&bytes, kinds[kind], &place, &iv) + &behind;
        let token = Token::parse(&printed).unwrap();
        prop_assert_eq!(token.kind(), Some(kinds[kind]));
        prop_assert!(token.has_standard_iv());
        prop_assert_eq!(&*cipher.open(&token, &place).unwrap(), &bytes);
        let elsewhere = format!("{place}:");
        prop_assert!(cipher.open(&token, &elsewhere).is_err());
    }

    /// Spec 1.3: the canonical bytes of a value are read as the value.
    #[test]
    fn a_value_is_read_as_it_was_written(value in value()) {
        let Some(kind) = value.token_type() else {
            return Ok(());
        };
        let bytes = value.canonical().into_owned();
        let read = Value::parse(kind, Zeroizing::new(bytes.clone())).unwrap();
        let is_nan = matches!(value, Value::Float(number) if number.is_nan());
        prop_assert!(is_nan || read == value, "{}", String::from_utf8_lossy(&bytes));
        prop_assert_eq!(read.canonical().into_owned(), bytes);
    }
}
