//! The value of a scalar's text: go-yaml's resolution, a mix of YAML 1.1 and 1.2 (spec 7.2.2).
//!
//! Knows nothing of how the scalar is written; the caller says whether it is plain.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::node::Tag;
use crate::value::Time;

/// What a text stands for.
#[derive(Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that only fits 64 bits without a sign.
    Unsigned,
    Float(f64),
    /// An instant; `None` for an offset that RFC 3339 cannot spell.
    Time(Option<Time>),
    /// The text itself.
    Str,
    Bytes(Zeroizing<Vec<u8>>),
}

/// Resolves `text` under `tag`; `plain` is false for quoted and block scalars. `None` if the tag does not fit the text.
pub(super) fn resolve(text: &str, plain: bool, tag: Tag) -> Option<Resolved> {
    match tag {
        Tag::None if plain => Some(untagged(text, true)),
        Tag::None | Tag::Str | Tag::Other | Tag::Merge => Some(Resolved::Str),
        Tag::Binary => from_base64(text).map(Resolved::Bytes),
        Tag::Int => match untagged(text, false) {
            found @ (Resolved::Int(_) | Resolved::Unsigned) => Some(found),
            _ => None,
        },
        Tag::Float => match untagged(text, false) {
            #[expect(clippy::cast_precision_loss, reason = "what go-yaml does")]
            Resolved::Int(number) => Some(Resolved::Float(number as f64)),
            found @ Resolved::Float(_) => Some(found),
            _ => None,
        },
        Tag::Bool => Some(untagged(text, false)).filter(|found| matches!(found, Resolved::Bool(_))),
        Tag::Null => Some(untagged(text, false)).filter(|found| *found == Resolved::Null),
        Tag::Timestamp => {
            Some(untagged(text, true)).filter(|found| matches!(found, Resolved::Time(_)))
        }
    }
}

/// The first byte decides what is tried.
fn untagged(text: &str, times: bool) -> Resolved {
    let Some(&first) = text.as_bytes().first() else {
        return Resolved::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' => keyword(text).unwrap_or_else(|| number(text, times)),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            keyword(text).unwrap_or(Resolved::Str)
        }
        b'.' => keyword(text)
            .or_else(|| dotted_float(text).map(Resolved::Float))
            .unwrap_or(Resolved::Str),
        _ => Resolved::Str,
    }
}

fn keyword(text: &str) -> Option<Resolved> {
    Some(match text {
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// A timestamp, else an integer, else a float.
fn number(text: &str, times: bool) -> Resolved {
    if let Some(time) = times.then(|| timestamp(text)).flatten() {
        return Resolved::Time(time);
    }
    // Nothing longer than this is a number, and it need not be copied.
    if text.len() > 4096 || !text.is_ascii() {
        return Resolved::Str;
    }
    let digits = text.replace('_', "");
    let tail = |prefix: &str, radix| {
        digits
            .strip_prefix(prefix)
            .and_then(|rest| integer_in(rest, radix))
    };
    based(&digits)
        .or_else(|| {
            yaml_float(&digits)
                .then(|| finite(&digits))
                .flatten()
                .map(Resolved::Float)
        })
        // go-yaml reads a sign behind these prefixes too.
        .or_else(|| tail("0b", 2))
        .or_else(|| tail("0o", 8))
        .unwrap_or(Resolved::Str)
}

/// Go's `ParseInt` and `ParseUint` with base 0.
fn based(text: &str) -> Option<Resolved> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("+", text.get(1..)?),
        _ => ("", text),
    };
    let (radix, rest) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, rest.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, rest.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, rest.get(2..)?),
        [b'0', _, ..] => (8, rest.get(1..)?),
        _ => (10, rest),
    };
    if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    integer_in(&format!("{sign}{rest}"), radix)
}

fn integer_in(text: &str, radix: u32) -> Option<Resolved> {
    if let Ok(number) = i64::from_str_radix(text, radix) {
        return Some(Resolved::Int(number));
    }
    let unsigned = !text.starts_with(['+', '-']) && u64::from_str_radix(text, radix).is_ok();
    unsigned.then_some(Resolved::Unsigned)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn yaml_float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_good = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    mantissa_good
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Go's `ParseFloat` of a text that begins with a point: `_` may stand between digits.
fn dotted_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let separates = |at: usize| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    if bytes
        .iter()
        .enumerate()
        .any(|(at, &byte)| byte == b'_' && !separates(at))
    {
        return None;
    }
    let digits = text.replace('_', "");
    yaml_float(&digits).then(|| finite(&digits)).flatten()
}

/// One of the four spellings of a time that go-yaml knows. Inner `None`: a time whose offset nothing can spell.
fn timestamp(text: &str) -> Option<Option<Time>> {
    let year = text
        .get(..4)
        .filter(|year| year.bytes().all(|byte| byte.is_ascii_digit()))?;
    let mut rest = text.get(4..)?.strip_prefix('-')?;
    let month = one_or_two(&mut rest)?;
    rest = rest.strip_prefix('-')?;
    let day = one_or_two(&mut rest)?;
    let date = (year.parse().ok()?, month, day);
    if rest.is_empty() {
        return Time::from_fields(date, (0, 0, 0), 0, 0).map(Some);
    }
    let zoned = rest.starts_with(['T', 't']);
    rest = if zoned {
        rest.get(1..)?
    } else {
        rest.strip_prefix(' ')?.trim_start_matches(' ')
    };
    let hour = one_or_two(&mut rest)?;
    rest = rest.strip_prefix(':')?;
    let minute = one_or_two(&mut rest)?;
    rest = rest.strip_prefix(':')?;
    let second = one_or_two(&mut rest)?;
    let nanos = fraction(&mut rest)?;
    let clock = (hour, minute, second);
    Time::from_fields(date, clock, nanos, 0)?;
    match (zoned, rest) {
        (true, "Z") | (false, "") => Time::from_fields(date, clock, nanos, 0).map(Some),
        (true, _) => Some(Time::from_fields(date, clock, nanos, offset(rest)?)),
        (false, _) => None,
    }
}

fn one_or_two(rest: &mut &str) -> Option<u32> {
    let length = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let number = rest.get(..length)?.parse().ok()?;
    *rest = rest.get(length..)?;
    Some(number)
}

/// Nanoseconds behind a point or comma; further digits are dropped.
fn fraction(rest: &mut &str) -> Option<u32> {
    let Some(after) = rest.strip_prefix(['.', ',']) else {
        return Some(0);
    };
    let length = after.bytes().take_while(u8::is_ascii_digit).count();
    let digits = after.get(..length).filter(|digits| !digits.is_empty())?;
    *rest = after.get(length..)?;
    digits
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect::<String>()
        .parse()
        .ok()
}

/// `±hh:mm` in minutes, in the range Go accepts.
fn offset(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let &[sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = bytes else {
        return None;
    };
    let pair = |high: u8, low: u8| {
        (high.is_ascii_digit() && low.is_ascii_digit())
            .then(|| i32::from(high - b'0') * 10 + i32::from(low - b'0'))
    };
    let (hours, minutes) = (pair(h1, h2)?, pair(m1, m2)?);
    if hours > 24 || minutes > 60 {
        return None;
    }
    let offset = hours * 60 + minutes;
    Some(if sign == b'-' { -offset } else { offset })
}

/// Go's standard base64: padded, line breaks ignored, any trailing bits.
fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let joined = Zeroizing::new(text.replace(['\r', '\n'], ""));
    GeneralPurpose::new(&STANDARD, config)
        .decode(joined.as_bytes())
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::{Resolved, resolve};
    use crate::node::Tag;
    use crate::value::float_text;

    /// The type and the bytes of the MAC.
    fn show(text: &str, plain: bool, tag: Tag) -> String {
        match resolve(text, plain, tag) {
            None => "error".to_owned(),
            Some(Resolved::Null) => "null".to_owned(),
            Some(Resolved::Bool(value)) => format!("bool {value}"),
            Some(Resolved::Int(value)) => format!("int {value}"),
            Some(Resolved::Unsigned) => "uint".to_owned(),
            Some(Resolved::Float(value)) => format!("float {}", float_text(value)),
            Some(Resolved::Time(Some(time))) => format!("time {}", time.as_str()),
            Some(Resolved::Time(None)) => "time ?".to_owned(),
            Some(Resolved::Str) => "str".to_owned(),
            Some(Resolved::Bytes(bytes)) => format!("bytes {:?}", bytes.as_slice()),
        }
    }

    #[test]
    fn plain_scalars_resolve_as_in_go_yaml() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("Null", "null"),
            ("nUll", "str"),
            ("TRUE", "bool true"),
            ("tRue", "str"),
            ("yes", "str"),
            ("y", "str"),
            ("off", "str"),
            (".NaN", "float NaN"),
            ("nan", "str"),
            ("+.inf", "float +Inf"),
            ("-.INF", "float -Inf"),
            ("Infinity", "str"),
            ("0x1F", "int 31"),
            ("-0x10", "int -16"),
            ("0x_1F", "int 31"),
            ("0o17", "int 15"),
            ("0O17", "int 15"),
            ("017", "int 15"),
            ("-012", "int -10"),
            ("08", "float 8"),
            ("099", "float 99"),
            ("0b11", "int 3"),
            ("0B11", "int 3"),
            ("0b-1", "int -1"),
            ("0o+7", "int 7"),
            ("1_000", "int 1000"),
            ("1__0", "int 10"),
            ("1_", "int 1"),
            ("_1", "str"),
            ("+12", "int 12"),
            ("+-12", "str"),
            ("9223372036854775807", "int 9223372036854775807"),
            ("9223372036854775808", "uint"),
            ("18446744073709551615", "uint"),
            ("18446744073709551616", "float 18446744073709552000"),
            ("-9223372036854775809", "float -9223372036854776000"),
            ("1,000", "str"),
            ("1e3", "float 1000"),
            ("1.0", "float 1"),
            ("1.", "float 1"),
            ("+1.", "float 1"),
            ("1.5_0", "float 1.5"),
            (".5", "float 0.5"),
            ("+.5", "float 0.5"),
            (".5_0", "float 0.5"),
            ("._5", "str"),
            ("12e", "str"),
            ("0x", "str"),
            ("1.2.3", "str"),
            ("1e400", "str"),
            ("0.1e-400", "float 0"),
            ("-0", "int 0"),
            ("-0.0", "float -0"),
            ("1:20", "str"),
            ("0x1.8p1", "str"),
            ("<<", "str"),
            ("=", "str"),
            ("-", "str"),
            (".", "str"),
        ] {
            assert_eq!(show(text, true, Tag::None), expected, "{text}");
        }
    }

    #[test]
    fn times_have_four_spellings() {
        for (text, expected) in [
            ("2001-12-14", "time 2001-12-14T00:00:00Z"),
            ("2001-2-3", "time 2001-02-03T00:00:00Z"),
            ("2001-12-14 1:2:3", "time 2001-12-14T01:02:03Z"),
            ("2001-12-14 1:2:3.5", "time 2001-12-14T01:02:03.5Z"),
            ("2001-12-14T21:59:43", "str"),
            ("2001-12-14T21:59:43Z", "time 2001-12-14T21:59:43Z"),
            (
                "2001-12-14t21:59:43.10-05:00",
                "time 2001-12-14T21:59:43.1-05:00",
            ),
            (
                "2001-12-14T21:59:43,123456789123Z",
                "time 2001-12-14T21:59:43.123456789Z",
            ),
            ("2001-12-14T21:59:43-00:00", "time 2001-12-14T21:59:43Z"),
            ("2001-12-14T21:59:43z", "str"),
            ("2001-12-14T21:59:43+5:00", "str"),
            ("2001-12-14T21:59:43+05", "str"),
            ("2001-12-14 21:59:43Z", "str"),
            ("2001-02-30", "str"),
            ("2001-12-14T24:00:00Z", "str"),
            ("2001-12-14T21:59:60Z", "str"),
            ("20011-12-14", "str"),
        ] {
            assert_eq!(show(text, true, Tag::None), expected, "{text}");
        }
    }

    #[test]
    fn tags_decide_or_do_not_fit() {
        for (tag, text, expected) in [
            (Tag::None, "12", "str"),
            (Tag::Str, "12", "str"),
            (Tag::Int, "7", "int 7"),
            (Tag::Int, "foo", "error"),
            (Tag::Int, "", "error"),
            (Tag::Float, "3", "float 3"),
            (Tag::Float, "9223372036854775808", "error"),
            (Tag::Bool, "true", "bool true"),
            (Tag::Bool, "yes", "error"),
            (Tag::Null, "", "null"),
            (Tag::Null, "x", "error"),
            (Tag::Timestamp, "2001-12-14", "time 2001-12-14T00:00:00Z"),
            (Tag::Timestamp, "soon", "error"),
            (Tag::Int, "2001-12-14", "error"),
            (Tag::Binary, "aGk=", "bytes [104, 105]"),
            (Tag::Binary, "aG\nl=", "bytes [104, 105]"),
            (Tag::Binary, "@", "error"),
            (Tag::Other, "5", "str"),
        ] {
            assert_eq!(show(text, false, tag), expected, "{tag:?} {text}");
        }
    }
}
