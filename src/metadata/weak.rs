//! Fields of a tree, converted as weakly as SOPS does it (spec 5.2). Knows types; knows no field by name.

use crate::tree::Tree;
use crate::value::{Time, float_text};

use super::{MetadataError, MetadataProblem};

/// A place in the metadata that knows its path. What is not there reads as null.
pub(super) struct Field<'a> {
    path: String,
    tree: &'a Tree,
}

impl<'a> Field<'a> {
    pub(super) fn root(tree: &'a Tree) -> Self {
        Self {
            path: String::new(),
            tree,
        }
    }

    pub(super) fn error(&self, problem: MetadataProblem) -> MetadataError {
        MetadataError {
            field: self.path.clone(),
            problem,
        }
    }

    fn wrong_type(&self, expected: &'static str) -> MetadataError {
        self.error(match self.tree {
            Tree::Time(_) => MetadataProblem::UnquotedTimestamp,
            other => MetadataProblem::Type {
                expected,
                found: type_name(other),
            },
        })
    }

    /// Refuses what is not a mapping. Null passes for an empty one, but not at the root.
    pub(super) fn mapping(&self) -> Result<(), MetadataError> {
        match self.tree {
            Tree::Map(_) => Ok(()),
            Tree::Null if !self.path.is_empty() => Ok(()),
            _ => Err(self.wrong_type("a mapping")),
        }
    }

    /// The entry of a mapping, null if there is none.
    pub(super) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self {
            path,
            tree: self.tree.get(name).unwrap_or(&Tree::Null),
        }
    }

    /// Copies of the entries of a mapping whose name passes.
    pub(super) fn entries(
        &self,
        accept: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (String, Tree)> {
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries
            .iter()
            .filter(move |(name, _)| accept(name))
            .cloned()
    }

    /// The items of a list. A single thing is a list of one, null and the empty mapping are empty lists.
    pub(super) fn items(&self) -> Result<Vec<Self>, MetadataError> {
        let item = |(index, tree)| Self {
            path: format!("{}[{index}]", self.path),
            tree,
        };
        Ok(match self.tree {
            Tree::List(items) => items.iter().enumerate().map(item).collect(),
            Tree::Null => Vec::new(),
            Tree::Map(entries) if entries.is_empty() => Vec::new(),
            Tree::Map(_) => vec![Self {
                path: self.path.clone(),
                tree: self.tree,
            }],
            _ => return Err(self.wrong_type("a list")),
        })
    }

    pub(super) fn text(&self) -> Result<String, MetadataError> {
        Ok(match self.tree {
            Tree::Null => String::new(),
            Tree::Str(text) => text.clone(),
            Tree::Int(number) => number.to_string(),
            Tree::Float(number) => float_text(*number),
            Tree::Bool(value) => if *value { "1" } else { "0" }.to_owned(),
            Tree::Time(_) | Tree::List(_) | Tree::Map(_) => return Err(self.wrong_type("a string")),
        })
    }

    /// An RFC 3339 time, as it stands.
    pub(super) fn time(&self) -> Result<String, MetadataError> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(self.error(MetadataProblem::Missing));
        }
        match Time::parse(&text) {
            Some(_) => Ok(text),
            None => Err(self.error(MetadataProblem::NotATime)),
        }
    }

    /// A version that SOPS can compare: semantic, with or without a `v`, or of the 1.x series.
    pub(super) fn version(&self) -> Result<String, MetadataError> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(self.error(MetadataProblem::Missing));
        }
        if text.starts_with("1.") || is_semantic_version(text.strip_prefix('v').unwrap_or(&text)) {
            return Ok(text);
        }
        Err(self.error(MetadataProblem::NotAVersion))
    }

    /// A number that is not negative.
    pub(super) fn count(&self) -> Result<usize, MetadataError> {
        let number = match self.tree {
            Tree::Null => Some(0),
            Tree::Bool(value) => Some(i64::from(*value)),
            Tree::Int(number) => Some(*number),
            // `f64` has no other conversion; the text of the whole part is exact.
            Tree::Float(number) => float_text(number.trunc()).parse().ok(),
            Tree::Str(text) => parse_int(text),
            Tree::Time(_) | Tree::List(_) | Tree::Map(_) => None,
        };
        let count = number.and_then(|number| usize::try_from(number).ok());
        count.ok_or_else(|| self.wrong_type("a number from 0"))
    }

    pub(super) fn flag(&self) -> Result<bool, MetadataError> {
        Ok(match self.tree {
            Tree::Null => false,
            Tree::Bool(value) => *value,
            Tree::Int(number) => *number != 0,
            Tree::Float(number) => *number != 0.0,
            Tree::Str(text) => match text.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
                "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
                _ => return Err(self.wrong_type("true or false")),
            },
            Tree::Time(_) | Tree::List(_) | Tree::Map(_) => {
                return Err(self.wrong_type("true or false"));
            }
        })
    }

    /// An encryption context: names with texts, sorted; null values are passed over.
    pub(super) fn context(&self) -> Result<Vec<(String, String)>, MetadataError> {
        let entries = match self.tree {
            Tree::Map(entries) => entries.as_slice(),
            Tree::Null => &[],
            Tree::List(items) if items.is_empty() => &[],
            _ => return Err(self.wrong_type("a mapping")),
        };
        let mut context = Vec::new();
        for (name, tree) in entries {
            if *tree != Tree::Null {
                let value = Self {
                    path: format!("{}.{name}", self.path),
                    tree,
                };
                context.push((name.clone(), value.text()?));
            }
        }
        context.sort();
        Ok(context)
    }
}

fn type_name(tree: &Tree) -> &'static str {
    match tree {
        Tree::Null => "null",
        Tree::Bool(_) => "true or false",
        Tree::Int(_) | Tree::Float(_) => "a number",
        Tree::Time(_) => "a timestamp",
        Tree::Str(_) => "a string",
        Tree::List(_) => "a list",
        Tree::Map(_) => "a mapping",
    }
}

/// Go's `ParseInt` with base 0: a prefix names the base, a leading zero means octal. Empty is 0.
fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() {
        return Some(0);
    }
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.as_str(), 8)
    } else {
        (lower.as_str(), 10)
    };
    if !digits.starts_with(|digit: char| digit.is_digit(base)) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// `major.minor.patch`, then perhaps `-pre.release` and `+build`, as semver.org has it.
fn is_semantic_version(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| digits(part) && (part.len() == 1 || !part.starts_with('0'));
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    core.split('.').count() == 3
        && core
            .split('.')
            .all(|part| number(part) && part.parse::<u64>().is_ok())
        && pre.is_none_or(|pre| {
            pre.split('.')
                .all(|part| word(part) && (!digits(part) || number(part)))
        })
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::{Field, is_semantic_version, parse_int};
    use crate::tree::Tree;

    fn text(text: &str) -> Tree {
        Tree::Str(text.to_owned())
    }

    #[test]
    fn strings_take_numbers_and_truth_values() {
        let table = [
            (Tree::Null, ""),
            (text("x"), "x"),
            (Tree::Int(-3), "-3"),
            (Tree::Float(1e3), "1000"),
            (Tree::Bool(true), "1"),
            (Tree::Bool(false), "0"),
        ];
        for (tree, expected) in table {
            assert_eq!(Field::root(&tree).text().unwrap(), expected);
        }
        assert!(Field::root(&Tree::List(vec![])).text().is_err());
    }

    #[test]
    fn numbers_take_strings_with_a_base() {
        let table = [
            (Tree::Null, 0),
            (text(""), 0),
            (text("2"), 2),
            (text("0x2"), 2),
            (text("010"), 8),
            (text("0b11"), 3),
            (Tree::Bool(true), 1),
            (Tree::Float(2.9), 2),
            (Tree::Int(7), 7),
        ];
        for (tree, expected) in table {
            assert_eq!(Field::root(&tree).count().unwrap(), expected);
        }
        for wrong in [
            text("x"),
            text("-1"),
            Tree::Int(-1),
            Tree::Float(f64::NAN),
            text("0x"),
        ] {
            assert!(Field::root(&wrong).count().is_err());
        }
        assert_eq!(parse_int("-0x10"), Some(-16));
        assert_eq!(parse_int("--1"), None);
    }

    #[test]
    fn truth_values_take_strings_and_numbers() {
        for yes in [
            text("true"),
            text("T"),
            text("1"),
            Tree::Int(2),
            Tree::Float(0.5),
        ] {
            assert!(Field::root(&yes).flag().unwrap());
        }
        for no in [text("false"), text(""), Tree::Int(0), Tree::Null] {
            assert!(!Field::root(&no).flag().unwrap());
        }
        assert!(Field::root(&text("yes")).flag().is_err());
    }

    #[test]
    fn versions() {
        for good in ["3.13.2", "3.0.0-rc.1", "10.20.30+build.7", "3.0.0--x"] {
            assert!(is_semantic_version(good), "{good}");
        }
        for bad in [
            "", "3", "3.1", "3.1.x", "03.1.1", "3.1.1-", "3.1.1-01", "3.1.1+", "3.1.1.1",
        ] {
            assert!(!is_semantic_version(bad), "{bad}");
        }
    }
}
