//! Writing a new person into a config.

use std::collections::{BTreeMap, HashSet};

use crate::config::{Config, Strictness};
use crate::edit::Edit;
use crate::node::{Form, Kind, NodeId};
use crate::recipient::{Recipient, RecipientKind};
use crate::span::Span;

use super::text::{Yaml, scalar};
use super::{CannotEdit, Change, key};

/// What has to be changed.
pub(super) fn edits(
    change: Change<'_>,
    config: &Config,
    name: &str,
    recipients: &[Recipient],
    rules: &[usize],
    group: Option<usize>,
) -> Result<Vec<Edit>, CannotEdit> {
    let yaml = Yaml::new(change.text)?;
    let by_name = change.strictness == Strictness::Strict;
    let mut adding = Adding {
        yaml: &yaml,
        edits: Vec::new(),
        done: HashSet::new(),
    };
    let lists = yaml.field(yaml.root()?, "creation_rules");
    let nodes = lists.map_or(Vec::new(), |list| yaml.items(list));
    for &rule in rules {
        let node = rule.checked_sub(1).and_then(|index| nodes.get(index));
        let node = yaml.resolved(*node.ok_or(CannotEdit::NoRule { rule })?);
        let index = config.group_of(rule, group)?;
        let there = config.group(rule, index).ok_or(CannotEdit::ByHand)?;
        let there = there.as_ref().map_err(|error| error.clone())?;
        let there: HashSet<_> = there.iter().map(key).collect();
        let new: Vec<&Recipient> = recipients
            .iter()
            .filter(|new| !there.contains(&key(new)))
            .collect();
        let of_name = config
            .called(name)
            .iter()
            .map(key)
            .any(|key| there.contains(&key));
        if new.is_empty() || by_name && of_name {
            continue;
        }
        let (node, grouped) = match yaml.field(node, "key_groups") {
            Some(list) => {
                let items = yaml.items(list);
                let item = items.get(index).ok_or(CannotEdit::ByHand)?;
                (yaml.resolved(*item), true)
            }
            None => (node, false),
        };
        adding.in_rule(node, grouped, name, &new, by_name)?;
    }
    // Last, since a new map goes behind everything else.
    if by_name {
        adding.in_map(config, name, recipients)?;
    }
    Ok(adding.edits)
}

struct Adding<'a> {
    yaml: &'a Yaml<'a>,
    edits: Vec<Edit>,
    /// Lists that have the person now: several rules may share one by an alias.
    done: HashSet<NodeId>,
}

impl Adding<'_> {
    /// The entry of the `recipients` map.
    fn in_map(
        &mut self,
        config: &Config,
        name: &str,
        recipients: &[Recipient],
    ) -> Result<(), CannotEdit> {
        let known: HashSet<_> = config
            .names
            .get(name)
            .unwrap_or_default()
            .iter()
            .map(key)
            .collect();
        let texts: Vec<String> = recipients
            .iter()
            .filter(|new| !known.contains(&key(new)))
            .map(|new| scalar(&new.identity()))
            .collect();
        if texts.is_empty() {
            return Ok(());
        }
        let root = self.yaml.root()?;
        let map = self.yaml.field(root, "recipients");
        if let Some(entry) = map.and_then(|map| self.yaml.field(map, name)) {
            return self.in_entry(entry, &texts);
        }
        let value = match texts.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let line = format!("{}: {value}", scalar(name));
        let last = map
            .map(|map| self.yaml.items(map))
            .and_then(|items| items.last().copied());
        let Some(last) = last else {
            if map.is_some() {
                return Err(CannotEdit::ByHand);
            }
            let end = self.yaml.source().len();
            let line_break = self.yaml.line_break();
            let block = format!("{line_break}recipients:{line_break}  {line}");
            self.line_behind(end, &block);
            return Ok(());
        };
        let node = self.yaml.node(last)?;
        if node.flow {
            let end = Span::at(node.span.end());
            self.edits.push(Edit::new(end, format!(", {line}")));
            return Ok(());
        }
        let lines = self.yaml.lines(last)?;
        let head = node.key.ok_or(CannotEdit::ByHand)?;
        let indent = Span::new(lines.start(), head.start()).of(self.yaml.source());
        self.line_behind(lines.end(), &format!("{indent}{line}"));
        Ok(())
    }

    /// Further keys of a name that has some.
    fn in_entry(&mut self, entry: NodeId, texts: &[String]) -> Result<(), CannotEdit> {
        let node = *self.yaml.node(entry)?;
        if node.kind == Kind::Sequence {
            return texts
                .iter()
                .try_for_each(|text| self.in_list(entry, text, None));
        }
        let plain = matches!(node.form, Form::Plain | Form::Single | Form::Double);
        if node.kind != Kind::Scalar || !plain || !node.props.is_empty() {
            return Err(CannotEdit::ByHand);
        }
        let old = node.span.of(self.yaml.source());
        let list = format!("[{old}, {}]", texts.join(", "));
        self.edits.push(Edit::new(node.span, list));
        Ok(())
    }

    /// The lists of a rule, or of one of its groups.
    fn in_rule(
        &mut self,
        rule: NodeId,
        grouped: bool,
        name: &str,
        new: &[&Recipient],
        by_name: bool,
    ) -> Result<(), CannotEdit> {
        if !by_name {
            // A field that has to be made is made once.
            let mut made: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for recipient in new {
                let field = field_of(recipient.kind(), grouped)?;
                if self.yaml.field(rule, field).is_some() {
                    let text = scalar(&recipient.identity());
                    self.in_field(rule, field, &text, Some(name))?;
                } else {
                    made.entry(field).or_default().push(recipient.identity());
                }
            }
            for (field, recipients) in made {
                self.in_field(rule, field, &scalar(&recipients.join(",")), Some(name))?;
            }
            return Ok(());
        }
        // Where people of this kind stand already, if they are all of one kind; else where any may stand.
        let kinds: HashSet<_> = new.iter().map(|recipient| recipient.kind()).collect();
        let own = match kinds.iter().next() {
            Some(&kind) if kinds.len() == 1 => field_of(kind, grouped).ok(),
            _ => None,
        };
        let own = own.filter(|field| self.yaml.field(rule, field).is_some());
        let any = self.yaml.field(rule, "recipients").is_some();
        let field = own.filter(|_| !any).unwrap_or("recipients");
        self.in_field(rule, field, &scalar(name), None)
    }

    /// One field of a rule; it is made if it is not there.
    fn in_field(
        &mut self,
        rule: NodeId,
        field: &str,
        text: &str,
        label: Option<&str>,
    ) -> Result<(), CannotEdit> {
        if let Some(list) = self.yaml.field(rule, field) {
            if label.is_some() || self.done.insert(list) {
                self.in_list(list, text, label)?;
            }
            return Ok(());
        }
        let (first, last) = match self.yaml.items(rule).as_slice() {
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
            [] => return Err(CannotEdit::ByHand),
        };
        let (head, node) = (self.yaml.node(first)?.key, self.yaml.node(last)?);
        let head = head.filter(|_| !node.flow || !self.yaml.node(rule).is_ok_and(|rule| rule.flow));
        let head = head.ok_or(CannotEdit::ByHand)?;
        let column = head.start() - self.yaml.line(head.start()).start();
        let end = self.yaml.line(node.span.end()).end();
        let label = label.map_or(String::new(), |label| format!(" # {label}"));
        let line = format!("{}{field}: {text}{label}", " ".repeat(column));
        self.line_behind(end, &line);
        Ok(())
    }

    /// Another item of a list, in the way in which it is written.
    fn in_list(&mut self, list: NodeId, text: &str, label: Option<&str>) -> Result<(), CannotEdit> {
        let node = *self.yaml.node(list)?;
        let source = self.yaml.source();
        let items = self.yaml.items(list);
        match (node.kind, items.last()) {
            (Kind::Sequence, None) => {
                let inside = Span::at(node.span.start() + 1);
                self.edits.push(Edit::new(inside, text));
            }
            (Kind::Sequence, Some(&last)) if node.flow => {
                let last = self.yaml.node(last)?;
                self.edits
                    .push(Edit::new(Span::at(last.span.end()), format!(", {text}")));
            }
            (Kind::Sequence, Some(&last)) => {
                let lines = self.yaml.lines(last)?;
                let dash = self.yaml.node(last)?.key.ok_or(CannotEdit::ByHand)?;
                let indent = Span::new(lines.start(), dash.start()).of(source);
                let label = label.map_or(String::new(), |label| format!(" # {label}"));
                self.line_behind(lines.end(), &format!("{indent}- {text}{label}"));
            }
            (Kind::Scalar, _) => self.in_text(list, text)?,
            _ => return Err(CannotEdit::ByHand),
        }
        Ok(())
    }

    /// Another item of a text with commas.
    fn in_text(&mut self, id: NodeId, text: &str) -> Result<(), CannotEdit> {
        let node = self.yaml.node(id)?;
        let old = node.inner.of(self.yaml.source());
        let content = old.trim_end();
        let end = Span::at(node.inner.start() + content.len());
        let bare = text.trim_matches('\'');
        let edit = match node.form {
            _ if content.is_empty() && node.form == Form::Plain => format!(" {text}"),
            _ if content.is_empty() => bare.to_owned(),
            Form::Literal | Form::Folded => {
                let last = content.lines().last().unwrap_or_default();
                let indent = last
                    .get(..last.len() - last.trim_start().len())
                    .unwrap_or_default();
                format!(",{}{indent}{bare}", self.yaml.line_break())
            }
            _ => format!(",{bare}"),
        };
        self.edits.push(Edit::new(end, edit));
        Ok(())
    }

    fn line_behind(&mut self, end: usize, content: &str) {
        let text = self.yaml.new_line(end, content);
        self.edits.push(Edit::new(Span::at(end), text));
    }
}

/// The field of a rule, or of a key group, that takes recipients of a kind as texts (spec 8.2).
fn field_of(kind: RecipientKind, grouped: bool) -> Result<&'static str, CannotEdit> {
    match (kind, grouped) {
        (RecipientKind::Age, _) => Ok("age"),
        (RecipientKind::Pgp, _) => Ok("pgp"),
        (RecipientKind::Kms, false) => Ok("kms"),
        (RecipientKind::GcpKms, false) => Ok("gcp_kms"),
        (RecipientKind::AzureKv, false) => Ok("azure_keyvault"),
        (RecipientKind::Vault, false) => Ok("hc_vault_transit_uri"),
        (RecipientKind::Vault, true) => Ok("hc_vault"),
        _ => Err(CannotEdit::ByHand),
    }
}
