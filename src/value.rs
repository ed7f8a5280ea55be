//! The values a leaf can have, and the bytes that stand for them in a token and in the MAC (spec 1.3).
//!
//! Knows nothing of files: how a value is spelled in YAML, JSON, dotenv, INI or TOML is the formats' business.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use zeroize::Zeroizing;

use crate::secret::Plain;

/// A decoded value. Plaintext inside is wiped on drop, and `Debug` shows only its kind.
#[derive(Clone, PartialEq)]
pub enum Value<'a> {
    /// Nothing: never sealed, never part of the MAC.
    Null,
    /// Truth value.
    Bool(bool),
    /// Signed 64-bit integer.
    Int(i64),
    /// IEEE double.
    Float(f64),
    /// An instant with its offset.
    Time(Time),
    /// Text.
    Str(Plain<'a>),
    /// Bytes that are not UTF-8, from `!!binary` or from a token.
    Bytes(Zeroizing<Vec<u8>>),
    /// A value as TOML spells it, with the type it has: what is sealed of it is the spelling (spec 15.2). Never an empty text.
    Lexeme(Type, Plain<'a>),
}

/// The word after `type:` in a token (spec 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text or bytes.
    Str,
    /// Signed 64-bit integer.
    Int,
    /// IEEE double.
    Float,
    /// Truth value.
    Bool,
    /// RFC 3339 instant.
    Time,
    /// A comment's text.
    Comment,
    /// Raw bytes. Read, never written.
    Bytes,
}

impl Type {
    /// The word as it stands in a token.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Comment => "comment",
            Self::Bytes => "bytes",
        }
    }

    /// Reads the word; `None` if it is not one of the seven.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "str" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "time" => Self::Time,
            "comment" => Self::Comment,
            "bytes" => Self::Bytes,
            _ => return None,
        })
    }
}

/// The decrypted bytes of a token do not spell a value of the token's type. Carries the type, never the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes are not a valid {}", .0.word())]
pub struct NotOfType(pub Type);

impl Value<'_> {
    /// The type a token of this value carries; `None` for null, which has no token.
    #[must_use]
    pub fn token_type(&self) -> Option<Type> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Time(_) => Type::Time,
            Self::Str(_) | Self::Bytes(_) => Type::Str,
            Self::Lexeme(kind, _) => *kind,
        })
    }

    /// Whether the value is never sealed: null, and text without a single byte (spec 1.4).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Str(text) => text.expose().is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Time(_) | Self::Lexeme(..) => {
                false
            }
        }
    }

    /// The bytes that are encrypted and hashed for this value (spec 1.3, column 3). Null gives none.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Null => Cow::Borrowed(b""),
            Self::Bool(true) => Cow::Borrowed(b"True"),
            Self::Bool(false) => Cow::Borrowed(b"False"),
            Self::Int(number) => Cow::Owned(number.to_string().into_bytes()),
            Self::Float(number) => Cow::Owned(float_text(*number).into_bytes()),
            Self::Time(time) => Cow::Borrowed(time.as_str().as_bytes()),
            Self::Str(text) | Self::Lexeme(_, text) => Cow::Borrowed(text.expose().as_bytes()),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
        }
    }

    /// Reads the decrypted bytes of a token of type `kind` (spec 1.3, column 4).
    ///
    /// # Errors
    /// [`NotOfType`] if the bytes do not spell such a value; `kind` must not be a comment.
    pub fn parse(kind: Type, bytes: Zeroizing<Vec<u8>>) -> Result<Value<'static>, NotOfType> {
        let text = || std::str::from_utf8(&bytes).map_err(|_| NotOfType(kind));
        Ok(match kind {
            Type::Int => Value::Int(parse_int(text()?).ok_or(NotOfType(kind))?),
            Type::Float => Value::Float(parse_float(text()?).ok_or(NotOfType(kind))?),
            Type::Bool => Value::Bool(parse_bool(text()?).ok_or(NotOfType(kind))?),
            Type::Time => Value::Time(Time::parse(text()?).ok_or(NotOfType(kind))?),
            Type::Str | Type::Bytes | Type::Comment => from_bytes(bytes),
        })
    }

    /// The same value without the borrow.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Time(value) => Value::Time(value),
            Self::Str(value) => Value::Str(value.into_owned()),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Lexeme(kind, text) => Value::Lexeme(kind, text.into_owned()),
        }
    }
}

/// Text if the bytes are UTF-8, else bytes. The bytes are moved, not copied.
#[must_use]
pub fn from_bytes(mut bytes: Zeroizing<Vec<u8>>) -> Value<'static> {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Value::Str(Plain::owned(text)),
        Err(error) => Value::Bytes(Zeroizing::new(error.into_bytes())),
    }
}

impl std::fmt::Debug for Value<'_> {
    /// The kind of the value, and nothing about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(…)",
            Self::Int(_) => "Int(…)",
            Self::Float(_) => "Float(…)",
            Self::Time(_) => "Time(…)",
            Self::Str(_) => "Str(…)",
            Self::Bytes(_) => "Bytes(…)",
            Self::Lexeme(..) => "Lexeme(…)",
        })
    }
}

/// Shortest decimal that reads back as the same double, never with an exponent (spec 1.3): `1000`, `0.0000001`, `-0`,
/// `+Inf`, `-Inf`, `NaN`.
#[must_use]
pub fn float_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        // Rust prints doubles with the shortest digits and no exponent.
        number.to_string()
    }
}

/// Go's `Atoi`: an optional sign and decimal digits, in the range of a signed 64-bit integer.
fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Go's `ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseFloat` with 64 bits: decimal or hexadecimal, `inf`, `infinity` and `nan` in any case, `_` between digits.
///
/// `None` for anything else and for what is out of range.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Some(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if let Some(digits) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        return parse_hex_float(digits).map(|number| sign * number);
    }
    // What Rust reads beyond Go ("infinity" spellings) is excluded by the first character.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = without_separators(unsigned)?.parse().ok()?;
    number.is_finite().then_some(sign * number)
}

/// The digits without `_`, each of which must stand between two digits.
fn without_separators(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let parts: Vec<&str> = text.split('_').collect();
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let separates = parts.windows(2).all(|pair| match pair {
        [before, after] => digit(before.as_bytes().last()) && digit(after.as_bytes().first()),
        _ => false,
    });
    separates.then(|| Cow::Owned(parts.concat()))
}

/// The part after `0x` of a Go hexadecimal float: digits with an optional point, and a mandatory binary exponent.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let digits = match digits.strip_prefix('_') {
        Some(rest) => rest,
        None => digits,
    };
    if digits.contains("__") || digits.ends_with('_') || digits.starts_with('_') {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut number = 0.0f64;
    let mut count = 0usize;
    let mut scale = exponent;
    for (index, part) in [whole, fraction].into_iter().enumerate() {
        for c in part.chars().filter(|&c| c != '_') {
            number = number * 16.0 + f64::from(c.to_digit(16)?);
            count += 1;
            if index == 1 {
                scale = scale.checked_sub(4)?;
            }
        }
    }
    if count == 0 || count > 13 {
        // More digits than a double holds exactly would need correct rounding; no writer makes them.
        return None;
    }
    let number = number * 2.0f64.powi(scale);
    number.is_finite().then_some(number)
}

/// An instant with the offset it was written with, kept in its canonical RFC 3339 form: at most nine digits of fraction
/// without trailing zeros, `Z` for offset zero (spec 1.3, `time`).
#[derive(Clone, PartialEq, Eq)]
pub struct Time(Zeroizing<String>);

impl Time {
    /// Reads strict RFC 3339: upper-case `T` and `Z`, a full date and a full time. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fields = Fields::parse(text)?;
        fields.check()?;
        Some(Self(Zeroizing::new(fields.text(true))))
    }

    /// An instant from calendar fields; `nanos` counts nanoseconds, `offset_minutes` minutes east of UTC.
    /// `None` if a field is out of range.
    #[must_use]
    pub fn from_fields(
        date: (i32, u32, u32),
        clock: (u32, u32, u32),
        nanos: u32,
        offset_minutes: i32,
    ) -> Option<Self> {
        let (year, month, day) = date;
        let (hour, minute, second) = clock;
        let fields = Fields {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanos,
            offset_minutes,
        };
        fields.check()?;
        Some(Self(Zeroizing::new(fields.text(true))))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time(…)")
    }
}

/// Re-formats an RFC 3339 timestamp of the metadata to whole seconds, as SOPS does before it uses `lastmodified` as
/// additional data of the MAC (spec 4.4): fractions are dropped, `+00:00` becomes `Z`, other offsets stay.
/// `None` if the text is not RFC 3339.
#[must_use]
pub fn to_seconds(timestamp: &str) -> Option<String> {
    let fields = Fields::parse(timestamp)?;
    fields.check()?;
    Some(fields.text(false))
}

/// The instant `unix_seconds` after 1970 in UTC, as the metadata spells it: `2024-01-02T03:04:05Z`.
/// An instant out of the calendar's range counts as 1970.
#[must_use]
pub fn timestamp(unix_seconds: i64) -> String {
    let instant = Timestamp::from_second(unix_seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let zoned = instant.to_zoned(TimeZone::fixed(Offset::UTC));
    zoned.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Calendar fields of one instant.
struct Fields {
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    offset_minutes: i32,
}

impl Fields {
    /// Reads `YYYY-MM-DDThh:mm:ss[.f]Z|±hh:mm`, syntax only.
    fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<u32> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        for (at, sign) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            if *bytes.get(at)? != sign {
                return None;
            }
        }
        let mut rest = text.get(19..)?;
        let mut nanos = 0;
        if let Some(after) = rest.strip_prefix(['.', ',']) {
            let length = after.bytes().take_while(u8::is_ascii_digit).count();
            let digits = after.get(..length).filter(|digits| !digits.is_empty())?;
            let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
            nanos = nine.parse().ok()?;
            rest = after.get(length..)?;
        }
        Some(Self {
            year: i32::try_from(number(0, 4)?).ok()?,
            month: number(5, 7)?,
            day: number(8, 10)?,
            hour: number(11, 13)?,
            minute: number(14, 16)?,
            second: number(17, 19)?,
            nanos,
            offset_minutes: parse_offset(rest)?,
        })
    }

    /// `Some` if every field is in range: a real date, a time below 24:00:00, an offset below 24 hours.
    fn check(&self) -> Option<()> {
        let year = i16::try_from(self.year)
            .ok()
            .filter(|year| (0..=9999).contains(year))?;
        let month = i8::try_from(self.month).ok()?;
        let day = i8::try_from(self.day).ok()?;
        jiff::civil::Date::new(year, month, day).ok()?;
        (self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.nanos < 1_000_000_000
            && self.offset_minutes.abs() < 24 * 60)
            .then_some(())
    }

    /// RFC 3339 text, with or without the fraction.
    fn text(&self, with_fraction: bool) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            nanos,
            offset_minutes,
        } = self;
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if with_fraction && *nanos != 0 {
            let digits = format!("{nanos:09}");
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        if *offset_minutes == 0 {
            text.push('Z');
        } else {
            let sign = if *offset_minutes < 0 { '-' } else { '+' };
            let minutes = offset_minutes.unsigned_abs();
            text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        text
    }
}

/// `Z` or `±hh:mm`, as minutes east of UTC.
fn parse_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |digits: &str| -> Option<i32> {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::{Time, Type, Value, float_text, parse_float, timestamp, to_seconds};

    fn parse(kind: Type, text: &str) -> Option<String> {
        let value = Value::parse(kind, Zeroizing::new(text.as_bytes().to_vec())).ok()?;
        Some(String::from_utf8(value.canonical().into_owned()).unwrap())
    }

    #[test]
    fn floats_are_written_without_exponent_as_spec_1_3_lists_them() {
        for (number, text) in [
            (1.5, "1.5"),
            (1e3, "1000"),
            (1e23, "100000000000000000000000"),
            (1e-7, "0.0000001"),
            (-0.0, "-0"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn tokens_are_read_leniently_and_rendered_canonically() {
        assert_eq!(parse(Type::Int, "007").as_deref(), Some("7"));
        assert_eq!(parse(Type::Int, "+5").as_deref(), Some("5"));
        assert_eq!(parse(Type::Int, " 5"), None);
        assert_eq!(parse(Type::Int, "1_0"), None);
        assert_eq!(parse(Type::Bool, "t").as_deref(), Some("True"));
        assert_eq!(parse(Type::Bool, "tRue"), None);
        assert_eq!(parse(Type::Bool, "yes"), None);
        assert_eq!(parse(Type::Float, "1e400"), None);
        assert_eq!(parse(Type::Float, "0x1.8p1").as_deref(), Some("3"));
        assert_eq!(parse(Type::Float, "iNf").as_deref(), Some("+Inf"));
        assert_eq!(parse(Type::Time, "2001-12-14"), None);
        assert_eq!(
            parse(Type::Time, "2001-12-14T21:59:43.10-05:00").as_deref(),
            Some("2001-12-14T21:59:43.1-05:00")
        );
        assert_eq!(parse_float("1_0.2_5e1"), Some(102.5));
        assert_eq!(parse_float("._5"), None);
        assert_eq!(parse_float("5_"), None);
        assert_eq!(parse_float("nan").map(f64::is_nan), Some(true));
        assert_eq!(parse_float("infinit"), None);
    }

    #[test]
    fn timestamps_are_reformatted_to_whole_seconds() {
        assert_eq!(
            to_seconds("2024-01-02T03:04:05.999Z").as_deref(),
            Some("2024-01-02T03:04:05Z")
        );
        assert_eq!(
            to_seconds("2024-01-02T03:04:05+00:00").as_deref(),
            Some("2024-01-02T03:04:05Z")
        );
        assert_eq!(
            to_seconds("2024-01-02T03:04:05+02:00").as_deref(),
            Some("2024-01-02T03:04:05+02:00")
        );
        assert_eq!(to_seconds("2024-01-02 03:04:05Z"), None);
        assert_eq!(to_seconds("2024-02-30T03:04:05Z"), None);
        assert_eq!(timestamp(1_704_164_645), "2024-01-02T03:04:05Z");
        assert!(Time::from_fields((2001, 2, 30), (0, 0, 0), 0, 0).is_none());
    }

    #[test]
    fn debug_shows_no_value() {
        let value = Value::Str("S3CR3T-CANARY".into());
        assert_eq!(format!("{value:?}"), "Str(…)");
    }
}
