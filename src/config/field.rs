//! Typed reading of a config's tree: every field knows its path, unknown keys are reported with the nearest known one.

use crate::tree::Tree;

use super::{ConfigError, Strictness, Warning};

/// After so many warnings no further key is suggested.
const MAX_SUGGESTIONS: usize = 100;

/// What a reading of a whole config has in common.
pub(super) struct Reader {
    pub(super) strictness: Strictness,
    pub(super) warnings: Vec<Warning>,
}

/// A place in the config. What is not there reads as null.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) path: String,
    tree: &'a Tree,
}

impl Reader {
    /// Checks that `field` is a mapping, or null, with no other keys than `known`.
    pub(super) fn mapping(&mut self, field: &Field<'_>, known: &[&str]) -> Result<(), ConfigError> {
        let entries = match field.tree {
            Tree::Map(entries) => entries,
            Tree::Null => return Ok(()),
            _ => return Err(field.wrong_type("a mapping")),
        };
        for (key, _) in entries {
            if known.contains(&key.as_str()) || field.holds_anchors(key) {
                continue;
            }
            let unknown = field.path_of(key);
            // Looking for the nearest key takes a while; nobody reads that many warnings.
            let worthwhile = self.warnings.len() < MAX_SUGGESTIONS;
            let suggestion = if worthwhile {
                nearest(key, known)
            } else {
                None
            };
            match self.strictness {
                Strictness::Strict => {
                    return Err(ConfigError::UnknownKey {
                        field: unknown,
                        suggestion,
                    });
                }
                Strictness::Lenient => {
                    self.warnings.push(Warning::UnknownKey {
                        field: unknown,
                        suggestion,
                    });
                }
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    pub(super) fn root(tree: &'a Tree) -> Self {
        Self {
            path: String::new(),
            tree,
        }
    }

    /// Whether `key` is a place for anchors that the rest of the config refers to: `keys` or `x-…` at the top.
    fn holds_anchors(&self, key: &str) -> bool {
        self.path.is_empty() && (key == "keys" || key.starts_with("x-"))
    }

    fn wrong_type(&self, expected: &'static str) -> ConfigError {
        ConfigError::Type {
            field: self.path.clone(),
            expected,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        *self.tree == Tree::Null
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The entry with exactly this name.
    pub(super) fn get(&self, name: &str) -> Self {
        let path = self.path_of(name);
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let found = entries.iter().find(|(key, _)| key == name);
        Self {
            path,
            tree: found.map_or(&Tree::Null, |(_, tree)| tree),
        }
    }

    /// The items of a list; null has none.
    pub(super) fn items(&self) -> Result<Vec<Self>, ConfigError> {
        match self.tree {
            Tree::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, tree)| Self {
                    path: format!("{}[{index}]", self.path),
                    tree,
                })
                .collect()),
            Tree::Null => Ok(Vec::new()),
            _ => Err(self.wrong_type("a list")),
        }
    }

    /// A string, or the list of strings that SOPS accepts in its place.
    pub(super) fn text_or_items(&self) -> Result<TextOrItems<'a>, ConfigError> {
        match self.tree {
            Tree::Str(text) => Ok(TextOrItems::Text(text)),
            Tree::List(_) | Tree::Null => Ok(TextOrItems::Items(self.items()?)),
            _ => Err(self.wrong_type("a string or a list of strings")),
        }
    }

    /// A string that is not written like another type.
    pub(super) fn string(&self) -> Result<&'a str, ConfigError> {
        match self.tree {
            Tree::Str(text) => Ok(text),
            _ => Err(self.wrong_type("a string")),
        }
    }

    /// A string; null is the empty one, numbers and truth values are taken as written.
    pub(super) fn text(&self) -> Result<String, ConfigError> {
        Ok(match self.tree {
            Tree::Null => String::new(),
            Tree::Str(text) => text.clone(),
            Tree::Int(number) => number.to_string(),
            Tree::Bool(value) => value.to_string(),
            _ => return Err(self.wrong_type("a string")),
        })
    }

    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        match self.tree {
            Tree::Null => Ok(false),
            Tree::Bool(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub(super) fn number(&self) -> Result<Option<i64>, ConfigError> {
        match self.tree {
            Tree::Null => Ok(None),
            Tree::Int(number) => Ok(Some(*number)),
            _ => Err(self.wrong_type("a whole number")),
        }
    }

    /// A number that is not negative; null is 0.
    pub(super) fn count(&self) -> Result<usize, ConfigError> {
        let number = self.number()?.unwrap_or(0);
        usize::try_from(number).map_err(|_| self.wrong_type("a number from 0"))
    }

    /// The entries of a mapping with their names, in order; null has none.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, ConfigError> {
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            Tree::Null => &[],
            _ => return Err(self.wrong_type("a mapping")),
        };
        let field = |(name, tree): &'a (String, Tree)| {
            let path = self.path_of(name);
            (name.as_str(), Self { path, tree })
        };
        Ok(entries.iter().map(field).collect())
    }

    /// Names with texts, sorted; null values are passed over.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            Tree::Null => &[],
            _ => return Err(self.wrong_type("a mapping")),
        };
        let mut pairs = Vec::new();
        for (name, tree) in entries.iter().filter(|(_, tree)| *tree != Tree::Null) {
            let value = Self {
                path: self.path_of(name),
                tree,
            };
            pairs.push((name.clone(), value.text()?));
        }
        pairs.sort();
        Ok(pairs)
    }
}

/// What [`Field::text_or_items`] found.
pub(super) enum TextOrItems<'a> {
    /// One string.
    Text(&'a str),
    /// The items of a list.
    Items(Vec<Field<'a>>),
}

/// The known key that `key` was probably meant to be.
fn nearest(key: &str, known: &[&str]) -> Option<String> {
    // A long key is nobody's slip of the finger, and would take time to compare.
    if key.len() > 64 {
        return None;
    }
    let distances = known.iter().map(|known| (distance(key, known), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + key.len() / 5).then(|| (*known).to_owned())
}

/// The number of characters to insert, remove or replace to turn one text into the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        let mut next = vec![before];
        for (right, &above) in other.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(left != right);
            before = replaced.min(above + 1).min(before + 1);
            next.push(before);
            diagonal = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn the_nearest_key_is_suggested_if_it_is_near() {
        let known = ["path_regex", "age", "pgp", "encrypted_regex"];
        assert_eq!(
            nearest("path_regexp", &known).as_deref(),
            Some("path_regex")
        );
        assert_eq!(
            nearest("encryted_regex", &known).as_deref(),
            Some("encrypted_regex")
        );
        assert_eq!(nearest("ages", &known).as_deref(), Some("age"));
        assert_eq!(nearest("colour", &known), None);
    }
}
