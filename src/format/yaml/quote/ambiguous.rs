//! What a text without quotes is taken for elsewhere: by readers of YAML 1.1 and 1.2, by those that mix them, and by Ruby.
//!
//! Asks more than any single reader does. A text that is quoted without need does no harm; one that is not and should be
//! is another value somewhere. Knows nothing of characters that mean something to the syntax.

/// Words that are no string for some reader, in lower case. Every reader knows some of their spellings.
const WORDS: [&str; 18] = [
    "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off", ".inf", "+.inf", "-.inf",
    ".nan", "+.nan", "-.nan", "=", "<<",
];

/// Whether some reader takes the bare text for anything but this string.
pub(super) fn is_ambiguous(text: &str) -> bool {
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    // Ruby's readers make a symbol of it.
    let is_symbol = text.starts_with(':');
    text.is_empty() || is_word || is_symbol || is_number(text) || is_time(text)
}

/// Whether it looks like a number: decimal, in another base, in base 60, with separators, with an exponent.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let based = match digits.as_bytes() {
        [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', rest @ ..] => Some(rest),
        _ => None,
    };
    if let Some(rest) = based {
        let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || b"_,+-".contains(byte);
        return rest.iter().all(is_digit);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, ""));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let points = mantissa.bytes().filter(|&byte| byte == b'.').count();
    points <= 1
        && mantissa
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"._,:".contains(&byte))
        && exponent
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// Whether it looks like a date, or begins like a date with a time.
fn is_time(text: &str) -> bool {
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let date = [(4, 4), (1, 2), (1, 2)].iter().enumerate();
    for (number, &(least, most)) in date {
        if number > 0 {
            let Some(behind) = rest.strip_prefix('-') else {
                return false;
            };
            rest = behind;
        }
        let length = rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if length < least {
            return false;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    let clock = rest.trim_start_matches([' ', '\t', 'T', 't']);
    rest.is_empty() || clock.len() < rest.len() && clock.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_ambiguous;

    #[test]
    fn what_some_reader_takes_for_no_string_is_ambiguous() {
        for text in [
            "",
            "~",
            "null",
            "Null",
            "nUll",
            "y",
            "N",
            "yes",
            "No",
            "on",
            "OFF",
            "true",
            "False",
            ".inf",
            "-.Inf",
            ".NaN",
            "=",
            "<<",
            "0",
            "-1",
            "+12",
            "017",
            "08",
            "0o17",
            "0x1F",
            "0b11",
            "-0b-1",
            "1_000",
            "1,000",
            "1.",
            ".5",
            ".",
            "-.",
            "1.5e3",
            "1e3",
            "1e400",
            "1E-2",
            "1:20",
            "190:20:30.15",
            "8080:80",
            "12:30:45",
            "1__0",
            "123456789012345678901234567890",
            ":symbol",
            "2001-01-01",
            "2001-1-1",
            "2001-12-14T21:59:43Z",
            "2001-12-14 21:59:43",
            "2001-12-14t21:59",
            "-2001-01-01",
        ] {
            assert!(is_ambiguous(text), "{text}");
        }
    }

    #[test]
    fn what_every_reader_takes_for_a_string_is_not() {
        for text in [
            "a",
            "yesterday",
            "nan",
            "inf",
            "Infinity",
            "none",
            "1.2.3",
            "10.0.0.1",
            "10.0.0.0/8",
            "5432/tcp",
            "2h",
            "100m",
            "1a",
            "0xg",
            "0z",
            "-a",
            "--flag",
            "a:b",
            "e5",
            "_1",
            "2001-01",
            "2001-01-01x",
            "01-02-2003",
            "2001-01-01 backup",
            "555-1234",
            "fe80::1",
            "==",
            "<",
            "...",
            "1 2",
            "$1",
            "nullable",
            "é",
        ] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
