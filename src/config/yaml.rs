//! The text of a config as a [`Tree`]: the first YAML document, duplicate keys refused, aliases bounded.
//!
//! Knows YAML; knows no key by name.

use std::cell::Cell;
use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::span::Position;
use crate::tree::Tree;

use super::ConfigError;

/// The largest config that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most `[` and `{` it may have, in strings or not: the YAML reader takes quadratic time over nested ones.
const MAX_BRACKETS: usize = 10_000;
/// The most values it may have, copies made by aliases included.
const MAX_VALUES: usize = 100_000;

/// Reads the first document; an empty text is null.
///
/// # Errors
/// [`ConfigError::TooLarge`] or [`ConfigError::Syntax`].
pub(super) fn parse(text: &str) -> Result<Tree, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge);
    }
    if text
        .bytes()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count()
        > MAX_BRACKETS
    {
        let message = "the config has more than 10,000 brackets".to_owned();
        return Err(ConfigError::Syntax {
            position: None,
            message,
        });
    }
    let Some(document) = yaml_serde::Deserializer::from_str(text).next() else {
        return Ok(Tree::Null);
    };
    let budget = Cell::new(MAX_VALUES);
    let document = Build { budget: &budget }.deserialize(document);
    match document {
        Ok(tree) => Ok(tree),
        // A text of comments alone has no document.
        Err(_) if is_empty(text) => Ok(Tree::Null),
        Err(error) => Err(ConfigError::Syntax {
            position: error.location().map(|place| Position {
                line: place.line(),
                column: place.column(),
            }),
            message: error.to_string(),
        }),
    }
}

fn is_empty(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim_start_matches('\u{feff}').trim();
        line.is_empty() || line.starts_with('#')
    })
}

/// Builds a tree and counts what it builds.
#[derive(Clone, Copy)]
struct Build<'b> {
    budget: &'b Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        let left = self.budget.get().checked_sub(1);
        self.budget
            .set(left.ok_or_else(|| D::Error::custom("aliases multiply the config"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Tree, E> {
        i64::try_from(value)
            .map(Tree::Int)
            .map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Str(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map: Vec<(String, Tree)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key_seed(Key { seen: &mut seen })? {
            map.push((key, entries.next_value_seed(self)?));
        }
        merge(map).map_err(A::Error::custom)
    }
}

/// A key: a string, or what reads like one. A second one of the same name is refused where it stands.
struct Key<'s> {
    seen: &'s mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string as key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if self.seen.insert(key.to_owned()) {
            return Ok(key.to_owned());
        }
        Err(E::custom(format!("the key `{key}` stands here twice")))
    }
}

/// Takes the entries of the merge key `<<` in, where the mapping has none of its own.
fn merge(mut map: Vec<(String, Tree)>) -> Result<Tree, &'static str> {
    let Some(at) = map.iter().position(|(key, _)| key == "<<") else {
        return Ok(Tree::Map(map));
    };
    let sources = match map.remove(at).1 {
        Tree::List(sources) => sources,
        single => vec![single],
    };
    let mut seen: HashSet<String> = map.iter().map(|(key, _)| key.clone()).collect();
    for source in sources {
        let Tree::Map(entries) = source else {
            return Err("`<<` can only take mappings in");
        };
        for (key, value) in entries {
            if seen.insert(key.clone()) {
                map.push((key, value));
            }
        }
    }
    Ok(Tree::Map(map))
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, parse};
    use crate::span::Position;
    use crate::tree::Tree;

    fn map(entries: &[(&str, i64)]) -> Tree {
        Tree::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Tree::Int(*value)))
                .collect(),
        )
    }

    fn place(text: &str) -> Option<Position> {
        match parse(text) {
            Err(ConfigError::Syntax { position, .. }) => position,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(parse("a: 1\n---\nb: [\n").unwrap(), map(&[("a", 1)]));
    }

    #[test]
    fn nothing_is_null() {
        for text in ["", "\n", "# only a comment\n", "---\n", "\u{feff}# x"] {
            assert_eq!(parse(text).unwrap(), Tree::Null, "{text:?}");
        }
    }

    #[test]
    fn errors_have_a_place() {
        assert_eq!(place("a: 1\nb: [1\nc: 2\n").unwrap().line, 3);
        assert_eq!(
            place("a: 1\nb: 2\na: 3\n"),
            Some(Position { line: 3, column: 1 })
        );
        assert!(place("a: !tag 1\n").is_some());
        assert!(place("a: *nobody\n").is_some());
    }

    #[test]
    fn merge_keys_fill_in() {
        let text = "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n";
        let tree = parse(text).unwrap();
        assert_eq!(tree.get("use"), Some(&map(&[("y", 3), ("x", 1)])));
        assert!(parse("{<<: 1}").is_err());
    }

    #[test]
    fn bombs_are_refused() {
        assert_eq!(
            parse(&" ".repeat((1 << 20) + 1)),
            Err(ConfigError::TooLarge)
        );
        let mut text = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for level in 1..20 {
            let copies = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{copies}]\n"));
        }
        assert!(place(&text).is_some() || parse(&text).is_err());
        let wide = format!(
            "a: &a [{}]\nb: [{}]\n",
            "1,".repeat(50_000),
            "*a,".repeat(50_000)
        );
        assert!(parse(&wide).is_err());
        for (nesting, times) in [
            ("[", 1 << 20),
            ("{a: ", 1 << 18),
            ("[", 1000),
            ("- ", 1 << 19),
        ] {
            assert!(parse(&nesting.repeat(times)).is_err(), "{nesting}");
        }
    }
}
