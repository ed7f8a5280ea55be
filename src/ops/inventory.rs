//! Which values of a file are sealed, by path: what somebody who could open it has had to read, and what a rule makes of it.
//!
//! Needs no key, since tokens can be told from everything else. Shows no value.

use crate::cipher::Token;
use crate::document::{Document, Path, Step};
use crate::format::Format;
use crate::node::{Kind, NodeId, ScanError};
use crate::ops::merge::entries::Entries;
use crate::ops::merge::three::Three;
use crate::selection::{Selection, Tracker};
use crate::value::Value;

/// The paths of all sealed values, as people write them (`db.users[0].password`), in the order of the file. A binary file
/// has one, which is empty. Comments do not count.
#[must_use]
pub fn sealed_values(document: &Document<'_>) -> Vec<String> {
    let entries = Entries::of(&Three {
        base: Some(document),
        ours: None,
        theirs: None,
    });
    let mut found: Vec<(NodeId, String)> = Vec::new();
    for (id, entry) in entries.all() {
        let Some(node) = entry.nodes.base else {
            continue;
        };
        if is_sealed(document, node) {
            let whole_file = document.format() == Format::Binary;
            let path = if whole_file {
                String::new()
            } else {
                entries.path(id)
            };
            found.push((node, path));
        }
    }
    found.sort_by_key(|(node, _)| *node);
    found.into_iter().map(|(_, path)| path).collect()
}

fn is_sealed(document: &Document<'_>, id: NodeId) -> bool {
    let Some(node) = document.node(id).filter(|node| node.kind == Kind::Scalar) else {
        return false;
    };
    let in_metadata = document.metadata().iter().any(|&entry| {
        let end = document.node(entry).map_or(entry, |node| node.end);
        (entry..end.max(entry + 1)).contains(&id)
    });
    let value = document.value(node);
    !in_metadata && matches!(&value, Ok(Value::Str(text)) if Token::parse(text.expose()).is_some())
}

/// How a value stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As a token.
    Sealed,
    /// As itself.
    Clear,
    /// Null, or without a character: such values are never sealed (spec 3.1).
    Empty,
}

/// A value, without what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its path, as people write it: `db.users[0].password`.
    pub path: String,
    /// How it stands there.
    pub state: State,
    /// Whether the rule wants it to be sealed.
    pub selected: bool,
    /// The outermost key of its path that the rule matches; `None` if it matches none, or looks at comments.
    pub key: Option<String>,
}

/// What is in a file, and what a rule makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Its values, in the order of the walk. Those behind an alias come again at its place.
    pub leaves: Vec<Leaf>,
    /// Number of comments that are sealed.
    pub sealed_comments: usize,
    /// Number of comments that are clear, and that the rule wants so.
    pub clear_comments: usize,
    /// Number of comments that are clear, and that the rule wants to be sealed.
    pub exposed_comments: usize,
}

/// Takes stock of a document, sealed or not.
///
/// # Errors
/// [`ScanError`] for everything that SOPS cannot read (spec 1.6, 2).
pub fn inventory(document: &Document<'_>, selection: &Selection) -> Result<Inventory, ScanError> {
    let mut tracker = Tracker::new(selection);
    let mut places = Places::default();
    let mut found = Inventory::default();
    document.walk(|step| {
        let selected = tracker.step(&step, document)?.unwrap_or(false);
        match step {
            Step::Enter { path, keyed, .. } => places.enter(path, keyed),
            Step::Leave { .. } => places.leave(),
            Step::Leaf {
                id, path, keyed, ..
            } => {
                places.enter(path, keyed);
                let mut keys = path.keys();
                let key = keys.find(|key| selection.rule().matches_key(key));
                found.leaves.push(Leaf {
                    path: places.text.clone(),
                    state: state(document, id)?,
                    selected,
                    key: key.map(str::to_owned),
                });
                places.leave();
            }
            Step::Comment { id, .. } => match state(document, id)? {
                State::Sealed => found.sealed_comments += 1,
                State::Clear if selected => found.exposed_comments += 1,
                State::Clear => found.clear_comments += 1,
                State::Empty => {}
            },
        }
        Ok::<(), ScanError>(())
    })?;
    Ok(found)
}

fn state(document: &Document<'_>, id: NodeId) -> Result<State, ScanError> {
    let Some(node) = document.node(id) else {
        return Ok(State::Empty);
    };
    Ok(match document.value(node)? {
        value if value.is_empty() => State::Empty,
        Value::Str(text) if Token::parse(text.expose()).is_some() => State::Sealed,
        _ => State::Clear,
    })
}

/// Where a walk is, in the spelling of people: with the positions in lists, which count for nothing in a [`Path`].
#[derive(Default)]
struct Places {
    text: String,
    /// For everything that is open, how long the text was before, and how many items without a key it has had so far.
    open: Vec<(usize, usize)>,
}

impl Places {
    fn enter(&mut self, path: &Path, keyed: bool) {
        let before = self.text.len();
        if let Some(key) = path.last().filter(|_| keyed) {
            if before > 0 {
                self.text.push('.');
            }
            self.text.push_str(key);
        } else if let Some((_, items)) = self.open.last_mut() {
            self.text.push_str(&format!("[{items}]"));
            *items += 1;
        }
        self.open.push((before, 0));
    }

    fn leave(&mut self) {
        if let Some((before, _)) = self.open.pop() {
            self.text.truncate(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Leaf, inventory, sealed_values};
    use crate::document::Document;
    use crate::format::Format;
    use crate::selection::{RuleKind, Selection};

    const TOKEN: &str = "ENC[AES256_GCM,data:AA==,iv:AAAA,tag:AAAA,type:str]";

    #[test]
    fn values_are_listed_by_path_and_nothing_else_is() {
        let text = format!(
            "clear: x\n# {TOKEN}\ndb:\n  users:\n    - password: {TOKEN}\n    - clear\n    - {TOKEN}\nlast: '{TOKEN}'\nsops:\n  mac: {TOKEN}\n"
        );
        let document = Document::parse(Format::Yaml, &text).unwrap();
        assert_eq!(
            sealed_values(&document),
            ["db.users[0].password", "db.users[2]", "last"]
        );
    }

    #[test]
    fn a_binary_file_is_one_value() {
        let text = format!("{{\"data\": \"{TOKEN}\", \"sops\": {{\"mac\": \"{TOKEN}\"}}}}");
        let document = Document::parse(Format::Binary, &text).unwrap();
        assert_eq!(sealed_values(&document), [""]);
    }

    /// The stock of a YAML text under a rule: `path`, how it stands, what the rule wants, and which key it matches.
    fn stock(selection: &Selection, text: &str) -> Vec<String> {
        let document = Document::parse(Format::Yaml, text).unwrap();
        let found = inventory(&document, selection).unwrap();
        let line = |leaf: Leaf| {
            let wanted = if leaf.selected { "seal" } else { "clear" };
            let key = leaf.key.unwrap_or_default();
            format!("{} {:?} {wanted} {key}", leaf.path, leaf.state)
        };
        found.leaves.into_iter().map(line).collect()
    }

    #[test]
    fn a_rule_says_of_every_value_what_it_wants_and_by_which_key() {
        let text = format!(
            "port: 5432\ndb:\n  users:\n    - name: x\n      password: {TOKEN}\n    - password: oops\n  empty: ''\nlist: [a, [b]]\nsops:\n  mac: {TOKEN}\n"
        );
        let rule = Selection::strict(RuleKind::EncryptedRegex, "^(password|empty)$").unwrap();
        assert_eq!(
            stock(&rule, &text),
            [
                "port Clear clear ",
                "db.users[0].name Clear clear ",
                "db.users[0].password Sealed seal password",
                "db.users[1].password Clear seal password",
                "db.empty Empty seal empty",
                "list[0] Clear clear ",
                "list[1][0] Clear clear ",
            ]
        );
        assert_eq!(
            stock(&Selection::default(), "a_unencrypted: {b: 1}\nc: 2\n"),
            ["a_unencrypted.b Clear clear a_unencrypted", "c Clear seal "]
        );
    }

    #[test]
    fn comments_are_counted() {
        let text = format!("#{TOKEN}\na: 1\n# plain\nb_unencrypted:\n  # clear\n  c: 1\n");
        let document = Document::parse(Format::Yaml, &text).unwrap();
        let found = inventory(&document, &Selection::default()).unwrap();
        let counts = (
            found.sealed_comments,
            found.clear_comments,
            found.exposed_comments,
        );
        assert_eq!(counts, (1, 1, 1));
    }

    #[test]
    fn paths_begin_anew_in_every_document() {
        assert_eq!(
            stock(&Selection::default(), "a: 1\n---\nb: [c]\n"),
            ["a Clear seal ", "b[0] Clear seal "]
        );
    }
}
