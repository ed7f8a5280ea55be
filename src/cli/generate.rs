//! Random values that nobody has to think of or to see: passwords of characters and passphrases of words.
//!
//! Every character or word is drawn from the system's random source, each as likely as any other.

use std::str::FromStr;

use bip39::Language;
use sops_rs::random::Random;
use zeroize::Zeroizing;

/// The longest value that is made, in characters, bytes or words: far more than any program takes.
const LONGEST: usize = 4096;

/// What is made: `24`, `hex:64`, `words:6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    of: Of,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// One of these ASCII characters each time.
    Characters(&'static str),
    /// Random bytes, in base64 with padding.
    Base64,
    /// Words with `-` between them.
    Words,
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
/// No quotes, backslashes or blanks: they come out differently in shells and URLs.
const SYMBOLS: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~";

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, count) = match text.split_once(':') {
            Some((kind, count)) => (kind, Some(count)),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => ("alnum", Some(text)),
            None => (text, None),
        };
        let (of, default) = match kind {
            "alnum" => (Of::Characters(ALNUM), 32),
            "digits" => (Of::Characters(DIGITS), 12),
            "hex" => (Of::Characters(HEX), 64),
            "symbols" => (Of::Characters(SYMBOLS), 32),
            "base64" => (Of::Base64, 32),
            "words" => (Of::Words, 8),
            _ => return Err("the kinds are alnum, digits, hex, symbols, base64, words".to_owned()),
        };
        let count = match count {
            None => default,
            Some(count) => count
                .parse()
                .ok()
                .filter(|count| (1..=LONGEST).contains(count))
                .ok_or_else(|| format!("the number must be between 1 and {LONGEST}"))?,
        };
        Ok(Self { of, count })
    }
}

impl Recipe {
    /// A fresh value. What `random` could not give is for the caller to find out.
    pub(crate) fn make(self, random: &mut dyn Random) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.room()));
        match self.of {
            Of::Characters(alphabet) => {
                let alphabet = alphabet.as_bytes();
                for _ in 0..self.count {
                    let byte = alphabet.get(draw(random, alphabet.len())).copied();
                    text.push(char::from(byte.unwrap_or(b'0')));
                }
            }
            Of::Base64 => {
                use base64::prelude::{BASE64_STANDARD, Engine as _};
                let mut bytes = Zeroizing::new(vec![0; self.count]);
                random.fill(&mut bytes);
                BASE64_STANDARD.encode_string(&bytes, &mut text);
            }
            Of::Words => {
                let words = Language::English.word_list();
                for index in 0..self.count {
                    if index > 0 {
                        text.push('-');
                    }
                    text.push_str(words.get(draw(random, words.len())).unwrap_or(&""));
                }
            }
        }
        text
    }

    /// Bytes that hold any value made, so that the text never moves and leaves a copy behind.
    fn room(self) -> usize {
        match self.of {
            Of::Characters(_) => self.count,
            Of::Base64 => self.count.div_ceil(3) * 4,
            // The longest word has eight letters.
            Of::Words => self.count * 9,
        }
    }

    /// How many bits whoever knows the recipe has to guess, rounded down.
    pub(crate) fn bits(self) -> u32 {
        let choices = match self.of {
            Of::Characters(alphabet) => alphabet.len(),
            Of::Base64 => 256,
            Of::Words => Language::English.word_list().len(),
        };
        let choices = u16::try_from(choices).unwrap_or(u16::MAX);
        let count = u16::try_from(self.count).unwrap_or(u16::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 4096 times 11, and no less than 0"
        )]
        let bits = (f64::from(choices).log2() * f64::from(count)).floor() as u32;
        bits
    }
}

impl std::fmt::Display for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.of {
            Of::Characters(_) => "characters",
            Of::Base64 => "bytes in base64",
            Of::Words => "words",
        };
        write!(f, "{} {what}", self.count)
    }
}

/// A number below `choices`, each as likely as any other: draws beyond the last whole multiple do not count.
fn draw(random: &mut dyn Random, choices: usize) -> usize {
    let choices = u16::try_from(choices).unwrap_or(u16::MAX).max(1);
    let limit = u16::MAX - u16::MAX % choices;
    loop {
        let mut bytes = Zeroizing::new([0; 2]);
        random.fill(&mut *bytes);
        let number = u16::from_le_bytes(*bytes);
        if number < limit {
            return usize::from(number % choices);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::Recipe;

    /// Bytes of a simple generator: as good as random for counting.
    fn bytes() -> impl FnMut(&mut [u8]) {
        let mut state = 0x2026_u64;
        move |bytes: &mut [u8]| {
            for byte in bytes {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[1];
            }
        }
    }

    fn make(recipe: &str) -> String {
        let recipe: Recipe = recipe.parse().unwrap();
        recipe.make(&mut bytes()).to_string()
    }

    #[test]
    fn recipes_say_what_and_how_much() {
        for (recipe, length, of) in [
            ("24", 24, super::ALNUM),
            ("alnum:5", 5, super::ALNUM),
            ("digits:6", 6, super::DIGITS),
            ("hex", 64, super::HEX),
            ("symbols:100", 100, super::SYMBOLS),
        ] {
            let text = make(recipe);
            assert_eq!(text.len(), length, "{recipe}");
            assert!(text.chars().all(|c| of.contains(c)), "{text}");
        }
        assert_eq!(make("base64:32").len(), 44);
        let words = make("words:6");
        assert_eq!(words.split('-').count(), 6, "{words}");
        for (wrong, why) in [
            ("", "kinds"),
            ("x:3", "kinds"),
            ("hex:", "between"),
            ("0", "between"),
            ("words:99999", "between"),
            ("-5", "kinds"),
            ("12a", "between"),
        ] {
            let error = wrong.parse::<Recipe>().unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_strength_is_that_of_the_recipe() {
        for (recipe, bits) in [
            ("32", 190),
            ("hex:64", 256),
            ("base64:32", 256),
            ("words:6", 66),
            ("digits:6", 19),
        ] {
            assert_eq!(recipe.parse::<Recipe>().unwrap().bits(), bits, "{recipe}");
        }
    }

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut random = bytes();
        let recipe: Recipe = "alnum:4096".parse().unwrap();
        let mut counts: HashMap<char, usize> = HashMap::new();
        for _ in 0..31 {
            for c in recipe.make(&mut random).chars() {
                *counts.entry(c).or_default() += 1;
            }
        }
        assert_eq!(counts.len(), 62);
        // 2048 of each are expected, with a deviation of 45.
        assert!(
            counts.values().all(|&count| (1800..2300).contains(&count)),
            "{counts:?}"
        );
    }
}
