//! One scalar of TOML 1.0: what kind it is, what it means, how a value is spelled.
//!
//! Knows nothing of where it stands. What is sealed is the spelling itself; what it means matters to those who read one value
//! or write it in another format.

use toml_datetime::{Datetime, Offset};
use toml_parser::decoder::{Encoding, IntegerRadix, ScalarKind, StringBuilder};
use toml_parser::{ParseError, Raw};
use toml_writer::{ToTomlValue as _, TomlStringBuilder, WriteTomlValue as _};
use zeroize::Zeroizing;

use super::events::{is_scalar, scan_error};
use crate::format::CannotWrite;
use crate::node::{Form, ScanError};
use crate::secret::Plain;
use crate::span::Span;
use crate::value::{NotOfType, Time, Type, Value};

/// What the scalar at `at` is: the type of its token, and what it means.
///
/// # Errors
/// [`ScanError`] if TOML 1.0 has no such scalar, and for numbers beyond 64 bits.
pub(super) fn read<'a>(source: &'a str, at: Span) -> Result<(Type, Value<'a>), ScanError> {
    let lexeme = at.of(source);
    if lexeme.is_empty() {
        return Err(ScanError::new(at, "there is no value behind the `=`"));
    }
    let (kind, text) = decode(lexeme, at).map_err(|error| scan_error(source, &error))?;
    let wrong = |what: &str| ScanError::new(at, what);
    Ok(match kind {
        ScalarKind::String => {
            check_escapes(lexeme, at)?;
            (
                Type::Str,
                Value::Str(Plain::Owned(with_line_feeds(lexeme, text))),
            )
        }
        ScalarKind::Boolean(value) => (Type::Bool, Value::Bool(value)),
        ScalarKind::Integer(radix) => {
            let number = integer(&text, radix);
            let number = number.ok_or_else(|| wrong("this integer does not fit in 64 bits"))?;
            (Type::Int, Value::Int(number))
        }
        ScalarKind::Float => {
            let number = float(&text);
            let number =
                number.ok_or_else(|| wrong("this number is beyond the range of a double"))?;
            (Type::Float, Value::Float(number))
        }
        ScalarKind::DateTime => {
            let time = time(&text).ok_or_else(|| {
                wrong("this is not a date or time of TOML 1.0")
                    .with_hint("write it as 1979-05-27T07:32:00Z, 1979-05-27 or 07:32:00")
            })?;
            (Type::Time, time)
        }
    })
}

/// What the parser makes of a scalar that begins at `at`: its kind, and its text without quotes, escapes and `_`.
fn decode(lexeme: &str, at: Span) -> Result<(ScalarKind, Zeroizing<String>), ParseError> {
    let place = toml_parser::Span::new_unchecked(at.start(), at.end());
    let raw = Raw::new_unchecked(lexeme, encoding(lexeme), place);
    // Decoded text is never longer than its spelling, so the buffer does not move and leaves no copy behind.
    let mut text = Decoded(Zeroizing::new(String::with_capacity(lexeme.len())));
    let mut first = None;
    let kind = raw.decode_scalar(&mut text, &mut first);
    first.map_or(Ok((kind, text.0)), Err)
}

/// Line breaks in a multi-line string are LF, whatever the file has: a version control system may have changed them.
fn with_line_feeds(lexeme: &str, text: Zeroizing<String>) -> Zeroizing<String> {
    if !lexeme.contains("\r\n") {
        return text;
    }
    let mut unified = Zeroizing::new(String::with_capacity(lexeme.len()));
    for (number, line) in lexeme.split("\r\n").enumerate() {
        if number > 0 {
            unified.push('\n');
        }
        unified.push_str(line);
    }
    decode(&unified, Span::at(0)).map_or(text, |(_, text)| text)
}

/// The spelling that a token of type `kind` held, which must be one scalar of that kind and nothing else.
///
/// # Errors
/// [`NotOfType`] if it is not: nothing else may get into a file this way.
pub(super) fn opened(
    kind: Type,
    mut bytes: Zeroizing<Vec<u8>>,
) -> Result<Value<'static>, NotOfType> {
    let lexeme = match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(lexeme) => Zeroizing::new(lexeme),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            return Err(NotOfType(kind));
        }
    };
    let found = is_scalar(&lexeme)
        .then(|| read(&lexeme, Span::new(0, lexeme.len())).ok())
        .flatten();
    match found {
        Some((found, _)) if found == kind => Ok(Value::Lexeme(kind, Plain::Owned(lexeme))),
        _ => Err(NotOfType(kind)),
    }
}

/// How the parser calls the quotes of a scalar.
fn encoding(lexeme: &str) -> Option<Encoding> {
    let is = |quotes: &str| lexeme.starts_with(quotes);
    if is("\"\"\"") {
        Some(Encoding::MlBasicString)
    } else if is("'''") {
        Some(Encoding::MlLiteralString)
    } else if is("\"") {
        Some(Encoding::BasicString)
    } else if is("'") {
        Some(Encoding::LiteralString)
    } else {
        None
    }
}

/// The quotes of a scalar, and its text between them.
pub(super) fn quotes(source: &str, at: Span) -> (Form, Span) {
    let (form, length) = match encoding(at.of(source)) {
        Some(Encoding::BasicString) => (Form::Double, 1),
        Some(Encoding::LiteralString) => (Form::Single, 1),
        Some(Encoding::MlBasicString) => (Form::Double, 3),
        Some(Encoding::MlLiteralString) => (Form::Single, 3),
        None => (Form::Plain, 0),
    };
    (
        form,
        Span::new(at.start() + length, at.end().saturating_sub(length)),
    )
}

/// TOML 1.1 has two escapes that 1.0 does not.
pub(super) fn check_escapes(lexeme: &str, at: Span) -> Result<(), ScanError> {
    if !lexeme.starts_with('"') {
        return Ok(());
    }
    let mut is_escape = false;
    for (place, c) in lexeme.char_indices() {
        if is_escape && matches!(c, 'e' | 'x') {
            let start = at.start() + place - 1;
            let message = format!("TOML 1.0 has no escape `\\{c}`");
            let error = ScanError::new(Span::new(start, start + 2), message);
            return Err(error.with_hint("write it as `\\u` and four hexadecimal digits"));
        }
        is_escape = c == '\\' && !is_escape;
    }
    Ok(())
}

fn integer(digits: &str, radix: IntegerRadix) -> Option<i64> {
    i64::from_str_radix(digits, radix.value()).ok()
}

fn float(digits: &str) -> Option<f64> {
    let number: f64 = digits.parse().ok()?;
    (number.is_finite() || digits.ends_with(['f', 'n'])).then_some(number)
}

/// An instant with an offset is one; a local date or time is its text, with `T` between the two. `None` if it is neither.
fn time(lexeme: &str) -> Option<Value<'static>> {
    let found: Datetime = lexeme.parse().ok()?;
    if found.time.is_some_and(|time| time.second.is_none()) {
        // Since TOML 1.1.
        return None;
    }
    let instant = || {
        let (date, time) = (found.date?, found.time?);
        let minutes = match found.offset? {
            Offset::Z => 0,
            Offset::Custom { minutes } => i32::from(minutes),
        };
        let date = (i32::from(date.year), date.month.into(), date.day.into());
        let clock = (
            time.hour.into(),
            time.minute.into(),
            time.second.unwrap_or_default().into(),
        );
        Time::from_fields(date, clock, time.nanosecond.unwrap_or_default(), minutes)
    };
    Some(instant().map_or_else(|| Value::Str(Plain::owned(found.to_string())), Value::Time))
}

/// A value in the spelling that `form` asks for if it has one so, else in the simplest.
///
/// # Errors
/// [`CannotWrite`] for null and for bytes that are not UTF-8.
pub(super) fn spell(value: &Value<'_>, form: Form) -> Result<Zeroizing<String>, CannotWrite> {
    let refuse = |what: &str| Err(CannotWrite(format!("TOML has no spelling for {what}")));
    Ok(match value {
        Value::Lexeme(_, lexeme) => Zeroizing::new(lexeme.expose().to_owned()),
        Value::Str(text) => string(text.expose(), form),
        Value::Bool(value) => Zeroizing::new(value.to_string()),
        Value::Int(number) => Zeroizing::new(number.to_string()),
        Value::Float(number) => Zeroizing::new(number.to_toml_value()),
        Value::Time(time) => Zeroizing::new(time.as_str().to_owned()),
        Value::Null => return refuse("null"),
        Value::Bytes(_) => return refuse("bytes that are not UTF-8"),
    })
}

/// A text in quotes: those of `form` if it needs no escapes there, else the kind that needs the fewest.
fn string(text: &str, form: Form) -> Zeroizing<String> {
    let spelling = TomlStringBuilder::new(text);
    let chosen = match form {
        Form::Single => spelling.as_literal(),
        Form::Double if !text.contains('\n') => Some(spelling.as_basic()),
        _ => None,
    };
    let chosen = chosen.unwrap_or_else(|| spelling.as_default());
    // Room for every character as an escape, so that the buffer does not move.
    let mut written = Zeroizing::new(String::with_capacity(6 * text.len() + 8));
    // Writing to a string cannot fail.
    chosen.write_toml_value(&mut *written).unwrap_or_default();
    written
}

/// Takes what the parser decodes, to be wiped.
struct Decoded(Zeroizing<String>);

impl<'s> StringBuilder<'s> for Decoded {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn push_str(&mut self, append: &'s str) -> bool {
        self.0.push_str(append);
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.0.push(append);
        true
    }
}
