//! Taking people out of a config.

use std::collections::{BTreeMap, HashSet};

use crate::config::Config;
use crate::config::keys::RULE_FIELDS;
use crate::edit::Edit;
use crate::node::{Kind, Node, NodeId};
use crate::recipient::Recipient;
use crate::span::Span;
use crate::tree::Tree;

use super::text::Yaml;
use super::{CannotEdit, Change, Key, key};

/// What has to be changed.
pub(super) fn edits(
    change: Change<'_>,
    config: &Config,
    gone: &HashSet<Key>,
) -> Result<Vec<Edit>, CannotEdit> {
    let yaml = Yaml::new(change.text)?;
    let removing = Removing {
        yaml: &yaml,
        config,
        gone,
    };
    let mut edits = Vec::new();
    // Items and entries that go as a whole, by the list or mapping that they are in.
    let mut whole: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for (id, node) in yaml.nodes() {
        match removing.fate(id, node) {
            Fate::Stays => {}
            Fate::Shrinks(text) => edits.push(Edit::new(node.inner, text)),
            Fate::Goes => whole
                .entry(node.parent.ok_or(CannotEdit::ByHand)?)
                .or_default()
                .push(id),
        }
    }
    // From the innermost outwards: a list that is left empty goes, too, and then perhaps the mapping that it is in.
    while let Some((parent, items)) = whole.pop_last() {
        let node = yaml.node(parent)?;
        let all = yaml.items(parent).len() == items.len();
        match node.parent.filter(|_| all && node.props.is_empty()) {
            Some(above) => whole.entry(above).or_default().push(parent),
            None => {
                for id in &items {
                    edits.push(Edit::remove(removing.space(*id, &items)?));
                }
            }
        }
    }
    Ok(edits)
}

/// What becomes of a node.
enum Fate {
    Stays,
    /// Some of the recipients in a text with commas go; this is the rest.
    Shrinks(String),
    Goes,
}

struct Removing<'a> {
    yaml: &'a Yaml<'a>,
    config: &'a Config,
    gone: &'a HashSet<Key>,
}

impl Removing<'_> {
    fn fate(&self, id: NodeId, node: &Node) -> Fate {
        match node.kind {
            Kind::Scalar => self.fate_of_text(id, node),
            Kind::Alias { target } => {
                let same = self.yaml.node(target).is_ok_and(|found| {
                    found.kind == Kind::Scalar
                        && matches!(self.fate_of_text(target, found), Fate::Goes)
                });
                if same { Fate::Goes } else { Fate::Stays }
            }
            Kind::Mapping if self.is_gone_entry(id) => Fate::Goes,
            _ => Fate::Stays,
        }
    }

    fn fate_of_text(&self, id: NodeId, node: &Node) -> Fate {
        let Tree::Str(text) = self.yaml.tree(id) else {
            return Fate::Stays;
        };
        let named = self.stands_among_recipients(id);
        let goes = |part: &str| {
            let part = part.trim();
            let one = Recipient::parse(part).or_else(|error| {
                // Among OpenPGP keys anything may stand for one.
                if named {
                    Recipient::parse_pgp(part)
                } else {
                    Err(error)
                }
            });
            let is_name = named && self.all_gone(part);
            is_name || one.is_ok_and(|one| self.gone.contains(&key(&one)))
        };
        let goers = text.split(',').filter(|part| goes(part)).count();
        let parts = text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .count();
        if goers == 0 {
            Fate::Stays
        } else if goers == parts {
            Fate::Goes
        } else {
            let written = node.inner.of(self.yaml.source());
            let mut rest: Vec<&str> = written.split(',').filter(|part| !goes(part)).collect();
            // What led the text, a blank or an indentation, leads it still.
            let lead = |text: &str| text.len() - text.trim_start().len();
            let first = written.get(..lead(written)).unwrap_or_default().to_owned();
            if let Some(part) = rest.first_mut() {
                *part = part.trim_start();
            }
            let mut text = first + &rest.join(",");
            let tail = written.trim_end().len();
            text.truncate(text.trim_end().len());
            text.push_str(written.get(tail..).unwrap_or_default());
            Fate::Shrinks(text)
        }
    }

    /// Whether a name of the `recipients` map means nobody but those who go.
    fn all_gone(&self, name: &str) -> bool {
        let named = self.config.names.get(name).unwrap_or_default();
        !named.is_empty()
            && named
                .iter()
                .all(|recipient| self.gone.contains(&key(recipient)))
    }

    /// Whether a text stands in a field of a rule or group that holds recipients.
    fn stands_among_recipients(&self, id: NodeId) -> bool {
        let mut next = Some(id);
        for _ in 0..2 {
            let Some(id) = next else { break };
            if let Some(name) = self.yaml.key(id) {
                return RULE_FIELDS.contains(&name.as_str()) || name == "hc_vault";
            }
            next = self.yaml.node(id).ok().and_then(|node| node.parent);
        }
        false
    }

    /// Whether a mapping is an item of a key group, such as `arn: …`, for a key that goes.
    fn is_gone_entry(&self, id: NodeId) -> bool {
        let tree = self.yaml.tree(id);
        let text = |name: &str| match tree.get(name) {
            Some(Tree::Str(text)) => text.clone(),
            _ => String::new(),
        };
        let parsed = if tree.get("arn").is_some() {
            Recipient::parse_kms(&text("arn"))
        } else if tree.get("resource_id").is_some() {
            Recipient::parse_gcp_kms(&text("resource_id"))
        } else if tree.get("key_id").is_some() {
            Recipient::parse_hckms(&text("key_id"))
        } else {
            let url = text("vaultUrl");
            let url = url.trim_end_matches('/');
            Recipient::parse_azure(&format!("{url}/keys/{}/{}", text("key"), text("version")))
        };
        let found = parsed.map(|parsed| match parsed {
            Recipient::Kms { arn, role, .. } => {
                let own_role = text("role");
                Recipient::Kms {
                    arn,
                    role: if own_role.is_empty() { role } else { own_role },
                    context: pairs(tree.get("context")),
                    aws_profile: text("aws_profile"),
                }
            }
            other => other,
        });
        found.is_ok_and(|found| self.gone.contains(&key(&found)))
    }

    /// What an item or entry takes up: its lines, and the comment above that names it; in a flow list, itself and a comma.
    fn space(&self, id: NodeId, going: &[NodeId]) -> Result<Span, CannotEdit> {
        let node = *self.yaml.node(id)?;
        if !node.flow {
            let lines = self.yaml.lines(id)?;
            let start = self.label_above(id, lines);
            let at_the_end = lines.end() == self.yaml.source().len();
            let above = self.yaml.line(start.saturating_sub(1));
            let blank = above.of(self.yaml.source()).trim().is_empty() && above.start() > 0;
            let start = if at_the_end && blank {
                above.start()
            } else {
                start
            };
            return Ok(Span::new(start, lines.end()));
        }
        let parent = node.parent.ok_or(CannotEdit::ByHand)?;
        let items = self.yaml.items(parent);
        let place = items
            .iter()
            .position(|&item| item == id)
            .ok_or(CannotEdit::ByHand)?;
        let begin = |id: NodeId| {
            let node = self.yaml.node(id)?;
            Ok::<usize, CannotEdit>(node.key.map_or(node.span, |key| key).start().min(
                if node.props.is_empty() {
                    node.span.start()
                } else {
                    node.props.start()
                },
            ))
        };
        if let Some(&next) = items.get(place + 1) {
            return Ok(Span::new(begin(id)?, begin(next)?));
        }
        // The last of a list takes the comma in front of it, unless that goes with the one before.
        let before = place.checked_sub(1).and_then(|place| items.get(place));
        match before.filter(|before| !going.contains(before)) {
            Some(&before) => Ok(Span::new(
                self.yaml.node(before)?.span.end(),
                node.span.end(),
            )),
            None if before.is_some() => Err(CannotEdit::ByHand),
            None => Ok(Span::new(begin(id)?, node.span.end())),
        }
    }

    /// Where the comment begins that stands above an item and names it; the item's own first line if there is none.
    fn label_above(&self, id: NodeId, lines: Span) -> usize {
        let comment = id
            .checked_sub(1)
            .and_then(|above| self.yaml.node(above).ok());
        let Some(comment) = comment.filter(|node| node.kind == Kind::Comment && !node.inline)
        else {
            return lines.start();
        };
        let line = self.yaml.line(comment.span.start());
        let label = comment.inner.of(self.yaml.source()).trim();
        let names = self
            .recipient(id)
            .and_then(|one| self.config.name_of(&one).map(str::to_owned));
        if line.end() == lines.start() && names.as_deref() == Some(label) {
            line.start()
        } else {
            lines.start()
        }
    }

    fn recipient(&self, id: NodeId) -> Option<Recipient> {
        match self.yaml.tree(self.yaml.resolved(id)) {
            Tree::Str(text) => Recipient::parse(&text).ok(),
            _ => None,
        }
    }
}

/// The texts of an encryption context, sorted.
fn pairs(tree: Option<&Tree>) -> Vec<(String, String)> {
    let Some(Tree::Map(entries)) = tree else {
        return Vec::new();
    };
    let mut pairs: Vec<(String, String)> = entries
        .iter()
        .filter_map(|(name, value)| match value {
            Tree::Str(text) => Some((name.clone(), text.clone())),
            Tree::Int(number) => Some((name.clone(), number.to_string())),
            Tree::Bool(value) => Some((name.clone(), value.to_string())),
            _ => None,
        })
        .collect();
    pairs.sort();
    pairs
}
