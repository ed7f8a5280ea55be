//! The names that a config gives to recipients: its `recipients` map, and what people write beside a recipient anyway, a
//! comment or an anchor.
//!
//! Names of the map can be used in rules. Comments and anchors are labels: they are shown and looked up, and never decide
//! who can open a file. Knows no rule.

use std::collections::HashMap;

use crate::document::Document;
use crate::format::Format;
use crate::node::{Kind, Node, NodeId};
use crate::recipient::{Recipient, RecipientKind, split_list};
use crate::tree::Tree;

use super::ConfigError;
use super::field::{Field, TextOrItems};

/// The longest label, in characters: what is longer is a remark.
pub(super) const MAX_LABEL: usize = 60;

/// Who is called what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    /// The `recipients` map, in its order. A person may have several keys.
    map: Vec<(String, Vec<Recipient>)>,
    /// Labels by the recipient as it is written.
    labels: HashMap<String, String>,
}

impl Names {
    /// Reads the `recipients` map.
    ///
    /// # Errors
    /// [`ConfigError`] for a name that could be taken for a recipient, and for a text that is none.
    pub(super) fn read(field: &Field<'_>) -> Result<Self, ConfigError> {
        let mut map = Vec::new();
        for (name, field) in field.entries()? {
            if !is_name(name) {
                return Err(ConfigError::Name { field: field.path });
            }
            let mut found = Vec::new();
            let mut add = |field: &Field<'_>, text: &str| {
                for text in split_list(text) {
                    let parsed = Recipient::parse(text);
                    found.push(parsed.map_err(|source| ConfigError::Recipient {
                        field: field.path.clone(),
                        source,
                    })?);
                }
                Ok(())
            };
            match field.text_or_items()? {
                TextOrItems::Text(text) => add(&field, text)?,
                TextOrItems::Items(items) => {
                    for item in items {
                        add(&item, item.string()?)?;
                    }
                }
            }
            map.push((name.to_owned(), found));
        }
        Ok(Self {
            map,
            labels: HashMap::new(),
        })
    }

    /// Notes the comments and anchors beside recipients in `text`, the YAML of the config. What our own scanner does not
    /// read has no labels.
    pub(super) fn note_labels(&mut self, text: &str) {
        let Ok(document) = Document::parse(Format::Yaml, text) else {
            return;
        };
        for (id, node) in document.nodes().iter().enumerate() {
            let Some(written) = single(&document, id, node) else {
                continue;
            };
            if let Some(label) = label(&document, id, node) {
                self.labels.entry(written).or_insert(label);
            }
        }
    }

    /// The recipients of a name of the map.
    pub(super) fn get(&self, name: &str) -> Option<&[Recipient]> {
        let found = self.map.iter().find(|(known, _)| known == name);
        found.map(|(_, recipients)| recipients.as_slice())
    }

    /// Everybody in the map.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.map.iter().flat_map(|(_, recipients)| recipients)
    }

    /// The map, in its order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &[Recipient])> {
        let entries = self.map.iter();
        entries.map(|(name, recipients)| (name.as_str(), recipients.as_slice()))
    }

    /// Gives the recipients of a name of the map, which has it afterwards.
    pub(super) fn set(&mut self, name: &str, recipients: Vec<Recipient>) {
        match self.map.iter_mut().find(|(known, _)| known == name) {
            Some((_, found)) => *found = recipients,
            None => self.map.push((name.to_owned(), recipients)),
        }
    }

    /// Takes recipients out of the map, and names that mean nobody then.
    pub(super) fn retain(&mut self, stays: impl Fn(&Recipient) -> bool) {
        self.map.retain_mut(|(_, recipients)| {
            let before = recipients.len();
            recipients.retain(&stays);
            before == 0 || !recipients.is_empty()
        });
    }

    /// What a recipient is called.
    pub(super) fn of(&self, recipient: &Recipient) -> Option<&str> {
        let identity = recipient.identity();
        let in_map = self.map.iter().find(|(_, recipients)| {
            let same = |known: &Recipient| {
                known.kind() == recipient.kind() && known.identity() == identity
            };
            recipients.iter().any(same)
        });
        if let Some((name, _)) = in_map {
            return Some(name);
        }
        let label = self.labels.get(&identity).or_else(|| match recipient {
            // In a key group context and profile stand in lines of their own.
            Recipient::Kms { arn, .. } => self.labels.get(arn),
            _ => None,
        });
        label.map(String::as_str)
    }

    /// Everybody of this name: of the map, else all that bear this label.
    pub(super) fn called(&self, name: &str) -> Vec<Recipient> {
        if let Some(recipients) = self.get(name) {
            return recipients.to_vec();
        }
        let labelled = self.labels.iter().filter(|(_, label)| *label == name);
        let mut written: Vec<&str> = labelled.map(|(written, _)| written.as_str()).collect();
        written.sort_unstable();
        written
            .into_iter()
            .filter_map(|written| Recipient::parse(written).ok())
            .collect()
    }
}

/// Whether a text can be a name: it must not be taken for a recipient, or for a list of them.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-+@ ".contains(c);
    let trimmed = text.trim() == text && text.starts_with(char::is_alphanumeric);
    trimmed && text.chars().all(plain) && Recipient::parse(text).is_err()
}

/// The text of a scalar that may be one recipient.
fn single(document: &Document<'_>, id: NodeId, node: &Node) -> Option<String> {
    if node.kind != Kind::Scalar {
        return None;
    }
    let Tree::Str(text) = document.tree(id) else {
        return None;
    };
    let text = text.trim();
    let one = !text.contains(',') && Recipient::parse(text).is_ok();
    one.then(|| match Recipient::parse(text) {
        Ok(recipient) if recipient.kind() == RecipientKind::Pgp => recipient.identity(),
        _ => text.to_owned(),
    })
}

/// What stands beside a scalar: a comment behind it, its anchor, a comment in the line above an item of a list.
fn label(document: &Document<'_>, id: NodeId, node: &Node) -> Option<String> {
    let source = document.source();
    let comment = |id: NodeId| {
        let node = document
            .node(id)
            .filter(|node| node.kind == Kind::Comment)?;
        Some((node, node.inner.of(source)))
    };
    let rest = source.get(node.span.end()..)?;
    let line = rest.lines().next().unwrap_or_default();
    if let Some((_, text)) = line
        .split_once('#')
        .filter(|(blank, _)| blank.trim().is_empty())
    {
        return shortened(text);
    }
    let mut props = node.props.of(source).split_whitespace();
    if let Some(anchor) = props.find_map(|word| word.strip_prefix('&')) {
        return shortened(anchor);
    }
    let (above, text) = comment(id.checked_sub(1)?)?;
    let item = node.key.filter(|key| key.of(source) == "-")?;
    let between = source.get(above.span.end()..item.start())?;
    let next_line = between.matches('\n').count() == 1 && !above.inline;
    if next_line { shortened(text) } else { None }
}

/// A comment as a label; `None` for an empty or a long one.
fn shortened(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= MAX_LABEL;
    fits.then(|| text.to_owned())
}
