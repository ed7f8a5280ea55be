//! Scalar resolution of spec 7.2.2, from its table.

use super::time;
use super::token::go_float;
use super::tree::Value;

const CORE: &str = "tag:yaml.org,2002:";

/// The value of a scalar: its text after unescaping, its tag, and whether it is written plain.
pub(crate) fn resolve(text: &str, tag: Option<&str>, plain: bool) -> Result<Value, String> {
    let tag = tag.filter(|tag| !matches!(*tag, "" | "!"));
    let Some(tag) = tag else {
        return if plain {
            implicit(text, true)
        } else {
            Ok(Value::text(text))
        };
    };
    match tag.strip_prefix(CORE) {
        Some("binary") => binary(text),
        Some(word @ ("int" | "float" | "bool" | "null" | "timestamp")) => {
            let value = implicit(text, plain || word == "timestamp")?;
            match (word, value) {
                ("float", Value::Int(_)) => text
                    .replace('_', "")
                    .parse()
                    .map(Value::Float)
                    .map_err(|e| e.to_string()),
                ("int", value @ Value::Int(_))
                | ("float", value @ Value::Float(_))
                | ("bool", value @ Value::Bool(_))
                | ("null", value @ Value::Null)
                | ("timestamp", value @ Value::Time(_)) => Ok(value),
                (word, value) => Err(format!("cannot decode !!{} as a !!{word}", value.word())),
            }
        }
        _ => Ok(Value::text(text)),
    }
}

fn binary(text: &str) -> Result<Value, String> {
    use base64::Engine as _;
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(packed);
    decoded
        .map(Value::Str)
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())
}

fn implicit(text: &str, timestamps: bool) -> Result<Value, String> {
    let Some(&first) = text.as_bytes().first() else {
        return Ok(Value::Null);
    };
    if let Some(value) = keyword(text) {
        return Ok(value);
    }
    match first {
        b'+' | b'-' | b'0'..=b'9' => {
            if timestamps
                && text.bytes().take(4).filter(u8::is_ascii_digit).count() == 4
                && text.as_bytes().get(4) == Some(&b'-')
                && let Some(fields) = time::yaml(text)
            {
                return Ok(Value::Time(fields.text(true)));
            }
            number(text)
        }
        b'.' => Ok(go_float(text).map_or_else(|| Value::text(text), Value::Float)),
        _ => Ok(Value::text(text)),
    }
}

fn keyword(text: &str) -> Option<Value> {
    Some(match text {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        "~" | "null" | "Null" | "NULL" => Value::Null,
        ".nan" | ".NaN" | ".NAN" => Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Value::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Result<Value, String> {
    let bare = text.replace('_', "");
    let unsigned = bare.strip_prefix(['+', '-']).unwrap_or(&bare);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.trim_start_matches('0'), 8)
    } else {
        (lower.as_str(), 10)
    };
    // "00" leaves nothing behind its zeros.
    let digits = if digits.is_empty() && radix == 8 && !lower.starts_with("0o") {
        "0"
    } else {
        digits
    };
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if valid {
        let sign = if bare.starts_with('-') { "-" } else { "" };
        if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
            return Ok(Value::Int(number));
        }
        if !bare.starts_with(['+', '-']) && u64::from_str_radix(digits, radix).is_ok() {
            return Err("Cannot walk value, unknown type: uint64".to_owned());
        }
    }
    if is_yaml_float(&bare)
        && let Ok(number) = bare.parse::<f64>()
        && number.is_finite()
    {
        return Ok(Value::Float(number));
    }
    Ok(Value::text(text))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_yaml_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    exponent_ok && mantissa_ok
}

#[test]
fn scalars_resolve_as_the_table_of_spec_7_2_2_says() {
    for (text, word, bytes) in [
        ("0x1F", "int", "31"),
        ("-0x10", "int", "-16"),
        ("0x_1F", "int", "31"),
        ("0o17", "int", "15"),
        ("0O17", "int", "15"),
        ("017", "int", "15"),
        ("012", "int", "10"),
        ("-012", "int", "-10"),
        ("00", "int", "0"),
        ("08", "float", "8"),
        ("09", "float", "9"),
        ("099", "float", "99"),
        ("0b11", "int", "3"),
        ("0B11", "int", "3"),
        ("1_000", "int", "1000"),
        ("1__0", "int", "10"),
        ("1_", "int", "1"),
        ("_1", "str", "_1"),
        ("+12", "int", "12"),
        ("9223372036854775807", "int", "9223372036854775807"),
        ("18446744073709551616", "float", "18446744073709552000"),
        ("-9223372036854775809", "float", "-9223372036854776000"),
        ("1,000", "str", "1,000"),
        ("1e3", "float", "1000"),
        ("1.0", "float", "1"),
        ("1.", "float", "1"),
        ("+1.", "float", "1"),
        ("1.5_0", "float", "1.5"),
        (".5", "float", "0.5"),
        ("+.5", "float", "0.5"),
        (".5_0", "float", "0.5"),
        ("._5", "str", "._5"),
        ("12e", "str", "12e"),
        ("0x", "str", "0x"),
        ("1.2.3", "str", "1.2.3"),
        ("1e400", "str", "1e400"),
        ("0.1e-400", "float", "0"),
        ("-0", "int", "0"),
        ("-0.0", "float", "-0"),
        ("1:20", "str", "1:20"),
        ("12:30:45", "str", "12:30:45"),
        ("2001-12-14", "time", "2001-12-14T00:00:00Z"),
        ("2001-12-14 1:2:3", "time", "2001-12-14T01:02:03Z"),
        ("2001-12-14T21:59:43", "str", "2001-12-14T21:59:43"),
        ("2001-02-30", "str", "2001-02-30"),
        (
            "2001-12-14t21:59:43.10-05:00",
            "time",
            "2001-12-14T21:59:43.1-05:00",
        ),
        ("0x1.8p1", "str", "0x1.8p1"),
        ("<<", "str", "<<"),
        ("=", "str", "="),
        ("yes", "str", "yes"),
        ("tRue", "str", "tRue"),
        ("TRUE", "bool", "True"),
        (".NaN", "float", "NaN"),
        ("nan", "str", "nan"),
        ("-.INF", "float", "-Inf"),
        ("~", "null", ""),
        ("", "null", ""),
    ] {
        let value = resolve(text, None, true).unwrap();
        assert_eq!(
            (value.word(), value.bytes()),
            (word, bytes.as_bytes().to_vec()),
            "{text}"
        );
    }
    assert!(resolve("9223372036854775808", None, true).is_err());
    assert!(resolve("foo", Some("tag:yaml.org,2002:int"), true).is_err());
    assert_eq!(
        resolve("7", Some("tag:yaml.org,2002:int"), false),
        Ok(Value::Int(7))
    );
    assert_eq!(
        resolve("3", Some("tag:yaml.org,2002:float"), true),
        Ok(Value::Float(3.0))
    );
    assert_eq!(resolve("5", Some("!Ref"), true), Ok(Value::text("5")));
    assert_eq!(resolve("12", Some("!"), true), Ok(Value::Int(12)));
}
