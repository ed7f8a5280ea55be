//! What is sealed in a file and what is clear, by path, and what its rule wants.

use serde::Serialize;
use sops_rs::format::Format;
use sops_rs::ops::inventory::{Inventory, Leaf, State, inventory};
use sops_rs::selection::{Rule, Selection};

use crate::cli::exit::Exit;
use crate::cli::report::Failure;
use crate::cli::sealed::{Sealed, Source};

/// The values of a file, none of which is shown.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    /// The rule that was asked: of a sealed file its own, else that of the config.
    pub(super) selection: String,
    pub(super) values: Vec<Value>,
    pub(super) comments: Comments,
}

/// A value, without what it is.
#[derive(Debug, Serialize)]
pub(super) struct Value {
    /// Empty for the one value of a binary file.
    pub(super) path: String,
    /// Whether it is sealed now.
    pub(super) sealed: bool,
    /// Whether it is empty: such values are never sealed.
    pub(super) empty: bool,
    /// Whether the rule wants it to be sealed.
    pub(super) selected: bool,
    /// What the rule matches: a key of the path, or a comment; `None` if nothing.
    pub(super) because: Option<String>,
}

/// How many comments there are.
#[derive(Debug, Default, Serialize)]
pub(super) struct Comments {
    pub(super) sealed: usize,
    pub(super) clear: usize,
    /// Clear, though the rule wants them to be sealed.
    pub(super) exposed: usize,
}

impl Content {
    pub(super) fn of_sealed(sealed: &Sealed<'_>) -> Result<Self, Failure> {
        if sealed.document.format() == Format::Binary {
            return Ok(Self::of_whole(true));
        }
        let found = inventory(&sealed.document, &sealed.selection);
        let found = found.map_err(|error| {
            let document = &sealed.document;
            Failure::scan(sealed.name, document.format(), document.source(), &error)
        })?;
        Ok(Self::of(found, &sealed.selection))
    }

    /// # Errors
    /// [`Exit::Failed`] for a text that cannot be sealed.
    pub(super) fn of_plain(source: &Source, selection: &Selection) -> Result<Self, Failure> {
        if source.format == Format::Binary {
            return Ok(Self::of_whole(false));
        }
        let document = source.document(Exit::Failed)?;
        let found = inventory(&document, selection).map_err(|error| {
            Failure::scan(&source.name, source.format, document.source(), &error)
                .with_exit(Exit::Failed)
        })?;
        Ok(Self::of(found, selection))
    }

    /// A binary file is one value.
    fn of_whole(sealed: bool) -> Self {
        let whole = Value {
            path: String::new(),
            sealed,
            empty: false,
            selected: true,
            because: None,
        };
        Self {
            selection: Selection::all().describe(),
            values: vec![whole],
            comments: Comments::default(),
        }
    }

    fn of(found: Inventory, selection: &Selection) -> Self {
        let value = |leaf: Leaf| Value {
            because: because(&leaf, selection.rule()),
            path: leaf.path,
            sealed: leaf.state == State::Sealed,
            empty: leaf.state == State::Empty,
            selected: leaf.selected,
        };
        Self {
            selection: selection.describe(),
            values: found.leaves.into_iter().map(value).collect(),
            comments: Comments {
                sealed: found.sealed_comments,
                clear: found.clear_comments,
                exposed: found.exposed_comments,
            },
        }
    }
}

fn because(leaf: &Leaf, rule: &Rule) -> Option<String> {
    let by_comment = match rule {
        Rule::EncryptedCommentRegex(_) => leaf.selected,
        Rule::UnencryptedCommentRegex(_) => !leaf.selected,
        _ => return leaf.key.as_ref().map(|key| format!("key `{key}`")),
    };
    by_comment.then(|| "a comment".to_owned())
}
