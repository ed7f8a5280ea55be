//! The MAC of a tree: SHA-512 over all its values in walk order (spec 4).
//!
//! Knows neither files nor encryption. It protects the values and their order; it does not protect key names, types,
//! comments, or where one value ends and the next begins (spec 4.3).

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

use crate::value::Value;

/// Fed first when only sealed values count: the SHA-256 of `sops` (spec 4.2).
const ONLY_ENCRYPTED_SEED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A MAC in the making.
#[derive(Clone, Debug)]
pub struct Mac {
    hash: Sha512,
    only_encrypted: bool,
}

impl Mac {
    /// A MAC over all values, or over the sealed ones alone (`mac_only_encrypted`).
    #[must_use]
    pub fn new(only_encrypted: bool) -> Self {
        let mut hash = Sha512::new();
        if only_encrypted {
            hash.update(ONLY_ENCRYPTED_SEED);
        }
        Self {
            hash,
            only_encrypted,
        }
    }

    /// Takes in the next value in walk order; `sealed` says whether the rules seal it. Comments are not values.
    pub fn feed(&mut self, value: &Value<'_>, sealed: bool) {
        if !sealed && self.only_encrypted {
            return;
        }
        match value {
            // A version control system may change the line ends of a spelling in clear (spec 15.4).
            Value::Lexeme(_, text) => {
                for (number, line) in text.expose().split("\r\n").enumerate() {
                    if number > 0 {
                        self.hash.update("\n");
                    }
                    self.hash.update(line);
                }
            }
            value => self.hash.update(value.canonical()),
        }
    }

    /// The digest as 128 upper-case hexadecimal digits.
    #[must_use]
    pub fn finish(self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(128);
        for byte in self.hash.finalize() {
            // Writing to a string cannot fail.
            write!(text, "{byte:02X}").unwrap_or_default();
        }
        text
    }
}

/// Whether two MACs are equal, case included, in constant time.
#[must_use]
pub fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::{Mac, equal};
    use crate::value::{Type, Value};

    /// Spec 13: `a: hello`, `b_unencrypted: 1e3`, `c: [true, 2.50, null, ""]`.
    fn tree() -> [(Value<'static>, bool); 6] {
        [
            (Value::Str("hello".into()), true),
            (Value::Float(1000.0), false),
            (Value::Bool(true), true),
            (Value::Float(2.5), true),
            (Value::Null, true),
            (Value::Str("".into()), true),
        ]
    }

    fn mac(only_encrypted: bool) -> String {
        let mut mac = Mac::new(only_encrypted);
        for (value, sealed) in &tree() {
            mac.feed(value, *sealed);
        }
        mac.finish()
    }

    #[test]
    fn the_vectors_of_the_spec_hold() {
        assert_eq!(
            mac(false),
            "58BD59A2EDCC7462302A703122D8DD3BA3DC92D863D84C5705CFA61AE68AA59E3157566FAA801F6F9A9AF6F87498D734F43AECB21D40774A92A5FC4DF3C3F8BC"
        );
        assert_eq!(
            mac(true),
            "9658BF299A8B5912611994CF2056940E39DE7D06FD70F6913D4A9598D2C7E751044A475045BB0A1984565C263CAA9F7C71A24DB270792BEE224F151EDFF9746C"
        );
        assert_eq!(
            Mac::new(false).finish(),
            "CF83E1357EEFB8BDF1542850D66D8007D620E4050B5715DC83F4A921D36CE9CE47D0D13C5D85F2B0FF8318D2877EEC2F63B931BD47417A81A538327AF927DA3E"
        );
    }

    #[test]
    fn case_counts() {
        assert!(equal("AB", "AB"));
        assert!(!equal("AB", "ab"));
        assert!(!equal("AB", "ABC"));
    }

    #[test]
    fn line_ends_of_a_toml_spelling_do_not_count() {
        let digest = |value: Value<'_>| {
            let mut mac = Mac::new(false);
            mac.feed(&value, true);
            mac.finish()
        };
        let spelled = |text: &'static str| Value::Lexeme(Type::Str, text.into());
        let unix = digest(spelled("\"\"\"\na\n\"\"\""));
        assert_eq!(digest(spelled("\"\"\"\r\na\r\n\"\"\"")), unix);
        assert_eq!(digest(Value::Str("\"\"\"\na\n\"\"\"".into())), unix);
        assert_ne!(
            digest(Value::Str("a\r\n".into())),
            digest(Value::Str("a\n".into()))
        );
    }
}
