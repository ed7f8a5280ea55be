//! Finding the metadata of a document (spec 5.4).
//!
//! Knows where each format keeps it and in which spelling, nested or flat. What the fields mean is `nested`'s business.

use crate::document::Document;
use crate::format::Format;
use crate::metadata::{Metadata, MetadataError, MetadataProblem, flat};
use crate::node::{Kind, NodeId};
use crate::tree::Tree;
use crate::value::Value;

impl Metadata {
    /// Reads the metadata of `document`; `None` if it has none. Only the first document of a YAML file counts.
    ///
    /// # Errors
    /// [`MetadataError`] for the first field SOPS would refuse.
    pub fn of(document: &Document<'_>) -> Result<Option<Self>, MetadataError> {
        let Some(&first) = document.metadata().first() else {
            return Ok(None);
        };
        let tree = match document.format() {
            Format::Dotenv => unflattened(document, document.metadata().iter().copied(), "sops_")?,
            Format::Ini => unflattened(document, document.children(first), "")?,
            Format::Yaml | Format::Json | Format::Toml | Format::Binary => {
                if document.node(first).and_then(|node| node.parent) != document.roots().next() {
                    return Ok(None);
                }
                document.tree(first)
            }
        };
        // SOPS takes an empty JSON object for no metadata at all.
        let is_json = matches!(document.format(), Format::Json | Format::Binary);
        if is_json && tree == Tree::Map(Vec::new()) {
            return Ok(None);
        }
        Self::read(&tree).map(Some)
    }
}

/// The tree that flat names spell. Each name is taken without `prefix`.
fn unflattened(
    document: &Document<'_>,
    entries: impl Iterator<Item = NodeId>,
    prefix: &str,
) -> Result<Tree, MetadataError> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for node in entries.filter_map(|id| document.node(id)) {
        if node.kind != Kind::Scalar {
            continue;
        }
        if let (Ok(key), Ok(Value::Str(text))) = (document.key(node), document.value(node)) {
            let name = key.strip_prefix(prefix).unwrap_or(&key);
            pairs.push((name.to_owned(), flat::from_line(text.expose())));
        }
    }
    let borrowed = pairs
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    flat::unflatten(borrowed).map_err(|error| MetadataError {
        field: String::new(),
        problem: MetadataProblem::Names(error),
    })
}
