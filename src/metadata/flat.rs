//! The metadata as pairs of names and texts, for formats without nesting (spec 5.5).
//!
//! Knows the grammar of the names and nothing of their meaning. The `sops_` in front of dotenv names is the format's
//! business; so is the escaping of line breaks in a dotenv file. INI has no escapes of its own: use [`to_line`] and
//! [`from_line`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::tree::Tree;
use crate::value;

const MAP: &str = "__map_";
const LIST: &str = "__list_";
/// Deepest nesting that is read. Metadata of SOPS has seven levels.
const MAX_DEPTH: usize = 100;

/// Why names do not fit together into one tree. Carries the name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlatError {
    /// The same name twice.
    #[error("duplicate value of `{0}`")]
    Duplicate(String),
    /// A value and a container, or a mapping and a list, at one place.
    #[error(
        "`{0}` does not fit with the names before it: it is both a value and a container, or both a mapping and a list"
    )]
    Mismatch(String),
    /// The indexes of a list are not 0, 1, 2 and so on.
    #[error("the list `{0}` is incomplete")]
    Incomplete(String),
    /// More levels than metadata can have.
    #[error("`{}…` is nested too deeply", .0.chars().take(40).collect::<String>())]
    TooDeep(String),
}

/// The pairs of a tree, in its order. Empty lists and mappings leave no trace. A tree that is not a mapping has no pairs.
#[must_use]
pub fn flatten(tree: &Tree) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    if let Tree::Map(entries) = tree {
        for (name, value) in entries {
            flatten_into(name.clone(), value, &mut pairs);
        }
    }
    pairs
}

fn flatten_into(name: String, tree: &Tree, pairs: &mut Vec<(String, String)>) {
    let text = match tree {
        Tree::Map(entries) => {
            for (key, value) in entries {
                flatten_into(format!("{name}{MAP}{key}"), value, pairs);
            }
            return;
        }
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten_into(format!("{name}{LIST}{index}"), item, pairs);
            }
            return;
        }
        Tree::Null => String::new(),
        Tree::Bool(value) => value.to_string(),
        Tree::Int(value) => value.to_string(),
        Tree::Float(value) => value::float_text(*value),
        Tree::Time(text) | Tree::Str(text) => text.clone(),
    };
    pairs.push((name, text));
}

/// Puts pairs together again, in any order. All values are texts; mappings are sorted by key.
///
/// # Errors
/// [`FlatError`] if the names contradict each other.
pub fn unflatten<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Tree, FlatError> {
    let mut root = Place::Map(BTreeMap::new());
    for (name, value) in pairs {
        root.put(name, value)?;
    }
    root.tree("")
}

/// A place in the tree while it grows.
enum Place<'a> {
    Value(&'a str),
    Map(BTreeMap<&'a str, Self>),
    List(BTreeMap<usize, Self>),
}

/// What a name says about the way from one place to the next.
#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

fn child<'m, 'a, K: Ord>(
    entry: Entry<'m, K, Place<'a>>,
    fresh: Place<'a>,
) -> (&'m mut Place<'a>, bool) {
    match entry {
        Entry::Occupied(found) => (found.into_mut(), true),
        Entry::Vacant(empty) => (empty.insert(fresh), false),
    }
}

/// The text up to the next separator, and the rest with it.
fn split(name: &str) -> (&str, &str) {
    let separators = name.match_indices("__").map(|(at, _)| at);
    // Three underlines and more: the match may begin one byte later than `match_indices` says.
    let mut candidates = separators.flat_map(|at| [at, at + 1]);
    let end = candidates
        .find(|&at| {
            name.get(at..)
                .is_some_and(|rest| rest.starts_with(MAP) || rest.starts_with(LIST))
        })
        .unwrap_or(name.len());
    name.split_at_checked(end).unwrap_or((name, ""))
}

fn next_token<'a>(rest: &mut &'a str) -> Option<Token<'a>> {
    if let Some(text) = rest.strip_prefix(MAP) {
        let (key, after) = split(text);
        *rest = after;
        return Some(Token::Key(key));
    }
    let (index, after) = split(rest.strip_prefix(LIST)?);
    *rest = after;
    Some(Token::Index(parse_index(index)))
}

/// A text that is not a number counts as 0, as in SOPS; one that is too large makes the list incomplete.
fn parse_index(text: &str) -> usize {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(usize::MAX)
}

impl<'a> Place<'a> {
    fn put(&mut self, name: &'a str, value: &'a str) -> Result<(), FlatError> {
        let (first, mut rest) = split(name);
        let mut token = Token::Key(first);
        let mut here = self;
        for _ in 0..MAX_DEPTH {
            let next = next_token(&mut rest);
            let fresh = match next {
                None => Self::Value(value),
                Some(Token::Key(_)) => Self::Map(BTreeMap::new()),
                Some(Token::Index(_)) => Self::List(BTreeMap::new()),
            };
            let (found, existed) = match (token, here) {
                (Token::Key(key), Self::Map(entries)) => child(entries.entry(key), fresh),
                (Token::Index(index), Self::List(items)) => child(items.entry(index), fresh),
                _ => return Err(FlatError::Mismatch(name.to_owned())),
            };
            let Some(next) = next else {
                return match (found, existed) {
                    (_, false) => Ok(()),
                    (Self::Value(_), true) => Err(FlatError::Duplicate(name.to_owned())),
                    _ => Err(FlatError::Mismatch(name.to_owned())),
                };
            };
            (token, here) = (next, found);
        }
        Err(FlatError::TooDeep(name.to_owned()))
    }

    fn tree(self, name: &str) -> Result<Tree, FlatError> {
        match self {
            Self::Value(text) => Ok(Tree::Str(text.to_owned())),
            Self::Map(entries) => {
                let entries = entries
                    .into_iter()
                    .map(|(key, place)| Ok((key.to_owned(), place.tree(key)?)))
                    .collect::<Result<_, _>>()?;
                Ok(Tree::Map(entries))
            }
            Self::List(items) => {
                if items
                    .keys()
                    .enumerate()
                    .any(|(position, &index)| position != index)
                {
                    return Err(FlatError::Incomplete(name.to_owned()));
                }
                let items = items.into_values().map(|place| place.tree(name));
                Ok(Tree::List(items.collect::<Result<_, _>>()?))
            }
        }
    }
}

/// A text on one line: each line break becomes the two characters `\n`.
#[must_use]
pub fn to_line(text: &str) -> String {
    text.replace('\n', r"\n")
}

/// The inverse of [`to_line`]. Real line breaks are left as they are.
#[must_use]
pub fn from_line(text: &str) -> String {
    text.replace(r"\n", "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::{FlatError, flatten, from_line, to_line, unflatten};
    use crate::tree::Tree;

    fn text(text: &str) -> Tree {
        Tree::Str(text.to_owned())
    }

    fn map(entries: Vec<(&str, Tree)>) -> Tree {
        Tree::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    #[test]
    fn names_spell_the_way_through_the_tree() {
        let context = map(vec![
            ("arn", text("arn:1")),
            ("context", map(vec![("env", text("prod"))])),
        ]);
        let tree = map(vec![
            (
                "age",
                Tree::List(vec![map(vec![("recipient", text("age1x"))])]),
            ),
            ("empty", Tree::List(vec![])),
            (
                "kms",
                Tree::List(vec![map(vec![("arn", text("arn:0"))]), context]),
            ),
            ("mac_only_encrypted", Tree::Bool(true)),
            ("shamir_threshold", Tree::Int(2)),
        ]);
        let pairs = flatten(&tree);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            pairs,
            [
                ("age__list_0__map_recipient", "age1x"),
                ("kms__list_0__map_arn", "arn:0"),
                ("kms__list_1__map_arn", "arn:1"),
                ("kms__list_1__map_context__map_env", "prod"),
                ("mac_only_encrypted", "true"),
                ("shamir_threshold", "2"),
            ]
        );
    }

    #[test]
    fn the_order_of_lines_does_not_matter() {
        let tree = unflatten([("l__list_1", "b"), ("a", "x"), ("l__list_0", "a")]).unwrap();
        let list = Tree::List(vec![text("a"), text("b")]);
        assert_eq!(tree, map(vec![("a", text("x")), ("l", list)]));
    }

    #[test]
    fn a_word_for_an_index_counts_as_zero() {
        let tree = unflatten([("l__list_x", "a")]).unwrap();
        assert_eq!(tree, map(vec![("l", Tree::List(vec![text("a")]))]));
    }

    #[test]
    fn underlines_of_a_key_stay_with_it() {
        let tree = unflatten([("a___map_b", "x"), ("_c__d", "y")]).unwrap();
        assert_eq!(
            tree,
            map(vec![
                ("_c__d", text("y")),
                ("a_", map(vec![("b", text("x"))]))
            ])
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let error = |pairs: &[(&'static str, &'static str)]| unflatten(pairs.to_vec()).unwrap_err();
        assert_eq!(
            error(&[("a", "1"), ("a", "1")]),
            FlatError::Duplicate("a".into())
        );
        assert_eq!(
            error(&[("a", "1"), ("a__map_b", "1")]),
            FlatError::Mismatch("a__map_b".into())
        );
        assert_eq!(
            error(&[("a__map_b", "1"), ("a", "1")]),
            FlatError::Mismatch("a".into())
        );
        assert_eq!(
            error(&[("a__map_b", "1"), ("a__list_0", "1")]),
            FlatError::Mismatch("a__list_0".into())
        );
        assert_eq!(
            error(&[("a__list_1", "1")]),
            FlatError::Incomplete("a".into())
        );
        assert_eq!(
            error(&[("a__list_0", "1"), ("a__list_99999999999999999999", "1")]),
            FlatError::Incomplete("a".into())
        );
        assert_eq!(
            error(&[("a__list_0", "1"), ("a__list_x", "1")]),
            FlatError::Duplicate("a__list_x".into())
        );
    }

    #[test]
    fn hostile_depth_is_refused() {
        let name = format!("a{}", "__map_b".repeat(100_000));
        assert!(matches!(
            unflatten([(&*name, "x")]),
            Err(FlatError::TooDeep(_))
        ));
    }

    #[test]
    fn lines() {
        assert_eq!(to_line("a\nb\n"), r"a\nb\n");
        assert_eq!(from_line(r"a\nb\n"), "a\nb\n");
        assert_eq!(from_line("a\nb"), "a\nb");
    }

    /// Trees without empty containers and with sorted keys: what survives flattening.
    fn string_tree() -> impl Strategy<Value = Tree> {
        let leaf = any::<String>().prop_map(Tree::Str);
        let node = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Tree::List),
                proptest::collection::btree_map(name(), inner, 1..4)
                    .prop_map(|entries| Tree::Map(entries.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map(name(), node, 0..4)
            .prop_map(|entries| Tree::Map(entries.into_iter().collect()))
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_é.=-]{1,6}",
            Just("map".to_owned()),
            Just("list_0".to_owned())
        ]
        .prop_filter("ambiguous with the separators", |name| {
            !name.ends_with('_') && !name.contains("__")
        })
    }

    proptest! {
        #[test]
        fn unflatten_inverts_flatten(tree in string_tree()) {
            let pairs = flatten(&tree);
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            prop_assert_eq!(unflatten(pairs).unwrap(), tree);
        }

        #[test]
        fn any_names_give_a_tree_or_an_error(names in proptest::collection::vec("(a|b|_|__map_|__list_|[0-9]){0,8}", 0..8)) {
            if let Ok(tree) = unflatten(names.iter().map(|name| (&**name, "x"))) {
                prop_assert_eq!(flatten(&tree).len(), names.len());
            }
        }
    }
}
